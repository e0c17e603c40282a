#include "shaders/args.h"

/* fill.comp: y[0..n) = value */
TUFF_STRUCT(tuff_fill_args)
{
    TUFF_ADDRESS(F32) y;
    TUFF_UINT n;
    TUFF_FLOAT value;
};
