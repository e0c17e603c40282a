/* The most arithmetic that a device does: what `tuff bench` takes for its peak. */
#ifndef TUFF_OPS_FMA_CHAIN_H
#define TUFF_OPS_FMA_CHAIN_H

#include <tuff/graph.h>

/* x f32, any shape. An element of the result is the sum of TUFF_FMA_CHAINS chains, each of `rounds` steps
 * c = c * c - 1/4 that wait for one another, from c = x + j / 16 on. Elements from -1/2 to 1/2 converge, so
 * that no step is of a denormal or infinite number. Not differentiable. rounds: 1 to 2^20. */
tuff_tensor *tuff_fma_chain(tuff_graph *g, tuff_tensor *x, int64_t rounds);

#endif
