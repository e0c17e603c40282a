/* Layer norm and RMS norm over the last axis, and their derivatives. The forward ops also give the statistics
 * that the backward ones need: mean and 1 / sqrt(variance + eps) per row. */
#include "ops/norm.h"

#include <math.h>

#include "ops/geometry.h"
#include "ops/support.h"

tuff_norm_shape tuff_norm_shape_of(const tuff_node *node)
{
    const tuff_shape *x = &node->in[0]->shape;
    tuff_norm_shape s = {.width = x->dim[x->rank - 1]};
    s.rows = tuff_shape_count(x) / s.width;
    s.parts = (s.rows + TUFF_NORM_PART_ROWS - 1) / TUFF_NORM_PART_ROWS;
    return s;
}

/* ---- shapes ---- */

/* Input 0 is f32 and has a last axis; gives the shapes of a weight and of a statistic. */
static tuff_status shapes_of(const tuff_node *node, const char *what, tuff_shape *weight,
                             tuff_shape *statistic)
{
    TUFF_TRY(tuff_expect_dense(node, 0, what, NULL));
    if (node->in[0]->shape.rank == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s is a scalar, but needs an axis to be normalized over",
                         tuff_op_name(node->op), what);
    tuff_norm_shape s = tuff_norm_shape_of(node);
    *weight = tuff_shape_of(1, &s.width);
    *statistic = tuff_shape_of(1, &s.rows);
    return TUFF_OK;
}

static tuff_status infer_norm(tuff_graph *g, tuff_node *node)
{
    (void)g;
    tuff_shape weight, statistic;
    TUFF_TRY(shapes_of(node, "x", &weight, &statistic));
    TUFF_TRY(tuff_expect_dense(node, 1, "weight", &weight));
    if (node->op == TUFF_OP_layer_norm) TUFF_TRY(tuff_expect_dense(node, 2, "bias", &weight));
    tuff_set_out(node, 0, &node->in[0]->shape, TUFF_F32);
    for (int o = 1; o < node->n_out; o++)
        tuff_set_out(node, o, &statistic, TUFF_F32);
    return TUFF_OK;
}

/* What is added to the gradient of x, from the pass `ends` alone: the last operand. */
static const tuff_tensor *addend_of(const tuff_node *node)
{
    return node->in[node->n_in - 1];
}

/* in: dy, x, weight, statistics, addend */
static tuff_status infer_norm_backward(tuff_graph *g, tuff_node *node)
{
    (void)g;
    tuff_shape weight, statistic;
    TUFF_TRY(shapes_of(node, "dy", &weight, &statistic));
    TUFF_TRY(tuff_expect_dense(node, 1, "x", &node->in[0]->shape));
    TUFF_TRY(tuff_expect_dense(node, 2, "weight", &weight));
    for (int i = 3; i < node->n_in - 1; i++)
        TUFF_TRY(tuff_expect_dense(node, i, "a statistic", &statistic));
    if (addend_of(node)) TUFF_TRY(tuff_expect_dense(node, node->n_in - 1, "the addend", &node->in[0]->shape));
    tuff_set_out(node, 0, &node->in[0]->shape, TUFF_F32);
    return TUFF_OK;
}

/* in: dy, x, statistics */
static tuff_status infer_norm_backward_params(tuff_graph *g, tuff_node *node)
{
    (void)g;
    tuff_shape weight, statistic;
    TUFF_TRY(shapes_of(node, "dy", &weight, &statistic));
    TUFF_TRY(tuff_expect_dense(node, 1, "x", &node->in[0]->shape));
    for (int i = 2; i < node->n_in; i++)
        TUFF_TRY(tuff_expect_dense(node, i, "a statistic", &statistic));
    for (int o = 0; o < node->n_out; o++)
        tuff_set_out(node, o, &weight, TUFF_F32);
    return TUFF_OK;
}

/* ---- gradients ---- */

