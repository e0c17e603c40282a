#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/cross_entropy.h"
#define TUFF_SUM_TYPE vec2
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_cross_entropy_join_args);

void main()
{
    vec2 sum = vec2(0); /* loss, count */
    for (uint i = gl_LocalInvocationID.x; i < a.rows; i += gl_WorkGroupSize.x)
        if (a.labels.v[i] != TUFF_LABEL_IGNORED) sum += vec2(a.losses.v[i], 1.0);
    sum = tuff_segment_sum(sum, gl_WorkGroupSize.x);
    if (gl_LocalInvocationID.x == 0) {
        float mean = sum.y > 0.0 ? sum.x / sum.y : uintBitsToFloat(0x7fc00000u);
        a.loss.v[0] = a.sum != 0 ? sum.x : mean;
        a.count.v[0] = sum.y;
    }
}
