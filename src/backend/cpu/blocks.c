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

/* sums[0..rows): rows of x, ldx apart, times `groups` groups of a weight from group `first` on. */
static TUFF_KERNEL void dot(tuff_block type, const void *w, size_t first, size_t groups,
                            const float *restrict x, int64_t ldx, int64_t rows, float *restrict sums)
{
    float s[MOST_ROWS][GROUP] = {{0}};
    switch (type) {
#define EACH(NAME, in, g, i)            \
    float v[GROUP];                     \
    tuff_read_##NAME(in, g, v);         \
    for (int64_t m = 0; m < rows; m++)  \
        for (int l = 0; l < GROUP; l++) \
    s[m][l] += x[m * ldx + GROUP * (int64_t)(i) + l] * v[l]
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
        for (int half = GROUP / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++)
                s[m][l] += s[m][l + half];
        sums[m] = s[m][0];
    }
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
        dot(j->type, j->w, first, groups, j->x, j->ldx, j->M, sums);
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
