#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/elementwise.h"
#include "shaders/lib/flat.glsl"

/* Not an argument: software drivers run every side of a branch. */
layout(constant_id = 0) const uint op = TUFF_BINARY_ADD;
TUFF_ARGS(tuff_elementwise_args);

void main()
{
    for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(a.n); i += TUFF_FLAT_GROUP) {
        float x = a.a.v[i];
        if (op == TUFF_BINARY_SCALE)
            x *= a.factor;
        else if (op == TUFF_BINARY_ADD)
            x += a.b.v[i];
        else
            x *= a.b.v[i];
        a.y.v[i] = x;
    }
}
