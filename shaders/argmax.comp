#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/top_k.h"
#include "shaders/lib/order.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool first_round = true;
layout(constant_id = 2) const bool last_round = true;
TUFF_ARGS(tuff_argmax_args);

shared uvec2 found[TUFF_REDUCE_GROUP]; /* key, place within the part */

uvec2 better(uvec2 x, uvec2 y)
{
    return x.x > y.x || (x.x == y.x && x.y < y.y) ? x : y;
}

void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint item = TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes;
    bool inside = item < a.rows * a.parts;
    uvec2 part = tuff_order_part(a.width, a.parts, item % a.parts), best = uvec2(0, ~0u);
    uint start = item / a.parts * a.width + part.x, n = inside ? part.y : 0;
    for (uint i = first; i < n; i += a.lanes) {
        uint word = a.x.v[start + i];
        best = better(best, uvec2(first_round ? tuff_order_key(word) : word, i));
    }
    found[lane] = best;
    for (uint width = a.lanes >> 1; width > 0; width >>= 1) {
        barrier();
        if (first < width) found[lane] = better(found[lane], found[lane + width]);
    }
    if (!inside || first != 0) return;
    best = found[lane];
    a.places.v[item] = first_round ? part.x + best.y : a.x_places.v[start + best.y];
    if (!last_round) a.keys.v[item] = best.x;
}
