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
    uint token = t.row / a.heads, head = t.row % a.heads, batch = token / a.time, time = token % a.time;
    int position = a.start.v[batch] + int(time);
    if (position < 0 || uint(position) >= a.capacity) return;
    uint from = batch * a.x_stride[0] + time * a.x_stride[1] + head * a.x_stride[2];
    uint to = batch * a.cache_stride[0] + uint(position) * a.cache_stride[1] + head * a.cache_stride[2];
    for (uint c = t.column; c < t.end; c += t.step) {
        if (a.half_words == 0)
            a.cache.v[to + c] = floatBitsToUint(a.x.v[from + c]);
        else
            a.cache.v[to / 2 + c] = tuff_float_to_half(a.x.v[from + 2 * c]) |
                                    tuff_float_to_half(a.x.v[from + 2 * c + 1]) << 16;
    }
}
