#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention_tile.glsl"

/* The gradients of k and v. Rows are keys; columns are the queries that may see them, by time and then by head of the
 * group. */
tuff_work w;
uint kv_head;
uint time0, head0; /* of the tile's first query */
uint last;         /* what is past this column is it again, and sees nothing */

/* How many times further a row is that is so many behind head 0 of a time: a division is slow. */
float of_group;
uint times_of(uint row)
{
    return uint((float(row) + 0.5) * of_group);
}

uvec2 query_of(uint column) /* token, head */
{
    uint row = head0 + min(column, last), times = times_of(row);
    return uvec2(w.q_begin + time0 + times, kv_head * group + row - times * group);
}

uint loaded_key(uint n)
{
    return w.first + min(n, w.live - 1);
}

void main()
{
    w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    read_table();
    kv_head = gl_WorkGroupID.y;
    of_group = 1.0 / float(group);

    vec4 dk[SUMS][COLUMNS], dv[SUMS][COLUMNS];
    [[unroll]] for (uint i = 0; i < SUMS; i++)
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            dk[i][c] = dv[i][c] = vec4(0);
    bool busy = 4 * Y < w.live;
    uint key0 = w.first + 4 * Y;
    uvec2 seers = w.live == 0 ? uvec2(0) : uvec2(seen_by(w, int(w.first), int(w.first + w.live) - 1));
    time0 = seers.x;
    head0 = 0;
    [[dont_unroll]] for (uint left_over = (seers.y - seers.x) * group; left_over > 0;
                         left_over -= min(left_over, TILE)) {
        last = left_over - 1;
        vec4 s[4], grown[4];
#define WHOLE_D_O(j, d)   load4(d_o_base, row_at(query_of(j).x, query_of(j).y) * dim, d)
#define WHOLE_QUERY(j, d) load4(q_base, query_at(query_of(j).x, query_of(j).y), d)
#define VALUE(n, d)       load4(v_base, value_at(w, loaded_key(LOADED(n)), kv_head), d)
#define D_O(n, d)         WHOLE_D_O(LOADED(n), d)
        PRODUCTS(grown, VALUE, D_O, busy)
        SET_ASIDE(grown)
#define KEY(n, d)   scale * load4(k_base, key_at(w, loaded_key(LOADED(n)), kv_head), d)
#define QUERY(n, d) WHOLE_QUERY(LOADED(n), d)
        PRODUCTS(s, KEY, QUERY, busy)
        TAKE_BACK(grown)
        [[unroll]] for (uint j = 0; j < 4; j++) {
            uvec2 query = query_of(4 * X + j);
            uint row = row_at(query.x, query.y);
            int position = w.start + int(query.x - w.q_begin);
            vec2 stats = stats_of(row);
            uint reach = 4 * X + j <= last ? reach_of(position) : NOT_SEEN;
            bvec4 drops = bvec4(false);
            if (DROPOUT) drops = dropped(row, key0 / 4);
            [[unroll]] for (uint i = 0; i < 4; i++) {
                bool visible = is_seen(key0 + i, reach);
                float slope = slope_of(s[i][j]), score = score_of(s[i][j], query.y, int(key0 + i) - position);
                float weight = tuff_exp(visible ? score - stats.x : LOWEST), keeps = 1;
                if (DROPOUT) keeps = drops[i] ? 0.0 : drop_factor;
                s[i][j] = weight * keeps;
                grown[i][j] = visible ? weight * (grown[i][j] * keeps - stats.y) * slope : 0.0;
            }
        }
        SET_ASIDE(s)
        ADD_UP(dv, WHOLE_D_O, left_over, busy)
        barrier(); /* the weights of v are read */
        SET_ASIDE(grown)
        ADD_UP(dk, WHOLE_QUERY, left_over, busy)
        uint next = head0 + TILE, times = times_of(next);
        time0 += times;
        head0 = next - times * group;
    }
    [[unroll]] for (uint i = 0; i < SUMS; i++) {
        uint of_tile = 4 * Y + SUMMED(i);
        if (of_tile >= w.rows) continue;
        bool live = of_tile < w.live;
        uint to = (key_row(w, w.first + of_tile) * (heads / group) + kv_head) * dim;
        [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
            store4(BASE(DK), to, 4 * (OX + OVER * c), live ? dk[i][c] * scale : vec4(0));
            store4(BASE(DV), to, 4 * (OX + OVER * c), live ? dv[i][c] : vec4(0));
        }
    }
}
