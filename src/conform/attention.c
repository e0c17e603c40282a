/* Cases of attention, forward and backward. */
#include <math.h>

#include "conform/case.h"
#include "ir/graph.h"

enum {
    APART,
    FUSED,
    CACHED
}; /* q, k, v: leaves; slices of one projection; k and v in cache order [B, H, T, D] */
enum { NO_START = -1000 };

enum { BATCH, TQ, TK, HQ, HKV, DIM, CAUSAL, WINDOW, START, LAYOUT, DTYPE };

/* Queries that see a single key: its probability is 1 whatever the scores, the gradients of q and k are
 * exactly 0, and what a device computes for them is the rounding of terms of size 1 that cancel. */
static bool sees_one_key(const int64_t *p)
{
    return p[TK] == 1 || (p[CAUSAL] && (p[WINDOW] == 1 || (p[TQ] == 1 && p[START] == 0)));
}

static tuff_tensor *cached(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int axes[4] = {0, 2, 1, 3};
    const int64_t dims[4] = {p[BATCH], p[HKV], p[TK], p[DIM]};
    tuff_tensor *x = tuff_case_leaf(run, g, (tuff_dtype)p[DTYPE], 4, dims, TUFF_DATA_NORMAL, 1, 0);
    if (p[DTYPE] == TUFF_F32) tuff_case_grad(run, x);
    if (p[DTYPE] == TUFF_F32 && sees_one_key(p)) tuff_case_grad_scale(run, x, 1.0);
    return tuff_permute(g, x, axes);
}

static tuff_tensor *projected(tuff_graph *g, tuff_tensor *x, const int64_t *p, int64_t first, int64_t heads)
{
    return tuff_reshape(g, tuff_slice(g, x, 2, first * p[DIM], heads * p[DIM]), 4,
                        (int64_t[]){p[BATCH], p[TQ], heads, p[DIM]});
}

static void attend(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *q, *k, *v, *start = NULL;
    if (p[LAYOUT] == FUSED) {
        const int64_t dims[3] = {p[BATCH], p[TQ], (p[HQ] + 2 * p[HKV]) * p[DIM]};
        tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 3, dims, TUFF_DATA_NORMAL, 1, 0);
        tuff_case_grad(run, x);
        q = projected(g, x, p, 0, p[HQ]);
        k = projected(g, x, p, p[HQ], p[HKV]);
        v = projected(g, x, p, p[HQ] + p[HKV], p[HKV]);
    } else {
        const int64_t dims[4] = {p[BATCH], p[TQ], p[HQ], p[DIM]};
        const int64_t kv[4] = {p[BATCH], p[TK], p[HKV], p[DIM]};
        q = tuff_case_leaf(run, g, TUFF_F32, 4, dims, TUFF_DATA_NORMAL, 1, 0);
        if (p[DTYPE] == TUFF_F32) tuff_case_grad(run, q);
        k = p[LAYOUT] == CACHED ? cached(run, g, p)
                                : tuff_case_leaf(run, g, (tuff_dtype)p[DTYPE], 4, kv, TUFF_DATA_NORMAL, 1, 0);
        v = p[LAYOUT] == CACHED ? cached(run, g, p)
                                : tuff_case_leaf(run, g, (tuff_dtype)p[DTYPE], 4, kv, TUFF_DATA_NORMAL, 1, 0);
        if (p[LAYOUT] == APART && p[DTYPE] == TUFF_F32) {
            tuff_case_grad(run, k);
            tuff_case_grad(run, v);
        }
        if (p[DTYPE] == TUFF_F32 && sees_one_key(p)) {
            tuff_case_grad_scale(run, q, 1.0);
            if (p[LAYOUT] == APART) tuff_case_grad_scale(run, k, 1.0);
        }
    }
    if (p[START] != NO_START) {
        double data[8];
        for (int64_t b = 0; b < p[BATCH]; b++)
            data[b] = (double)(p[START] + 3 * b);
        start = tuff_case_data(run, g, TUFF_I32, 1, p, data);
    }
    const tuff_attention_params params = {
        .struct_size = sizeof params, .causal = p[CAUSAL] != 0, .window = p[WINDOW]};
    tuff_tensor *o = tuff_attention(g, q, k, v, start, &params);
    /* scores are sums of D products, exp turns their absolute error into a relative one, and values are
     * summed over Tk */
    tuff_case_batch(run, BATCH);
    double k_terms = (double)(p[DIM] + p[TK]);
    if (p[DTYPE] == TUFF_F32)
        tuff_case_result(run, o, 8, k_terms);
    else
        tuff_case_aside(run, o, 8, k_terms);
    if (o) tuff_case_aside(run, o->producer->out[1], 8, k_terms); /* the log-sum-exp */
}

