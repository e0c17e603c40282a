#version 460
#extension GL_GOOGLE_include_directive : require
#if TUFF_SPREAD
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#include "shaders/lib/common.glsl"
#include "shaders/lib/half.glsl"
#include "shaders/args/attention.h"

TUFF_ARGS(tuff_attention_args);
#include "shaders/lib/attention.glsl"

uint k_at, v_at; /* key 0 of this head */

/* An element of k or v, f32 or f16. */
float load_first(uint key, uint d)
{
    uint at = k_at + key * a.k_stride[1] + d;
    if ((a.dim_flags & TUFF_ATTENTION_HALF) == 0) return uintBitsToFloat(a.k.v[at]);
    return tuff_half_to_float((a.k.v[at >> 1] >> (16 * (at & 1))) & 0xffffu);
}

float load_second(uint key, uint d)
{
    uint at = v_at + key * a.v_stride[1] + d;
    if ((a.dim_flags & TUFF_ATTENTION_HALF) == 0) return uintBitsToFloat(a.v.v[at]);
    return tuff_half_to_float((a.v.v[at >> 1] >> (16 * (at & 1))) & 0xffffu);
}

/* Rows are the queries of all heads that share a key-value head: row r is time r / G of head r % G of them. */
void main()
{
    uint rows = a.G * a.Tq, lane = gl_LocalInvocationID.x, share = gl_WorkGroupSize.x * ROWS;
    uint row0 = gl_WorkGroupID.x * share, head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    k_at = batch * a.k_stride[0] + head * a.k_stride[2] + ((a.dim_flags & TUFF_ATTENTION_ODD_K) != 0 ? 1 : 0);
    v_at = batch * a.v_stride[0] + head * a.v_stride[2] + ((a.dim_flags & TUFF_ATTENTION_ODD_V) != 0 ? 1 : 0);
    int start = start_of(batch);

    float q[ROWS][DIM], o[ROWS][DIM], top[ROWS], total[ROWS];
    ivec2 keys[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = min(row0 + r * gl_WorkGroupSize.x + lane, rows - 1);
        uint at = batch * a.q_stride[0] + row / a.G * a.q_stride[1] + (head * a.G + row % a.G) * a.q_stride[2];
        [[unroll]] for (uint d = 0; d < DIM; d++)
            q[r][d] = o[r][d] = 0;
        FOR_DIM(d) {
            float x = a.q.v[at + d] * a.scale;
            KEEP(q[r], d, x);
        }
        keys[r] = seen(start + int(row / a.G));
        top[r] = -3.402823466e38; /* below every score, so that only an infinite one gives NaN */
        total[r] = 0;
    }
    /* positions ascend with the rows, and so do the bounds of what they see */
    uint least = uint(seen(start + int(row0 / a.G)).x);
    uint most = uint(seen(start + int(min(row0 + share, rows) - 1) / int(a.G)).y);

    FOR_PAIRS(key, least, most)
        float score[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            score[r] = 0;
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = FIRST(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++)
                    score[r] += q[r][d + c] * x[c];
        }
        float shrink[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            bool visible = int(key) >= keys[r].x && int(key) < keys[r].y;
            float higher = visible && score[r] > top[r] ? score[r] : top[r];
            shrink[r] = tuff_exp(top[r] - higher);
            score[r] = visible ? tuff_exp(score[r] - higher) : 0.0;
            total[r] = total[r] * shrink[r] + score[r];
            top[r] = higher;
        }
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = SECOND(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++)
                    o[r][d + c] = o[r][d + c] * shrink[r] + score[r] * x[c];
        }
    END_PAIRS

    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = row0 + r * gl_WorkGroupSize.x + lane;
        if (row >= rows) continue;
        uint time = row / a.G, h = head * a.G + row % a.G;
        bool any = keys[r].x < keys[r].y;
        float scale = any ? 1.0 / total[r] : 0.0;
        uint at = ((batch * a.Tq + time) * a.Hq + h) * dim;
        FOR_DIM(d) {
            float x = 0;
            TAKE(o[r], d, x);
            a.o.v[at + d] = x * scale;
        }
        a.lse.v[(batch * a.Hq + h) * a.Tq + time] = any ? top[r] + tuff_log(total[r]) : -uintBitsToFloat(0x7f800000u);
    }
}
