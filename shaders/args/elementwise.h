#include "shaders/args.h"
#include "shaders/args/limits.h"

#define TUFF_BINARY_ADD     0
#define TUFF_BINARY_MUL     1
#define TUFF_BINARY_SCALE   2 /* a * factor; b is not read; dense only */
#define TUFF_BINARY_SUB     3
#define TUFF_BINARY_DIV     4
#define TUFF_BINARY_MAXIMUM 5
#define TUFF_BINARY_MINIMUM 6
#define TUFF_BINARY_GREATER 7 /* 1 where a > b, 0.5 where they are equal, else 0; NaN where one is */

/* elementwise.comp: dense operands of one shape; y may be a or b. Constant 0: TUFF_BINARY_*. */
TUFF_STRUCT(tuff_elementwise_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(F32) b;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT n;
    TUFF_FLOAT factor;
};

/* elementwise_strided.comp: any strides, y dense. Tiles of rows [dim0, dim1, dim2] and columns. Constant 0: TUFF_BINARY_*. */
TUFF_STRUCT(tuff_elementwise_strided_args)
{
    TUFF_ADDRESS(F32) a;
    TUFF_ADDRESS(F32) b;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT tile[4];
    TUFF_UINT dim1, dim2;
    TUFF_UINT a_stride[4], b_stride[4];
};
