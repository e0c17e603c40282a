#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/normalize.h"
#include "shaders/lib/math.glsl"
#define TUFF_SUM_TYPE vec4
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_normalize_args);

void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint row = TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes;
    uint n = row < a.rows ? a.width : 0, at = row * a.width;
    vec4 sums = vec4(0); /* squares and products with dy, then the same of x in units that keep them finite */
    for (uint i = first; i < n; i += a.lanes) {
        float x = a.x.v[at + i], u = x * TUFF_NORMALIZE_UNIT;
#if TUFF_BACKWARD
        float dy = a.dy.v[at + i];
        sums += vec4(x * x, x * dy, u * u, u * dy);
#else
        sums.xz += vec2(x * x, u * u);
#endif
    }
    sums = tuff_segment_sum(sums, a.lanes);
    bool finite = tuff_is_finite(sums.x);
    float unit = finite ? 1.0 : TUFF_NORMALIZE_UNIT, least = a.eps * unit;
    float divisor = sqrt(finite ? sums.x : sums.z);
    bool short_row = !tuff_is_nan(divisor) && divisor < least;
    divisor = short_row ? least : divisor;
#if TUFF_BACKWARD
    float along = short_row ? 0.0 : (finite ? sums.y : sums.w) / divisor, scale = unit / divisor;
#endif
    for (uint i = first; i < n; i += a.lanes) {
        float x = a.x.v[at + i];
#if TUFF_BACKWARD
        a.y.v[at + i] = (a.dy.v[at + i] - x * scale * along) * scale;
#else
        a.y.v[at + i] = x * unit / divisor;
#endif
    }
}
