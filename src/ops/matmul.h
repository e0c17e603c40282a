/* A matmul node as kernels see it: one matrix product, or a grid of up to two batch axes of them. */
#ifndef TUFF_OPS_MATMUL_H
#define TUFF_OPS_MATMUL_H

#include "backend/cpu/kernels.h"
#include "base/half.h"
#include "ir/op.h"

/* The last two axes of an operand. */
typedef struct tuff_matrix {
    int64_t rows, cols, rs, cs;
} tuff_matrix;

tuff_matrix tuff_matrix_of(const tuff_tensor *x);
/* Whether one of them is contiguous; else a builder copies. */
bool tuff_matrix_acceptable(const tuff_tensor *x);
bool tuff_matrix_by_columns(const tuff_tensor *x);
/* The strides of axes of length 1 are free: they become what a dense matrix has. */
tuff_matrix tuff_matrix_settle(tuff_matrix m, tuff_dtype dtype);

/* out[i, j, m, n] = sum over k of a[i, j, m, k] * b[i, j, k, n]. Strides are in elements; of each pair of row
 * and column stride one is 1. The result is contiguous. Batch axes that b does not have are folded into M. */
typedef struct tuff_matmul_problem {
    int64_t M, N, K;
    int64_t batch[2], a_batch[2], b_batch[2];
    int64_t ars, acs, brs, bcs;
    tuff_dtype b_dtype;
    tuff_dtype operands; /* what both are rounded to */
    bool invariant;      /* the way is chosen by N, K and the types alone, never by M */
    bool quantized;      /* a may be rounded to 8 bits: its terms, and b's blocks, are neighbours */
} tuff_matmul_problem;

tuff_matmul_problem tuff_matmul_problem_of(const tuff_node *node);

/* An element as a product reads it. */
static inline double tuff_operand_rounded(double x, tuff_dtype operands)
{
    return operands == TUFF_BF16 ? (double)tuff_round_bf16((float)x) : x;
}

/* What becomes of the product: times the factor, and the addend is added, as the result lies (kind
 * TUFF_ADDEND_WHOLE; it may be the result itself) or the same row to each row. The kinds are those of
 * shaders/args/matmul.h. */
typedef struct tuff_matmul_end {
    float factor;
    uint32_t kind;
} tuff_matmul_end;

tuff_matmul_end tuff_matmul_end_of(const tuff_node *node);

/* Of a product of up to TUFF_GEMV_ROWS rows, with b's columns and a's rows contiguous, the columns from
 * `first` on, `columns` of them: no more than stay in cache while all rows are multiplied with them. */
enum { TUFF_MATMUL_FEW_COLUMNS = 64 };
void tuff_matmul_few(const tuff_gemm_problem *g, int64_t first, int64_t columns);

/* Up to so many rows sums of integers are faster than expanding a weight. */
enum { TUFF_MATMUL_ROUNDED_ROWS = 64 };

void tuff_matmul_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
size_t tuff_matmul_cpu_scratch(const tuff_node *node);

/* ---- device kernels ---- */

/* What a workgroup of matmul_tile makes of c: rows, columns, and those of an invocation. */
typedef struct tuff_matmul_tile {
    uint32_t rows, columns, high, across;
} tuff_matmul_tile;
/* Its constants, `dtype` being b's; `loads` are the bits of shaders/args/matmul.h. */
void tuff_launch_matmul_tile(tuff_launch *to, const tuff_caps *caps, const tuff_matmul_tile *tile,
                             uint32_t loads, tuff_dtype operands, tuff_dtype dtype);

/* The constant of the other kernels for what operands are rounded to: of shaders/args/matmul.h. */
void tuff_launch_operands(tuff_launch *to, tuff_dtype operands);

/* Columns of an invocation of matmul_spread. */
enum { TUFF_MATMUL_SPREAD_COLUMNS = 8 };
/* The module of a kernel for b's type: the four are neighbours in shaders.def. */
tuff_shader tuff_matmul_stored(tuff_shader f32, tuff_dtype dtype);
/* What matmul_spread is for: software drivers; narrow subgroups are those of a CPU's vectors. */
static inline bool tuff_matmul_spreads(const tuff_caps *caps)
{
    return caps->subgroup_size >= 4 && caps->subgroup_size <= 16;
}
/* Rows that a workgroup of it makes where there are so many. */
static inline int64_t tuff_matmul_spread_rows(int64_t rows)
{
    return rows <= 16 ? 16 : 64;
}

enum { TUFF_MATMUL_ROW_SPLIT = 2, TUFF_MATMUL_ROWS = 7 };
extern const tuff_kernel_row tuff_matmul_rows[TUFF_MATMUL_ROWS];

#endif
