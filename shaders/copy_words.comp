#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/copy.h"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_copy_words_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    uint i2 = t.row % a.dim2, rest = t.row / a.dim2;
    uint x = rest / a.dim1 * a.stride[0] + rest % a.dim1 * a.stride[1] + i2 * a.stride[2];
    for (uint c = t.column; c < t.end; c += t.step)
        a.y.v[t.row * a.tile[1] + c] = a.x.v[x + c * a.stride[3]];
}
