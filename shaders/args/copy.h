#include "shaders/args.h"
#include "shaders/args/limits.h"

/* copy_words.comp: a strided tensor of 32-bit elements becomes dense. Tiles of rows [dim0, dim1, dim2] and
 * columns. */
TUFF_STRUCT(tuff_copy_words_args)
{
    TUFF_ADDRESS(U32) x;
    TUFF_ADDRESS(U32) y;
    TUFF_UINT tile[4];
    TUFF_UINT dim1, dim2;
    TUFF_UINT stride[4];
};

/* copy_cast.comp: copies and conversions where one side has 16-bit elements, with -DTUFF_BLOCKS=1 from
 * blocks. One invocation per 32-bit word of y. Constants: 0 the type of x, 1 that of y (TUFF_CAST_*), 2
 * whether x is contiguous, so that dim and stride are not needed; from 3 on those of blocks, in which case 0
 * has no meaning. */
#define TUFF_CAST_F32  0
#define TUFF_CAST_F16  1
#define TUFF_CAST_BF16 2
TUFF_STRUCT(tuff_copy_cast_args)
{
    TUFF_ADDRESS(U32) x; /* lowered to a word boundary */
    TUFF_ADDRESS(U32) y;
    TUFF_UINT first; /* between x and the tensor: 0 or 1 elements, of blocks 0 to 3 bytes */
    TUFF_UINT n;     /* elements of y */
    TUFF_UINT dim[4], stride[4];
};