static void backward_layer_norm(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                                const bool *needs, tuff_tensor **d_in)
{
    tuff_tensor *dy = tuff_dense(g, d_out[0]), *x = node->in[0], *mean = node->out[1], *rstd = node->out[2];
    if (needs[0])
        d_in[0] = tuff_graph_node(g, TUFF_OP_layer_norm_backward,
                                  (tuff_tensor *[]){dy, x, node->in[1], mean, rstd}, 5, NULL);
    if (needs[1] || needs[2]) {
        tuff_tensor *params = tuff_graph_node(g, TUFF_OP_layer_norm_backward_params,
                                              (tuff_tensor *[]){dy, x, mean, rstd}, 4, NULL);
        if (needs[1]) d_in[1] = params;
        if (needs[2]) d_in[2] = tuff_output_of(params, 1);
    }
}

static void backward_rms_norm(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                              const bool *needs, tuff_tensor **d_in)
{
    tuff_tensor *dy = tuff_dense(g, d_out[0]), *x = node->in[0], *rstd = node->out[1];
    if (needs[0])
        d_in[0] = tuff_graph_node(g, TUFF_OP_rms_norm_backward, (tuff_tensor *[]){dy, x, node->in[1], rstd},
                                  4, NULL);
    if (needs[1])
        d_in[1] =
            tuff_graph_node(g, TUFF_OP_rms_norm_backward_params, (tuff_tensor *[]){dy, x, rstd}, 3, NULL);
}

/* ---- references ---- */

static void reference_layer_norm(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_norm_shape s = tuff_norm_shape_of(node);
    for (int64_t r = 0; r < s.rows; r++) {
        const double *x = in[0] + r * s.width;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < s.width; i++)
            sum += x[i];
        double mean = sum / (double)s.width;
        for (int64_t i = 0; i < s.width; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        double rstd = 1 / sqrt(squares / (double)s.width + node->attrs.norm.eps);
        for (int64_t i = 0; i < s.width; i++)
            out[0][r * s.width + i] = (x[i] - mean) * rstd * in[1][i] + in[2][i];
        out[1][r] = mean;
        out[2][r] = rstd;
    }
}

static void reference_rms_norm(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_norm_shape s = tuff_norm_shape_of(node);
    for (int64_t r = 0; r < s.rows; r++) {
        const double *x = in[0] + r * s.width;
        double squares = 0;
        for (int64_t i = 0; i < s.width; i++)
            squares += x[i] * x[i];
        double rstd = 1 / sqrt(squares / (double)s.width + node->attrs.norm.eps);
        for (int64_t i = 0; i < s.width; i++)
            out[0][r * s.width + i] = x[i] * rstd * in[1][i];
        out[1][r] = rstd;
    }
}

/* With xh the normalized x and g = dy * weight: dx = rstd * (g - mean(g) - xh * mean(g xh)); RMS norm has no
 * mean(g). */
static void reference_norm_backward(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_norm_shape s = tuff_norm_shape_of(node);
    bool layer = node->op == TUFF_OP_layer_norm_backward;
    const double *addend = in[node->n_in - 1];
    for (int64_t r = 0; r < s.rows; r++) {
        const double *dy = in[0] + r * s.width, *x = in[1] + r * s.width, *weight = in[2];
        double mean = layer ? in[3][r] : 0, rstd = in[layer ? 4 : 3][r], sum = 0, products = 0;
        for (int64_t i = 0; i < s.width; i++) {
            sum += dy[i] * weight[i];
            products += dy[i] * weight[i] * (x[i] - mean) * rstd;
        }
        double a = layer ? sum / (double)s.width : 0, b = products / (double)s.width;
        for (int64_t i = 0; i < s.width; i++)
            out[0][r * s.width + i] = rstd * (dy[i] * weight[i] - a - (x[i] - mean) * rstd * b) +
                                      (addend ? addend[r * s.width + i] : 0);
    }
}

