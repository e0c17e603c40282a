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
    uint first = a.found.v[2 * t.row], last = a.found.v[2 * t.row + 1];
    for (uint c = t.column; c < t.end; c += t.step) {
        float sum = 0;
        for (uint s = first; s <= last; s++) {
            float d = a.dy.v[s * a.tile[1] + c];
#if TUFF_MAX
            if (a.at.v[s * a.tile[1] + c] == int(t.row)) sum += d;
#else
            uvec2 rows = tuff_segment_rows(a.segments, s, a.tile[0]);
            uint place = t.row - rows.x;
            if (place < rows.y)
                sum += (a.by_position != 0 ? float(place + 1) : 1.0) /
                       tuff_segment_weights(a.by_position != 0, rows.y) * d;
#endif
        }
        a.dx.v[t.row * a.tile[1] + c] = sum;
    }
}
