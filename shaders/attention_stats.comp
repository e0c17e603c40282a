#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention.glsl"

/* Of each row of [N, Hq]: its log-sum-exp, and sum(d_o * o). */
layout(local_size_x = 64) in;

void main()
{
    read_table();
    uint row = TUFF_GROUP_1D * 64 + gl_LocalInvocationID.x;
    if (row >= WORD(TOKENS) * heads) return;
    vec4 sum = vec4(0);
    for (uint d = 0; d < dim; d += 4)
        sum += load4(BASE(O), row * dim, d) * load4(d_o_base, row * dim, d);
    F32 stats = ADDRESS(F32, STATS);
    stats.v[2 * row] = ADDRESS(F32, LSE).v[row];
    stats.v[2 * row + 1] = (sum.x + sum.y) + (sum.z + sum.w);
}
