/* Host loops over segments of rows. The order of a sum follows from the places within the segment alone, so
 * that the same rows give the same bits wherever they lie. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/segment.h"
#include "ops/support.h"

enum {
    COLUMNS = 256, /* taken at a time */
    PART = 64      /* rows of one partial sum */
};

typedef struct task {
    const float *x; /* backward: dy */
    const int32_t *segments, *at;
    float *y;
    int32_t *y_at;
    int64_t rows, columns, count, blocks; /* of x; segments; blocks of columns */
    bool by_position;
} task;

static tuff_segment_range range_at(const task *w, int64_t s)
{
    const int32_t *words = w->segments + s * TUFF_SEGMENT_WORDS;
    return tuff_segment_range_of(words[0], words[1], w->rows);
}

TUFF_KERNEL static void add_scaled(float *restrict y, const float *restrict x, float factor, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += factor * x[i];
}

TUFF_KERNEL static void scale(float *y, float divisor, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] /= divisor;
}

/* The larger of both, the first of equals; NaN is larger than any number. */
TUFF_KERNEL static void take_larger(float *restrict y, int32_t *restrict at, const float *restrict x,
                                    int32_t row, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        bool larger = (x[i] > y[i]) | ((x[i] != x[i]) & (y[i] == y[i]));
        y[i] = larger ? x[i] : y[i];
        at[i] = larger ? row : at[i];
    }
}

static void mean_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    float part[COLUMNS];
    for (int64_t item = begin; item < end; item++) {
        int64_t s = item / w->blocks, c = item % w->blocks * COLUMNS;
        int64_t n = w->columns - c < COLUMNS ? w->columns - c : COLUMNS;
        tuff_segment_range r = range_at(w, s);
        float *y = w->y + s * w->columns + c;
        memset(y, 0, (size_t)n * sizeof *y);
        for (int64_t first = r.first; first < r.end; first += PART) {
            int64_t last = r.end - first < PART ? r.end : first + PART;
            memset(part, 0, sizeof part);
            for (int64_t row = first; row < last; row++)
                add_scaled(part, w->x + row * w->columns + c, w->by_position ? (float)(row - r.first + 1) : 1,
                           n);
            add_scaled(y, part, 1, n);
        }
        if (r.first < r.end) scale(y, (float)tuff_segment_weights(w->by_position, r.end - r.first), n);
    }
}

static void max_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    for (int64_t item = begin; item < end; item++) {
        int64_t s = item / w->blocks, c = item % w->blocks * COLUMNS;
        int64_t n = w->columns - c < COLUMNS ? w->columns - c : COLUMNS;
        tuff_segment_range r = range_at(w, s);
        bool any = r.first < r.end;
        float *y = w->y + s * w->columns + c;
        int32_t *at = w->y_at + s * w->columns + c;
        for (int64_t i = 0; i < n; i++) {
            y[i] = any ? w->x[r.first * w->columns + c + i] : 0;
            at[i] = any ? (int32_t)r.first : -1;
        }
        for (int64_t row = r.first + 1; row < r.end; row++)
            take_larger(y, at, w->x + row * w->columns + c, (int32_t)row, n);
    }
}

static task forward_task(const tuff_node *node, const void *const *in, void *const *out)
{
    task w = {.x = in[0], .segments = in[1], .y = out[0], .by_position = node->attrs.segment.by_position};
    w.rows = node->in[0]->shape.dim[0];
    w.columns = node->in[0]->shape.dim[1];
    w.count = node->out[0]->shape.dim[0];
    w.blocks = (w.columns + COLUMNS - 1) / COLUMNS;
    return w;
}

static int64_t grain_of(const task *w)
{
    int64_t rows = w->rows / w->count + 1;
    return tuff_grain(rows * (w->columns < COLUMNS ? w->columns : COLUMNS));
}

void tuff_segment_mean_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    task w = forward_task(node, in, out);
    tuff_parallel(w.count * w.blocks, grain_of(&w), mean_range, &w);
}

void tuff_segment_max_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    task w = forward_task(node, in, out);
    w.y_at = out[1];
    tuff_parallel(w.count * w.blocks, grain_of(&w), max_range, &w);
}

/* ---- backward: each thread has a range of rows, and takes the segments in ascending order ---- */

static void mean_backward_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    int64_t C = w->columns;
    memset(w->y + begin * C, 0, (size_t)((end - begin) * C) * sizeof *w->y);
    for (int64_t s = 0; s < w->count; s++) {
        tuff_segment_range r = range_at(w, s);
        float total = (float)tuff_segment_weights(w->by_position, r.end - r.first);
        int64_t row = r.first > begin ? r.first : begin, last = r.end < end ? r.end : end;
        for (; row < last; row++)
            add_scaled(w->y + row * C, w->x + s * C,
                       (w->by_position ? (float)(row - r.first + 1) : 1) / total, C);
    }
}

static void max_backward_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    int64_t C = w->columns;
    memset(w->y + begin * C, 0, (size_t)((end - begin) * C) * sizeof *w->y);
    for (int64_t i = 0; i < w->count * C; i++)
        if (w->at[i] >= begin && w->at[i] < end) w->y[w->at[i] * C + i % C] += w->x[i];
}

static task backward_task(const tuff_node *node, const void *const *in, void *const *out)
{
    task w = {.x = in[0], .segments = in[1], .y = out[0], .by_position = node->attrs.segment.by_position};
    w.rows = node->out[0]->shape.dim[0];
    w.columns = node->out[0]->shape.dim[1];
    w.count = node->in[0]->shape.dim[0];
    return w;
}

void tuff_segment_mean_backward_host(const tuff_node *node, const void *const *in, void *const *out,
                                     void *scratch)
{
    (void)scratch;
    task w = backward_task(node, in, out);
    tuff_parallel(w.rows, tuff_grain(w.columns), mean_backward_range, &w);
}

void tuff_segment_max_backward_host(const tuff_node *node, const void *const *in, void *const *out,
                                    void *scratch)
{
    (void)scratch;
    task w = backward_task(node, in, out);
    w.at = in[2];
    tuff_parallel(w.rows, tuff_grain(w.columns), max_backward_range, &w);
}
