#include "shaders/args.h"

/* embedding.comp: tiles of looked-up rows and columns; of a table stored by the block with -DTUFF_BLOCKS=1.
 */
#define TUFF_TABLE_F32  0
#define TUFF_TABLE_F16  1
#define TUFF_TABLE_BF16 2
TUFF_STRUCT(tuff_embedding_args)
{
    TUFF_ADDRESS(U32) table; /* lowered to a word boundary */
    TUFF_ADDRESS(I32) ids;
    TUFF_ADDRESS(F32) y;
    TUFF_UINT tile[4];
    TUFF_UINT vocabulary; /* rows of the table */
    TUFF_UINT stored;     /* type of the table, but for blocks */
    TUFF_UINT first;      /* between `table` and its first row: 0 or 1 elements, of blocks 0 to 3 bytes */
};

/* embedding_backward.comp: tiles of distinct rows and columns; the grid covers as many as there may be. */
TUFF_STRUCT(tuff_embedding_backward_args)
{
    TUFF_ADDRESS(F32) accumulator;
    TUFF_ADDRESS(F32) dy;
    TUFF_ADDRESS(I32) index; /* see tuff_embedding_index */
    TUFF_UINT tile[4];
    TUFF_UINT vocabulary;
};
