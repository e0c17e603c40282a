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

typedef float NAME(vector) __attribute__((vector_size(4 * WIDTH), may_alias));

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
                sum[r][v] += rows[r * stride + d] * x[d * PARTS + v];
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

/* sum[d] += sum over r of rows[r * stride + d] * weights[r], c columns; c is a constant at every call */
INLINE void NAME(accumulate_of)(int c, const float *rows, int64_t stride, int64_t n, const float *weights,
                                float *sum)
{
    const NAME(vector) *x = (const NAME(vector) *)(const void *)weights;
    NAME(vector) *to = (NAME(vector) *)(void *)sum, s[ROWS][PARTS];
    for (int d = 0; d < c; d++)
        for (int v = 0; v < PARTS; v++)
            s[d][v] = to[d * PARTS + v];
    for (int64_t r = 0; r < n; r++)
        for (int d = 0; d < c; d++)
            for (int v = 0; v < PARTS; v++)
                s[d][v] += rows[r * stride + d] * x[r * PARTS + v];
    for (int d = 0; d < c; d++)
        for (int v = 0; v < PARTS; v++)
            to[d * PARTS + v] = s[d][v];
}

INLINE void NAME(accumulate)(const float *rows, int64_t stride, int64_t n, const float *weights, int64_t D,
                             float *sum)
{
    int64_t d = 0;
    for (; d + ROWS <= D; d += ROWS)
        NAME(accumulate_of)(ROWS, rows + d, stride, n, weights, sum + d * LANES);
    for (; d + 2 <= D; d += 2)
        NAME(accumulate_of)(2, rows + d, stride, n, weights, sum + d * LANES);
    for (; d < D; d++)
        NAME(accumulate_of)(1, rows + d, stride, n, weights, sum + d * LANES);
}

/* columns[d] lane i = element d of row first + i of x, whose strides are given; 0 past the last row */
INLINE void NAME(load)(const lane_block *block, int64_t G, int64_t D, const float *x, int64_t batch,
                       int64_t time, int64_t head, float *columns)
{
    for (int64_t i = 0; i < LANES; i++) {
        int64_t row = block->first + i;
        const float *from = x + block->b * batch + row / G * time + (block->h + row % G) * head;
        bool inside = i < block->count;
        for (int64_t d = 0; d < D; d++)
            columns[d * LANES + i] = inside ? from[d] : 0;
    }
}

/* The reverse, to a contiguous [B, Tq, Hq, D], each lane times its factor. */
INLINE void NAME(store)(const lane_block *block, const tuff_attention_problem *p, const float *columns,
                        const float *factor, float *x)
{
    for (int64_t i = 0; i < block->count; i++) {
        int64_t row = block->first + i;
        float *to = x + ((block->b * p->Tq + row / p->G) * p->Hq + block->h + row % p->G) * p->D;
        for (int64_t d = 0; d < p->D; d++)
            to[d] = columns[d * LANES + i] * factor[i];
    }
}

/* ---- forward ---- */

/* Running maximum and sum of each lane, and p * v summed, for one block of lanes. */
typedef struct NAME(state) {
    _Alignas(64) float sum[TUFF_ATTENTION_MAX_DIM * LANES];
    float max[LANES], total[LANES];
} NAME(state);

/* Turns the scores of n keys from `key` on into probabilities under a new running maximum; `all` when every
 * lane sees every one of them. Scales what was summed before. */
