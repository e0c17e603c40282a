#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/unary.h"
#include "shaders/lib/flat.glsl"
#include "shaders/lib/math.glsl"

/* Not an argument: software drivers run every side of a branch. */
layout(constant_id = 0) const uint op = TUFF_UNARY_EXP;
TUFF_ARGS(tuff_unary_args);

#define NOT_A_NUMBER uintBitsToFloat(0x7fc00000u)

/* x = mantissa * 2^exponent, the mantissa from sqrt(1/2) to sqrt(2). Integers, for floats may lose denormals. */
float split(float x, out float exponent)
{
    uint bits = floatBitsToUint(x);
    exponent = -127.0;
    if (bits < 0x00800000u) {
        bits = floatBitsToUint(float(bits));
        exponent = -276.0; /* -149 - 127: the integer counts steps of 2^-149 */
    }
    exponent += float(bits >> 23);
    float mantissa = uintBitsToFloat((bits & 0x007fffffu) | 0x3f800000u);
    bool large = mantissa > 1.41421356;
    exponent += large ? 1.0 : 0.0;
    return large ? mantissa * 0.5 : mantissa;
}

/* The natural logarithm within 2 ulp (Cephes' coefficients, Moshier 1989), as in ops/unary_cpu.c. */
float natural_log(float x)
{
    if (tuff_is_nan(x)) return x;
    if ((floatBitsToUint(x) & 0x7fffffffu) == 0u) return uintBitsToFloat(0xff800000u);
    if (floatBitsToUint(x) >= 0x80000000u) return NOT_A_NUMBER;
    if (!tuff_is_finite(x)) return x;
    float e, m = split(x, e) - 1.0, z = m * m;
    float p = 7.0376836292e-2;
    p = p * m - 1.1514610310e-1;
    p = p * m + 1.1676998740e-1;
    p = p * m - 1.2420140846e-1;
    p = p * m + 1.4249322787e-1;
    p = p * m - 1.6668057665e-1;
    p = p * m + 2.0000714765e-1;
    p = p * m - 2.4999993993e-1;
    p = p * m + 3.3333331174e-1;
    float y = p * m * z - 2.12194440e-4 * e - 0.5 * z;
    return (m + y) + 0.693359375 * e;
}

/* Roots of a negative are NaN, of a denormal exact in its integer steps of 2^-149. */
float root(float x, bool inverse)
{
    uint bits = floatBitsToUint(x);
    if (tuff_is_nan(x)) return x;
    if ((bits & 0x7fffffffu) == 0u) return inverse ? uintBitsToFloat(bits | 0x7f800000u) : x;
    if (bits >= 0x80000000u) return NOT_A_NUMBER;
    if (!tuff_is_finite(x)) return inverse ? 0.0 : x;
    bool tiny = bits < 0x00800000u;
    float y = sqrt(tiny ? float(bits) : x);
    float unit = tiny ? 3.743392131e-23 : 1.0; /* 2^-74.5 */
    return inverse ? 1.0 / y / unit : y * unit;
}

float forward(float x)
{
    if (op == TUFF_UNARY_EXP) return tuff_exp(x);
    if (op == TUFF_UNARY_LN) return natural_log(x);
    if (op == TUFF_UNARY_TANH) return tuff_tanh(x);
    if (op == TUFF_UNARY_SIGMOID) {
        float yes, no;
        tuff_sigmoids(x, yes, no);
        return yes;
    }
    if (op == TUFF_UNARY_RELU) return tuff_is_nan(x) || x > 0.0 ? x : 0.0;
    if (op == TUFF_UNARY_ABS) return uintBitsToFloat(floatBitsToUint(x) & 0x7fffffffu);
    return root(x, op == TUFF_UNARY_RSQRT);
}

float backward(float kept, float d)
{
    if (op == TUFF_UNARY_EXP) return d * kept;
    if (op == TUFF_UNARY_LN) return d / kept;
    if (op == TUFF_UNARY_TANH || op == TUFF_UNARY_SIGMOID) {
        float yes, no, twice = op == TUFF_UNARY_TANH ? 2.0 : 1.0;
        tuff_sigmoids(twice * kept, yes, no);
        return d * (twice * twice * yes * no);
    }
    if (op == TUFF_UNARY_SQRT) return 0.5 * d / kept;
    if (op == TUFF_UNARY_RSQRT) return -0.5 * d * kept * kept * kept;
    if (tuff_is_nan(kept)) return kept;
    if (op == TUFF_UNARY_RELU) return kept > 0.0 ? d : 0.0;
    return kept > 0.0 ? d : kept < 0.0 ? -d : 0.0;
}

void main()
{
    for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(a.n); i += TUFF_FLAT_GROUP) {
        float x = a.kept.v[i];
#if TUFF_BACKWARD
        a.y.v[i] = backward(x, a.d.v[i]);
#else
        a.y.v[i] = forward(x);
#endif
    }
}
