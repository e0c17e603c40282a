/* IEEE binary16 and bfloat16, rounded to nearest even. */
#ifndef TUFF_BASE_HALF_H
#define TUFF_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float tuff_bits_f32(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static inline uint32_t tuff_f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}
static inline float tuff_bf16_to_f32(uint16_t h)
{
    return tuff_bits_f32((uint32_t)h << 16);
}
static inline uint16_t tuff_f32_to_bf16(float value)
{
    uint32_t bits = tuff_f32_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40); /* NaN stays a quiet NaN */
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
static inline float tuff_round_bf16(float value)
{
    return tuff_bf16_to_f32(tuff_f32_to_bf16(value));
}
float tuff_f16_to_f32(uint16_t h);
/* The same for vector code, by shifting into place and one multiplication. Exact, unless the thread takes
 * denormals for 0.
 */
static inline float tuff_f16_scaled(uint16_t h)
{
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t bits = tuff_f32_bits(tuff_bits_f32(magnitude) * 0x1p112f);
    bits = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : bits; /* Inf and NaN */
    return tuff_bits_f32(bits | sign);
}
uint16_t tuff_f32_to_f16(float value);

#endif
