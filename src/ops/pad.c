/* A tensor placed into zeros along one axis: the transpose of slice. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/pad.h"

/* x as [outer, length, inner] and the result as [outer, total, inner], in elements. */
typedef struct pad_shape {
    int64_t outer, length, total, inner, start;
} pad_shape;

static pad_shape pad_shape_of(const tuff_node *node)
{
    const tuff_shape *shape = &node->in[0]->shape;
    int axis = node->attrs.slice.axis;
    pad_shape p = {1, shape->dim[axis], node->attrs.slice.length, 1, node->attrs.slice.start};
    for (int i = 0; i < axis; i++)
        p.outer *= shape->dim[i];
    for (int i = axis + 1; i < shape->rank; i++)
        p.inner *= shape->dim[i];
    return p;
}

static tuff_status infer_pad(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *x = node->in[0];
    int axis = node->attrs.slice.axis;
    int64_t start = node->attrs.slice.start, total = node->attrs.slice.length;
    TUFF_TRY(tuff_expect_dense(node, 0, "x", NULL));
    if (axis < 0 || axis >= x->shape.rank)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "pad: axis %d is out of range for shape %s", axis,
                         tuff_shape_text(&x->shape));
    if (start < 0 || total < 0 || start > total - x->shape.dim[axis])
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "pad: axis %d of shape %s does not fit at %lld within length %lld", axis,
                         tuff_shape_text(&x->shape), (long long)start, (long long)total);
    tuff_shape shape = x->shape;
    shape.dim[axis] = total;
    tuff_set_out(node, 0, &shape, TUFF_F32);
    return TUFF_OK;
}

static void backward_pad(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                         tuff_tensor **d_in)
{
    int axis = node->attrs.slice.axis;
    if (needs[0])
        d_in[0] = tuff_slice(g, d_out[0], axis, node->attrs.slice.start, node->in[0]->shape.dim[axis]);
}

static void reference_pad(const tuff_node *node, const double *const *in, double *const *out)
{
    pad_shape p = pad_shape_of(node);
    for (int64_t o = 0; o < p.outer; o++)
        for (int64_t i = 0; i < p.total; i++)
            for (int64_t k = 0; k < p.inner; k++) {
                bool inside = i >= p.start && i < p.start + p.length;
                out[0][(o * p.total + i) * p.inner + k] =
                    inside ? in[0][(o * p.length + i - p.start) * p.inner + k] : 0;
            }
}

typedef struct pad_context {
    const float *x;
    float *y;
    pad_shape p;
} pad_context;

static void pad_range(int64_t begin, int64_t end, void *context)
{
    const pad_context *c = context;
    const pad_shape *p = &c->p;
    size_t before = (size_t)(p->start * p->inner), within = (size_t)(p->length * p->inner);
    size_t row = (size_t)(p->total * p->inner);
    for (int64_t o = begin; o < end; o++) {
        float *y = c->y + (size_t)o * row;
        memset(y, 0, before * sizeof *y);
        memcpy(y + before, c->x + (size_t)o * within, within * sizeof *y);
        memset(y + before + within, 0, (row - before - within) * sizeof *y);
    }
}

static void cpu_pad(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    pad_context c = {in[0], out[0], pad_shape_of(node)};
    tuff_parallel(c.p.outer, tuff_grain(c.p.total * c.p.inner), pad_range, &c);
}

static void launch_pad(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    pad_shape p = pad_shape_of(node);
    tuff_pad_args *args = TUFF_LAUNCH(launch, pad, tuff_pad_args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->before = (uint32_t)(p.start * p.inner);
    args->within = (uint32_t)(p.length * p.inner);
    tuff_launch_tiles(launch, caps, p.outer, p.total * p.inner, args->tile);
}

static const tuff_kernel_row pad_rows[] = {{"plain", 0, tuff_match_32, launch_pad}};

const tuff_op_info tuff_op_pad = {
    .name = "pad",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = infer_pad,
    .backward = backward_pad,
    .reference = reference_pad,
    .cpu = cpu_pad,
    .cost = tuff_cost_elementwise,
    .rows = pad_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_pad(tuff_graph *g, tuff_tensor *x, int axis, int64_t start, int64_t length)
{
    if (x != NULL && !tuff_axis_given(g, "pad", x, &axis)) return NULL;
    x = tuff_dense(g, x);
    tuff_attrs attrs = {.slice = {.axis = axis, .start = start, .length = length}};
    return tuff_graph_node(g, TUFF_OP_pad, &x, 1, &attrs);
}
