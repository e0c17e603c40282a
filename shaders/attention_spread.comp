#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "shaders/lib/attention_spread.glsl"

tuff_work w;
uint kv_head;

/* An element of k or v, f32 or f16. */
float stored(uvec2 base, uint at)
{
    if (!HALF) return F32(base).v[at];
    return tuff_half_to_float((U32(base).v[at >> 1] >> (16 * (at & 1))) & 0xffffu);
}

float load_first(uint key, uint d)
{
    return stored(k_base, key_at(w, key, kv_head) + d);
}

float load_second(uint key, uint d)
{
    return stored(v_base, value_at(w, key, kv_head) + d);
}

void main()
{
    w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    kv_head = gl_WorkGroupID.y;
    read_table();
    uint G = group, lane = gl_LocalInvocationID.x;

    float q[ROWS][DIM], o[ROWS][DIM], top[ROWS], total[ROWS];
    ivec2 keys[ROWS];
    int position[ROWS];
    uint head[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = r * WIDTH + lane, time = (w.first + row) / G;
        bool live = row < w.live;
        head[r] = kv_head * G + (w.first + row) % G;
        position[r] = w.start + int(time);
        keys[r] = live ? seen(w, position[r]) : ivec2(0);
        uint at = live ? query_at(w.q_begin + time, head[r]) : 0;
        [[unroll]] for (uint d = 0; d < DIM; d++)
            q[r][d] = o[r][d] = 0;
        if (w.live > 0)
            FOR_DIM(d) {
                float x = live ? F32(q_base).v[at + d] * scale : 0.0;
                KEEP(q[r], d, x);
            }
        top[r] = LOWEST;
        total[r] = 0;
    }
    uvec2 span = seen_by_rows(w, G);
    vec4 keeps[ROWS];
    for (uint key = span.x; key < span.y; key++) {
        load_pair(key);
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
            score[r] = score_of(score[r], head[r], int(key) - position[r]);
            float higher = visible && score[r] > top[r] ? score[r] : top[r];
            shrink[r] = tuff_exp(top[r] - higher);
            score[r] = visible ? tuff_exp(score[r] - higher) : 0.0;
            total[r] = total[r] * shrink[r] + score[r];
            top[r] = higher;
            if (DROPOUT) {
                if (key == span.x || key % 4 == 0)
                    keeps[r] = kept(row_at(w.q_begin + (w.first + r * WIDTH + lane) / G, head[r]), key / 4);
                score[r] *= keeps[r][key % 4];
            }
        }
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = SECOND(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++)
                    o[r][d + c] = o[r][d + c] * shrink[r] + score[r] * x[c];
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = r * WIDTH + lane, to = row_at(w.q_begin + (w.first + row) / G, head[r]);
        if (row >= w.rows) continue;
        bool any = keys[r].x < keys[r].y;
        vec2 lse = vec2(top[r], total[r]);
        float factor = finish(lse, head[r], row < w.live, any);
        FOR_DIM(d) {
            float x = 0;
            TAKE(o[r], d, x);
            ADDRESS(F32, O).v[to * dim + d] = any ? x * factor : 0.0;
        }
        ADDRESS(F32, LSE).v[to] = lse.x;
    }
}
