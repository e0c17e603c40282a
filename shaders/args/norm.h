#include "shaders/args.h"

/* norm.comp (-DTUFF_RMS=1: RMS norm, which has no bias and no mean): `lanes` invocations, a power of two, per row. */
TUFF_STRUCT(tuff_norm_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) weight;
    TUFF_ADDRESS(F32) bias;
    TUFF_ADDRESS(F32) y;
    TUFF_ADDRESS(F32) mean;
    TUFF_ADDRESS(F32) rstd;
    TUFF_UINT rows, width, lanes;
    TUFF_FLOAT eps;
};

/* norm_backward.comp: the gradient of x, plus the addend where there is one (`adds`); dx may be dy, x or it. */
TUFF_STRUCT(tuff_norm_backward_args)
{
    TUFF_ADDRESS(F32) dy;
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) weight;
    TUFF_ADDRESS(F32) mean;
    TUFF_ADDRESS(F32) rstd;
    TUFF_ADDRESS(F32) dx;
    TUFF_ADDRESS(F32) addend;
    TUFF_UINT rows, width, lanes, adds;
};

/* norm_params.comp: the gradients of weight and bias, summed over parts of `per_part` rows: [parts, width] each. */
TUFF_STRUCT(tuff_norm_params_args)
{
    TUFF_ADDRESS(F32) dy;
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) mean;
    TUFF_ADDRESS(F32) rstd;
    TUFF_ADDRESS(F32) dweight;
    TUFF_ADDRESS(F32) dbias;
    TUFF_UINT rows, width, per_part, parts;
};
