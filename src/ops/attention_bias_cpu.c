/* The gradient of attention's bias on the host: a head belongs to one thread, and its sums, in double, run
 * over segments, queries and keys in ascending order. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/attention_cpu.h"
#include "ops/support.h"

typedef struct job {
    const tuff_attention_problem *p;
    const float *q, *k, *v, *o, *lse, *d_o, *bias;
    const int32_t *tiles;
    int64_t n_tiles;
    double *sums; /* [Hq, R] */
    float *d_bias;
} job;

TUFF_KERNEL static void add_row(const job *w, const int32_t *tile, int64_t row, int64_t head)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D, token = tile[TUFF_TILE_Q_BEGIN] + row, at = token * p->Hq + head, begin, end;
    int64_t position = tile[TUFF_TILE_KV_LEN] - tile[TUFF_TILE_Q_LEN] + row;
    const float *q = w->q + token * p->q.t + head * p->q.h, *d_o = w->d_o + at * D;
    double *sums = w->sums + head * p->R;
    float delta = 0;
#pragma omp simd reduction(+ : delta)
    for (int64_t d = 0; d < D; d++)
        delta += w->o[at * D + d] * d_o[d];
    tuff_segments_keys(&p->s, tile[TUFF_TILE_KV_LEN], position, &begin, &end);
    for (int64_t j = begin; j < end; j++) {
        int64_t key = tile[TUFF_TILE_KV_BEGIN] + j, column = j - position + p->zero;
        const float *k = w->k + key * p->k.t + head / p->s.G * p->k.h;
        const float *v = w->v + key * p->v.t + head / p->s.G * p->v.h;
        float product = 0, d_probability = 0, slope;
#pragma omp simd reduction(+ : product, d_probability)
        for (int64_t d = 0; d < D; d++) {
            product += q[d] * k[d];
            d_probability += d_o[d] * v[d];
        }
        float kept = (float)tuff_attention_kept(&p->drop, (double)p->drop.factor, at, j);
        float score = tuff_attention_shape(p, w->bias, head, j - position, product, &slope);
        sums[column < 0      ? 0
             : column < p->R ? column
                             : p->R - 1] += tuff_expf(score - w->lse[at]) * (d_probability * kept - delta);
    }
}

static void heads_range(int64_t begin, int64_t end, void *context)
{
    const job *w = context;
    for (int64_t head = begin; head < end; head++) {
        double *sums = w->sums + head * w->p->R;
        memset(sums, 0, (size_t)w->p->R * sizeof *sums);
        for (int64_t i = 0; i < w->n_tiles; i++) {
            const int32_t *tile = w->tiles + i * TUFF_ATTENTION_ENTRY;
            for (int64_t row = 0; row < tile[TUFF_TILE_LIVE]; row++)
                add_row(w, tile, tile[TUFF_TILE_FIRST] + row, head);
        }
        for (int64_t r = 0; r < w->p->R; r++)
            w->d_bias[head * w->p->R + r] = (float)sums[r];
    }
}

/* Tiles of tokens, whatever the group. */
static tuff_work_list tiles_of(const tuff_attention_problem *p)
{
    tuff_segments s = p->s;
    s.G = 1;
    return tuff_query_tiles(&s, 0, LANES, false);
}

static size_t sums_bytes(const tuff_attention_problem *p)
{
    return ((size_t)(p->Hq * p->R) * sizeof(double) + 63) / 64 * 64;
}

void tuff_attention_bias_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_work_list tiles = tiles_of(&p);
    int32_t *words = (int32_t *)(void *)((char *)scratch + sums_bytes(&p));
    job w = {.p = &p,
             .q = in[TUFF_ATTENTION_Q],
             .k = in[TUFF_ATTENTION_K],
             .v = in[TUFF_ATTENTION_V],
             .o = in[TUFF_ATTENTION_O],
             .lse = in[TUFF_ATTENTION_LSE],
             .d_o = in[TUFF_ATTENTION_D_O],
             .bias = in[TUFF_ATTENTION_BACKWARD_BIAS],
             .tiles = words,
             .sums = scratch,
             .d_bias = out[0]};
    tuff_attention_set_seed(&p, in[TUFF_ATTENTION_BACKWARD_SEED]);
    w.n_tiles = tuff_attention_list(&tiles, in[TUFF_ATTENTION_BACKWARD_SEGMENTS], words);
    tuff_parallel(p.Hq, 1, heads_range, &w);
}

size_t tuff_attention_bias_cpu_scratch(const tuff_node *node)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_work_list tiles = tiles_of(&p);
    return sums_bytes(&p) + tuff_attention_list_bytes(&tiles);
}
