#include "shaders/args.h"
#include "shaders/args/limits.h"

/* The kernels of group_rows. Keys are the groups 0 to n - 1 of places, n for what is in none. `order` is
 * {starts[n + 1], rows[places]}. */

/* group_few.comp: all by one workgroup. */
#define TUFF_GROUP_FEW 512 /* places at most */
TUFF_STRUCT(tuff_group_few_args)
{
    TUFF_ADDRESS(I32) groups;
    TUFF_ADDRESS(I32) order;
    TUFF_UINT places, n;
};

/* group_count.comp: each workgroup has a block of places. Writes how many places before each one of its block
 * have its key, and into zeros, [blocks, n + 1], how many of the block have each key. */
#define TUFF_GROUP_EACH  4
#define TUFF_GROUP_BLOCK (TUFF_FLAT_GROUP * TUFF_GROUP_EACH)
TUFF_STRUCT(tuff_group_count_args)
{
    TUFF_ADDRESS(I32) groups;
    TUFF_ADDRESS(U32) before;
    TUFF_ADDRESS(U32) counts;
    TUFF_UINT places, n;
};

/* group_starts.comp: one workgroup. Writes the starts, and in place of the counts how many are in the blocks
 * before. */
TUFF_STRUCT(tuff_group_starts_args)
{
    TUFF_ADDRESS(U32) counts;
    TUFF_ADDRESS(I32) order;
    TUFF_UINT blocks, n;
};

/* group_place.comp: the places go where they belong. */
TUFF_STRUCT(tuff_group_place_args)
{
    TUFF_ADDRESS(I32) groups;
    TUFF_ADDRESS(U32) before;
    TUFF_ADDRESS(U32) counts;
    TUFF_ADDRESS(I32) order;
    TUFF_UINT places, n;
};
