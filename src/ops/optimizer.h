/* The optimizer ops: what descriptors, host loops and geometry share. */
#ifndef TUFF_OPS_OPTIMIZER_H
#define TUFF_OPS_OPTIMIZER_H

#include "ir/op.h"

/* Tensors are taken in pieces of this many elements: one workgroup, or one item of a thread, each. */
enum { TUFF_OPTIMIZER_CHUNK = 16384 };

/* Inputs of adamw before its slots: lr, norm, state. Then per slot: parameter, gradient, m, v. */
enum { TUFF_ADAMW_FIRST = 3, TUFF_ADAMW_STRIDE = 4 };

/* Chunks of input i, and of inputs first, first + stride, ... together. */
int64_t tuff_chunks_of(const tuff_node *node, int i);
int64_t tuff_total_chunks(const tuff_node *node, int first, int stride);

void tuff_accumulate_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_grad_norm_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
size_t tuff_grad_norm_scratch(const tuff_node *node);
void tuff_optimizer_step_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_adamw_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);

void tuff_launch_accumulate(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_grad_norm(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_optimizer_step(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_adamw(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);

#endif
