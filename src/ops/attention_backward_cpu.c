/* Attention on the host: backward. Two passes, so that nothing is shared between threads: one over blocks of
 * queries for d_q, one over blocks of keys for d_k and d_v, whose sums run over heads and queries in
 * ascending order. */
#include <string.h>

#include "ops/attention_lanes.h"

typedef struct backward {
    const tuff_attention_problem *p;
    const float *q, *k, *v, *o, *lse, *d_o;
    const int32_t *start;
    float *dq, *dk, *dv;
    float *delta; /* [B, Hq, Tq], as lse */
} backward;

TUFF_KERNEL static void delta_of(const backward *w, int64_t b, int64_t h)
{
    const tuff_attention_problem *p = w->p;
    for (int64_t t = 0; t < p->Tq; t++) {
        int64_t at = ((b * p->Tq + t) * p->Hq + h) * p->D;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t d = 0; d < p->D; d++)
            sum += w->o[at + d] * w->d_o[at + d];
        w->delta[(b * p->Hq + h) * p->Tq + t] = sum;
    }
}

static void delta_range(int64_t begin, int64_t end, void *context)
{
    const backward *w = context;
    for (int64_t i = begin; i < end; i++)
        delta_of(w, i / w->p->Hq, i % w->p->Hq);
}

/* ---- d_q: lanes are queries ---- */

TUFF_KERNEL static void queries_block(const backward *w, int64_t index)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D;
    tuff_lane_block block;
    tuff_lanes q[TUFF_ATTENTION_MAX_DIM], d_o[TUFF_ATTENTION_MAX_DIM], dq[TUFF_ATTENTION_MAX_DIM];
    tuff_lanes scores[BLOCK], d_scores[BLOCK];
    float lse[LANES], delta[LANES], factor[LANES];
    tuff_lane_block_of(p, w->start, index, &block);
    tuff_lanes_load(&block, p->G, D, w->q, p->q.b, p->q.t, p->q.h, q);
    tuff_lanes_load(&block, p->G, D, w->d_o, p->Tq * p->Hq * D, p->Hq * D, D, d_o);
    for (int64_t i = 0; i < LANES; i++) {
        int64_t row = block.first + i, at = (block.b * p->Hq + block.h + row % p->G) * p->Tq + row / p->G;
        lse[i] = i < block.count ? w->lse[at] : 0;
        delta[i] = i < block.count ? w->delta[at] : 0;
        factor[i] = p->scale;
    }
    for (int64_t d = 0; d < D; d++)
        dq[d] = (tuff_lanes){0};
    const float *k = w->k + block.b * p->k.b + block.h / p->G * p->k.h;
    const float *v = w->v + block.b * p->v.b + block.h / p->G * p->v.h;
    for (int64_t key = block.least; key < block.most; key += BLOCK) {
        int64_t n = block.most - key < BLOCK ? block.most - key : BLOCK;
        tuff_lanes_scores(k + key * p->k.t, p->k.t, n, q, D, scores);
        tuff_lanes_scores(v + key * p->v.t, p->v.t, n, d_o, D, d_scores);
        for (int64_t j = 0; j < n; j++) {
            float *s = (float *)&scores[j], *d = (float *)&d_scores[j];
            int32_t at = (int32_t)(key + j);
            TUFF_LANES
            for (int i = 0; i < LANES; i++) {
                float ds = tuff_expf(s[i] * p->scale - lse[i]) * (d[i] - delta[i]);
                s[i] = at >= block.begin[i] && at < block.end[i] ? ds : 0;
            }
        }
        tuff_lanes_accumulate(k + key * p->k.t, p->k.t, n, scores, D, dq);
    }
    tuff_lanes_store(&block, p, dq, factor, w->dq);
}

static void queries_range(int64_t begin, int64_t end, void *context)
{
    for (int64_t i = begin; i < end; i++)
        queries_block(context, i);
}

/* ---- d_k, d_v: lanes are keys ---- */

/* Query times from which and up to which some key of first..last is seen. */
static void times_of(const tuff_attention_problem *p, int64_t start, int64_t first, int64_t last,
                     int64_t *begin, int64_t *end)
{
    *begin = p->causal && first > start ? first - start : 0;
    *end = p->Tq;
    if (p->causal && p->window > 0 && last + p->window - start < *end) *end = last + p->window - start;
}

