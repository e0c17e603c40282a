/* The blocks of attention's backward on the host: attention_lanes.h includes it for each instruction set. */
/* ---- d_q: lanes are queries ---- */

TARGET static void NAME(queries_block)(const backward *w, int64_t kv_head, const int32_t *tile)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D;
    _Alignas(64) float q[TUFF_ATTENTION_MAX_DIM * LANES], d_o[TUFF_ATTENTION_MAX_DIM * LANES];
    _Alignas(64) float dq[TUFF_ATTENTION_MAX_DIM * LANES], scores[BLOCK * LANES], d_scores[BLOCK * LANES];
    float lse[LANES], delta[LANES], factor[LANES], slopes[BLOCK * LANES];
    lane_block block = tuff_attention_block_of(p, tile, kv_head);
    bool shaped = tuff_attention_shaped(p, w->bias);
    float scale = shaped ? 1 : p->scale;
    NAME(load)(&block, p->s.G, D, w->q, p->q.t, p->q.h, q);
    NAME(load)(&block, p->s.G, D, w->d_o, p->Hq * D, D, d_o);
    for (int64_t i = 0; i < LANES; i++) {
        int64_t row = block.first + i, at = (block.q_begin + row / p->s.G) * p->Hq + block.h + row % p->s.G;
        lse[i] = i < block.live ? w->lse[at] : 0;
        delta[i] = i < block.live ? w->delta[at] : 0;
        factor[i] = p->scale;
    }
    memset(dq, 0, (size_t)D * LANES * sizeof *dq);
    const float *k = w->k + block.kv_begin * p->k.t + kv_head * p->k.h;
    const float *v = w->v + block.kv_begin * p->v.t + kv_head * p->v.h;
    for (int64_t key = block.least; key < block.most; key += BLOCK) {
        int64_t n = block.most - key < BLOCK ? block.most - key : BLOCK;
        NAME(scores)(k + key * p->k.t, p->k.t, n, q, D, scores);
        NAME(scores)(v + key * p->v.t, p->v.t, n, d_o, D, d_scores);
        if (p->drop.factor != 0) NAME(drop_keys)(p, &block, key, n, d_scores);
        if (shaped) NAME(shape)(p, &block, w->bias, key, n, scores, slopes);
        for (int64_t j = 0; j < n; j++) {
            float *s = scores + j * LANES;
            const float *d = d_scores + j * LANES;
            TUFF_LANES
            for (int i = 0; i < LANES; i++)
                s[i] = tuff_expf(s[i] * scale - lse[i]) * (d[i] - delta[i]);
            for (int i = 0; i < LANES && shaped; i++)
                s[i] *= slopes[j * LANES + i];
        }
        NAME(accumulate_keys)(&block, key, k + key * p->k.t, p->k.t, n, scores, D, dq);
    }
    NAME(store)(&block, p, dq, factor, w->dq);
}

/* ---- d_k, d_v: lanes are keys ---- */

/* Which queries each key sees, and which all live ones see. */
typedef struct NAME(seers) {
    _Alignas(64) int32_t low[LANES], high[LANES];
    int64_t from, to;
} NAME(seers);

INLINE NAME(seers)
    NAME(seers_of)(const tuff_attention_problem *p, const tuff_segment *s, int64_t first, int64_t live)
{
    NAME(seers) out = {.from = 0, .to = s->q_len};
    for (int64_t i = 0; i < LANES; i++) {
        int64_t begin = 0, end = 0;
        if (i < live) tuff_segments_queries(&p->s, s, first + i, first + i, &begin, &end);
        out.low[i] = (int32_t)begin;
        out.high[i] = (int32_t)end;
        if (i < live && begin > out.from) out.from = begin;
        if (i < live && end < out.to) out.to = end;
    }
    return out;
}

/* The same, counted from the query at `time`. */
INLINE NAME(seers) NAME(seers_from)(const NAME(seers) * all, int64_t time)
{
    NAME(seers) out = {.from = all->from - time, .to = all->to - time};
    for (int i = 0; i < LANES; i++) {
        out.low[i] = all->low[i] - (int32_t)time;
        out.high[i] = all->high[i] - (int32_t)time;
    }
    return out;
}

/* ---- d_q while lanes are keys ---- */

typedef float NAME(loose) __attribute__((vector_size(4 * WIDTH), may_alias, aligned(4)));

/* sums[r * stride + d] += sum over lanes i from low up to high of weights[r * LANES + i] * rows[i * step +
 * d], n rows r and c vectors of columns d, which are constants at every call. */
