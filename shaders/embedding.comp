#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/embedding.h"
#if TUFF_BLOCKS
#define TUFF_BLOCK_CONSTANT 0
#include "shaders/lib/blocks.glsl"
#else
#include "shaders/lib/half.glsl"
#endif
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_embedding_args);

float load(uint at)
{
#if TUFF_BLOCKS
    return tuff_block_element(a.table, a.first, at);
#else
    if (a.stored == TUFF_TABLE_F32) return uintBitsToFloat(a.table.v[at]);
    at += a.first;
    uint h = (a.table.v[at >> 1] >> (16 * (at & 1))) & 0xffffu;
    return a.stored == TUFF_TABLE_F16 ? tuff_half_to_float(h) : tuff_bfloat_to_float(h);
#endif
}

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    if (t.column >= t.end) return;
    int id = a.ids.v[t.row];
    bool inside = id >= 0 && uint(id) < a.vocabulary;
    for (uint c = t.column; c < t.end; c += t.step)
        a.y.v[t.row * a.tile[1] + c] =
            inside ? load(uint(id) * a.tile[1] + c) : uintBitsToFloat(0x7fc00000u);
}
