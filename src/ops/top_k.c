/* The largest element of each row, and the k largest: their values and places. */
#include "ops/top_k.h"

#include <math.h>
#include <string.h>

#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/top_k.h"

static tuff_status expect_rows(const tuff_node *node)
{
    const tuff_shape *x = &node->in[0]->shape;
    TUFF_TRY(tuff_expect_dense(node, 0, "x", NULL));
    if (x->rank == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: needs a last axis, but the operand is a scalar",
                         tuff_op_name(node->op));
    if (x->dim[x->rank - 1] > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: the last axis of %s is longer than %d",
                         tuff_op_name(node->op), tuff_shape_text(x), INT32_MAX);
    return TUFF_OK;
}

/* Whether x goes before y: NaN before all numbers. */
static bool before(double x, double y)
{
    return isnan(y) ? false : isnan(x) || x > y;
}

/* ---- argmax ---- */

static tuff_status infer_argmax(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_rows(node));
    tuff_shape y = tuff_shape_of(node->in[0]->shape.rank - 1, node->in[0]->shape.dim);
    tuff_set_out(node, 0, &y, TUFF_I32);
    return TUFF_OK;
}

static void reference_argmax(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_top_k_width(node), rows = tuff_top_k_rows(node);
    for (int64_t r = 0; r < rows; r++) {
        int64_t best = 0;
        for (int64_t i = 1; i < n; i++)
            if (before(in[0][r * n + i], in[0][r * n + best])) best = i;
        out[0][r] = (double)best;
    }
}

static const tuff_kernel_row argmax_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_argmax}};

const tuff_op_info tuff_op_argmax = {
    .name = "argmax",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = infer_argmax,
    .reference = reference_argmax,
    .cpu = tuff_argmax_host,
    .cost = tuff_cost_elementwise,
    .rows = argmax_rows,
    .n_rows = 1,
    .batch_free = TUFF_BATCH_FREE_ROWS | TUFF_BATCH_FREE_HOST,
};

tuff_tensor *tuff_argmax(tuff_graph *g, tuff_tensor *x)
{
    x = tuff_dense(g, x);
    return tuff_graph_node(g, TUFF_OP_argmax, &x, 1, NULL);
}

/* ---- top_k: values and places ---- */

static tuff_status infer_top_k(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_rows(node));
    tuff_shape y = node->in[0]->shape;
    int64_t k = node->attrs.top_k.k;
    if (k < 1 || k > TUFF_TOP_K_MOST || k > y.dim[y.rank - 1])
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "top_k: k must be 1 to %d and no more than the last axis of %s has, but is %lld",
                         TUFF_TOP_K_MOST, tuff_shape_text(&y), (long long)k);
    y.dim[y.rank - 1] = k;
    tuff_set_out(node, 0, &y, TUFF_F32);
    tuff_set_out(node, 1, &y, TUFF_I32);
    return TUFF_OK;
}

/* Inserts each element into the sorted list of the largest so far. */
static void reference_top_k(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_top_k_width(node), rows = tuff_top_k_rows(node), k = node->attrs.top_k.k;
    for (int64_t r = 0; r < rows; r++) {
        double *values = out[0] + r * k, *places = out[1] + r * k;
        for (int64_t i = 0; i < n; i++) {
            double x = in[0][r * n + i];
            int64_t at = i < k ? i : k;
            for (; at > 0 && before(x, values[at - 1]); at--) {
                if (at == k) continue;
                values[at] = values[at - 1];
                places[at] = places[at - 1];
            }
            if (at == k) continue;
            values[at] = x;
            places[at] = (double)i;
        }
    }
}

static tuff_cost cost_top_k(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    /* each digit of the keys is counted; places among the k are found by comparing all with all */
    cost.flops = 8 * (double)tuff_tensor_count(node->in[0]) +
                 (double)tuff_tensor_count(node->out[0]) * (double)node->attrs.top_k.k;
    return cost;
}

static void backward_top_k(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                           tuff_tensor **d_in)
{
    tuff_attrs attrs = {.top_k = {.k = node->attrs.top_k.k, .width = tuff_top_k_width(node)}};
    tuff_tensor *in[2] = {tuff_dense(g, d_out[0]), node->out[1]};
    if (needs[0]) d_in[0] = tuff_graph_node(g, TUFF_OP_top_k_backward, in, 2, &attrs);
}

static const tuff_kernel_row top_k_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_top_k}};

const tuff_op_info tuff_op_top_k = {
    .name = "top_k",
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .infer = infer_top_k,
    .backward = backward_top_k,
    .reference = reference_top_k,
    .cpu = tuff_top_k_host,
    .cpu_scratch = tuff_top_k_scratch,
    .cost = cost_top_k,
    .rows = top_k_rows,
    .n_rows = 1,
    .batch_free = TUFF_BATCH_FREE_ROWS | TUFF_BATCH_FREE_HOST,
};

void tuff_top_k(tuff_graph *g, tuff_tensor *x, int64_t k, tuff_tensor **out_values, tuff_tensor **out_indices)
{
    tuff_attrs attrs = {.top_k = {.k = k}};
    x = tuff_dense(g, x);
    tuff_tensor *values = tuff_graph_node(g, TUFF_OP_top_k, &x, 1, &attrs);
    if (out_values) *out_values = values;
    if (out_indices) *out_indices = tuff_output_of(values, 1);
}

/* ---- top_k_backward: each value's gradient at its place ---- */

static tuff_status infer_top_k_backward(tuff_graph *g, tuff_node *node)
{
    (void)g;
    tuff_shape x = node->in[0]->shape;
    TUFF_TRY(tuff_expect_dense(node, 0, "the values' gradient", NULL));
    TUFF_TRY(tuff_expect_dtype(node, 1, "their places", TUFF_I32));
    TUFF_TRY(tuff_expect_shape(node, 1, "their places", &x));
    TUFF_TRY(tuff_expect_contiguous(node, 1, "their places"));
    x.dim[x.rank - 1] = node->attrs.top_k.width;
    tuff_set_out(node, 0, &x, TUFF_F32);
    return TUFF_OK;
}

static void reference_top_k_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t k = node->attrs.top_k.k, n = node->attrs.top_k.width, count = tuff_tensor_count(node->in[0]);
    memset(out[0], 0, (size_t)(count / k * n) * sizeof(double));
    for (int64_t i = 0; i < count; i++)
        out[0][i / k * n + (int64_t)in[1][i]] = in[0][i];
}

static const tuff_kernel_row backward_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_top_k_backward}};

const tuff_op_info tuff_op_top_k_backward = {
    .name = "top_k_backward",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = infer_top_k_backward,
    .reference = reference_top_k_backward,
    .cpu = tuff_top_k_backward_host,
    .cost = tuff_cost_elementwise,
    .rows = backward_rows,
    .n_rows = 1,
};
