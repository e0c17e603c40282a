/* Attention on the host: forward, and backward, where nothing is shared between threads. Either a thread has
 * all of a segment and head, and goes over its blocks of keys once; or blocks are spread over all threads, in
 * two passes, over those of queries for d_q and those of keys for d_k and d_v. The bits are the same: sums
 * run over queries, keys and heads in ascending order. */
#include "ops/attention_cpu.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/philox.h"
#include "ops/sigmoid.h"
#include "ops/support.h"

size_t tuff_attention_list_bytes(const tuff_work_list *list)
{
    return ((size_t)list->words * list->capacity * sizeof(int32_t) + 63) / 64 * 64;
}

int64_t tuff_attention_list(const tuff_work_list *list, const void *segments, int32_t *words)
{
    memset(words, 0, tuff_attention_list_bytes(list));
    list->fill(list, segments, words);
    return tuff_list_count(list, words);
}

void tuff_attention_set_seed(tuff_attention_problem *p, const void *seed)
{
    if (p->drop.factor != 0) memcpy(p->drop.seed, seed, sizeof p->drop.seed);
}

lane_block tuff_attention_block_of(const tuff_attention_problem *p, const int32_t *tile, int64_t kv_head)
{
    int64_t kv_len = tile[TUFF_TILE_KV_LEN];
    lane_block out = {.h = kv_head * p->s.G,
                      .first = tile[TUFF_TILE_FIRST],
                      .count = tile[TUFF_TILE_ROWS],
                      .live = tile[TUFF_TILE_LIVE],
                      .q_begin = tile[TUFF_TILE_Q_BEGIN],
                      .kv_begin = tile[TUFF_TILE_KV_BEGIN],
                      .start = kv_len - tile[TUFF_TILE_Q_LEN]};
    out.least = out.full_to = kv_len;
    for (int64_t i = 0; i < out.live; i++) {
        int64_t begin, end;
        tuff_segments_keys(&p->s, kv_len, out.start + (out.first + i) / p->s.G, &begin, &end);
        out.begin[i] = (int32_t)begin;
        out.end[i] = (int32_t)end;
        if (begin >= end) {
            out.full_to = 0;
            continue;
        }
        if (begin < out.least) out.least = begin;
        if (end > out.most) out.most = end;
        if (begin > out.full_from) out.full_from = begin;
        if (end < out.full_to) out.full_to = end;
    }
    return out;
}

float tuff_attention_finish(const float *sinks, int64_t head, bool sees, float max, float total,
                            float *out_factor)
{
    float factor = 1;
    if (sinks) {
        float sink = sinks[head], most = sink > max ? sink : max;
        factor = tuff_expf(max - most);
        total = total * factor + tuff_expf(sink - most);
        max = most;
    }
    *out_factor = factor / total;
    return sees || sinks ? max + logf(total) : INFINITY;
}

float tuff_attention_shape(const tuff_attention_problem *p, const float *bias, int64_t head, int64_t distance,
                           float product, float *out_slope)
{
    float score = product * p->scale, slope = 1;
    if (p->softcap > 0) {
        float t = tuff_tanhf(score / p->softcap);
        score = p->softcap * t;
        slope = 1 - t * t;
    }
    *out_slope = slope;
    if (!bias) return score;
    int64_t column = distance + p->zero;
    return score + bias[head * p->R + (column < 0 ? 0 : column < p->R ? column : p->R - 1)];
}

/* GCC makes poor code of vectors wider than the machine's, so each instruction set has its own. */
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
#include <immintrin.h>

#define WIDTH   16
#define ROWS    8
#define NAME(x) x##_avx512
#define TARGET  __attribute__((target("avx512f")))
#include "ops/attention_lanes.h"

#define WIDTH   8
#define ROWS    6
#define NAME(x) x##_avx2
#define TARGET  __attribute__((target("avx2,fma")))
#include "ops/attention_lanes.h"
#endif

#define WIDTH   4
#define ROWS    3
#define NAME(x) x##_any
#define TARGET
#include "ops/attention_lanes.h"

