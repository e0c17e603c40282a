/* Element types. */
#ifndef TUFF_DTYPE_H
#define TUFF_DTYPE_H

#include <stdint.h>

#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tuff_dtype {
    TUFF_F32 = 0, /* IEEE binary32 */
    TUFF_F16,     /* IEEE binary16; storage of weights and KV caches, arithmetic is f32 */
    TUFF_BF16,    /* bfloat16; storage of weights */
    TUFF_I32,     /* token ids, positions, offsets */
    TUFF_U32,     /* seeds, counters */
    /* Weights by the block, as GGUF has them: a few bits of each element, and scales that the 32 or 256
     * elements of a block share. Only variables are of such a type, and rows are whole blocks; arithmetic is
     * f32. */
    TUFF_Q4_0,
    TUFF_Q4_1,
    TUFF_Q5_0,
    TUFF_Q5_1,
    TUFF_Q8_0,
    TUFF_Q2_K,
    TUFF_Q3_K,
    TUFF_Q4_K,
    TUFF_Q5_K,
    TUFF_Q6_K,
    TUFF_IQ4_NL,
    TUFF_MXFP4,
    TUFF_DTYPE_COUNT /* how many there are in this version: it grows */
} tuff_dtype;

/* "f32", "f16", "bf16", "i32", "u32", "q4_0", "q4_k" and so on. Thread-safe. */
TUFF_API const char *tuff_dtype_name(tuff_dtype dtype);

/* Bytes of one element; 0: its elements are stored by the block. Thread-safe. */
TUFF_API unsigned tuff_dtype_size(tuff_dtype dtype);
/* Elements that are stored together: a block's, else 1; 0 for what is no type. Thread-safe. */
TUFF_API unsigned tuff_dtype_block(tuff_dtype dtype);
/* Bytes of `count` elements, of which a part of a block takes a whole one; UINT64_MAX where 64 bits do not
 * hold them, 0 for a count below 1 and for what is no type. Thread-safe. */
TUFF_API uint64_t tuff_dtype_bytes(tuff_dtype dtype, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
