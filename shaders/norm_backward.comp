#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/norm.h"
#define TUFF_SUM_TYPE vec2
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_norm_backward_args);

void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint row = TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes;
    uint n = row < a.rows ? a.width : 0, at = row * a.width;
    float mean = 0, rstd = 0;
    if (n > 0) {
#if !TUFF_RMS
        mean = a.mean.v[row];
#endif
        rstd = a.rstd.v[row];
    }
    vec2 sums = vec2(0); /* of g = dy * weight, and of g times the normalized x */
    for (uint i = first; i < n; i += a.lanes) {
        float g = a.dy.v[at + i] * a.weight.v[i];
        sums += vec2(g, g * ((a.x.v[at + i] - mean) * rstd));
    }
    sums = tuff_segment_sum(sums, a.lanes) / float(a.width);
#if TUFF_RMS
    sums.x = 0;
#endif
    for (uint i = first; i < n; i += a.lanes) {
        float g = a.dy.v[at + i] * a.weight.v[i];
        float d = rstd * (g - sums.x - (a.x.v[at + i] - mean) * rstd * sums.y);
        a.dx.v[at + i] = a.adds == 1 ? d + a.addend.v[at + i] : d;
    }
}
