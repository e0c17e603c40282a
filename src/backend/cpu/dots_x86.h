/* What kernels with AVX2 and with AVX-512 share. Each file includes it once it has defined INLINE, for its
 * own instruction set. */
#ifndef TUFF_BACKEND_CPU_DOTS_X86_H
#define TUFF_BACKEND_CPU_DOTS_X86_H

#include <immintrin.h>

#include "backend/cpu/dots.h"

/* The second half of the sums added to the first, and so on. */
INLINE float in_halves(__m256 sums)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* Of the groups of 16 of a block of 256. */
typedef struct groups {
    __m256i scales, least; /* words */
} groups;

/* Scales and leasts of the groups, as words. */
INLINE void groups_of(tuff_block type, const uint8_t *w, groups *out)
{
    const __m128i low = _mm_set1_epi8(15);
    switch (type) {
    case TUFF_BLOCK_Q2_K: {
        const __m128i both = _mm_loadu_si128((const void *)w);
        out->scales = _mm256_cvtepu8_epi16(_mm_and_si128(both, low));
        out->least = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(both, 4), low));
        break;
    }
    case TUFF_BLOCK_Q3_K: {
        uint32_t x[4];
        tuff_dots_scales_q3_k(w + 96, x);
        out->scales =
            _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_set_epi32((int)x[3], (int)x[2], (int)x[1], (int)x[0])),
                             _mm256_set1_epi16(32));
        break;
    }
    case TUFF_BLOCK_Q4_K:
    case TUFF_BLOCK_Q5_K: {
        uint32_t x[4];
        tuff_dots_scales_of_8(w + 4, x);
        const __m128i all = _mm_set_epi32((int)x[3], (int)x[2], (int)x[1], (int)x[0]);
        out->scales = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(all, all));
        out->least = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(all, all));
        break;
    }
    default: /* Q6_K */
        out->scales = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(w + 192)));
        break;
    }
}

#endif
