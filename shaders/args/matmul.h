#include "shaders/args.h"

/* One product or a batch of them: c[m][n] = sum over k of a[m][k] * b[k][n], b stored as -DTUFF_STORED says.
 * Grids are tiles of c across, tiles of c down, parts of the sums times batch. */
#define TUFF_MATMUL_PLAIN_TILE 16
/* Constant LOADS of matmul_tile.comp: neighbours of an operand are terms; they come, and c goes, four at a
 * time; the code is to be short. */
#define TUFF_MATMUL_A_ALONG_K 1
#define TUFF_MATMUL_B_ALONG_K 2
#define TUFF_MATMUL_A_WIDE    4
#define TUFF_MATMUL_B_WIDE    8
#define TUFF_MATMUL_C_WIDE    16
#define TUFF_MATMUL_SHORT     32
/* A constant of all kernels of products: what elements of a and of b are rounded to as they are loaded. */
#define TUFF_OPERANDS_F32  0
#define TUFF_OPERANDS_BF16 1
/* What is added to the product times `factor`: nothing, a tensor that lies as c does, a row for each row. */
#define TUFF_ADDEND_NONE  0
#define TUFF_ADDEND_WHOLE 1
#define TUFF_ADDEND_ROW   2
TUFF_STRUCT(tuff_matmul_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(TUFF_STORED_BUFFER) b; /* lowered to a word boundary */
    TUFF_ADDRESS(F32) c;
    TUFF_ADDRESS(F32) addend;
    TUFF_UINT M, N, K;
    TUFF_UINT ars, acs, brs, bcs; /* strides in elements; one of each pair is 1 */
    TUFF_UINT b_first; /* between b and its first element: 0 or 1 elements, of blocks 0 to 3 bytes */
    TUFF_UINT batch;   /* of the inner batch axis */
    TUFF_UINT a_batch[2], b_batch[2];
    /* the workgroups z after the first `batches` have the sums' next `terms` terms, for the next c */
    TUFF_UINT batches, terms;
    TUFF_UINT addend_kind;
    TUFF_FLOAT factor;
};

/* matmul_rows.comp: a of M <= TUFF_MATMUL_FEW contiguous rows times the transpose of b's N rows of K
 * elements. */
#define TUFF_MATMUL_FEW 4
TUFF_STRUCT(tuff_matmul_rows_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(TUFF_STORED_BUFFER) b;
    TUFF_ADDRESS(F32) c;
    TUFF_ADDRESS(F32) addend;
    TUFF_UINT M, N, K;
    TUFF_UINT ars, bcs;
    TUFF_UINT b_first;
    TUFF_UINT lanes; /* invocations per row of b, a power of two */
    TUFF_UINT addend_kind;
    TUFF_FLOAT factor;
};

/* matmul_join.comp: c[i] = the sum of parts[p][i], p from 0 to count - 1, and the product's end. */
TUFF_STRUCT(tuff_matmul_join_args)
{
    TUFF_ADDRESS(F32) parts; /* [count, n] */
    TUFF_ADDRESS(F32) c;
    TUFF_ADDRESS(F32) addend;
    TUFF_UINT n, count;
    TUFF_UINT N; /* columns of c */
    TUFF_UINT addend_kind;
    TUFF_FLOAT factor;
};