/* What is not finite stays with the queries, heads and columns that meet it, and is not lost on the way: a
 * query of head 0 has a NaN; the values of the last head have a NaN and an Inf, each in a column of its own.
 * No causal mask: kernels may multiply values with probabilities of 0, and 0 times NaN is NaN. */
static void special(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    enum { MOST = 3 * 40 * 20 };
    static const double step = 0.37;
    double x[3][MOST];
    tuff_tensor *operand[3];
    for (int i = 0; i < 3; i++) {
        const int64_t dims[4] = {1, i == 0 ? p[TQ] : p[TK], p[HQ], p[DIM]}, row = p[HQ] * p[DIM];
        for (int64_t e = 0; e < dims[1] * row; e++)
            x[i][e] = sin(step * (double)(e + 1) + i);
        if (i == 0) x[i][(dims[1] - 1) * row + 1] = NAN;
        if (i == 2) x[i][2 * row + (p[HQ] - 1) * p[DIM]] = NAN;
        if (i == 2) x[i][3 * row + (p[HQ] - 1) * p[DIM] + 2] = INFINITY;
        operand[i] = tuff_case_data(run, g, (tuff_dtype)(i == 0 ? TUFF_F32 : p[DTYPE]), 4, dims, x[i]);
    }
    const tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    tuff_tensor *o = tuff_attention(g, operand[0], operand[1], operand[2], NULL, &params);
    double k_terms = (double)(p[DIM] + p[TK]);
    tuff_case_aside(run, o, 8, k_terms);
    if (o) tuff_case_aside(run, o->producer->out[1], 8, k_terms);
}

