#include "shaders/args.h"

/* Grouped products; `order` is group_rows' {starts[groups + 1], rows[places]}.
 *
 * With -DTUFF_GROUPED=1 row i of c is row i / repeat of a times the matrix of i's group. What is in no group
 * is the last group.
 *
 * matmul_tile.comp and matmul_spread.comp: a group's rows are cut into tiles; those of group e are among the
 * slots, workgroups down, from starts[e] / height + e on, of which there are never fewer than it needs.
 * matmul_rows.comp, b's columns contiguous: a workgroup down stands for a place in the order; of each group
 * every TUFF_MATMUL_FEW-th makes that many rows. */
TUFF_STRUCT(tuff_matmul_grouped_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(TUFF_STORED_BUFFER) b; /* lowered to a word boundary */
    TUFF_ADDRESS(F32) c;
    TUFF_ADDRESS(I32) order;
    TUFF_UINT N, K;
    TUFF_UINT b_group, brs, bcs; /* strides in elements; brs or bcs is 1 */
    TUFF_UINT b_first; /* between b and its first element: 0 or 1 elements, of blocks 0 to 3 bytes */
    TUFF_UINT groups, places, repeat;
    TUFF_UINT lanes; /* of matmul_rows: invocations per row of b, a power of two */
};

/* matmul_tile.comp and matmul_spread.comp with -DTUFF_GROUPED=2: c is [groups, M, N]; matrix e is the sum
 * over the i of group e of row i / repeat_a of a, as a column, times row i / repeat_b of b. The batch of the
 * grid are the groups. */
TUFF_STRUCT(tuff_matmul_grouped_weights_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(F32) b;
    TUFF_ADDRESS(F32) c;
    TUFF_ADDRESS(I32) order;
    TUFF_UINT M, N;
    TUFF_UINT groups, repeat_a, repeat_b;
};
