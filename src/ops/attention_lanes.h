/* The blocks of attention on the host, included once for each instruction set, with
 *     WIDTH       floats of a vector
 *     ROWS        rows multiplied at a time: as many as registers hold sums for
 *     NAME(x)     x with a suffix
 *     TARGET      the function attribute
 *
 * Sixteen queries (or, for the gradients of keys, sixteen keys) sit side by side in the lanes of vectors, so
 * that softmax needs no sums across lanes; rows of the other operand are read where they lie and broadcast
 * element by element. */
#define INLINE static inline __attribute__((always_inline)) TARGET
#define PARTS  (LANES / WIDTH)
#define SPREAD (WIDTH == 16 ? 8 : 6) /* rows of two vectors at a time */

typedef float NAME(vector) __attribute__((vector_size(4 * WIDTH), may_alias));
typedef int32_t NAME(integers) __attribute__((vector_size(4 * WIDTH), may_alias));

/* sum + a * x, rounded once where the machine can: asked for, so that all blocks that add up the same terms
 * get the same bits, whatever the compiler makes of each. */
INLINE NAME(vector) NAME(add)(NAME(vector) sum, float a, NAME(vector) x)
{
#if WIDTH == 16
    return (NAME(vector))_mm512_fmadd_ps(_mm512_set1_ps(a), (__m512)x, (__m512)sum);
#elif WIDTH == 8
    return (NAME(vector))_mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)x, (__m256)sum);
#else
    return sum + a * x;
#endif
}

/* out[r] = sum over d of rows[r * stride + d] * columns[d], n rows; n is a constant at every call */
INLINE void NAME(scores_of)(int n, const float *rows, int64_t stride, const float *columns, int64_t D,
                            float *out)
{
    const NAME(vector) *x = (const NAME(vector) *)(const void *)columns;
    NAME(vector) sum[ROWS][PARTS];
    for (int r = 0; r < n; r++)
        for (int v = 0; v < PARTS; v++)
            sum[r][v] = (NAME(vector)){0};
    for (int64_t d = 0; d < D; d++)
        for (int r = 0; r < n; r++)
            for (int v = 0; v < PARTS; v++)
                sum[r][v] = NAME(add)(sum[r][v], rows[r * stride + d], x[d * PARTS + v]);
    for (int r = 0; r < n; r++)
        for (int v = 0; v < PARTS; v++)
            ((NAME(vector) *)(void *)out)[r * PARTS + v] = sum[r][v];
}

INLINE void NAME(scores)(const float *rows, int64_t stride, int64_t n, const float *columns, int64_t D,
                         float *out)
{
    int64_t r = 0;
    for (; r + ROWS <= n; r += ROWS)
        NAME(scores_of)(ROWS, rows + r * stride, stride, columns, D, out + r * LANES);
    for (; r + 2 <= n; r += 2)
        NAME(scores_of)(2, rows + r * stride, stride, columns, D, out + r * LANES);
    for (; r < n; r++)
        NAME(scores_of)(1, rows + r * stride, stride, columns, D, out + r * LANES);
}

/* The same where a lane sees, sum elsewhere, whatever x is there. */
INLINE NAME(vector) NAME(add_seen)(NAME(integers) seen, NAME(vector) sum, float a, NAME(vector) x)
{
#if WIDTH == 16
    return (NAME(vector))_mm512_mask3_fmadd_ps(_mm512_set1_ps(a), (__m512)x, (__m512)sum,
                                               _mm512_test_epi32_mask((__m512i)seen, (__m512i)seen));
#else
    NAME(vector) more = NAME(add)(sum, a, x);
    return (NAME(vector))((seen & (NAME(integers))more) | (~seen & (NAME(integers))sum));
#endif
}

/* sum[d] += sum over r of rows[r * stride + d] * weights[r], c columns; c is a constant at every call, and
 * `all`, true when every lane sees every row. Else lane i sees the rows from low[i] up to high[i]: what it
 * does not see may be anything, and is left out. */
