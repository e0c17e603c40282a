#include "text/bpe.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/status.h"

enum {
    CACHED_WORDS = 1 << 16, /* the cache is emptied when full */
    CACHED_SIZE = 64,       /* longer words are rare: not kept */
    MERGE_WORK = 4          /* bytes that are read in the time of a merge */
};

/* Linked by index; size 0 marks a symbol merged away. */
struct tuff_bpe_symbol {
    int32_t id;
    uint32_t previous, next;
    uint32_t live;
};

struct tuff_bpe_candidate {
    uint32_t rank, at;
    int32_t id;
};

typedef struct tuff_bpe_symbol symbol;
typedef struct tuff_bpe_candidate candidate;

static const uint32_t NONE = UINT32_MAX;

bool tuff_ids_append(tuff_ids *ids, const int32_t *data, size_t count)
{
    while (ids->capacity - ids->size < count) {
        if (!tuff_grow((void **)&ids->data, ids->capacity, &ids->capacity, sizeof *ids->data)) return false;
    }
    if (count) memcpy(ids->data + ids->size, data, count * sizeof *data);
    ids->size += count;
    return true;
}

bool tuff_ids_add(tuff_ids *ids, int32_t id)
{
    if (!tuff_grow((void **)&ids->data, ids->size, &ids->capacity, sizeof *ids->data)) return false;
    ids->data[ids->size++] = id;
    return true;
}

void tuff_ids_free(tuff_ids *ids)
{
    tuff_free(ids->data);
    *ids = (tuff_ids){0};
}

static size_t slot_of(const tuff_bpe *bpe, int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= bpe->seed;
    key ^= key >> 29;
    key *= 0x9e3779b97f4a7c15u;
    return (size_t)(key >> 32 ^ key) & bpe->slot_mask;
}

const tuff_merge *tuff_bpe_find(const tuff_bpe *bpe, int32_t left, int32_t right)
{
    if (!bpe->slots) return NULL;
    for (size_t i = slot_of(bpe, left, right); bpe->slots[i]; i = (i + 1) & bpe->slot_mask) {
        const tuff_merge *merge = &bpe->merges[bpe->slots[i] - 1];
        if (merge->left == left && merge->right == right) return merge;
    }
    return NULL;
}

tuff_status tuff_bpe_add(tuff_bpe *bpe, tuff_merge merge)
{
    if (!tuff_grow((void **)&bpe->merges, bpe->merge_count, &bpe->merge_capacity, sizeof *bpe->merges))
        return tuff_fail_memory("the merges of a tokenizer");
    bpe->merges[bpe->merge_count++] = merge;
    return TUFF_OK;
}

static int32_t vocab_id(const tuff_bpe *bpe, const void *text, size_t size)
{
    uint32_t id;
    return tuff_map_get(&bpe->vocab, text, size, &id) ? (int32_t)id : -1;
}

tuff_status tuff_bpe_finish(tuff_bpe *bpe)
{
    size_t slots = 16;
    while (slots / 2 < bpe->merge_count)
        slots *= 2;
    bpe->slots = tuff_alloc_array(slots, sizeof *bpe->slots);
    if (!bpe->slots) return tuff_fail_memory("the merges of a tokenizer");
    bpe->slot_mask = slots - 1;
    bpe->seed = tuff_hash_seed();
    for (size_t m = 0; m < bpe->merge_count; m++) {
        const tuff_merge *merge = &bpe->merges[m];
        size_t i = slot_of(bpe, merge->left, merge->right);
        while (bpe->slots[i]) {
            const tuff_merge *other = &bpe->merges[bpe->slots[i] - 1];
            if (other->left == merge->left && other->right == merge->right) break;
            i = (i + 1) & bpe->slot_mask;
        }
        bpe->slots[i] = (uint32_t)m + 1; /* of a merge named twice the last counts */
    }

    tuff_buf text = {0};
    for (uint32_t c = 0; c < TUFF_BPE_DIRECT; c++) {
        tuff_buf_clear(&text);
        tuff_buf_utf8(&text, c);
        bpe->direct[c] = text.failed ? -1 : vocab_id(bpe, text.data, text.size);
    }
    bool failed = text.failed;
    tuff_buf_free(&text);
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        bpe->bytes[b] = vocab_id(bpe, name, 6);
    }
    return failed ? tuff_fail_memory("the characters of a tokenizer") : TUFF_OK;
}

