/* How blocks are read. The formats are llama.cpp's; a block begins at any address. */
#include "base/blocks.h"

#include <string.h>

#include "base/half.h"
#include "base/status.h"

const tuff_block_info *tuff_block_get(tuff_block type)
{
    static const tuff_block_info infos[TUFF_BLOCK_COUNT] = {
#define TUFF_BLOCK(NAME, name, elements, bytes) {name, elements, bytes},
#include "base/blocks.def"
    };
    TUFF_ASSERT((unsigned)type < TUFF_BLOCK_COUNT);
    return &infos[type];
}

static float half_at(const uint8_t *at)
{
    uint16_t half;
    memcpy(&half, at, 2);
    return tuff_f16_to_f32(half);
}

static uint32_t word_at(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/* Blocks of 32: the first 16 elements are low halves of bytes, the last 16 the high halves. */

/* scale, 4 bits that are 8 more */
static void decode_q4_0(const uint8_t *in, float *out)
{
    const float scale = half_at(in);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)((in[2 + i] & 15) - 8);
        out[i + 16] = scale * (float)((in[2 + i] >> 4) - 8);
    }
}

/* scale, least, 4 bits */
static void decode_q4_1(const uint8_t *in, float *out)
{
    const float scale = half_at(in), least = half_at(in + 2);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)(in[4 + i] & 15) + least;
        out[i + 16] = scale * (float)(in[4 + i] >> 4) + least;
    }
}

/* scale, a word of fifth bits, 4 bits; 16 more */
static void decode_q5_0(const uint8_t *in, float *out)
{
    const float scale = half_at(in);
    const uint32_t high = word_at(in + 2);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)((int)((in[6 + i] & 15u) | (high >> i & 1) << 4) - 16);
        out[i + 16] = scale * (float)((int)((in[6 + i] >> 4) | (high >> (i + 16) & 1) << 4) - 16);
    }
}

/* scale, least, a word of fifth bits, 4 bits */
static void decode_q5_1(const uint8_t *in, float *out)
{
    const float scale = half_at(in), least = half_at(in + 2);
    const uint32_t high = word_at(in + 4);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)((in[8 + i] & 15u) | (high >> i & 1) << 4) + least;
        out[i + 16] = scale * (float)((uint32_t)(in[8 + i] >> 4) | (high >> (i + 16) & 1) << 4) + least;
    }
}

/* scale, 8 signed bits */
static void decode_q8_0(const uint8_t *in, float *out)
{
    const float scale = half_at(in);
    for (int i = 0; i < 32; i++)
        out[i] = scale * (float)(int8_t)in[2 + i];
}

/* scale, 4 bits that number a step of the scale */
static void decode_iq4_nl(const uint8_t *in, float *out)
{
    static const int8_t steps[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};
    const float scale = half_at(in);
    for (int i = 0; i < 16; i++) {
        out[i] = scale * (float)steps[in[2 + i] & 15];
        out[i + 16] = scale * (float)steps[in[2 + i] >> 4];
    }
}

/* exponent, 4 bits that are floats of 1 + 2 + 1 bits (OCP Microscaling Formats 1.0) */
static void decode_mxfp4(const uint8_t *in, float *out)
{
    static const int8_t twice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    const float half = tuff_bits_f32(in[0] < 2 ? 0x00200000u << in[0] : (in[0] - 1u) << 23);
    for (int i = 0; i < 16; i++) {
        out[i] = half * (float)twice[in[1 + i] & 15];
        out[i + 16] = half * (float)twice[in[1 + i] >> 4];
    }
}

/* Blocks of 256: groups of 16 or 32 have scales in steps of the block's. */

/* 16 groups: 4 bits of scale and 4 of least each, 2 bits of the elements, scale, least */
static void decode_q2_k(const uint8_t *in, float *out)
{
    const float scale = half_at(in + 80), least = half_at(in + 82);
    for (int g = 0; g < 16; g++) {
        const uint8_t *bits = in + 16 + g / 8 * 32 + g % 2 * 16;
        const float step = scale * (float)(in[g] & 15), low = least * (float)(in[g] >> 4);
        for (int i = 0; i < 16; i++)
            out[16 * g + i] = step * (float)(bits[i] >> (g % 8 / 2 * 2) & 3) - low;
    }
}

