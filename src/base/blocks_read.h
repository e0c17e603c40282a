/* How 32 neighbours of a block are read: THE reading of the formats. base/blocks.c compiles it for all, the
 * CPU's kernels for the machine at hand. In each a product of scales and of an element is exact, so that it
 * does not matter whether it is rounded before something is taken off. The formats are llama.cpp's. */
#ifndef TUFF_BASE_BLOCKS_READ_H
#define TUFF_BASE_BLOCKS_READ_H

#include "base/blocks.h"
#include "base/half.h"

enum { TUFF_BLOCK_GROUP = 32 }; /* every block is so many, or a multiple */

static inline float tuff_block_half(const uint8_t *at)
{
    uint16_t half;
    memcpy(&half, at, 2);
    const uint32_t magnitude = half & 0x7fffu, sign = (half & 0x8000u) << 16;
    if (magnitude < 0x400) return (sign ? -0x1p-24f : 0x1p-24f) * (float)(int)magnitude;
    return tuff_bits_f32(sign | ((magnitude << 13) + ((magnitude < 0x7c00 ? 112u : 224u) << 23)));
}

static inline uint32_t tuff_block_word(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/* Of a block at `in` the elements 32 * g and on. */
#define TUFF_BLOCK_READER(NAME) \
    static inline               \
        __attribute__((always_inline)) void tuff_read_##NAME(const uint8_t *in, unsigned g, float *out)

/* Blocks of 32: the first 16 elements are low halves of bytes, the last 16 the high halves. */

/* scale, 4 bits that are 8 more */
TUFF_BLOCK_READER(Q4_0)
{
    const float scale = tuff_block_half(in);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)((in[2 + i] & 15) - 8);
        out[i + 16] = scale * (float)((in[2 + i] >> 4) - 8);
    }
    (void)g;
}

/* scale, least, 4 bits */
TUFF_BLOCK_READER(Q4_1)
{
    const float scale = tuff_block_half(in), least = tuff_block_half(in + 2);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)(in[4 + i] & 15) + least;
        out[i + 16] = scale * (float)(in[4 + i] >> 4) + least;
    }
    (void)g;
}

/* scale, a word of fifth bits, 4 bits; 16 more */
TUFF_BLOCK_READER(Q5_0)
{
    const float scale = tuff_block_half(in);
    const uint32_t high = tuff_block_word(in + 2);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)((int)((in[6 + i] & 15u) | (high >> i & 1) << 4) - 16);
        out[i + 16] = scale * (float)((int)((in[6 + i] >> 4) | (high >> (i + 16) & 1) << 4) - 16);
    }
    (void)g;
}

/* scale, least, a word of fifth bits, 4 bits */
TUFF_BLOCK_READER(Q5_1)
{
    const float scale = tuff_block_half(in), least = tuff_block_half(in + 2);
    const uint32_t high = tuff_block_word(in + 4);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)(int)((in[8 + i] & 15u) | (high >> i & 1) << 4) + least;
        out[i + 16] = scale * (float)(int)((in[8 + i] >> 4) | (high >> (i + 16) & 1) << 4) + least;
    }
    (void)g;
}

/* scale, 8 signed bits */
TUFF_BLOCK_READER(Q8_0)
{
    const float scale = tuff_block_half(in);
    for (int i = 0; i < 32; i++)
        out[i] = scale * (float)(int8_t)in[2 + i];
    (void)g;
}

#define TUFF_IQ4_NL_STEPS -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
#define TUFF_MXFP4_TWICE  0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12

/* scale, 4 bits that number a step of the scale */
TUFF_BLOCK_READER(IQ4_NL)
{
    static const float steps[16] = {TUFF_IQ4_NL_STEPS};
    const float scale = tuff_block_half(in);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * steps[in[2 + i] & 15];
        out[i + 16] = scale * steps[in[2 + i] >> 4];
    }
    (void)g;
}

/* Half of two to the exponent that is stored. */
static inline float tuff_mxfp4_half(uint8_t exponent)
{
    return tuff_bits_f32(exponent < 2 ? 0x00200000u << exponent : (exponent - 1u) << 23);
}

/* exponent, 4 bits that are floats of 1 + 2 + 1 bits (OCP Microscaling Formats 1.0) */
TUFF_BLOCK_READER(MXFP4)
{
    static const float twice[16] = {TUFF_MXFP4_TWICE};
    const float half = tuff_mxfp4_half(in[0]);
    for (int i = 0; i < 16; i++) {
        out[i] = half * twice[in[1 + i] & 15];
        out[i + 16] = half * twice[in[1 + i] >> 4];
    }
    (void)g;
}

/* Blocks of 256: groups of 16 or 32 have scales in steps of the block's. */

/* Numbers of two groups of 16, each with its step and what is taken off. */
static inline __attribute__((always_inline)) void tuff_block_halves(const float *numbers, const float *steps,
                                                                    const float *less, float *out)
{
    for (int i = 0; i < 32; i++)
        out[i] = (i < 16 ? steps[0] : steps[1]) * numbers[i] - (i < 16 ? less[0] : less[1]);
}

