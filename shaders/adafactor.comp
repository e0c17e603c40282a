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
    for (uint i = gl_LocalInvocationID.x; i < b.slot_bands; i += gl_WorkGroupSize.x) {
        steps += a.norms.v[2 * (b.slot_first + i)];
        weights += a.norms.v[2 * (b.slot_first + i) + 1];
    }
    steps = sqrt(tuff_segment_sum(steps, gl_WorkGroupSize.x) / e.elements);
    weights = sqrt(tuff_segment_sum(weights, gl_WorkGroupSize.x) / e.elements);
    float lr = a.lr.v[0] * e.rate;
    if (a.scale_parameter != 0) lr *= max(a.eps2, weights);
    float factor = lr / max(1.0, steps / a.clip_threshold), keep = 1.0 - lr * e.decay;
    for (uint i = gl_LocalInvocationID.x; i < b.rows * e.columns; i += gl_WorkGroupSize.x) {
        uint at;
        float step = tuff_step_at(e, b, i, mean, clip, at) * factor;
        if (a.beta1 > 0.0) {
            step = a.beta1 * e.mean.v[at] + a.one_minus_beta1 * step;
            e.mean.v[at] = step;
        }
        e.param.v[at] = e.param.v[at] * keep - step;
    }
}
