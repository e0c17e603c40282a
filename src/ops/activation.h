/* The host loops of the activations: in[] and out[] are dense, an output may be an input. */
#ifndef TUFF_OPS_ACTIVATION_H
#define TUFF_OPS_ACTIVATION_H

#include <stdint.h>

typedef void (*tuff_activation_fn)(const float *const *in, float *const *out, int64_t n);

void tuff_gelu_tanh_host(const float *const *in, float *const *out, int64_t n);
void tuff_gelu_tanh_backward_host(const float *const *in, float *const *out, int64_t n);
void tuff_gelu_erf_host(const float *const *in, float *const *out, int64_t n);
void tuff_gelu_erf_backward_host(const float *const *in, float *const *out, int64_t n);
void tuff_silu_host(const float *const *in, float *const *out, int64_t n);
void tuff_silu_backward_host(const float *const *in, float *const *out, int64_t n);
void tuff_swiglu_host(const float *const *in, float *const *out, int64_t n);
void tuff_swiglu_backward_host(const float *const *in, float *const *out, int64_t n);

#endif
