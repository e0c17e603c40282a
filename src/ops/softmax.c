/* Softmax over the last axis, and its backward. */
#include <math.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/softmax.h"

static int64_t row_length(const tuff_tensor *x)
{
    return x->shape.dim[x->shape.rank - 1];
}

static int64_t row_count(const tuff_tensor *x)
{
    return tuff_tensor_count(x) / row_length(x);
}

static tuff_status expect_rows(const tuff_node *node)
{
    if (node->in[0]->shape.rank >= 1) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: needs a last axis, but the operand is a scalar",
                     tuff_op_name(node->op));
}

static tuff_cost cost(const tuff_node *node)
{
    tuff_cost c = tuff_cost_elementwise(node);
    c.flops *= 4;
    return c;
}

/* ---- softmax ---- */

static tuff_status infer_softmax(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_rows(node));
    TUFF_TRY(tuff_expect_dense(node, 0, "x", NULL));
    tuff_set_out(node, 0, &node->in[0]->shape, TUFF_F32);
    return TUFF_OK;
}

static void backward_softmax(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                             const bool *needs, tuff_tensor **d_in)
{
    tuff_tensor *in[2] = {node->out[0], tuff_dense(g, d_out[0])};
    if (needs[0]) d_in[0] = tuff_graph_node(g, TUFF_OP_softmax_backward, in, 2, NULL);
}

static void reference_softmax(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = row_length(node->in[0]), rows = row_count(node->in[0]);
    for (int64_t r = 0; r < rows; r++) {
        const double *x = in[0] + r * n;
        double *y = out[0] + r * n, max = -INFINITY, sum = 0;
        for (int64_t i = 0; i < n; i++)
            max = x[i] > max ? x[i] : max;
        for (int64_t i = 0; i < n; i++)
            sum += y[i] = exp(x[i] - max);
        for (int64_t i = 0; i < n; i++)
            y[i] /= sum;
    }
}

typedef struct rows {
    const float *x, *dy;
    float *y;
    int64_t n;
} rows;

TUFF_KERNEL static void softmax_row(const float *x, float *y, int64_t n)
{
    float max = -INFINITY, sum = 0;
#pragma omp simd reduction(max : max)
    for (int64_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        float e = tuff_expf(x[i] - max);
        y[i] = e;
        sum += e;
    }
    float scale = 1 / sum;
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        y[i] *= scale;
}

static void softmax_range(int64_t begin, int64_t end, void *context)
{
    const rows *w = context;
    for (int64_t r = begin; r < end; r++)
        softmax_row(w->x + r * w->n, w->y + r * w->n, w->n);
}

static void cpu_softmax(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    rows w = {.x = in[0], .y = out[0], .n = row_length(node->in[0])};
    tuff_parallel(row_count(node->in[0]), tuff_grain(w.n), softmax_range, &w);
}

static void launch_softmax(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_softmax_args *args = tuff_launch_add(launch, TUFF_SHADER_softmax, sizeof *args);
    tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, 0);
    args->rows = (uint32_t)row_count(node->in[0]);
    args->width = (uint32_t)row_length(node->in[0]);
    args->lanes = tuff_launch_rows(launch, caps, args->rows, args->width);
}

static const tuff_kernel_row softmax_rows[] = {{"softmax", 0, tuff_match_32, launch_softmax}};

const tuff_op_info tuff_op_softmax = {
    .name = "softmax",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .may_alias = {1},
    .infer = infer_softmax,
    .backward = backward_softmax,
    .reference = reference_softmax,
    .cpu = cpu_softmax,
    .cost = cost,
    .rows = softmax_rows,
    .n_rows = 1,
    .batch_free = TUFF_BATCH_FREE_ROWS | TUFF_BATCH_FREE_HOST,
};

tuff_tensor *tuff_softmax(tuff_graph *g, tuff_tensor *x)
{
    x = tuff_dense(g, x);
    return tuff_graph_node(g, TUFF_OP_softmax, &x, 1, NULL);
}

/* ---- softmax_backward(y, dy): dx = y * (dy - sum(y * dy)) ---- */

static tuff_status infer_softmax_backward(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_rows(node));
    TUFF_TRY(tuff_expect_dense(node, 0, "y", NULL));
    TUFF_TRY(tuff_expect_dense(node, 1, "dy", &node->in[0]->shape));
    tuff_set_out(node, 0, &node->in[0]->shape, TUFF_F32);
    return TUFF_OK;
}

static void reference_softmax_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = row_length(node->in[0]), count = row_count(node->in[0]);
    for (int64_t r = 0; r < count; r++) {
        const double *y = in[0] + r * n, *dy = in[1] + r * n;
        double dot = 0;
        for (int64_t i = 0; i < n; i++)
            dot += y[i] * dy[i];
        for (int64_t i = 0; i < n; i++)
            out[0][r * n + i] = y[i] * (dy[i] - dot);
    }
}

TUFF_KERNEL static void backward_row(const float *y, const float *dy, float *dx, int64_t n)
{
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < n; i++)
        dot += y[i] * dy[i];
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        dx[i] = y[i] * (dy[i] - dot);
}

static void backward_range(int64_t begin, int64_t end, void *context)
{
    const rows *w = context;
    for (int64_t r = begin; r < end; r++)
        backward_row(w->x + r * w->n, w->dy + r * w->n, w->y + r * w->n, w->n);
}

static void cpu_softmax_backward(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch)
{
    (void)scratch;
    rows w = {.x = in[0], .dy = in[1], .y = out[0], .n = row_length(node->in[0])};
    tuff_parallel(row_count(node->in[0]), tuff_grain(w.n), backward_range, &w);
}

static void launch_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    tuff_softmax_backward_args *args = tuff_launch_add(launch, TUFF_SHADER_softmax_backward, sizeof *args);
    tuff_launch_address(launch, &args->y, TUFF_OPERAND_IN, 0, 0);
    tuff_launch_address(launch, &args->dy, TUFF_OPERAND_IN, 1, 0);
    tuff_launch_address(launch, &args->dx, TUFF_OPERAND_OUT, 0, 0);
    args->rows = (uint32_t)row_count(node->in[0]);
    args->width = (uint32_t)row_length(node->in[0]);
    args->lanes = tuff_launch_rows(launch, caps, args->rows, args->width);
}

static const tuff_kernel_row backward_rows[] = {{"softmax_backward", 0, tuff_match_32, launch_backward}};

const tuff_op_info tuff_op_softmax_backward = {
    .name = "softmax_backward",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .may_alias = {1 | 2},
    .infer = infer_softmax_backward,
    .reference = reference_softmax_backward,
    .cpu = cpu_softmax_backward,
    .cost = cost,
    .rows = backward_rows,
    .n_rows = 1,
};
