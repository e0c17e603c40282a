/* Segments of few queries on the host, as in decoding: bound by reading keys and values once. Keys are cut
 * into chunks, counted from the segment's first key; each gives each query a maximum, a sum and a weighted
 * sum of values, which are then merged in order, so that results depend neither on threads nor on other
 * segments. */
#include <math.h>

#include "backend/cpu/kernels.h"
#include "ops/attention_cpu.h"
#include "ops/support.h"

enum {
    AT_ONCE = TUFF_FEW_ROWS, /* queries times heads per key-value head */
    STEP = 16                /* keys converted or held in cache at a time */
};

typedef struct few {
    const forward *f;
    const int32_t *chunks, *joins;
    int64_t n_chunks, n_joins, part_rows;
    float *part; /* [chunk, Hkv, part_rows, D + 2]: weighted sum of values, maximum, sum */
} few;

/* Sixteen partial sums, added up as a tree. */
static inline __attribute__((always_inline)) float dot(const float *x, const float *y, int64_t n)
{
    float s[16] = {0}, tail = 0;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++)
            s[j] += x[i + j] * y[i + j];
    for (; i < n; i++)
        tail += x[i] * y[i];
    for (int width = 8; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            s[j] += s[j + width];
    return s[0] + tail;
}

/* o[d] += p[j] * v[j * stride + d] over n rows, four at a time */
static inline __attribute__((always_inline)) void weigh(const float *p, const float *v, int64_t stride,
                                                        int64_t n, int64_t D, float *restrict o)
{
    int64_t j = 0;
    for (; j + 4 <= n; j += 4) {
        const float *v0 = v + j * stride, *v1 = v0 + stride, *v2 = v1 + stride, *v3 = v2 + stride;
        float p0 = p[j], p1 = p[j + 1], p2 = p[j + 2], p3 = p[j + 3];
        for (int64_t d = 0; d < D; d++)
            o[d] += (p0 * v0[d] + p1 * v1[d]) + (p2 * v2[d] + p3 * v3[d]);
    }
    for (; j < n; j++)
        for (int64_t d = 0; d < D; d++)
            o[d] += p[j] * v[j * stride + d];
}

TUFF_KERNEL static void convert(const uint16_t *from, int64_t stride, int64_t n, int64_t D, float *to)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t d = 0; d < D; d++)
            to[j * D + d] = tuff_f16_scaled(from[j * stride + d]);
}

const float *tuff_attention_rows_of(const void *base, const tuff_attention_operand *x, int64_t at, int64_t n,
                                    int64_t D, float *room, int64_t *out_stride)
{
    if (x->dtype == TUFF_F32) {
        *out_stride = x->t;
        return (const float *)base + at;
    }
    convert((const uint16_t *)base + at, x->t, n, D, room);
    *out_stride = D;
    return room;
}

