/* What the kernels of attention share: their table and list, which keys a row sees, scores, rows of operands. */
#include "shaders/lib/common.glsl"
#include "shaders/lib/half.glsl"
#include "shaders/lib/math.glsl"

layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Words {
    uint v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) buffer F32x4 {
    vec4 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer U32x2 {
    uvec2 v[];
};

#include "shaders/args/attention.h"
#include "shaders/lib/philox.glsl"

TUFF_ARGS(tuff_attention_args);

layout(constant_id = 0) const uint DIM = 64; /* the head dim, rounded up to a multiple of 32 */
layout(constant_id = 1) const uint FEATURES = 0;

const bool SOFTCAP = (FEATURES & TUFF_ATTENTION_SOFTCAP) != 0, HALF = (FEATURES & TUFF_ATTENTION_HALF) != 0;
const bool WIDE = (FEATURES & TUFF_ATTENTION_WIDE) != 0, DROPOUT = (FEATURES & TUFF_ATTENTION_DROPOUT) != 0;
const bool BIAS = (FEATURES & TUFF_ATTENTION_BIASED) != 0, EXACT = (FEATURES & TUFF_ATTENTION_EXACT) != 0;

const float LOWEST = -3.402823466e38; /* below every score, so that only an infinite one gives NaN */
#define UNSEEN uintBitsToFloat(0x7f800000u) /* the log-sum-exp of a row that sees nothing: its probabilities are 0 */

#define NOWHERE 0xffffffffu

#define WORD(name)          a.table.v[TUFF_ATTENTION_##name##_AT]
#define ADDRESS(type, name) TUFF_ADDRESS_AT(type, a.table, TUFF_ATTENTION_##name##_AT)
#define BASE(name)          uvec2(WORD(name), a.table.v[TUFF_ATTENTION_##name##_AT + 1])
#define ENTRY(i, word)      int(a.list.v[(i) * TUFF_ATTENTION_ENTRY + (word)])

/* What loops use of the table, read once: to a device that is a CPU a load is a load. */
uint dim, heads, group;
int left, right, zero, distances;
float scale, softcap;
uint q_token, q_head, k_token, k_head, v_token, v_head, k_odd, v_odd;
uvec2 q_base, k_base, v_base, d_o_base, stats_base, bias_base;
uvec3 drop_seed; /* and the step */
uint drop_threshold, drop_stream;
float drop_factor;

void read_table()
{
    dim = WORD(DIM);
    heads = WORD(HEADS);
    group = WORD(GROUP);
    left = int(WORD(LEFT));
    right = int(WORD(RIGHT));
    zero = int(WORD(ZERO));
    distances = int(WORD(DISTANCES));
    scale = uintBitsToFloat(WORD(SCALE));
    softcap = uintBitsToFloat(WORD(SOFTCAP));
    q_token = a.table.v[TUFF_ATTENTION_STRIDES_AT];
    q_head = a.table.v[TUFF_ATTENTION_STRIDES_AT + 1];
    k_token = a.table.v[TUFF_ATTENTION_STRIDES_AT + 2];
    k_head = a.table.v[TUFF_ATTENTION_STRIDES_AT + 3];
    v_token = a.table.v[TUFF_ATTENTION_STRIDES_AT + 4];
    v_head = a.table.v[TUFF_ATTENTION_STRIDES_AT + 5];
    k_odd = HALF ? WORD(K_ODD) : 0;
    v_odd = HALF ? WORD(V_ODD) : 0;
    q_base = BASE(Q);
    k_base = BASE(K);
    v_base = BASE(V);
    d_o_base = BASE(D_O);
    stats_base = BASE(STATS);
    bias_base = BASE(BIAS);
    if (DROPOUT) {
        Words seed = ADDRESS(Words, SEED);
        drop_seed = uvec3(seed.v[0], seed.v[1], seed.v[2]);
        drop_threshold = a.table.v[TUFF_ATTENTION_DROP_AT];
        drop_stream = a.table.v[TUFF_ATTENTION_DROP_AT + 1];
        drop_factor = uintBitsToFloat(a.table.v[TUFF_ATTENTION_DROP_AT + 2]);
    }
}

/* Whether the probabilities of a row of [N, Hq] and keys 4 * four to 4 * four + 3 of its segment are dropped, and what they
 * are multiplied with. */
bvec4 dropped(uint row, uint four)
{
    return lessThan(tuff_philox(uvec4(four, row, drop_seed.z, drop_stream), drop_seed.xy), uvec4(drop_threshold));
}
vec4 kept(uint row, uint four)
{
    return mix(vec4(drop_factor), vec4(0), dropped(row, four));
}

struct tuff_work {
    uint first, rows, live, q_begin;
    int start; /* the position of the segment's first query among its keys */
    uint kv_begin, kv_len, q_len;
};

tuff_work work_of(uint i)
{
    tuff_work w;
    w.first = ENTRY(i, TUFF_TILE_FIRST);
    w.rows = ENTRY(i, TUFF_TILE_ROWS);
    w.live = ENTRY(i, TUFF_TILE_LIVE);
    w.q_begin = ENTRY(i, TUFF_TILE_Q_BEGIN);
    w.q_len = ENTRY(i, TUFF_TILE_Q_LEN);
    w.kv_begin = ENTRY(i, TUFF_TILE_KV_BEGIN);
    w.kv_len = ENTRY(i, TUFF_TILE_KV_LEN);
    w.start = int(w.kv_len) - int(w.q_len);
    return w;
}

/* Where key `key` of a segment lies. */
uint key_row(tuff_work w, uint key)
{
    return w.kv_begin + key;
}

/* The keys that a query at `position` sees: x up to, not including, y. */
ivec2 seen(tuff_work w, int position)
{
    int begin = 0, end = int(w.kv_len);
    if (right >= 0) end = clamp(position + right + 1, 0, end);
    if (left >= 0) begin = clamp(position - left, 0, int(w.kv_len));
    return ivec2(begin, end);
}

/* Whether a query sees one of its segment's keys; its reach is reach_of(position), or NOT_SEEN where there is none. */
#define NOT_SEEN 0xc0000000u
uint reach_of(int position)
{
    return uint((left < 0 ? 1 << 30 : left) - position);
}
bool is_seen(uint key, uint reach)
{
    return key + reach <= uint(left < 0 ? 1 << 30 : left) + uint(right < 0 ? 1 << 30 : right);
}

/* Keys that some row of a tile sees: positions ascend with the rows, `rows` of each, and so do the bounds. */
uvec2 seen_by_rows(tuff_work w, uint rows)
{
    if (w.live == 0) return uvec2(0);
    return uvec2(seen(w, w.start + int(w.first / rows)).x, seen(w, w.start + int((w.first + w.live - 1) / rows)).y);
}

/* The queries that see some of the keys first to last: x up to, not including, y. */
ivec2 seen_by(tuff_work w, int first, int last)
{
    int begin = 0, end = int(w.q_len);
    if (right >= 0) begin = clamp(first - right - w.start, 0, end);
    if (left >= 0) end = clamp(last + left - w.start + 1, begin, end);
    return ivec2(begin, end);
}

/* The column of the bias of a key `distance` after a query. */
uint distance_column(int distance)
{
    return uint(clamp(distance + zero, 0, distances - 1));
}
uint bias_at(uint head, int distance)
{
    return head * uint(distances) + distance_column(distance);
}

/* From the scaled products of queries and keys `distance` after them to their scores. */
#define CAPPED_OF(FLOAT)                                                                                               \
    FLOAT capped(FLOAT product)                                                                                        \
    {                                                                                                                  \
        if (SOFTCAP) product = softcap * tuff_tanh(product / softcap);                                                 \
        return product;                                                                                                \
    }
CAPPED_OF(float)
CAPPED_OF(vec4)

float score_of(float product, uint head, int distance)
{
    float score = capped(product);
    if (BIAS) score += F32(bias_base).v[bias_at(head, distance)];
    return score;
}
vec4 score_of(vec4 product, uvec4 head, ivec4 distance)
{
    vec4 score = capped(product);
    if (BIAS)
        [[unroll]] for (uint c = 0; c < 4; c++)
            score[c] += F32(bias_base).v[bias_at(head[c], distance[c])];
    return score;
}

/* The derivative of that by the products. */
#define SLOPE_OF(FLOAT)                                                                                                \
    FLOAT slope_of(FLOAT product)                                                                                      \
    {                                                                                                                  \
        FLOAT t = FLOAT(0.0);                                                                                          \
        if (SOFTCAP) t = tuff_tanh(product / softcap);                                                                 \
        return 1.0 - t * t;                                                                                            \
    }
SLOPE_OF(float)
SLOPE_OF(vec4)

/* Ends a row: the maximum and the sum of its scores, as in log_sum_exp.glsl, become the log-sum-exp in x. Returns the
 * factor of the values summed so far. `live`: the row is a query; `any`: it sees a key. */
float finish(inout vec2 lse, uint head, bool live, bool any)
{
    float factor = 1.0;
    if (WORD(SINKING) != 0 && live) {
        float sink = ADDRESS(F32, SINKS).v[head], most = sink > lse.x ? sink : lse.x;
        factor = tuff_exp(lse.x - most);
        lse = vec2(most, lse.y * factor + tuff_exp(sink - most));
        any = true;
    }
    factor /= lse.y;
    lse.x = any ? lse.x + tuff_log(lse.y) : UNSEEN;
    return factor;
}

/* Elements d to d + 3, zeros past the head dim, of the vector at element `at`; d is a multiple of 4. */
vec4 load4(uvec2 base, uint at, uint d)
{
    vec4 y;
    if (WIDE && EXACT) return F32x4(base).v[(at + d) >> 2];
    if (WIDE) {
        y = F32x4(base).v[(at + min(d, dim - 4)) >> 2];
        return d < dim ? y : vec4(0);
    }
    [[unroll]] for (uint c = 0; c < 4; c++)
        y[c] = F32(base).v[at + min(d + c, dim - 1)];
    return mix(vec4(0), y, lessThan(d + uvec4(0, 1, 2, 3), uvec4(dim)));
}

/* The same from f16, where HALF. */
vec4 load4_stored(uvec2 base, uint at, uint d)
{
    uvec4 y = uvec4(0);
    if (HALF && WIDE) {
        uvec2 two = U32x2(base).v[(at + (EXACT ? d : min(d, dim - 4))) >> 2];
        if (!EXACT && d >= dim) two = uvec2(0);
        y = uvec4(two.x & 0xffffu, two.x >> 16, two.y & 0xffffu, two.y >> 16);
    }
    if (HALF && !WIDE) {
        [[unroll]] for (uint c = 0; c < 4; c++) {
            uint e = at + min(d + c, dim - 1);
            y[c] = (U32(base).v[e >> 1] >> (16 * (e & 1))) & 0xffffu;
        }
        y = mix(uvec4(0), y, lessThan(d + uvec4(0, 1, 2, 3), uvec4(dim)));
    }
    return HALF ? tuff_half_to_float(y) : load4(base, at, d);
}

void store4(uvec2 base, uint at, uint d, vec4 y)
{
    if (WIDE) {
        if (EXACT || d < dim) F32x4(base).v[(at + d) >> 2] = y;
        return;
    }
    [[unroll]] for (uint c = 0; c < 4; c++)
        if (d + c < dim) F32(base).v[at + d + c] = y[c];
}

uint key_at(tuff_work w, uint key, uint kv_head)
{
    return key_row(w, key) * k_token + kv_head * k_head + k_odd;
}
uint value_at(tuff_work w, uint key, uint kv_head)
{
    return key_row(w, key) * v_token + kv_head * v_head + v_odd;
}
uint query_at(uint token, uint head)
{
    return token * q_token + head * q_head;
}
/* The element of a dense [N, Hq, ..] that begins at this token and head. */
uint row_at(uint token, uint head)
{
    return token * heads + head;
}
/* Of a row of queries: the log-sum-exp, and sum(d_o * o). */
vec2 stats_of(uint row)
{
    return vec2(F32(stats_base).v[2 * row], F32(stats_base).v[2 * row + 1]);
}
