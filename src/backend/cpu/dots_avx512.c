/* Products of integers with AVX-512 and its instructions for neural networks. */
#include "backend/cpu/dots.h"

#ifdef TUFF_DOTS_X86
#include <immintrin.h>
#include <stdbool.h>

#include "base/blocks_read.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline)) TARGET
#include "backend/cpu/dots_x86.h"

INLINE float in_halves_16(__m512 sums)
{
    const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(sums), 1));
    return in_halves(_mm256_add_ps(_mm512_castps512_ps256(sums), high));
}

INLINE __m512i joined(__m256i low, __m256i high)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

INLINE __m512i twice(const void *at)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(at));
}

INLINE __m512i everywhere(const int8_t *table)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table));
}

/* The first half of the words is shifted by `one` bits to the right, the second by `two`. */
INLINE __m512i shifted(__m512i x, int one, int two)
{
    return _mm512_srlv_epi16(x, joined(_mm256_set1_epi16((short)one), _mm256_set1_epi16((short)two)));
}

/* ---- blocks of 32: 16 at a time; their numbers are made unsigned by 128 more, and what that adds is taken
 * off again */

/* 16 bytes at each place: their low halves, then their high halves. */
INLINE __m512i nibbles(const uint8_t *one, const uint8_t *two)
{
    const __m512i wide =
        _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)one)), 0xff00,
                                    _mm_loadu_si128((const void *)two));
    const __m512i shift = _mm512_set_epi64(0x0004000400040004, 0x0004000400040004, 0, 0, 0x0004000400040004,
                                           0x0004000400040004, 0, 0);
    return _mm512_and_si512(_mm512_srlv_epi16(wide, shift), _mm512_set1_epi8(15));
}

/* With the fifth bits of words, to which `zero` belongs, and so many more. */
INLINE __m512i fives(const uint8_t *one, const uint8_t *two, uint32_t high_one, uint32_t high_two, int more)
{
    const __mmask64 high = (uint64_t)high_two << 32 | high_one;
    const __m512i low = _mm512_add_epi8(nibbles(one, two), _mm512_set1_epi8((char)more));
    return _mm512_mask_add_epi8(low, high, low, _mm512_set1_epi8(16));
}

INLINE __m512i looked_up(const int8_t *table, __m512i at)
{
    return _mm512_shuffle_epi8(everywhere(table), at);
}

/* Numbers of blocks at `a` and `b`, 128 more than they are. */
INLINE __m512i numbers(tuff_block type, const uint8_t *a, const uint8_t *b)
{
    static const int8_t steps[16] = {TUFF_IQ4_NL_STEPS}, twices[16] = {TUFF_MXFP4_TWICE};
    const __m512i top = _mm512_set1_epi8((char)0x80);
    switch (type) {
    case TUFF_BLOCK_Q4_0:
        return _mm512_add_epi8(nibbles(a + 2, b + 2), _mm512_set1_epi8(120));
    case TUFF_BLOCK_Q4_1:
        return _mm512_xor_si512(nibbles(a + 4, b + 4), top);
    case TUFF_BLOCK_Q5_0:
        return fives(a + 6, b + 6, tuff_dots_word(a + 2), tuff_dots_word(b + 2), 112);
    case TUFF_BLOCK_Q5_1:
        return fives(a + 8, b + 8, tuff_dots_word(a + 4), tuff_dots_word(b + 4), -128);
    case TUFF_BLOCK_IQ4_NL:
        return _mm512_xor_si512(looked_up(steps, nibbles(a + 2, b + 2)), top);
    case TUFF_BLOCK_MXFP4:
        return _mm512_xor_si512(looked_up(twices, nibbles(a + 1, b + 1)), top);
    default: /* Q8_0 */
        return _mm512_xor_si512(
            joined(_mm256_loadu_si256((const void *)(a + 2)), _mm256_loadu_si256((const void *)(b + 2))),
            top);
    }
}

INLINE short half_at(const uint8_t *at)
{
    short half;
    memcpy(&half, at, 2);
    return half;
}

/* 16 blocks. */
typedef struct span {
    __m512i number[TUFF_DOTS_SUMS / 2]; /* of two blocks each */
    __m512 step, least;
} span;