INLINE void NAME(spread_of)(int n, int c, int64_t low, int64_t high, const float *weights, const float *rows,
                            int64_t step, float *sums, int64_t stride)
{
    NAME(vector) s[SPREAD][2];
    for (int r = 0; r < n; r++)
        for (int v = 0; v < c; v++)
            s[r][v] = *(const NAME(loose) *)(const void *)(sums + r * stride + v * WIDTH);
    for (int64_t i = low; i < high; i++)
        for (int r = 0; r < n; r++)
            for (int v = 0; v < c; v++)
                s[r][v] = NAME(add)(s[r][v], weights[r * LANES + i],
                                    *(const NAME(vector) *)(const void *)(rows + i * step + v * WIDTH));
    for (int r = 0; r < n; r++)
        for (int v = 0; v < c; v++)
            *(NAME(loose) *)(void *)(sums + r * stride + v * WIDTH) = s[r][v];
}

/* The same for all D columns. */
INLINE void NAME(spread_all)(int n, int64_t low, int64_t high, const float *weights, const float *rows,
                             int64_t step, int64_t D, float *sums, int64_t stride)
{
    int64_t d = 0;
    if (low >= high) return;
    for (; d + 2 * WIDTH <= D; d += 2 * WIDTH)
        NAME(spread_of)(n, 2, low, high, weights, rows + d, step, sums + d, stride);
    for (; d + WIDTH <= D; d += WIDTH)
        NAME(spread_of)(n, 1, low, high, weights, rows + d, step, sums + d, stride);
    for (int r = 0; r < n && d < D; r++) {
        float room[WIDTH] = {0};
        memcpy(room, sums + r * stride + d, (size_t)(D - d) * sizeof *room);
        NAME(spread_of)(1, 1, low, high, weights + r * LANES, rows + d, step, room, 0);
        memcpy(sums + r * stride + d, room, (size_t)(D - d) * sizeof *room);
    }
}

/* Some rows, from the one that seers count as r on, n of them, which not all lanes see: lanes that all rows
 * see at once. */
TARGET static __attribute__((noinline)) void NAME(spread_some)(const NAME(seers) * seers, int64_t live,
                                                               int64_t r0, int n, const float *weights,
                                                               const float *rows, int64_t step, int64_t D,
                                                               float *sums, int64_t stride)
{
    int64_t low[SPREAD], high[SPREAD], from = 0, to = live;
    for (int r = 0; r < n; r++) {
        low[r] = high[r] = 0;
        for (int64_t i = 0; i < live; i++)
            if (r0 + r >= seers->low[i] && r0 + r < seers->high[i]) {
                if (low[r] == high[r]) low[r] = i;
                high[r] = i + 1;
            }
        if (low[r] > from) from = low[r];
        if (high[r] < to) to = high[r];
    }
    if (n < SPREAD || from > to) from = to = 0;
    for (int r = 0; r < n; r++)
        NAME(spread_all)
    (1, low[r], high[r] < from ? high[r] : from, weights + r * LANES, rows, step, D, sums + r * stride,
     stride);
    NAME(spread_all)(SPREAD, from, to, weights, rows, step, D, sums, stride);
    for (int r = 0; r < n; r++)
        NAME(spread_all)
    (1, low[r] > to ? low[r] : to, high[r], weights + r * LANES, rows, step, D, sums + r * stride, stride);
}

INLINE void NAME(spread)(const NAME(seers) * seers, int64_t live, int64_t n, const float *weights,
                         const float *rows, int64_t step, int64_t D, float *sums, int64_t stride)
{
    for (int64_t r = 0; r < n; r += SPREAD) {
        const float *x = weights + r * LANES;
        int64_t left = n - r < SPREAD ? n - r : SPREAD;
        if (left == SPREAD && r >= seers->from && r + SPREAD <= seers->to)
            NAME(spread_all)(SPREAD, 0, live, x, rows, step, D, sums + r * stride, stride);
        else
            NAME(spread_some)(seers, live, r, (int)left, x, rows, step, D, sums + r * stride, stride);
    }
}

