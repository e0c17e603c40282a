#include "backend/cpu/gemm_tile.h"

#include "backend/cpu/kernels.h"

/* A block of C that stays in registers. */
enum { MR = 4, NR = 32 };

static TUFF_KERNEL void block(const tuff_tile_shape *s, const float *restrict a, const float *restrict b,
                              float *restrict c)
{
    float sum[MR][NR] = {{0}};
    for (int64_t p = 0; p < s->k; p++)
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++)
                sum[i][j] += a[i * s->k + p] * b[p * s->n + j];
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++)
            c[i * s->n + j] = sum[i][j];
}

/* What is left at the lower and at the right edge. */
static TUFF_KERNEL void edge(const tuff_tile_shape *s, const float *restrict a, const float *restrict b,
                             float *restrict c, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++) {
        float sum[NR] = {0};
        for (int64_t p = 0; p < s->k; p++)
            for (int64_t j = 0; j < columns; j++)
                sum[j] += a[i * s->k + p] * b[p * s->n + j];
        for (int64_t j = 0; j < columns; j++)
            c[i * s->n + j] = sum[j];
    }
}

void tuff_tile_plain(const tuff_tile_shape *shape, const float *a, const float *b, float *c)
{
    for (int64_t j = 0; j < shape->n; j += NR) {
        int64_t columns = shape->n - j < NR ? shape->n - j : NR;
        for (int64_t i = 0; i < shape->m; i += MR) {
            int64_t rows = shape->m - i < MR ? shape->m - i : MR;
            const float *ai = a + i * shape->k;
            float *ci = c + i * shape->n + j;
            if (rows == MR && columns == NR)
                block(shape, ai, b + j, ci);
            else
                edge(shape, ai, b + j, ci, rows, columns);
        }
    }
}
