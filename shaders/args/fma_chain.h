#include "shaders/args.h"

#define TUFF_FMA_CHAINS 8

/* fma_chain.comp: y[0..n) = sums of chains of x[0..n) */
TUFF_STRUCT(tuff_fma_chain_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT n;
    TUFF_UINT rounds;
};