INLINE void NAME(accumulate_of)(int c, bool all, const int32_t *low, const int32_t *high, const float *rows,
                                int64_t stride, int64_t n, const float *weights, float *sum)
{
    const NAME(vector) *x = (const NAME(vector) *)(const void *)weights;
    const NAME(integers) *from = (const NAME(integers) *)(const void *)low;
    const NAME(integers) *to = (const NAME(integers) *)(const void *)high;
    NAME(vector) *out = (NAME(vector) *)(void *)sum, s[ROWS][PARTS];
    for (int d = 0; d < c; d++)
        for (int v = 0; v < PARTS; v++)
            s[d][v] = out[d * PARTS + v];
    for (int64_t r = 0; r < n; r++) {
        NAME(integers) at = (NAME(integers)){0} + (int32_t)r, seen[PARTS];
        for (int v = 0; v < PARTS && !all; v++)
            seen[v] = (at >= from[v]) & (at < to[v]);
        for (int d = 0; d < c; d++)
            for (int v = 0; v < PARTS; v++) {
                const float a = rows[r * stride + d];
                if (all)
                    s[d][v] = NAME(add)(s[d][v], a, x[r * PARTS + v]);
                else
                    s[d][v] = NAME(add_seen)(seen[v], s[d][v], a, x[r * PARTS + v]);
            }
    }
    for (int d = 0; d < c; d++)
        for (int v = 0; v < PARTS; v++)
            out[d * PARTS + v] = s[d][v];
}

INLINE void NAME(accumulate)(bool all, const int32_t *low, const int32_t *high, const float *rows,
                             int64_t stride, int64_t n, const float *weights, int64_t D, float *sum)
{
    int64_t d = 0;
    for (; d + ROWS <= D; d += ROWS)
        NAME(accumulate_of)(ROWS, all, low, high, rows + d, stride, n, weights, sum + d * LANES);
    for (; d + 2 <= D; d += 2)
        NAME(accumulate_of)(2, all, low, high, rows + d, stride, n, weights, sum + d * LANES);
    for (; d < D; d++)
        NAME(accumulate_of)(1, all, low, high, rows + d, stride, n, weights, sum + d * LANES);
}

/* Some rows, which not all lanes see; low and high count from the row before these. */
TARGET static __attribute__((noinline)) void NAME(accumulate_some)(const int32_t *low, const int32_t *high,
                                                                   int64_t from, int64_t to,
                                                                   const float *rows, int64_t stride,
                                                                   const float *weights, int64_t D,
                                                                   float *sum)
{
    _Alignas(64) int32_t begin[LANES], end[LANES];
    for (int i = 0; i < LANES; i++) {
        begin[i] = low[i] - (int32_t)from;
        end[i] = high[i] - (int32_t)from;
    }
    NAME(accumulate)
    (false, begin, end, rows + from * stride, stride, to - from, weights + from * LANES, D, sum);
}

/* The same where all lanes see the rows from `from` up to `to`, and some of them others. */
INLINE void NAME(accumulate_seen)(const int32_t *low, const int32_t *high, int64_t from, int64_t to,
                                  const float *rows, int64_t stride, int64_t n, const float *weights,
                                  int64_t D, float *sum)
{
    if (from < 0) from = 0;
    if (to > n) to = n;
    if (from >= to) from = to = n;
    if (from > 0) NAME(accumulate_some)(low, high, 0, from, rows, stride, weights, D, sum);
    NAME(accumulate)
    (true, low, high, rows + from * stride, stride, to - from, weights + from * LANES, D, sum);
    if (to < n) NAME(accumulate_some)(low, high, to, n, rows, stride, weights, D, sum);
}

/* Keys from `key` on: accumulate_seen for the queries of a block. */
INLINE void NAME(accumulate_keys)(const lane_block *block, int64_t key, const float *rows, int64_t stride,
                                  int64_t n, const float *weights, int64_t D, float *sum)
{
    _Alignas(64) int32_t low[LANES], high[LANES];
    for (int i = 0; i < LANES; i++) {
        low[i] = block->begin[i] - (int32_t)key;
        high[i] = block->end[i] - (int32_t)key;
    }
    NAME(accumulate_seen)
    (low, high, block->full_from - key, block->full_to - key, rows, stride, n, weights, D, sum);
}

