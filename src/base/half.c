#include "base/half.h"

float tuff_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t magnitude = h & 0x7fffu;
    if (magnitude >= 0x7c00u) return tuff_bits_f32(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    if (magnitude >= 0x0400u) return tuff_bits_f32(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
    /* Subnormal or zero: magnitude * 2^-24, exact in f32. */
    return tuff_bits_f32(sign | tuff_f32_bits((float)magnitude * 0x1p-24f));
}

uint16_t tuff_f32_to_f16(float value)
{
    uint32_t bits = tuff_f32_bits(value);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
    if (magnitude >= 0x38800000u) {                                  /* 2^-14: normal in f16 */
        uint32_t rebased = magnitude - ((127u - 15u) << 23);
        return (uint16_t)(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13));
    }
    if (magnitude <= 0x33000000u) return sign; /* up to 2^-25: half of the smallest subnormal ties to zero */
    uint32_t exponent = magnitude >> 23;
    uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    uint32_t shift = 126u - exponent; /* 14..24: the mantissa in units of 2^-24 */
    uint32_t result = mantissa >> shift;
    uint32_t rest = mantissa & ((1u << shift) - 1u), half = 1u << (shift - 1u);
    if (rest > half || (rest == half && (result & 1u))) result++;
    return (uint16_t)(sign | result);
}
