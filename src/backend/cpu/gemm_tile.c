#include "backend/cpu/gemm_tile.h"

#include "backend/cpu/kernels.h"

/* A block of C that stays in registers; strips are whole blocks wide. */
enum { MR = 4, NR = 32 };

/* Where a block begins, and how far apart its operands' elements are. */
typedef struct corner {
    const float *a, *b;
    float *c;
    int64_t ars, acs, ldb, ldc, k;
    bool add;
} corner;

static TUFF_KERNEL void block(const corner *at)
{
    const float *restrict a = at->a, *restrict b = at->b;
    const int64_t ars = at->ars, acs = at->acs, ldb = at->ldb;
    float sum[MR][NR] = {{0}};
    for (int64_t p = 0; p < at->k; p++)
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++)
                sum[i][j] += a[i * ars + p * acs] * b[p * ldb + j];
    for (int i = 0; i < MR; i++) {
        float *restrict c = at->c + i * at->ldc;
        for (int j = 0; j < NR; j++)
            c[j] = at->add ? c[j] + sum[i][j] : sum[i][j];
    }
}

/* What is left at the lower and at the right edge. */
static TUFF_KERNEL void edge(const corner *at, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++) {
        const float *restrict a = at->a + i * at->ars, *restrict b = at->b;
        float *restrict c = at->c + i * at->ldc, sum[NR] = {0};
        for (int64_t p = 0; p < at->k; p++)
            for (int64_t j = 0; j < columns; j++)
                sum[j] += a[p * at->acs] * b[p * at->ldb + j];
        for (int64_t j = 0; j < columns; j++)
            c[j] = at->add ? c[j] + sum[j] : sum[j];
    }
}

static const float *columns_of_b(const tuff_tile_shape *s, const float *b, int64_t j)
{
    return s->strips ? b + j / TUFF_STRIP * TUFF_STRIP * tuff_strip_rows(s->k) + j % TUFF_STRIP : b + j;
}

void tuff_tile_plain(const tuff_tile_shape *shape, const float *a, int64_t ars, int64_t acs, const float *b,
                     float *c)
{
    for (int64_t j = 0; j < shape->n; j += NR) {
        int64_t columns = shape->n - j < NR ? shape->n - j : NR;
        for (int64_t i = 0; i < shape->m; i += MR) {
            int64_t rows = shape->m - i < MR ? shape->m - i : MR;
            corner at = {a + i * ars,
                         columns_of_b(shape, b, j),
                         c + i * shape->n + j,
                         ars,
                         acs,
                         shape->strips ? TUFF_STRIP : shape->n,
                         shape->n,
                         shape->k,
                         shape->add};
            if (rows == MR && columns == NR)
                block(&at);
            else
                edge(&at, rows, columns);
        }
    }
}