/* columns[d] lane i = element d of row first + i of x, whose strides are given; 0 past the last query */
INLINE void NAME(load)(const lane_block *block, int64_t G, int64_t D, const float *x, int64_t time,
                       int64_t head, float *columns)
{
    for (int64_t i = 0; i < LANES; i++) {
        int64_t row = block->first + i;
        bool inside = i < block->live;
        const float *from = x + (block->q_begin + row / G) * time + (block->h + row % G) * head;
        for (int64_t d = 0; d < D; d++)
            columns[d * LANES + i] = inside ? from[d] : 0;
    }
}

/* The reverse, to a contiguous [N, Hq, D], each lane times its factor; zeros where it sees nothing. */
INLINE void NAME(store)(const lane_block *block, const tuff_attention_problem *p, const float *columns,
                        const float *factor, float *x)
{
    for (int64_t i = 0; i < block->count; i++) {
        int64_t row = block->first + i;
        float *to = x + ((block->q_begin + row / p->s.G) * p->Hq + block->h + row % p->s.G) * p->D;
        bool sees = block->begin[i] < block->end[i];
        for (int64_t d = 0; d < p->D; d++)
            to[d] = sees ? columns[d * LANES + i] * factor[i] : 0;
    }
}

/* Products of n keys from `key` on become scores; slopes may be NULL. */
TARGET static void NAME(shape)(const tuff_attention_problem *p, const lane_block *block, const float *bias,
                               int64_t key, int64_t n, float *scores, float *slopes)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < LANES; i++) {
            int64_t row = block->first + i, at = j * LANES + i;
            float slope;
            scores[at] = tuff_attention_shape(p, i < block->live ? bias : NULL, block->h + row % p->s.G,
                                              key + j - block->start - row / p->s.G, scores[at], &slope);
            if (slopes) slopes[at] = slope;
        }
}

#include "ops/attention_lanes_dropout.h"

/* ---- forward ---- */

/* Running maximum and sum of each lane, and p * v summed, for one block of lanes. */
typedef struct NAME(state) {
    _Alignas(64) float sum[TUFF_ATTENTION_MAX_DIM * LANES];
    float max[LANES], total[LANES];
} NAME(state);

/* The larger of each lane; y where x is not a number. */
INLINE NAME(vector) NAME(larger)(NAME(vector) x, NAME(vector) y)
{
#if WIDTH == 16
    return (NAME(vector))_mm512_max_ps((__m512)x, (__m512)y);
#elif WIDTH == 8
    return (NAME(vector))_mm256_max_ps((__m256)x, (__m256)y);
#else
    NAME(integers) more = x > y;
    return (NAME(vector))((more & (NAME(integers))x) | (~more & (NAME(integers))y));
#endif
}

/* Scales the scores of n keys from `key` on, which become -inf where a lane does not see; `all` when every
 * lane sees every one of them. Raises max[LANES] to the largest. */
INLINE void NAME(raise)(const lane_block *block, int64_t key, int64_t n, bool all, float scale, float *scores,
                        float *max)
{
    const NAME(integers) *begin = (const NAME(integers) *)(const void *)block->begin;
    const NAME(integers) *end = (const NAME(integers) *)(const void *)block->end;
    const NAME(integers) nothing = (NAME(integers))((NAME(vector)){0} - INFINITY);
    NAME(vector) *row = (NAME(vector) *)(void *)scores, most[PARTS];
    memcpy(most, max, sizeof most);
    for (int64_t j = 0; j < n; j++)
        for (int v = 0; v < PARTS; v++) {
            NAME(vector) x = row[j * PARTS + v] * scale;
            NAME(integers) at = (NAME(integers)){0} + (int32_t)(key + j);
            NAME(integers) seen = (at >= begin[v]) & (at < end[v]);
            if (!all) x = (NAME(vector))((seen & (NAME(integers))x) | (~seen & nothing));
            row[j * PARTS + v] = x;
            most[v] = NAME(larger)(x, most[v]);
        }
    memcpy(max, most, sizeof most);
}

