/* A set of byte strings by their beginnings: which of them begin here? Immutable once built. */
#ifndef TUFF_TEXT_TRIE_H
#define TUFF_TEXT_TRIE_H

#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"

enum {
    TUFF_TRIE_ROOT = 0,
    TUFF_TRIE_LONGEST = 1024, /* bytes of a string: a search takes as many steps at each place of a text */
    TUFF_TRIE_FEW = 8         /* children that are looked through one by one */
};

typedef struct tuff_trie_node {
    uint32_t first;    /* its children are side by side, in the order of their bytes */
    uint32_t children; /* how many */
    int32_t id;        /* of the string that ends here; -1: none does */
} tuff_trie_node;

/* {0} has no strings and may not be searched. */
typedef struct tuff_trie {
    tuff_trie_node *nodes;
    uint8_t *bytes; /* of each node: the byte that leads to it */
    size_t count;
    uint32_t starts[256]; /* the root's children by their bytes */
} tuff_trie;

/* strings[i] has ids[i]; of equal strings the last counts. TUFF_UNSUPPORTED for one longer than
 * TUFF_TRIE_LONGEST. `what` and `where` are for error texts. */
TUFF_MUST_USE tuff_status tuff_trie_build(tuff_trie *trie, const tuff_view *strings, const int32_t *ids,
                                          size_t count, const char *what, const char *where);
void tuff_trie_free(tuff_trie *trie);

/* The child to which `byte` leads; TUFF_TRIE_ROOT, which is nobody's child: there is none. */
static inline uint32_t tuff_trie_step(const tuff_trie *trie, uint32_t node, uint8_t byte)
{
    if (node == TUFF_TRIE_ROOT) return trie->starts[byte];
    uint32_t low = trie->nodes[node].first, high = low + trie->nodes[node].children;
    while (high - low > TUFF_TRIE_FEW) {
        uint32_t middle = low + (high - low) / 2;
        if (trie->bytes[middle] <= byte)
            low = middle;
        else
            high = middle;
    }
    for (; low < high; low++) {
        if (trie->bytes[low] == byte) return low;
    }
    return TUFF_TRIE_ROOT;
}

/* The id of exactly this string, or -1. */
int32_t tuff_trie_find(const tuff_trie *trie, tuff_view string);

#endif
