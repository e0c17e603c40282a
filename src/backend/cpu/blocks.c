/* Elements of any storage as f32, and products of few rows with weights that are stored by the block: each
 * group of elements is read once and meets all rows. */
#include "base/blocks_read.h"

#include "backend/cpu/kernels.h"
#include "ir/dtype.h"

enum { GROUP = TUFF_BLOCK_GROUP, MOST_ROWS = TUFF_GEMV_ROWS };

static TUFF_KERNEL void read_groups(tuff_block type, const void *blocks, size_t first, size_t count,
                                    float *out)
{
    switch (type) {
#define EACH(NAME, in, g, i) tuff_read_##NAME(in, g, out + GROUP * (i))
#define TUFF_BLOCK(NAME, name, elements, bytes)                               \
    case TUFF_BLOCK_##NAME:                                                   \
        TUFF_BLOCK_GROUPS(NAME, elements, bytes, blocks, first, count, EACH); \
        break;
#include "base/blocks.def"
#undef EACH
    default:
        break;
    }
}

/* Elements at to at + n of one group. */
static void read_part(tuff_block type, const void *blocks, int64_t at, int64_t n, float *out)
{
    float group[GROUP];
    read_groups(type, blocks, (size_t)(at / GROUP), 1, group);
    memcpy(out, group + at % GROUP, (size_t)n * sizeof *out);
}

static void load_blocks(tuff_block type, const void *x, int64_t at, int64_t n, float *out)
{
    const int64_t end = at + n, first = (at + GROUP - 1) / GROUP * GROUP, last = end / GROUP * GROUP;
    if (first > last) { /* within a group */
        read_part(type, x, at, n, out);
        return;
    }
    if (first > at) read_part(type, x, at, first - at, out);
    if (last > first)
        read_groups(type, x, (size_t)(first / GROUP), (size_t)((last - first) / GROUP), out + (first - at));
    if (end > last) read_part(type, x, last, end - last, out + (last - at));
}

void tuff_load_f32(const void *x, tuff_dtype dtype, int64_t at, int64_t n, float *out)
{
    if (n < 1) return;
    if (tuff_dtype_is_block(dtype))
        load_blocks(tuff_block_of(dtype), x, at, n, out);
    else
        tuff_dtype_to_f32(dtype, (const char *)x + at * (int64_t)tuff_dtype_size(dtype), out, (size_t)n);
}

/* Sums are kept in vectors no wider than those that a group is read with: what is stored narrow and loaded
 * wide at once would wait for memory. */
typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));
enum { WIDTH = 8, VECS = GROUP / WIDTH };

/* sums[0..rows): rows of x, ldx apart, times `groups` groups of a weight from group `first` on. */
static inline __attribute__((always_inline)) void dot(tuff_block type, const void *w, size_t first,
                                                      size_t groups, const float *x, int64_t ldx,
                                                      int64_t rows, float *sums)
{
    vec s[MOST_ROWS][VECS] = {{{0}}};
    switch (type) {
#define EACH(NAME, in, g, i)                                                            \
    float v[GROUP];                                                                     \
    tuff_read_##NAME(in, g, v);                                                         \
    for (int64_t m = 0; m < rows; m++) {                                                \
        const float *row = x + m * ldx + GROUP * (int64_t)(i);                          \
        for (int l = 0; l < VECS; l++)                                                  \
            s[m][l] += *(const vec *)(row + WIDTH * l) * *(const vec *)(v + WIDTH * l); \
    }
#define TUFF_BLOCK(NAME, name, elements, bytes)                           \
    case TUFF_BLOCK_##NAME:                                               \
        TUFF_BLOCK_GROUPS(NAME, elements, bytes, w, first, groups, EACH); \
        break;
#include "base/blocks.def"
#undef EACH
    default:
        break;
    }
    for (int64_t m = 0; m < rows; m++) {
        const vec all = (s[m][0] + s[m][1]) + (s[m][2] + s[m][3]);
        float sum = 0;
        for (int l = 0; l < WIDTH; l++)
            sum += all[l];
        sums[m] = sum;
    }
}

static TUFF_KERNEL void dot_one(tuff_block type, const void *w, size_t first, size_t groups, const float *x,
                                float *sums)
{
    dot(type, w, first, groups, x, 0, 1, sums);
}

static TUFF_KERNEL void dot_some(tuff_block type, const void *w, size_t first, size_t groups, const float *x,
                                 int64_t ldx, int64_t rows, float *sums)
{
    dot(type, w, first, groups, x, ldx, rows, sums);
}

typedef struct job {
    int64_t M, K, ldx, ldw, ldy;
    const float *x;
    const void *w;
    tuff_block type;
    float *y;
} job;

static void rows(int64_t begin, int64_t end, void *context)
{
    const job *j = context;
    for (int64_t n = begin; n < end; n++) {
        float sums[MOST_ROWS];
        const size_t first = (size_t)(n * j->ldw / GROUP), groups = (size_t)(j->K / GROUP);
        if (j->M == 1)
            dot_one(j->type, j->w, first, groups, j->x, sums);
        else
            dot_some(j->type, j->w, first, groups, j->x, j->ldx, j->M, sums);
        for (int64_t m = 0; m < j->M; m++)
            j->y[m * j->ldy + n] = sums[m];
    }
}

void tuff_gemv_blocks(int64_t M, int64_t N, int64_t K, const float *x, int64_t ldx, const void *w,
                      tuff_dtype dtype, int64_t ldw, float *y, int64_t ldy)
{
    job j = {M, K, ldx, ldw, ldy, x, w, tuff_block_of(dtype), y};
    tuff_parallel(N, 1 + 16384 / (K + 1), rows, &j);
}
