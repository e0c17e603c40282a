#include "shaders/args.h"

/* rope.comp: tiles of rows [N * H] and columns: pairs, then the dims that do not rotate. y may be x. */
TUFF_STRUCT(tuff_rope_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) cosine;
    TUFF_ADDRESS(F32) sine;
    TUFF_ADDRESS(I32) positions;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT tile[4];
    TUFF_UINT heads, dim, pairs;
    TUFF_UINT limit;     /* positions in the tables */
    TUFF_UINT stride[2]; /* of x: token, head */
    TUFF_FLOAT sign;     /* of the angle */
};
