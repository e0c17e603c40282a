/* GELU, SiLU, SwiGLU and their derivatives. */
#include <math.h>

#include "backend/cpu/kernels.h"
#include "ops/activation.h"
#include "ops/geometry.h"
#include "ops/sigmoid.h"
#include "ops/support.h"
#include "shaders/args/activation.h"

static const double sqrt_2_over_pi = 0.79788456080286535588, sqrt_1_over_2 = 0.70710678118654752440,
                    sqrt_1_over_2pi = 0.39894228040143267794;

/* All inputs f32, dense and of one shape, as all outputs are. */
static tuff_status infer_same(tuff_graph *g, tuff_node *node)
{
    static const char *const gradient[] = {"x", "the gradient"}, *const gated[] = {"gate", "up",
                                                                                   "the gradient"};
    (void)g;
    bool gate = node->op == TUFF_OP_swiglu || node->op == TUFF_OP_swiglu_backward;
    for (int i = 0; i < node->n_in; i++)
        TUFF_TRY(
            tuff_expect_dense(node, i, gate ? gated[i] : gradient[i], i > 0 ? &node->in[0]->shape : NULL));
    for (int o = 0; o < node->n_out; o++)
        tuff_set_out(node, o, &node->in[0]->shape, TUFF_F32);
    return TUFF_OK;
}

/* ---- references ---- */

/* The argument of tanh, doubled: tanh(u) = 2 tuff_sigmoid_reference(2 u) - 1. */
static double gelu_argument(double x)
{
    return 2 * sqrt_2_over_pi * (x + 0.044715 * x * x * x);
}

static void reference_gelu(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++) {
        double x = in[0][i];
        out[0][i] = x * (node->attrs.gelu.tanh_approximation ? tuff_sigmoid_reference(gelu_argument(x))
                                                             : 0.5 * erfc(-x * sqrt_1_over_2));
    }
}

static void reference_gelu_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++) {
        double x = in[0][i], slope;
        if (node->attrs.gelu.tanh_approximation) {
            double s = tuff_sigmoid_reference(gelu_argument(x)), bounded = x < -20 ? -20 : x > 20 ? 20 : x;
            slope = s + bounded * s * (1 - s) * 2 * sqrt_2_over_pi * (1 + 3 * 0.044715 * bounded * bounded);
        } else {
            slope = 0.5 * erfc(-x * sqrt_1_over_2) + x * exp(-0.5 * x * x) * sqrt_1_over_2pi;
        }
        out[0][i] = in[1][i] * slope;
    }
}

static void reference_silu(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[0][i] = in[0][i] * tuff_sigmoid_reference(in[0][i]);
}

static double silu_slope(double x)
{
    return tuff_sigmoid_reference(x) * (1 + x * tuff_sigmoid_reference(-x));
}

static void reference_silu_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[0][i] = in[1][i] * silu_slope(in[0][i]);
}

static void reference_swiglu(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++)
        out[0][i] = in[0][i] * tuff_sigmoid_reference(in[0][i]) * in[1][i];
}

static void reference_swiglu_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++) {
        double gate = in[0][i], up = in[1][i], d = in[2][i];
        out[0][i] = d * up * silu_slope(gate);
        out[1][i] = d * gate * tuff_sigmoid_reference(gate);
    }
}

/* ---- backward ---- */

static void backward_gelu(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                          tuff_tensor **d_in)
{
    if (needs[0])
        d_in[0] = tuff_graph_node(g, TUFF_OP_gelu_backward,
                                  (tuff_tensor *[]){node->in[0], tuff_dense(g, d_out[0])}, 2, &node->attrs);
}

static void backward_silu(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                          tuff_tensor **d_in)
{
    if (needs[0])
        d_in[0] = tuff_graph_node(g, TUFF_OP_silu_backward,
                                  (tuff_tensor *[]){node->in[0], tuff_dense(g, d_out[0])}, 2, NULL);
}

static void backward_swiglu(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                            const bool *needs, tuff_tensor **d_in)
{
    tuff_tensor *in[] = {node->in[0], node->in[1], tuff_dense(g, d_out[0])};
    tuff_tensor *both = tuff_graph_node(g, TUFF_OP_swiglu_backward, in, 3, NULL);
    for (int i = 0; i < 2; i++)
        if (needs[i]) d_in[i] = tuff_output_of(both, i);
}

/* ---- host kernel ---- */

typedef struct activation_context {
    const float *in[3];
    float *out[2];
    tuff_activation_fn fn;
} activation_context;

static void activation_range(int64_t begin, int64_t end, void *context)
{
    const activation_context *c = context;
    const float *in[3] = {c->in[0] + begin, c->in[1] + begin, c->in[2] + begin};
    float *out[2] = {c->out[0] + begin, c->out[1] + begin};
    c->fn(in, out, end - begin);
}

