#include "shaders/args.h"
#include "shaders/args/limits.h"

/* segment.comp: a workgroup has TUFF_SEGMENT_COLUMNS columns of one segment; TUFF_SEGMENT_LANES invocations share the
 * rows of a column. */
#define TUFF_SEGMENT_COLUMNS 32
#define TUFF_SEGMENT_LANES   4
TUFF_STRUCT(tuff_segment_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(I32) segments;
    TUFF_ADDRESS(F32) y;
    TUFF_ADDRESS(I32) at; /* the maximum only: the row that has it, -1 of an empty segment */
    TUFF_UINT count;         /* of segments */
    TUFF_UINT rows, columns; /* of x */
    TUFF_UINT blocks;        /* of columns */
    TUFF_UINT by_position;   /* the mean only: weights 1, 2, 3, ... */
};

/* segment_find.comp: TUFF_SEGMENT_EACH rows an invocation; found[2 r], found[2 r + 1]: the first and the last segment that
 * have row r, 1 and 0 where none has. */
#define TUFF_SEGMENT_EACH 4
TUFF_STRUCT(tuff_segment_find_args)
{
    TUFF_ADDRESS(I32) segments;
    TUFF_ADDRESS(U32) found;
    TUFF_UINT count, rows;
};

/* segment_backward.comp: tiles of rows and columns of dx. */
TUFF_STRUCT(tuff_segment_backward_args)
{
    TUFF_ADDRESS(F32) dy;
    TUFF_ADDRESS(I32) segments;
    TUFF_ADDRESS(I32) at;
    TUFF_ADDRESS(U32) found;
    TUFF_ADDRESS(F32) dx;
    TUFF_UINT tile[4];
    TUFF_UINT by_position;
};
