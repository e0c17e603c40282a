/* The token-to-positions list that the embedding's gradient needs, made by the host for each batch. */
#include <string.h>

#include "base/status.h"
#include <tuff/graph.h>

size_t tuff_embedding_index_size(size_t n)
{
    return 3 * n + 2;
}

static uint32_t digit(int32_t id, int shift)
{
    return (((uint32_t)id ^ 0x80000000u) >> shift) & 0xff; /* the flipped sign bit puts negative ids first */
}

/* One stable pass of a radix sort of positions by a byte of their ids. */
static void sort_pass(const int32_t *ids, size_t n, int shift, const int32_t *from, int32_t *to)
{
    size_t next[256] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        next[digit(ids[i], shift)]++;
    for (int d = 0; d < 256; d++) {
        size_t count = next[d];
        next[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        to[next[digit(ids[from[i]], shift)]++] = from[i];
}

tuff_status tuff_embedding_index(const int32_t *ids, size_t n, int32_t *out_index)
{
    TUFF_NEED_MANY(ids, n);
    TUFF_NEED(out_index);
    if (n > INT32_MAX / 4)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "embedding: an index of %zu ids is too long; at most %d fit",
                         n, INT32_MAX / 4);
    int32_t *rows = out_index + 1, *starts = rows + n, *positions = starts + n + 1;
    for (size_t i = 0; i < n; i++)
        positions[i] = (int32_t)i;
    /* an even number of passes, with the starts as the other half of the work space: no memory is allocated
     */
    for (int shift = 0; shift < 32; shift += 16) {
        sort_pass(ids, n, shift, positions, starts);
        sort_pass(ids, n, shift + 8, starts, positions);
    }
    int32_t used = 0;
    memset(rows, 0, n * sizeof *rows);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || ids[positions[i]] != ids[positions[i - 1]]) {
            rows[used] = ids[positions[i]];
            starts[used++] = (int32_t)i;
        }
    for (size_t i = (size_t)used; i <= n; i++)
        starts[i] = (int32_t)n;
    out_index[0] = used;
    return TUFF_OK;
}
