#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention_tile.glsl"

/* The gradient of q: tiles as in attention_tile.comp. */
void main()
{
    tuff_work w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    read_table();
    uint kv_head = gl_WorkGroupID.y, G = group;

    uint at[4], o_at[4], head[4];
    int position[4];
    ivec2 keys[4];
    vec2 stats[4];
    vec4 sum[4][COLUMNS];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint row = w.first + Y + 8 * i, time = row / G;
        bool live = Y + 8 * i < w.live;
        head[i] = kv_head * G + row % G;
        uint o_row = row_at(w.q_begin + time, head[i]);
        at[i] = live ? query_at(w.q_begin + time, head[i]) : NOWHERE;
        o_at[i] = o_row * dim;
        position[i] = w.start + int(time);
        keys[i] = live ? seen(w, position[i]) : ivec2(0);
        stats[i] = live ? stats_of(o_row) : vec2(0);
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            sum[i][c] = vec4(0);
    }
    uvec2 span = seen_by_rows(w, G);
    [[dont_unroll]] for (uint key0 = span.x / TILE * TILE; key0 < span.y; key0 += TILE) {
        vec4 s[4], grown[4];
        ivec4 key = int(key0 + 4 * X) + ivec4(0, 1, 2, 3);
#define QUERY(n, d) (at[n] != NOWHERE ? scale * load4(q_base, at[n], d) : vec4(0))
#define KEY(n, d)   (key0 + 4 * Y + n < w.kv_len ? load4(k_base, key_at(w, key0 + 4 * Y + n, kv_head), d) : vec4(0))
        PRODUCTS(s, QUERY, KEY)
#define D_O(n, d)   (at[n] != NOWHERE ? load4(d_o_base, o_at[n], d) : vec4(0))
#define VALUE(n, d) (key0 + 4 * Y + n < w.kv_len ? load4(v_base, value_at(w, key0 + 4 * Y + n, kv_head), d) : vec4(0))
        PRODUCTS(grown, D_O, VALUE)
        [[unroll]] for (uint i = 0; i < 4; i++) {
            vec4 slope = slope_of(s[i]);
            if (DROPOUT) grown[i] *= kept(row_at(w.q_begin + (w.first + Y + 8 * i) / G, head[i]), key0 / 4 + X);
            s[i] = score_of(s[i], uvec4(head[i]), key - position[i]);
            [[unroll]] for (uint j = 0; j < 4; j++)
                s[i][j] = key[j] >= keys[i].x && key[j] < keys[i].y
                              ? tuff_exp(s[i][j] - stats[i].x) * (grown[i][j] - stats[i].y) * slope[j]
                              : 0.0;
            weights[(Y + 8 * i) * PITCH + X] = s[i];
        }
#define WHOLE_KEY(j, d) (key0 + j < w.kv_len ? load4(k_base, key_at(w, key0 + j, kv_head), d) : vec4(0))
        ADD_UP(sum, WHOLE_KEY)
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (Y + 8 * i >= w.rows) continue;
        bool any = keys[i].x < keys[i].y;
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            store4(BASE(DQ), o_at[i], 4 * (X + 8 * c), any ? sum[i][c] * scale : vec4(0));
    }
}
