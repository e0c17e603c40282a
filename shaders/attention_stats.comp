#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/attention.h"

layout(local_size_x = 64) in;
TUFF_ARGS(tuff_attention_stats_args);

void main()
{
    uint row = TUFF_GROUP_1D * 64 + gl_LocalInvocationID.x; /* of [B, Hq, Tq] */
    if (row >= a.rows) return;
    uint time = row % a.Tq, head = row / a.Tq % a.Hq, batch = row / a.Tq / a.Hq;
    uint at = ((batch * a.Tq + time) * a.Hq + head) * a.dim;
    float sum = 0;
    for (uint d = 0; d < a.dim; d++)
        sum += a.o.v[at + d] * a.d_o.v[at + d];
    a.stats.v[2 * row] = a.lse.v[row];
    a.stats.v[2 * row + 1] = sum;
}
