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

/* The gradients of k (with TUFF_DK) and v (with TUFF_DV): each alone has room for its vectors in registers; where loads
 * are what costs, both are made at once. Rows are keys; the vector pairs are q and d_o of the queries `begin` to
 * `begin` + `times` of each head that shares this key-value head. */
uint batch, head, begin, times;

uvec2 query_of(uint i) /* time, head */
{
    return uvec2(begin + i % times, head * a.G + i / times);
}

float load_first(uint i, uint d)
{
    uvec2 query = query_of(i);
    return a.q.v[batch * a.q_stride[0] + query.x * a.q_stride[1] + query.y * a.q_stride[2] + d];
}

float load_second(uint i, uint d)
{
    uvec2 query = query_of(i);
    return a.d_o.v[((batch * a.Tq + query.x) * a.Hq + query.y) * dim + d];
}

void main()
{
    uint lane = gl_LocalInvocationID.x, share = gl_WorkGroupSize.x * ROWS, heads = a.Hq / a.G;
    uint key0 = gl_WorkGroupID.x * share;
    head = gl_WorkGroupID.y;
    batch = gl_WorkGroupID.z;
    int start = start_of(batch);

    float k[ROWS][DIM];
#if TUFF_DK
    float v[ROWS][DIM], dk[ROWS][DIM];
#endif
#if TUFF_DV
    float dv[ROWS][DIM];
#endif
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint key = min(key0 + r * gl_WorkGroupSize.x + lane, a.Tk - 1);
        uint k_at = batch * a.k_stride[0] + key * a.k_stride[1] + head * a.k_stride[2];
        [[unroll]] for (uint d = 0; d < DIM; d++) {
            k[r][d] = 0;
#if TUFF_DK
            v[r][d] = dk[r][d] = 0;
#endif
#if TUFF_DV
            dv[r][d] = 0;
#endif
        }
        FOR_DIM(d) {
            float x = a.k.v[k_at + d] * a.scale;
            KEEP(k[r], d, x);
#if TUFF_DK
            float y = a.v.v[batch * a.v_stride[0] + key * a.v_stride[1] + head * a.v_stride[2] + d];
            KEEP(v[r], d, y);
#endif
        }
    }
    /* queries that may see a key of this workgroup */
    int last = int(min(key0 + share, a.Tk)) - 1, from = 0, to = int(a.Tq);
    if ((a.dim_flags & TUFF_ATTENTION_CAUSAL) != 0) {
        from = clamp(int(key0) - start, 0, to);
        if (a.window > 0) to = clamp(last + int(a.window) - start, from, to);
    }
    begin = uint(from);
    times = uint(to - from);

    FOR_PAIRS(i, 0, times * a.G)
        uvec2 query = query_of(i);
        uint stats = 2 * ((batch * a.Hq + query.y) * a.Tq + query.x);
        float lse = a.stats.v[stats];
        ivec2 keys = seen(start + int(query.x));
        float score[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            score[r] = 0;
#if TUFF_DK
        float delta = a.stats.v[stats + 1], grown[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            grown[r] = 0;
#endif
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = FIRST(d), y = SECOND(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    score[r] += k[r][d + c] * x[c];
#if TUFF_DK
                    grown[r] += v[r][d + c] * y[c];
#endif
                }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            int key = int(key0 + r * gl_WorkGroupSize.x + lane);
            bool visible = key >= keys.x && key < keys.y;
            score[r] = visible ? tuff_exp(score[r] - lse) : 0.0;
#if TUFF_DK
            grown[r] = visible ? score[r] * (grown[r] - delta) : 0.0;
#endif
        }
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = FIRST(d), y = SECOND(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++) {
#if TUFF_DK
                    dk[r][d + c] += grown[r] * x[c];
#endif
#if TUFF_DV
                    dv[r][d + c] += score[r] * y[c];
#endif
                }
        }
    END_PAIRS

    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint key = key0 + r * gl_WorkGroupSize.x + lane;
        if (key >= a.Tk) continue;
        uint at = ((batch * a.Tk + key) * heads + head) * dim;
        FOR_DIM(d) {
            float x = 0;
#if TUFF_DK
            TAKE(dk[r], d, x);
            a.dq_or_dk.v[at + d] = x * a.scale;
#endif
#if TUFF_DV
            TAKE(dv[r], d, x);
            a.dv.v[at + d] = x;
#endif
        }
    }
}
