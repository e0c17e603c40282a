#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/optimizer.h"
#include "shaders/lib/math.glsl"
#include "shaders/lib/clip.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_momentum_args);

void main()
{
    float norm = a.norm.v[0], clip = tuff_clip(norm, a.max_norm);
    bool finite = tuff_is_finite(norm);
    uint first = TUFF_GROUP_1D * (TUFF_FLAT_GROUP * TUFF_FLAT_STEPS) + gl_LocalInvocationID.x;
    for (uint k = 0; k < TUFF_FLAT_STEPS; k++) {
        uint i = first + k * TUFF_FLAT_GROUP;
        if (i >= a.n) return;
        float way = 0.0;
        if (finite) {
            float g = a.grad.v[i] * clip, m = a.beta * a.momentum.v[i] + a.one_minus_beta * g;
            a.momentum.v[i] = m;
            way = a.nesterov != 0 ? a.one_minus_beta * g + a.beta * m : m;
        }
        a.direction.v[i] = way;
    }
}
