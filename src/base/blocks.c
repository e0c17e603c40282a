/* The list of block formats, and reading for all who need no speed. */
#include "base/blocks.h"

#include "base/blocks_read.h"
#include "base/status.h"

const tuff_block_info *tuff_block_get(tuff_block type)
{
    static const tuff_block_info infos[TUFF_BLOCK_COUNT] = {
#define TUFF_BLOCK(NAME, name, elements, bytes) {name, elements, bytes},
#include "base/blocks.def"
    };
    TUFF_ASSERT((unsigned)type < TUFF_BLOCK_COUNT);
    return &infos[type];
}

void tuff_block_decode(tuff_block type, const void *blocks, size_t count, float *out)
{
    const size_t groups = count * (tuff_block_get(type)->elements / TUFF_BLOCK_GROUP);
    switch (type) {
#define EACH(NAME, in, g, i) tuff_read_##NAME(in, g, out + TUFF_BLOCK_GROUP * (i))
#define TUFF_BLOCK(NAME, name, elements, bytes)                                    \
    case TUFF_BLOCK_##NAME:                                                        \
        TUFF_BLOCK_GROUPS(NAME, elements, bytes, blocks, (size_t)0, groups, EACH); \
        break;
#include "base/blocks.def"
    default:
        break;
    }
}
