#include "shaders/args.h"

/* kv_write.comp: tiles of rows [N * H] and columns: elements of a head, or words of two when the cache is
 * f16. */
TUFF_STRUCT(tuff_kv_write_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(U32) cache;
    TUFF_ADDRESS(I32) rows; /* of the cache, by token */
    TUFF_UINT tile[4];
    TUFF_UINT heads, capacity;
    TUFF_UINT x_stride[2], cache_stride[2]; /* token, head */
    TUFF_UINT half_words;                   /* 1: the cache is f16 */
};
