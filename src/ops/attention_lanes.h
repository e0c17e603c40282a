/* The inner products of attention on the host. Sixteen queries (or, for the gradients of keys, sixteen keys)
 * sit side by side in the lanes of a vector, so that softmax needs no sums across lanes; rows of the other
 * operand are read where they lie and broadcast element by element. */
#ifndef TUFF_OPS_ATTENTION_LANES_H
#define TUFF_OPS_ATTENTION_LANES_H

#include <math.h>

#include "backend/cpu/kernels.h"
#include "ops/attention.h"
#include "ops/support.h"

enum {
    LANES = 16,
    BLOCK =
        48 /* rows at a time: with a head dim of 64, two operands' rows and the lanes fill a 32 KiB cache */
};

typedef float tuff_lanes __attribute__((vector_size(4 * LANES), may_alias));

#define TUFF_INLINE static inline __attribute__((always_inline))

/* out[r] = sum over d of rows[r * stride + d] * columns[d], R rows; R is a constant at every call */
TUFF_INLINE void scores_of(int R, const float *rows, int64_t stride, const tuff_lanes *columns, int64_t D,
                           tuff_lanes *out)
{
    tuff_lanes sum[6];
    for (int r = 0; r < R; r++)
        sum[r] = (tuff_lanes){0};
    for (int64_t d = 0; d < D; d++)
        for (int r = 0; r < R; r++)
            sum[r] += rows[r * stride + d] * columns[d];
    for (int r = 0; r < R; r++)
        out[r] = sum[r];
}

TUFF_INLINE void tuff_lanes_scores(const float *rows, int64_t stride, int64_t n, const tuff_lanes *columns,
                                   int64_t D, tuff_lanes *out)
{
    int64_t r = 0;
    for (; r + 6 <= n; r += 6)
        scores_of(6, rows + r * stride, stride, columns, D, out + r);
    for (; r + 2 <= n; r += 2)
        scores_of(2, rows + r * stride, stride, columns, D, out + r);
    for (; r < n; r++)
        scores_of(1, rows + r * stride, stride, columns, D, out + r);
}

/* sum[d] += sum over r of rows[r * stride + d] * weights[r], N columns; N is a constant at every call */
TUFF_INLINE void accumulate_of(int N, const float *rows, int64_t stride, int64_t n, const tuff_lanes *weights,
                               tuff_lanes *sum)
{
    tuff_lanes s[6];
    for (int d = 0; d < N; d++)
        s[d] = sum[d];
    for (int64_t r = 0; r < n; r++)
        for (int d = 0; d < N; d++)
            s[d] += rows[r * stride + d] * weights[r];
    for (int d = 0; d < N; d++)
        sum[d] = s[d];
}

TUFF_INLINE void tuff_lanes_accumulate(const float *rows, int64_t stride, int64_t n,
                                       const tuff_lanes *weights, int64_t D, tuff_lanes *sum)
{
    int64_t d = 0;
    for (; d + 6 <= D; d += 6)
        accumulate_of(6, rows + d, stride, n, weights, sum + d);
    for (; d + 2 <= D; d += 2)
        accumulate_of(2, rows + d, stride, n, weights, sum + d);
    for (; d < D; d++)
        accumulate_of(1, rows + d, stride, n, weights, sum + d);
}

/* Sixteen query rows of one key-value head: row r is query time r / G of head group member r % G. */
typedef struct tuff_lane_block {
    int64_t b, h;                     /* batch, first query head of the group */
    int64_t first, count;             /* rows */
    int32_t begin[LANES], end[LANES]; /* keys that each lane sees */
    int64_t least, most;              /* union of them */
    int64_t full_from, full_to;       /* keys that all lanes see */
} tuff_lane_block;

TUFF_INLINE void tuff_lane_block_of(const tuff_attention_problem *p, const int32_t *start, int64_t index,
                                    tuff_lane_block *out)
{
    int64_t rows = p->G * p->Tq, blocks = (rows + LANES - 1) / LANES;
    int64_t head = index / blocks;
    out->b = head / p->Hkv;
    out->h = head % p->Hkv * p->G;
    out->first = index % blocks * LANES;
    out->count = rows - out->first < LANES ? rows - out->first : LANES;
    out->least = out->full_to = p->Tk;
    out->most = out->full_from = 0;
    for (int64_t i = 0; i < LANES; i++) {
        int64_t begin = 0, end = 0;
        if (i < out->count)
            tuff_attention_range(p, (out->first + i) / p->G + (start ? start[out->b] : 0), &begin, &end);
        if (begin > p->Tk) begin = p->Tk;
        if (end < 0) end = 0;
        out->begin[i] = (int32_t)begin;
        out->end[i] = (int32_t)end;
        if (begin >= end) {
            if (i < out->count) out->full_to = 0;
            continue;
        }
        if (begin < out->least) out->least = begin;
        if (end > out->most) out->most = end;
        if (begin > out->full_from) out->full_from = begin;
        if (end < out->full_to) out->full_to = end;
    }
}

/* columns[d] lane i = element d of row first + i of x, whose strides are given; 0 past the last row */
TUFF_INLINE void tuff_lanes_load(const tuff_lane_block *block, int64_t G, int64_t D, const float *x,
                                 int64_t batch, int64_t time, int64_t head, tuff_lanes *columns)
{
    float *to = (float *)columns;
    for (int64_t i = 0; i < LANES; i++) {
        int64_t row = block->first + i;
        const float *from = x + block->b * batch + row / G * time + (block->h + row % G) * head;
        if (i < block->count)
            for (int64_t d = 0; d < D; d++)
                to[d * LANES + i] = from[d];
        else
            for (int64_t d = 0; d < D; d++)
                to[d * LANES + i] = 0;
    }
}

/* The reverse, to a contiguous [B, Tq, Hq, D], each lane times its factor. */
TUFF_INLINE void tuff_lanes_store(const tuff_lane_block *block, const tuff_attention_problem *p,
                                  const tuff_lanes *columns, const float *factor, float *x)
{
    const float *from = (const float *)columns;
    for (int64_t i = 0; i < block->count; i++) {
        int64_t row = block->first + i;
        float *to = x + ((block->b * p->Tq + row / p->G) * p->Hq + block->h + row % p->G) * p->D;
        for (int64_t d = 0; d < p->D; d++)
            to[d] = from[d * LANES + i] * factor[i];
    }
}

#endif
