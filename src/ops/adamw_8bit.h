/* AdamW with moments of 8 bits: what its descriptor, host loops and geometry share. */
#ifndef TUFF_OPS_ADAMW_8BIT_H
#define TUFF_OPS_ADAMW_8BIT_H

#include "ir/op.h"

/* The inputs before the slots: lr, norm and the step's state. A slot's: parameter, gradient, then both
 * moments and both moments' scales; its outputs are all of these but the gradient. */
enum { TUFF_ADAMW_8BIT_FIRST = 3, TUFF_ADAMW_8BIT_WIDTH = 6 };
enum { TUFF_ADAMW_8BIT_BLOCK = 256 }; /* elements that have one scale */

static inline int tuff_adamw_8bit_count(const tuff_node *node)
{
    return (node->n_in - TUFF_ADAMW_8BIT_FIRST) / TUFF_ADAMW_8BIT_WIDTH;
}
static inline int tuff_adamw_8bit_in(int slot)
{
    return TUFF_ADAMW_8BIT_FIRST + slot * TUFF_ADAMW_8BIT_WIDTH;
}
static inline int tuff_adamw_8bit_out(int slot)
{
    return slot * (TUFF_ADAMW_8BIT_WIDTH - 1);
}

/* What bytes stand for, from the least to 1: of the first moment, then of the second, which has no sign. */
typedef struct tuff_dynamic_maps {
    float values[2][256];
} tuff_dynamic_maps;
void tuff_dynamic_maps_make(tuff_dynamic_maps *out);

void tuff_adamw_8bit_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_launch_adamw_8bit(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);

#endif
