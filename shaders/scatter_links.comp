#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/rows.h"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_scatter_links_args);

/* Row numbers that are loaded before the first of them is used. */
const uint AHEAD = 8;

void main()
{
    uint start = TUFF_GROUP_1D * (TUFF_FLAT_GROUP * TUFF_SCATTER_EACH);
    uint end = min(start + TUFF_FLAT_GROUP * TUFF_SCATTER_EACH, a.count);
    uint i[TUFF_SCATTER_EACH], before[TUFF_SCATTER_EACH]; /* 1 + the one before of the same number, 0: none */
    int row[TUFF_SCATTER_EACH];
    [[unroll]] for (uint e = 0; e < TUFF_SCATTER_EACH; e++) {
        i[e] = start + e * TUFF_FLAT_GROUP + gl_LocalInvocationID.x;
        row[e] = a.rows.v[min(i[e], a.count - 1)];
        before[e] = 0;
    }
    for (uint from = 0; from < end; from += AHEAD) {
        int other[AHEAD];
        [[unroll]] for (uint k = 0; k < AHEAD; k++)
            other[k] = a.rows.v[min(from + k, a.count - 1)];
        [[unroll]] for (uint k = 0; k < AHEAD; k++)
            [[unroll]] for (uint e = 0; e < TUFF_SCATTER_EACH; e++)
                if (other[k] == row[e] && from + k < i[e]) before[e] = from + k + 1;
    }
    [[unroll]] for (uint e = 0; e < TUFF_SCATTER_EACH; e++) {
        if (i[e] >= a.count || row[e] < 0 || uint(row[e]) >= a.n) continue;
        if (before[e] == 0)
            a.links.v[2 * i[e]] = 1;
        else
            a.links.v[2 * before[e] - 1] = i[e];
    }
}
