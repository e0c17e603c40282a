#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/optimizer.h"
#include "shaders/lib/math.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_adamw_args);

/* The order of operations is PyTorch's. */
void main()
{
    float norm = a.norm.v[0];
    if (TUFF_GROUP_1D >= a.n_chunks || !tuff_is_finite(norm)) return;
    tuff_chunk c = a.chunks.v[TUFF_GROUP_1D];
    uint slot = TUFF_ADAMW_SLOT_WORDS * c.slot;
    F32 param = TUFF_ADDRESS_AT(F32, a.slots, slot), grad = TUFF_ADDRESS_AT(F32, a.slots, slot + 2);
    F32 first = TUFF_ADDRESS_AT(F32, a.slots, slot + 4), second = TUFF_ADDRESS_AT(F32, a.slots, slot + 6);
    bool decay = a.slots.v[slot + 8] != 0;
    float lr = a.lr.v[0], step = lr / a.state.v[2], root_c2 = sqrt(a.state.v[3]);
    float clip = a.max_norm > 0.0 ? min(1.0, a.max_norm / (norm + 1e-6)) : 1.0;
    float keep = decay ? 1.0 - lr * a.weight_decay : 1.0;
    for (uint i = c.at + gl_LocalInvocationID.x; i < c.at + c.n; i += TUFF_FLAT_GROUP) {
        float g = grad.v[i] * clip;
        float m = a.beta1 * first.v[i] + a.one_minus_beta1 * g;
        float v = a.beta2 * second.v[i] + a.one_minus_beta2 * g * g;
        first.v[i] = m;
        second.v[i] = v;
        param.v[i] = param.v[i] * keep - step * (m / (sqrt(v) / root_c2 + a.eps));
    }
}
