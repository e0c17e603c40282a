/* Element types. */
#ifndef TUFF_DTYPE_H
#define TUFF_DTYPE_H

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
    TUFF_DTYPE_COUNT
} tuff_dtype;

/* "f32", "f16", "bf16", "i32", "u32". Thread-safe. */
TUFF_API const char *tuff_dtype_name(tuff_dtype dtype);

/* Bytes of one element. Thread-safe. */
TUFF_API unsigned tuff_dtype_size(tuff_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
