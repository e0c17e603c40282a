/* Layer norm and RMS norm: what descriptors, host loops and geometry share. */
#ifndef TUFF_OPS_NORM_H
#define TUFF_OPS_NORM_H

#include "ir/op.h"

/* Rows summed into one partial result of the gradients of weight and bias. */
enum { TUFF_NORM_PART_ROWS = 32 };

typedef struct tuff_norm_shape {
    int64_t rows, width, parts;
} tuff_norm_shape;
tuff_norm_shape tuff_norm_shape_of(const tuff_node *node);

void tuff_layer_norm_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_layer_norm_backward_host(const tuff_node *node, const void *const *in, void *const *out,
                                   void *scratch);
void tuff_rms_norm_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
void tuff_rms_norm_backward_host(const tuff_node *node, const void *const *in, void *const *out,
                                 void *scratch);
/* Both norms: dweight, and dbias for layer norm. */
void tuff_norm_backward_params_host(const tuff_node *node, const void *const *in, void *const *out,
                                    void *scratch);
size_t tuff_norm_backward_params_scratch(const tuff_node *node);

void tuff_launch_norm(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_norm_backward(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);
void tuff_launch_norm_backward_params(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);

#endif
