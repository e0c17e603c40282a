/* Matrix times vector at memory speed: each thread streams its rows of W once. */
#include "backend/cpu/kernels.h"
#include "base/half.h"

enum { LANES = 64 };

static TUFF_KERNEL float dot_f32(const float *restrict x, const float *restrict w, int64_t k)
{
    float s[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES)
        for (int l = 0; l < LANES; l++)
            s[l] += x[i + l] * w[i + l];
    for (int l = 0; i < k; i++, l++)
        s[l] += x[i] * w[i];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            s[l] += s[l + half];
    return s[0];
}

static TUFF_KERNEL float dot_bf16(const float *restrict x, const uint16_t *restrict w, int64_t k)
{
    float s[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES)
        for (int l = 0; l < LANES; l++)
            s[l] += x[i + l] * tuff_bf16_to_f32(w[i + l]);
    for (int l = 0; i < k; i++, l++)
        s[l] += x[i] * tuff_bf16_to_f32(w[i]);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            s[l] += s[l + half];
    return s[0];
}

static TUFF_KERNEL float dot_f16(const float *restrict x, const uint16_t *restrict w, int64_t k)
{
    float s[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES)
        for (int l = 0; l < LANES; l++)
            s[l] += x[i + l] * tuff_f16_scaled(w[i + l]);
    for (int l = 0; i < k; i++, l++)
        s[l] += x[i] * tuff_f16_scaled(w[i]);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            s[l] += s[l + half];
    return s[0];
}

typedef struct job {
    int64_t k, ldw;
    const float *x;
    const void *w;
    tuff_dtype dtype;
    float *y;
} job;

static void rows(int64_t begin, int64_t end, void *context)
{
    const job *j = context;
    for (int64_t n = begin; n < end; n++) {
        if (j->dtype == TUFF_F32)
            j->y[n] = dot_f32(j->x, (const float *)j->w + n * j->ldw, j->k);
        else if (j->dtype == TUFF_BF16)
            j->y[n] = dot_bf16(j->x, (const uint16_t *)j->w + n * j->ldw, j->k);
        else
            j->y[n] = dot_f16(j->x, (const uint16_t *)j->w + n * j->ldw, j->k);
    }
}

void tuff_gemv(int64_t N, int64_t K, const float *x, const void *w, tuff_dtype dtype, int64_t ldw, float *y)
{
    job j = {K, ldw, x, w, dtype, y};
    tuff_parallel(N, 1 + 16384 / (K + 1), rows, &j);
}
