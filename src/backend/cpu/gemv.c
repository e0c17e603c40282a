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

/* The terms from i on, and all sums added up; what vectors of f16 share. */
static inline float finish_f16(float *s, const float *x, const uint16_t *w, int64_t i, int64_t k)
{
    for (int l = 0; i < k; i++, l++)
        s[l] += x[i] * tuff_f16_scaled(w[i]);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            s[l] += s[l + half];
    return s[0];
}

static float dot_f16_any(const float *restrict x, const uint16_t *restrict w, int64_t k)
{
    float s[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES)
        for (int l = 0; l < LANES; l++)
            s[l] += x[i + l] * tuff_f16_scaled(w[i + l]);
    return finish_f16(s, x, w, i, k);
}

/* The compiler does not find the instruction that converts. */
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
#include <immintrin.h>

static __attribute__((target("avx512f"))) float dot_f16_avx512(const float *x, const uint16_t *w, int64_t k)
{
    __m512 sum[LANES / 16];
    float s[LANES];
    int64_t i = 0;
    for (int v = 0; v < LANES / 16; v++)
        sum[v] = _mm512_setzero_ps();
    for (; i + LANES <= k; i += LANES)
        for (int v = 0; v < LANES / 16; v++) {
            const __m256i halves = _mm256_loadu_si256((const void *)(w + i + 16 * v));
            sum[v] = _mm512_fmadd_ps(_mm512_loadu_ps(x + i + 16 * v), _mm512_cvtph_ps(halves), sum[v]);
        }
    for (int v = 0; v < LANES / 16; v++)
        _mm512_storeu_ps(s + 16 * v, sum[v]);
    return finish_f16(s, x, w, i, k);
}

static __attribute__((target("avx2,fma,f16c"))) float dot_f16_avx2(const float *x, const uint16_t *w,
                                                                   int64_t k)
{
    __m256 sum[LANES / 8];
    float s[LANES];
    int64_t i = 0;
    for (int v = 0; v < LANES / 8; v++)
        sum[v] = _mm256_setzero_ps();
    for (; i + LANES <= k; i += LANES)
        for (int v = 0; v < LANES / 8; v++) {
            const __m128i halves = _mm_loadu_si128((const void *)(w + i + 8 * v));
            sum[v] = _mm256_fmadd_ps(_mm256_loadu_ps(x + i + 8 * v), _mm256_cvtph_ps(halves), sum[v]);
        }
    for (int v = 0; v < LANES / 8; v++)
        _mm256_storeu_ps(s + 8 * v, sum[v]);
    return finish_f16(s, x, w, i, k);
}
#endif

typedef float dot_f16_fn(const float *x, const uint16_t *w, int64_t k);

static dot_f16_fn *dot_f16(void)
{
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return dot_f16_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return dot_f16_avx2;
#endif
    return dot_f16_any;
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
    dot_f16_fn *of_f16 = dot_f16();
    for (int64_t n = begin; n < end; n++) {
        if (j->dtype == TUFF_F32)
            j->y[n] = dot_f32(j->x, (const float *)j->w + n * j->ldw, j->k);
        else if (j->dtype == TUFF_BF16)
            j->y[n] = dot_bf16(j->x, (const uint16_t *)j->w + n * j->ldw, j->k);
        else
            j->y[n] = of_f16(j->x, (const uint16_t *)j->w + n * j->ldw, j->k);
    }
}

void tuff_gemv(int64_t N, int64_t K, const float *x, const void *w, tuff_dtype dtype, int64_t ldw, float *y)
{
    job j = {K, ldw, x, w, dtype, y};
    tuff_parallel(N, 1 + 16384 / (K + 1), rows, &j);
}
