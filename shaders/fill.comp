#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/fill.h"
#include "shaders/lib/flat.glsl"

TUFF_ARGS(tuff_fill_args);

void main()
{
    for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(a.n); i += TUFF_FLAT_GROUP)
        a.y.v[i] = a.value;
}
