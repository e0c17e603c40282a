/* Views: reshape, permute, slice, expand. No memory is moved and no kernel runs. */
#include <string.h>

#include "ops/support.h"

/* Strides of x's elements under `shape` (of equal count), false when no strides express it. Walks both shapes
 * from the last axis: each run of x's axes that lies evenly in memory must be used up by whole axes of the
 * new shape. */
static bool reshape_strides(const tuff_tensor *x, const tuff_shape *shape, int64_t stride[TUFF_MAX_RANK])
{
    memset(stride, 0, TUFF_MAX_RANK * sizeof *stride);
    int to = shape->rank - 1;
    int64_t run = 1, taken = 1; /* elements in the present run of x's axes, and of them under new axes */
    int64_t base = x->shape.rank > 0 ? x->stride[x->shape.rank - 1] : 1;
    for (int from = x->shape.rank - 1; from >= 0; from--) {
        if (run == 1) base = x->stride[from];
        run *= x->shape.dim[from];
        bool ends = from == 0 || (x->shape.dim[from - 1] != 1 && x->stride[from - 1] != run * base);
        if (!ends || run == 1) continue;
        while (to >= 0 && (taken < run || shape->dim[to] == 1)) {
            stride[to] = taken * base;
            taken *= shape->dim[to];
            to--;
        }
        if (taken != run) return false;
        run = taken = 1;
    }
    for (; to >= 0; to--)
        stride[to] = base; /* only axes of length 1 are left */
    return true;
}

static void set_view(tuff_node *node, const tuff_shape *shape)
{
    tuff_tensor *x = node->in[0], *y = node->out[0];
    y->shape = *shape;
    y->dtype = x->dtype;
    y->storage = x->storage;
    y->offset = x->offset;
    memset(y->stride, 0, sizeof y->stride);
}

/* The last word of a shape rule: whether the view is one of whole blocks. */
static tuff_status expect_whole_blocks(const tuff_node *node)
{
    const tuff_tensor *x = node->in[0], *y = node->out[0];
    if (tuff_tensor_whole_blocks(y)) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "%s: %s of %s would become %s, which cuts its blocks of %u elements; copy it as f32 first",
        tuff_op_name(node->op), tuff_shape_text(&x->shape), tuff_dtype_name(x->dtype),
        tuff_shape_text(&y->shape), tuff_dtype_block(x->dtype));
}

static void copy_reference(const tuff_node *node, const double *const *in, double *const *out)
{
    memcpy(out[0], in[0], (size_t)tuff_tensor_count(node->out[0]) * sizeof(double));
}

/* ---- reshape ---- */

static tuff_status infer_reshape(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *x = node->in[0];
    const tuff_shape *shape = &node->attrs.view.shape;
    if (tuff_shape_count(shape) != tuff_tensor_count(x))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "reshape: %s and %s differ in their number of elements",
                         tuff_shape_text(&x->shape), tuff_shape_text(shape));
    int64_t stride[TUFF_MAX_RANK];
    if (!reshape_strides(x, shape, stride))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "reshape: the strides of %s cannot be expressed under %s; copy it first",
                         tuff_shape_text(&x->shape), tuff_shape_text(shape));
    set_view(node, shape);
    memcpy(node->out[0]->stride, stride, sizeof stride);
    return expect_whole_blocks(node);
}

static void backward_reshape(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                             const bool *needs, tuff_tensor **d_in)
{
    const tuff_shape *shape = &node->in[0]->shape;
    if (needs[0]) d_in[0] = tuff_reshape(g, d_out[0], shape->rank, shape->dim);
}

const tuff_op_info tuff_op_reshape = {
    .name = "reshape",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .is_view = true,
    .infer = infer_reshape,
    .backward = backward_reshape,
    .reference = copy_reference,
};

/* Replaces a single -1 in dims so that the counts agree. False: the graph has failed. */
static bool resolve_dims(tuff_graph *g, const tuff_tensor *x, int rank, const int64_t *dims, tuff_shape *out)
{
    int64_t resolved[TUFF_MAX_RANK] = {1, 1, 1, 1}, known = 1;
    int open = -1;
    if (rank < 0 || rank > TUFF_MAX_RANK || dims == NULL)
        return tuff_shape_given(g, "reshape", rank, dims, out);
    for (int i = 0; i < rank; i++) {
        resolved[i] = dims[i];
        if (dims[i] == -1 && open < 0) {
            open = i;
            resolved[i] = 1;
        }
    }
    if (!tuff_shape_given(g, "reshape", rank, resolved, out)) return false;
    if (open < 0) return true;
    known = tuff_shape_count(out);
    if (tuff_tensor_count(x) % known != 0) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                        "reshape: the elements of %s do not divide by the %lld given for dims other than -1",
                        tuff_shape_text(&x->shape), (long long)known);
        return false;
    }
    out->dim[open] = tuff_tensor_count(x) / known;
    return true;
}

