/* The host loops of the unary operations. */
#ifndef TUFF_OPS_UNARY_H
#define TUFF_OPS_UNARY_H

#include <stdint.h>

typedef uint32_t tuff_unary; /* TUFF_UNARY_* of shaders/args/unary.h */

/* y[n] from x; y may be x. On all threads. */
void tuff_unary_host(tuff_unary kind, int64_t n, const float *x, float *y);
/* The gradient from what was kept and the result's gradient d; y may be either. */
void tuff_unary_backward_host(tuff_unary kind, int64_t n, const float *kept, const float *d, float *y);

#endif
