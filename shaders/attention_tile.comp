#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention_tile.glsl"

/* Attention of a tile of rows: softmax as keys come by (Dao 2023). */
void main()
{
    tuff_work w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    read_table();
    uint kv_head = gl_WorkGroupID.y, G = group;

    /* of rows y + 8 i: this invocation's, and those that it loads */
    uint at[4], head[4];
    int position[4];
    ivec2 keys[4];
    vec4 sum[4][COLUMNS];
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint row = w.first + Y + 8 * i, time = row / G;
        bool live = Y + 8 * i < w.live;
        head[i] = kv_head * G + row % G;
        at[i] = live ? query_at(w.q_begin + time, head[i]) : NOWHERE;
        position[i] = w.start + int(time);
        keys[i] = live ? seen(w, position[i]) : ivec2(0);
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            sum[i][c] = vec4(0);
    }
    vec4 top = vec4(LOWEST), total = vec4(0);
    uvec2 span = seen_by_rows(w, G);
    [[dont_unroll]] for (uint key0 = span.x / TILE * TILE; key0 < span.y; key0 += TILE) {
        vec4 s[4], high = top;
        ivec4 key = int(key0 + 4 * X) + ivec4(0, 1, 2, 3);
#define QUERY(n, d) (at[n] != NOWHERE ? scale * load4(q_base, at[n], d) : vec4(0))
#define KEY(n, d)   (key0 + 4 * Y + n < w.kv_len ? load4_stored(k_base, key_at(w, key0 + 4 * Y + n, kv_head), d) : vec4(0))
        PRODUCTS(s, QUERY, KEY)
        [[unroll]] for (uint i = 0; i < 4; i++) {
            s[i] = score_of(s[i], uvec4(head[i]), key - position[i]);
            [[unroll]] for (uint j = 0; j < 4; j++)
                high[i] = s[i][j] > high[i] && key[j] >= keys[i].x && key[j] < keys[i].y ? s[i][j] : high[i];
        }
        shares[8 * X + Y] = high;
        barrier();
        [[unroll]] for (uint x = 0; x < 8; x++)
            high = max(high, shares[8 * x + Y]);
        vec4 shrink = tuff_exp(top - high);
        top = high;
        [[unroll]] for (uint i = 0; i < 4; i++) {
            /* one after the other: all at once take twice the registers */
            [[unroll]] for (uint j = 0; j < 4; j++)
                s[i][j] = key[j] >= keys[i].x && key[j] < keys[i].y ? tuff_exp(s[i][j] - high[i]) : 0.0;
            total[i] = total[i] * shrink[i] + ((s[i].x + s[i].y) + (s[i].z + s[i].w));
            if (DROPOUT) s[i] *= kept(row_at(w.q_begin + (w.first + Y + 8 * i) / G, head[i]), key0 / 4 + X);
            weights[(Y + 8 * i) * PITCH + X] = s[i];
            [[unroll]] for (uint c = 0; c < COLUMNS; c++)
                sum[i][c] *= shrink[i];
        }
#define VALUE(j, d) (key0 + j < w.kv_len ? load4_stored(v_base, value_at(w, key0 + j, kv_head), d) : vec4(0))
        ADD_UP(sum, VALUE)
    }
    shares[8 * X + Y] = total;
    barrier();
    total = vec4(0);
    [[unroll]] for (uint x = 0; x < 8; x++)
        total += shares[8 * x + Y];

    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint row = w.first + Y + 8 * i;
        if (Y + 8 * i >= w.rows) continue;
        bool any = keys[i].x < keys[i].y;
        vec2 lse = vec2(top[i], total[i]);
        float factor = finish(lse, head[i], at[i] != NOWHERE, any);
        uint to = row_at(w.q_begin + row / G, head[i]);
        [[unroll]] for (uint c = 0; c < COLUMNS; c++)
            store4(BASE(O), to * dim, 4 * (X + 8 * c), any ? sum[i][c] * factor : vec4(0));
        if (X == 0) ADDRESS(F32, LSE).v[to] = lse.x;
    }
}
