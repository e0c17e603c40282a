/* The logistic function, for references and host loops of the operations that are made of it. */
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

#endif
