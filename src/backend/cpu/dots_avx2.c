/* Products of integers with AVX2. */
#include "backend/cpu/dots.h"

#ifdef TUFF_DOTS_X86
#include <immintrin.h>

#include "base/blocks_read.h"

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline)) TARGET
#include "backend/cpu/dots_x86.h"

INLINE __m256i load(const void *at)
{
    return _mm256_loadu_si256(at);
}

INLINE __m256i lowest(__m256i x, int bits)
{
    return _mm256_and_si256(x, _mm256_set1_epi8((char)((1 << bits) - 1)));
}

/* ---- blocks of 32 */

/* 16 bytes: their low halves, then their high halves. */
INLINE __m256i nibbles(const uint8_t *at)
{
    const __m128i bytes = _mm_loadu_si128((const void *)at);
    return lowest(_mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes), 4);
}

/* Bit i of a word as 16 in byte i. */
INLINE __m256i fifth_bits(uint32_t bits)
{
    const __m256i bytes = _mm256_shuffle_epi8(
        _mm256_set1_epi32((int)bits),
        _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0x0000000000000000));
    const __m256i each = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, each), each);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

INLINE __m256i looked_up(const int8_t *table, __m256i at)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table)), at);
}

INLINE __m256i numbers(tuff_block type, const uint8_t *w)
{
    static const int8_t steps[16] = {TUFF_IQ4_NL_STEPS}, twices[16] = {TUFF_MXFP4_TWICE};
    switch (type) {
    case TUFF_BLOCK_Q4_0:
        return _mm256_sub_epi8(nibbles(w + 2), _mm256_set1_epi8(8));
    case TUFF_BLOCK_Q4_1:
        return nibbles(w + 4);
    case TUFF_BLOCK_Q5_0:
        return _mm256_sub_epi8(_mm256_or_si256(nibbles(w + 6), fifth_bits(tuff_dots_word(w + 2))),
                               _mm256_set1_epi8(16));
    case TUFF_BLOCK_Q5_1:
        return _mm256_or_si256(nibbles(w + 8), fifth_bits(tuff_dots_word(w + 4)));
    case TUFF_BLOCK_IQ4_NL:
        return looked_up(steps, nibbles(w + 2));
    case TUFF_BLOCK_MXFP4:
        return looked_up(twices, nibbles(w + 1));
    default: /* Q8_0 */
        return load(w + 2);
    }
}

INLINE float half_at(const uint8_t *at)
{
    unsigned short half;
    memcpy(&half, at, 2);
    return _cvtsh_ss(half);
}

/* Eight blocks; where they have a scale, its bits are in the low halves of words, a least's in the high. */
INLINE __m256i first_words(const uint8_t *w, int bytes)
{
    const __m256i places =
        _mm256_mullo_epi32(_mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0), _mm256_set1_epi32(bytes));
    return _mm256_i32gather_epi32((const void *)w, places, 1);
}

INLINE __m256 halves_of(__m256i words)
{
    const __m256i packed = _mm256_packus_epi32(words, words);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
}

INLINE __m256 steps_of(tuff_block type, __m256i words)
{
    if (type != TUFF_BLOCK_MXFP4) return halves_of(_mm256_and_si256(words, _mm256_set1_epi32(0xffff)));
    /* as tuff_mxfp4_half */
    const __m256i exponent = _mm256_and_si256(words, _mm256_set1_epi32(255)), one = _mm256_set1_epi32(1);
    const __m256i usual = _mm256_slli_epi32(_mm256_sub_epi32(exponent, one), 23);
    const __m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), exponent);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(small, usual, _mm256_cmpgt_epi32(exponent, one)));
}

/* Products of one block: magnitudes times numbers that have the sign of the products, for the instruction
 * takes one operand without a sign. */
INLINE __m256i products(__m256i w, const int8_t *x)
{
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(load(x), w));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

INLINE __m256i add_four(const __m256i *number, const int8_t *x)
{
    return _mm256_hadd_epi32(_mm256_hadd_epi32(products(number[0], x), products(number[1], x + 32)),
                             _mm256_hadd_epi32(products(number[2], x + 64), products(number[3], x + 96)));
}