TUFF_KERNEL static void keys_block(const backward *w, int64_t index)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D, blocks = (p->Tk + LANES - 1) / LANES;
    int64_t b = index / blocks / p->Hkv, h = index / blocks % p->Hkv, first = index % blocks * LANES, begin,
            end;
    int64_t count = p->Tk - first < LANES ? p->Tk - first : LANES, start = w->start ? w->start[b] : 0;
    tuff_lanes k[TUFF_ATTENTION_MAX_DIM], v[TUFF_ATTENTION_MAX_DIM];
    tuff_lanes dk[TUFF_ATTENTION_MAX_DIM], dv[TUFF_ATTENTION_MAX_DIM];
    tuff_lanes scores[BLOCK], d_scores[BLOCK];
    /* the loads of a block of queries, with a key in place of a query */
    tuff_lane_block keys = {.b = b, .h = h, .first = first, .count = count};
    tuff_lanes_load(&keys, 1, D, w->k, p->k.b, p->k.t, p->k.h, k);
    tuff_lanes_load(&keys, 1, D, w->v, p->v.b, p->v.t, p->v.h, v);
    for (int64_t d = 0; d < D; d++)
        dk[d] = dv[d] = (tuff_lanes){0};
    times_of(p, start, first, first + count - 1, &begin, &end);
    for (int64_t head = h * p->G; head < (h + 1) * p->G; head++)
        for (int64_t t = begin; t < end; t += BLOCK) {
            int64_t n = end - t < BLOCK ? end - t : BLOCK;
            const float *q = w->q + b * p->q.b + t * p->q.t + head * p->q.h;
            const float *d_o = w->d_o + ((b * p->Tq + t) * p->Hq + head) * D;
            const float *lse = w->lse + (b * p->Hq + head) * p->Tq + t;
            const float *delta = w->delta + (b * p->Hq + head) * p->Tq + t;
            tuff_lanes_scores(q, p->q.t, n, k, D, scores);
            tuff_lanes_scores(d_o, p->Hq * D, n, v, D, d_scores);
            for (int64_t r = 0; r < n; r++) {
                int64_t from, to;
                tuff_attention_range(p, start + t + r, &from, &to);
                float *s = (float *)&scores[r], *d = (float *)&d_scores[r];
                int32_t low = (int32_t)(from - first > LANES ? LANES : from - first);
                int32_t high = (int32_t)(to - first > LANES ? LANES : to - first < 0 ? 0 : to - first);
                TUFF_LANES
                for (int i = 0; i < LANES; i++) {
                    float probability = tuff_expf(s[i] * p->scale - lse[r]);
                    float ds = probability * (d[i] - delta[r]);
                    bool seen = i >= low && i < high;
                    s[i] = seen ? probability : 0;
                    d[i] = seen ? ds : 0;
                }
            }
            tuff_lanes_accumulate(d_o, p->Hq * D, n, scores, D, dv);
            tuff_lanes_accumulate(q, p->q.t, n, d_scores, D, dk);
        }
    for (int64_t i = 0; i < count; i++) {
        int64_t at = ((b * p->Tk + first + i) * p->Hkv + h) * D;
        for (int64_t d = 0; d < D; d++) {
            w->dk[at + d] = ((const float *)dk)[d * LANES + i] * p->scale;
            w->dv[at + d] = ((const float *)dv)[d * LANES + i];
        }
    }
}

static void keys_range(int64_t begin, int64_t end, void *context)
{
    for (int64_t i = begin; i < end; i++)
        keys_block(context, i);
}

void tuff_attention_backward_cpu(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    backward w = {.p = &p,
                  .q = in[TUFF_ATTENTION_Q],
                  .k = in[TUFF_ATTENTION_K],
                  .v = in[TUFF_ATTENTION_V],
                  .o = in[TUFF_ATTENTION_O],
                  .lse = in[TUFF_ATTENTION_LSE],
                  .d_o = in[TUFF_ATTENTION_D_O],
                  .start = in[TUFF_ATTENTION_BACKWARD_START],
                  .dq = out[0],
                  .dk = out[1],
                  .dv = out[2],
                  .delta = scratch};
    tuff_parallel(p.B * p.Hq, 1, delta_range, &w);
    tuff_parallel(p.B * p.Hkv * ((p.G * p.Tq + LANES - 1) / LANES), 1, queries_range, &w);
    tuff_parallel(p.B * p.Hkv * ((p.Tk + LANES - 1) / LANES), 1, keys_range, &w);
}

size_t tuff_attention_backward_cpu_scratch(const tuff_node *node)
{
    return (size_t)tuff_tensor_count(node->in[TUFF_ATTENTION_LSE]) * sizeof(float);
}
