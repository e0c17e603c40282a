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

    uint at[LOADS], o_at[LOADS], head[4];
    int position[4];
    ivec2 keys[4];
    vec2 stats[4];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint row = w.first + 4 * Y + i, time = row / G;
        bool live = 4 * Y + i < w.live;
        head[i] = kv_head * G + row % G;
        position[i] = w.start + int(time);
        keys[i] = live ? seen(w, position[i]) : ivec2(0);
        stats[i] = live ? stats_of(row_at(w.q_begin + time, head[i])) : vec2(0);
    }
    [[unroll]] for (uint n = 0; n < LOADS; n++) {
        uint row = w.first + min(LOADED(n), max(w.live, 1) - 1), token = w.q_begin + row / G;
        at[n] = query_at(token, kv_head * G + row % G);
        o_at[n] = row_at(token, kv_head * G + row % G) * dim;
    }
    vec4 sum[SUMS][COLUMNS];
    [[unroll]] for (uint i = 0; i < SUMS; i++)
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            sum[i][c] = vec4(0);
    bool busy = 4 * Y < w.live;
    uvec2 span = seen_by_rows(w, G);
    [[dont_unroll]] for (uint key0 = span.x / TILE * TILE; key0 < span.y; key0 += TILE) {
        vec4 s[4], grown[4];
        uint k_at[LOADS], v_at[LOADS];
        [[unroll]] for (uint n = 0; n < LOADS; n++) {
            k_at[n] = key_at(w, min(key0 + LOADED(n), w.kv_len - 1), kv_head);
            v_at[n] = value_at(w, min(key0 + LOADED(n), w.kv_len - 1), kv_head);
        }
#define D_O(n, d)   load4(d_o_base, o_at[n], d)
#define VALUE(n, d) load4(v_base, v_at[n], d)
        PRODUCTS(grown, D_O, VALUE, busy)
        SET_ASIDE(grown)
#define QUERY(n, d) scale * load4(q_base, at[n], d)
#define KEY(n, d)   load4(k_base, k_at[n], d)
        PRODUCTS(s, QUERY, KEY, busy)
        TAKE_BACK(grown)
        ivec4 key = int(key0 + 4 * X) + ivec4(0, 1, 2, 3);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            vec4 slope = slope_of(s[i]);
            if (DROPOUT) grown[i] *= kept(row_at(w.q_begin + (w.first + 4 * Y + i) / G, head[i]), key0 / 4 + X);
            s[i] = score_of(s[i], uvec4(head[i]), key - position[i]);
            [[unroll]] for (uint j = 0; j < 4; j++) {
                bool visible = key[j] >= keys[i].x && key[j] < keys[i].y;
                float weight = tuff_exp(visible ? s[i][j] - stats[i].x : LOWEST);
                s[i][j] = visible ? weight * (grown[i][j] - stats[i].y) * slope[j] : 0.0;
            }
        }
        SET_ASIDE(s)
#define WHOLE_KEY(j, d) load4(k_base, key_at(w, min(key0 + j, w.kv_len - 1), kv_head), d)
        ADD_UP(sum, WHOLE_KEY, span.y - key0, busy)
    }
    [[unroll]] for (uint i = 0; i < SUMS; i++) {
        uint of_tile = 4 * Y + SUMMED(i), row = w.first + of_tile;
        if (of_tile >= w.rows) continue;
        ivec2 range = PICKED(keys, i);
        uint to = row_at(w.q_begin + row / G, PICKED(head, i)) * dim;
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            store4(BASE(DQ), to, 4 * (OX + OVER * c), range.x < range.y ? sum[i][c] * scale : vec4(0));
    }
}
