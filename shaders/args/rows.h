#include "shaders/args.h"
#include "shaders/args/limits.h"

/* gather_rows.comp: tiles of the result. */
TUFF_STRUCT(tuff_gather_rows_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(I32) rows;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT tile[4];
    TUFF_UINT n; /* rows of x */
};

/* scatter_links.comp: TUFF_SCATTER_EACH of `count` row numbers an invocation. Writes into zeros: links[2 i] is 1 where i
 * is the first of its number; links[2 i + 1] is the next of the same number. Numbers other than 0 .. n - 1 have none. */
#define TUFF_SCATTER_EACH 4
TUFF_STRUCT(tuff_scatter_links_args)
{
    TUFF_ADDRESS(I32) rows;
    TUFF_ADDRESS(U32) links;
    TUFF_UINT count, n;
};

/* scatter_rows.comp: tiles of x; the first of each row number follows the links and writes the sum. */
TUFF_STRUCT(tuff_scatter_rows_args)
{
    TUFF_ADDRESS(F32) x;
    TUFF_ADDRESS(I32) rows;
    TUFF_ADDRESS(U32) links;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT tile[4];
};
