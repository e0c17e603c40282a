/* Host loops of the activations. Written without branches, so that they become vector code; every input of an
 * element is read before its outputs are written, so that an output may be an input. */
#include "ops/activation.h"

#include "backend/cpu/kernels.h"
#include "ops/sigmoid.h"
#include "ops/support.h"

static inline float gelu_tanh_argument(float x)
{
    return 1.5957691216f * (x + 0.044715f * x * x * x);
}

/* The normal distribution's Phi(x) and density: Phi(-t) = exp(-t^2/2) R(t) for t >= 0, where R is a
 * polynomial in 1 / (1 + 0.3 t), fitted to a relative error of 5.8e-8 (minimax, Lawson's iteration, 40
 * digits). */
typedef struct normal {
    float phi, density;
} normal;

static inline normal normal_of(float x)
{
    float t = x < 0 ? -x : x;
    float q = 1.0f / (1.0f + 0.3f * t);
    float e = tuff_expf(-0.5f * x * x);
    float r = 3.840739797e-02f;
    r = r * q - 1.693074857e-01f;
    r = r * q + 2.289518251e-01f;
    r = r * q - 7.683970951e-02f;
    r = r * q + 1.427653039e-01f;
    r = r * q + 9.458585262e-02f;
    r = r * q + 1.219452655e-01f;
    r = r * q + 1.194842069e-01f;
    r = r * q + 7.372404157e-06f;
    float tail = e * r;
    return (normal){x < 0 ? tail : 1.0f - tail, e * 0.3989422804f};
}

TUFF_KERNEL void tuff_gelu_tanh_host(const float *const *in, float *const *out, int64_t n)
{
    const float *px = in[0];
    float *y = out[0];
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        y[i] = px[i] * tuff_sigmoids_of(gelu_tanh_argument(px[i])).yes;
}

TUFF_KERNEL void tuff_gelu_tanh_backward_host(const float *const *in, float *const *out, int64_t n)
{
    const float *px = in[0], *pd = in[1];
    float *y = out[0];
    TUFF_LANES
    for (int64_t i = 0; i < n; i++) {
        float x = px[i];
        tuff_sigmoids s = tuff_sigmoids_of(gelu_tanh_argument(x));
        float b = x < -10.0f ? -10.0f : x; /* beyond, the second term is 0 and must not become 0 * inf */
        b = b > 10.0f ? 10.0f : b;
        y[i] = pd[i] * (s.yes + b * (s.yes * s.no) * (1.5957691216f + 0.21406441222f * b * b));
    }
}

TUFF_KERNEL void tuff_gelu_erf_host(const float *const *in, float *const *out, int64_t n)
{
    const float *px = in[0];
    float *y = out[0];
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        y[i] = px[i] * normal_of(px[i]).phi;
}

TUFF_KERNEL void tuff_gelu_erf_backward_host(const float *const *in, float *const *out, int64_t n)
{
    const float *px = in[0], *pd = in[1];
    float *y = out[0];
    TUFF_LANES
    for (int64_t i = 0; i < n; i++) {
        normal p = normal_of(px[i]);
        y[i] = pd[i] * (p.phi + px[i] * p.density);
    }
}

TUFF_KERNEL void tuff_silu_host(const float *const *in, float *const *out, int64_t n)
{
    const float *px = in[0];
    float *y = out[0];
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        y[i] = px[i] * tuff_sigmoids_of(px[i]).yes;
}

TUFF_KERNEL void tuff_silu_backward_host(const float *const *in, float *const *out, int64_t n)
{
    const float *px = in[0], *pd = in[1];
    float *y = out[0];
    TUFF_LANES
    for (int64_t i = 0; i < n; i++) {
        tuff_sigmoids s = tuff_sigmoids_of(px[i]);
        y[i] = pd[i] * (s.yes * (1.0f + px[i] * s.no));
    }
}

TUFF_KERNEL void tuff_swiglu_host(const float *const *in, float *const *out, int64_t n)
{
    const float *gate = in[0], *up = in[1];
    float *y = out[0];
    TUFF_LANES
    for (int64_t i = 0; i < n; i++)
        y[i] = gate[i] * tuff_sigmoids_of(gate[i]).yes * up[i];
}

TUFF_KERNEL void tuff_swiglu_backward_host(const float *const *in, float *const *out, int64_t n)
{
    const float *gate = in[0], *up = in[1], *pd = in[2];
    float *d_gate = out[0], *d_up = out[1];
    TUFF_LANES
    for (int64_t i = 0; i < n; i++) {
        float x = gate[i], u = up[i], d = pd[i];
        tuff_sigmoids s = tuff_sigmoids_of(x);
        d_gate[i] = d * u * (s.yes * (1.0f + x * s.no));
        d_up[i] = d * (x * s.yes);
    }
}
