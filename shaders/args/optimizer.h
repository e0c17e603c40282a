#include "shaders/args.h"

/* A piece of one of many tensors: what one workgroup does. */
TUFF_STRUCT(tuff_chunk)
{
    TUFF_UINT slot, at, n;
};

/* Tables of addresses, which shaders read as words with TUFF_ADDRESS_AT. */
#ifndef TUFF_GLSL
typedef struct tuff_grad_norm_slot {
    uint64_t x;
} tuff_grad_norm_slot;
typedef struct tuff_update_slot {
    uint64_t param, grad, states[2]; /* 0: the optimizer has fewer */
    float rate, decay;               /* times the learning rate; weight decay */
} tuff_update_slot;
#endif
#define TUFF_UPDATE_SLOT_WORDS 10

#ifdef TUFF_GLSL
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Chunks
{
    tuff_chunk v[];
};
#endif

/* grad_norm.comp: parts[i] is the sum of squares of chunk i. */
TUFF_STRUCT(tuff_grad_norm_args)
{
    TUFF_ADDRESS(U32) slots; /* of tuff_grad_norm_slot */
    TUFF_ADDRESS(Chunks) chunks;
    TUFF_ADDRESS(F32) parts;
    TUFF_UINT n_chunks, unused;
};

/* grad_norm_join.comp: the root of the sum of the parts, by one workgroup. */
TUFF_STRUCT(tuff_grad_norm_join_args)
{
    TUFF_ADDRESS(F32) parts;
    TUFF_ADDRESS(F32) norm;
    TUFF_UINT n_parts, unused;
};

/* optimizer_step.comp, by one invocation. */
TUFF_STRUCT(tuff_optimizer_step_args)
{
    TUFF_ADDRESS(F32) state;
    TUFF_ADDRESS(F32) norm;
    TUFF_FLOAT one_minus_beta1, one_minus_beta2;
};

/* adamw.comp */
TUFF_STRUCT(tuff_adamw_args)
{
    TUFF_ADDRESS(U32) slots; /* of tuff_update_slot */
    TUFF_ADDRESS(Chunks) chunks;
    TUFF_ADDRESS(F32) lr;
    TUFF_ADDRESS(F32) norm;
    TUFF_ADDRESS(F32) state;
    TUFF_FLOAT beta1, one_minus_beta1, beta2, one_minus_beta2, eps, max_norm;
    TUFF_UINT n_chunks, unused;
};

/* sgd.comp */
TUFF_STRUCT(tuff_sgd_args)
{
    TUFF_ADDRESS(U32) slots; /* of tuff_update_slot, without states where there is no momentum */
    TUFF_ADDRESS(Chunks) chunks;
    TUFF_ADDRESS(F32) lr;
    TUFF_ADDRESS(F32) norm;
    TUFF_FLOAT momentum, max_norm;
    TUFF_UINT nesterov, n_chunks;
};

/* lion.comp */
TUFF_STRUCT(tuff_lion_args)
{
    TUFF_ADDRESS(U32) slots; /* of tuff_update_slot */
    TUFF_ADDRESS(Chunks) chunks;
    TUFF_ADDRESS(F32) lr;
    TUFF_ADDRESS(F32) norm;
    TUFF_FLOAT beta1, one_minus_beta1, beta2, one_minus_beta2, max_norm;
    TUFF_UINT n_chunks;
};

/* momentum.comp: momentum in place, direction. */
TUFF_STRUCT(tuff_momentum_args)
{
    TUFF_ADDRESS(F32) momentum;
    TUFF_ADDRESS(F32) grad;
    TUFF_ADDRESS(F32) norm;
    TUFF_ADDRESS(F32) direction;
    TUFF_FLOAT beta, one_minus_beta, max_norm;
    TUFF_UINT nesterov, n, unused;
};
