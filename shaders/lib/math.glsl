/* Functions that GLSL leaves loose, in the forms of the host kernels. */

bool tuff_is_nan(float x)
{
    return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u;
}
bool tuff_is_finite(float x)
{
    return (floatBitsToUint(x) & 0x7f800000u) != 0x7f800000u;
}

bvec4 tuff_is_nan(vec4 x)
{
    return greaterThan(floatBitsToUint(x) & 0x7fffffffu, uvec4(0x7f800000u));
}

/* exp within 2 ulp, exact 0 and inf beyond the range, NaN kept: as tuff_expf of backend/cpu/expf.h. */
#define TUFF_EXP_OF(FLOAT, INT, UINT)                                                                                  \
    FLOAT tuff_exp(FLOAT x)                                                                                            \
    {                                                                                                                  \
        FLOAT clamped = clamp(x, -104.0, 89.0);                                                                        \
        FLOAT n = floor(clamped * 1.44269504088896341 + 0.5);                                                          \
        FLOAT r = clamped - n * 0.693359375;                                                                           \
        r -= n * -2.12194440e-4;                                                                                       \
        FLOAT p = FLOAT(1.9875691500e-4);                                                                              \
        p = p * r + 1.3981999507e-3;                                                                                   \
        p = p * r + 8.3334519073e-3;                                                                                   \
        p = p * r + 4.1665795894e-2;                                                                                   \
        p = p * r + 1.6666665459e-1;                                                                                   \
        p = p * r + 5.0000001201e-1;                                                                                   \
        FLOAT y = p * r * r + r + 1.0;                                                                                 \
        INT e = INT(n), lower = e >> 1;                                                                                \
        y *= uintBitsToFloat(UINT(lower + 127) << 23);                                                                 \
        y *= uintBitsToFloat(UINT(e - lower + 127) << 23);                                                             \
        return mix(y, x, tuff_is_nan(x));                                                                              \
    }
TUFF_EXP_OF(float, int, uint)
TUFF_EXP_OF(vec4, ivec4, uvec4)

/* The logarithm of what is not negative. The driver's may make a number of NaN or Inf: SwiftShader's does. */
float tuff_log(float x)
{
    return tuff_is_finite(x) ? log(x) : x;
}

/* 1 / (1 + exp(-x)) and its complement, both to full relative accuracy. */
void tuff_sigmoids(float x, out float yes, out float no)
{
    float e = tuff_exp(-abs(x));
    float large = 1.0 / (1.0 + e), small = e * large;
    yes = x < 0.0 ? small : large;
    no = x < 0.0 ? large : small;
}

/* To full relative accuracy: a polynomial near zero. */
#define TUFF_TANH_OF(FLOAT, LESS)                                                                                      \
    FLOAT tuff_tanh(FLOAT x)                                                                                           \
    {                                                                                                                  \
        FLOAT z = x * x, t = abs(x);                                                                                   \
        FLOAT p = FLOAT(-5.70498872745e-3);                                                                            \
        p = p * z + 2.06390887954e-2;                                                                                  \
        p = p * z - 5.37397155531e-2;                                                                                  \
        p = p * z + 1.33314422036e-1;                                                                                  \
        p = p * z - 3.33332819422e-1;                                                                                  \
        FLOAT near = p * z * x + x;                                                                                    \
        FLOAT far = 1.0 - 2.0 / (tuff_exp(2.0 * min(t, 20.0)) + 1.0);                                                  \
        FLOAT y = mix(mix(far, -far, LESS(x, FLOAT(0.0))), near, LESS(t, FLOAT(0.625)));                               \
        return mix(y, x, tuff_is_nan(x));                                                                              \
    }
#define TUFF_LESS(a, b) ((a) < (b))
TUFF_TANH_OF(float, TUFF_LESS)
TUFF_TANH_OF(vec4, lessThan)