INLINE void read_span(tuff_block type, int bytes, const uint8_t *w, span *s)
{
    const __m512i places = _mm512_mullo_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32(bytes));
    const __m512i first = _mm512_i32gather_epi32(places, w, 1);
    if (type == TUFF_BLOCK_MXFP4) { /* as tuff_mxfp4_half */
        const __m512i exponent = _mm512_and_si512(first, _mm512_set1_epi32(255)), one = _mm512_set1_epi32(1);
        const __m512i usual = _mm512_slli_epi32(_mm512_sub_epi32(exponent, one), 23);
        const __m512i small = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), exponent);
        s->step = _mm512_castsi512_ps(
            _mm512_mask_blend_epi32(_mm512_cmple_epi32_mask(exponent, one), usual, small));
    } else {
        s->step = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(first));
    }
    if (tuff_dots_has_least(type))
        s->least = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(first, 16)));
    _Pragma("GCC unroll 8") for (int p = 0; p < TUFF_DOTS_SUMS / 2; p++)
    {
        const uint8_t *at = w + 2 * p * bytes;
        tuff_dots_ask(at, 2 * (size_t)bytes);
        s->number[p] = numbers(type, at, at + bytes);
    }
}

INLINE __m512i add_halves(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
}

INLINE __m512i add_lanes(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

/* Sums of products of each block. */
INLINE __m512i sums_of(const span *s, const int8_t *x)
{
    __m512i t[TUFF_DOTS_SUMS / 2];
    _Pragma("GCC unroll 8") for (int p = 0; p < TUFF_DOTS_SUMS / 2; p++) t[p] =
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), s->number[p], _mm512_loadu_si512(x + 64 * p));
    const __m512i a = add_lanes(add_halves(t[0], t[1]), add_halves(t[2], t[3])),
                  b = add_lanes(add_halves(t[4], t[5]), add_halves(t[6], t[7]));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    /* place 4 i + j has the sum of block 4 j + i */
    return _mm512_permutexvar_epi32(_mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0),
                                    all);
}

INLINE void add_span(tuff_block type, const span *s, const tuff_dots_span *row, __m512 *sum, __m512 *less)
{
    const __m512 numbers =
        _mm512_cvtepi32_ps(_mm512_sub_epi32(sums_of(s, row->x), _mm512_loadu_si512(row->more)));
    const __m512 step = _mm512_mul_ps(s->step, _mm512_loadu_ps(row->scale));
    *sum = _mm512_add_ps(*sum, _mm512_mul_ps(step, numbers));
    if (tuff_dots_has_least(type))
        *less = _mm512_add_ps(*less, _mm512_mul_ps(s->least, _mm512_loadu_ps(row->sum)));
}

INLINE void dot_32(tuff_block type, size_t bytes, const uint8_t *w, int64_t K, const char *rows, int count,
                   float *sums)
{
    const size_t row_bytes = tuff_dots_row_bytes(type, K);
    uint8_t last[TUFF_DOTS_SUMS * TUFF_DOTS_MOST_BYTES];
    __m512 sum[TUFF_DOTS_ROWS], less[TUFF_DOTS_ROWS];
    for (int i = 0; i < count; i++)
        sum[i] = less[i] = _mm512_setzero_ps();
    for (int64_t k = 0; k < K; k += TUFF_DOTS_SPAN, w += TUFF_DOTS_SUMS * bytes) {
        span s;
        read_span(type, (int)bytes, tuff_dots_whole_span(w, (K - k) / 32, bytes, last), &s);
        for (int i = 0; i < count; i++)
            add_span(type, &s,
                     (const tuff_dots_span *)(const void *)(rows + (size_t)i * row_bytes) +
                         k / TUFF_DOTS_SPAN,
                     &sum[i], &less[i]);
    }
    for (int i = 0; i < count; i++) {
        sums[i] = in_halves_16(sum[i]);
        if (tuff_dots_has_least(type)) sums[i] += in_halves_16(less[i]);
    }
}

/* ---- blocks of 256: 64 places at a time */

typedef struct block {
    __m512i number[4]; /* unsigned, `zero` more than they are */
    __m512i scale[4];  /* words, of the group of each pair of numbers */
    groups g;
    float step, less;
} block;

/* The fifth bits of places at c and on: bits 2 * c and 2 * c + 1 of 32 bytes. */
INLINE __m512i fifths(const uint8_t *bits, int c)
{
    const __m512i one = _mm512_and_si512(shifted(twice(bits), 2 * c, 2 * c + 1), _mm512_set1_epi8(1));
    return _mm512_slli_epi16(one, 4);
}