static const tuff_attention_kernels *kernels(void)
{
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return &kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kernels_avx2;
#endif
    return &kernels_any;
}

/* ---- forward ---- */

static void forward_tiles(const void *operands, int64_t kv_head, const int32_t *tiles, int64_t n)
{
    const tuff_attention_kernels *k = kernels();
    for (int64_t i = 0; i < n; i++)
        k->forward(operands, kv_head, tiles + i * TUFF_ATTENTION_ENTRY);
}

void tuff_attention_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    const void *segments = in[TUFF_ATTENTION_SEGMENTS];
    tuff_attention_set_seed(&p, in[TUFF_ATTENTION_SEED]);
    forward w = {.p = &p,
                 .q = in[TUFF_ATTENTION_Q],
                 .k = in[TUFF_ATTENTION_K],
                 .v = in[TUFF_ATTENTION_V],
                 .bias = in[TUFF_ATTENTION_BIAS],
                 .sinks = in[TUFF_ATTENTION_SINKS],
                 .o = out[0],
                 .lse = out[1]};
    if (p.s.cached) tuff_attention_few_cpu(&w, segments, scratch);
    if (tuff_segments_all_few(&p.s)) return;
    tuff_work_list tiles = tuff_query_tiles(&p.s, 0, LANES, true);
    int64_t n = tuff_attention_list(&tiles, segments, scratch);
    tuff_attention_share(&(tuff_attention_shares){
        .p = &p, .tiles = scratch, .n_tiles = n, .run = forward_tiles, .operands = &w});
}

size_t tuff_attention_cpu_scratch(const tuff_node *node)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_work_list tiles = tuff_query_tiles(&p.s, 0, LANES, true);
    size_t few = p.s.cached ? tuff_attention_few_scratch(&p) : 0, all = tuff_attention_list_bytes(&tiles);
    return few > all ? few : all;
}

/* ---- backward ---- */

TUFF_KERNEL static void delta_of(const backward *w, int64_t row)
{
    int64_t D = w->p->D;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t d = 0; d < D; d++)
        sum += w->o[row * D + d] * w->d_o[row * D + d];
    w->delta[row] = sum;
}

static void delta_range(int64_t begin, int64_t end, void *context)
{
    for (int64_t i = begin; i < end; i++)
        delta_of(context, i);
}

static void queries_tiles(const void *operands, int64_t kv_head, const int32_t *tiles, int64_t n)
{
    const tuff_attention_kernels *k = kernels();
    for (int64_t i = 0; i < n; i++)
        k->queries(operands, kv_head, tiles + i * TUFF_ATTENTION_ENTRY);
}

static void keys_tiles(const void *operands, int64_t kv_head, const int32_t *tiles, int64_t n)
{
    const tuff_attention_kernels *k = kernels();
    for (int64_t i = 0; i < n; i++)
        k->keys(operands, kv_head, tiles + i * TUFF_ATTENTION_ENTRY, false);
}

static void two_passes(const backward *w, tuff_attention_shares queries, tuff_attention_shares keys)
{
    queries.run = queries_tiles;
    keys.run = keys_tiles;
    tuff_parallel(w->p->s.N * w->p->Hq, tuff_grain(w->p->D), delta_range, (void *)(uintptr_t)w);
    tuff_attention_share(&queries);
    tuff_attention_share(&keys);
}

/* All of a segment and head. */
static void whole_tiles(const void *operands, int64_t kv_head, const int32_t *tiles, int64_t n)
{
    const backward *w = operands;
    const tuff_attention_kernels *k = kernels();
    int64_t G = w->p->s.G, D = w->p->D, t_end = tiles[TUFF_TILE_Q_LEN];
    int64_t row0 = tiles[TUFF_TILE_Q_BEGIN] * w->p->Hq + kv_head * G;
    for (int64_t t = 0; t < t_end; t++) {
        int64_t row = row0 + t * w->p->Hq;
        memset(w->dq + row * D, 0, (size_t)(G * D) * sizeof *w->dq);
        for (int64_t g = 0; g < G; g++)
            delta_of(w, row + g);
    }
    for (int64_t i = 0; i < n; i++)
        k->keys(w, kv_head, tiles + i * TUFF_ATTENTION_ENTRY, true);
    for (int64_t t = 0; t < t_end; t++)
        for (int64_t d = 0; d < G * D; d++)
            w->dq[(row0 + t * w->p->Hq) * D + d] *= w->p->scale;
}

