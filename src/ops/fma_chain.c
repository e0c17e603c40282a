/* Chains of multiply and add that nothing but arithmetic bounds: registers only, one load and one store. */
#include "ops/fma_chain.h"

#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/geometry.h"
#include "ops/support.h"
#include "shaders/args/fma_chain.h"

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(tuff_expect_dense(node, 0, "x", NULL));
    const int64_t rounds = node->attrs.chain.rounds, most = 1 << 20;
    if (rounds < 1 || rounds > most)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "fma_chain: rounds must be 1 to %lld, but are %lld",
                         (long long)most, (long long)rounds);
    tuff_set_out(node, 0, &node->in[0]->shape, TUFF_F32);
    return TUFF_OK;
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    const int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < TUFF_FMA_CHAINS; j++) {
            double c = in[0][i] + j / 16.0;
            for (int64_t r = 0; r < node->attrs.chain.rounds; r++)
                c = c * c - 0.25;
            sum += c;
        }
        out[0][i] = sum;
    }
}

enum { LANES = 16 }; /* elements of a block */

/* chains_of of `width` floats, which are to be one register: those of 16 are in halves and quarters in memory
 * where registers are narrower. The chains have names, so that they stay in registers. */
_Static_assert(TUFF_FMA_CHAINS == 8, "the loop below has eight chains");
#define CHAINS_OF(name, width)                                                        \
    typedef float name##_lanes __attribute__((vector_size((width) * sizeof(float)))); \
    TUFF_KERNEL static void name(const float *x, float *y, int64_t rounds)            \
    {                                                                                 \
        name##_lanes v, less;                                                         \
        memcpy(&v, x, sizeof v);                                                      \
        less = v - v + 0.25f;                                                         \
        name##_lanes a = v, b = v + 0.0625f, c = v + 0.125f, d = v + 0.1875f;         \
        name##_lanes e = v + 0.25f, f = v + 0.3125f, g = v + 0.375f, h = v + 0.4375f; \
        for (int64_t r = 0; r < rounds; r++) {                                        \
            a = a * a - less, b = b * b - less, c = c * c - less, d = d * d - less;   \
            e = e * e - less, f = f * f - less, g = g * g - less, h = h * h - less;   \
        }                                                                             \
        v = ((a + b) + (c + d)) + ((e + f) + (g + h));                                \
        memcpy(y, &v, sizeof v);                                                      \
    }
CHAINS_OF(chains_of_4, 4)
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
#define HAVE_WIDER 1 /* TUFF_KERNEL is compiled for wider registers too */
CHAINS_OF(chains_of_8, 8)
CHAINS_OF(chains_of_16, 16)
#endif

typedef struct kernel {
    void (*chains_of)(const float *x, float *y, int64_t rounds);
    int64_t width;
} kernel;

/* By the registers that TUFF_KERNEL has here. */
static kernel choose_kernel(void)
{
#ifdef HAVE_WIDER
    if (__builtin_cpu_supports("x86-64-v4")) return (kernel){chains_of_16, 16};
    if (__builtin_cpu_supports("x86-64-v3")) return (kernel){chains_of_8, 8};
#endif
    return (kernel){chains_of_4, 4};
}

typedef struct work {
    const float *x;
    float *y;
    int64_t n, rounds;
    kernel kernel;
} work;

/* Blocks of LANES elements; the last one may have fewer. */
static void run_blocks(int64_t begin, int64_t end, void *context)
{
    const work *w = context;
    for (int64_t block = begin; block < end; block++) {
        const int64_t at = block * LANES, count = w->n - at < LANES ? w->n - at : LANES;
        float in[LANES] = {0}, out[LANES];
        for (int64_t k = 0; k < count; k++)
            in[k] = w->x[at + k];
        for (int64_t k = 0; k < LANES; k += w->kernel.width)
            w->kernel.chains_of(in + k, out + k, w->rounds);
        for (int64_t k = 0; k < count; k++)
            w->y[at + k] = out[k];
    }
}

static void cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    work w = {in[0], out[0], tuff_tensor_count(node->out[0]), node->attrs.chain.rounds, choose_kernel()};
    tuff_parallel((w.n + LANES - 1) / LANES, tuff_grain(LANES * w.rounds), run_blocks, &w);
}

static void launch(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch)
{
    const int64_t n = tuff_tensor_count(node->out[0]);
    for (int64_t at = 0; at < n; at += TUFF_FLAT_PART) {
        tuff_fma_chain_args *args = TUFF_LAUNCH(launch, fma_chain, tuff_fma_chain_args);
        tuff_launch_address(launch, &args->x, TUFF_OPERAND_IN, 0, (uint64_t)at * 4);
        tuff_launch_address(launch, &args->y, TUFF_OPERAND_OUT, 0, (uint64_t)at * 4);
        args->n = tuff_flat_count(n, at);
        args->rounds = (uint32_t)node->attrs.chain.rounds;
        tuff_launch_flat(launch, caps, args->n);
    }
}

static tuff_cost cost(const tuff_node *node)
{
    tuff_cost c = tuff_cost_elementwise(node);
    c.flops =
        2.0 * TUFF_FMA_CHAINS * (double)node->attrs.chain.rounds * (double)tuff_tensor_count(node->out[0]);
    return c;
}

static const tuff_kernel_row rows[] = {{"plain", 0, NULL, launch}};

const tuff_op_info tuff_op_fma_chain = {
    .name = "fma_chain",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .may_alias = {1},
    .infer = infer,
    .reference = reference,
    .cpu = cpu,
    .cost = cost,
    .rows = rows,
    .n_rows = 1,
};

tuff_tensor *tuff_fma_chain(tuff_graph *g, tuff_tensor *x, int64_t rounds)
{
    const tuff_attrs attrs = {.chain = {.rounds = rounds}};
    x = tuff_dense(g, x);
    return tuff_graph_node(g, TUFF_OP_fma_chain, &x, 1, &attrs);
}
