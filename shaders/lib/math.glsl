/* Functions that GLSL leaves loose, in the forms of the host kernels. */

bool tuff_is_nan(float x)
{
    return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u;
}
bool tuff_is_finite(float x)
{
    return (floatBitsToUint(x) & 0x7f800000u) != 0x7f800000u;
}

/* exp within 2 ulp, exact 0 and inf beyond the range, NaN kept: as tuff_expf of backend/cpu/expf.h. */
float tuff_exp(float x)
{
    float clamped = clamp(x, -104.0, 89.0);
    float n = floor(clamped * 1.44269504088896341 + 0.5);
    float r = clamped - n * 0.693359375;
    r -= n * -2.12194440e-4;
    float p = 1.9875691500e-4;
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    float y = p * r * r + r + 1.0;
    int e = int(n), lower = e >> 1;
    y *= uintBitsToFloat(uint(lower + 127) << 23);
    y *= uintBitsToFloat(uint(e - lower + 127) << 23);
    return tuff_is_nan(x) ? x : y;
}

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
