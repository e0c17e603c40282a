#include "shaders/args.h"

/* A piece of one of many tensors: what one workgroup does. */
TUFF_STRUCT(tuff_chunk)
{
    TUFF_UINT slot, at, n;
};

/* grad_norm.comp: parts[i] is the sum of squares of chunk i. */
TUFF_STRUCT(tuff_grad_norm_slot)
{
    TUFF_ADDRESS(F32) x;
};

/* adamw.comp */
TUFF_STRUCT(tuff_adamw_slot_addresses)
{
    TUFF_ADDRESS(F32) param;
    TUFF_ADDRESS(F32) grad;
    TUFF_ADDRESS(F32) m;
    TUFF_ADDRESS(F32) v;
    TUFF_UINT decay, unused;
};

#ifdef TUFF_GLSL
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Chunks {
    tuff_chunk v[];
};
layout(buffer_reference, std430, buffer_reference_align = 8) buffer GradNormSlots {
    tuff_grad_norm_slot v[];
};
layout(buffer_reference, std430, buffer_reference_align = 8) buffer AdamwSlots {
    tuff_adamw_slot_addresses v[];
};
#endif

TUFF_STRUCT(tuff_grad_norm_args)
{
    TUFF_ADDRESS(GradNormSlots) slots;
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

TUFF_STRUCT(tuff_adamw_args)
{
    TUFF_ADDRESS(AdamwSlots) slots;
    TUFF_ADDRESS(Chunks) chunks;
    TUFF_ADDRESS(F32) lr;
    TUFF_ADDRESS(F32) norm;
    TUFF_ADDRESS(F32) state;
    TUFF_FLOAT beta1, one_minus_beta1, beta2, one_minus_beta2, eps, weight_decay, max_norm;
    TUFF_UINT n_chunks;
};