tuff_tensor *tuff_reshape(tuff_graph *g, tuff_tensor *x, int rank, const int64_t *dims)
{
    tuff_attrs attrs = {0};
    if (x != NULL) {
        int64_t stride[TUFF_MAX_RANK];
        if (!resolve_dims(g, x, rank, dims, &attrs.view.shape)) return NULL;
        if (tuff_shape_count(&attrs.view.shape) == tuff_tensor_count(x) &&
            !reshape_strides(x, &attrs.view.shape, stride))
            x = tuff_copy(g, x, x->dtype);
    }
    return tuff_graph_node(g, TUFF_OP_reshape, &x, 1, &attrs);
}

tuff_tensor *tuff_detach(tuff_graph *g, tuff_tensor *x)
{
    tuff_tensor *y = x ? tuff_reshape(g, x, x->shape.rank, x->shape.dim) : tuff_reshape(g, x, 0, NULL);
    if (y) y->detached = true;
    return y;
}

/* ---- permute ---- */

static tuff_status infer_permute(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *x = node->in[0];
    const int *axes = node->attrs.permute.axes;
    tuff_shape shape = x->shape;
    unsigned seen = 0;
    for (int i = 0; i < shape.rank; i++) {
        if (axes[i] < 0 || axes[i] >= shape.rank || (seen & 1u << axes[i]) != 0)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "permute: axes of %s must name each of 0 to %d once, but entry %d is %d",
                             tuff_shape_text(&shape), shape.rank - 1, i, axes[i]);
        seen |= 1u << axes[i];
        shape.dim[i] = x->shape.dim[axes[i]];
    }
    set_view(node, &shape);
    for (int i = 0; i < shape.rank; i++)
        node->out[0]->stride[i] = x->stride[axes[i]];
    return expect_whole_blocks(node);
}

static void backward_permute(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                             const bool *needs, tuff_tensor **d_in)
{
    int inverse[TUFF_MAX_RANK] = {0};
    for (int i = 0; i < node->in[0]->shape.rank; i++)
        inverse[node->attrs.permute.axes[i]] = i;
    if (needs[0]) d_in[0] = tuff_permute(g, d_out[0], inverse);
}

static void reference_permute(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t from[TUFF_MAX_RANK];
    int64_t stride[TUFF_MAX_RANK] = {0};
    const tuff_shape *shape = &node->out[0]->shape;
    tuff_contiguous_strides(&node->in[0]->shape, from);
    for (int i = 0; i < shape->rank; i++)
        stride[i] = from[node->attrs.permute.axes[i]];
    double *y = out[0];
    for (int64_t i = 0; i < shape->dim[0]; i++)
        for (int64_t j = 0; j < shape->dim[1]; j++)
            for (int64_t k = 0; k < shape->dim[2]; k++)
                for (int64_t l = 0; l < shape->dim[3]; l++)
                    *y++ = in[0][i * stride[0] + j * stride[1] + k * stride[2] + l * stride[3]];
}

const tuff_op_info tuff_op_permute = {
    .name = "permute",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .is_view = true,
    .infer = infer_permute,
    .backward = backward_permute,
    .reference = reference_permute,
};

tuff_tensor *tuff_permute(tuff_graph *g, tuff_tensor *x, const int *axes)
{
    tuff_attrs attrs = {0};
    if (x != NULL && axes == NULL && x->shape.rank > 0)
        return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "permute: axes is NULL, and the rank is %d",
                               x->shape.rank);
    for (int i = 0; x != NULL && i < x->shape.rank; i++)
        attrs.permute.axes[i] = axes[i];
    return tuff_graph_node(g, TUFF_OP_permute, &x, 1, &attrs);
}

tuff_tensor *tuff_transpose(tuff_graph *g, tuff_tensor *x)
{
    int axes[TUFF_MAX_RANK] = {0, 1, 2, 3};
    if (x != NULL) {
        int rank = x->shape.rank;
        if (rank < 2)
            return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "transpose: needs two axes, but the shape is %s",
                                   tuff_shape_text(&x->shape));
        axes[rank - 1] = rank - 2;
        axes[rank - 2] = rank - 1;
    }
    return tuff_permute(g, x, axes);
}

/* ---- slice ---- */

