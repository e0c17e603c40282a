/* Attention on the host: forward. */
#include <string.h>

#include "ops/attention_lanes.h"

typedef struct forward {
    const tuff_attention_problem *p;
    const float *q;
    const char *k, *v;
    const int32_t *start;
    float *o, *lse;
} forward;

/* Running maximum and sum of each lane, and p * v summed, for one block of lanes. */
typedef struct state {
    tuff_lanes sum[TUFF_ATTENTION_MAX_DIM];
    float max[LANES], total[LANES];
} state;

/* Turns the scores of n keys from `key` on into probabilities under a new running maximum; `all` when every
 * lane sees every one of them. Scales what was summed before. */
TUFF_INLINE void soften(const tuff_lane_block *block, int64_t key, int64_t n, bool all, float scale,
                        int64_t D, tuff_lanes *scores, state *s)
{
    float *score = (float *)scores;
    float max[LANES], base[LANES], total[LANES], factor[LANES];
    memcpy(max, s->max, sizeof max);
    for (int64_t j = 0; j < n; j++) {
        float *row = score + j * LANES;
        int32_t at = (int32_t)(key + j);
        TUFF_LANES
        for (int i = 0; i < LANES; i++) {
            float x = row[i] * scale;
            if (!all) x = at >= block->begin[i] && at < block->end[i] ? x : -INFINITY;
            row[i] = x;
            max[i] = x > max[i] ? x : max[i];
        }
    }
    TUFF_LANES
    for (int i = 0; i < LANES; i++) {
        base[i] = max[i] == -INFINITY ? 0 : max[i];
        factor[i] = tuff_expf(s->max[i] - base[i]);
        total[i] = s->total[i] * factor[i];
        s->max[i] = max[i];
    }
    for (int64_t j = 0; j < n; j++) {
        float *row = score + j * LANES;
        TUFF_LANES
        for (int i = 0; i < LANES; i++) {
            row[i] = tuff_expf(row[i] - base[i]);
            total[i] += row[i];
        }
    }
    memcpy(s->total, total, sizeof total);
    tuff_lanes by;
    memcpy(&by, factor, sizeof by);
    for (int64_t d = 0; d < D; d++)
        s->sum[d] *= by;
}

/* Rows of k or v in f32: where they lie, or converted into `room`. */
static const float *rows_of(const char *base, const tuff_attention_operand *x, int64_t at, int64_t n,
                            int64_t D, float *room, int64_t *stride)
{
    if (x->dtype == TUFF_F32) {
        *stride = x->t;
        return (const float *)(const void *)base + at;
    }
    for (int64_t j = 0; j < n; j++)
        tuff_dtype_to_f32(x->dtype, base + (at + j * x->t) * (int64_t)tuff_dtype_size(x->dtype), room + j * D,
                          (size_t)D);
    *stride = D;
    return room;
}

TUFF_KERNEL static void forward_block(const forward *w, int64_t index)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D, head;
    tuff_lane_block block;
    tuff_lanes q[TUFF_ATTENTION_MAX_DIM], scores[BLOCK];
    float room[BLOCK * TUFF_ATTENTION_MAX_DIM];
    state s = {.total = {0}};
    tuff_lane_block_of(p, w->start, index, &block);
    tuff_lanes_load(&block, p->G, D, w->q, p->q.b, p->q.t, p->q.h, q);
    for (int i = 0; i < LANES; i++)
        s.max[i] = -INFINITY;
    head = block.h / p->G;
    for (int64_t key = block.least; key < block.most; key += BLOCK) {
        int64_t n = block.most - key < BLOCK ? block.most - key : BLOCK, stride;
        const float *rows =
            rows_of(w->k, &p->k, block.b * p->k.b + key * p->k.t + head * p->k.h, n, D, room, &stride);
        tuff_lanes_scores(rows, stride, n, q, D, scores);
        if (key >= block.full_from && key + n <= block.full_to)
            soften(&block, key, n, true, p->scale, D, scores, &s);
        else
            soften(&block, key, n, false, p->scale, D, scores, &s);
        rows = rows_of(w->v, &p->v, block.b * p->v.b + key * p->v.t + head * p->v.h, n, D, room, &stride);
        tuff_lanes_accumulate(rows, stride, n, scores, D, s.sum);
    }
    float factor[LANES];
    for (int64_t i = 0; i < LANES; i++)
        factor[i] = block.begin[i] < block.end[i] ? 1 / s.total[i] : 0;
    tuff_lanes_store(&block, p, s.sum, factor, w->o);
    for (int64_t i = 0; i < block.count; i++) {
        int64_t row = block.first + i, h = block.h + row % p->G;
        w->lse[(block.b * p->Hq + h) * p->Tq + row / p->G] =
            block.begin[i] < block.end[i] ? s.max[i] + logf(s.total[i]) : -INFINITY;
    }
}

static void forward_range(int64_t begin, int64_t end, void *context)
{
    for (int64_t i = begin; i < end; i++)
        forward_block(context, i);
}

void tuff_attention_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    const int32_t *start = in[TUFF_ATTENTION_START];
    if (tuff_attention_few(&p)) {
        tuff_attention_few_cpu(&p, in[0], in[1], in[2], start, out[0], out[1], scratch);
        return;
    }
    forward w = {&p, in[0], in[1], in[2], start, out[0], out[1]};
    tuff_parallel(p.B * p.Hkv * ((p.G * p.Tq + LANES - 1) / LANES), 1, forward_range, &w);
}

size_t tuff_attention_cpu_scratch(const tuff_node *node)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    return tuff_attention_few(&p) ? tuff_attention_few_scratch(&p) : 0;
}