/* Keys of the chunk that row r of its segment sees. */
static void visible(const few *w, const int32_t *chunk, int64_t r, int64_t *begin, int64_t *end)
{
    const tuff_segments *s = &w->f->p->s;
    int64_t first = chunk[TUFF_TILE_FIRST], last = first + chunk[TUFF_TILE_ROWS];
    int64_t start = chunk[TUFF_TILE_KV_LEN] - chunk[TUFF_TILE_Q_LEN];
    tuff_segments_keys(s, chunk[TUFF_TILE_KV_LEN], start + r / s->G, begin, end);
    if (*begin < first) *begin = first;
    if (*end > last) *end = last;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Scores to probabilities under their own maximum. */
static inline __attribute__((always_inline)) void soften(float *p, int64_t n, float *out_max,
                                                         float *out_total)
{
    float max = -INFINITY, total = 0;
#pragma omp simd reduction(max : max)
    for (int64_t j = 0; j < n; j++)
        max = p[j] > max ? p[j] : max;
    float base = max == -INFINITY ? 0 : max;
#pragma omp simd reduction(+ : total)
    for (int64_t j = 0; j < n; j++) {
        p[j] = tuff_expf(p[j] - base);
        total += p[j];
    }
    *out_max = max;
    *out_total = total;
}

/* Scores of keys j to j + n of a chunk. */
static inline __attribute__((always_inline)) void score(const few *w, const int32_t *chunk, int64_t h,
                                                        int64_t r, const float *k, int64_t stride, int64_t j,
                                                        int64_t n, float *out)
{
    const tuff_attention_problem *p = w->f->p;
    int64_t token = chunk[TUFF_TILE_Q_BEGIN] + r / p->s.G, head = h * p->s.G + r % p->s.G;
    int64_t position = chunk[TUFF_TILE_KV_LEN] - chunk[TUFF_TILE_Q_LEN] + r / p->s.G;
    const float *q = w->f->q + token * p->q.t + head * p->q.h;
    bool shaped = tuff_attention_shaped(p, w->f->bias);
    for (int64_t i = 0; i < n; i++) {
        float product = dot(q, k + i * stride, p->D), slope;
        out[i] = shaped ? tuff_attention_shape(p, w->f->bias, head, j + i - position, product, &slope)
                        : product * p->scale;
    }
}

TUFF_KERNEL static void run_chunk(const few *w, int64_t index)
{
    const tuff_attention_problem *p = w->f->p;
    int64_t D = p->D, h = index % p->Hkv, stride, begin, end;
    const int32_t *chunk = w->chunks + index / p->Hkv * TUFF_ATTENTION_ENTRY;
    int64_t first = chunk[TUFF_TILE_FIRST], last = first + chunk[TUFF_TILE_ROWS];
    int64_t rows = chunk[TUFF_TILE_Q_LEN] * p->s.G, row0 = chunk[TUFF_TILE_KV_BEGIN];
    float room[STEP * TUFF_ATTENTION_MAX_DIM], scores[AT_ONCE][TUFF_CHUNK];
    for (int64_t r0 = 0; r0 < rows; r0 += AT_ONCE) {
        int64_t r1 = smaller(r0 + AT_ONCE, rows);
        for (int64_t j = first; j < last; j += STEP) {
            int64_t n = smaller(STEP, last - j);
            const float *k =
                tuff_attention_rows_of(w->f->k, &p->k, (row0 + j) * p->k.t + h * p->k.h, n, D, room, &stride);
            for (int64_t r = r0; r < r1; r++)
                score(w, chunk, h, r, k, stride, j, n, scores[r - r0] + (j - first));
        }
        for (int64_t r = r0; r < r1; r++) {
            float *part = w->part + (index * w->part_rows + r) * (D + 2);
            for (int64_t d = 0; d < D; d++)
                part[d] = 0;
            visible(w, chunk, r, &begin, &end);
            int64_t n = larger(end - begin, 0);
            soften(scores[r - r0] + (n > 0 ? begin - first : 0), n, part + D, part + D + 1);
        }
        for (int64_t j = first; j < last; j += STEP) {
            int64_t n = smaller(STEP, last - j);
            const float *v =
                tuff_attention_rows_of(w->f->v, &p->v, (row0 + j) * p->v.t + h * p->v.h, n, D, room, &stride);
            for (int64_t r = r0; r < r1; r++) {
                visible(w, chunk, r, &begin, &end);
                begin = larger(begin, j);
                end = smaller(end, j + n);
                if (begin < end)
                    weigh(scores[r - r0] + (begin - first), v + (begin - j) * stride, stride, end - begin, D,
                          w->part + (index * w->part_rows + r) * (D + 2));
            }
        }
    }
}

static void chunk_range(int64_t begin, int64_t end, void *context)
{
    for (int64_t i = begin; i < end; i++)
        run_chunk(context, i);
}

/* The parts of one query and head, in order of their keys. */
TUFF_KERNEL static void merge(const few *w, const int32_t *join, int64_t time, int64_t head)
{
    const tuff_attention_problem *p = w->f->p;
    int64_t D = p->D, G = p->s.G, chunks = join[TUFF_JOIN_CHUNKS], begin = 0, end = 0;
    int64_t row = (join[TUFF_TILE_Q_BEGIN] + time) * p->Hq + head, step = p->Hkv * w->part_rows * (D + 2);
    bool live = time < join[TUFF_TILE_LIVE];
    const float *part =
        w->part +
        ((join[TUFF_TILE_FIRST] * p->Hkv + head / G) * w->part_rows + time * G + head % G) * (D + 2);
    float *o = w->f->o + row * D, max = -INFINITY, total = 0, scale;
    if (live)
        tuff_segments_keys(&p->s, join[TUFF_TILE_KV_LEN],
                           join[TUFF_TILE_KV_LEN] - join[TUFF_TILE_Q_LEN] + time, &begin, &end);
    if (begin >= end) chunks = 0;
    for (int64_t c = 0; c < chunks; c++)
        max = part[c * step + D] > max ? part[c * step + D] : max;
    float base = max == -INFINITY ? 0 : max;
    for (int64_t d = 0; d < D; d++)
        o[d] = 0;
    for (int64_t c = 0; c < chunks; c++) {
        const float *from = part + c * step;
        float factor = tuff_expf(from[D] - base);
        if (from[D + 1] == 0) continue; /* saw nothing here */
        total += from[D + 1] * factor;
        for (int64_t d = 0; d < D; d++)
            o[d] += from[d] * factor;
    }
    w->f->lse[row] = tuff_attention_finish(live ? w->f->sinks : NULL, head, begin < end, max, total, &scale);
    for (int64_t d = 0; d < D && begin < end; d++)
        o[d] *= scale;
}

static size_t part_bytes(const tuff_attention_problem *p, const tuff_work_list *chunks)
{
    return (size_t)(tuff_list_entries(chunks) * p->Hkv * tuff_segments_part_rows(&p->s) * (p->D + 2)) *
           sizeof(float);
}

static void lists_of(const tuff_attention_problem *p, tuff_work_list *chunks, tuff_work_list *joins)
{
    *chunks = tuff_key_chunks(&p->s, 0);
    *joins = tuff_chunk_joins(&p->s, 0, tuff_segments_all_few(&p->s));
}

size_t tuff_attention_few_scratch(const tuff_attention_problem *p)
{
    tuff_work_list chunks, joins;
    lists_of(p, &chunks, &joins);
    return tuff_attention_list_bytes(&chunks) + tuff_attention_list_bytes(&joins) + part_bytes(p, &chunks);
}

void tuff_attention_few_cpu(const forward *f, const void *segments, void *scratch)
{
    const tuff_attention_problem *p = f->p;
    tuff_work_list chunks, joins;
    lists_of(p, &chunks, &joins);
    int32_t *chunk_words = scratch,
            *join_words = chunk_words + tuff_attention_list_bytes(&chunks) / sizeof(int32_t);
    few w = {.f = f,
             .chunks = chunk_words,
             .joins = join_words,
             .part_rows = tuff_segments_part_rows(&p->s),
             .part = (float *)(void *)((char *)join_words + tuff_attention_list_bytes(&joins))};
    w.n_chunks = tuff_attention_list(&chunks, segments, chunk_words);
    w.n_joins = tuff_attention_list(&joins, segments, join_words);
    int64_t seen = 0, tasks = w.n_chunks * p->Hkv;
    for (int64_t i = 0; i < w.n_chunks; i++)
        seen += (int64_t)chunk_words[i * TUFF_ATTENTION_ENTRY + TUFF_TILE_ROWS] *
                chunk_words[i * TUFF_ATTENTION_ENTRY + TUFF_TILE_Q_LEN];
    /* a thread is worth waking for a quarter of a million multiply-adds: early in a text there is less to do
     */
    int64_t threads = larger(1, seen * p->Hq * p->D * 2 / (1 << 18));
    tuff_parallel(tasks, (tasks + threads - 1) / threads, chunk_range, &w);
    for (int64_t i = 0; i < w.n_joins; i++) {
        const int32_t *join = join_words + i * TUFF_ATTENTION_ENTRY;
        for (int64_t time = 0; time < join[TUFF_TILE_ROWS]; time++)
            for (int64_t head = 0; head < p->Hq; head++)
                merge(&w, join, time, head);
    }
}
