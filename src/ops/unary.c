/* exp, ln, tanh, sigmoid, relu, sqrt, rsqrt, abs and their derivatives. */
#include <math.h>

#include "ops/geometry.h"
#include "ops/sigmoid.h"
#include "ops/support.h"
#include "ops/unary.h"
#include "shaders/args/unary.h"

static tuff_status infer_unary(tuff_graph *g, tuff_node *node)
{
    static const char *const names[] = {"x", "the gradient"};
    (void)g;
    for (int i = 0; i < node->n_in; i++)
        TUFF_TRY(tuff_expect_dense(node, i, names[i], i > 0 ? &node->in[0]->shape : NULL));
    tuff_set_out(node, 0, &node->in[0]->shape, TUFF_F32);
    return TUFF_OK;
}

static tuff_unary kind_of(const tuff_node *node)
{
    switch (node->op == TUFF_OP_unary_backward ? node->attrs.unary_backward.of : node->op) {
    case TUFF_OP_exp:
        return TUFF_UNARY_EXP;
    case TUFF_OP_ln:
        return TUFF_UNARY_LN;
    case TUFF_OP_tanh:
        return TUFF_UNARY_TANH;
    case TUFF_OP_sigmoid:
        return TUFF_UNARY_SIGMOID;
    case TUFF_OP_relu:
        return TUFF_UNARY_RELU;
    case TUFF_OP_sqrt:
        return TUFF_UNARY_SQRT;
    case TUFF_OP_rsqrt:
        return TUFF_UNARY_RSQRT;
    default:
        return TUFF_UNARY_ABS;
    }
}

/* Their gradients are made from the result, which is exact and alive anyhow; the others lose digits so. */
static bool keeps_result(tuff_unary kind)
{
    return kind == TUFF_UNARY_EXP || kind == TUFF_UNARY_SQRT || kind == TUFF_UNARY_RSQRT;
}

/* ---- references ---- */

static double value_of(tuff_unary kind, double x)
{
    switch (kind) {
    case TUFF_UNARY_EXP:
        return exp(x);
    case TUFF_UNARY_LN:
        return log(x);
    case TUFF_UNARY_TANH:
        return tanh(x);
    case TUFF_UNARY_SIGMOID:
        return tuff_sigmoid_reference(x);
    case TUFF_UNARY_RELU:
        return x < 0 ? 0 : x;
    case TUFF_UNARY_SQRT:
        return sqrt(x);
    case TUFF_UNARY_RSQRT:
        return 1 / sqrt(x);
    default:
        return fabs(x);
    }
}

/* The derivative, from x or from the result. */
static double slope_of(tuff_unary kind, double kept)
{
    switch (kind) {
    case TUFF_UNARY_EXP:
        return kept;
    case TUFF_UNARY_LN:
        return 1 / kept;
    case TUFF_UNARY_TANH:
        return 4 * tuff_sigmoid_reference(2 * kept) * tuff_sigmoid_reference(-2 * kept);
    case TUFF_UNARY_SIGMOID:
        return tuff_sigmoid_reference(kept) * tuff_sigmoid_reference(-kept);
    case TUFF_UNARY_RELU:
        return kept != kept ? kept : kept > 0;
    case TUFF_UNARY_SQRT:
        return 0.5 / kept;
    case TUFF_UNARY_RSQRT:
        return -0.5 * kept * kept * kept;
    default:
        return kept != kept ? kept : (kept > 0) - (kept < 0);
    }
}

static void reference_unary(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[0][i] = value_of(kind_of(node), in[0][i]);
}

static void reference_unary_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[0][i] = in[1][i] * slope_of(kind_of(node), in[0][i]);
}

/* ---- backward, kernels ---- */

static void backward_unary(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                           tuff_tensor **d_in)
{
    if (!needs[0]) return;
    tuff_attrs attrs = {.unary_backward = {.of = node->op}};
    tuff_tensor *kept = keeps_result(kind_of(node)) ? node->out[0] : node->in[0];
    d_in[0] = tuff_graph_node(g, TUFF_OP_unary_backward, (tuff_tensor *[]){kept, tuff_dense(g, d_out[0])}, 2,
                              &attrs);
}

static void cpu_unary(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    tuff_unary_host(kind_of(node), tuff_tensor_count(node->out[0]), in[0], out[0]);
}

static void cpu_unary_backward(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    tuff_unary_backward_host(kind_of(node), tuff_tensor_count(node->out[0]), in[0], in[1], out[0]);
}

static void launch_unary(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    bool backward = node->op == TUFF_OP_unary_backward;
    for (int64_t at = 0; at < n; at += TUFF_FLAT_PART) {
        uint64_t bytes = (uint64_t)at * 4;
        tuff_unary_args *args =
            tuff_launch_add(launch, backward ? TUFF_SHADER_unary_backward : TUFF_SHADER_unary, sizeof *args);
        tuff_launch_address(launch, &args->kept, TUFF_OPERAND_IN, 0, bytes);
        if (backward) tuff_launch_address(launch, &args->d, TUFF_OPERAND_IN, 1, bytes);
        tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, bytes);
        args->n = tuff_flat_count(n, at);
        tuff_launch_spec(launch, kind_of(node));
        tuff_launch_flat(launch, caps, args->n);
    }
}

static const tuff_kernel_row unary_rows[] = {{"plain", 0, NULL, launch_unary}};

static tuff_cost cost_unary(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.flops *= 12;
    return cost;
}

#define UNARY(op)                                             \
    const tuff_op_info tuff_op_##op = {                       \
        .name = #op,                                          \
        .min_in = 1,                                          \
        .max_in = 1,                                          \
        .n_out = 1,                                           \
        .may_alias = {1},                                     \
        .infer = infer_unary,                                 \
        .backward = backward_unary,                           \
        .reference = reference_unary,                         \
        .cpu = cpu_unary,                                     \
        .cost = cost_unary,                                   \
        .rows = unary_rows,                                   \
        .n_rows = 1,                                          \
        .batch_free = TUFF_BATCH_FREE_ROWS,                   \
    };                                                        \
    tuff_tensor *tuff_##op(tuff_graph *g, tuff_tensor *x)     \
    {                                                         \
        x = tuff_dense(g, x);                                 \
        return tuff_graph_node(g, TUFF_OP_##op, &x, 1, NULL); \
    }

UNARY(exp)
UNARY(ln)
UNARY(tanh)
UNARY(sigmoid)
UNARY(relu)
UNARY(sqrt)
UNARY(rsqrt)
UNARY(abs)

const tuff_op_info tuff_op_unary_backward = {
    .name = "unary_backward",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .may_alias = {3},
    .infer = infer_unary,
    .reference = reference_unary_backward,
    .cpu = cpu_unary_backward,
    .cost = cost_unary,
    .rows = unary_rows,
    .n_rows = 1,
};
