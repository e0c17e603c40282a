#include "shaders/args.h"

/* sum_rows.comp and sum_columns.comp: y[k] is the sum over r of x at the positions of k and r; parts of `per_part` terms
 * go to y of their own: y[k * parts + part] by rows, y[part * n_kept + k] by columns.
 * Constants: (by rows) the workgroup, then whether all kept, and all summed, elements lie on the last axis. */
TUFF_STRUCT(tuff_sum_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT n_kept, n_summed;
    TUFF_UINT per_part, parts;
    TUFF_UINT lanes; /* by rows: invocations per sum, a power of two */
    TUFF_UINT kept[4], kept_stride[4];
    TUFF_UINT summed[4], summed_stride[4];
};
