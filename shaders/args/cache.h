#include "shaders/args.h"

/* kv_write.comp: tiles of rows [B * T * H] and columns: elements of a head, or words of two when the cache is f16. */
TUFF_STRUCT(tuff_kv_write_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(U32) cache;
    TUFF_ADDRESS(I32) start;
    TUFF_UINT tile[4];
    TUFF_UINT time, heads, capacity;
    TUFF_UINT x_stride[3], cache_stride[3]; /* batch, time, head */
    TUFF_UINT half_words;                   /* 1: the cache is f16 */
};
