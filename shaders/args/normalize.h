#include "shaders/args.h"

/* Rows whose squares are not finite are taken times this: then those of every number are. */
#define TUFF_NORMALIZE_UNIT 1.2621774483536189e-29f /* 2^-96 */

/* normalize.comp: `lanes` invocations, a power of two, per row; y may be x, and the gradient's dy. */
TUFF_STRUCT(tuff_normalize_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) dy; /* the gradient's */
    TUFF_ADDRESS(F32) y;
    TUFF_UINT rows, width, lanes;
    TUFF_FLOAT eps;
};
