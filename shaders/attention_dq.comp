#version 460
#extension GL_GOOGLE_include_directive : require
#if TUFF_SPREAD
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#include "shaders/lib/common.glsl"
#include "shaders/args/attention.h"

TUFF_ARGS(tuff_attention_backward_args);
#include "shaders/lib/attention.glsl"

uint k_at, v_at; /* key 0 of this head */

float load_first(uint key, uint d)
{
    return a.k.v[k_at + key * a.k_stride[1] + d];
}

float load_second(uint key, uint d)
{
    return a.v.v[v_at + key * a.v_stride[1] + d];
}

/* The gradient of q. Rows as in attention.comp. */
void main()
{
    uint rows = a.G * a.Tq, lane = gl_LocalInvocationID.x, share = gl_WorkGroupSize.x * ROWS;
    uint row0 = gl_WorkGroupID.x * share, head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    k_at = batch * a.k_stride[0] + head * a.k_stride[2];
    v_at = batch * a.v_stride[0] + head * a.v_stride[2];
    int start = start_of(batch);

    float q[ROWS][DIM], d_o[ROWS][DIM], dq[ROWS][DIM], lse[ROWS], delta[ROWS];
    ivec2 keys[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = min(row0 + r * gl_WorkGroupSize.x + lane, rows - 1), time = row / a.G, h = head * a.G + row % a.G;
        uint q_at = batch * a.q_stride[0] + time * a.q_stride[1] + h * a.q_stride[2];
        uint o_at = ((batch * a.Tq + time) * a.Hq + h) * dim, stats = 2 * ((batch * a.Hq + h) * a.Tq + time);
        [[unroll]] for (uint d = 0; d < DIM; d++)
            q[r][d] = d_o[r][d] = dq[r][d] = 0;
        FOR_DIM(d) {
            float x = a.q.v[q_at + d] * a.scale, y = a.d_o.v[o_at + d];
            KEEP(q[r], d, x);
            KEEP(d_o[r], d, y);
        }
        lse[r] = a.stats.v[stats];
        delta[r] = a.stats.v[stats + 1];
        keys[r] = seen(start + int(time));
    }
    uint least = uint(seen(start + int(row0 / a.G)).x);
    uint most = uint(seen(start + int(min(row0 + share, rows) - 1) / int(a.G)).y);

    FOR_PAIRS(key, least, most)
        float score[ROWS], grown[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            score[r] = grown[r] = 0;
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = FIRST(d), y = SECOND(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    score[r] += q[r][d + c] * x[c];
                    grown[r] += d_o[r][d + c] * y[c];
                }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            bool visible = int(key) >= keys[r].x && int(key) < keys[r].y;
            score[r] = visible ? tuff_exp(score[r] - lse[r]) * (grown[r] - delta[r]) : 0.0;
        }
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = FIRST(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++)
                    dq[r][d + c] += score[r] * x[c];
        }
    END_PAIRS

    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = row0 + r * gl_WorkGroupSize.x + lane;
        if (row >= rows) continue;
        uint at = ((batch * a.Tq + row / a.G) * a.Hq + head * a.G + row % a.G) * dim;
        FOR_DIM(d) {
            float x = 0;
            TAKE(dq[r], d, x);
            a.dq_or_dk.v[at + d] = x * a.scale;
        }
    }
}
