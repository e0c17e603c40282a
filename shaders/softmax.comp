#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/softmax.h"
#include "shaders/lib/math.glsl"
#include "shaders/lib/log_sum_exp.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_softmax_args);

void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint row = TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes;
    uint n = row < a.rows ? a.width : 0, x = row * a.width;
    vec2 lse = TUFF_LSE_START;
    for (uint i = first; i < n; i += a.lanes)
        lse = tuff_lse_add(lse, a.x.v[x + i]);
    lse = tuff_lse_segment(lse, a.lanes);
    float scale = 1.0 / lse.y;
    for (uint i = first; i < n; i += a.lanes)
        a.y.v[x + i] = tuff_exp(a.x.v[x + i] - lse.x) * scale;
}
