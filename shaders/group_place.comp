#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/group.h"
#include "shaders/lib/flat.glsl"
#include "shaders/lib/group.glsl"

TUFF_ARGS(tuff_group_place_args);

void main()
{
    for (uint i = TUFF_FLAT_FIRST; i < TUFF_FLAT_END(a.places); i += TUFF_FLAT_GROUP) {
        uint key = tuff_group_key(a.groups.v[i], a.n), block = i / TUFF_GROUP_BLOCK;
        uint at = uint(a.order.v[key]) + a.counts.v[block * (a.n + 1) + key] + a.before.v[i];
        a.order.v[a.n + 1 + at] = tuff_group_row(i, key, a.n);
    }
}
