/* Numbers that kernels and their geometry agree on. */
#ifndef TUFF_SHADERS_LIMITS_H
#define TUFF_SHADERS_LIMITS_H

#define TUFF_FLAT_GROUP   128 /* invocations of a kernel over a dense array, */
#define TUFF_FLAT_STEPS   4   /* and elements of each */
#define TUFF_TILE_GROUP   128
#define TUFF_TILE_STEPS   8
#define TUFF_REDUCE_GROUP 128 /* at most: it is a specialization constant */

#endif