static void cpu_activation(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    activation_context c;
    for (int i = 0; i < 3; i++)
        c.in[i] = i < node->n_in ? in[i] : in[0];
    for (int o = 0; o < 2; o++)
        c.out[o] = o < node->n_out ? out[o] : out[0];
    switch (node->op) {
    case TUFF_OP_gelu:
        c.fn = node->attrs.gelu.tanh_approximation ? tuff_gelu_tanh_host : tuff_gelu_erf_host;
        break;
    case TUFF_OP_gelu_backward:
        c.fn =
            node->attrs.gelu.tanh_approximation ? tuff_gelu_tanh_backward_host : tuff_gelu_erf_backward_host;
        break;
    case TUFF_OP_silu:
        c.fn = tuff_silu_host;
        break;
    case TUFF_OP_silu_backward:
        c.fn = tuff_silu_backward_host;
        break;
    case TUFF_OP_swiglu:
        c.fn = tuff_swiglu_host;
        break;
    default:
        c.fn = tuff_swiglu_backward_host;
        break;
    }
    tuff_parallel(tuff_tensor_count(node->out[0]), 4096, activation_range, &c);
}

/* ---- device kernel ---- */

static tuff_shader shader_of(const tuff_node *node)
{
    bool tanh_form = node->attrs.gelu.tanh_approximation;
    switch (node->op) {
    case TUFF_OP_gelu:
        return tanh_form ? TUFF_SHADER_gelu_tanh : TUFF_SHADER_gelu_erf;
    case TUFF_OP_gelu_backward:
        return tanh_form ? TUFF_SHADER_gelu_tanh_backward : TUFF_SHADER_gelu_erf_backward;
    case TUFF_OP_silu:
        return TUFF_SHADER_silu;
    case TUFF_OP_silu_backward:
        return TUFF_SHADER_silu_backward;
    case TUFF_OP_swiglu:
        return TUFF_SHADER_swiglu;
    default:
        return TUFF_SHADER_swiglu_backward;
    }
}

static void launch_activation(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    bool gate = node->op == TUFF_OP_swiglu || node->op == TUFF_OP_swiglu_backward;
    for (int64_t at = 0; at < n; at += TUFF_FLAT_PART) {
        uint64_t bytes = (uint64_t)at * 4;
        tuff_activation_args *args = tuff_launch_add(launch, shader_of(node), sizeof *args);
        tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, bytes);
        if (gate) tuff_launch_address(launch, &args->up, TUFF_OPERAND_IN, 1, bytes);
        if (node->n_in == 2 + gate) tuff_launch_address(launch, &args->d, TUFF_OPERAND_IN, 1 + gate, bytes);
        tuff_launch_address(launch, &args->out1, TUFF_OPERAND_OUT, 0, bytes);
        if (node->n_out == 2) tuff_launch_address(launch, &args->out2, TUFF_OPERAND_OUT, 1, bytes);
        args->n = tuff_flat_count(n, at);
        tuff_launch_flat(launch, caps, args->n);
    }
}

static const tuff_kernel_row activation_rows[] = {{"plain", 0, NULL, launch_activation}};

static tuff_cost cost_activation(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.flops *= 20;
    return cost;
}

#define ACTIVATION(op, inputs, outputs, alias, backward_rule, promise) \
    const tuff_op_info tuff_op_##op = {                                \
        .name = #op,                                                   \
        .min_in = (inputs),                                            \
        .max_in = (inputs),                                            \
        .n_out = (outputs),                                            \
        .may_alias = {(alias), (alias)},                               \
        .infer = infer_same,                                           \
        .backward = backward_rule,                                     \
        .reference = reference_##op,                                   \
        .cpu = cpu_activation,                                         \
        .cost = cost_activation,                                       \
        .rows = activation_rows,                                       \
        .n_rows = 1,                                                   \
        .batch_free = promise,                                         \
    }

ACTIVATION(gelu, 1, 1, 1, backward_gelu, TUFF_BATCH_FREE_ROWS);
ACTIVATION(gelu_backward, 2, 1, 3, NULL, 0);
ACTIVATION(silu, 1, 1, 1, backward_silu, TUFF_BATCH_FREE_ROWS);
ACTIVATION(silu_backward, 2, 1, 3, NULL, 0);
ACTIVATION(swiglu, 2, 1, 3, backward_swiglu, TUFF_BATCH_FREE_ROWS);
ACTIVATION(swiglu_backward, 3, 2, 7, NULL, 0);

tuff_tensor *tuff_gelu(tuff_graph *g, tuff_tensor *x, bool tanh_approximation)
{
    tuff_attrs attrs = {.gelu = {.tanh_approximation = tanh_approximation}};
    x = tuff_dense(g, x);
    return tuff_graph_node(g, TUFF_OP_gelu, &x, 1, &attrs);
}

tuff_tensor *tuff_silu(tuff_graph *g, tuff_tensor *x)
{
    x = tuff_dense(g, x);
    return tuff_graph_node(g, TUFF_OP_silu, &x, 1, NULL);
}

tuff_tensor *tuff_swiglu(tuff_graph *g, tuff_tensor *gate, tuff_tensor *up)
{
    return tuff_graph_node(g, TUFF_OP_swiglu, (tuff_tensor *[]){tuff_dense(g, gate), tuff_dense(g, up)}, 2,
                           NULL);
}