/* Eight blocks, of which the first has number `at` of 16, with a row. */
INLINE void add_eight(tuff_block type, const __m256i *number, __m256i words, const tuff_dots_span *row,
                      int at, __m256 *sum, __m256 *less)
{
    const int8_t *x = row->x + 32 * at;
    const __m256i a = add_four(number, x), b = add_four(number + 4, x + 128);
    const __m256i all =
        _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
    const __m256 step = _mm256_mul_ps(steps_of(type, words), _mm256_loadu_ps(row->scale + at));
    *sum = _mm256_add_ps(*sum, _mm256_mul_ps(step, _mm256_cvtepi32_ps(all)));
    if (tuff_dots_has_least(type)) {
        const __m256 least = halves_of(_mm256_srli_epi32(words, 16));
        *less = _mm256_add_ps(*less, _mm256_mul_ps(least, _mm256_loadu_ps(row->sum + at)));
    }
}

INLINE void dot_32(tuff_block type, size_t bytes, const uint8_t *w, int64_t K, const char *rows, int count,
                   float *sums)
{
    const size_t row_bytes = tuff_dots_row_bytes(type, K);
    uint8_t last[TUFF_DOTS_SUMS * TUFF_DOTS_MOST_BYTES];
    __m256 sum[TUFF_DOTS_ROWS][2], less[TUFF_DOTS_ROWS][2];
    for (int i = 0; i < count; i++)
        sum[i][0] = sum[i][1] = less[i][0] = less[i][1] = _mm256_setzero_ps();
    for (int64_t k = 0; k < K; k += TUFF_DOTS_SPAN, w += TUFF_DOTS_SUMS * bytes) {
        const uint8_t *from = tuff_dots_whole_span(w, (K - k) / 32, bytes, last);
        _Pragma("GCC unroll 2") for (int half = 0; half < 2; half++)
        {
            const uint8_t *at = from + (size_t)half * 8 * bytes;
            const __m256i words = first_words(at, (int)bytes);
            __m256i number[8];
            tuff_dots_ask(at, 8 * bytes);
            _Pragma("GCC unroll 8") for (int b = 0; b < 8; b++) number[b] =
                numbers(type, at + (size_t)b * bytes);
            for (int i = 0; i < count; i++)
                add_eight(type, number, words,
                          (const tuff_dots_span *)(const void *)(rows + (size_t)i * row_bytes) +
                              k / TUFF_DOTS_SPAN,
                          8 * half, &sum[i][half], &less[i][half]);
        }
    }
    for (int i = 0; i < count; i++) {
        sums[i] = in_halves(_mm256_add_ps(sum[i][0], sum[i][1]));
        if (tuff_dots_has_least(type)) sums[i] += in_halves(_mm256_add_ps(less[i][0], less[i][1]));
    }
}

/* ---- blocks of 256: 32 places at a time */

typedef struct block {
    groups g;
    float step, less;
} block;

/* Numbers of places 32 * g and on, not yet less what they are more than they are. */
INLINE __m256i numbers_of(tuff_block type, const uint8_t *w, int g)
{
    const int half = g / 4, shift = g % 4 * 2;
    switch (type) {
    case TUFF_BLOCK_Q2_K:
        return lowest(_mm256_srli_epi16(load(w + 16 + 32 * half), shift), 2);
    case TUFF_BLOCK_Q3_K:
        return _mm256_or_si256(lowest(_mm256_srli_epi16(load(w + 32 + 32 * half), shift), 2),
                               _mm256_slli_epi16(lowest(_mm256_srli_epi16(load(w), g), 1), 2));
    case TUFF_BLOCK_Q4_K:
        return lowest(_mm256_srli_epi16(load(w + 16 + g / 2 * 32), g % 2 * 4), 4);
    case TUFF_BLOCK_Q5_K:
        return _mm256_or_si256(lowest(_mm256_srli_epi16(load(w + 48 + g / 2 * 32), g % 2 * 4), 4),
                               _mm256_slli_epi16(lowest(_mm256_srli_epi16(load(w + 16), g), 1), 4));
    default: { /* Q6_K */
        const __m256i low = lowest(_mm256_srli_epi16(load(w + 64 * half + g % 2 * 32), g % 4 / 2 * 4), 4);
        const __m256i high = lowest(_mm256_srli_epi16(load(w + 128 + 32 * half), shift), 2);
        return _mm256_or_si256(low, _mm256_slli_epi16(high, 4));
    }
    }
}

