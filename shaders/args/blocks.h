#include "shaders/args.h"

/* Kernels that read weights of block formats, lib/blocks.glsl, have three constants for them: the format's number in
 * base/blocks.def, the elements and the bytes of a block. */
#define TUFF_STORED_Q4_0   0
#define TUFF_STORED_Q4_1   1
#define TUFF_STORED_Q5_0   2
#define TUFF_STORED_Q5_1   3
#define TUFF_STORED_Q8_0   4
#define TUFF_STORED_Q2_K   5
#define TUFF_STORED_Q3_K   6
#define TUFF_STORED_Q4_K   7
#define TUFF_STORED_Q5_K   8
#define TUFF_STORED_Q6_K   9
#define TUFF_STORED_IQ4_NL 10
#define TUFF_STORED_MXFP4  11
