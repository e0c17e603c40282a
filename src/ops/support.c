#include "ops/support.h"

#include "backend/cpu/kernels.h"

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
    if (dims == NULL && rank > 0) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "%s: dims is NULL, and the rank is %d", builder, rank);
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

tuff_loop tuff_loop_over(const tuff_tensor *y, const tuff_tensor *a, const tuff_tensor *b)
{
    tuff_dims4 d[TUFF_LOOP_OPERANDS] = {tuff_tensor_dims4(y), tuff_tensor_broadcast4(a, &y->shape)};
    if (b != NULL) d[2] = tuff_tensor_broadcast4(b, &y->shape);
    const tuff_dims4 *operands[TUFF_LOOP_OPERANDS] = {&d[0], &d[1], &d[2]};
    return tuff_loop_of(operands, b != NULL ? 3 : 2);
}

enum { RUN = 8192 };

typedef struct run_context {
    const tuff_loop *loop;
    tuff_run_fn fn;
    const void *context;
    int64_t pieces; /* of one innermost row */
} run_context;

static void run_range(int64_t begin, int64_t end, void *context)
{
    const run_context *c = context;
    const tuff_loop *loop = c->loop;
    for (int64_t item = begin; item < end; item++) {
        int64_t piece = item % c->pieces, row = item / c->pieces;
        int64_t i2 = row % loop->dim[2], i1 = row / loop->dim[2] % loop->dim[1],
                i0 = row / loop->dim[2] / loop->dim[1];
        int64_t left = loop->dim[3] - piece * RUN;
        tuff_run run = {.n = left < RUN ? left : RUN};
        for (int k = 0; k < TUFF_LOOP_OPERANDS; k++) {
            const int64_t *stride = loop->stride[k];
            run.at[k] = i0 * stride[0] + i1 * stride[1] + i2 * stride[2] + piece * RUN * stride[3];
            run.stride[k] = stride[3];
        }
        c->fn(c->context, &run);
    }
}

void tuff_loop_runs(const tuff_loop *loop, tuff_run_fn fn, const void *context)
{
    run_context c = {loop, fn, context, (loop->dim[3] + RUN - 1) / RUN};
    int64_t rows = loop->dim[0] * loop->dim[1] * loop->dim[2];
    tuff_parallel(rows * c.pieces, tuff_grain(loop->dim[3] < RUN ? loop->dim[3] : RUN), run_range, &c);
}