/* The scales of groups 2 * g and 2 * g + 1, each in eight words. */
INLINE __m256i scales_at(__m256i scales, int g)
{
    const __m256i four = g / 2 == 0   ? _mm256_permute4x64_epi64(scales, 0x00)
                         : g / 2 == 1 ? _mm256_permute4x64_epi64(scales, 0x55)
                         : g / 2 == 2 ? _mm256_permute4x64_epi64(scales, 0xaa)
                                      : _mm256_permute4x64_epi64(scales, 0xff);
    const short one = (short)(g % 2 ? 0x0504 : 0x0100), two = (short)(g % 2 ? 0x0706 : 0x0302);
    return _mm256_shuffle_epi8(four, _mm256_set_m128i(_mm_set1_epi16(two), _mm_set1_epi16(one)));
}

INLINE void add_block(tuff_block type, const block *b, const __m256i *all, const tuff_dots_block *row,
                      __m256 *sum, __m256 *less)
{
    const __m256i sums = load(row->sums);
    __m256i one = all[0];
    if (tuff_dots_zero_bits(type))
        one = _mm256_sub_epi32(
            one, _mm256_slli_epi32(_mm256_madd_epi16(b->g.scales, sums), tuff_dots_zero_bits(type)));
    const __m256 step = _mm256_set1_ps(b->step * row->scale);
    sum[0] = _mm256_add_ps(sum[0], _mm256_mul_ps(step, _mm256_cvtepi32_ps(one)));
    sum[1] = _mm256_add_ps(sum[1], _mm256_mul_ps(step, _mm256_cvtepi32_ps(all[1])));
    if (tuff_dots_has_least(type)) {
        const __m256 least = _mm256_cvtepi32_ps(_mm256_madd_epi16(b->g.least, sums));
        *less = _mm256_add_ps(*less, _mm256_mul_ps(_mm256_set1_ps(b->less * row->scale), least));
    }
}

INLINE void dot_256(tuff_block type, size_t bytes, const uint8_t *w, int64_t K, const char *rows, int count,
                    float *sums)
{
    const size_t row_bytes = tuff_dots_row_bytes(type, K);
    __m256 sum[TUFF_DOTS_ROWS][2], less[TUFF_DOTS_ROWS];
    for (int i = 0; i < count; i++)
        sum[i][0] = sum[i][1] = less[i] = _mm256_setzero_ps();
    for (int64_t n = 0; n < K / TUFF_DOTS_BLOCK; n++, w += bytes) {
        const tuff_dots_block *row[TUFF_DOTS_ROWS];
        __m256i all[TUFF_DOTS_ROWS][2];
        block b;
        tuff_dots_ask(w, bytes);
        groups_of(type, w, &b.g);
        b.step = half_at(w + tuff_dots_step_at(type));
        if (tuff_dots_has_least(type)) b.less = half_at(w + tuff_dots_step_at(type) + 2);
        for (int i = 0; i < count; i++) {
            row[i] = (const tuff_dots_block *)(const void *)(rows + (size_t)i * row_bytes) + n;
            all[i][0] = all[i][1] = _mm256_setzero_si256();
        }
        _Pragma("GCC unroll 8") for (int g = 0; g < 8; g++)
        {
            const __m256i number = numbers_of(type, w, g), scale = scales_at(b.g.scales, g);
            for (int i = 0; i < count; i++) {
                const __m256i pairs = _mm256_maddubs_epi16(number, load(row[i]->x + 32 * g));
                all[i][g % 2] = _mm256_add_epi32(all[i][g % 2], _mm256_madd_epi16(pairs, scale));
            }
        }
        for (int i = 0; i < count; i++)
            add_block(type, &b, all[i], row[i], sum[i], &less[i]);
    }
    for (int i = 0; i < count; i++)
        sums[i] = in_halves(_mm256_add_ps(sum[i][0], sum[i][1])) -
                  (tuff_dots_has_least(type) ? in_halves(less[i]) : 0);
}

#define TUFF_DOTS_KERNELS tuff_dots_avx2
#define TUFF_DOTS_TITLE   "AVX2"
#include "backend/cpu/dots_x86_table.h"

#endif
