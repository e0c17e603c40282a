/* The largest elements of rows: what the shape rules, the host loops and the launches share. */
#ifndef TUFF_OPS_TOP_K_H
#define TUFF_OPS_TOP_K_H

#include "base/half.h"
#include "ir/op.h"

/* Larger floats have larger keys, both zeros the same one, and every NaN the largest. None is 0. As
 * tuff_order_key in shaders/lib/order.glsl. */
static inline uint32_t tuff_order_key(float x)
{
    uint32_t bits = tuff_f32_bits(x), magnitude = bits & 0x7fffffffu;
    uint32_t negative = 0u - (bits >> 31), nan = 0u - (uint32_t)(magnitude > 0x7f800000u);
    return (0x80000000u + ((magnitude ^ negative) - negative)) | nan; /* no branch, so that loops vectorize */
}

/* Rows of the last axis. */
static inline int64_t tuff_top_k_width(const tuff_node *node)
{
    return node->in[0]->shape.dim[node->in[0]->shape.rank - 1];
}
static inline int64_t tuff_top_k_rows(const tuff_node *node)
{
    return tuff_tensor_count(node->in[0]) / tuff_top_k_width(node);
}

void tuff_argmax_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_top_k_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_top_k_backward_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
size_t tuff_top_k_scratch(const tuff_node *node);

void tuff_launch_argmax(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_top_k(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_top_k_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);

#endif
