#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/optimizer.h"
#define TUFF_SUM_TYPE float
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_grad_norm_args);

void main()
{
    if (TUFF_GROUP_1D >= a.n_chunks) return;
    tuff_chunk c = a.chunks.v[TUFF_GROUP_1D];
    F32 x = TUFF_ADDRESS_AT(F32, a.slots, 2 * c.slot);
    float sum = 0;
    for (uint i = gl_LocalInvocationID.x; i < c.n; i += gl_WorkGroupSize.x)
        sum += x.v[c.at + i] * x.v[c.at + i];
    sum = tuff_segment_sum(sum, gl_WorkGroupSize.x);
    if (gl_LocalInvocationID.x == 0) a.parts.v[TUFF_GROUP_1D] = sum;
}
