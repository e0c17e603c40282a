#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/rows.h"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_gather_rows_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    if (t.column >= t.end) return;
    int row = a.rows.v[t.row];
    bool inside = row >= 0 && uint(row) < a.n;
    for (uint c = t.column; c < t.end; c += t.step)
        a.y.v[t.row * a.tile[1] + c] = inside ? a.x.v[uint(row) * a.tile[1] + c] : 0.0;
}
