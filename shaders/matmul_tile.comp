#version 460
#extension GL_GOOGLE_include_directive : require
#define TUFF_BLOCK_CONSTANT 0
#define TUFF_TERMS 16
#include "shaders/lib/matmul.glsl"

/* 64 rows and columns of c in registers of 64 invocations, 8 x 8 each, fed from shared memory 16 terms at a time. */
const uint TILE = 64, TERMS = TUFF_TERMS;

layout(local_size_x = 64) in;

shared vec4 sa[TERMS][TILE / 4 + 1];
shared vec4 sb[TERMS][TILE / 4 + 1];

#if TUFF_STORED == 3
/* Each invocation reads a run: terms of a column, or columns of a term, of which there are whole runs. */
void load_runs(uint k0)
{
    uint lane = gl_LocalInvocationID.x;
    if (a.bcs == 1) {
        uint k = lane % TERMS, n = lane / TERMS * 16;
        tuff_run r = tuff_run_of(a.b, a.b_first, tuff_b + min(k0 + k, a.K - 1) * a.brs + min(tuff_column + n, a.N - 16));
        [[unroll]] for (uint q = 0; q < 4; q++)
            sb[k][n / 4 + q] = tuff_run_four(a.b, r, q); /* terms past K meet zeros of a, and blocks are finite */
    } else {
        tuff_run r = tuff_run_of(a.b, a.b_first, tuff_b + k0 + min(tuff_column + lane, a.N - 1) * a.bcs);
        [[unroll]] for (uint q = 0; q < 4; q++) {
            vec4 terms = tuff_run_four(a.b, r, q);
            [[unroll]] for (uint i = 0; i < 4; i++)
                sb[4 * q + i][lane / 4][lane % 4] = terms[i];
        }
    }
}
#endif

void main()
{
    if (!tuff_matmul_tile(TILE, TILE)) return;
    uint lane = gl_LocalInvocationID.x, x = lane % 8, y = lane / 8;
    vec4 sum[8][2]; /* rows 4 * (y + 8 * half) + i, columns 4 * (x + 8 * half) + component */
    [[unroll]] for (uint i = 0; i < 8; i++)
        sum[i][0] = sum[i][1] = vec4(0);
#if TUFF_GROUPED == 2
    tuff_find_terms(0);
    barrier();
#endif
    for (uint k0 = 0; k0 < TUFF_K; k0 += TERMS) {
        for (uint i = lane; i < TERMS * TILE; i += 64) {
            uint k = TUFF_A_ALONG_K ? i % TERMS : i / TILE, m = TUFF_A_ALONG_K ? i / TERMS : i % TILE;
            sa[k][m / 4][m % 4] = tuff_load_a(tuff_row + m, k0 + k);
        }
#if TUFF_STORED == 3
        load_runs(k0);
#else
        for (uint i = lane; i < TERMS * TILE; i += 64) {
            uint k = TUFF_B_ALONG_K ? i % TERMS : i / TILE, n = TUFF_B_ALONG_K ? i / TERMS : i % TILE;
            sb[k][n / 4][n % 4] = tuff_load_b(k0 + k, tuff_column + n);
        }
#endif
        barrier();
#if TUFF_GROUPED == 2
        tuff_find_terms(k0 + TERMS);
#endif
        for (uint k = 0; k < TERMS; k++) {
            vec4 b0 = sb[k][x], b1 = sb[k][x + 8];
            [[unroll]] for (uint h = 0; h < 2; h++) {
                vec4 rows = sa[k][y + 8 * h];
                [[unroll]] for (uint i = 0; i < 4; i++) {
                    sum[4 * h + i][0] += rows[i] * b0;
                    sum[4 * h + i][1] += rows[i] * b1;
                }
            }
        }
        barrier();
    }
    [[unroll]] for (uint i = 0; i < 8; i++) {
        uint m = tuff_row + 4 * (y + 8 * (i / 4)) + i % 4;
        if (m >= TUFF_M) continue;
        uint row = tuff_c_row(m);
        [[unroll]] for (uint j = 0; j < 8; j++) {
            uint n = tuff_column + 4 * (x + 8 * (j / 4)) + j % 4;
            if (n < TUFF_N) a.c.v[row + n] = sum[i][j / 4][j % 4];
        }
    }
}