INLINE __m512i numbers_of(tuff_block type, const uint8_t *w, int c)
{
    const __m512i low = _mm512_set1_epi8(15), two = _mm512_set1_epi8(3), one = _mm512_set1_epi8(1);
    const int half = c / 2, shift = c % 2 * 4;
    switch (type) {
    case TUFF_BLOCK_Q2_K:
        return _mm512_and_si512(shifted(twice(w + 16 + 32 * half), shift, shift + 2), two);
    case TUFF_BLOCK_Q3_K: {
        const __m512i x = _mm512_and_si512(shifted(twice(w + 32 + 32 * half), shift, shift + 2), two);
        const __m512i high = _mm512_and_si512(shifted(twice(w), 2 * c, 2 * c + 1), one);
        return _mm512_or_si512(x, _mm512_slli_epi16(high, 2));
    }
    case TUFF_BLOCK_Q4_K:
        return _mm512_and_si512(shifted(twice(w + 16 + 32 * c), 0, 4), low);
    case TUFF_BLOCK_Q5_K:
        return _mm512_or_si512(_mm512_and_si512(shifted(twice(w + 48 + 32 * c), 0, 4), low),
                               fifths(w + 16, c));
    default: { /* Q6_K */
        const __m512i bits = _mm512_loadu_si512(w + 64 * half);
        const __m512i x = _mm512_and_si512(c % 2 ? _mm512_srli_epi16(bits, 4) : bits, low);
        const __m512i high = _mm512_and_si512(shifted(twice(w + 128 + 32 * half), shift, shift + 2), two);
        return _mm512_or_si512(x, _mm512_slli_epi16(high, 4));
    }
    }
}

INLINE void read_block(tuff_block type, const uint8_t *w, block *b)
{
    groups_of(type, w, &b->g);
    b->step = _cvtsh_ss((unsigned short)half_at(w + tuff_dots_step_at(type)));
    if (tuff_dots_has_least(type))
        b->less = _cvtsh_ss((unsigned short)half_at(w + tuff_dots_step_at(type) + 2));
    const __m512i wide = _mm512_castsi256_si512(b->g.scales);
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++)
    {
        const __m512i at = _mm512_add_epi16(_mm512_set1_epi16((short)(4 * c)),
                                            joined(_mm256_set_m128i(_mm_set1_epi16(1), _mm_set1_epi16(0)),
                                                   _mm256_set_m128i(_mm_set1_epi16(3), _mm_set1_epi16(2))));
        b->number[c] = numbers_of(type, w, c);
        b->scale[c] = _mm512_permutexvar_epi16(at, wide);
    }
}

INLINE void add_block(tuff_block type, const block *b, const tuff_dots_block *row, __m512 *sum, __m256 *less)
{
    const __m256i sums = _mm256_loadu_si256((const void *)row->sums);
    __m512i all = _mm512_setzero_si512();
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++)
    {
        const __m512i pairs = _mm512_maddubs_epi16(b->number[c], _mm512_loadu_si512(row->x + 64 * c));
        all = _mm512_dpwssd_epi32(all, pairs, b->scale[c]);
    }
    if (tuff_dots_zero_bits(type)) {
        const __m256i more =
            _mm256_slli_epi32(_mm256_madd_epi16(b->g.scales, sums), tuff_dots_zero_bits(type));
        all = _mm512_sub_epi32(all, _mm512_zextsi256_si512(more));
    }
    *sum = _mm512_add_ps(*sum, _mm512_mul_ps(_mm512_set1_ps(b->step * row->scale), _mm512_cvtepi32_ps(all)));
    if (tuff_dots_has_least(type)) {
        const __m256 least = _mm256_cvtepi32_ps(_mm256_madd_epi16(b->g.least, sums));
        *less = _mm256_add_ps(*less, _mm256_mul_ps(_mm256_set1_ps(b->less * row->scale), least));
    }
}

INLINE void dot_256(tuff_block type, size_t bytes, const uint8_t *w, int64_t K, const char *rows, int count,
                    float *sums)
{
    const size_t row_bytes = tuff_dots_row_bytes(type, K);
    __m512 sum[TUFF_DOTS_ROWS];
    __m256 less[TUFF_DOTS_ROWS];
    for (int i = 0; i < count; i++) {
        sum[i] = _mm512_setzero_ps();
        less[i] = _mm256_setzero_ps();
    }
    for (int64_t n = 0; n < K / TUFF_DOTS_BLOCK; n++) {
        block b;
        tuff_dots_ask(w + (size_t)n * bytes, bytes);
        read_block(type, w + (size_t)n * bytes, &b);
        for (int i = 0; i < count; i++)
            add_block(type, &b, (const tuff_dots_block *)(const void *)(rows + (size_t)i * row_bytes) + n,
                      &sum[i], &less[i]);
    }
    for (int i = 0; i < count; i++)
        sums[i] = in_halves_16(sum[i]) - (tuff_dots_has_least(type) ? in_halves(less[i]) : 0);
}

#define TUFF_DOTS_KERNELS tuff_dots_avx512
#define TUFF_DOTS_TITLE   "AVX-512 VNNI"
#include "backend/cpu/dots_x86_table.h"

#endif
