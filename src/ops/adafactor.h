/* Adafactor: what its descriptor, host loops and geometry share. A parameter is a stack of matrices, a vector
 * one of a single column. Matrices are taken in bands of rows. */
#ifndef TUFF_OPS_ADAFACTOR_H
#define TUFF_OPS_ADAFACTOR_H

#include "ir/op.h"

/* The inputs before the slots: lr, norm and the step's state. A slot's: parameter, gradient, squares by row
 * and by column, and with a beta1 the mean of steps; its outputs are all of these but the gradient. */
enum { TUFF_ADAFACTOR_FIRST = 3 };

/* A slot's parameter. */
typedef struct tuff_factored {
    int in, out; /* its number among inputs and outputs */
    int64_t stack, rows, columns;
    int64_t band;  /* rows of one */
    int64_t bands; /* of one matrix */
} tuff_factored;

int tuff_adafactor_width(const tuff_node *node);
int tuff_adafactor_count(const tuff_node *node);
tuff_factored tuff_adafactor_slot_of(const tuff_node *node, int slot);

void tuff_adafactor_host(const tuff_node *node, const void *const *in, void *const *out, void *scratch);
size_t tuff_adafactor_scratch(const tuff_node *node);
void tuff_launch_adafactor(const tuff_node *node, const tuff_caps *caps, tuff_launch *launch);

#endif
