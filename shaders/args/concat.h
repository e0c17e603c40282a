#include "shaders/args.h"
#include "shaders/args/limits.h"

/* concat.comp: rows of up to TUFF_CONCAT_MOST inputs side by side, copied into columns `first` and on of rows of `row`
 * elements; tiles of those. end[i]: the column behind input i's last, counted from `first`. */
#define TUFF_CONCAT_MOST 4
TUFF_STRUCT(tuff_concat_args)
{
    TUFF_ADDRESS(U32) x0;
    TUFF_ADDRESS(U32) x1;
    TUFF_ADDRESS(U32) x2;
    TUFF_ADDRESS(U32) x3;
    TUFF_ADDRESS(U32) y;
    TUFF_UINT tile[4];
    TUFF_UINT end[TUFF_CONCAT_MOST];
    TUFF_UINT first, row;
};
