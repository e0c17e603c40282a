/* Sums: the index space that host and device kernels share. */
#ifndef TUFF_OPS_SUM_H
#define TUFF_OPS_SUM_H

#include "ops/support.h"

/* Axes of x with neighbours merged, split into those that stay and those that are summed; padded on the left
 * to 4. The result is dense over the kept ones. */
typedef struct tuff_sum_space {
    int64_t kept[4], kept_stride[4];
    int64_t summed[4], summed_stride[4];
    int64_t n_kept, n_summed; /* elements of the result, and terms of each */
    bool by_rows;             /* the innermost axis is summed */
} tuff_sum_space;
tuff_sum_space tuff_sum_space_of(const tuff_tensor *x, unsigned axes);

/* Position of an index over dims with these strides. */
static inline int64_t tuff_sum_at(const int64_t dim[4], const int64_t stride[4], int64_t index)
{
    int64_t at = 0;
    for (int i = 3; i >= 0; i--) {
        if (dim[i] == 1) continue;
        at += index % dim[i] * stride[i];
        index /= dim[i];
    }
    return at;
}

void tuff_launch_sum(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
/* Rows that a kernel adds up column by column before their sum becomes a part. */
int64_t tuff_sum_part_rows(int64_t rows);
/* Adds a dispatch: output `out`, n elements, is the sum of [parts, n] in scratch memory. */
void tuff_launch_sum_parts(tuff_launch *launch, const tuff_caps *caps, uint64_t scratch, int64_t parts,
                           int64_t n, int out);

#endif
