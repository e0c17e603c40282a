#include "shaders/args.h"
#include "shaders/args/limits.h"

/* unary.comp; constant 0 says which. The gradients of exp, sqrt and rsqrt are made from the result, the others from x. */
#define TUFF_UNARY_EXP     0
#define TUFF_UNARY_LN      1
#define TUFF_UNARY_TANH    2
#define TUFF_UNARY_SIGMOID 3
#define TUFF_UNARY_RELU    4
#define TUFF_UNARY_SQRT    5
#define TUFF_UNARY_RSQRT   6
#define TUFF_UNARY_ABS     7

/* kept: x, or for gradients what they are made from; d: the gradient of the result, not read forward. y may be either. */
TUFF_STRUCT(tuff_unary_args)
{
    TUFF_ADDRESS(F32) kept;
    TUFF_ADDRESS(F32) d;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT n;
};
