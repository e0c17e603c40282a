#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/optimizer.h"
#include "shaders/lib/math.glsl"
#include "shaders/lib/update.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_sgd_args);

/* The order of operations is PyTorch's. Without momentum there is no state. */
void main()
{
    float norm = a.norm.v[0];
    if (TUFF_GROUP_1D >= a.n_chunks || !tuff_is_finite(norm)) return;
    tuff_chunk c = a.chunks.v[TUFF_GROUP_1D];
    tuff_slot s = tuff_slot_at(a.slots, c.slot);
    float lr = a.lr.v[0] * s.rate, clip = tuff_clip(norm, a.max_norm);
    F32 state = F32(s.states[0]);
    for (uint i = c.at + gl_LocalInvocationID.x; i < c.at + c.n; i += TUFF_FLAT_GROUP) {
        float p = s.param.v[i], g = s.grad.v[i] * clip + s.decay * p;
        if (a.momentum > 0.0) {
            float m = a.momentum * state.v[i] + g;
            state.v[i] = m;
            g = a.nesterov != 0 ? g + a.momentum * m : m;
        }
        s.param.v[i] = p - lr * g;
    }
}
