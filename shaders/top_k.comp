#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#include "shaders/args/top_k.h"
#include "shaders/lib/order.glsl"

layout(local_size_x = TUFF_REDUCE_GROUP) in;
layout(constant_id = 0) const bool first_round = true;
layout(constant_id = 1) const bool last_round = true;
TUFF_ARGS(tuff_top_k_args);

/* Elements are ordered by their key, then by their place, the first one before: a number of 6 digits, none twice. The k-th
 * largest is found digit by digit, by counting; what is not below it is taken in the order of places. So what the next round
 * looks through has elements of the same key in order, and the places in it serve as well. The last round sorts. */
const uint DIGITS = 6, KEY_DIGITS = 4, VALUES = 256, BUNCH = 16;

shared uint counts[VALUES];
shared uint sums[VALUES / BUNCH];
shared uint takes[TUFF_REDUCE_GROUP]; /* how many each invocation takes */
shared uint keys[TUFF_TOP_K_MOST], places[TUFF_TOP_K_MOST];

/* The number's two words without the digits behind `digit`. */
uvec2 leading(uint key, uint place, uint digit)
{
    uint left = TUFF_TOP_K_PART - 1 - place; /* larger for the first */
    if (digit < KEY_DIGITS) return uvec2(key >> (24 - 8 * digit), 0);
    return uvec2(key, left >> (8 * (DIGITS - 1 - digit)));
}

/* Whether an element is not below the threshold. */
bool takes_it(uint key, uint place, uint digit, uvec2 threshold)
{
    uvec2 now = leading(key, place, digit);
    return now.x > threshold.x || (now.x == threshold.x && now.y >= threshold.y);
}

void main()
{
    uint lane = gl_LocalInvocationID.x, item = TUFF_GROUP_1D;
    if (item >= a.rows * a.parts) return;
    uvec2 part = tuff_order_part(a.width, a.parts, item % a.parts);
    uint start = item / a.parts * a.width + part.x, n = part.y, to = item * a.k;
    uint need = a.k, digit = 0;
    uvec2 threshold = uvec2(0); /* its leading digits */
    for (;; digit++) {
        for (uint i = lane; i < VALUES; i += TUFF_REDUCE_GROUP)
            counts[i] = 0;
        barrier();
        for (uint i = lane; i < n; i += TUFF_REDUCE_GROUP) {
            uint key = tuff_order_key(a.x.v[start + i]);
            uvec2 now = leading(key, i, digit);
            bool in_key = digit < KEY_DIGITS;
            uint value = (in_key ? now.x : now.y) & (VALUES - 1);
            uvec2 before = in_key ? uvec2(now.x >> 8, 0) : uvec2(now.x, now.y >> 8);
            if (digit == 0 || before == threshold) atomicAdd(counts[value], 1);
        }
        barrier();
        if (lane < VALUES / BUNCH) {
            uint sum = 0;
            for (uint i = 0; i < BUNCH; i++)
                sum += counts[lane * BUNCH + i];
            sums[lane] = sum;
        }
        barrier();
        uint bunch = VALUES / BUNCH - 1;
        for (; bunch > 0 && sums[bunch] < need; bunch--)
            need -= sums[bunch];
        uint value = bunch * BUNCH + BUNCH - 1;
        for (; value > bunch * BUNCH && counts[value] < need; value--)
            need -= counts[value];
        if (digit < KEY_DIGITS)
            threshold.x = threshold.x << 8 | value;
        else
            threshold.y = threshold.y << 8 | value;
        if (counts[value] == need || digit == DIGITS - 1) break; /* none of that value is left out */
        barrier();
    }
    uint share = (n + TUFF_REDUCE_GROUP - 1) / TUFF_REDUCE_GROUP, from = lane * share, end = min(n, from + share), at = 0;
    for (uint i = from; i < end; i++)
        at += takes_it(tuff_order_key(a.x.v[start + i]), i, digit, threshold) ? 1 : 0;
    takes[lane] = at;
    barrier();
    at = 0;
    for (uint i = 0; i < lane; i++)
        at += takes[i];
    for (uint i = from; i < end && at < a.k; i++) {
        uint word = a.x.v[start + i], key = tuff_order_key(word);
        if (!takes_it(key, i, digit, threshold)) continue;
        if (last_round) {
            keys[at] = key;
            places[at] = i;
        } else {
            a.values.v[to + at] = word;
            a.places.v[to + at] = first_round ? part.x + i : a.x_places.v[start + i];
        }
        at++;
    }
    if (!last_round) return;
    barrier();
    for (uint i = lane; i < a.k; i += TUFF_REDUCE_GROUP) {
        uint key = keys[i], place = places[i], rank = 0;
        for (uint j = 0; j < a.k; j++)
            rank += keys[j] > key || (keys[j] == key && j < i) ? 1 : 0;
        a.values.v[to + rank] = a.x.v[start + place];
        a.places.v[to + rank] = first_round ? part.x + place : a.x_places.v[start + place];
    }
}
