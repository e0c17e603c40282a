#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/group.h"
#include "shaders/lib/group.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_group_few_args);

shared uint keys[TUFF_GROUP_FEW];

void main()
{
    uint lane = gl_LocalInvocationID.x;
    for (uint i = lane; i < a.places; i += TUFF_FLAT_GROUP)
        keys[i] = tuff_group_key(a.groups.v[i], a.n);
    barrier();
    for (uint e = lane; e <= a.n; e += TUFF_FLAT_GROUP) {
        uint below = 0;
        for (uint j = 0; j < a.places; j++)
            below += keys[j] < e ? 1 : 0;
        a.order.v[e] = int(below);
    }
    for (uint i = lane; i < a.places; i += TUFF_FLAT_GROUP) {
        uint key = keys[i], below = 0;
        for (uint j = 0; j < a.places; j++)
            below += keys[j] < key || (keys[j] == key && j < i) ? 1 : 0;
        a.order.v[a.n + 1 + below] = tuff_group_row(i, key, a.n);
    }
}
