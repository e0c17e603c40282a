#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention_tile.glsl"

#define UNSEEN_SCORE uintBitsToFloat(0xff800000u) /* its probability is 0, whatever the maximum */

/* Attention of a tile of rows: softmax as keys come by (Dao 2023). */
void main()
{
    tuff_work w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    read_table();
    uint kv_head = gl_WorkGroupID.y, G = group;

    /* of this invocation's rows, and of those that it loads */
    uint head[4], at[LOADS];
    int position[4];
    ivec2 keys[4];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint row = w.first + 4 * Y + i, time = row / G;
        head[i] = kv_head * G + row % G;
        position[i] = w.start + int(time);
        keys[i] = 4 * Y + i < w.live ? seen(w, position[i]) : ivec2(0);
    }
    /* what is past the last row or key is the last one again, and seen by none */
    [[unroll]] for (uint n = 0; n < LOADS; n++) {
        uint row = w.first + min(LOADED(n), max(w.live, 1) - 1);
        at[n] = query_at(w.q_begin + row / G, kv_head * G + row % G);
    }
    vec4 sum[SUMS][COLUMNS], top = vec4(LOWEST), total = vec4(0);
    [[unroll]] for (uint i = 0; i < SUMS; i++)
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            sum[i][c] = vec4(0);
    bool busy = 4 * Y < w.live;
    uvec2 span = seen_by_rows(w, G);
    [[dont_unroll]] for (uint key0 = span.x / TILE * TILE; key0 < span.y; key0 += TILE) {
        vec4 s[4], high = top;
        uint k_at[LOADS];
        [[unroll]] for (uint n = 0; n < LOADS; n++)
            k_at[n] = key_at(w, min(key0 + LOADED(n), w.kv_len - 1), kv_head);
#define QUERY(n, d) scale * load4(q_base, at[n], d)
#define KEY(n, d)   load4_stored(k_base, k_at[n], d)
        PRODUCTS(s, QUERY, KEY, busy)
        ivec4 key = int(key0 + 4 * X) + ivec4(0, 1, 2, 3);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            s[i] = score_of(s[i], uvec4(head[i]), key - position[i]);
            [[unroll]] for (uint j = 0; j < 4; j++) {
                s[i][j] = key[j] >= keys[i].x && key[j] < keys[i].y ? s[i][j] : UNSEEN_SCORE;
                high[i] = s[i][j] > high[i] ? s[i][j] : high[i]; /* a NaN is no maximum, but what is made of it */
            }
        }
        weights[LANE] = high;
        barrier();
        [[unroll]] for (uint x = 0; x < ACROSS; x++)
            high = max(high, weights[Y * ACROSS + x]);
        barrier();
        vec4 shrink = tuff_exp(top - high);
        top = high;
        [[unroll]] for (uint i = 0; i < 4; i++) {
            [[unroll]] for (uint j = 0; j < 4; j++)
                s[i][j] = tuff_exp(s[i][j] - high[i]);
            total[i] = total[i] * shrink[i] + ((s[i].x + s[i].y) + (s[i].z + s[i].w));
            if (DROPOUT) s[i] *= kept(row_at(w.q_begin + (w.first + 4 * Y + i) / G, head[i]), key0 / 4 + X);
        }
        SET_ASIDE(s)
        [[unroll]] for (uint i = 0; i < SUMS; i++)
            [[unroll]] for (uint c = 0; c < COLUMNS; c++)
                sum[i][c] *= PICKED(shrink, i);
#define VALUE(j, d) load4_stored(v_base, value_at(w, min(key0 + j, w.kv_len - 1), kv_head), d)
        ADD_UP(sum, VALUE, span.y - key0, busy)
    }
    barrier();
    weights[LANE] = total;
    barrier();
    total = vec4(0);
    [[unroll]] for (uint x = 0; x < ACROSS; x++)
        total += weights[Y * ACROSS + x];

    [[unroll]] for (uint i = 0; i < SUMS; i++) {
        uint of_tile = 4 * Y + SUMMED(i), row = w.first + of_tile;
        if (of_tile >= w.rows) continue;
        ivec2 range = PICKED(keys, i);
        bool any = range.x < range.y;
        vec2 lse = vec2(PICKED(top, i), PICKED(total, i));
        float factor = finish(lse, PICKED(head, i), of_tile < w.live, any);
        uint to = row_at(w.q_begin + row / G, PICKED(head, i));
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            store4(BASE(O), to * dim, 4 * (OX + OVER * c), any ? sum[i][c] * factor : vec4(0));
        if (OX == 0) ADDRESS(F32, LSE).v[to] = lse.x;
    }
}
