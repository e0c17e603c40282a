#include "shaders/args.h"

/* activation.comp, compiled once per TUFF_ACTIVATION. x, or the gate of swiglu, and up are the operation's inputs; d is
 * the gradient of its result. out2 is the gradient of up. An output may be an input. */
#define TUFF_GELU_TANH          0
#define TUFF_GELU_TANH_BACKWARD 1
#define TUFF_GELU_ERF           2
#define TUFF_GELU_ERF_BACKWARD  3
#define TUFF_SILU               4
#define TUFF_SILU_BACKWARD      5
#define TUFF_SWIGLU             6
#define TUFF_SWIGLU_BACKWARD    7
TUFF_STRUCT(tuff_activation_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) up;
    TUFF_ADDRESS(F32) d;
    TUFF_ADDRESS(F32) out1;
    TUFF_ADDRESS(F32) out2;
    TUFF_UINT n;
};
