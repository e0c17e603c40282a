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
    const tuff_attention_params params = {.causal = p[CAUSAL] != 0, .window = p[WINDOW]};
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
    const tuff_attention_params params = {0};
    tuff_tensor *o = tuff_attention(g, operand[0], operand[1], operand[2], NULL, &params);
    double k_terms = (double)(p[DIM] + p[TK]);
    tuff_case_aside(run, o, 8, k_terms);
    if (o) tuff_case_aside(run, o->producer->out[1], 8, k_terms);
}

static const tuff_case cases[] = {
    {"one", attend, {1, 1, 1, 1, 1, 1, 0, 0, NO_START}},
    {"5x5 h2 d3", attend, {2, 5, 5, 2, 2, 3, 0, 0, NO_START}},
    {"17x33 h2 d16", attend, {1, 17, 33, 2, 2, 16, 0, 0, NO_START}},
    {"causal 16 h2 d8", attend, {2, 16, 16, 2, 2, 8, 1, 0, NO_START}},
    {"causal 33 h4/2 d16", attend, {1, 33, 33, 4, 2, 16, 1, 0, NO_START}},
    {"causal 65 h3/1 d20", attend, {1, 65, 65, 3, 1, 20, 1, 0, NO_START}},
    {"causal 130 h1 d64", attend, {1, 130, 130, 1, 1, 64, 1, 0, NO_START}},
    {"causal 47 h2 d17 fused", attend, {2, 47, 47, 2, 2, 17, 1, 0, NO_START, FUSED}},
    {"causal 49 h6/2 d8 fused", attend, {1, 49, 49, 6, 2, 8, 1, 0, NO_START, FUSED}},
    {"causal 9 h1 d66", attend, {1, 9, 9, 1, 1, 66, 1, 0, NO_START}},
    {"window 7 of 40", attend, {2, 40, 40, 2, 1, 16, 1, 7, NO_START}},
    {"window 1", attend, {1, 20, 20, 1, 1, 8, 1, 1, NO_START}},
    {"window 33 of 100", attend, {1, 100, 100, 1, 1, 16, 1, 33, NO_START}},
    {"from 30, 20 queries", attend, {2, 20, 60, 3, 1, 16, 1, 0, 30, CACHED}},
    {"from 50, window 9", attend, {2, 18, 80, 2, 2, 16, 1, 9, 50, CACHED}},
    {"some see no key", attend, {1, 20, 30, 2, 2, 8, 1, 0, -7}},
    {"queries past the keys", attend, {1, 9, 12, 1, 1, 8, 1, 0, 8, CACHED}},
    {"decode at 0", attend, {1, 1, 40, 2, 1, 16, 1, 0, 0, CACHED}},
    {"decode at 299 h4/2 d64", attend, {2, 1, 320, 4, 2, 64, 1, 0, 299, CACHED}},
    {"decode h3/1 d20, window 50", attend, {2, 1, 300, 3, 1, 20, 1, 50, 270, CACHED}},
    {"decode h1 d66", attend, {1, 1, 70, 1, 1, 66, 1, 0, 60, CACHED}},
    {"decode h1 d255", attend, {1, 1, 9, 1, 1, 255, 1, 0, 7, CACHED, TUFF_F16}},
    {"decode h1 d256", attend, {1, 1, 9, 1, 1, 256, 1, 0, 7, CACHED, TUFF_F16}},
    {"decode of none", attend, {1, 1, 20, 1, 1, 8, 1, 0, -1, CACHED}},
    {"3 queries at 255 h2/1", attend, {1, 3, 600, 2, 1, 16, 1, 0, 255, CACHED}},
    {"f16 17x40 h2 d16", attend, {1, 17, 40, 2, 1, 16, 1, 0, 20, CACHED, TUFF_F16}},
    {"f16 9x9 h2 d7", attend, {1, 9, 9, 2, 2, 7, 0, 0, NO_START, APART, TUFF_F16}},
    {"f16 decode h4/2 d64", attend, {2, 1, 300, 4, 2, 64, 1, 0, 280, CACHED, TUFF_F16}},
    {"special 20x33 h2 d16", special, {1, 20, 33, 2, 2, 16}},
    {"special 1x40 h3 d20", special, {1, 1, 40, 3, 3, 20}},
    {"special f16 2x11 h2 d7", special, {1, 2, 11, 2, 2, 7, 0, 0, 0, 0, TUFF_F16}},
    {"f16 decode h2 d13", attend, {2, 1, 70, 2, 2, 13, 1, 0, 50, CACHED, TUFF_F16}},
};

const tuff_case_family tuff_family_attention = {"attention", cases, sizeof cases / sizeof cases[0]};
