#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/optimizer.h"
#include "shaders/lib/math.glsl"
#include "shaders/lib/update.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_adamw_args);

/* The order of operations is PyTorch's. */
void main()
{
    float norm = a.norm.v[0];
    if (TUFF_GROUP_1D >= a.n_chunks || !tuff_is_finite(norm)) return;
    tuff_chunk c = a.chunks.v[TUFF_GROUP_1D];
    tuff_slot s = tuff_slot_at(a.slots, c.slot);
    float lr = a.lr.v[0] * s.rate, clip = tuff_clip(norm, a.max_norm);
    F32 first = F32(s.states[0]), second = F32(s.states[1]);
    float step = lr / a.state.v[2], root_c2 = sqrt(a.state.v[3]), keep = 1.0 - lr * s.decay;
    for (uint i = c.at + gl_LocalInvocationID.x; i < c.at + c.n; i += TUFF_FLAT_GROUP) {
        float g = s.grad.v[i] * clip;
        float m = a.beta1 * first.v[i] + a.one_minus_beta1 * g;
        float v = a.beta2 * second.v[i] + a.one_minus_beta2 * g * g;
        first.v[i] = m;
        second.v[i] = v;
        s.param.v[i] = s.param.v[i] * keep - step * (m / (sqrt(v) / root_c2 + a.eps));
    }
}
