#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/segment.h"
#include "shaders/lib/segment.glsl"
#include "shaders/lib/tiles.glsl"

TUFF_ARGS(tuff_segment_backward_args);

void main()
{
    tuff_tile t = tuff_tile_of(a.tile);
    if (t.column >= t.end) return;
    uint first = a.found.v[2 * t.row], last = a.found.v[2 * t.row + 1], to = t.row * a.tile[1];
    if (first > last) {
        for (uint c = t.column; c < t.end; c += t.step)
            a.dx.v[to + c] = 0;
        return;
    }
    for (uint s = first; s <= last; s++) {
        uvec2 rows = tuff_segment_rows(a.segments, s, a.tile[0]);
        uint place = t.row - rows.x;
        if (place >= rows.y) continue; /* neither the first nor the last */
        float factor = 1;
#if !TUFF_MAX
        factor = (a.by_position != 0 ? float(place + 1) : 1.0) / tuff_segment_weights(a.by_position != 0, rows.y);
#endif
        for (uint c = t.column; c < t.end; c += t.step) {
            float d = factor * a.dy.v[s * a.tile[1] + c];
#if TUFF_MAX
            if (a.at.v[s * a.tile[1] + c] != int(t.row)) d = 0;
#endif
            a.dx.v[to + c] = s == first ? d : a.dx.v[to + c] + d;
        }
    }
}
