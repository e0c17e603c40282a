#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "shaders/lib/attention_spread.glsl"

/* The gradients of k and v. Rows are keys; the vector pairs are q and d_o of the rows of queries that may see them. */
tuff_work w;
uint kv_head;

uvec2 query_of(uint row) /* token, head */
{
    return uvec2(w.q_begin + row / group, kv_head * group + row % group);
}

float load_first(uint row, uint d)
{
    uvec2 query = query_of(row);
    return F32(q_base).v[query_at(query.x, query.y) + d];
}

float load_second(uint row, uint d)
{
    uvec2 query = query_of(row);
    return F32(d_o_base).v[row_at(query.x, query.y) * dim + d];
}

void main()
{
    w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    kv_head = gl_WorkGroupID.y;
    read_table();
    uint lane = gl_LocalInvocationID.x;

    float k[ROWS][DIM], v[ROWS][DIM], dk[ROWS][DIM], dv[ROWS][DIM];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = r * WIDTH + lane, key = w.first + row;
        [[unroll]] for (uint d = 0; d < DIM; d++)
            k[r][d] = v[r][d] = dk[r][d] = dv[r][d] = 0;
        if (w.live > 0)
            FOR_DIM(d) {
                bool live = row < w.live;
                float x = live ? F32(k_base).v[key_at(w, key, kv_head) + d] * scale : 0.0;
                float y = live ? F32(v_base).v[value_at(w, key, kv_head) + d] : 0.0;
                KEEP(k[r], d, x);
                KEEP(v[r], d, y);
            }
    }
    uvec2 times = w.live == 0 ? uvec2(0) : uvec2(seen_by(w, int(w.first), int(w.first + w.live) - 1));
    for (uint i = times.x * group; i < times.y * group; i++) {
        load_pair(i);
        uvec2 query = query_of(i);
        vec2 stats = stats_of(row_at(query.x, query.y));
        int position = w.start + int(i / group);
        ivec2 keys = seen(w, position);
        float score[ROWS], grown[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            score[r] = grown[r] = 0;
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = FIRST(d), y = SECOND(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    score[r] += k[r][d + c] * x[c];
                    grown[r] += v[r][d + c] * y[c];
                }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            int key = int(w.first + r * WIDTH + lane);
            bool visible = key >= keys.x && key < keys.y;
            float slope = slope_of(score[r]);
            score[r] = score_of(score[r], query.y, key - position);
            score[r] = visible ? tuff_exp(score[r] - stats.x) : 0.0;
            float keeps = 1;
            if (DROPOUT) keeps = kept(row_at(query.x, query.y), uint(key) / 4)[uint(key) % 4];
            grown[r] = visible ? score[r] * (grown[r] * keeps - stats.y) * slope : 0.0;
            if (DROPOUT) score[r] *= keeps;
        }
        [[unroll]] for (uint d = 0; d < DIM; d += 4) {
            vec4 x = FIRST(d), y = SECOND(d);
            [[unroll]] for (uint r = 0; r < ROWS; r++)
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    dk[r][d + c] += grown[r] * x[c];
                    dv[r][d + c] += score[r] * y[c];
                }
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint row = r * WIDTH + lane;
        if (row >= w.rows) continue;
        uint to = (key_row(w, w.first + row) * (heads / group) + kv_head) * dim;
        FOR_DIM(d) {
            float x = 0, y = 0;
            TAKE(dk[r], d, x);
            TAKE(dv[r], d, y);
            ADDRESS(F32, DK).v[to + d] = row < w.live ? x * scale : 0.0;
            ADDRESS(F32, DV).v[to + d] = row < w.live ? y : 0.0;
        }
    }
}
