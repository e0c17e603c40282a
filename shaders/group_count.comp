#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/group.h"
#include "shaders/lib/group.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_group_count_args);

shared uint keys[TUFF_GROUP_BLOCK];

void main()
{
    uint lane = gl_LocalInvocationID.x, block = TUFF_GROUP_1D, first = block * TUFF_GROUP_BLOCK;
    if (first >= a.places) return;
    uint live = min(a.places - first, TUFF_GROUP_BLOCK);
    uint key[TUFF_GROUP_EACH], before[TUFF_GROUP_EACH], all[TUFF_GROUP_EACH];
    [[unroll]] for (uint e = 0; e < TUFF_GROUP_EACH; e++) {
        uint i = lane + e * TUFF_FLAT_GROUP;
        key[e] = tuff_group_key(a.groups.v[first + min(i, live - 1)], a.n);
        keys[i] = key[e];
        before[e] = all[e] = 0;
    }
    barrier();
    for (uint j = 0; j < live; j++) {
        uint other = keys[j];
        [[unroll]] for (uint e = 0; e < TUFF_GROUP_EACH; e++) {
            uint same = other == key[e] ? 1 : 0;
            all[e] += same;
            before[e] += j < lane + e * TUFF_FLAT_GROUP ? same : 0;
        }
    }
    [[unroll]] for (uint e = 0; e < TUFF_GROUP_EACH; e++) {
        uint i = lane + e * TUFF_FLAT_GROUP;
        if (i >= live) continue;
        a.before.v[first + i] = before[e];
        if (before[e] == 0) a.counts.v[block * (a.n + 1) + key[e]] = all[e];
    }
}
