#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/activation.h"
#include "shaders/lib/flat.glsl"
#include "shaders/lib/math.glsl"

TUFF_ARGS(tuff_activation_args);

float gelu_argument(float x)
{
    return 1.5957691216 * (x + 0.044715 * x * x * x);
}

/* The normal distribution's Phi(x) and density, as in ops/activation_cpu.c. */
float normal(float x, out float density)
{
    float q = 1.0 / (1.0 + 0.3 * abs(x)), e = tuff_exp(-0.5 * x * x);
    float r = 3.840739797e-02;
    r = r * q - 1.693074857e-01;
    r = r * q + 2.289518251e-01;
    r = r * q - 7.683970951e-02;
    r = r * q + 1.427653039e-01;
    r = r * q + 9.458585262e-02;
    r = r * q + 1.219452655e-01;
    r = r * q + 1.194842069e-01;
    r = r * q + 7.372404157e-06;
    density = e * 0.3989422804;
    return x < 0.0 ? e * r : 1.0 - e * r;
}

void main()
{
    for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(a.n); i += TUFF_FLAT_GROUP) {
        float x = a.x.v[i], yes, no;
#if TUFF_ACTIVATION == TUFF_GELU_TANH
        tuff_sigmoids(gelu_argument(x), yes, no);
        a.out1.v[i] = x * yes;
#elif TUFF_ACTIVATION == TUFF_GELU_TANH_BACKWARD
        tuff_sigmoids(gelu_argument(x), yes, no);
        float b = clamp(x, -10.0, 10.0); /* beyond, the second term is 0 and must not become 0 * inf */
        a.out1.v[i] = a.d.v[i] * (yes + b * (yes * no) * (1.5957691216 + 0.21406441222 * b * b));
#elif TUFF_ACTIVATION == TUFF_GELU_ERF
        a.out1.v[i] = x * normal(x, no);
#elif TUFF_ACTIVATION == TUFF_GELU_ERF_BACKWARD
        yes = normal(x, no);
        a.out1.v[i] = a.d.v[i] * (yes + x * no);
#elif TUFF_ACTIVATION == TUFF_SILU
        tuff_sigmoids(x, yes, no);
        a.out1.v[i] = x * yes;
#elif TUFF_ACTIVATION == TUFF_SILU_BACKWARD
        tuff_sigmoids(x, yes, no);
        a.out1.v[i] = a.d.v[i] * (yes * (1.0 + x * no));
#elif TUFF_ACTIVATION == TUFF_SWIGLU
        tuff_sigmoids(x, yes, no);
        a.out1.v[i] = x * yes * a.up.v[i];
#else
        float up = a.up.v[i], d = a.d.v[i];
        tuff_sigmoids(x, yes, no);
        a.out1.v[i] = d * up * (yes * (1.0 + x * no));
        a.out2.v[i] = d * (x * yes);
#endif
    }
}
