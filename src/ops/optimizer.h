/* The optimizer ops: what descriptors, host loops and geometry share. */
#ifndef TUFF_OPS_OPTIMIZER_H
#define TUFF_OPS_OPTIMIZER_H

#include "ir/op.h"

/* Tensors are taken in pieces of this many elements: one workgroup, or one item of a thread, each. */
enum { TUFF_OPTIMIZER_CHUNK = 16384 };

/* How an optimizer's inputs lie: before its slots lr and norm, for AdamW the step's state too. Then per slot:
 * parameter, gradient and its states. Its outputs are, per slot, parameter and states. */
typedef struct tuff_update {
    int first, states, slots;
} tuff_update;
tuff_update tuff_update_of(const tuff_node *node);
/* Of a slot: the input that is its parameter (the gradient is the next one, then the states), the output that
 * is its parameter. */
static inline int tuff_update_in(const tuff_update *u, int slot)
{
    return u->first + slot * (2 + u->states);
}
static inline int tuff_update_out(const tuff_update *u, int slot)
{
    return slot * (1 + u->states);
}

/* The group of a slot, as a caller gives it; `weight_decay` is that of the whole step. */
tuff_status tuff_update_group_of(bool decay, double lr_scale, double own, double weight_decay,
                                 tuff_update_group *out);

/* Chunks of input i, and of inputs first, first + stride, ... together. */
int64_t tuff_chunks_of(const tuff_node *node, int i);
int64_t tuff_total_chunks(const tuff_node *node, int first, int stride);

/* The factor on gradients, as torch.nn.utils.clip_grad_norm_ has it. */
double tuff_clip_of(double norm, double max);

/* For infer: a scalar norm and the state of steps at these inputs; AdamW's settings. */
tuff_status tuff_expect_step(const tuff_node *node, int norm, int state);
tuff_status tuff_check_adamw(const tuff_node *node);

/* What both AdamWs have in their kernel's arguments, by the same names: addresses of what comes before the
 * slots, and numbers of the settings. */
#define TUFF_ADAMW_ARGS(node, launch, args)                                   \
    do {                                                                      \
        const tuff_adamw_params *tuff_a = &(node)->attrs.adamw;               \
        tuff_launch_address((launch), &(args)->lr, TUFF_OPERAND_IN, 0, 0);    \
        tuff_launch_address((launch), &(args)->norm, TUFF_OPERAND_IN, 1, 0);  \
        tuff_launch_address((launch), &(args)->state, TUFF_OPERAND_IN, 2, 0); \
        (args)->beta1 = (float)tuff_a->beta1;                                 \
        (args)->one_minus_beta1 = (float)(1 - tuff_a->beta1);                 \
        (args)->beta2 = (float)tuff_a->beta2;                                 \
        (args)->one_minus_beta2 = (float)(1 - tuff_a->beta2);                 \
        (args)->eps = (float)tuff_a->eps;                                     \
        (args)->max_norm = (float)tuff_a->max_grad_norm;                      \
    } while (0)
typedef struct tuff_chunk tuff_chunk; /* shaders/args/optimizer.h */
/* The table of the chunks of inputs first, first + stride, ... as slots 0, 1, .... */
void tuff_fill_chunks(const tuff_node *node, int first, int stride, tuff_chunk *chunks);

void tuff_accumulate_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_grad_norm_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
size_t tuff_grad_norm_scratch(const tuff_node *node);
void tuff_optimizer_step_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_adamw_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_sgd_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_lion_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);

void tuff_launch_accumulate(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_grad_norm(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_optimizer_step(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_adamw(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_sgd(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_lion(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);

#endif
