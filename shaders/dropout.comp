#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/dropout.h"
#include "shaders/args/limits.h"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_dropout_args);

/* Philox4x32-10, as in base/rng.c. */
uvec4 philox(uvec4 c, uvec2 key)
{
    for (int round = 0; round < 10; round++) {
        uint high0, low0, high1, low1;
        umulExtended(0xd2511f53u, c.x, high0, low0);
        umulExtended(0xcd9e8d57u, c.z, high1, low1);
        c = uvec4(high1 ^ c.y ^ key.x, low1, high0 ^ c.w ^ key.y, low0);
        key += uvec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

void main()
{
    uint block = TUFF_GROUP_1D * TUFF_FLAT_GROUP + gl_LocalInvocationID.x;
    if (block >= (a.n + 3) / 4) return;
    uvec2 key = uvec2(a.seed.v[0], a.seed.v[1]);
    uvec4 r = philox(uvec4(a.position_low + block, a.position_high, a.seed.v[2], a.stream), key);
    for (uint k = 0; k < 4 && 4 * block + k < a.n; k++)
        a.y.v[4 * block + k] = a.x.v[4 * block + k] * (r[k] < a.threshold ? 0.0 : a.factor);
}
