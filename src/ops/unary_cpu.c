/* Host loops of the unary operations. Without branches, so that they become vector code; every input of an
 * element is read before its result is written. */
#include <math.h>

#include "backend/cpu/kernels.h"
#include "ops/sigmoid.h"
#include "ops/support.h"
#include "ops/unary.h"
#include "shaders/args/unary.h"

/* The natural logarithm within 2 ulp: x = m 2^e with m from sqrt(1/2) to sqrt(2), a polynomial in m - 1
 * (Cephes' coefficients, Moshier 1989). */
static inline float natural_log(float x)
{
    float scaled = x < 1.17549435e-38f ? x * 8388608.0f : x; /* 2^23: denormals have no leading one */
    float e = x < 1.17549435e-38f ? -150.0f : -127.0f;
    uint32_t bits = tuff_f32_bits(scaled);
    float m = tuff_bits_f32((bits & 0x007fffffu) | 0x3f800000u);
    e += (float)(int32_t)(bits >> 23);
    e += m > 1.41421356f ? 1.0f : 0.0f;
    m = (m > 1.41421356f ? m * 0.5f : m) - 1.0f;
    float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float y = p * m * z - 2.12194440e-4f * e - 0.5f * z;
    y = (m + y) + 0.693359375f * e;
    y = x == 0.0f ? -INFINITY : y;
    y = x == INFINITY ? x : y;
    return x >= 0.0f ? y : x < 0.0f ? NAN : x;
}

static inline float exp_of(float x)
{
    return tuff_expf(x);
}
static inline float ln_of(float x)
{
    return natural_log(x);
}
static inline float tanh_of(float x)
{
    return tuff_tanhf(x);
}
static inline float sigmoid_of(float x)
{
    return tuff_sigmoids_of(x).yes;
}
static inline float relu_of(float x)
{
    return x < 0 ? 0.0f : x;
}
static inline float sqrt_of(float x)
{
    return sqrtf(x);
}
static inline float rsqrt_of(float x)
{
    return 1.0f / sqrtf(x);
}
static inline float abs_of(float x)
{
    return tuff_bits_f32(tuff_f32_bits(x) & 0x7fffffffu);
}

static inline float exp_slope(float y, float d)
{
    return d * y;
}
static inline float ln_slope(float x, float d)
{
    return d / x;
}
static inline float sigmoid_slope(float x, float d)
{
    tuff_sigmoids s = tuff_sigmoids_of(x);
    return d * (s.yes * s.no);
}
static inline float tanh_slope(float x, float d)
{
    return 4.0f * sigmoid_slope(2.0f * x, d);
}
static inline float relu_slope(float x, float d)
{
    return x <= 0 ? 0.0f : x > 0 ? d : x;
}
static inline float sqrt_slope(float y, float d)
{
    return 0.5f * d / y;
}
static inline float rsqrt_slope(float y, float d)
{
    return -0.5f * d * y * y * y;
}
static inline float abs_slope(float x, float d)
{
    float y = x < 0 ? -d : x > 0 ? d : 0.0f;
    return x == x ? y : x;
}

#define UNARY_LOOPS(name)                                                                             \
    TUFF_KERNEL static void name##_loop(const float *x, const float *d, float *y, int64_t n)          \
    {                                                                                                 \
        (void)d;                                                                                      \
        TUFF_LANES                                                                                    \
        for (int64_t i = 0; i < n; i++)                                                               \
            y[i] = name##_of(x[i]);                                                                   \
    }                                                                                                 \
    TUFF_KERNEL static void name##_backward_loop(const float *x, const float *d, float *y, int64_t n) \
    {                                                                                                 \
        TUFF_LANES                                                                                    \
        for (int64_t i = 0; i < n; i++)                                                               \
            y[i] = name##_slope(x[i], d[i]);                                                          \
    }
UNARY_LOOPS(exp)
UNARY_LOOPS(ln)
UNARY_LOOPS(tanh)
UNARY_LOOPS(sigmoid)
UNARY_LOOPS(relu)
UNARY_LOOPS(sqrt)
UNARY_LOOPS(rsqrt)
UNARY_LOOPS(abs)

typedef void (*unary_fn)(const float *x, const float *d, float *y, int64_t n);

typedef struct unary_loops {
    unary_fn forward, backward;
} unary_loops;

static const unary_loops loops[] = {
    [TUFF_UNARY_EXP] = {exp_loop, exp_backward_loop},
    [TUFF_UNARY_LN] = {ln_loop, ln_backward_loop},
    [TUFF_UNARY_TANH] = {tanh_loop, tanh_backward_loop},
    [TUFF_UNARY_SIGMOID] = {sigmoid_loop, sigmoid_backward_loop},
    [TUFF_UNARY_RELU] = {relu_loop, relu_backward_loop},
    [TUFF_UNARY_SQRT] = {sqrt_loop, sqrt_backward_loop},
    [TUFF_UNARY_RSQRT] = {rsqrt_loop, rsqrt_backward_loop},
    [TUFF_UNARY_ABS] = {abs_loop, abs_backward_loop},
};

typedef struct unary_context {
    const float *x, *d;
    float *y;
    unary_fn fn;
} unary_context;

static void unary_range(int64_t begin, int64_t end, void *context)
{
    const unary_context *c = context;
    c->fn(c->x + begin, c->d + begin, c->y + begin, end - begin);
}

void tuff_unary_host(tuff_unary kind, int64_t n, const float *x, float *y)
{
    unary_context c = {x, x, y, loops[kind].forward};
    tuff_parallel(n, 4096, unary_range, &c);
}

void tuff_unary_backward_host(tuff_unary kind, int64_t n, const float *kept, const float *d, float *y)
{
    unary_context c = {kept, d, y, loops[kind].backward};
    tuff_parallel(n, 4096, unary_range, &c);
}
