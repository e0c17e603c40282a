#include "shaders/args.h"
#include "shaders/args/limits.h"

/* pad.comp: rows of `within` elements placed at `before` into rows of `columns`, the rest zero. */
TUFF_STRUCT(tuff_pad_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT tile[4];
    TUFF_UINT before, within;
};