static const tuff_case cases[] = {
    {"attention.full.f32.b1q1k1.h1kv1d1", attend, {1, 1, 1, 1, 1, 1, 0, 0, NO_START}},
    {"attention.full.f32.b2q5k5.h2kv2d3", attend, {2, 5, 5, 2, 2, 3, 0, 0, NO_START}},
    {"attention.full.f32.b1q17k33.h2kv2d16", attend, {1, 17, 33, 2, 2, 16, 0, 0, NO_START}},
    {"attention.causal.f32.b2q16k16.h2kv2d8", attend, {2, 16, 16, 2, 2, 8, 1, 0, NO_START}},
    {"attention.causal.f32.b1q33k33.h4kv2d16", attend, {1, 33, 33, 4, 2, 16, 1, 0, NO_START}},
    {"attention.causal.f32.b1q65k65.h3kv1d20", attend, {1, 65, 65, 3, 1, 20, 1, 0, NO_START}},
    {"attention.causal.f32.b1q130k130.h1kv1d64", attend, {1, 130, 130, 1, 1, 64, 1, 0, NO_START}},
    {"attention.causal.f32.b2q47k47.h2kv2d17.fused", attend, {2, 47, 47, 2, 2, 17, 1, 0, NO_START, FUSED}},
    {"attention.causal.f32.b1q49k49.h6kv2d8.fused", attend, {1, 49, 49, 6, 2, 8, 1, 0, NO_START, FUSED}},
    {"attention.causal.f32.b1q9k9.h1kv1d66", attend, {1, 9, 9, 1, 1, 66, 1, 0, NO_START}},
    {"attention.window7.f32.b2q40k40.h2kv1d16", attend, {2, 40, 40, 2, 1, 16, 1, 7, NO_START}},
    {"attention.window1.f32.b1q20k20.h1kv1d8", attend, {1, 20, 20, 1, 1, 8, 1, 1, NO_START}},
    {"attention.window33.f32.b1q100k100.h1kv1d16", attend, {1, 100, 100, 1, 1, 16, 1, 33, NO_START}},
    {"attention.causal.f32.b2q20k60.h3kv1d16.at30.cached", attend, {2, 20, 60, 3, 1, 16, 1, 0, 30, CACHED}},
    {"attention.window9.f32.b2q18k80.h2kv2d16.at50.cached", attend, {2, 18, 80, 2, 2, 16, 1, 9, 50, CACHED}},
    {"attention.causal.f32.b1q20k30.h2kv2d8.before7", attend, {1, 20, 30, 2, 2, 8, 1, 0, -7}},
    {"attention.causal.f32.b1q9k12.h1kv1d8.at8.cached", attend, {1, 9, 12, 1, 1, 8, 1, 0, 8, CACHED}},
    {"attention.causal.f32.b1q1k40.h2kv1d16.at0.cached", attend, {1, 1, 40, 2, 1, 16, 1, 0, 0, CACHED}},
    {"attention.causal.f32.b2q1k320.h4kv2d64.at299.cached", attend, {2, 1, 320, 4, 2, 64, 1, 0, 299, CACHED}},
    {"attention.window50.f32.b2q1k300.h3kv1d20.at270.cached",
     attend,
     {2, 1, 300, 3, 1, 20, 1, 50, 270, CACHED}},
    {"attention.causal.f32.b1q1k70.h1kv1d66.at60.cached", attend, {1, 1, 70, 1, 1, 66, 1, 0, 60, CACHED}},
    {"attention.causal.f16.b1q1k9.h1kv1d255.at7.cached",
     attend,
     {1, 1, 9, 1, 1, 255, 1, 0, 7, CACHED, TUFF_F16}},
    {"attention.causal.f16.b1q1k9.h1kv1d256.at7.cached",
     attend,
     {1, 1, 9, 1, 1, 256, 1, 0, 7, CACHED, TUFF_F16}},
    {"attention.causal.f32.b1q1k20.h1kv1d8.before1.cached", attend, {1, 1, 20, 1, 1, 8, 1, 0, -1, CACHED}},
    {"attention.causal.f32.b1q3k600.h2kv1d16.at255.cached", attend, {1, 3, 600, 2, 1, 16, 1, 0, 255, CACHED}},
    {"attention.causal.f16.b1q17k40.h2kv1d16.at20.cached",
     attend,
     {1, 17, 40, 2, 1, 16, 1, 0, 20, CACHED, TUFF_F16}},
    {"attention.full.f16.b1q9k9.h2kv2d7", attend, {1, 9, 9, 2, 2, 7, 0, 0, NO_START, APART, TUFF_F16}},
    {"attention.causal.f16.b2q1k300.h4kv2d64.at280.cached",
     attend,
     {2, 1, 300, 4, 2, 64, 1, 0, 280, CACHED, TUFF_F16}},
    {"attention.special.f32.b1q20k33.h2kv2d16", special, {1, 20, 33, 2, 2, 16}},
    {"attention.special.f32.b1q1k40.h3kv3d20", special, {1, 1, 40, 3, 3, 20}},
    {"attention.special.f16.b1q2k11.h2kv2d7", special, {1, 2, 11, 2, 2, 7, 0, 0, 0, 0, TUFF_F16}},
    {"attention.causal.f16.b2q1k70.h2kv2d13.at50.cached",
     attend,
     {2, 1, 70, 2, 2, 13, 1, 0, 50, CACHED, TUFF_F16}},
};

const tuff_case_family tuff_family_attention = {"attention", cases, sizeof cases / sizeof cases[0]};
