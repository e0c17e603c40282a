/* Tensors side by side along one axis. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/concat.h"

/* Of input i: [outer, length * inner] elements go into rows of `row` elements. */
static int64_t outer_of(const tuff_node *node)
{
    int64_t outer = 1;
    for (int i = 0; i < node->attrs.concat.axis; i++)
        outer *= node->out[0]->shape.dim[i];
    return outer;
}

static int64_t width_of(const tuff_node *node, const tuff_tensor *x)
{
    int64_t width = 1;
    for (int i = node->attrs.concat.axis; i < x->shape.rank; i++)
        width *= x->shape.dim[i];
    return width;
}

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_tensor *first = node->in[0];
    int axis = node->attrs.concat.axis;
    if (tuff_dtype_size(first->dtype) != 4)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "concat: tensors must be f32, i32 or u32, but are %s",
                         tuff_dtype_name(first->dtype));
    tuff_shape shape = first->shape;
    for (int i = 0; i < node->n_in; i++) {
        const tuff_shape *x = &node->in[i]->shape;
        TUFF_TRY(tuff_expect_dtype(node, i, "a tensor beside others", first->dtype));
        TUFF_TRY(tuff_expect_contiguous(node, i, "a tensor"));
        tuff_shape like = first->shape;
        if (x->rank == like.rank) like.dim[axis] = x->dim[axis];
        if (!tuff_shape_equal(x, &like))
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "concat: tensor %d is %s and tensor 0 %s, but they may differ along axis %d only", i,
                tuff_shape_text(x), tuff_shape_text(&first->shape), axis);
        if (i > 0) shape.dim[axis] += x->dim[axis];
    }
    tuff_set_out(node, 0, &shape, first->dtype);
    return TUFF_OK;
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    int axis = node->attrs.concat.axis;
    int64_t start = 0;
    for (int i = 0; i < node->n_in; i++) {
        int64_t length = node->in[i]->shape.dim[axis];
        if (needs[i]) d_in[i] = tuff_slice(g, d_out[0], axis, start, length);
        start += length;
    }
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t outer = outer_of(node), row = width_of(node, node->out[0]), start = 0;
    for (int i = 0; i < node->n_in; i++) {
        int64_t width = width_of(node, node->in[i]);
        for (int64_t o = 0; o < outer; o++)
            for (int64_t k = 0; k < width; k++)
                out[0][o * row + start + k] = in[i][o * width + k];
        start += width;
    }
}

typedef struct task {
    const tuff_node *node;
    const void *const *in;
    float *y;
    int64_t row;
} task;

static void copy_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    int64_t start = 0;
    for (int i = 0; i < w->node->n_in; i++) {
        int64_t width = width_of(w->node, w->node->in[i]);
        const float *x = w->in[i];
        for (int64_t o = begin; o < end; o++)
            memcpy(w->y + o * w->row + start, x + o * width, (size_t)width * sizeof *x);
        start += width;
    }
}

static void cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    task w = {node, in, out[0], width_of(node, node->out[0])};
    tuff_parallel(outer_of(node), tuff_grain(w.row), copy_range, &w);
}

/* One dispatch has up to TUFF_CONCAT_MOST inputs. */
static void launch(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t row = width_of(node, node->out[0]), first = 0;
    for (int from = 0; from < node->n_in; from += TUFF_CONCAT_MOST) {
        int n = node->n_in - from < TUFF_CONCAT_MOST ? node->n_in - from : TUFF_CONCAT_MOST;
        tuff_concat_args *args = TUFF_LAUNCH(launch, concat, tuff_concat_args);
        uint64_t *const x[TUFF_CONCAT_MOST] = {&args->x0, &args->x1, &args->x2, &args->x3};
        int64_t end = 0;
        for (int i = 0; i < TUFF_CONCAT_MOST; i++) {
            int input = from + (i < n ? i : n - 1); /* what no column is of is never read */
            if (i < n) end += width_of(node, node->in[input]);
            tuff_launch_address(launch, x[i], TUFF_OPERAND_IN, input, 0);
            args->end[i] = (uint32_t)end;
        }
        tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
        args->first = (uint32_t)first;
        args->row = (uint32_t)row;
        tuff_launch_tiles(launch, caps, outer_of(node), end, args->tile);
        first += end;
    }
}

static const tuff_kernel_row concat_rows[] = {{"plain", 0, tuff_match_32, launch}};

const tuff_op_info tuff_op_concat = {
    .name = "concat",
    .min_in = 1,
    .max_in = TUFF_VARIADIC,
    .n_out = 1,
    .infer = infer,
    .backward = backward,
    .reference = reference,
    .cpu = cpu,
    .cost = tuff_cost_elementwise,
    .rows = concat_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_concat(tuff_graph *g, tuff_tensor *const *xs, size_t n, int axis)
{
    if (!g || !xs || n == 0 || n >= TUFF_VARIADIC)
        return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                               "concat: needs at least one tensor and less than %d, but got %zu",
                               TUFF_VARIADIC, xs ? n : 0);
    tuff_attrs attrs = {.concat = {.axis = axis}};
    if (xs[0] != NULL && !tuff_axis_given(g, "concat", xs[0], &attrs.concat.axis)) return NULL;
    tuff_tensor **in = tuff_arena_array(&g->arena, n, sizeof *in);
    if (in == NULL)
        return tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of memory for the tensors of a concat");
    for (size_t i = 0; i < n; i++)
        in[i] = tuff_dense(g, xs[i]);
    return tuff_graph_node(g, TUFF_OP_concat, in, (int)n, &attrs);
}
