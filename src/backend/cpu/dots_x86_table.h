/* All kernels of an instruction set, by the formats of blocks, out of its dot_32 and dot_256. Each includes
 * this once, behind those, with TUFF_DOTS_KERNELS as the table's name and TUFF_DOTS_TITLE as what people are
 * told. */
#define TUFF_BLOCK(NAME, name, elements, bytes)                                                \
    static TARGET void one_##NAME(const uint8_t *w, int64_t K, const char *rows, float *sums)  \
    {                                                                                          \
        if ((elements) == 32)                                                                  \
            dot_32(TUFF_BLOCK_##NAME, bytes, w, K, rows, 1, sums);                             \
        else                                                                                   \
            dot_256(TUFF_BLOCK_##NAME, bytes, w, K, rows, 1, sums);                            \
    }                                                                                          \
    static TARGET void some_##NAME(const uint8_t *w, int64_t K, const char *rows, float *sums) \
    {                                                                                          \
        if ((elements) == 32)                                                                  \
            dot_32(TUFF_BLOCK_##NAME, bytes, w, K, rows, TUFF_DOTS_ROWS, sums);                \
        else                                                                                   \
            dot_256(TUFF_BLOCK_##NAME, bytes, w, K, rows, TUFF_DOTS_ROWS, sums);               \
    }
#include "base/blocks.def"

const tuff_dots_kernels TUFF_DOTS_KERNELS = {
    TUFF_DOTS_TITLE,
    {
#define TUFF_BLOCK(NAME, name, elements, bytes) one_##NAME,
#include "base/blocks.def"
    },
    {
#define TUFF_BLOCK(NAME, name, elements, bytes) some_##NAME,
#include "base/blocks.def"
    },
};
