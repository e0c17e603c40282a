#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/sum.h"

layout(local_size_x = TUFF_FLAT_GROUP) in;
layout(constant_id = 0) const bool one_kept = false;
layout(constant_id = 1) const bool one_summed = false;
TUFF_ARGS(tuff_sum_args);
#include "shaders/lib/sum_at.glsl"

void main()
{
    uint blocks = (a.n_kept + TUFF_FLAT_GROUP - 1) / TUFF_FLAT_GROUP;
    uint part = TUFF_GROUP_1D / blocks, k = TUFF_GROUP_1D % blocks * TUFF_FLAT_GROUP + gl_LocalInvocationID.x;
    if (k >= a.n_kept || part >= a.parts) return;
    uint x = kept_at(k), end = min(a.n_summed, (part + 1) * a.per_part);
    float sum = 0;
    for (uint r = part * a.per_part; r < end; r++)
        sum += a.x.v[x + summed_at(r)];
    a.y.v[part * a.n_kept + k] = sum;
}
