#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention_tile.glsl"

/* The gradient of the bias, of a tile of queries and one head: what scores gain, added up by column. An invocation owns
 * some of the columns, so that nothing is shared but the tile. */
void main()
{
    tuff_work w = work_of(gl_WorkGroupID.x);
    if (w.live == 0 || w.rows == 0) return;
    read_table();
    uint head = gl_WorkGroupID.y, kv_head = head / group, columns = uint(distances);
    F32 parts = ADDRESS(F32, PARTS);
    uint to = (gl_WorkGroupID.x * heads + head) * columns;
    for (uint r = LANE; r < columns; r += LANES)
        parts.v[to + r] = 0;

    uint at[LOADS], o_at[LOADS];
    int position[4];
    ivec2 keys[4];
    vec2 stats[4];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint time = w.first + 4 * Y + i;
        bool live = 4 * Y + i < w.live;
        position[i] = w.start + int(time);
        keys[i] = live ? seen(w, position[i]) : ivec2(0);
        stats[i] = live ? stats_of(row_at(w.q_begin + time, head)) : vec2(0);
    }
    [[unroll]] for (uint n = 0; n < LOADS; n++) {
        uint token = w.q_begin + w.first + min(LOADED(n), w.live - 1);
        at[n] = query_at(token, head);
        o_at[n] = row_at(token, head) * dim;
    }
    bool busy = 4 * Y < w.live;
    uvec2 span = seen_by_rows(w, 1);
    [[dont_unroll]] for (uint key0 = span.x / TILE * TILE; key0 < span.y; key0 += TILE) {
        vec4 s[4], grown[4];
        uint k_at[LOADS], v_at[LOADS];
        [[unroll]] for (uint n = 0; n < LOADS; n++) {
            k_at[n] = key_at(w, min(key0 + LOADED(n), w.kv_len - 1), kv_head);
            v_at[n] = value_at(w, min(key0 + LOADED(n), w.kv_len - 1), kv_head);
        }
#define QUERY(n, d) scale * load4(q_base, at[n], d)
#define KEY(n, d)   load4(k_base, k_at[n], d)
        PRODUCTS(s, QUERY, KEY, busy)
#define D_O(n, d)   load4(d_o_base, o_at[n], d)
#define VALUE(n, d) load4(v_base, v_at[n], d)
        PRODUCTS(grown, D_O, VALUE, busy)
        ivec4 key = int(key0 + 4 * X) + ivec4(0, 1, 2, 3);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            s[i] = score_of(s[i], uvec4(head), key - position[i]);
            if (DROPOUT) grown[i] *= kept(row_at(w.q_begin + w.first + 4 * Y + i, head), key0 / 4 + X);
            [[unroll]] for (uint j = 0; j < 4; j++)
                s[i][j] = key[j] >= keys[i].x && key[j] < keys[i].y
                              ? tuff_exp(s[i][j] - stats[i].x) * (grown[i][j] - stats[i].y)
                              : 0.0;
        }
        SET_ASIDE(s)
        barrier();
        /* diagonal e: keys that are e - (TILE - 1) further from the tile's first key than their queries from its first;
         * the room holds their sums */
        if (LANE < 2 * TILE - 1) {
            float sum = 0;
            for (uint row = LANE < TILE ? TILE - 1 - LANE : 0; row < min(TILE, 2 * TILE - 1 - LANE); row++) {
                uint column = row + LANE - (TILE - 1);
                sum += weights[row * ACROSS + column / 4][column % 4];
            }
            room[LANE].x = sum;
        }
        barrier();
        int nearest = int(key0) - (w.start + int(w.first)) - int(TILE - 1);
        for (uint e = 0; e < 2 * TILE - 1; e++) {
            uint r = distance_column(nearest + int(e));
            if (r % LANES == LANE) parts.v[to + r] += room[e].x;
        }
    }
}
