/* What the kernels of one product share: the tile of c that this workgroup makes, and element access.
 * Needs TUFF_STORED, for blocks TUFF_BLOCK_CONSTANT too; main begins with tuff_matmul_tile. */
#include "shaders/lib/common.glsl"
#include "shaders/lib/stored.glsl"
#include "shaders/args/matmul.h"

TUFF_ARGS(tuff_matmul_args);

uint tuff_a, tuff_b, tuff_c;  /* first elements of this batch's matrices */
uint tuff_row, tuff_column;   /* of the tile */

void tuff_matmul_tile(uint rows, uint columns)
{
    uint batch = gl_WorkGroupID.z, outer = batch / a.batch, inner = batch % a.batch;
    tuff_a = outer * a.a_batch[0] + inner * a.a_batch[1];
    tuff_b = outer * a.b_batch[0] + inner * a.b_batch[1];
    tuff_c = batch * a.M * a.N;
    tuff_row = gl_WorkGroupID.y * rows;
    tuff_column = gl_WorkGroupID.x * columns;
}

/* Terms past K are zero. Rows and columns past the end repeat the last one: they are not stored, and a load without a
 * branch is cheaper. */
float tuff_load_a(uint m, uint k)
{
    float x = a.a.v[tuff_a + min(m, a.M - 1) * a.ars + min(k, a.K - 1) * a.acs];
    return k < a.K ? x : 0.0;
}

float tuff_load_b(uint k, uint n)
{
    float x = tuff_stored(a.b, a.b_first, tuff_b + min(k, a.K - 1) * a.brs + min(n, a.N - 1) * a.bcs);
    return k < a.K ? x : 0.0;
}
