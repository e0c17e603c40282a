/* Random numbers that are a function of seed, step, stream and element index: dropout's mask, uniform ones.
 */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "base/rng.h"
#include "ops/geometry.h"
#include "ops/philox.h"
#include "ops/support.h"
#include "shaders/args/dropout.h"

static tuff_status expect_seed(const tuff_node *node, int operand)
{
    const tuff_shape seed = {1, {3, 1, 1, 1}};
    TUFF_TRY(tuff_expect_dtype(node, operand, "seed", TUFF_U32));
    TUFF_TRY(tuff_expect_shape(node, operand, "seed", &seed));
    return tuff_expect_contiguous(node, operand, "seed");
}

static tuff_status infer_dropout(tuff_graph *g, tuff_node *node)
{
    (void)g;
    double p = node->attrs.dropout.p;
    TUFF_TRY(tuff_expect_dense(node, 0, "x", NULL));
    TUFF_TRY(expect_seed(node, 1));
    if (node->in[2]) TUFF_TRY(tuff_expect_dense(node, 2, "the addend", &node->in[0]->shape));
    if (!(p >= 0 && p < 1))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "dropout: p must be at least 0 and less than 1, but is %g",
                         p);
    tuff_set_out(node, 0, &node->in[0]->shape, TUFF_F32);
    return TUFF_OK;
}

/* The same mask and factor act on the gradient. */
static void backward_dropout(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out,
                             const bool *needs, tuff_tensor **d_in)
{
    if (needs[0])
        d_in[0] = tuff_dropout(g, d_out[0], node->in[1], node->attrs.dropout.p, node->attrs.dropout.stream);
}

static uint32_t threshold_of(double p)
{
    return (uint32_t)(p * 4294967296.0);
}

static void reference_dropout(const tuff_node *node, const double *const *in, double *const *out)
{
    double p = node->attrs.dropout.p, factor = 1 / (1 - p);
    uint64_t key = (uint64_t)in[1][0] | (uint64_t)in[1][1] << 32;
    uint32_t step = (uint32_t)in[1][2];
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++) {
        tuff_philox r = tuff_philox4x32(key, (uint64_t)i / 4, step, node->attrs.dropout.stream);
        out[0][i] = in[0][i] * (r.v[i % 4] < threshold_of(p) ? 0 : factor) + (in[2] ? in[2][i] : 0);
    }
}

/* ---- host kernels ---- */

/* What draws: the numbers of Philox's counters, one after the other. */
typedef struct drawing {
    const float *x, *addend; /* of dropout */
    float *y;
    int64_t n;
    uint32_t key[2], step, stream, threshold;
    float factor;
} drawing;

static drawing drawing_of(const tuff_node *node, const uint32_t *seed, uint32_t stream, float *y)
{
    return (drawing){.y = y,
                     .n = tuff_tensor_count(node->out[0]),
                     .key = {seed[0], seed[1]},
                     .step = seed[2],
                     .stream = stream};
}

/* A vector of consecutive counters: a multiple of 16 and the 15 after it. */
enum { LANES = 16, GROUP = 4 * LANES };

/* Sets factors[0..GROUP) to what `made` makes of the bits of each element, which it knows as `bits`. */
#define DRAW(made)                                                                                        \
    uint32_t low = (uint32_t)((uint64_t)group * LANES), high = (uint32_t)((uint64_t)group * LANES >> 32); \
    TUFF_LANES                                                                                            \
    for (int i = 0; i < LANES; i++) {                                                                     \
        uint32_t c0 = low + (uint32_t)i, c1 = high, c2 = step, c3 = stream, k0 = key0, k1 = key1, bits;   \
        TUFF_PHILOX_ROUNDS(c0, c1, c2, c3, k0, k1);                                                       \
        bits = c0, factors[4 * i] = (made);                                                               \
        bits = c1, factors[4 * i + 1] = (made);                                                           \
        bits = c2, factors[4 * i + 2] = (made);                                                           \
        bits = c3, factors[4 * i + 3] = (made);                                                           \
    }

TUFF_KERNEL static void dropout_groups(const drawing *c, int64_t first, int64_t last)
{
    uint32_t key0 = c->key[0], key1 = c->key[1], step = c->step, stream = c->stream, threshold = c->threshold;
    float factor = c->factor, factors[GROUP];
    for (int64_t group = first; group < last; group++) {
        DRAW(bits < threshold ? 0 : factor)
        const float *x = c->x + group * GROUP;
        float *y = c->y + group * GROUP;
        int64_t n = c->n - group * GROUP < GROUP ? c->n - group * GROUP : GROUP;
        const float *addend = c->addend ? c->addend + group * GROUP : NULL;
        if (!addend) {
            TUFF_LANES
            for (int64_t i = 0; i < n; i++)
                y[i] = x[i] * factors[i];
            continue;
        }
        TUFF_LANES
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * factors[i] + addend[i];
    }
}

static void dropout_range(int64_t begin, int64_t end, void *context)
{
    dropout_groups(context, begin, end);
}

static void cpu_dropout(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    double p = node->attrs.dropout.p;
    drawing c = drawing_of(node, in[1], node->attrs.dropout.stream, out[0]);
    c.x = in[0];
    c.addend = in[2];
    c.threshold = threshold_of(p);
    c.factor = (float)(1 / (1 - p));
    tuff_parallel((c.n + GROUP - 1) / GROUP, 64, dropout_range, &c);
}

