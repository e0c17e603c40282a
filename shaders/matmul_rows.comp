#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#define TUFF_OPERANDS_CONSTANT 1
#define TUFF_BLOCK_CONSTANT 2
#include "shaders/lib/stored.glsl"
#include "shaders/args/matmul.h"
#include "shaders/lib/operands.glsl"
#include "shaders/args/grouped.h"
#define TUFF_SUM_TYPE vec4
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;

uint b_at;       /* b's first element */
uint rows;       /* of c, 4 at most */
uvec4 a_at, c_at; /* first elements of a's rows and of c's */
uint terms;

#if TUFF_GROUPED == 0
TUFF_ARGS(tuff_matmul_rows_args);
#include "shaders/lib/end.glsl"

/* Which of the workgroups that share these rows this is. */
uint find_rows()
{
    b_at = 0;
    rows = a.M;
    a_at = uvec4(0, 1, 2, 3) * a.ars;
    c_at = uvec4(0, 1, 2, 3) * a.N;
    terms = a.K;
    return TUFF_GROUP_1D;
}
#else
TUFF_ARGS(tuff_matmul_grouped_args);
#include "shaders/lib/grouped.glsl"

float tuff_end(float sum, uint at, uint n)
{
    return sum;
}

uint find_rows()
{
    uint p = gl_WorkGroupID.y, e = tuff_group_at(p, 1, 0);
    b_at = e * a.b_group;
    rows = (p - tuff_group_begin(e)) % TUFF_MATMUL_FEW == 0 ? min(tuff_group_end(e, a.places) - p, TUFF_MATMUL_FEW) : 0;
    for (uint m = 0; m < rows; m++) {
        uint place = tuff_place_at(p + m);
        a_at[m] = place / a.repeat * a.K;
        c_at[m] = place * a.N;
    }
    terms = e < a.groups ? a.K : 0; /* what is in no group gives zeros */
    return gl_WorkGroupID.x;
}
#endif

/* Element k of all rows of a. */
vec4 load_a(uint k)
{
    vec4 x = vec4(0);
    x.x = a.a.v[a_at.x + k];
    if (rows > 1) x.y = a.a.v[a_at.y + k];
    if (rows > 2) x.z = a.a.v[a_at.z + k];
    if (rows > 3) x.w = a.a.v[a_at.w + k];
    return tuff_operand(x);
}

/* Each segment of a.lanes invocations makes 4 columns of c for all rows of a. */
void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint n0 = 4 * (find_rows() * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes);
#if TUFF_GROUPED
    if (rows == 0) return;
#endif
    vec4 sum[4] = {vec4(0), vec4(0), vec4(0), vec4(0)}; /* by column; components are rows of a */
    uint k = first;
#if TUFF_STORED == 3
    for (k = 16 * first; k < terms; k += 16 * a.lanes) {
        tuff_run run[4];
        [[unroll]] for (uint j = 0; j < 4; j++)
            run[j] = tuff_run_of(a.b, a.b_first, b_at + min(n0 + j, a.N - 1) * a.bcs + k);
        [[dont_unroll]] for (uint q = 0; q < 4; q++) {
            vec4 x[4];
            [[unroll]] for (uint i = 0; i < 4; i++)
                x[i] = load_a(k + 4 * q + i);
            [[unroll]] for (uint j = 0; j < 4; j++) {
                vec4 w = tuff_operand(tuff_run_four(a.b, run[j], q));
                [[unroll]] for (uint i = 0; i < 4; i++)
                    sum[j] += w[i] * x[i];
            }
        }
    }
#else
#if TUFF_STORED != 0
    if (a.b_first == 0 && ((b_at | a.bcs) & 1) == 0) { /* columns of b begin at words: a load gives two elements */
        for (k = 2 * first; k + 1 < terms; k += 2 * a.lanes) {
            vec4 x = load_a(k), y = load_a(k + 1);
            [[unroll]] for (uint j = 0; j < 4; j++)
                if (n0 + j < a.N) {
                    uint word = a.b.v[(b_at + (n0 + j) * a.bcs + k) >> 1];
                    sum[j] += tuff_operand(tuff_stored_bits(word & 0xffffu)) * x + tuff_operand(tuff_stored_bits(word >> 16)) * y;
                }
        }
        /* an odd last element is left to one of them */
    }
#endif
    for (; k < terms; k += a.lanes) {
        vec4 x = load_a(k);
        [[unroll]] for (uint j = 0; j < 4; j++)
            if (n0 + j < a.N) sum[j] += tuff_operand(tuff_stored(a.b, a.b_first, b_at + (n0 + j) * a.bcs + k)) * x;
    }
#endif
    [[unroll]] for (uint j = 0; j < 4; j++) {
        vec4 whole = tuff_segment_sum(sum[j], a.lanes);
        if (first != 0 || n0 + j >= a.N) continue;
        [[unroll]] for (uint m = 0; m < TUFF_MATMUL_FEW; m++)
            if (m < rows) a.c.v[c_at[m] + n0 + j] = tuff_end(whole[m], c_at[m] + n0 + j, n0 + j);
    }
}
