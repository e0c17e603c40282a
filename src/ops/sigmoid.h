/* The logistic function and the hyperbolic tangent, for references and host loops of the operations that are
 * made of them. */
#ifndef TUFF_OPS_SIGMOID_H
#define TUFF_OPS_SIGMOID_H

#include <math.h>

#include "backend/cpu/kernels.h"

/* 1 / (1 + exp(-x)) in double, without overflow. */
static inline double tuff_sigmoid_reference(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* 1 / (1 + exp(-x)) and its complement, both to full relative accuracy. */
typedef struct tuff_sigmoids {
    float yes, no;
} tuff_sigmoids;

static inline tuff_sigmoids tuff_sigmoids_of(float x)
{
    float e = tuff_expf(x < 0 ? x : -x);
    float large = 1.0f / (1.0f + e), small = e * large;
    return (tuff_sigmoids){x < 0 ? small : large, x < 0 ? large : small};
}

/* The hyperbolic tangent to full relative accuracy: a polynomial near zero. */
static inline float tuff_tanhf(float x)
{
    float z = x * x, t = x < 0 ? -x : x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float near = p * z * x + x;
    float far = 1.0f - 2.0f / (tuff_expf(2.0f * (t > 20.0f ? 20.0f : t)) + 1.0f);
    float y = t < 0.625f ? near : x < 0 ? -far : far;
    return x == x ? y : x;
}

#endif
