#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/dropout.h"
#include "shaders/args/limits.h"
#include "shaders/lib/philox.glsl"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_dropout_args);

void main()
{
    uint block = TUFF_GROUP_1D * TUFF_FLAT_GROUP + gl_LocalInvocationID.x;
    if (block >= (a.n + 3) / 4) return;
    uvec2 key = uvec2(a.seed.v[0], a.seed.v[1]);
    uvec4 r = tuff_philox(uvec4(a.position_low + block, a.position_high, a.seed.v[2], a.stream), key);
    for (uint k = 0; k < 4 && 4 * block + k < a.n; k++) {
        float y = a.x.v[4 * block + k] * (r[k] < a.threshold ? 0.0 : a.factor);
        a.y.v[4 * block + k] = a.adds == 1 ? y + a.addend.v[4 * block + k] : y;
    }
}
