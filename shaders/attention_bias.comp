#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention_tile.glsl"

/* The gradient of the bias, of a tile of queries and one head: what scores gain, added up by column. An invocation owns
 * every 64th column, so that nothing is shared but the tile. */
shared float diagonals[2 * TILE];

void main()
{
    tuff_work w = work_of(gl_WorkGroupID.x);
    if (w.live == 0 || w.rows == 0) return;
    read_table();
    uint head = gl_WorkGroupID.y, kv_head = head / group, columns = uint(distances);
    F32 parts = ADDRESS(F32, PARTS);
    uint to = (gl_WorkGroupID.x * heads + head) * columns;
    for (uint r = LANE; r < columns; r += 64)
        parts.v[to + r] = 0;

    uint at[4], o_at[4];
    int position[4];
    ivec2 keys[4];
    vec2 stats[4];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint time = w.first + Y + 8 * i;
        bool live = Y + 8 * i < w.live;
        uint row = row_at(w.q_begin + time, head);
        at[i] = live ? query_at(w.q_begin + time, head) : NOWHERE;
        o_at[i] = row * dim;
        position[i] = w.start + int(time);
        keys[i] = live ? seen(w, position[i]) : ivec2(0);
        stats[i] = live ? stats_of(row) : vec2(0);
    }
    uvec2 span = seen_by_rows(w, 1);
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
            s[i] = score_of(s[i], uvec4(head), key - position[i]);
            if (DROPOUT) grown[i] *= kept(row_at(w.q_begin + w.first + Y + 8 * i, head), key0 / 4 + X);
            [[unroll]] for (uint j = 0; j < 4; j++)
                s[i][j] = key[j] >= keys[i].x && key[j] < keys[i].y
                              ? tuff_exp(s[i][j] - stats[i].x) * (grown[i][j] - stats[i].y)
                              : 0.0;
            weights[(Y + 8 * i) * PITCH + X] = s[i];
        }
        barrier();
        /* diagonal e: keys that are e - 31 further from the tile's first key than their queries from its first */
        if (LANE < 2 * TILE - 1) {
            float sum = 0;
            for (uint row = LANE < TILE ? TILE - 1 - LANE : 0; row < min(TILE, 2 * TILE - 1 - LANE); row++) {
                uint column = row + LANE - (TILE - 1);
                sum += weights[row * PITCH + column / 4][column % 4];
            }
            diagonals[LANE] = sum;
        }
        barrier();
        int nearest = int(key0) - (w.start + int(w.first)) - int(TILE - 1);
        for (uint e = 0; e < 2 * TILE - 1; e++) {
            uint r = distance_column(nearest + int(e));
            if (r % 64 == LANE) parts.v[to + r] += diagonals[e];
        }
    }
}
