/* Numbers to blocks: the other direction of base/blocks.h.
 *
 * Q4_0 to Q8_0 and MXFP4 become what llama.cpp makes of them, byte for byte. The formats of 256 elements, and
 * IQ4_NL, are searched for: scales, leasts and whole numbers that make the sum of squared errors small. With
 * importances that sum is weighted, and Q4_0 to Q5_1 are searched for as well. The same numbers give the same
 * bytes on every machine. */
#ifndef TUFF_FORMATS_QUANTIZE_H
#define TUFF_FORMATS_QUANTIZE_H

#include <stdbool.h>

#include "base/blocks.h"
#include "base/pool.h"

/* `count` blocks of in[0..count * elements), finite numbers. importance[0..count * elements), not negative,
 * or NULL: all alike. False where numbers are too large for the scales of the type. */
bool tuff_block_encode(tuff_block type, const float *in, const float *importance, size_t count, void *blocks);

/* Rows of `columns` elements, whole blocks; importance[0..columns) of one row. Spread over the pool's
 * threads; NULL: the calling one's. */
bool tuff_block_encode_rows(tuff_block type, const float *in, const float *importance, int64_t rows,
                            int64_t columns, tuff_pool *pool, void *blocks);

#endif
