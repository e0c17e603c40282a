#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/optimizer.h"
#include "shaders/lib/math.glsl"
#define TUFF_SUM_TYPE float
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_grad_norm_join_args);

void main()
{
    float sum = 0;
    for (uint i = gl_LocalInvocationID.x; i < a.n_parts; i += gl_WorkGroupSize.x)
        sum += a.parts.v[i];
    sum = tuff_segment_sum(sum, gl_WorkGroupSize.x);
    if (gl_LocalInvocationID.x == 0) a.norm.v[0] = tuff_is_finite(sum) ? sqrt(sum) : sum;
}
