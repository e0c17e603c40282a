#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/lib/adafactor.glsl"

void main()
{
    float norm = a.norm.v[0];
    if (TUFF_GROUP_1D >= a.n_table || !tuff_is_finite(norm)) return;
    tuff_band b = tuff_band_at(TUFF_GROUP_1D);
    tuff_entry e = tuff_entry_at(b.slot);
    float clip = tuff_clip(norm, a.max_norm), mean = tuff_row_mean(b, e.rows), steps = 0, weights = 0;
    for (uint i = gl_LocalInvocationID.x; i < b.rows * e.columns; i += gl_WorkGroupSize.x) {
        uint at;
        float step = tuff_step_at(e, b, i, mean, clip, at);
        steps += step * step;
        if (a.scale_parameter != 0) weights += e.param.v[at] * e.param.v[at];
    }
    steps = tuff_segment_sum(steps, gl_WorkGroupSize.x);
    weights = tuff_segment_sum(weights, gl_WorkGroupSize.x);
    if (gl_LocalInvocationID.x == 0) {
        a.norms.v[2 * TUFF_GROUP_1D] = steps;
        a.norms.v[2 * TUFF_GROUP_1D + 1] = weights;
    }
}
