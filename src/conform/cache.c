/* Cases of writes into the key-value cache. */
#include "conform/case.h"

/* Slots of CAPACITY rows; TIME tokens for each, the first at START + 2 slot; those past their slot are
 * dropped. */
enum { SLOTS, CAPACITY, TIME, HEADS, DIM, START, DTYPE, STRIDED };

static tuff_tensor *rows_of(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double rows[64];
    int64_t n = p[SLOTS] * p[TIME];
    for (int64_t i = 0; i < n; i++) {
        int64_t slot = i / p[TIME], at = p[START] + 2 * slot + i % p[TIME];
        rows[i] = at >= 0 && at < p[CAPACITY] ? (double)(slot * p[CAPACITY] + at)
                  : i % 2                     ? -1.0 - (double)i
                                              : (double)(p[SLOTS] * p[CAPACITY] + i);
    }
    return tuff_case_data(run, g, TUFF_I32, 1, &n, rows);
}

static tuff_tensor *cache_of(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int64_t dims[3] = {p[HEADS], p[SLOTS] * p[CAPACITY], p[DIM]};
    return tuff_case_leaf(run, g, (tuff_dtype)p[DTYPE], 3, dims, TUFF_DATA_NORMAL, 1, 0);
}

static tuff_tensor *tokens_of(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int64_t dims[3] = {p[SLOTS] * p[TIME], p[HEADS] + p[STRIDED], p[DIM]};
    return tuff_case_leaf(run, g, TUFF_F32, 3, dims, TUFF_DATA_NORMAL, 1, 0);
}

static const int axes[3] = {1, 0, 2};

static void write(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *cache = cache_of(run, g, p), *x = tokens_of(run, g, p);
    if (p[STRIDED]) x = tuff_slice(g, x, 1, 1, p[HEADS]);
    tuff_kv_write(g, tuff_permute(g, cache, axes), x, rows_of(run, g, p));
    tuff_case_aside(run, cache, 0, 1);
}

/* Written, then read by attention: the order of the two is the graph's. */
static void attended(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double table[4 * 8];
    for (int64_t i = 0; i < p[SLOTS]; i++) {
        table[4 * i] = (double)(i * p[TIME]);
        table[4 * i + 1] = (double)p[TIME];
        table[4 * i + 2] = (double)(i * p[CAPACITY]);
        table[4 * i + 3] = (double)(p[START] + 2 * i + p[TIME]);
    }
    tuff_tensor *rows = rows_of(run, g, p), *kv[2], *q = tokens_of(run, g, p);
    tuff_tensor *segments = tuff_case_input(run, g, TUFF_I32, 2, (int64_t[]){p[SLOTS], 4}, table);
    for (int i = 0; i < 2; i++) {
        tuff_tensor *cache = cache_of(run, g, p);
        kv[i] = tuff_kv_write(g, tuff_permute(g, cache, axes), tokens_of(run, g, p), rows);
    }
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    params.right = 0;
    /* as in the attention family */
    tuff_case_aside(run, tuff_attention(g, q, kv[0], kv[1], segments, NULL, NULL, &params), 8,
                    (double)(p[DIM] + p[CAPACITY]));
}

static const tuff_case cases[] = {
    {"cache.write.f32.s1c1n1.h1d1.at0", write, {1, 1, 1, 1, 1}},
    {"cache.write.f32.s2c9n3.h2d5.at4", write, {2, 9, 3, 2, 5, 4}},
    {"cache.write.f32.s2c16n1.h3d64.at7", write, {2, 16, 1, 3, 64, 7}},
    {"cache.write.f32.s2c9n6.h2d4.at5", write, {2, 9, 6, 2, 4, 5}},
    {"cache.write.f32.s1c9n6.h2d4.before3", write, {1, 9, 6, 2, 4, -3}},
    {"cache.write.f32.s1c9n2.h2d4.at9", write, {1, 9, 2, 2, 4, 9}},
    {"cache.write.f32.s2c9n3.h2d5.at1.strided", write, {2, 9, 3, 2, 5, 1, TUFF_F32, 2}},
    {"cache.write.f16.s2c9n3.h2d6.at4", write, {2, 9, 3, 2, 6, 4, TUFF_F16}},
    {"cache.write.f16.s2c9n4.h3d64.at2.strided", write, {2, 9, 4, 3, 64, 2, TUFF_F16, 2}},
    {"cache.write.f16.s2c9n6.h2d4.at5", write, {2, 9, 6, 2, 4, 5, TUFF_F16}},
    {"cache.attended.f32.s2c40n20.h2d16.at0", attended, {2, 40, 20, 2, 16, 0}},
    {"cache.attended.f16.s2c40n1.h2d16.at30", attended, {2, 40, 1, 2, 16, 30, TUFF_F16}},
};

const tuff_case_family tuff_family_cache = {"cache", cases, sizeof cases / sizeof cases[0]};
