#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/lib/common.glsl"
#define TUFF_BLOCK_CONSTANT 1
#include "shaders/lib/stored.glsl"
#include "shaders/args/matmul.h"
#define TUFF_SUM_TYPE vec4
#include "shaders/lib/reduce.glsl"

layout(local_size_x_id = 0) in;
TUFF_ARGS(tuff_matmul_rows_args);

/* Element k of all rows of a. */
vec4 load_a(uint k)
{
    vec4 x = vec4(0);
    x.x = a.a.v[k];
    if (a.M > 1) x.y = a.a.v[a.ars + k];
    if (a.M > 2) x.z = a.a.v[2 * a.ars + k];
    if (a.M > 3) x.w = a.a.v[3 * a.ars + k];
    return x;
}

/* Each segment of a.lanes invocations makes 4 columns of c for all rows of a. */
void main()
{
    uint lane = gl_LocalInvocationID.x, first = lane & (a.lanes - 1);
    uint n0 = 4 * (TUFF_GROUP_1D * (gl_WorkGroupSize.x / a.lanes) + lane / a.lanes);
    vec4 sum[4] = {vec4(0), vec4(0), vec4(0), vec4(0)}; /* by column; components are rows of a */
    uint k = first;
#if TUFF_STORED == 3
    for (k = 16 * first; k < a.K; k += 16 * a.lanes) {
        tuff_run run[4];
        [[unroll]] for (uint j = 0; j < 4; j++)
            run[j] = tuff_run_of(a.b, a.b_first, min(n0 + j, a.N - 1) * a.bcs + k);
        [[dont_unroll]] for (uint q = 0; q < 4; q++) {
            vec4 x[4];
            [[unroll]] for (uint i = 0; i < 4; i++)
                x[i] = load_a(k + 4 * q + i);
            [[unroll]] for (uint j = 0; j < 4; j++) {
                vec4 w = tuff_run_four(a.b, run[j], q);
                [[unroll]] for (uint i = 0; i < 4; i++)
                    sum[j] += w[i] * x[i];
            }
        }
    }
#else
#if TUFF_STORED != 0
    if (a.b_first == 0 && (a.bcs & 1) == 0) { /* columns of b begin at words: a load gives two elements */
        for (k = 2 * first; k + 1 < a.K; k += 2 * a.lanes) {
            vec4 x = load_a(k), y = load_a(k + 1);
            [[unroll]] for (uint j = 0; j < 4; j++)
                if (n0 + j < a.N) {
                    uint word = a.b.v[((n0 + j) * a.bcs + k) >> 1];
                    sum[j] += tuff_stored_bits(word & 0xffffu) * x + tuff_stored_bits(word >> 16) * y;
                }
        }
        /* an odd last element is left to one of them */
    }
#endif
    for (; k < a.K; k += a.lanes) {
        vec4 x = load_a(k);
        [[unroll]] for (uint j = 0; j < 4; j++)
            if (n0 + j < a.N) sum[j] += tuff_stored(a.b, a.b_first, (n0 + j) * a.bcs + k) * x;
    }
#endif
    [[unroll]] for (uint j = 0; j < 4; j++) {
        vec4 whole = tuff_segment_sum(sum[j], a.lanes);
        if (first != 0 || n0 + j >= a.N) continue;
        a.c.v[n0 + j] = whole.x;
        if (a.M > 1) a.c.v[a.N + n0 + j] = whole.y;
        if (a.M > 2) a.c.v[2 * a.N + n0 + j] = whole.z;
        if (a.M > 3) a.c.v[3 * a.N + n0 + j] = whole.w;
    }
}
