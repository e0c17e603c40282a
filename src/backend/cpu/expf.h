/* exp(x) by range reduction to 2^n * exp(r), |r| <= ln2/2, and a degree-6 polynomial (Cephes' coefficients,
 * Moshier 1989); branch-free so that loops over it vectorize. */
#ifndef TUFF_BACKEND_CPU_EXPF_H
#define TUFF_BACKEND_CPU_EXPF_H

#include "base/half.h"

static inline float tuff_expf(float x)
{
    float clamped = x < -104.0f ? -104.0f : x;
    clamped = clamped > 89.0f ? 89.0f : clamped;
    float shifted =
        clamped * 1.44269504088896341f + 12582912.0f; /* 1.5 * 2^23: the integer lands in the low bits */
    float n = shifted - 12582912.0f;
    float r = clamped - n * 0.693359375f;
    r -= n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float y = p * r * r + r + 1.0f;
    /* 2^n in two halves, so that results in the denormal range and near the largest float come out right */
    int32_t e = (int32_t)(tuff_f32_bits(shifted) - 0x4b400000u);
    int32_t half = e >> 1;
    y *= tuff_bits_f32((uint32_t)(half + 127) << 23);
    y *= tuff_bits_f32((uint32_t)(e - half + 127) << 23);
    return x == x ? y : x;
}

#endif
