#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "shaders/lib/attention_spread.glsl"

/* The gradient of q. Rows as in attention_spread.comp. */
tuff_work w;
uint kv_head;

float load_first(uint key, uint d)
{
    return F32(k_base).v[key_at(w, key, kv_head) + d];
}

float load_second(uint key, uint d)
{
    return F32(v_base).v[value_at(w, key, kv_head) + d];
}

void main()
{
    w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    kv_head = gl_WorkGroupID.y;
    read_table();
    uint G = group, lane = gl_LocalInvocationID.x;

    float q[ROWS][DIM], d_o[ROWS][DIM], dq[ROWS][DIM];
    vec2 stats[ROWS];
    ivec2 keys[ROWS];
    int position[ROWS];
    uint head[ROWS], o_row[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = r * WIDTH + lane, time = (w.first + row) / G, token = w.q_begin + time;
        bool live = row < w.live;
        head[r] = kv_head * G + (w.first + row) % G;
        o_row[r] = row_at(token, head[r]);
        position[r] = w.start + int(time);
        keys[r] = live ? seen(w, position[r]) : ivec2(0);
        stats[r] = live ? stats_of(o_row[r]) : vec2(0);
        uint at = live ? query_at(token, head[r]) : 0;
        [[unroll]] for (uint d = 0; d < DIM; d++)
            q[r][d] = d_o[r][d] = dq[r][d] = 0;
        if (w.live > 0)
            FOR_DIM(d) {
                float x = live ? F32(q_base).v[at + d] * scale : 0.0;
                float y = live ? F32(d_o_base).v[o_row[r] * dim + d] : 0.0;
                KEEP(q[r], d, x);
                KEEP(d_o[r], d, y);
            }
    }
    uvec2 span = seen_by_rows(w, G);
    vec4 keeps[ROWS];
    for (uint key = span.x; key < span.y; key++) {
        load_pair(key);
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
            float slope = slope_of(score[r]);
            if (DROPOUT) {
                if (key == span.x || key % 4 == 0) keeps[r] = kept(o_row[r], key / 4);
                grown[r] *= keeps[r][key % 4];
            }
            score[r] = score_of(score[r], head[r], int(key) - position[r]);
            score[r] = visible ? tuff_exp(score[r] - stats[r].x) * (grown[r] - stats[r].y) * slope : 0.0;
        }
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = FIRST(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++)
                    dq[r][d + c] += score[r] * x[c];
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        if (r * WIDTH + lane >= w.rows) continue;
        FOR_DIM(d) {
            float x = 0;
            TAKE(dq[r], d, x);
            ADDRESS(F32, DQ).v[o_row[r] * dim + d] = keys[r].x < keys[r].y ? x * scale : 0.0;
        }
    }
}
