#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/rope.h"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_rope_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    if (t.column >= t.end) return;
    uint token = t.row / a.heads, head = t.row % a.heads;
    uint from = token * a.stride[0] + head * a.stride[1];
    uint to = t.row * a.dim;
    int position = a.positions.v[token];
    bool inside = position >= 0 && uint(position) < a.limit;
    for (uint c = t.column; c < t.end; c += t.step) {
        if (c >= a.pairs) { /* past the pairs' two halves */
            a.y.v[to + a.pairs + c] = a.x.v[from + a.pairs + c];
            continue;
        }
        float first = a.x.v[from + c], second = a.x.v[from + a.pairs + c];
        float cosine = uintBitsToFloat(0x7fc00000u), sine = cosine;
        if (inside) {
            cosine = a.cosine.v[uint(position) * a.pairs + c];
            sine = a.sine.v[uint(position) * a.pairs + c] * a.sign;
        }
        a.y.v[to + c] = first * cosine - second * sine;
        a.y.v[to + a.pairs + c] = second * cosine + first * sine;
    }
}