static void reference_norm_backward_params(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_norm_shape s = tuff_norm_shape_of(node);
    bool layer = node->op == TUFF_OP_layer_norm_backward_params;
    for (int64_t i = 0; i < s.width; i++) {
        double dweight = 0, dbias = 0;
        for (int64_t r = 0; r < s.rows; r++) {
            double dy = in[0][r * s.width + i], x = in[1][r * s.width + i];
            dweight += dy * (layer ? (x - in[2][r]) * in[3][r] : x * in[2][r]);
            dbias += dy;
        }
        out[0][i] = dweight;
        if (layer) out[1][i] = dbias;
    }
}

/* ---- descriptors ---- */

static tuff_cost cost_norm(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.flops = 8.0 * (double)tuff_tensor_count(node->in[0]);
    return cost;
}

static const tuff_kernel_row norm_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_norm}};
static const tuff_kernel_row backward_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_norm_backward}};
static const tuff_kernel_row params_rows[] = {{"plain", 0, tuff_match_32, tuff_launch_norm_backward_params}};

/* The two norms differ in what goes in and comes out. */
#define NORM(op, inputs, outputs)                                  \
    const tuff_op_info tuff_op_##op = {                            \
        .name = #op,                                               \
        .min_in = (inputs),                                        \
        .max_in = (inputs),                                        \
        .n_out = (outputs),                                        \
        .may_alias = {1},                                          \
        .infer = infer_norm,                                       \
        .backward = backward_##op,                                 \
        .reference = reference_##op,                               \
        .cpu = tuff_##op##_host,                                   \
        .cost = cost_norm,                                         \
        .rows = norm_rows,                                         \
        .n_rows = 1,                                               \
        .batch_free = TUFF_BATCH_FREE_ROWS | TUFF_BATCH_FREE_HOST, \
    }
#define NORM_BACKWARD(op, inputs)             \
    const tuff_op_info tuff_op_##op = {       \
        .name = #op,                          \
        .min_in = (inputs),                   \
        .max_in = (inputs) + 1,               \
        .n_out = 1,                           \
        .may_alias = {3 | 1 << (inputs)},     \
        .infer = infer_norm_backward,         \
        .reference = reference_norm_backward, \
        .cpu = tuff_##op##_host,              \
        .cost = cost_norm,                    \
        .rows = backward_rows,                \
        .n_rows = 1,                          \
    }
#define NORM_BACKWARD_PARAMS(op, inputs, outputs)         \
    const tuff_op_info tuff_op_##op = {                   \
        .name = #op,                                      \
        .min_in = (inputs),                               \
        .max_in = (inputs),                               \
        .n_out = (outputs),                               \
        .infer = infer_norm_backward_params,              \
        .reference = reference_norm_backward_params,      \
        .cpu = tuff_norm_backward_params_host,            \
        .cpu_scratch = tuff_norm_backward_params_scratch, \
        .cost = cost_norm,                                \
        .rows = params_rows,                              \
        .n_rows = 1,                                      \
    }

NORM(layer_norm, 3, 3);
NORM(rms_norm, 2, 2);
NORM_BACKWARD(layer_norm_backward, 5);
NORM_BACKWARD(rms_norm_backward, 4);
NORM_BACKWARD_PARAMS(layer_norm_backward_params, 4, 2);
NORM_BACKWARD_PARAMS(rms_norm_backward_params, 3, 1);

tuff_tensor *tuff_layer_norm(tuff_graph *g, tuff_tensor *x, tuff_tensor *weight, tuff_tensor *bias,
                             double eps)
{
    tuff_attrs attrs = {.norm = {.eps = eps}};
    tuff_tensor *in[] = {tuff_dense(g, x), tuff_dense(g, weight), tuff_dense(g, bias)};
    return tuff_graph_node(g, TUFF_OP_layer_norm, in, 3, &attrs);
}

tuff_tensor *tuff_rms_norm(tuff_graph *g, tuff_tensor *x, tuff_tensor *weight, double eps)
{
    tuff_attrs attrs = {.norm = {.eps = eps}};
    tuff_tensor *in[] = {tuff_dense(g, x), tuff_dense(g, weight)};
    return tuff_graph_node(g, TUFF_OP_rms_norm, in, 2, &attrs);
}
