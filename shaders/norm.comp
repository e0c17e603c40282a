#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/norm.h"
#define TUFF_SUM_TYPE float
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_norm_args);

void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint row = TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes;
    uint n = row < a.rows ? a.width : 0, x = row * a.width;
    float mean = 0, sum = 0;
#if !TUFF_RMS
    for (uint i = first; i < n; i += a.lanes)
        sum += a.x.v[x + i];
    mean = tuff_segment_sum(sum, a.lanes) / float(a.width);
    sum = 0;
#endif
    for (uint i = first; i < n; i += a.lanes) {
        float d = a.x.v[x + i] - mean;
        sum += d * d;
    }
    float rstd = 1.0 / sqrt(tuff_segment_sum(sum, a.lanes) / float(a.width) + a.eps);
    for (uint i = first; i < n; i += a.lanes) {
        float y = (a.x.v[x + i] - mean) * rstd * a.weight.v[i];
#if !TUFF_RMS
        y += a.bias.v[i];
#endif
        a.y.v[x + i] = y;
    }
    if (first == 0 && row < a.rows) {
#if !TUFF_RMS
        a.mean.v[row] = mean;
#endif
        a.rstd.v[row] = rstd;
    }
}