static tuff_status infer_slice(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *x = node->in[0];
    int axis = node->attrs.slice.axis;
    int64_t start = node->attrs.slice.start, length = node->attrs.slice.length;
    tuff_shape shape = x->shape;
    if (axis < 0 || axis >= shape.rank)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "slice: axis %d is out of range for shape %s", axis,
                         tuff_shape_text(&shape));
    if (start < 0 || length < 1 || start > shape.dim[axis] - length)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "slice: %lld elements from %lld do not lie within axis %d of shape %s",
                         (long long)length, (long long)start, axis, tuff_shape_text(&shape));
    shape.dim[axis] = length;
    set_view(node, &shape);
    memcpy(node->out[0]->stride, x->stride, sizeof x->stride);
    node->out[0]->offset = x->offset + start * x->stride[axis];
    return expect_whole_blocks(node);
}

static void backward_slice(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                           tuff_tensor **d_in)
{
    int axis = node->attrs.slice.axis;
    if (needs[0])
        d_in[0] = tuff_pad(g, d_out[0], axis, node->attrs.slice.start, node->in[0]->shape.dim[axis]);
}

/* A slice of one axis is a slice of the middle one of [outer, axis, inner]. */
static void reference_slice(const tuff_node *node, const double *const *in, double *const *out)
{
    const tuff_shape *shape = &node->in[0]->shape;
    int axis = node->attrs.slice.axis;
    int64_t outer = 1, inner = 1, length = node->attrs.slice.length;
    for (int i = 0; i < shape->rank; i++)
        *(i < axis ? &outer : &inner) *= i == axis ? 1 : shape->dim[i];
    for (int64_t o = 0; o < outer; o++)
        memcpy(out[0] + o * length * inner, in[0] + (o * shape->dim[axis] + node->attrs.slice.start) * inner,
               (size_t)(length * inner) * sizeof(double));
}

const tuff_op_info tuff_op_slice = {
    .name = "slice",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .is_view = true,
    .infer = infer_slice,
    .backward = backward_slice,
    .reference = reference_slice,
};

tuff_tensor *tuff_slice(tuff_graph *g, tuff_tensor *x, int axis, int64_t start, int64_t length)
{
    if (x != NULL && !tuff_axis_given(g, "slice", x, &axis)) return NULL;
    tuff_attrs attrs = {.slice = {.axis = axis, .start = start, .length = length}};
    return tuff_graph_node(g, TUFF_OP_slice, &x, 1, &attrs);
}

/* ---- expand ---- */

static tuff_status infer_expand(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *x = node->in[0];
    const tuff_shape *shape = &node->attrs.view.shape;
    tuff_shape fitted;
    if (!tuff_shape_broadcast(&x->shape, shape, &fitted) || !tuff_shape_equal(&fitted, shape))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "expand: %s cannot be repeated up to %s; only axes of length 1 and new leading axes repeat",
            tuff_shape_text(&x->shape), tuff_shape_text(shape));
    set_view(node, shape);
    int lead = shape->rank - x->shape.rank;
    for (int i = lead; i < shape->rank; i++)
        node->out[0]->stride[i] = x->shape.dim[i - lead] == shape->dim[i] ? x->stride[i - lead] : 0;
    return expect_whole_blocks(node);
}

static void backward_expand(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                            const bool *needs, tuff_tensor **d_in)
{
    (void)g;
    (void)node;
    if (needs[0]) d_in[0] = d_out[0]; /* the caller sums a gradient of the broadcast shape */
}

static void reference_expand(const tuff_node *node, const double *const *in, double *const *out)
{
    const tuff_shape *from = &node->in[0]->shape, *to = &node->out[0]->shape;
    int64_t dense[TUFF_MAX_RANK], stride[TUFF_MAX_RANK] = {0};
    tuff_contiguous_strides(from, dense);
    int lead = to->rank - from->rank;
    for (int i = lead; i < to->rank; i++)
        stride[i] = from->dim[i - lead] == 1 ? 0 : dense[i - lead];
    double *y = out[0];
    for (int64_t i = 0; i < to->dim[0]; i++)
        for (int64_t j = 0; j < to->dim[1]; j++)
            for (int64_t k = 0; k < to->dim[2]; k++)
                for (int64_t l = 0; l < to->dim[3]; l++)
                    *y++ = in[0][i * stride[0] + j * stride[1] + k * stride[2] + l * stride[3]];
}

const tuff_op_info tuff_op_expand = {
    .name = "expand",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .is_view = true,
    .infer = infer_expand,
    .backward = backward_expand,
    .reference = reference_expand,
};

tuff_tensor *tuff_expand(tuff_graph *g, tuff_tensor *x, int rank, const int64_t *dims)
{
    tuff_attrs attrs = {0};
    if (x != NULL && !tuff_shape_given(g, "expand", rank, dims, &attrs.view.shape)) return NULL;
    return tuff_graph_node(g, TUFF_OP_expand, &x, 1, &attrs);
}
