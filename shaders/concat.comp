#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/concat.h"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_concat_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    for (uint c = t.column; c < t.end; c += t.step) {
        uint word, row = t.row;
        if (c < a.end[0])
            word = a.x0.v[row * a.end[0] + c];
        else if (c < a.end[1])
            word = a.x1.v[row * (a.end[1] - a.end[0]) + (c - a.end[0])];
        else if (c < a.end[2])
            word = a.x2.v[row * (a.end[2] - a.end[1]) + (c - a.end[1])];
        else
            word = a.x3.v[row * (a.end[3] - a.end[2]) + (c - a.end[2])];
        a.y.v[row * a.row + a.first + c] = word;
    }
}
