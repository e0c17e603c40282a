/* Attention of few queries on the host, as in decoding: bound by reading keys and values once. Keys are cut
 * into chunks of fixed length; each chunk gives each query a maximum, a sum and a weighted sum of values,
 * which are then merged in order, so that results do not depend on threads. */
#include <math.h>

#include "backend/cpu/kernels.h"
#include "ops/attention_cpu.h"
#include "ops/support.h"

enum {
    FEW_ROWS = 8, /* queries times heads per key-value head below which lanes would stand idle */
    CHUNK = 256,  /* keys */
    STEP = 16     /* keys converted or held in cache at a time */
};

typedef struct few {
    const tuff_attention_problem *p;
    const float *q;
    const void *k, *v;
    const int32_t *start;
    float *part; /* [B, Hkv, chunks, rows, D + 2]: weighted sum of values, maximum, sum */
} few;

static int64_t rows_of(const tuff_attention_problem *p)
{
    return p->G * p->Tq;
}

static int64_t chunks_of(const tuff_attention_problem *p)
{
    return (p->Tk + CHUNK - 1) / CHUNK;
}

bool tuff_attention_few(const tuff_attention_problem *p)
{
    return p->Tq == 1 || rows_of(p) < FEW_ROWS;
}

size_t tuff_attention_few_scratch(const tuff_attention_problem *p)
{
    return (size_t)(p->B * p->Hkv * chunks_of(p) * rows_of(p) * (p->D + 2)) * sizeof(float);
}

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

/* Keys of the chunk [first, last) that row r sees. */
static void visible(const few *w, int64_t b, int64_t r, int64_t first, int64_t last, int64_t *begin,
                    int64_t *end)
{
    tuff_attention_range(w->p, r / w->p->G + (w->start ? w->start[b] : 0), begin, end);
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

TUFF_KERNEL static void chunk(const few *w, int64_t index)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D, rows = rows_of(p), chunks = chunks_of(p);
    int64_t head = index / chunks, b = head / p->Hkv, h = head % p->Hkv, stride, begin, end;
    int64_t first = index % chunks * CHUNK, last = smaller(first + CHUNK, p->Tk);
    float room[STEP * TUFF_ATTENTION_MAX_DIM];
    for (int64_t r0 = 0; r0 < rows; r0 += FEW_ROWS) {
        int64_t r1 = smaller(r0 + FEW_ROWS, rows), least = last, most = first;
        float score[FEW_ROWS][CHUNK];
        for (int64_t r = r0; r < r1; r++) {
            float *part = w->part + (index * rows + r) * (D + 2);
            for (int64_t d = 0; d < D; d++)
                part[d] = 0;
            visible(w, b, r, first, last, &begin, &end);
            least = begin < end ? smaller(least, begin) : least;
            most = begin < end ? larger(most, end) : most;
        }
        for (int64_t j = least; j < most; j += STEP) {
            int64_t n = smaller(STEP, most - j);
            const float *k = tuff_attention_rows_of(w->k, &p->k, b * p->k.b + j * p->k.t + h * p->k.h, n, D,
                                                    room, &stride);
            for (int64_t r = r0; r < r1; r++) {
                const float *q = w->q + b * p->q.b + r / p->G * p->q.t + (h * p->G + r % p->G) * p->q.h;
                for (int64_t i = 0; i < n; i++)
                    score[r - r0][j - first + i] = dot(q, k + i * stride, D) * p->scale;
            }
        }
        for (int64_t r = r0; r < r1; r++) {
            float *part = w->part + (index * rows + r) * (D + 2);
            visible(w, b, r, first, last, &begin, &end);
            int64_t n = larger(end - begin, 0);
            soften(score[r - r0] + (n > 0 ? begin - first : 0), n, part + D, part + D + 1);
        }
        for (int64_t j = least; j < most; j += STEP) {
            int64_t n = smaller(STEP, most - j);
            const float *v = tuff_attention_rows_of(w->v, &p->v, b * p->v.b + j * p->v.t + h * p->v.h, n, D,
                                                    room, &stride);
            for (int64_t r = r0; r < r1; r++) {
                visible(w, b, r, j, j + n, &begin, &end);
                if (begin < end)
                    weigh(score[r - r0] + (begin - first), v + (begin - j) * stride, stride, end - begin, D,
                          w->part + (index * rows + r) * (D + 2));
            }
        }
    }
}

static void chunk_range(int64_t begin, int64_t end, void *context)
{
    for (int64_t i = begin; i < end; i++)
        chunk(context, i);
}

/* The parts of one row, in order of their keys. */
TUFF_KERNEL static void merge(const few *w, int64_t b, int64_t h, int64_t r, bool sees, float *o, float *lse)
{
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D, rows = rows_of(p), chunks = chunks_of(p);
    const float *part = w->part + ((b * p->Hkv + h) * chunks * rows + r) * (D + 2);
    float max = -INFINITY, total = 0;
    for (int64_t c = 0; c < chunks; c++) {
        float m = part[c * rows * (D + 2) + D];
        max = m > max ? m : max;
    }
    float base = max == -INFINITY ? 0 : max;
    for (int64_t d = 0; d < D; d++)
        o[d] = 0;
    for (int64_t c = 0; c < chunks; c++) {
        const float *from = part + c * rows * (D + 2);
        float factor = tuff_expf(from[D] - base);
        if (from[D + 1] == 0) continue; /* saw nothing here */
        total += from[D + 1] * factor;
        for (int64_t d = 0; d < D; d++)
            o[d] += from[d] * factor;
    }
    float scale = sees ? 1 / total : 0;
    for (int64_t d = 0; d < D; d++)
        o[d] *= scale;
    *lse = sees ? max + logf(total) : -INFINITY;
}

void tuff_attention_few_cpu(const tuff_attention_problem *p, const float *q, const void *k, const void *v,
                            const int32_t *start, float *o, float *lse, float *scratch)
{
    few w = {p, q, k, v, start, scratch};
    int64_t rows = rows_of(p), chunks = chunks_of(p), tasks = p->B * p->Hkv * chunks, seen = 0, begin, end;
    for (int64_t b = 0; b < p->B; b++) {
        visible(&w, b, rows - 1, 0, p->Tk, &begin, &end);
        seen += larger(end - begin, 0);
    }
    /* a thread is worth waking for a quarter of a million multiply-adds: early in a text there is less to do
     */
    int64_t threads = larger(1, seen * p->Hkv * rows * p->D * 2 / (1 << 18));
    tuff_parallel(tasks, (tasks + threads - 1) / threads, chunk_range, &w);
    for (int64_t i = 0; i < p->B * p->Hkv * rows; i++) {
        int64_t b = i / (p->Hkv * rows), h = i / rows % p->Hkv, r = i % rows, t = r / p->G,
                head = h * p->G + r % p->G;
        visible(&w, b, r, 0, p->Tk, &begin, &end);
        merge(&w, b, h, r, begin < end, o + ((b * p->Tq + t) * p->Hq + head) * p->D,
              lse + (b * p->Hq + head) * p->Tq + t);
    }
}
