#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/cross_entropy.h"
#include "shaders/lib/math.glsl"
#include "shaders/lib/log_sum_exp.glsl"
#define TUFF_SUM_TYPE float
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_cross_entropy_args);

void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint row = TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes;
    uint n = row < a.rows ? a.classes : 0, x = row * a.classes;
    vec2 lse = TUFF_LSE_START;
    float all = 0;
    for (uint i = first; i < n; i += a.lanes) {
        float value = a.logits.v[x + i];
        lse = tuff_lse_add(lse, value);
        all += value;
    }
    lse = tuff_lse_segment(lse, a.lanes);
    if (a.smoothing > 0.0) all = tuff_segment_sum(all, a.lanes);
    if (first == 0 && row < a.rows) {
        float whole = lse.x + tuff_log(lse.y), loss = 0;
        int label = a.labels.v[row];
        if (label != TUFF_LABEL_IGNORED) {
            loss = uintBitsToFloat(0x7fc00000u); /* a label that is no class */
            if (label >= 0 && label < int(a.classes)) loss = whole - a.logits.v[x + uint(label)];
            if (a.smoothing > 0.0) loss = (1.0 - a.smoothing) * loss + a.smoothing * (whole - all / float(a.classes));
        }
        a.lse.v[row] = whole;
        a.losses.v[row] = loss;
    }
}
