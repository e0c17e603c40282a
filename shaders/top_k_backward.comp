#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/top_k.h"
#include "shaders/lib/flat.glsl"

TUFF_ARGS(tuff_top_k_backward_args);

void main()
{
    for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(a.n); i += TUFF_FLAT_GROUP) {
        uint place = uint(a.places.v[i]);
        if (place < a.width) a.dx.v[i / a.k * a.width + place] = a.dy.v[i]; /* a wrong forward kernel must not write elsewhere */
    }
}
