#include "shaders/args.h"

/* Bits above the head dim in `dim_flags`: all of it fits the 128 bytes of push constants that way. */
#define TUFF_ATTENTION_DIM_MASK 0xffff
#define TUFF_ATTENTION_CAUSAL   0x10000
#define TUFF_ATTENTION_FROM     0x20000 /* start is given */
#define TUFF_ATTENTION_HALF     0x40000 /* k and v are f16, */
#define TUFF_ATTENTION_ODD_K    0x80000 /* and begin one element past k */
#define TUFF_ATTENTION_ODD_V    0x100000

/* Strides of batch, time and head in elements; o and lse are dense. Grids: blocks of queries or keys, heads, batch. */
TUFF_STRUCT(tuff_attention_args)
{
    TUFF_ADDRESS(F32) q;
    TUFF_ADDRESS(U32) k; /* lowered to a word boundary, as v */
    TUFF_ADDRESS(U32) v;
    TUFF_ADDRESS(I32) start;
    TUFF_ADDRESS(F32) o;
    TUFF_ADDRESS(F32) lse;
    TUFF_UINT Tq, Tk, Hq, G, dim_flags, window;
    TUFF_FLOAT scale;
    TUFF_UINT q_stride[3], k_stride[3], v_stride[3];
};

/* d_o and the gradients are dense; stats is [B, Hq, Tq, 2]: lse and sum(d_o * o). */
TUFF_STRUCT(tuff_attention_backward_args)
{
    TUFF_ADDRESS(F32) q;
    TUFF_ADDRESS(F32) k;
    TUFF_ADDRESS(F32) v;
    TUFF_ADDRESS(F32) d_o;
    TUFF_ADDRESS(F32) stats;
    TUFF_ADDRESS(I32) start;
    TUFF_ADDRESS(F32) dq_or_dk;
    TUFF_ADDRESS(F32) dv;
    TUFF_UINT Tq, Tk, Hq, G, dim_flags, window;
    TUFF_FLOAT scale;
    TUFF_UINT q_stride[3], k_stride[3], v_stride[3];
};

/* attention_stats.comp: one invocation per query and head. */
TUFF_STRUCT(tuff_attention_stats_args)
{
    TUFF_ADDRESS(F32) o;
    TUFF_ADDRESS(F32) d_o;
    TUFF_ADDRESS(F32) lse;
    TUFF_ADDRESS(F32) stats;
    TUFF_UINT rows, Tq, Hq, dim;
};
