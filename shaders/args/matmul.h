#include "shaders/args.h"

/* One product or a batch of them: c[m][n] = sum over k of a[m][k] * b[k][n], b stored as -DTUFF_STORED says.
 * Grids are tiles of c across, tiles of c down, batch. */
#define TUFF_MATMUL_PLAIN_TILE 16
TUFF_STRUCT(tuff_matmul_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(TUFF_STORED_BUFFER) b; /* lowered to a word boundary */
    TUFF_ADDRESS(F32) c;
    TUFF_UINT M, N, K;
    TUFF_UINT ars, acs, brs, bcs; /* strides in elements; one of each pair is 1 */
    TUFF_UINT b_first; /* between b and its first element: 0 or 1 elements, of blocks 0 to 3 bytes */
    TUFF_UINT batch;   /* of the inner batch axis */
    TUFF_UINT a_batch[2], b_batch[2];
};

/* matmul_rows.comp: a of M <= TUFF_MATMUL_FEW contiguous rows times the transpose of b's N rows of K
 * elements. */
#define TUFF_MATMUL_FEW 4
TUFF_STRUCT(tuff_matmul_rows_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(TUFF_STORED_BUFFER) b;
    TUFF_ADDRESS(F32) c;
    TUFF_UINT M, N, K;
    TUFF_UINT ars, bcs;
    TUFF_UINT b_first;
    TUFF_UINT lanes; /* invocations per row of b, a power of two */
};
