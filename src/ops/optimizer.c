/* Gradient accumulation, the global norm and the step counter. */
#include "ops/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "ops/geometry.h"
#include "ops/support.h"

int64_t tuff_chunks_of(const tuff_node *node, int i)
{
    return (tuff_tensor_count(node->in[i]) + TUFF_OPTIMIZER_CHUNK - 1) / TUFF_OPTIMIZER_CHUNK;
}

int64_t tuff_total_chunks(const tuff_node *node, int first, int stride)
{
    int64_t chunks = 0;
    for (int i = first; i < node->n_in; i += stride)
        chunks += tuff_chunks_of(node, i);
    return chunks;
}

double tuff_clip_of(double norm, double max)
{
    return max > 0 ? fmin(1, max / (norm + 1e-6)) : 1;
}

/* ---- accumulate ---- */

static tuff_status infer_accumulate(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(tuff_expect_dense(node, 0, "the accumulator", NULL));
    return tuff_expect_dense(node, 1, "x", &node->in[0]->shape);
}

static void reference_accumulate(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[0][i] = in[0][i] + in[1][i];
}

static const tuff_kernel_row accumulate_rows[] = {{"plain", 0, NULL, tuff_launch_accumulate}};

const tuff_op_info tuff_op_accumulate = {
    .name = "accumulate",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_place = {1},
    .infer = infer_accumulate,
    .reference = reference_accumulate,
    .cpu = tuff_accumulate_host,
    .cost = tuff_cost_elementwise,
    .rows = accumulate_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_accumulate(tuff_graph *g, tuff_tensor *accumulator, tuff_tensor *x)
{
    return tuff_graph_node(g, TUFF_OP_accumulate, (tuff_tensor *[]){accumulator, tuff_dense(g, x)}, 2, NULL);
}

/* ---- the global norm ---- */

static tuff_status infer_grad_norm(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_shape scalar = {0, {1, 1, 1, 1}};
    for (int i = 0; i < node->n_in; i++)
        TUFF_TRY(tuff_expect_dense(node, i, "a gradient", NULL));
    tuff_set_out(node, 0, &scalar, TUFF_F32);
    return TUFF_OK;
}

static void reference_grad_norm(const tuff_node *node, const double *const *in, double *const *out)
{
    double sum = 0;
    for (int i = 0; i < node->n_in; i++) {
        int64_t n = tuff_tensor_count(node->in[i]);
        for (int64_t k = 0; k < n; k++)
            sum += in[i][k] * in[i][k];
    }
    out[0][0] = sqrt(sum);
}

static tuff_cost cost_grad_norm(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.flops = cost.bytes / 2; /* a product and a sum per element of 4 bytes */
    return cost;
}

static const tuff_kernel_row grad_norm_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_grad_norm}};

const tuff_op_info tuff_op_grad_norm = {
    .name = "grad_norm",
    .min_in = 1,
    .max_in = TUFF_VARIADIC,
    .n_out = 1,
    .infer = infer_grad_norm,
    .reference = reference_grad_norm,
    .cpu = tuff_grad_norm_host,
    .cpu_scratch = tuff_grad_norm_scratch,
    .cost = cost_grad_norm,
    .rows = grad_norm_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_grad_norm(tuff_graph *g, tuff_tensor *const *grads, size_t n)
{
    if (!g || !grads || n == 0 || n >= TUFF_VARIADIC)
        return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                               "grad_norm: needs at least one gradient and less than %d, but got %zu",
                               TUFF_VARIADIC, grads ? n : 0);
    tuff_tensor **in = tuff_arena_array(&g->arena, n, sizeof *in);
    if (in == NULL)
        return tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of memory for the gradients of a norm");
    for (size_t i = 0; i < n; i++)
        in[i] = tuff_dense(g, grads[i]);
    return tuff_graph_node(g, TUFF_OP_grad_norm, in, (int)n, NULL);
}

/* ---- the step counter ---- */

tuff_status tuff_check_adamw(const tuff_node *node)
{
    const tuff_adamw_params *p = &node->attrs.adamw;
    bool betas = p->beta1 >= 0 && p->beta1 < 1 && p->beta2 >= 0 && p->beta2 < 1;
    bool rest = p->eps >= 0 && p->weight_decay >= 0 && p->max_grad_norm >= 0;
    if (betas && rest) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "%s: betas must be at least 0 and less than 1, and eps, weight decay and the largest norm at least 0, "
        "but they are %g, %g, %g, %g, %g",
        tuff_op_name(node->op), p->beta1, p->beta2, p->eps, p->weight_decay, p->max_grad_norm);
}

tuff_status tuff_expect_step(const tuff_node *node, int norm, int state)
{
    const tuff_shape scalar = {0, {1, 1, 1, 1}}, four = {1, {4, 1, 1, 1}};
    TUFF_TRY(tuff_expect_dense(node, norm, "the norm", &scalar));
    return tuff_expect_dense(node, state, "the optimizer's state", &four);
}

static tuff_status infer_optimizer_step(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(tuff_expect_step(node, 1, 0));
    return tuff_check_adamw(node);
}

static void reference_optimizer_step(const tuff_node *node, const double *const *in, double *const *out)
{
    const tuff_adamw_params *p = &node->attrs.adamw;
    memcpy(out[0], in[0], 4 * sizeof(double));
    if (!isfinite(in[1][0])) {
        out[0][1] += 1;
        return;
    }
    out[0][0] += 1;
    out[0][2] = 1 - pow(p->beta1, out[0][0]);
    out[0][3] = 1 - pow(p->beta2, out[0][0]);
}

static const tuff_kernel_row optimizer_step_rows[] = {
    {"plain", 0, tuff_match_32, tuff_launch_optimizer_step}};

const tuff_op_info tuff_op_optimizer_step = {
    .name = "optimizer_step",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .in_place = {1},
    .infer = infer_optimizer_step,
    .reference = reference_optimizer_step,
    .cpu = tuff_optimizer_step_host,
    .cost = tuff_cost_elementwise,
    .rows = optimizer_step_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_optimizer_step(tuff_graph *g, tuff_tensor *state, tuff_tensor *norm,
                                 const tuff_adamw_params *params)
{
    tuff_attrs attrs = {.adamw = TUFF_ADAMW_PARAMS_INIT};
    tuff_status status = TUFF_TAKE(&attrs.adamw, params, TUFF_ADAMW_PARAMS_INIT, max_grad_norm);
    if (status != TUFF_OK) return tuff_graph_fail(g, status, "optimizer_step: %s", tuff_error_message());
    return tuff_graph_node(g, TUFF_OP_optimizer_step, (tuff_tensor *[]){state, norm}, 2, &attrs);
}
