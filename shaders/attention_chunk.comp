#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/attention.glsl"

/* The few queries of a segment, as in decoding, against one chunk of its keys: a maximum, a sum and a weighted sum of
 * values for each, which attention_join.comp puts together. Invocations are keys while scores are made, and elements of
 * the head while values are added up; the order of both is that of the keys, however many rows there are. */
layout(local_size_x = 64) in;
layout(constant_id = 2) const uint ROWS = 1; /* at a time, at most 8 */

const uint KEYS = 64, MOST_DIM = 256;
/* vec4 of a head, of which an invocation has one; with a small head several share it, each taking some of the keys */
const uint ACROSS = DIM <= 32 ? 8 : DIM <= 64 ? 16 : DIM <= 128 ? 32 : 64;

shared vec4 query[ROWS * MOST_DIM / 4];
shared vec4 scores[ROWS * KEYS / 4], weights[ROWS * KEYS / 4];
shared vec4 part[64];

void main()
{
    tuff_work w = work_of(gl_WorkGroupID.x);
    if (w.rows == 0) return;
    read_table();
    uint lane = gl_LocalInvocationID.x, kv_head = gl_WorkGroupID.y, row0 = gl_WorkGroupID.z * ROWS;
    uint G = group, live = w.q_len * G;
    if (row0 >= live) return;
    for (uint e = lane; e < ROWS * (DIM / 4); e += 64) {
        uint row = row0 + e / (DIM / 4);
        query[e] = row < live ? scale * load4(q_base, query_at(w.q_begin + row / G, kv_head * G + row % G), 4 * (e % (DIM / 4)))
                              : vec4(0);
    }
    uint mine = lane / ACROSS, column = lane % ACROSS;
    vec4 sum[ROWS];
    float top[ROWS], total[ROWS];
    uint head[ROWS];
    int position[ROWS];
    ivec2 keys[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        sum[r] = vec4(0);
        top[r] = LOWEST;
        total[r] = 0;
        uint row = row0 + r;
        head[r] = kv_head * G + row % G;
        position[r] = w.start + int(row / G);
        keys[r] = row < live ? seen(w, position[r]) : ivec2(0);
    }
    uint end = w.first + w.rows;
    for (uint key0 = w.first; key0 < end; key0 += KEYS) {
        uint key = key0 + lane, at = key_at(w, min(key, end - 1), kv_head);
        float score[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++)
            score[r] = 0;
        if (key0 == w.first) barrier(); /* the queries are there */
        for (uint d = 0; d < DIM; d += 4) {
            vec4 x = load4_stored(k_base, at, d);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                vec4 y = query[r * (DIM / 4) + d / 4];
                [[unroll]] for (uint c = 0; c < 4; c++)
                    score[r] += y[c] * x[c];
            }
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            bool visible = int(key) >= keys[r].x && int(key) < min(keys[r].y, int(end));
            score[r] = score_of(score[r], head[r], int(key) - position[r]);
            /* a NaN is no maximum, but what is made of it below */
            scores[(r * KEYS + lane) / 4][lane % 4] = visible && score[r] > LOWEST ? score[r] : LOWEST;
            if (!visible) score[r] = uintBitsToFloat(0xff800000u);
        }
        barrier();
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            vec4 high = vec4(top[r]);
            for (uint j = 0; j < KEYS / 4; j++)
                high = max(high, scores[r * KEYS / 4 + j]);
            float most = max(max(high.x, high.y), max(high.z, high.w)), shrink = tuff_exp(top[r] - most);
            float weight = tuff_exp(score[r] - most);
            weights[(r * KEYS + lane) / 4][lane % 4] = weight;
            total[r] = total[r] * shrink + weight;
            sum[r] *= shrink;
            top[r] = most;
        }
        barrier();
        if (4 * column < dim)
            for (uint j = mine; j < KEYS && key0 + j < end; j += 64 / ACROSS) {
                vec4 x = load4_stored(v_base, value_at(w, key0 + j, kv_head), 4 * column);
                [[unroll]] for (uint r = 0; r < ROWS; r++)
                    sum[r] += weights[(r * KEYS + j) / 4][j % 4] * x;
            }
    }
    /* what invocations have apart, in the order of invocations */
    uint rows = WORD(PART_ROWS);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        if (row0 + r >= live) break;
        uint to = ((gl_WorkGroupID.x * (heads / G) + kv_head) * rows + row0 + r) * (dim + 2);
        barrier();
        part[lane] = sum[r];
        barrier();
        vec4 all = vec4(0);
        for (uint p = column; p < 64; p += ACROSS)
            all += part[p];
        F32 parts = ADDRESS(F32, PARTS);
        [[unroll]] for (uint c = 0; c < 4; c++)
            if (mine == 0 && 4 * column + c < dim) parts.v[to + 4 * column + c] = all[c];
        barrier();
        part[lane].x = total[r];
        barrier();
        float totals = 0;
        for (uint p = 0; p < 64; p++)
            totals += part[p].x;
        if (lane == 0) {
            parts.v[to + dim] = top[r];
            parts.v[to + dim + 1] = totals;
        }
    }
}
