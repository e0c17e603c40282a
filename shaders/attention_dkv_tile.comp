#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention_tile.glsl"

/* The gradients of k (with TUFF_DK) and v (with TUFF_DV): both where registers hold both. Rows are keys; columns are the
 * queries that may see them, by time and then by head of the group. */
/* Which of a tile's probabilities stay: bits of 16 keys and one query, word 2 * query + (keys' half). */
shared uint stays[2 * TILE];

void draw(uint row, uint first_key)
{
    uint bits = 0;
    [[dont_unroll]] for (uint four = 0; four < 4; four++) {
        bvec4 gone = dropped(row, first_key / 4 + four);
        [[unroll]] for (uint c = 0; c < 4; c++)
            bits |= gone[c] ? 0u : 1u << (4 * four + c);
    }
    stays[LANE] = bits;
}

/* What row y + 8 i and column 4 x + j of the tile are multiplied with. */
vec4 kept_of(uint i)
{
    vec4 y;
    [[unroll]] for (uint j = 0; j < 4; j++)
        y[j] = (stays[2 * (4 * X + j) + i / 2] >> (Y + 8 * (i % 2)) & 1) != 0 ? drop_factor : 0.0;
    return y;
}

void main()
{
    tuff_work w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    read_table();
    uint kv_head = gl_WorkGroupID.y, G = group;

#if TUFF_DK
    vec4 dk[4][COLUMNS];
#endif
#if TUFF_DV
    vec4 dv[4][COLUMNS];
#endif
    [[unroll]] for (uint i = 0; i < 4; i++)
        [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
#if TUFF_DK
            dk[i][c] = vec4(0);
#endif
#if TUFF_DV
            dv[i][c] = vec4(0);
#endif
        }
    uvec2 times = w.live == 0 ? uvec2(0) : uvec2(seen_by(w, int(w.first), int(w.first + w.live) - 1));
    [[dont_unroll]] for (uint row0 = times.x * G; row0 < times.y * G; row0 += TILE) {
        /* what this invocation loads: queries row0 + 4 y + n; what it has scores of: queries row0 + 4 x + j */
        uint at[4], o_at[4];
        [[unroll]] for (uint n = 0; n < 4; n++) {
            uint row = row0 + 4 * Y + n, token = w.q_begin + row / G, head = kv_head * G + row % G;
            at[n] = row < times.y * G ? query_at(token, head) : NOWHERE;
            o_at[n] = row_at(token, head) * dim;
        }
        if (DROPOUT) {
            uint row = min(row0 + LANE / 2, times.y * G - 1);
            draw(row_at(w.q_begin + row / G, kv_head * G + row % G), w.first + 16 * (LANE % 2));
        }
        vec4 s[4];
#define KEY(n, d)   (Y + 8 * n < w.live ? scale * load4(k_base, key_at(w, w.first + Y + 8 * n, kv_head), d) : vec4(0))
#define QUERY(n, d) (at[n] != NOWHERE ? load4(q_base, at[n], d) : vec4(0))
        PRODUCTS(s, KEY, QUERY)
#if TUFF_DK
        vec4 grown[4];
#define VALUE(n, d) (Y + 8 * n < w.live ? load4(v_base, value_at(w, w.first + Y + 8 * n, kv_head), d) : vec4(0))
#define D_O(n, d)   (at[n] != NOWHERE ? load4(d_o_base, o_at[n], d) : vec4(0))
        PRODUCTS(grown, VALUE, D_O)
#endif
        vec4 lse, delta;
        uvec4 head;
        ivec4 position, begin, end;
        [[unroll]] for (uint j = 0; j < 4; j++) {
            /* of a row past the end the last one's, without a branch: nothing is seen of it, and SwiftShader takes
             * hours to optimize loads in branches here */
            uint row = min(row0 + 4 * X + j, times.y * G - 1), time = row / G;
            bool live = row0 + 4 * X + j < times.y * G;
            head[j] = kv_head * G + row % G;
            vec2 stats = stats_of(row_at(w.q_begin + time, head[j]));
            lse[j] = stats.x;
            delta[j] = stats.y;
            position[j] = w.start + int(time);
            ivec2 keys = live ? seen(w, position[j]) : ivec2(0);
            begin[j] = keys.x;
            end[j] = keys.y;
        }
        [[unroll]] for (uint i = 0; i < 4; i++) {
            int key = int(w.first + Y + 8 * i);
            vec4 slope = slope_of(s[i]);
            s[i] = score_of(s[i], head, key - position);
            [[unroll]] for (uint j = 0; j < 4; j++)
                s[i][j] = key >= begin[j] && key < end[j] ? tuff_exp(s[i][j] - lse[j]) : 0.0;
#if TUFF_DK
            if (DROPOUT) grown[i] *= kept_of(i);
            [[unroll]] for (uint j = 0; j < 4; j++)
                grown[i][j] = mix(0.0, s[i][j] * (grown[i][j] - delta[j]) * slope[j], key >= begin[j] && key < end[j]);
#endif
#if TUFF_DV
            if (DROPOUT) s[i] *= kept_of(i);
#endif
        }
#if TUFF_DV
        [[unroll]] for (uint i = 0; i < 4; i++)
            weights[(Y + 8 * i) * PITCH + X] = s[i];
#define WHOLE_D_O(j, d)                                                                                                \
    (row0 + j < times.y * G ? load4(d_o_base, row_at(w.q_begin + (row0 + j) / G, kv_head * G + (row0 + j) % G) * dim, d) \
                            : vec4(0))
        ADD_UP(dv, WHOLE_D_O)
        barrier(); /* the weights' readers are done */
#endif
#if TUFF_DK
        [[unroll]] for (uint i = 0; i < 4; i++)
            weights[(Y + 8 * i) * PITCH + X] = grown[i];
#define WHOLE_QUERY(j, d)                                                                                              \
    (row0 + j < times.y * G ? load4(q_base, query_at(w.q_begin + (row0 + j) / G, kv_head * G + (row0 + j) % G), d) : vec4(0))
        ADD_UP(dk, WHOLE_QUERY)
#endif
    }
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (Y + 8 * i >= w.rows) continue;
        bool live = Y + 8 * i < w.live;
        uint to = (key_row(w, w.first + Y + 8 * i) * (heads / G) + kv_head) * dim;
        [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
#if TUFF_DK
            store4(BASE(DK), to, 4 * (X + 8 * c), live ? dk[i][c] * scale : vec4(0));
#endif
#if TUFF_DV
            store4(BASE(DV), to, 4 * (X + 8 * c), live ? dv[i][c] : vec4(0));
#endif
        }
    }
}