/* What whole segments leave: rows of d_q in none, or in one without keys. */
static void clear_tiles(const void *operands, int64_t kv_head, const int32_t *tiles, int64_t n)
{
    const backward *w = operands;
    int64_t G = w->p->s.G, D = w->p->D;
    for (int64_t i = 0; i < n; i++) {
        const int32_t *tile = tiles + i * TUFF_ATTENTION_ENTRY;
        int64_t first = tile[TUFF_TILE_FIRST], live = tile[TUFF_TILE_KV_LEN] > 0 ? tile[TUFF_TILE_LIVE] : 0;
        for (int64_t row = first + live; row < first + tile[TUFF_TILE_ROWS]; row++)
            memset(w->dq + ((tile[TUFF_TILE_Q_BEGIN] + row / G) * w->p->Hq + kv_head * G + row % G) * D, 0,
                   (size_t)D * sizeof *w->dq);
    }
}

/* Probabilities are then computed once, but a thread has whole segments to do: five products of matrices, the
 * last of which is d_q's, in place of three and four. */
static void one_pass(tuff_attention_shares queries, tuff_attention_shares keys)
{
    queries.run = clear_tiles;
    keys.run = whole_tiles;
    tuff_attention_share(&queries);
    tuff_attention_share(&keys);
}

static size_t delta_bytes(const tuff_attention_problem *p)
{
    return ((size_t)(p->s.N * p->Hq) * sizeof(float) + 63) / 64 * 64;
}

void tuff_attention_backward_cpu(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    const void *segments = in[TUFF_ATTENTION_BACKWARD_SEGMENTS];
    tuff_attention_set_seed(&p, in[TUFF_ATTENTION_BACKWARD_SEED]);
    tuff_work_list tiles = tuff_query_tiles(&p.s, 0, LANES, false),
                   key_tiles = tuff_key_tiles(&p.s, 0, LANES);
    int32_t *words = (int32_t *)(void *)((char *)scratch + delta_bytes(&p));
    int32_t *key_words = words + tuff_attention_list_bytes(&tiles) / sizeof *words;
    backward w = {.p = &p,
                  .q = in[TUFF_ATTENTION_Q],
                  .k = in[TUFF_ATTENTION_K],
                  .v = in[TUFF_ATTENTION_V],
                  .o = in[TUFF_ATTENTION_O],
                  .lse = in[TUFF_ATTENTION_LSE],
                  .d_o = in[TUFF_ATTENTION_D_O],
                  .bias = in[TUFF_ATTENTION_BACKWARD_BIAS],
                  .dq = out[0],
                  .dk = out[1],
                  .dv = out[2],
                  .delta = scratch};
    tuff_attention_shares queries = {.p = &p, .tiles = words, .operands = &w}, keys = queries;
    queries.n_tiles = tuff_attention_list(&tiles, segments, words);
    keys.tiles = key_words;
    keys.n_tiles = tuff_attention_list(&key_tiles, segments, key_words);
    keys.keys = keys.whole = true;
    int64_t all, longest = tuff_attention_longest_share(&keys, &all);
    if (5 * longest * tuff_thread_count() <= 7 * all) {
        one_pass(queries, keys);
    } else {
        keys.whole = false;
        two_passes(&w, queries, keys);
    }
}

size_t tuff_attention_backward_cpu_scratch(const tuff_node *node)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_work_list tiles = tuff_query_tiles(&p.s, 0, LANES, false),
                   key_tiles = tuff_key_tiles(&p.s, 0, LANES);
    return delta_bytes(&p) + tuff_attention_list_bytes(&tiles) + tuff_attention_list_bytes(&key_tiles);
}