void tuff_bpe_free(tuff_bpe *bpe)
{
    tuff_free(bpe->merges);
    tuff_free(bpe->slots);
    tuff_map_free(&bpe->vocab);
    *bpe = (tuff_bpe){0};
}

void tuff_bpe_scratch_free(tuff_bpe_scratch *scratch)
{
    tuff_free(scratch->symbols);
    tuff_free(scratch->heap);
    tuff_map_free(&scratch->seen);
    tuff_ids_free(&scratch->spans);
    tuff_ids_free(&scratch->ids);
    *scratch = (tuff_bpe_scratch){0};
}

static bool before(candidate a, candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void heap_push(candidate *heap, size_t *count, candidate item)
{
    size_t i = (*count)++;
    while (i > 0 && before(item, heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = item;
}

static candidate heap_pop(candidate *heap, size_t *count)
{
    candidate top = heap[0], last = heap[--*count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= *count) break;
        if (child + 1 < *count && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], last)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

/* Room for a word of `size` bytes: a symbol per byte at most; each merge takes a candidate and adds up to
 * two. */
static tuff_status reserve(tuff_bpe_scratch *scratch, size_t size)
{
    if (size <= scratch->capacity) return TUFF_OK;
    if (size >= UINT32_MAX / 2)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "a text of %zu bytes is too long to be encoded at once: cut it into parts", size);
    size_t capacity = size < 256 ? 256 : size;
    tuff_free(scratch->symbols);
    tuff_free(scratch->heap);
    scratch->capacity = 0;
    scratch->symbols = tuff_alloc_array(capacity, sizeof *scratch->symbols);
    scratch->heap = tuff_alloc_array(capacity * 2, sizeof *scratch->heap);
    if (!scratch->symbols || !scratch->heap) return tuff_fail_memory("encoding a text");
    scratch->capacity = capacity;
    return TUFF_OK;
}

static int32_t character_id(const tuff_bpe *bpe, const char *text, size_t size, uint32_t codepoint)
{
    return codepoint < TUFF_BPE_DIRECT ? bpe->direct[codepoint] : vocab_id(bpe, text, size);
}

static bool has_bytes(const tuff_bpe *bpe, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bpe->bytes[(uint8_t)text[i]] < 0) return false;
    }
    return bpe->byte_fallback;
}

/* The word's characters as symbols. */
static tuff_status first_symbols(const tuff_bpe *bpe, tuff_view word, tuff_pace *pace, symbol *symbols,
                                 size_t *out_count)
{
    size_t count = 0;
    bool after_unk = false;
    for (size_t i = 0; i < word.size;) {
        uint32_t codepoint;
        size_t size = tuff_utf8_decode(word.data + i, word.size - i, &codepoint);
        TUFF_ASSERT(size > 0);
        int32_t id = character_id(bpe, word.data + i, size, codepoint);
        bool unknown = false;
        if (id >= 0) {
            symbols[count++].id = id;
        } else if (has_bytes(bpe, word.data + i, size)) {
            for (size_t b = 0; b < size; b++)
                symbols[count++].id = bpe->bytes[(uint8_t)word.data[i + b]];
        } else if (bpe->unk >= 0) {
            unknown = true;
            if (!(after_unk && bpe->fuse_unk)) symbols[count++].id = bpe->unk;
        }
        after_unk = unknown;
        i += size;
        TUFF_TRY(tuff_pace_work(pace, size));
    }
    *out_count = count;
    return TUFF_OK;
}

static void propose(const tuff_bpe *bpe, const symbol *symbols, uint32_t left, candidate *heap, size_t *count)
{
    const tuff_merge *merge = tuff_bpe_find(bpe, symbols[left].id, symbols[symbols[left].next].id);
    if (merge) heap_push(heap, count, (candidate){merge->rank, left, merge->id});
}

