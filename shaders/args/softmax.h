#include "shaders/args.h"

/* softmax.comp: `lanes` invocations, a power of two, per row; y may be x. */
TUFF_STRUCT(tuff_softmax_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT rows, width, lanes;
};

/* softmax_backward.comp: dx may be y or dy. */
TUFF_STRUCT(tuff_softmax_backward_args)
{
    TUFF_ADDRESS(F32) y;
    TUFF_ADDRESS(F32) dy;
    TUFF_ADDRESS(F32) dx;
    TUFF_UINT rows, width, lanes;
};
