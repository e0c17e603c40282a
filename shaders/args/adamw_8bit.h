#include "shaders/args.h"

#define TUFF_ADAMW_8BIT_LANES 64 /* invocations; each has four elements of a block */

/* A table that shaders read as words: a slot's tensors, its group's rate and decay. The other is of tuff_chunk
 * (args/optimizer.h), whole blocks. */
#ifndef TUFF_GLSL
typedef struct tuff_adamw_8bit_entry {
    uint64_t param, grad, moments[2], scales[2];
    float rate, decay;
} tuff_adamw_8bit_entry;
#endif
#define TUFF_ADAMW_8BIT_ENTRY_WORDS 14
#define TUFF_CHUNK_8BIT_WORDS       3

/* adamw_8bit.comp */
TUFF_STRUCT(tuff_adamw_8bit_args)
{
    TUFF_ADDRESS(U32) slots;
    TUFF_ADDRESS(F32) maps; /* what bytes of the first, then of the second moment stand for */
    TUFF_ADDRESS(U32) chunks;
    TUFF_ADDRESS(F32) lr;
    TUFF_ADDRESS(F32) norm;
    TUFF_ADDRESS(F32) state;
    TUFF_FLOAT beta1, one_minus_beta1, beta2, one_minus_beta2, eps, max_norm;
    TUFF_UINT n_chunks, unused;
};
