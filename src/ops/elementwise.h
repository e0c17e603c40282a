/* The kernel over dense operands of one shape, also that of accumulate. */
#ifndef TUFF_OPS_ELEMENTWISE_H
#define TUFF_OPS_ELEMENTWISE_H

#include "ir/op.h"
#include "shaders/args/elementwise.h"

/* out[0] = in[0] op in[b], n elements; op is TUFF_BINARY_*, factor that of TUFF_BINARY_SCALE. */
void tuff_launch_elementwise(tuff_launch *launch, const tuff_caps *caps, int64_t n, uint32_t op, int b,
                             float factor);

#endif
