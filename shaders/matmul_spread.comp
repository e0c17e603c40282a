#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#define TUFF_OPERANDS_CONSTANT 2
#define TUFF_BLOCK_CONSTANT 3
#include "shaders/lib/matmul.glsl"

/* For devices that are a CPU: there a load costs as much as a dozen multiplications, wherever it reads, and a barrier
 * more. A workgroup is one subgroup. Its lanes are columns of c; each lane loads one term of a row of a and then
 * spreads it to the others, so that no load is made twice. */
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ROWS = 32;
const uint COLUMNS = 8; /* of each lane */
/* Code that loads and stores is long, and takes such drivers long to compile: it is there for PART rows, in a loop, which
 * picks its registers by comparing. */
const uint PART = 8;

void main()
{
    uint width = gl_SubgroupSize, lane = gl_SubgroupInvocationID;
    if (!tuff_matmul_tile(ROWS, width * COLUMNS)) return;
    float sum[ROWS][COLUMNS];
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint j = 0; j < COLUMNS; j++)
            sum[i][j] = 0;
    for (uint k0 = 0; k0 < TUFF_K; k0 += width) {
        float mine[ROWS];
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            mine[i] = 0;
        [[dont_unroll]] for (uint part = 0; part < ROWS; part += PART)
            [[unroll]] for (uint i = 0; i < PART; i++) {
                float x = tuff_load_a(tuff_row + part + i, k0 + lane);
                [[unroll]] for (uint p = 0; p < ROWS; p += PART)
                    mine[p + i] = p == part ? x : mine[p + i];
            }
        for (uint k = 0; k < width; k++) {
            float b[COLUMNS];
            [[unroll]] for (uint j = 0; j < COLUMNS; j++)
                b[j] = tuff_load_b(k0 + k, tuff_column + j * width + lane);
            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                float x = subgroupBroadcast(mine[i], k);
                [[unroll]] for (uint j = 0; j < COLUMNS; j++)
                    sum[i][j] += x * b[j];
            }
        }
    }
    [[dont_unroll]] for (uint part = 0; part < ROWS; part += PART)
        [[unroll]] for (uint i = 0; i < PART; i++)
            [[unroll]] for (uint j = 0; j < COLUMNS; j++) {
                float x = 0;
                [[unroll]] for (uint p = 0; p < ROWS; p += PART)
                    x = p == part ? sum[p + i][j] : x;
                uint m = tuff_row + part + i, n = tuff_column + j * width + lane;
                if (m < TUFF_M && n < TUFF_N) tuff_store_c(tuff_c_row(m), n, x);
            }
}
