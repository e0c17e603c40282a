#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/rows.h"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_scatter_rows_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    if (t.column >= t.end || a.links.v[2 * t.row] == 0) return;
    uint to = uint(a.rows.v[t.row]) * a.tile[1];
    for (uint c = t.column; c < t.end; c += t.step) {
        float sum = a.x.v[t.row * a.tile[1] + c];
        for (uint i = a.links.v[2 * t.row + 1]; i != 0; i = a.links.v[2 * i + 1])
            sum += a.x.v[i * a.tile[1] + c];
        a.y.v[to + c] = sum;
    }
}
