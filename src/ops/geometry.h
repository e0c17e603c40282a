/* Grids that several families share. */
#ifndef TUFF_OPS_GEOMETRY_H
#define TUFF_OPS_GEOMETRY_H

#include "ir/op.h"
#include "shaders/args/limits.h"

/* Elements past which a dense array takes another dispatch, so that 32-bit indices hold: a multiple of every
 * group's share. */
#define TUFF_FLAT_PART (INT64_C(1) << 30)

/* For dispatches over dense arrays: for (int64_t at = 0; at < n; at += TUFF_FLAT_PART). */
uint32_t tuff_flat_count(int64_t n, int64_t at);
/* Groups for `items` items, TUFF_FLAT_STEPS per invocation. */
void tuff_launch_flat(tuff_launch *launch, const tuff_caps *caps, uint64_t items);

/* Dispatches that write n zeros, of 32 bits, into the first result or scratch memory, from byte `first` on.
 */
void tuff_launch_zeros(tuff_launch *launch, const tuff_caps *caps, tuff_operand_kind kind, uint64_t first,
                       int64_t n);

/* Groups and the argument `tile` of a kernel of lib/tiles.glsl. */
void tuff_launch_tiles(tuff_launch *launch, const tuff_caps *caps, int64_t rows, int64_t columns,
                       uint32_t tile[4]);

/* Invocations of a workgroup that adds up: narrow devices pay for every barrier. */
uint32_t tuff_reduce_group(const tuff_caps *caps);
/* How many of them, a power of two, share one of several sums of n terms. */
uint32_t tuff_reduce_lanes(const tuff_caps *caps, int64_t n);

/* Of a kernel with some invocations, a power of two, for each of `rows` sums of n terms: the workgroup
 * (constant 0) and the grid. Returns how many. */
uint32_t tuff_launch_rows(tuff_launch *launch, const tuff_caps *caps, int64_t rows, int64_t n);

/* The address of input i, which may have elements smaller than a word, lowered to a word boundary. Returns
 * how far after it the input begins: 0 or 1 halves, of blocks 0 to 3 bytes. */
uint32_t tuff_launch_stored(tuff_launch *launch, uint64_t *field, const tuff_node *node, int i);
/* The three constants of shaders/lib/blocks.glsl where `dtype` is stored by the block, else none. */
void tuff_launch_block(tuff_launch *launch, tuff_dtype dtype);

/* True when every operand's elements lie within 2^31 of its first: 32-bit indices reach all. */
bool tuff_match_32(const tuff_node *node, const tuff_caps *caps);

#endif
