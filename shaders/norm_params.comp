#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/limits.h"
#include "shaders/args/norm.h"

layout(local_size_x = TUFF_FLAT_GROUP) in;
TUFF_ARGS(tuff_norm_params_args);

void main()
{
    uint blocks = (a.width + TUFF_FLAT_GROUP - 1) / TUFF_FLAT_GROUP;
    uint part = TUFF_GROUP_1D / blocks, i = TUFF_GROUP_1D % blocks * TUFF_FLAT_GROUP + gl_LocalInvocationID.x;
    if (i >= a.width || part >= a.parts) return;
    uint end = min(a.rows, (part + 1) * a.per_part);
    float dweight = 0, dbias = 0;
    for (uint row = part * a.per_part; row < end; row++) {
        float dy = a.dy.v[row * a.width + i], x = a.x.v[row * a.width + i];
#if !TUFF_RMS
        x -= a.mean.v[row];
        dbias += dy;
#endif
        dweight += dy * (x * a.rstd.v[row]);
    }
    a.dweight.v[part * a.width + i] = dweight;
#if !TUFF_RMS
    a.dbias.v[part * a.width + i] = dbias;
#endif
}
