#include "shaders/args.h"
#include "shaders/args/limits.h"

#define TUFF_TOP_K_MOST 1024 /* the largest k */
#define TUFF_TOP_K_PART 4096 /* elements at most that one group looks through: a power of two, twice k at least */

/* argmax.comp: `lanes` invocations, a power of two, for each of `parts` parts of each row.
 * Constants: the workgroup; whether x is what is looked through, not what parts have found; whether this round is the last,
 * which writes places only. */
TUFF_STRUCT(tuff_argmax_args)
{
    TUFF_ADDRESS(U32) x;        /* the first round: floats, then keys */
    TUFF_ADDRESS(U32) x_places; /* of those keys */
    TUFF_ADDRESS(U32) keys;     /* [rows, parts] */
    TUFF_ADDRESS(U32) places;
    TUFF_UINT rows, width, parts, lanes;
};

/* top_k.comp: a workgroup for each of `parts` parts of each row, of k elements at least.
 * Constants: whether x is what is looked through, not what parts have found; whether this round is the last, which sorts. */
TUFF_STRUCT(tuff_top_k_args)
{
    TUFF_ADDRESS(U32) x;        /* floats */
    TUFF_ADDRESS(U32) x_places; /* of these, after the first round */
    TUFF_ADDRESS(U32) values;   /* [rows, parts, k] */
    TUFF_ADDRESS(U32) places;
    TUFF_UINT rows, width, parts, k;
};

/* top_k_backward.comp: the gradients of n values, k of each row, go to their places in zeros. */
TUFF_STRUCT(tuff_top_k_backward_args)
{
    TUFF_ADDRESS(F32) dy;
    TUFF_ADDRESS(I32) places;
    TUFF_ADDRESS(F32) dx;
    TUFF_UINT n, width, k;
};