INLINE void NAME(soften)(const lane_block *block, int64_t key, int64_t n, bool all, float scale, int64_t D,
                         float *scores, NAME(state) * s)
{
    float max[LANES], base[LANES], total[LANES], factor[LANES];
    memcpy(max, s->max, sizeof max);
    for (int64_t j = 0; j < n; j++) {
        float *row = scores + j * LANES;
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

TARGET static void NAME(forward_block)(const forward *w, int64_t index)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D;
    _Alignas(64) float q[TUFF_ATTENTION_MAX_DIM * LANES], scores[BLOCK * LANES];
    float room[BLOCK * TUFF_ATTENTION_MAX_DIM], factor[LANES];
    NAME(state) s;
    lane_block block = tuff_attention_block_of(p, w->start, index);
    int64_t head = block.h / p->G;
    NAME(load)(&block, p->G, D, w->q, p->q.b, p->q.t, p->q.h, q);
    memset(s.sum, 0, (size_t)D * LANES * sizeof *s.sum);
    for (int i = 0; i < LANES; i++) {
        s.max[i] = -INFINITY;
        s.total[i] = 0;
    }
    for (int64_t key = block.least; key < block.most; key += BLOCK) {
        int64_t n = block.most - key < BLOCK ? block.most - key : BLOCK, stride;
        const float *rows = tuff_attention_rows_of(
            w->k, &p->k, block.b * p->k.b + key * p->k.t + head * p->k.h, n, D, room, &stride);
        NAME(scores)(rows, stride, n, q, D, scores);
        if (key >= block.full_from && key + n <= block.full_to)
            NAME(soften)(&block, key, n, true, p->scale, D, scores, &s);
        else
            NAME(soften)(&block, key, n, false, p->scale, D, scores, &s);
        rows = tuff_attention_rows_of(w->v, &p->v, block.b * p->v.b + key * p->v.t + head * p->v.h, n, D,
                                      room, &stride);
        NAME(accumulate)(rows, stride, n, scores, D, s.sum);
    }
    for (int64_t i = 0; i < LANES; i++)
        factor[i] = block.begin[i] < block.end[i] ? 1 / s.total[i] : 0;
    NAME(store)(&block, p, s.sum, factor, w->o);
    for (int64_t i = 0; i < block.count; i++) {
        int64_t row = block.first + i, h = block.h + row % p->G;
        w->lse[(block.b * p->Hq + h) * p->Tq + row / p->G] =
            block.begin[i] < block.end[i] ? s.max[i] + logf(s.total[i]) : -INFINITY;
    }
}

/* ---- d_q: lanes are queries ---- */

TARGET static void NAME(queries_block)(const backward *w, int64_t index)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D;
    _Alignas(64) float q[TUFF_ATTENTION_MAX_DIM * LANES], d_o[TUFF_ATTENTION_MAX_DIM * LANES];
    _Alignas(64) float dq[TUFF_ATTENTION_MAX_DIM * LANES], scores[BLOCK * LANES], d_scores[BLOCK * LANES];
    float lse[LANES], delta[LANES], factor[LANES];
    lane_block block = tuff_attention_block_of(p, w->start, index);
    NAME(load)(&block, p->G, D, w->q, p->q.b, p->q.t, p->q.h, q);
    NAME(load)(&block, p->G, D, w->d_o, p->Tq * p->Hq * D, p->Hq * D, D, d_o);
    for (int64_t i = 0; i < LANES; i++) {
        int64_t row = block.first + i, at = (block.b * p->Hq + block.h + row % p->G) * p->Tq + row / p->G;
        lse[i] = i < block.count ? w->lse[at] : 0;
        delta[i] = i < block.count ? w->delta[at] : 0;
        factor[i] = p->scale;
    }
    memset(dq, 0, (size_t)D * LANES * sizeof *dq);
    const float *k = w->k + block.b * p->k.b + block.h / p->G * p->k.h;
    const float *v = w->v + block.b * p->v.b + block.h / p->G * p->v.h;
    for (int64_t key = block.least; key < block.most; key += BLOCK) {
        int64_t n = block.most - key < BLOCK ? block.most - key : BLOCK;
        NAME(scores)(k + key * p->k.t, p->k.t, n, q, D, scores);
        NAME(scores)(v + key * p->v.t, p->v.t, n, d_o, D, d_scores);
        for (int64_t j = 0; j < n; j++) {
            float *s = scores + j * LANES;
            const float *d = d_scores + j * LANES;
            int32_t at = (int32_t)(key + j);
            TUFF_LANES
            for (int i = 0; i < LANES; i++) {
                float ds = tuff_expf(s[i] * p->scale - lse[i]) * (d[i] - delta[i]);
                s[i] = at >= block.begin[i] && at < block.end[i] ? ds : 0;
            }
        }
        NAME(accumulate)(k + key * p->k.t, p->k.t, n, scores, D, dq);
    }
    NAME(store)(&block, p, dq, factor, w->dq);
}

/* ---- d_k, d_v: lanes are keys ---- */

TARGET static void NAME(keys_block)(const backward *w, int64_t index)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D, blocks = (p->Tk + LANES - 1) / LANES;
    int64_t b = index / blocks / p->Hkv, h = index / blocks % p->Hkv, first = index % blocks * LANES, begin,
            end;
    int64_t count = p->Tk - first < LANES ? p->Tk - first : LANES, start = w->start ? w->start[b] : 0;
    _Alignas(64) float k[TUFF_ATTENTION_MAX_DIM * LANES], v[TUFF_ATTENTION_MAX_DIM * LANES];
    _Alignas(64) float dk[TUFF_ATTENTION_MAX_DIM * LANES], dv[TUFF_ATTENTION_MAX_DIM * LANES];
    _Alignas(64) float scores[BLOCK * LANES], d_scores[BLOCK * LANES];
    /* the loads of a block of queries, with a key in place of a query */
    lane_block keys = {.b = b, .h = h, .first = first, .count = count};
    NAME(load)(&keys, 1, D, w->k, p->k.b, p->k.t, p->k.h, k);
    NAME(load)(&keys, 1, D, w->v, p->v.b, p->v.t, p->v.h, v);
    memset(dk, 0, (size_t)D * LANES * sizeof *dk);
    memset(dv, 0, (size_t)D * LANES * sizeof *dv);
    tuff_attention_times(p, start, first, first + count - 1, &begin, &end);
    for (int64_t head = h * p->G; head < (h + 1) * p->G; head++)
        for (int64_t t = begin; t < end; t += BLOCK) {
            int64_t n = end - t < BLOCK ? end - t : BLOCK;
            const float *q = w->q + b * p->q.b + t * p->q.t + head * p->q.h;
            const float *d_o = w->d_o + ((b * p->Tq + t) * p->Hq + head) * D;
            const float *lse = w->lse + (b * p->Hq + head) * p->Tq + t;
            const float *delta = w->delta + (b * p->Hq + head) * p->Tq + t;
            NAME(scores)(q, p->q.t, n, k, D, scores);
            NAME(scores)(d_o, p->Hq * D, n, v, D, d_scores);
            for (int64_t r = 0; r < n; r++) {
                int64_t from, to;
                tuff_attention_range(p, start + t + r, &from, &to);
                float *s = scores + r * LANES, *d = d_scores + r * LANES;
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
            NAME(accumulate)(d_o, p->Hq * D, n, scores, D, dv);
            NAME(accumulate)(q, p->q.t, n, d_scores, D, dk);
        }
    for (int64_t i = 0; i < count; i++) {
        int64_t at = ((b * p->Tk + first + i) * p->Hkv + h) * D;
        for (int64_t d = 0; d < D; d++) {
            w->dk[at + d] = dk[d * LANES + i] * p->scale;
            w->dv[at + d] = dv[d * LANES + i];
        }
    }
}

static const tuff_attention_kernels NAME(kernels) = {NAME(forward_block), NAME(queries_block),
                                                     NAME(keys_block)};

#undef INLINE
#undef PARTS
#undef WIDTH
#undef ROWS
#undef NAME
#undef TARGET
