#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/norm.h"
#include "shaders/args/normalize.h"
#include "shaders/lib/math.glsl"
#define TUFF_SUM_TYPE vec2
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_norm_args);

void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint row = TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes;
    uint n = row < a.rows ? a.width : 0, x = row * a.width;
    float mean = 0;
    vec2 sum = vec2(0);
#if !TUFF_RMS
    for (uint i = first; i < n; i += a.lanes)
        sum.x += a.x.v[x + i];
    mean = tuff_segment_sum(sum, a.lanes).x / float(a.width);
    sum = vec2(0);
#endif
    /* squares, and those in a unit that keeps them finite: else large numbers would all become 0 */
    for (uint i = first; i < n; i += a.lanes) {
        float d = a.x.v[x + i] - mean, u = d * TUFF_NORMALIZE_UNIT;
        sum += vec2(d * d, u * u);
    }
    sum = tuff_segment_sum(sum, a.lanes);
    float unit = tuff_is_finite(sum.x) ? 1.0 : TUFF_NORMALIZE_UNIT;
    float squares = tuff_is_finite(sum.x) ? sum.x : sum.y;
    float scale = 1.0 / sqrt(squares / float(a.width) + a.eps * unit * unit);
    for (uint i = first; i < n; i += a.lanes) {
        float y = (a.x.v[x + i] - mean) * unit * scale * a.weight.v[i];
#if !TUFF_RMS
        y += a.bias.v[i];
#endif
        a.y.v[x + i] = y;
    }
    if (first == 0 && row < a.rows) {
#if !TUFF_RMS
        a.mean.v[row] = mean;
#endif
        a.rstd.v[row] = scale * unit;
    }
}
