#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/elementwise.h"
#include "shaders/lib/tiles.glsl"
#include "shaders/lib/binary.glsl"

TUFF_ARGS(tuff_elementwise_strided_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    uint i2 = t.row % a.dim2, rest = t.row / a.dim2, i1 = rest % a.dim1, i0 = rest / a.dim1;
    uint at_a = i0 * a.a_stride[0] + i1 * a.a_stride[1] + i2 * a.a_stride[2];
    uint at_b = i0 * a.b_stride[0] + i1 * a.b_stride[1] + i2 * a.b_stride[2];
    for (uint c = t.column; c < t.end; c += t.step) {
        float x = a.a.v[at_a + c * a.a_stride[3]], y = a.b.v[at_b + c * a.b_stride[3]];
        a.y.v[t.row * a.tile[1] + c] = tuff_binary(x, y);
    }
}