/* 32 bytes of third bits, 2 bits of the elements, 6 bits of scale for 16 groups, scale */
static void decode_q3_k(const uint8_t *in, float *out)
{
    const uint8_t *scales = in + 96;
    const float scale = half_at(in + 108);
    for (int g = 0; g < 16; g++) {
        const uint8_t *bits = in + 32 + g / 8 * 32 + g % 2 * 16, *high = in + g % 2 * 16;
        const int low = scales[g % 8] >> (g / 8 * 4) & 15, top = scales[8 + g % 4] >> (g / 4 * 2) & 3;
        const float step = scale * (float)((low | top << 4) - 32);
        for (int i = 0; i < 16; i++) {
            const int third = high[i] >> (g / 2) & 1;
            out[16 * g + i] = step * (float)((bits[i] >> (g % 8 / 2 * 2) & 3) - (third ? 0 : 4));
        }
    }
}

/* 6 bits of scale and of least of group g of 8, in 12 bytes */
static void scale_and_least(const uint8_t *in, int g, float *scale, float *least)
{
    const int low = g < 4 ? in[g] & 63 : (in[g + 4] & 15) | in[g - 4] >> 6 << 4;
    const int high = g < 4 ? in[g + 4] & 63 : in[g + 4] >> 4 | in[g] >> 6 << 4;
    *scale *= (float)low;
    *least *= (float)high;
}

/* scale, least, those of 8 groups, 4 bits: two groups share bytes */
static void decode_q4_k(const uint8_t *in, float *out)
{
    for (int g = 0; g < 8; g++) {
        const uint8_t *bits = in + 16 + g / 2 * 32;
        float step = half_at(in), low = half_at(in + 2);
        scale_and_least(in + 4, g, &step, &low);
        for (int i = 0; i < 32; i++)
            out[32 * g + i] = step * (float)(bits[i] >> (g % 2 * 4) & 15) - low;
    }
}

/* the same with 32 bytes of fifth bits */
static void decode_q5_k(const uint8_t *in, float *out)
{
    for (int g = 0; g < 8; g++) {
        const uint8_t *bits = in + 48 + g / 2 * 32, *high = in + 16;
        float step = half_at(in), low = half_at(in + 2);
        scale_and_least(in + 4, g, &step, &low);
        for (int i = 0; i < 32; i++)
            out[32 * g + i] = step * (float)((bits[i] >> (g % 2 * 4) & 15) | (high[i] >> g & 1) << 4) - low;
    }
}

/* 4 low bits, 2 high bits, 8 signed bits of scale for 16 groups, scale; 32 more */
static void decode_q6_k(const uint8_t *in, float *out)
{
    const float scale = half_at(in + 208);
    for (int g = 0; g < 16; g++) {
        const int half = g / 8, quarter = g % 8 / 2, first = g % 2 * 16;
        const uint8_t *low = in + half * 64 + quarter % 2 * 32 + first, *high = in + 128 + half * 32 + first;
        const float step = scale * (float)(int8_t)in[192 + g];
        for (int i = 0; i < 16; i++) {
            const int bits = (low[i] >> (quarter / 2 * 4) & 15) | (high[i] >> (quarter * 2) & 3) << 4;
            out[16 * g + i] = step * (float)(bits - 32);
        }
    }
}

typedef void (*decode_fn)(const uint8_t *in, float *out);

void tuff_block_decode(tuff_block type, const void *blocks, size_t count, float *out)
{
    static const decode_fn decoders[TUFF_BLOCK_COUNT] = {
        [TUFF_BLOCK_Q4_0] = decode_q4_0,     [TUFF_BLOCK_Q4_1] = decode_q4_1,
        [TUFF_BLOCK_Q5_0] = decode_q5_0,     [TUFF_BLOCK_Q5_1] = decode_q5_1,
        [TUFF_BLOCK_Q8_0] = decode_q8_0,     [TUFF_BLOCK_Q2_K] = decode_q2_k,
        [TUFF_BLOCK_Q3_K] = decode_q3_k,     [TUFF_BLOCK_Q4_K] = decode_q4_k,
        [TUFF_BLOCK_Q5_K] = decode_q5_k,     [TUFF_BLOCK_Q6_K] = decode_q6_k,
        [TUFF_BLOCK_IQ4_NL] = decode_iq4_nl, [TUFF_BLOCK_MXFP4] = decode_mxfp4,
    };
    const tuff_block_info *info = tuff_block_get(type);
    const uint8_t *in = blocks;
    for (size_t i = 0; i < count; i++)
        decoders[type](in + i * info->bytes, out + i * info->elements);
}
