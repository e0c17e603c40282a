#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/segment.h"
#include "shaders/lib/segment.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_segment_find_args);

void main()
{
    uint row = TUFF_GROUP_1D * TUFF_FLAT_GROUP + gl_LocalInvocationID.x, first = a.count, last = 0;
    if (row >= a.rows) return;
    for (uint s = 0; s < a.count; s++) {
        uvec2 rows = tuff_segment_rows(a.segments, s, a.rows);
        if (row - rows.x < rows.y) {
            first = min(first, s);
            last = s;
        }
    }
    a.found.v[2 * row] = first < a.count ? first : 1;
    a.found.v[2 * row + 1] = last;
}