/* 16 groups: 4 bits of scale and 4 of least each, 2 bits of the elements, scale, least */
TUFF_BLOCK_READER(Q2_K)
{
    const float scale = tuff_block_half(in + 80), least = tuff_block_half(in + 82);
    const uint8_t *bits = in + 16 + g / 4 * 32, *scales = in + 2 * g;
    const unsigned shift = g % 4 * 2;
    const float steps[2] = {scale * (float)(scales[0] & 15), scale * (float)(scales[1] & 15)};
    const float less[2] = {least * (float)(scales[0] >> 4), least * (float)(scales[1] >> 4)};
    float numbers[32];
    for (int i = 0; i < 32; i++)
        numbers[i] = (float)(bits[i] >> shift & 3);
    tuff_block_halves(numbers, steps, less, out);
}

/* Of Q3_K the scale of group n of 16, in 12 bytes. */
static inline int tuff_block_scale(const uint8_t *in, unsigned n)
{
    const int low = in[n % 8] >> (n / 8 * 4) & 15, top = in[8 + n % 4] >> (n / 4 * 2) & 3;
    return (low | top << 4) - 32;
}

/* 32 bytes of third bits, 2 bits of the elements, 6 bits of scale for 16 groups, scale */
TUFF_BLOCK_READER(Q3_K)
{
    const uint8_t *bits = in + 32 + g / 4 * 32;
    const float scale = tuff_block_half(in + 108);
    const unsigned shift = g % 4 * 2;
    const float steps[2] = {scale * (float)tuff_block_scale(in + 96, 2 * g),
                            scale * (float)tuff_block_scale(in + 96, 2 * g + 1)};
    float numbers[32];
    for (int i = 0; i < 32; i++)
        numbers[i] = (float)((bits[i] >> shift & 3) + (in[i] >> g & 1) * 4 - 4);
    tuff_block_halves(numbers, steps, (float[2]){0, 0}, out);
}

/* 6 bits of scale and of least of group g of 8, in 12 bytes */
static inline void tuff_block_scales(const uint8_t *in, unsigned g, float *scale, float *least)
{
    const int low = g < 4 ? in[g] & 63 : (in[g + 4] & 15) | in[g - 4] >> 6 << 4;
    const int high = g < 4 ? in[g + 4] & 63 : in[g + 4] >> 4 | in[g] >> 6 << 4;
    *scale *= (float)low;
    *least *= (float)high;
}

/* scale, least, those of 8 groups, 4 bits: two groups share bytes */
TUFF_BLOCK_READER(Q4_K)
{
    const uint8_t *bits = in + 16 + g / 2 * 32;
    float step = tuff_block_half(in), low = tuff_block_half(in + 2);
    tuff_block_scales(in + 4, g, &step, &low);
    for (int i = 0; i < 32; i++)
        out[i] = step * (float)(bits[i] >> (g % 2 * 4) & 15) - low;
}

/* the same with 32 bytes of fifth bits */
TUFF_BLOCK_READER(Q5_K)
{
    const uint8_t *bits = in + 48 + g / 2 * 32, *high = in + 16;
    float step = tuff_block_half(in), low = tuff_block_half(in + 2);
    tuff_block_scales(in + 4, g, &step, &low);
    for (int i = 0; i < 32; i++)
        out[i] = step * (float)((bits[i] >> (g % 2 * 4) & 15) | (high[i] >> g & 1) << 4) - low;
}

/* 4 low bits, 2 high bits, 8 signed bits of scale for 16 groups, scale; 32 more */
TUFF_BLOCK_READER(Q6_K)
{
    const float scale = tuff_block_half(in + 208);
    const unsigned half = g / 4, quarter = g % 4, low_shift = quarter / 2 * 4, high_shift = quarter * 2;
    const uint8_t *low = in + half * 64 + quarter % 2 * 32, *high = in + 128 + half * 32;
    const float steps[2] = {scale * (float)(int8_t)in[192 + 2 * g], scale * (float)(int8_t)in[193 + 2 * g]};
    float numbers[32];
    for (int i = 0; i < 32; i++)
        numbers[i] = (float)(((low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4) - 32);
    tuff_block_halves(numbers, steps, (float[2]){0, 0}, out);
}

/* Runs `each(in, g, i)`, where in is the block and g the place within it, for groups first + i of blocks at
 * `blocks`, i from 0 to count. */
#define TUFF_BLOCK_GROUPS(NAME, elements, bytes, blocks, first, count, each)                      \
    for (size_t i_ = 0; i_ < (count); i_++) {                                                     \
        const size_t at_ = (first) + i_, per_ = (elements) / TUFF_BLOCK_GROUP;                    \
        each(NAME, (const uint8_t *)(blocks) + at_ / per_ * (bytes), (unsigned)(at_ % per_), i_); \
    }

#endif
