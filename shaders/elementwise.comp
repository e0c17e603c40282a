#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/elementwise.h"
#include "shaders/lib/flat.glsl"
#include "shaders/lib/binary.glsl"

TUFF_ARGS(tuff_elementwise_args);

void main()
{
    for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(a.n); i += TUFF_FLAT_GROUP) {
        float x = a.a.v[i];
        if (op == TUFF_BINARY_SCALE)
            x *= a.factor;
        else
            x = tuff_binary(x, a.b.v[i]);
        a.y.v[i] = x;
    }
}
