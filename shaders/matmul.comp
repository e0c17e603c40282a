#version 460
#extension GL_GOOGLE_include_directive : require
#define TUFF_OPERANDS_CONSTANT 0
#define TUFF_BLOCK_CONSTANT 1
#include "shaders/lib/matmul.glsl"

const uint TILE = TUFF_MATMUL_PLAIN_TILE;

layout(local_size_x = 64) in;

shared float sa[TILE][TILE + 1]; /* by k, then row */
shared float sb[TILE][TILE + 1]; /* by k, then column */

void main()
{
    if (!tuff_matmul_tile(TILE, TILE)) return;
    uint lane = gl_LocalInvocationID.x, x = lane % TILE, y = lane / TILE; /* y: 0 to 3 */
    float sum[4] = {0, 0, 0, 0};
    for (uint k0 = 0; k0 < TUFF_K; k0 += TILE) {
        for (uint i = y; i < TILE; i += 4) {
            if (TUFF_A_ALONG_K)
                sa[x][i] = tuff_load_a(tuff_row + i, k0 + x);
            else
                sa[i][x] = tuff_load_a(tuff_row + x, k0 + i);
            if (TUFF_B_ALONG_K)
                sb[x][i] = tuff_load_b(k0 + x, tuff_column + i);
            else
                sb[i][x] = tuff_load_b(k0 + i, tuff_column + x);
        }
        barrier();
        for (uint k = 0; k < TILE; k++)
            [[unroll]] for (uint i = 0; i < 4; i++)
                sum[i] += sa[k][y + 4 * i] * sb[k][x];
        barrier();
    }
    uint n = tuff_column + x;
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint m = tuff_row + y + 4 * i;
        if (m < TUFF_M && n < TUFF_N) tuff_store_c(tuff_c_row(m), n, sum[i]);
    }
}
