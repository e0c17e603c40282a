#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention.glsl"

/* The gradient of the bias: the sums of all tiles, in their order. */
layout(local_size_x = 64) in;

void main()
{
    uint column = TUFF_GROUP_1D * 64 + gl_LocalInvocationID.x, columns = WORD(HEADS) * WORD(DISTANCES);
    if (column >= columns) return;
    float sum = 0;
    for (uint i = 0; i < WORD(ENTRIES); i++)
        if (ENTRY(i, TUFF_TILE_LIVE) != 0) sum += ADDRESS(F32, PARTS).v[i * columns + column];
    ADDRESS(F32, D_BIAS).v[column] = sum;
}
