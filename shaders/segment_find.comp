#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/segment.h"
#include "shaders/lib/segment.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_segment_find_args);

void main()
{
    uint start = TUFF_GROUP_1D * (TUFF_FLAT_GROUP * TUFF_SEGMENT_EACH) + gl_LocalInvocationID.x;
    uint first[TUFF_SEGMENT_EACH], last[TUFF_SEGMENT_EACH];
    [[unroll]] for (uint e = 0; e < TUFF_SEGMENT_EACH; e++) {
        first[e] = a.count;
        last[e] = 0;
    }
    for (uint s = 0; s < a.count; s++) {
        uvec2 rows = tuff_segment_rows(a.segments, s, a.rows);
        [[unroll]] for (uint e = 0; e < TUFF_SEGMENT_EACH; e++)
            if (start + e * TUFF_FLAT_GROUP - rows.x < rows.y) {
                first[e] = min(first[e], s);
                last[e] = s;
            }
    }
    [[unroll]] for (uint e = 0; e < TUFF_SEGMENT_EACH; e++) {
        uint row = start + e * TUFF_FLAT_GROUP;
        if (row >= a.rows) break;
        a.found.v[2 * row] = first[e] < a.count ? first[e] : 1;
        a.found.v[2 * row + 1] = last[e];
    }
}
