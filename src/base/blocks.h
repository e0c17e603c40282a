/* Numbers stored by the block, as GGUF has them: the types of base/blocks.def, and how they are read. */
#ifndef TUFF_BASE_BLOCKS_H
#define TUFF_BASE_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

typedef enum tuff_block {
#define TUFF_BLOCK(NAME, name, elements, bytes) TUFF_BLOCK_##NAME,
#include "base/blocks.def"
    TUFF_BLOCK_COUNT
} tuff_block;

/* TUFF_BLOCK_Q4_0_ELEMENTS and TUFF_BLOCK_Q4_0_BYTES of a block, and so on. */
enum {
#define TUFF_BLOCK(NAME, name, elements, bytes) \
    TUFF_BLOCK_##NAME##_ELEMENTS = (elements), TUFF_BLOCK_##NAME##_BYTES = (bytes),
#include "base/blocks.def"
};
enum { TUFF_BLOCK_MOST = 256 }; /* elements of the largest block */

typedef struct tuff_block_info {
    const char *name;         /* "q4_k" */
    unsigned elements, bytes; /* of a block */
} tuff_block_info;
const tuff_block_info *tuff_block_get(tuff_block type);

/* `count` blocks to f32: out[0..count * elements). Neither needs an alignment. Any bytes are readable; what
 * scales that are not finite give is not finite. */
void tuff_block_decode(tuff_block type, const void *blocks, size_t count, float *out);

#endif
