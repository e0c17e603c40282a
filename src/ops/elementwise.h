/* The kernel over dense operands of one shape, also that of accumulate; the host loops. */
#ifndef TUFF_OPS_ELEMENTWISE_H
#define TUFF_OPS_ELEMENTWISE_H

#include "ops/support.h"
#include "shaders/args/elementwise.h"

typedef uint32_t tuff_binary; /* TUFF_BINARY_* */

/* y = a op b over the loop of {y, a, b}, on all threads. y may be a or b where it is as large. */
void tuff_binary_host(tuff_binary kind, const tuff_loop *loop, const float *a, const float *b, float *y);
/* y[n] = x * factor; y may be x. */
void tuff_scale_host(int64_t n, const float *x, float factor, float *y);

/* out[0] = in[0] op in[b], n elements; op is TUFF_BINARY_*, factor that of TUFF_BINARY_SCALE. */
void tuff_launch_elementwise(tuff_launch *launch, const tuff_caps *caps, int64_t n, tuff_binary op, int b,
                             float factor);

#endif
