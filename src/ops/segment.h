/* Means and maxima over segments of rows: what the shape rules, the host loops and the launches share. */
#ifndef TUFF_OPS_SEGMENT_H
#define TUFF_OPS_SEGMENT_H

#include "ir/op.h"

enum { TUFF_SEGMENT_WORDS = 4 }; /* q_begin, q_len, kv_begin, kv_len */

/* The rows first .. end of x, of which there are n, that a segment q_begin .. q_begin + q_len has: none of
 * those that x does not have. As tuff_segment_rows in shaders/lib/segment.glsl. */
typedef struct tuff_segment_range {
    int64_t first, end;
} tuff_segment_range;
static inline tuff_segment_range tuff_segment_range_of(int64_t begin, int64_t length, int64_t n)
{
    int64_t end = begin + length, first = begin < 0 ? 0 : begin;
    if (end > n) end = n;
    return first < end ? (tuff_segment_range){first, end} : (tuff_segment_range){0, 0};
}

/* Sum of the weights of n rows: each 1, or 1, 2, 3, ... n. */
static inline double tuff_segment_weights(bool by_position, int64_t n)
{
    return by_position ? 0.5 * (double)n * ((double)n + 1) : (double)n;
}

void tuff_segment_mean_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_segment_max_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_segment_mean_backward_host(const tuff_node *node, const void *const *in, void *const *out,
                                     void *scratch);
void tuff_segment_max_backward_host(const tuff_node *node, const void *const *in, void *const *out,
                                    void *scratch);

void tuff_launch_segment(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_segment_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);

#endif
