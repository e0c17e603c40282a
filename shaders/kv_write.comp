#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/cache.h"
#include "shaders/lib/half.glsl"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_kv_write_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    if (t.column >= t.end) return;
    uint token = t.row / a.heads, head = t.row % a.heads;
    int row = a.rows.v[token];
    if (row < 0 || uint(row) >= a.capacity) return;
    uint from = token * a.x_stride[0] + head * a.x_stride[1];
    uint to = uint(row) * a.cache_stride[0] + head * a.cache_stride[1];
    for (uint c = t.column; c < t.end; c += t.step) {
        if (a.half_words == 0)
            a.cache.v[to + c] = floatBitsToUint(a.x.v[from + c]);
        else
            a.cache.v[to / 2 + c] = tuff_float_to_half(a.x.v[from + 2 * c]) |
                                    tuff_float_to_half(a.x.v[from + 2 * c + 1]) << 16;
    }
}
