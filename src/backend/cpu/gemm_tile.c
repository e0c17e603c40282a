#include "backend/cpu/gemm_tile.h"

#include "backend/cpu/kernels.h"

/* Where a block begins, and how far apart its operands' elements are. */
typedef struct corner {
    const float *a, *b;
    float *c;
    int64_t ars, acs, ldb, ldc, k;
    bool add;
} corner;

typedef struct tile_kernel {
    void (*block)(const corner *at, int64_t rows); /* at most `rows`; all `columns` */
    int64_t rows, columns;
} tile_kernel;

enum { MOST_ROWS = 6 };

/* GCC makes poor code of vectors wider than the machine's, so each instruction set has its own. */
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
#define WIDTH   16
#define VECTORS 4
#define ROWS    6
#define NAME(x) x##_avx512
#define TARGET  __attribute__((target("avx512f")))
#include "backend/cpu/gemm_lanes.h"

#define WIDTH   8
#define VECTORS 2
#define ROWS    6
#define NAME(x) x##_avx2
#define TARGET  __attribute__((target("avx2,fma")))
#include "backend/cpu/gemm_lanes.h"
#endif

#define WIDTH   4
#define VECTORS 2
#define ROWS    6
#define NAME(x) x##_any
#define TARGET
#include "backend/cpu/gemm_lanes.h"

static const tile_kernel *kernel(void)
{
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return &kernel_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kernel_avx2;
#endif
    return &kernel_any;
}

/* A block of fewer columns: the sums go by way of a buffer. */
static void narrow_block(const tile_kernel *kernel, const corner *at, int64_t rows, int64_t columns)
{
    float c[MOST_ROWS * TUFF_STRIP];
    corner own = *at;
    own.c = c;
    own.ldc = TUFF_STRIP;
    own.add = false;
    kernel->block(&own, rows);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            float *to = &at->c[i * at->ldc + j];
            *to = at->add ? *to + c[i * TUFF_STRIP + j] : c[i * TUFF_STRIP + j];
        }
}

/* What is left of rows without gaps, where b is not in strips: beyond them nothing may be read. */
static TUFF_KERNEL void edge(const corner *at, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++) {
        float sum[TUFF_STRIP] = {0}, *c = at->c + i * at->ldc;
        for (int64_t p = 0; p < at->k; p++)
            for (int64_t j = 0; j < columns; j++)
                sum[j] += at->a[i * at->ars + p * at->acs] * at->b[p * at->ldb + j];
        for (int64_t j = 0; j < columns; j++)
            c[j] = at->add ? c[j] + sum[j] : sum[j];
    }
}

void tuff_tile_plain(const tuff_tile_shape *s, const float *a, int64_t ars, int64_t acs, const float *b,
                     float *c, int64_t ldc)
{
    const tile_kernel *use = kernel();
    int64_t strip = tuff_strip_rows(s->k) * TUFF_STRIP;
    for (int64_t j = 0; j < s->n; j += TUFF_STRIP)
        for (int64_t i = 0; i < s->m; i += use->rows)
            for (int64_t v = j; v < j + TUFF_STRIP && v < s->n; v += use->columns) {
                int64_t rows = s->m - i < use->rows ? s->m - i : use->rows, columns = s->n - v;
                corner at = {.a = a + i * ars,
                             .b = s->strips ? b + j / TUFF_STRIP * strip + v - j : b + v,
                             .c = c + i * ldc + v,
                             .ars = ars,
                             .acs = acs,
                             .ldb = s->strips ? TUFF_STRIP : s->n,
                             .ldc = ldc,
                             .k = s->k,
                             .add = s->add};
                if (columns >= use->columns)
                    use->block(&at, rows);
                else if (s->strips)
                    narrow_block(use, &at, rows, columns);
                else
                    edge(&at, rows, columns);
            }
}
