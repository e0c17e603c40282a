/* Kernels over dense arrays: for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(n); i += TUFF_FLAT_GROUP). */
#include "shaders/args/limits.h"

layout(local_size_x = TUFF_FLAT_GROUP) in;

#define TUFF_FLAT_FIRST  (TUFF_GROUP_1D * (TUFF_FLAT_GROUP * TUFF_FLAT_STEPS) + gl_LocalInvocationID.x)
#define TUFF_FLAT_END(n) min(n, (TUFF_GROUP_1D + 1) * (TUFF_FLAT_GROUP * TUFF_FLAT_STEPS))
