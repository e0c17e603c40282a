#include "shaders/args.h"

/* dropout.comp: y = x * (0 or factor), plus the addend where there is one (`adds`); y may be x or it. An invocation makes the four elements of one Philox counter. */
TUFF_STRUCT(tuff_dropout_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) y;
    TUFF_ADDRESS(U32) seed; /* {low, high, step} */
    TUFF_ADDRESS(F32) addend;
    TUFF_UINT n;
    TUFF_UINT position_low, position_high; /* counter of element 0 */
    TUFF_UINT stream, threshold;
    TUFF_UINT adds;
    TUFF_FLOAT factor;
};

/* uniform.comp: y = uniform numbers in [-1, 1), drawn in the same way. */
TUFF_STRUCT(tuff_uniform_args)
{
    TUFF_ADDRESS(F32) y;
    TUFF_ADDRESS(U32) seed; /* {low, high, step} */
    TUFF_UINT n;
    TUFF_UINT position_low, position_high; /* counter of element 0 */
    TUFF_UINT stream;
};
