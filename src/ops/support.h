/* What the op families share: checks with their error texts, dense operands, loops over strided tensors. */
#ifndef TUFF_OPS_SUPPORT_H
#define TUFF_OPS_SUPPORT_H

#include "ir/op.h"

/* On a loop whose iterations touch only their own elements, also when an output is an input. */
#if defined(__clang__)
#define TUFF_LANES _Pragma("clang loop vectorize(assume_safety)")
#pragma clang diagnostic ignored "-Wpass-failed" /* a build without optimization need not vectorize */
#elif defined(__GNUC__)
#define TUFF_LANES _Pragma("GCC ivdep")
#else
#define TUFF_LANES
#endif

/* ---- for infer ---- */

/* Fails unless input i (called `what` in the text) has this element type. */
tuff_status tuff_expect_dtype(const tuff_node *node, int i, const char *what, tuff_dtype dtype);
/* Fails unless input i has this shape. */
tuff_status tuff_expect_shape(const tuff_node *node, int i, const char *what, const tuff_shape *shape);
/* Fails unless input i is contiguous; builders copy, so this is for operands that are updated or hand-made.
 */
tuff_status tuff_expect_contiguous(const tuff_node *node, int i, const char *what);
/* f32, of this shape (NULL: any), contiguous. */
tuff_status tuff_expect_dense(const tuff_node *node, int i, const char *what, const tuff_shape *shape);
/* Sets shape and dtype of output o. */
void tuff_set_out(tuff_node *node, int o, const tuff_shape *shape, tuff_dtype dtype);

/* ---- for builders ---- */

/* x if it is contiguous, else a contiguous copy; NULL stays NULL. */
tuff_tensor *tuff_dense(tuff_graph *g, tuff_tensor *x);
/* Checks rank and dims that a caller gave. False: the graph has failed. */
bool tuff_shape_given(tuff_graph *g, const char *builder, int rank, const int64_t *dims, tuff_shape *out);
/* axis from -rank..rank-1 to 0..rank-1. False: the graph has failed. */
bool tuff_axis_given(tuff_graph *g, const char *builder, const tuff_tensor *x, int *axis);
/* Output o of the node that made `first`, NULL for NULL. */
tuff_tensor *tuff_output_of(tuff_tensor *first, int o);

/* ---- strided loops ---- */

#define TUFF_LOOP_OPERANDS 3
/* A common index space of up to three operands with neighbouring axes merged where all strides allow: dim[3]
 * is the innermost. Operand 0 is the one whose elements are visited in row-major order. */
typedef struct tuff_loop {
    int64_t dim[4];
    int64_t stride[TUFF_LOOP_OPERANDS][4];
    int64_t count;
} tuff_loop;
tuff_loop tuff_loop_of(const tuff_dims4 *const *operands, int n);

/* A piece of one innermost row: n elements, operand k's first at[k] elements from its pointer. */
typedef struct tuff_run {
    int64_t n, at[TUFF_LOOP_OPERANDS], stride[TUFF_LOOP_OPERANDS];
} tuff_run;
typedef void (*tuff_run_fn)(const void *context, const tuff_run *run);
/* Calls fn for pieces that cover the loop, on all threads. */
void tuff_loop_runs(const tuff_loop *loop, tuff_run_fn fn, const void *context);
/* The loop of an output and up to two inputs broadcast to it. */
tuff_loop tuff_loop_over(const tuff_tensor *y, const tuff_tensor *a, const tuff_tensor *b);

/* Items per thread that are worth waking one, where an item is `elements` elements of memory-bound work. */
static inline int64_t tuff_grain(int64_t elements)
{
    return elements >= 16384 ? 1 : 16384 / elements;
}

#endif
