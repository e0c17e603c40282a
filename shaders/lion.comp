#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/optimizer.h"
#include "shaders/lib/math.glsl"
#include "shaders/lib/update.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_lion_args);

/* Lion (Chen et al. 2023): the sign of a mean of momentum and gradient. */
void main()
{
    float norm = a.norm.v[0];
    if (TUFF_GROUP_1D >= a.n_chunks || !tuff_is_finite(norm)) return;
    tuff_chunk c = a.chunks.v[TUFF_GROUP_1D];
    tuff_slot s = tuff_slot_at(a.slots, c.slot);
    float lr = a.lr.v[0] * s.rate, clip = tuff_clip(norm, a.max_norm);
    F32 state = F32(s.states[0]);
    float keep = 1.0 - lr * s.decay;
    for (uint i = c.at + gl_LocalInvocationID.x; i < c.at + c.n; i += TUFF_FLAT_GROUP) {
        float g = s.grad.v[i] * clip, m = state.v[i];
        state.v[i] = a.beta2 * m + a.one_minus_beta2 * g;
        s.param.v[i] = s.param.v[i] * keep - lr * sign(a.beta1 * m + a.one_minus_beta1 * g);
    }
}
