#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/pad.h"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_pad_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    for (uint c = t.column; c < t.end; c += t.step) {
        float value = 0;
        if (c >= a.before && c - a.before < a.within) value = a.x.v[t.row * a.within + (c - a.before)];
        a.y.v[t.row * a.tile[1] + c] = value;
    }
}
