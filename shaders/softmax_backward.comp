#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/softmax.h"
#define TUFF_SUM_TYPE float
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_softmax_backward_args);

void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint row = TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes;
    uint n = row < a.rows ? a.width : 0, x = row * a.width;
    float dot = 0;
    for (uint i = first; i < n; i += a.lanes)
        dot += a.y.v[x + i] * a.dy.v[x + i];
    dot = tuff_segment_sum(dot, a.lanes);
    for (uint i = first; i < n; i += a.lanes)
        a.dx.v[x + i] = a.y.v[x + i] * (a.dy.v[x + i] - dot);
}
