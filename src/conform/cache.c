/* Cases of writes into the key-value cache. */
#include "conform/case.h"

enum { BATCH, CAPACITY, TIME, HEADS, DIM, START, DTYPE, STRIDED };

static void write(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int axes[4] = {0, 2, 1, 3};
    const int64_t cache_dims[4] = {p[BATCH], p[HEADS], p[CAPACITY], p[DIM]};
    const int64_t x_dims[4] = {p[BATCH], p[TIME], p[HEADS] + p[STRIDED], p[DIM]};
    double start[8];
    for (int64_t b = 0; b < p[BATCH]; b++)
        start[b] = (double)(p[START] + 2 * b);
    tuff_tensor *cache = tuff_case_leaf(run, g, (tuff_dtype)p[DTYPE], 4, cache_dims, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 4, x_dims, TUFF_DATA_NORMAL, 1, 0);
    if (p[STRIDED]) x = tuff_slice(g, x, 2, 1, p[HEADS]);
    tuff_kv_write(g, tuff_permute(g, cache, axes), x, tuff_case_data(run, g, TUFF_I32, 1, p, start));
    tuff_case_aside(run, cache, 0, 1);
}

/* Written, then read by attention: the order of the two is the graph's. */
static void attended(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int axes[4] = {0, 2, 1, 3};
    const int64_t cache_dims[4] = {p[BATCH], p[HEADS], p[CAPACITY], p[DIM]};
    const int64_t x_dims[4] = {p[BATCH], p[TIME], p[HEADS], p[DIM]};
    double start[8];
    for (int64_t b = 0; b < p[BATCH]; b++)
        start[b] = (double)(p[START] + 2 * b);
    tuff_tensor *at = tuff_case_data(run, g, TUFF_I32, 1, p, start), *kv[2], *q;
    q = tuff_case_leaf(run, g, TUFF_F32, 4, x_dims, TUFF_DATA_NORMAL, 1, 0);
    for (int i = 0; i < 2; i++) {
        tuff_tensor *cache =
            tuff_case_leaf(run, g, (tuff_dtype)p[DTYPE], 4, cache_dims, TUFF_DATA_NORMAL, 1, 0);
        tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 4, x_dims, TUFF_DATA_NORMAL, 1, 0);
        kv[i] = tuff_kv_write(g, tuff_permute(g, cache, axes), x, at);
    }
    const tuff_attention_params params = {.struct_size = sizeof params, .causal = true};
    /* as in the attention family */
    tuff_case_aside(run, tuff_attention(g, q, kv[0], kv[1], at, &params), 8, (double)(p[DIM] + p[CAPACITY]));
}

static const tuff_case cases[] = {
    {"cache.write.f32.b1c1n1.h1d1.at0", write, {1, 1, 1, 1, 1}},
    {"cache.write.f32.b2c9n3.h2d5.at4", write, {2, 9, 3, 2, 5, 4}},
    {"cache.write.f32.b2c16n1.h3d64.at7", write, {2, 16, 1, 3, 64, 7}},
    {"cache.write.f32.b2c9n6.h2d4.at5", write, {2, 9, 6, 2, 4, 5}},
    {"cache.write.f32.b1c9n6.h2d4.before3", write, {1, 9, 6, 2, 4, -3}},
    {"cache.write.f32.b1c9n2.h2d4.at9", write, {1, 9, 2, 2, 4, 9}},
    {"cache.write.f32.b2c9n3.h2d5.at1.strided", write, {2, 9, 3, 2, 5, 1, TUFF_F32, 2}},
    {"cache.write.f16.b2c9n3.h2d6.at4", write, {2, 9, 3, 2, 6, 4, TUFF_F16}},
    {"cache.write.f16.b2c9n4.h3d64.at2.strided", write, {2, 9, 4, 3, 64, 2, TUFF_F16, 2}},
    {"cache.write.f16.b2c9n6.h2d4.at5", write, {2, 9, 6, 2, 4, 5, TUFF_F16}},
    {"cache.attended.f32.b2c40n20.h2d16.at0", attended, {2, 40, 20, 2, 16, 0}},
    {"cache.attended.f16.b2c40n1.h2d16.at30", attended, {2, 40, 1, 2, 16, 30, TUFF_F16}},
};

const tuff_case_family tuff_family_cache = {"cache", cases, sizeof cases / sizeof cases[0]};