/* Turns the scores of n keys from `key` on into probabilities under a new running maximum. Scales what was
 * summed before. */
INLINE void NAME(soften)(const lane_block *block, int64_t key, int64_t n, bool all, float scale, int64_t D,
                         float *scores, NAME(state) * s)
{
    float max[LANES], base[LANES], total[LANES], factor[LANES];
    memcpy(max, s->max, sizeof max);
    NAME(raise)(block, key, n, all, scale, scores, max);
    TUFF_LANES
    for (int i = 0; i < LANES; i++) {
        base[i] = max[i] == -INFINITY ? 0 : max[i];
        factor[i] = tuff_expf(s->max[i] - base[i]);
        total[i] = s->total[i] * factor[i];
        s->max[i] = max[i];
    }
    for (int64_t j = 0; j < n; j++) {
        float *row = scores + j * LANES;
        TUFF_LANES
        for (int i = 0; i < LANES; i++) {
            row[i] = tuff_expf(row[i] - base[i]);
            total[i] += row[i];
        }
    }
    memcpy(s->total, total, sizeof total);
    for (int64_t d = 0; d < D; d++) {
        TUFF_LANES
        for (int i = 0; i < LANES; i++)
            s->sum[d * LANES + i] *= factor[i];
    }
}

TARGET static void NAME(forward_block)(const forward *w, int64_t head, const int32_t *tile)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D;
    _Alignas(64) float q[TUFF_ATTENTION_MAX_DIM * LANES], scores[BLOCK * LANES];
    float room[BLOCK * TUFF_ATTENTION_MAX_DIM], factor[LANES], lse[LANES];
    NAME(state) s;
    lane_block block = tuff_attention_block_of(p, tile, head);
    bool shaped = tuff_attention_shaped(p, w->bias);
    float scale = shaped ? 1 : p->scale;
    NAME(load)(&block, p->s.G, D, w->q, p->q.t, p->q.h, q);
    memset(s.sum, 0, (size_t)D * LANES * sizeof *s.sum);
    for (int i = 0; i < LANES; i++) {
        s.max[i] = -INFINITY;
        s.total[i] = 0;
    }
    for (int64_t key = block.least; key < block.most; key += BLOCK) {
        int64_t n = block.most - key < BLOCK ? block.most - key : BLOCK, stride, at = block.kv_begin + key;
        const float *rows =
            tuff_attention_rows_of(w->k, &p->k, at * p->k.t + head * p->k.h, n, D, room, &stride);
        NAME(scores)(rows, stride, n, q, D, scores);
        if (shaped) NAME(shape)(p, &block, w->bias, key, n, scores, NULL);
        if (key >= block.full_from && key + n <= block.full_to)
            NAME(soften)(&block, key, n, true, scale, D, scores, &s);
        else
            NAME(soften)(&block, key, n, false, scale, D, scores, &s);
        if (p->drop.factor != 0) NAME(drop_keys)(p, &block, key, n, scores);
        rows = tuff_attention_rows_of(w->v, &p->v, at * p->v.t + head * p->v.h, n, D, room, &stride);
        NAME(accumulate_keys)(&block, key, rows, stride, n, scores, D, s.sum);
    }
    for (int64_t i = 0; i < block.count; i++)
        lse[i] = tuff_attention_finish(i < block.live ? w->sinks : NULL, block.h + (block.first + i) % p->s.G,
                                       block.begin[i] < block.end[i], s.max[i], s.total[i], &factor[i]);
    NAME(store)(&block, p, s.sum, factor, w->o);
    for (int64_t i = 0; i < block.count; i++) {
        int64_t row = block.first + i;
        w->lse[(block.q_begin + row / p->s.G) * p->Hq + block.h + row % p->s.G] = lse[i];
    }
}

#include "ops/attention_lanes_backward.h"

static const tuff_attention_kernels NAME(kernels) = {NAME(forward_block), NAME(queries_block),
                                                     NAME(keys_block)};

#undef INLINE
#undef PARTS
#undef SPREAD
#undef WIDTH
#undef ROWS
#undef NAME
#undef TARGET
