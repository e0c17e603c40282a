/* Blocks of 32 as llama.cpp makes them: the scale follows from the largest number, or from the lowest and the
 * highest, and whole numbers are rounded with the scale before it is stored as a half. */
#include "formats/quantize_32.h"

#include <math.h>
#include <string.h>

#include "base/blocks.h"
#include "base/half.h"

enum { ELEMENTS = 32 };

bool tuff_put_half(float value, uint8_t *out)
{
    const uint16_t half = tuff_f32_to_f16(value);
    memcpy(out, &half, 2);
    return isfinite(tuff_f16_to_f32(half));
}

void tuff_put_q4(const uint8_t whole[32], uint8_t *out)
{
    for (int i = 0; i < 16; i++)
        out[i] = (uint8_t)(whole[i] | whole[i + 16] << 4);
}

void tuff_put_q5(const uint8_t whole[32], uint8_t *out)
{
    uint32_t high = 0;
    for (int i = 0; i < 32; i++)
        high |= (uint32_t)(whole[i] >> 4) << i;
    memcpy(out, &high, 4);
    for (int i = 0; i < 16; i++)
        out[4 + i] = (uint8_t)((whole[i] & 15) | (whole[i + 16] & 15) << 4);
}

/* The first of the largest sizes, with its sign. */
static float largest(const float *in)
{
    float most = 0;
    for (int i = 0; i < ELEMENTS; i++)
        if (fabsf(in[i]) > fabsf(most)) most = in[i];
    return most;
}

static float over(float scale)
{
    return fabsf(scale) > 1e-38f ? 1 / scale : 0;
}

static uint8_t at_most(float value, float most)
{
    value = value > 0 ? value : 0;
    return (uint8_t)(value < most ? value : most);
}

/* The largest number becomes the lowest, -steps. */
static bool by_largest(const float *in, float steps, uint8_t whole[32], uint8_t *out_scale)
{
    const float scale = largest(in) / -steps, inverse = over(scale);
    for (int i = 0; i < ELEMENTS; i++)
        whole[i] = at_most(in[i] * inverse + (steps + 0.5f), 2 * steps - 1);
    return tuff_put_half(scale, out_scale);
}

/* From the lowest to the highest there are so many steps. */
static bool by_range(const float *in, float steps, uint8_t whole[32], uint8_t *out_scale)
{
    float low = in[0], high = in[0];
    for (int i = 1; i < ELEMENTS; i++) {
        low = in[i] < low ? in[i] : low;
        high = in[i] > high ? in[i] : high;
    }
    const float scale = (high - low) / steps, inverse = over(scale);
    for (int i = 0; i < ELEMENTS; i++)
        whole[i] = at_most((in[i] - low) * inverse + 0.5f, steps);
    const bool fits = tuff_put_half(scale, out_scale);
    return tuff_put_half(low, out_scale + 2) && fits;
}

bool tuff_encode_q4_0(const float *in, uint8_t *out)
{
    uint8_t whole[ELEMENTS];
    const bool fits = by_largest(in, 8, whole, out);
    tuff_put_q4(whole, out + 2);
    return fits;
}

bool tuff_encode_q4_1(const float *in, uint8_t *out)
{
    uint8_t whole[ELEMENTS];
    const bool fits = by_range(in, 15, whole, out);
    tuff_put_q4(whole, out + 4);
    return fits;
}

bool tuff_encode_q5_0(const float *in, uint8_t *out)
{
    uint8_t whole[ELEMENTS];
    const bool fits = by_largest(in, 16, whole, out);
    tuff_put_q5(whole, out + 2);
    return fits;
}

bool tuff_encode_q5_1(const float *in, uint8_t *out)
{
    uint8_t whole[ELEMENTS];
    const bool fits = by_range(in, 31, whole, out);
    tuff_put_q5(whole, out + 4);
    return fits;
}

bool tuff_encode_q8_0(const float *in, uint8_t *out)
{
    const float scale = fabsf(largest(in)) / 127, inverse = over(scale);
    for (int i = 0; i < ELEMENTS; i++)
        out[2 + i] = (uint8_t)(int8_t)roundf(in[i] * inverse);
    return tuff_put_half(scale, out);
}

/* The exponent makes the largest lie from 4 to 8; each number becomes the nearest of the 16, the first where
 * two are as near: 0 is never -0. */
bool tuff_encode_mxfp4(const float *in, uint8_t *out)
{
    static const uint8_t all[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const float most = fabsf(largest(in));
    const int exponent = most > 0 ? (int)floorf(log2f(most)) - 2 + 127 : 0;
    uint8_t whole[ELEMENTS];
    float values[ELEMENTS]; /* what the 16 stand for */
    out[0] = (uint8_t)(exponent > 0 ? exponent : 0);
    tuff_put_q4(all, out + 1);
    tuff_block_decode(TUFF_BLOCK_MXFP4, out, 1, values);
    for (int i = 0; i < ELEMENTS; i++) {
        whole[i] = 0;
        for (uint8_t k = 1; k < 16; k++)
            if (fabsf(values[k] - in[i]) < fabsf(values[whole[i]] - in[i])) whole[i] = k;
    }
    tuff_put_q4(whole, out + 1);
    return true;
}