static void launch_dropout(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    double p = node->attrs.dropout.p;
    for (int64_t at = 0; at < n; at += TUFF_FLAT_PART) {
        tuff_dropout_args *args = TUFF_LAUNCH(launch, dropout, tuff_dropout_args);
        tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, (uint64_t)at * 4);
        tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, (uint64_t)at * 4);
        tuff_launch_address(launch, &args->seed, TUFF_OPERAND_IN, 1, 0);
        if (node->in[2]) tuff_launch_address(launch, &args->addend, TUFF_OPERAND_IN, 2, (uint64_t)at * 4);
        args->adds = node->in[2] != NULL;
        args->n = tuff_flat_count(n, at);
        args->position_low = (uint32_t)((uint64_t)at / 4);
        args->position_high = (uint32_t)((uint64_t)at / 4 >> 32);
        args->stream = node->attrs.dropout.stream;
        args->threshold = threshold_of(p);
        args->factor = (float)(1 / (1 - p));
        uint64_t blocks = (args->n + UINT64_C(3)) / 4;
        tuff_launch_groups_1d(launch, caps, (blocks + TUFF_FLAT_GROUP - 1) / TUFF_FLAT_GROUP);
    }
}

static const tuff_kernel_row dropout_rows[] = {{"plain", 0, NULL, launch_dropout}};

static tuff_cost cost_dropout(const tuff_node *node)
{
    tuff_cost cost = tuff_cost_elementwise(node);
    cost.flops *= 20;
    return cost;
}

const tuff_op_info tuff_op_dropout = {
    .name = "dropout",
    .min_in = 2,
    .max_in = 3, /* an addend: from the pass `ends` alone, after gradients */
    .n_out = 1,
    .may_alias = {1 | 4},
    .infer = infer_dropout,
    .backward = backward_dropout,
    .reference = reference_dropout,
    .cpu = cpu_dropout,
    .cost = cost_dropout,
    .rows = dropout_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_dropout(tuff_graph *g, tuff_tensor *x, tuff_tensor *seed, double p, uint32_t stream)
{
    tuff_attrs attrs = {.dropout = {.p = p, .stream = stream}};
    if (p == 0 && seed != NULL) return x;
    return tuff_graph_node(g, TUFF_OP_dropout, (tuff_tensor *[]){tuff_dense(g, x), seed}, 2, &attrs);
}

/* ---- uniform(seed): numbers in [-1, 1), multiples of 2^-23, which f32 has ---- */

static double uniform_of(uint32_t bits)
{
    return (double)(bits >> 8) / 8388608 - 1;
}

static tuff_status infer_uniform(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect_seed(node, 0));
    tuff_set_out(node, 0, &node->attrs.uniform.shape, TUFF_F32);
    return TUFF_OK;
}

static void reference_uniform(const tuff_node *node, const double *const *in, double *const *out)
{
    uint64_t key = (uint64_t)in[0][0] | (uint64_t)in[0][1] << 32;
    uint32_t step = (uint32_t)in[0][2];
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++) {
        tuff_philox r = tuff_philox4x32(key, (uint64_t)i / 4, step, node->attrs.uniform.stream);
        out[0][i] = uniform_of(r.v[i % 4]);
    }
}

TUFF_KERNEL static void uniform_groups(const drawing *c, int64_t first, int64_t last)
{
    uint32_t key0 = c->key[0], key1 = c->key[1], step = c->step, stream = c->stream;
    float factors[GROUP];
    for (int64_t group = first; group < last; group++) {
        DRAW((float)(int32_t)(bits >> 8) * 0x1p-23F - 1)
        int64_t n = c->n - group * GROUP < GROUP ? c->n - group * GROUP : GROUP;
        memcpy(c->y + group * GROUP, factors, (size_t)n * sizeof *factors);
    }
}

static void uniform_range(int64_t begin, int64_t end, void *context)
{
    uniform_groups(context, begin, end);
}

static void cpu_uniform(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    drawing c = drawing_of(node, in[0], node->attrs.uniform.stream, out[0]);
    tuff_parallel((c.n + GROUP - 1) / GROUP, 64, uniform_range, &c);
}

static void launch_uniform(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t at = 0; at < n; at += TUFF_FLAT_PART) {
        tuff_uniform_args *args = TUFF_LAUNCH(launch, uniform, tuff_uniform_args);
        tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, (uint64_t)at * 4);
        tuff_launch_address(launch, &args->seed, TUFF_OPERAND_IN, 0, 0);
        args->n = tuff_flat_count(n, at);
        args->position_low = (uint32_t)((uint64_t)at / 4);
        args->position_high = (uint32_t)((uint64_t)at / 4 >> 32);
        args->stream = node->attrs.uniform.stream;
        uint64_t blocks = (args->n + UINT64_C(3)) / 4;
        tuff_launch_groups_1d(launch, caps, (blocks + TUFF_FLAT_GROUP - 1) / TUFF_FLAT_GROUP);
    }
}

static const tuff_kernel_row uniform_rows[] = {{"plain", 0, NULL, launch_uniform}};

const tuff_op_info tuff_op_uniform = {
    .name = "uniform",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = infer_uniform,
    .reference = reference_uniform,
    .cpu = cpu_uniform,
    .cost = cost_dropout,
    .rows = uniform_rows,
    .n_rows = 1,
};

tuff_tensor *tuff_uniform(tuff_graph *g, tuff_tensor *seed, uint32_t stream, int rank, const int64_t *dims)
{
    tuff_attrs attrs = {.uniform = {.stream = stream}};
    if (!tuff_shape_given(g, "uniform", rank, dims, &attrs.uniform.shape)) return NULL;
    return tuff_graph_node(g, TUFF_OP_uniform, &seed, 1, &attrs);
}
