/* Grouped products as kernels see them. */
#ifndef TUFF_OPS_GROUPED_H
#define TUFF_OPS_GROUPED_H

#include "ir/op.h"

/* matmul_grouped: out[i, n] = sum over k of a[i / repeat, k] * b[group of i, k, n]; a and the result are
 * dense. */
typedef struct tuff_grouped_problem {
    int64_t groups, places, repeat;
    int64_t N, K;
    int64_t b_group, brs, bcs; /* strides in elements; brs or bcs is 1 */
    tuff_dtype b_dtype;
    tuff_dtype operands; /* what both are rounded to */
    bool invariant;      /* a row's bits are independent of how many there are */
    bool quantized;      /* a may be rounded to 8 bits: its terms, and b's blocks, are neighbours */
} tuff_grouped_problem;

tuff_grouped_problem tuff_grouped_problem_of(const tuff_node *node);

/* matmul_grouped_weights: out[e, m, n] = sum over the i of group e, ascending, of x[i / repeat_x, m] *
 * y[i / repeat_y, n]; all dense. */
typedef struct tuff_grouped_weights {
    int64_t groups, places, repeat_x, repeat_y;
    int64_t M, N;
    tuff_dtype operands; /* what x and y are rounded to */
} tuff_grouped_weights;

tuff_grouped_weights tuff_grouped_weights_of(const tuff_node *node);

void tuff_matmul_grouped_cpu(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
size_t tuff_matmul_grouped_scratch(const tuff_node *node);
void tuff_matmul_grouped_weights_cpu(const tuff_node *node, const void *const *in, void *const *out,
                                     void *scratch);
size_t tuff_matmul_grouped_weights_scratch(const tuff_node *node);

enum { TUFF_GROUPED_ROWS = 3, TUFF_GROUPED_WEIGHTS_ROWS = 2 };
extern const tuff_kernel_row tuff_grouped_rows[TUFF_GROUPED_ROWS];
extern const tuff_kernel_row tuff_grouped_weights_rows[TUFF_GROUPED_WEIGHTS_ROWS];

#endif
