#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/sum.h"
#define TUFF_SUM_TYPE float
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool one_kept = false;
layout(constant_id = 2) const bool one_summed = false;
TUFF_ARGS(tuff_sum_args);
#include "shaders/lib/sum_at.glsl"

void main()
{
    uint lane = gl_LocalInvocationID.x;
    uint item = TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes;
    uint k = item / a.parts, part = item % a.parts;
    float sum = 0;
    if (k < a.n_kept) {
        uint x = kept_at(k), end = min(a.n_summed, (part + 1) * a.per_part);
        for (uint r = part * a.per_part + (lane & (a.lanes - 1)); r < end; r += a.lanes)
            sum += a.x.v[x + summed_at(r)];
    }
    sum = tuff_segment_sum(sum, a.lanes);
    if (k < a.n_kept && (lane & (a.lanes - 1)) == 0) a.y.v[item] = sum;
}
