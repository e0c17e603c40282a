/* Momentum by itself: the directions of optimizers that go on from it by other operations. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "base/structs.h"
#include "ops/geometry.h"
#include "ops/optimizer.h"
#include "ops/support.h"
#include "shaders/args/optimizer.h"

static tuff_status infer_momentum(tuff_graph *g, tuff_node *node)
{
    (void)g;
    const tuff_shape scalar = {0, {1, 1, 1, 1}}, *shape = &node->in[0]->shape;
    const tuff_momentum_params *p = &node->attrs.momentum;
    if (!(p->momentum >= 0 && p->momentum < 1 && p->max_grad_norm >= 0))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "momentum: the momentum must be at least 0 and less than 1, and the largest norm at "
                         "least 0, but they are %g and %g",
                         p->momentum, p->max_grad_norm);
    TUFF_TRY(tuff_expect_dense(node, 0, "the momentum", NULL));
    TUFF_TRY(tuff_expect_dense(node, 1, "the gradient", shape));
    TUFF_TRY(tuff_expect_dense(node, 2, "the norm", &scalar));
    tuff_set_out(node, 1, shape, TUFF_F32);
    return TUFF_OK;
}

static void reference_momentum(const tuff_node *node, const double *const *in, double *const *out)
{
    const tuff_momentum_params *p = &node->attrs.momentum;
    double norm = in[2][0], clip = tuff_clip_of(norm, p->max_grad_norm), beta = p->momentum;
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++) {
        double g = in[1][i] * clip, m = beta * in[0][i] + (1 - beta) * g;
        out[0][i] = isfinite(norm) ? m : in[0][i];
        out[1][i] = !isfinite(norm) ? 0 : p->nesterov ? (1 - beta) * g + beta * m : m;
    }
}

/* ---- host kernel ---- */

typedef struct momentum_context {
    float *m, *way;
    const float *grad;
    float clip, beta, rest, own, kept; /* the direction is own * gradient + kept * momentum */
} momentum_context;

TUFF_KERNEL static void momentum_rows(const momentum_context *c, float *restrict m, float *restrict way,
                                      const float *restrict grad, int64_t n)
{
    float clip = c->clip, beta = c->beta, rest = c->rest, own = c->own, kept = c->kept;
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i] * clip, mi = beta * m[i] + rest * g;
        m[i] = mi;
        way[i] = own * g + kept * mi;
    }
}

static void momentum_range(int64_t begin, int64_t end, void *context)
{
    const momentum_context *c = context;
    momentum_rows(c, c->m + begin, c->way + begin, c->grad + begin, end - begin);
}

static void cpu_momentum(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    const tuff_momentum_params *p = &node->attrs.momentum;
    float norm = *(const float *)in[2], beta = (float)p->momentum, rest = (float)(1 - p->momentum);
    int64_t n = tuff_tensor_count(node->out[0]);
    momentum_context c = {.m = out[0],
                          .way = out[1],
                          .grad = in[1],
                          .clip = (float)tuff_clip_of((double)norm, p->max_grad_norm),
                          .beta = beta,
                          .rest = rest,
                          .own = p->nesterov ? rest : 0,
                          .kept = p->nesterov ? beta : 1};
    if (isfinite(norm))
        tuff_parallel(n, tuff_grain(1), momentum_range, &c);
    else
        memset(out[1], 0, (size_t)n * sizeof(float));
}

static void launch_momentum(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const tuff_momentum_params *p = &node->attrs.momentum;
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t at = 0; at < n; at += TUFF_FLAT_PART) {
        tuff_momentum_args *args = TUFF_LAUNCH(launch, momentum, tuff_momentum_args);
        tuff_launch_address(launch, &args->momentum, TUFF_OPERAND_OUT, 0, (uint64_t)at * 4);
        tuff_launch_address(launch, &args->grad, TUFF_OPERAND_IN, 1, (uint64_t)at * 4);
        tuff_launch_address(launch, &args->norm, TUFF_OPERAND_IN, 2, 0);
        tuff_launch_address(launch, &args->direction, TUFF_OPERAND_OUT, 1, (uint64_t)at * 4);
        args->beta = (float)p->momentum;
        args->one_minus_beta = (float)(1 - p->momentum);
        args->max_norm = (float)p->max_grad_norm;
        args->nesterov = p->nesterov;
        args->n = tuff_flat_count(n, at);
        tuff_launch_flat(launch, caps, args->n);
    }
}

static const tuff_kernel_row momentum_kernels[] = {{"plain", 0, NULL, launch_momentum}};

const tuff_op_info tuff_op_momentum = {
    .name = "momentum",
    .min_in = 3,
    .max_in = 3,
    .n_out = 2,
    .in_place = {1},
    .infer = infer_momentum,
    .reference = reference_momentum,
    .cpu = cpu_momentum,
    .cost = tuff_cost_elementwise,
    .rows = momentum_kernels,
    .n_rows = 1,
};

tuff_tensor *tuff_momentum(tuff_graph *g, tuff_tensor *momentum, tuff_tensor *grad, tuff_tensor *norm,
                           const tuff_momentum_params *params)
{
    tuff_attrs attrs = {.momentum = TUFF_MOMENTUM_PARAMS_INIT};
    tuff_status status = TUFF_TAKE(&attrs.momentum, params, TUFF_MOMENTUM_PARAMS_INIT, reserved);
    if (status != TUFF_OK) return tuff_graph_fail(g, status, "momentum: %s", tuff_error_message());
    tuff_tensor *first = tuff_graph_node(g, TUFF_OP_momentum,
                                         (tuff_tensor *[]){momentum, tuff_dense(g, grad), norm}, 3, &attrs);
    return tuff_output_of(first, 1);
}