static tuff_status merge_word(const tuff_bpe *bpe, tuff_view word, tuff_bpe_scratch *scratch, tuff_ids *out)
{
    TUFF_TRY(reserve(scratch, word.size));
    symbol *symbols = scratch->symbols;
    candidate *heap = scratch->heap;
    size_t count, waiting = 0;
    TUFF_TRY(first_symbols(bpe, word, scratch->pace, symbols, &count));
    for (size_t i = 0; i < count; i++) {
        symbols[i].previous = i ? (uint32_t)i - 1 : NONE;
        symbols[i].next = i + 1 < count ? (uint32_t)i + 1 : NONE;
        symbols[i].live = 1;
    }
    for (size_t i = 0; i + 1 < count; i++) {
        propose(bpe, symbols, (uint32_t)i, heap, &waiting);
        TUFF_TRY(tuff_pace_work(scratch->pace, 1));
    }
    while (waiting) {
        candidate top = heap_pop(heap, &waiting);
        TUFF_TRY(tuff_pace_work(scratch->pace, MERGE_WORK));
        symbol *left = &symbols[top.at];
        if (!left->live || left->next == NONE) continue;
        symbol *right = &symbols[left->next];
        const tuff_merge *merge = tuff_bpe_find(bpe, left->id, right->id);
        if (!merge || merge->id != top.id) continue; /* one of the two has changed since */
        left->id = top.id;
        right->live = 0;
        left->next = right->next;
        if (left->next != NONE) {
            symbols[left->next].previous = top.at;
            propose(bpe, symbols, top.at, heap, &waiting);
        }
        if (left->previous != NONE) propose(bpe, symbols, left->previous, heap, &waiting);
    }
    for (uint32_t i = count ? 0 : NONE; i != NONE; i = symbols[i].next) {
        if (!tuff_ids_add(out, symbols[i].id)) return tuff_fail_memory("encoding a text");
    }
    return TUFF_OK;
}

static void forget_words(tuff_bpe_scratch *scratch)
{
    tuff_map_free(&scratch->seen);
    scratch->spans.size = scratch->ids.size = 0;
}

/* Keeps a word's ids; the cache is only speed, so running out of memory here just leaves the word out. */
static void remember(tuff_bpe_scratch *scratch, tuff_view word, const int32_t *ids, size_t count)
{
    if (scratch->seen.count >= CACHED_WORDS) forget_words(scratch);
    size_t span = scratch->spans.size, first = scratch->ids.size;
    if (!tuff_ids_append(&scratch->ids, ids, count)) return;
    if (!tuff_ids_add(&scratch->spans, (int32_t)first) || !tuff_ids_add(&scratch->spans, (int32_t)count) ||
        !tuff_map_put(&scratch->seen, word.data, word.size, (uint32_t)span)) {
        scratch->spans.size = span;
        scratch->ids.size = first;
    }
}

static tuff_status encode_word(const tuff_bpe *bpe, tuff_view word, tuff_bpe_scratch *scratch, tuff_ids *out)
{
    uint32_t span;
    bool cached = word.size <= CACHED_SIZE;
    if (cached && tuff_map_get(&scratch->seen, word.data, word.size, &span)) {
        const int32_t *place = scratch->spans.data + span;
        bool added = tuff_ids_append(out, scratch->ids.data + place[0], (size_t)place[1]);
        return added ? TUFF_OK : tuff_fail_memory("encoding a text");
    }
    size_t start = out->size;
    int32_t whole = bpe->whole_words ? vocab_id(bpe, word.data, word.size) : -1;
    if (whole >= 0) {
        if (!tuff_ids_add(out, whole)) return tuff_fail_memory("encoding a text");
    } else {
        TUFF_TRY(merge_word(bpe, word, scratch, out));
    }
    /* a word of an empty vocabulary gives no ids, and then there may be no array yet */
    if (cached && out->size > start) remember(scratch, word, out->data + start, out->size - start);
    return TUFF_OK;
}

tuff_status tuff_bpe_encode(const tuff_bpe *bpe, tuff_view word, tuff_bpe_scratch *scratch, tuff_ids *out)
{
    static const char space[] = "\xe2\x96\x81";
    if (!bpe->space_starts_word || bpe->whole_words) return encode_word(bpe, word, scratch, out);
    size_t start = 0;
    for (size_t i = 1; i + 3 <= word.size; i++) {
        TUFF_TRY(tuff_pace_work(scratch->pace, 1));
        bool here = memcmp(word.data + i, space, 3) == 0;
        if (!here || (i >= 3 && memcmp(word.data + i - 3, space, 3) == 0)) continue;
        TUFF_TRY(encode_word(bpe, (tuff_view){word.data + start, i - start}, scratch, out));
        start = i;
        if (scratch->pace && scratch->outer) scratch->pace->at = i;
    }
    return encode_word(bpe, (tuff_view){word.data + start, word.size - start}, scratch, out);
}
