/* Element types inside the library: the public list, and its conversion to and from f32 arrays. */
#ifndef TUFF_IR_DTYPE_H
#define TUFF_IR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/dtype.h>

#include "base/blocks.h"

static inline bool tuff_dtype_is_float(tuff_dtype dtype)
{
    return dtype == TUFF_F32 || dtype == TUFF_F16 || dtype == TUFF_BF16;
}

/* Whether elements are stored by the block, and how. */
static inline bool tuff_dtype_is_block(tuff_dtype dtype)
{
    return dtype >= TUFF_Q4_0 && dtype < TUFF_DTYPE_COUNT;
}
static inline tuff_block tuff_block_of(tuff_dtype dtype)
{
    return (tuff_block)(dtype - TUFF_Q4_0);
}
static inline tuff_dtype tuff_dtype_of_block(tuff_block block)
{
    return (tuff_dtype)((int)TUFF_Q4_0 + (int)block);
}

/* Converts n floats of `dtype` (f32, f16, bf16, or whole blocks) to f32, and back to one of the first three,
 * rounding to nearest even. */
void tuff_dtype_to_f32(tuff_dtype dtype, const void *in, float *out, size_t n);
void tuff_dtype_from_f32(tuff_dtype dtype, const float *in, void *out, size_t n);

#endif
