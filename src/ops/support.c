#include "ops/support.h"

tuff_status tuff_expect_dtype(const tuff_node *node, int i, const char *what, tuff_dtype dtype)
{
    if (node->in[i]->dtype == dtype) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s must be %s, but is %s", tuff_op_name(node->op), what,
                     tuff_dtype_name(dtype), tuff_dtype_name(node->in[i]->dtype));
}

tuff_status tuff_expect_shape(const tuff_node *node, int i, const char *what, const tuff_shape *shape)
{
    if (tuff_shape_equal(&node->in[i]->shape, shape)) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s must have shape %s, but is %s", tuff_op_name(node->op),
                     what, tuff_shape_text(shape), tuff_shape_text(&node->in[i]->shape));
}

tuff_status tuff_expect_contiguous(const tuff_node *node, int i, const char *what)
{
    if (tuff_tensor_contiguous(node->in[i])) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "%s: %s, of shape %s, must be contiguous, but is a strided view; copy it first",
                     tuff_op_name(node->op), what, tuff_shape_text(&node->in[i]->shape));
}

tuff_status tuff_expect_dense(const tuff_node *node, int i, const char *what, const tuff_shape *shape)
{
    TUFF_TRY(tuff_expect_dtype(node, i, what, TUFF_F32));
    if (shape != NULL) TUFF_TRY(tuff_expect_shape(node, i, what, shape));
    return tuff_expect_contiguous(node, i, what);
}

void tuff_set_out(tuff_node *node, int o, const tuff_shape *shape, tuff_dtype dtype)
{
    node->out[o]->shape = *shape;
    node->out[o]->dtype = dtype;
}

tuff_tensor *tuff_dense(tuff_graph *g, tuff_tensor *x)
{
    return x == NULL || tuff_tensor_contiguous(x) ? x : tuff_copy(g, x, x->dtype);
}

bool tuff_shape_given(tuff_graph *g, const char *builder, int rank, const int64_t *dims, tuff_shape *out)
{
    if (rank < 0 || rank > TUFF_MAX_RANK) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "%s: rank must be 0 to %d, but is %d", builder,
                        TUFF_MAX_RANK, rank);
        return false;
    }
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 1 || __builtin_mul_overflow(count, dims[i], &count)) {
            tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                            "%s: dim %d is %lld; dims must be at least 1 and their product fit 63 bits",
                            builder, i, (long long)dims[i]);
            return false;
        }
    }
    *out = tuff_shape_of(rank, dims);
    return true;
}

bool tuff_axis_given(tuff_graph *g, const char *builder, const tuff_tensor *x, int *axis)
{
    int rank = x->shape.rank;
    if (*axis < -rank || *axis >= rank) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "%s: axis %d is out of range for shape %s", builder, *axis,
                        tuff_shape_text(&x->shape));
        return false;
    }
    if (*axis < 0) *axis += rank;
    return true;
}

tuff_tensor *tuff_output_of(tuff_tensor *first, int o)
{
    return first == NULL ? NULL : first->producer->out[o];
}

tuff_loop tuff_loop_of(const tuff_dims4 *const *operands, int n)
{
    tuff_loop loop = {.dim = {1, 1, 1, 1}, .count = 1};
    int at = 4; /* axes at..3 of the loop are in use */
    for (int axis = 3; axis >= 0; axis--) {
        int64_t dim = operands[0]->dim[axis];
        if (dim == 1) continue;
        bool merge = at < 4;
        for (int k = 0; merge && k < n; k++)
            merge = operands[k]->stride[axis] == loop.stride[k][at] * loop.dim[at];
        if (!merge) {
            at--;
            for (int k = 0; k < n; k++)
                loop.stride[k][at] = operands[k]->stride[axis];
        }
        loop.dim[at] *= dim;
        loop.count *= dim;
    }
    return loop;
}
