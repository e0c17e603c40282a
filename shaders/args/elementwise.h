#include "shaders/args.h"
#include "shaders/args/limits.h"

#define TUFF_BINARY_ADD   0
#define TUFF_BINARY_MUL   1
#define TUFF_BINARY_SCALE 2 /* a * factor; b is not read */

/* elementwise.comp: dense operands of one shape; y may be a or b. Constant 0: TUFF_BINARY_*. */
TUFF_STRUCT(tuff_elementwise_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(F32) b;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT n;
    TUFF_FLOAT factor;
};

/* elementwise_strided.comp: any strides, y dense. Tiles of rows [dim0, dim1, dim2] and columns. */
TUFF_STRUCT(tuff_elementwise_strided_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(F32) b;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT op;
    TUFF_UINT tile[4];
    TUFF_UINT dim1, dim2;
    TUFF_UINT a_stride[4], b_stride[4];
};
