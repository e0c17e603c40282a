#include "backend/cpu/gemm_plain.h"

#include "backend/cpu/kernels.h"

/* A tile of C is MR x NR in registers; panels of KC columns of A and rows of B are packed so that the inner
 * loop reads both in order. Blocks of columns are the threads' share, so a result never depends on their
 * number. */
enum { MR = 4, NR = 32, KC = 256 };

typedef struct job {
    int64_t M, N, K;
    float alpha, beta;
    const float *a, *b;
    int64_t ars, acs, brs, bcs, crs;
    float *c;
} job;

static TUFF_KERNEL void tile(int64_t k, const float *restrict a, const float *restrict b, float *restrict acc)
{
    float s[MR][NR] = {{0}};
    for (int64_t p = 0; p < k; p++)
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++)
                s[i][j] += a[p * MR + i] * b[p * NR + j];
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++)
            acc[i * NR + j] = s[i][j];
}

/* Packs `count` vectors of k elements side by side, zero past the end. */
static void pack(const float *x, int64_t vector, int64_t element, int64_t count, int width, int64_t k,
                 float *out)
{
    for (int64_t p = 0; p < k; p++)
        for (int i = 0; i < width; i++)
            out[p * width + i] = i < count ? x[i * vector + p * element] : 0.0f;
}

static void store(const job *w, const float *acc, int64_t i0, int64_t j0, int first)
{
    for (int64_t i = i0; i < i0 + MR && i < w->M; i++)
        for (int64_t j = j0; j < j0 + NR && j < w->N; j++) {
            float *c = &w->c[i * w->crs + j];
            float before = !first ? *c : w->beta == 0.0f ? 0.0f : w->beta * *c;
            *c = before + w->alpha * acc[(i - i0) * NR + (j - j0)];
        }
}

static void columns(int64_t begin, int64_t end, void *context)
{
    const job *w = context;
    float pa[KC * MR], pb[KC * NR], acc[MR * NR];
    for (int64_t j = begin * NR; j < end * NR && j < w->N; j += NR)
        for (int64_t p = 0; p == 0 || p < w->K; p += KC) {
            int64_t k = w->K - p < KC ? w->K - p : KC;
            pack(w->b + j * w->bcs + p * w->brs, w->bcs, w->brs, w->N - j, NR, k, pb);
            for (int64_t i = 0; i < w->M; i += MR) {
                pack(w->a + i * w->ars + p * w->acs, w->ars, w->acs, w->M - i, MR, k, pa);
                tile(k, pa, pb, acc);
                store(w, acc, i, j, p == 0);
            }
        }
}

void tuff_gemm_plain(int64_t M, int64_t N, int64_t K, float alpha, const float *a, int64_t ars, int64_t acs,
                     const float *b, int64_t brs, int64_t bcs, float beta, float *c, int64_t crs)
{
    job w = {M, N, K, alpha, beta, a, b, ars, acs, brs, bcs, crs, c};
    tuff_parallel((N + NR - 1) / NR, 1, columns, &w);
}
