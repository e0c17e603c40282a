#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/group.h"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_group_starts_args);

/* Counts that are loaded before the first of them is replaced. */
const uint AHEAD = 8;

shared uint sums[TUFF_FLAT_GROUP];

/* Of key e: its counts become those of the blocks before; gives their sum. */
uint add_up(uint e)
{
    uint sum = 0, step = a.n + 1;
    for (uint block = 0; block < a.blocks; block += AHEAD) {
        uint count[AHEAD];
        [[unroll]] for (uint k = 0; k < AHEAD; k++)
            count[k] = a.counts.v[min(block + k, a.blocks - 1) * step + e];
        [[unroll]] for (uint k = 0; k < AHEAD; k++)
            if (block + k < a.blocks) {
                a.counts.v[(block + k) * step + e] = sum;
                sum += count[k];
            }
    }
    return sum;
}

void main()
{
    uint lane = gl_LocalInvocationID.x, start = 0;
    for (uint e0 = 0; e0 <= a.n; e0 += TUFF_FLAT_GROUP) {
        uint e = e0 + lane;
        sums[lane] = e <= a.n ? add_up(e) : 0;
        barrier();
        uint before = 0, all = 0;
        for (uint k = 0; k < TUFF_FLAT_GROUP; k++) {
            before += k < lane ? sums[k] : 0;
            all += sums[k];
        }
        barrier();
        if (e <= a.n) a.order.v[e] = int(start + before);
        start += all;
    }
}
