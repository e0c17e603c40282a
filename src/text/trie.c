#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

typedef struct entry {
    tuff_view text;
    int32_t id;
    size_t place; /* in the list: of equal ones the last counts */
} entry;

/* Which of the sorted entries a node stands for: those that share its first bytes. */
typedef struct extent {
    size_t low, high;
} extent;

typedef struct builder {
    tuff_trie *trie;
    const entry *entries;
    extent *extents; /* by node */
    size_t node_capacity, byte_capacity, extent_capacity;
} builder;

static int compare(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    size_t shorter = x->text.size < y->text.size ? x->text.size : y->text.size;
    int order = shorter ? memcmp(x->text.data, y->text.data, shorter) : 0;
    if (order) return order;
    if (x->text.size != y->text.size) return x->text.size < y->text.size ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static tuff_status add_node(builder *b, uint8_t byte, extent covered)
{
    tuff_trie *trie = b->trie;
    if (trie->count == UINT32_MAX || /* the three arrays grow together */
        !tuff_grow((void **)&trie->nodes, trie->count, &b->node_capacity, sizeof *trie->nodes) ||
        !tuff_grow((void **)&trie->bytes, trie->count, &b->byte_capacity, sizeof *trie->bytes) ||
        !tuff_grow((void **)&b->extents, trie->count, &b->extent_capacity, sizeof *b->extents))
        return tuff_fail_memory("the tokens of a tokenizer");
    trie->nodes[trie->count] = (tuff_trie_node){.id = -1};
    trie->bytes[trie->count] = byte;
    b->extents[trie->count++] = covered;
    return TUFF_OK;
}

/* Gives a node its id and its children. `depth`: bytes that lead to it. */
static tuff_status expand(builder *b, size_t node, size_t depth)
{
    extent e = b->extents[node];
    for (; e.low < e.high && b->entries[e.low].text.size == depth; e.low++)
        b->trie->nodes[node].id = b->entries[e.low].id;
    b->trie->nodes[node].first = (uint32_t)b->trie->count;
    while (e.low < e.high) {
        uint8_t byte = (uint8_t)b->entries[e.low].text.data[depth];
        size_t end = e.low + 1;
        while (end < e.high && (uint8_t)b->entries[end].text.data[depth] == byte)
            end++;
        TUFF_TRY(add_node(b, byte, (extent){e.low, end}));
        b->trie->nodes[node].children++;
        e.low = end;
    }
    return TUFF_OK;
}

/* All nodes of one depth, then those of the next. */
static tuff_status build(builder *b, size_t count)
{
    TUFF_TRY(add_node(b, 0, (extent){0, count}));
    size_t level_end = 1, depth = 0;
    for (size_t node = 0; node < b->trie->count; node++) {
        if (node == level_end) {
            level_end = b->trie->count;
            depth++;
        }
        TUFF_TRY(expand(b, node, depth));
    }
    const tuff_trie_node *root = &b->trie->nodes[TUFF_TRIE_ROOT];
    for (uint32_t i = root->first; i < root->first + root->children; i++)
        b->trie->starts[b->trie->bytes[i]] = i;
    return TUFF_OK;
}

tuff_status tuff_trie_build(tuff_trie *trie, const tuff_view *strings, const int32_t *ids, size_t count,
                            const char *what, const char *where)
{
    *trie = (tuff_trie){0};
    for (size_t i = 0; i < count; i++) {
        if (strings[i].size > TUFF_TRIE_LONGEST)
            return tuff_fail(TUFF_UNSUPPORTED,
                             "%s: a token of %zu bytes in a vocabulary of the kind \"%s\"; Tuff "
                             "supports up to %d",
                             where, strings[i].size, what, (int)TUFF_TRIE_LONGEST);
    }
    entry *entries = tuff_alloc_array(count, sizeof *entries);
    if (!entries) return tuff_fail_memory("the tokens of a tokenizer");
    for (size_t i = 0; i < count; i++)
        entries[i] = (entry){strings[i], ids[i], i};
    qsort(entries, count, sizeof *entries, compare);
    builder b = {.trie = trie, .entries = entries};
    tuff_status status = build(&b, count);
    if (status != TUFF_OK) tuff_trie_free(trie);
    tuff_free(b.extents);
    tuff_free(entries);
    return status;
}

void tuff_trie_free(tuff_trie *trie)
{
    tuff_free(trie->nodes);
    tuff_free(trie->bytes);
    *trie = (tuff_trie){0};
}

int32_t tuff_trie_find(const tuff_trie *trie, tuff_view string)
{
    uint32_t node = TUFF_TRIE_ROOT;
    for (size_t i = 0; i < string.size; i++) {
        node = tuff_trie_step(trie, node, (uint8_t)string.data[i]);
        if (node == TUFF_TRIE_ROOT) return -1;
    }
    return string.size ? trie->nodes[node].id : -1;
}
