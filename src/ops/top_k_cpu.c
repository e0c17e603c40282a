/* Host loops that look for the largest elements of rows. */
#include <string.h>

#include "backend/cpu/kernels.h"
#include "ops/support.h"
#include "ops/top_k.h"

enum {
    LANES = 16,
    BLOCK = 256, /* elements that are passed over at once where none is large enough */
    PART = 65536 /* of a row, that a thread takes */
};

typedef struct candidate {
    uint32_t key;
    int32_t place;
} candidate;

typedef struct task {
    const float *x;
    float *values;
    int32_t *places;
    candidate *kept; /* [rows, parts, k] */
    candidate *best; /* [rows, k] */
    int64_t width, parts, k;
} task;

/* Of n elements, BLOCK at most. */
TUFF_KERNEL static uint32_t largest_key(const float *x, int64_t n)
{
    uint32_t lane[LANES] = {0};
    for (int64_t i = 0; i < n / LANES * LANES; i += LANES)
        for (int k = 0; k < LANES; k++) {
            uint32_t key = tuff_order_key(x[i + k]);
            lane[k] = key > lane[k] ? key : lane[k];
        }
    for (int64_t i = n / LANES * LANES; i < n; i++) {
        uint32_t key = tuff_order_key(x[i]);
        lane[0] = key > lane[0] ? key : lane[0];
    }
    for (int k = 1; k < LANES; k++)
        lane[0] = lane[k] > lane[0] ? lane[k] : lane[0];
    return lane[0];
}

/* ---- argmax ---- */

static void argmax_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    for (int64_t r = begin; r < end; r++) {
        const float *x = w->x + r * w->width;
        uint32_t best = 0;
        int64_t block = 0;
        for (int64_t at = 0; at < w->width; at += BLOCK) {
            uint32_t key = largest_key(x + at, w->width - at < BLOCK ? w->width - at : BLOCK);
            if (key > best) {
                best = key;
                block = at;
            }
        }
        while (tuff_order_key(x[block]) != best)
            block++;
        w->places[r] = (int32_t)block;
    }
}

void tuff_argmax_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    task w = {.x = in[0], .places = out[0], .width = tuff_top_k_width(node)};
    tuff_parallel(tuff_top_k_rows(node), tuff_grain(w.width), argmax_range, &w);
}

/* ---- top_k: a heap of the k best so far, the worst of them at its top; of equal keys the later one is worse
 * ---- */

static bool worse(candidate a, candidate b)
{
    return a.key < b.key || (a.key == b.key && a.place > b.place);
}

/* Puts c where heap[at] was, and lets it sink. */
static void sink(candidate *heap, int64_t n, int64_t at, candidate c)
{
    for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && worse(heap[child + 1], heap[child])) child++;
        if (!worse(heap[child], c)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = c;
}

static void make_heap(candidate *heap, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;)
        sink(heap, n, i, heap[i]);
}

/* A heap sorted, the best first. */
static void sort_heap(candidate *heap, int64_t n)
{
    while (n-- > 1) {
        candidate worst = heap[0];
        sink(heap, n, 0, heap[n]);
        heap[n] = worst;
    }
}

static void choose_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    int64_t k = w->k;
    for (int64_t item = begin; item < end; item++) {
        int64_t row = item / w->parts, part = item % w->parts;
        int64_t first = w->width * part / w->parts, last = w->width * (part + 1) / w->parts;
        const float *x = w->x + row * w->width;
        candidate *heap = w->kept + item * k;
        for (int64_t i = 0; i < k; i++)
            heap[i] = (candidate){tuff_order_key(x[first + i]), (int32_t)(first + i)};
        make_heap(heap, k);
        for (int64_t at = first + k; at < last; at += BLOCK) {
            int64_t n = last - at < BLOCK ? last - at : BLOCK;
            if (largest_key(x + at, n) <= heap[0].key) continue;
            for (int64_t i = at; i < at + n; i++) {
                uint32_t key = tuff_order_key(x[i]);
                if (key > heap[0].key) sink(heap, k, 0, (candidate){key, (int32_t)i});
            }
        }
        sort_heap(heap, k);
    }
}

/* The best of the parts' best, which come in ascending order of places where keys are equal. */
static const candidate *merge(const task *w, int64_t row)
{
    const candidate *from = w->kept + row * w->parts * w->k;
    if (w->parts == 1) return from;
    candidate *heap = w->best + row * w->k;
    for (int64_t i = 0; i < w->k; i++)
        heap[i] = from[i];
    make_heap(heap, w->k);
    for (int64_t i = w->k; i < w->parts * w->k; i++)
        if (worse(heap[0], from[i])) sink(heap, w->k, 0, from[i]);
    sort_heap(heap, w->k);
    return heap;
}

static void write_range(int64_t begin, int64_t end, void *context)
{
    const task *w = context;
    for (int64_t row = begin; row < end; row++) {
        const candidate *best = merge(w, row);
        for (int64_t i = 0; i < w->k; i++) {
            w->values[row * w->k + i] = w->x[row * w->width + best[i].place];
            w->places[row * w->k + i] = best[i].place;
        }
    }
}

static int64_t parts_of(int64_t width)
{
    return (width + PART - 1) / PART;
}

size_t tuff_top_k_scratch(const tuff_node *node)
{
    int64_t parts = parts_of(tuff_top_k_width(node)), lists = parts == 1 ? 1 : parts + 1;
    return (size_t)(tuff_top_k_rows(node) * lists * node->attrs.top_k.k) * sizeof(candidate);
}

void tuff_top_k_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    int64_t rows = tuff_top_k_rows(node), k = node->attrs.top_k.k, width = tuff_top_k_width(node);
    task w = {.x = in[0], .values = out[0], .places = out[1], .kept = scratch, .width = width, .k = k};
    w.parts = parts_of(width);
    w.best = w.kept + rows * w.parts * k;
    tuff_parallel(rows * w.parts, tuff_grain(width / w.parts), choose_range, &w);
    tuff_parallel(rows, tuff_grain(w.parts * k), write_range, &w);
}

/* ---- top_k_backward ---- */

typedef struct spread {
    const float *dy;
    const int32_t *places;
    float *dx;
    int64_t width, k;
} spread;

static void spread_range(int64_t begin, int64_t end, void *context)
{
    const spread *w = context;
    memset(w->dx + begin * w->width, 0, (size_t)((end - begin) * w->width) * sizeof *w->dx);
    for (int64_t i = begin * w->k; i < end * w->k; i++)
        if (w->places[i] >= 0 && w->places[i] < w->width)
            w->dx[i / w->k * w->width + w->places[i]] = w->dy[i];
}

void tuff_top_k_backward_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    (void)scratch;
    spread w = {in[0], in[1], out[0], node->attrs.top_k.width, node->attrs.top_k.k};
    tuff_parallel(tuff_tensor_count(node->in[0]) / w.k, tuff_grain(w.width), spread_range, &w);
}
