/* How kernel arguments are written once for C and GLSL. The structs are in args/<family>.h.
 *
 * Addresses come first, then 32-bit scalars, so that both languages lay a struct out alike (std430 = C). In C an address
 * is a uint64_t; in GLSL it is a buffer reference. Structs travel as push constants, of which every device has 128 bytes;
 * what is larger goes into a table (tuff_launch_data). Arrays of scalars are allowed (std430 stride 4); vectors are not. */
#ifndef TUFF_SHADERS_ARGS_H
#define TUFF_SHADERS_ARGS_H

#ifdef TUFF_GLSL
#define TUFF_ADDRESS(type) type
#define TUFF_UINT          uint
#define TUFF_INT           int
#define TUFF_FLOAT         float
#define TUFF_STRUCT(name)  struct name
#else
#include <stdint.h>
#define TUFF_ADDRESS(type) uint64_t
#define TUFF_UINT          uint32_t
#define TUFF_INT           int32_t
#define TUFF_FLOAT         float
#define TUFF_STRUCT(name)                                                                                     \
    typedef struct name name;                                                                                 \
    struct name
#endif

#endif