/* With `both` also adds to d_q, not yet scaled. */
TARGET static void NAME(keys_block)(const backward *w, int64_t h, const int32_t *tile, bool both)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D, G = p->s.G, step = (D + WIDTH - 1) / WIDTH * WIDTH, begin = 0, end = 0;
    const tuff_segment s = {tile[TUFF_TILE_Q_BEGIN], tile[TUFF_TILE_Q_LEN], tile[TUFF_TILE_KV_BEGIN],
                            tile[TUFF_TILE_KV_LEN]};
    int64_t first = tile[TUFF_TILE_FIRST], live = tile[TUFF_TILE_LIVE], start = (int64_t)s.kv_len - s.q_len;
    bool shaped = tuff_attention_shaped(p, w->bias);
    float scale = shaped ? 1 : p->scale;
    _Alignas(64) float k[TUFF_ATTENTION_MAX_DIM * LANES], v[TUFF_ATTENTION_MAX_DIM * LANES];
    _Alignas(64) float dk[TUFF_ATTENTION_MAX_DIM * LANES], dv[TUFF_ATTENTION_MAX_DIM * LANES];
    _Alignas(64) float scores[BLOCK * LANES], d_scores[BLOCK * LANES], rows[TUFF_ATTENTION_MAX_DIM * LANES];
    const bool drops = p->drop.factor != 0;
    float kept[BLOCK * LANES];
    /* the loads of a block of queries, with a key in place of a query */
    lane_block keys = {.h = h, .first = first, .live = live, .q_begin = s.kv_begin};
    NAME(load)(&keys, 1, D, w->k, p->k.t, p->k.h, k);
    NAME(load)(&keys, 1, D, w->v, p->v.t, p->v.h, v);
    memset(dk, 0, (size_t)D * LANES * sizeof *dk);
    memset(dv, 0, (size_t)D * LANES * sizeof *dv);
    if (live > 0) tuff_segments_queries(&p->s, &s, first, first + live - 1, &begin, &end);
    const NAME(seers) seen_by = NAME(seers_of)(p, &s, first, live);
    if (both && step > D) memset(rows, 0, (size_t)(LANES * step) * sizeof *rows);
    for (int64_t i = 0; i < live && both; i++)
        memcpy(rows + i * step, w->k + (s.kv_begin + first + i) * p->k.t + h * p->k.h,
               (size_t)D * sizeof *rows);
    for (int64_t head = h * G; head < (h + 1) * G; head++)
        for (int64_t t = begin; t < end; t += BLOCK) {
            int64_t n = end - t < BLOCK ? end - t : BLOCK, at = (s.q_begin + t) * p->Hq + head;
            const float *q = w->q + (s.q_begin + t) * p->q.t + head * p->q.h, *d_o = w->d_o + at * D;
            const NAME(seers) seers = NAME(seers_from)(&seen_by, t);
            NAME(scores)(q, p->q.t, n, k, D, scores);
            NAME(scores)(d_o, p->Hq * D, n, v, D, d_scores);
            if (drops) NAME(drop_queries)(p, first, at, p->Hq, n, kept);
            for (int64_t r = 0; r < n * LANES && drops; r++)
                d_scores[r] *= kept[r];
            for (int64_t r = 0; r < n; r++) {
                float *x = scores + r * LANES, *d = d_scores + r * LANES, slope[LANES];
                float lse = w->lse[at + r * p->Hq], delta = w->delta[at + r * p->Hq];
                for (int64_t i = 0; i < LANES && shaped; i++)
                    x[i] = tuff_attention_shape(p, i < live ? w->bias : NULL, head, first + i - start - t - r,
                                                x[i], &slope[i]);
                TUFF_LANES
                for (int i = 0; i < LANES; i++) {
                    float probability = tuff_expf(x[i] * scale - lse);
                    x[i] = probability;
                    d[i] = probability * (d[i] - delta);
                }
                for (int i = 0; i < LANES && shaped; i++)
                    d[i] *= slope[i];
            }
            for (int64_t r = 0; r < n * LANES && drops; r++)
                scores[r] *= kept[r];
            NAME(accumulate_seen)
            (seers.low, seers.high, seers.from, seers.to, d_o, p->Hq * D, n, scores, D, dv);
            NAME(accumulate_seen)
            (seers.low, seers.high, seers.from, seers.to, q, p->q.t, n, d_scores, D, dk);
            if (both) NAME(spread)(&seers, live, n, d_scores, rows, step, D, w->dq + at * D, p->Hq * D);
        }
    for (int64_t i = 0; i < tile[TUFF_TILE_ROWS]; i++) {
        int64_t at = ((s.kv_begin + first + i) * p->Hkv + h) * D;
        for (int64_t d = 0; d < D; d++) {
            w->dk[at + d] = i < live ? dk[d * LANES + i] * p->scale : 0;
            w->dv[at + d] = i < live ? dv[d * LANES + i] : 0;
        }
    }
}
