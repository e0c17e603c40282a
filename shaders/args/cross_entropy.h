#include "shaders/args.h"

#define TUFF_LABEL_IGNORED -100

/* cross_entropy.comp: log-sum-exp and loss of each row, `lanes` invocations, a power of two, per row. */
TUFF_STRUCT(tuff_cross_entropy_args)
{
    TUFF_ADDRESS(F32) logits;
    TUFF_ADDRESS(I32) labels;
    TUFF_ADDRESS(F32) lse;
    TUFF_ADDRESS(F32) losses; /* of each row, 0 where the label is ignored */
    TUFF_UINT rows, classes, lanes;
    TUFF_FLOAT smoothing; /* the part of a label's weight that all classes share */
};

/* cross_entropy_join.comp: one workgroup; the mean of the rows' losses, or their sum. */
TUFF_STRUCT(tuff_cross_entropy_join_args)
{
    TUFF_ADDRESS(I32) labels;
    TUFF_ADDRESS(F32) losses;
    TUFF_ADDRESS(F32) loss;
    TUFF_ADDRESS(F32) count;
    TUFF_UINT rows, sum;
};

/* cross_entropy_backward.comp: tiles of rows and classes; d_logits may be logits. d_step is 1 where each row has a
 * d_loss, else 0. */
TUFF_STRUCT(tuff_cross_entropy_backward_args)
{
    TUFF_ADDRESS(F32) logits;
    TUFF_ADDRESS(I32) labels;
    TUFF_ADDRESS(F32) lse;
    TUFF_ADDRESS(F32) count;
    TUFF_ADDRESS(F32) d_loss;
    TUFF_ADDRESS(F32) d_logits;
    TUFF_UINT tile[4], d_step;
    TUFF_FLOAT own, rest; /* what smoothing adds to the label's part, and takes from the others' */
};
