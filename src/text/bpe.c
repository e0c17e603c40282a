#include "text/bpe.h"

#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/status.h"

enum {
    CACHED_WORDS = 1 << 16, /* the cache is emptied when full */
    CACHED_SIZE = 64,       /* longer words are rare: not kept */
    MERGE_WORK = 4          /* bytes that are read in the time of a merge */
};

/* Linked by index; `end` 0 marks a symbol merged away. */
struct tuff_bpe_symbol {
    int32_t id;
    uint32_t previous, next;
    uint32_t end; /* of its bytes in the word; they begin where those of the one before end */
};

struct tuff_bpe_candidate {
    uint32_t rank, at;
    int32_t id;
};

typedef struct tuff_bpe_symbol symbol;
typedef struct tuff_bpe_candidate candidate;

static const uint32_t NONE = UINT32_MAX;

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
    return tuff_map_get(bpe->vocab, text, size, &id) ? (int32_t)id : -1;
}

tuff_status tuff_bpe_finish(tuff_bpe *bpe, const tuff_map *vocab)
{
    size_t slots = 16;
    bpe->vocab = vocab;
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
    return failed ? tuff_fail_memory("the characters of a tokenizer") : TUFF_OK;
}

void tuff_bpe_free(tuff_bpe *bpe)
{
    tuff_free(bpe->merges);
    tuff_free(bpe->slots);
    *bpe = (tuff_bpe){0};
}

void tuff_bpe_scratch_free(tuff_bpe_scratch *scratch)
{
    tuff_free(scratch->symbols);
    tuff_free(scratch->heap);
    tuff_map_free(&scratch->seen);
    tuff_ids_free(&scratch->runs);
    tuff_pieces_free(&scratch->pieces);
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

/* Of a word's last character: with the suffix behind it. */
static int32_t last_id(const tuff_bpe *bpe, const char *text, size_t size)
{
    char spelled[4 + TUFF_BPE_SUFFIX];
    memcpy(spelled, text, size);
    memcpy(spelled + size, bpe->suffix.data, bpe->suffix.size);
    return vocab_id(bpe, spelled, size + bpe->suffix.size);
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
        const bool last = bpe->suffix.size && i + size == word.size;
        int32_t id =
            last ? last_id(bpe, word.data + i, size) : character_id(bpe, word.data + i, size, codepoint);
        bool unknown = false;
        if (id >= 0) {
            symbols[count++] = (symbol){.id = id, .end = (uint32_t)(i + size)};
        } else if (has_bytes(bpe, word.data + i, size)) {
            for (size_t b = 0; b < size; b++)
                symbols[count++] =
                    (symbol){.id = bpe->bytes[(uint8_t)word.data[i + b]], .end = (uint32_t)(i + b + 1)};
        } else if (bpe->unk >= 0) {
            unknown = true;
            if (!(after_unk && bpe->fuse_unk)) symbols[count++].id = bpe->unk;
            symbols[count - 1].end = (uint32_t)(i + size);
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

static tuff_status merge_word(const tuff_bpe *bpe, tuff_view word, tuff_bpe_scratch *scratch,
                              tuff_pieces *out)
{
    TUFF_TRY(reserve(scratch, word.size));
    symbol *symbols = scratch->symbols;
    candidate *heap = scratch->heap;
    size_t count, waiting = 0;
    TUFF_TRY(first_symbols(bpe, word, scratch->pace, symbols, &count));
    for (size_t i = 0; i < count; i++) {
        symbols[i].previous = i ? (uint32_t)i - 1 : NONE;
        symbols[i].next = i + 1 < count ? (uint32_t)i + 1 : NONE;
    }
    for (size_t i = 0; i + 1 < count; i++) {
        propose(bpe, symbols, (uint32_t)i, heap, &waiting);
        TUFF_TRY(tuff_pace_work(scratch->pace, 1));
    }
    while (waiting) {
        candidate top = heap_pop(heap, &waiting);
        TUFF_TRY(tuff_pace_work(scratch->pace, MERGE_WORK));
        symbol *left = &symbols[top.at];
        if (!left->end || left->next == NONE) continue;
        symbol *right = &symbols[left->next];
        const tuff_merge *merge = tuff_bpe_find(bpe, left->id, right->id);
        if (!merge || merge->id != top.id) continue; /* one of the two has changed since */
        left->id = top.id;
        left->end = right->end;
        right->end = 0;
        left->next = right->next;
        if (left->next != NONE) {
            symbols[left->next].previous = top.at;
            propose(bpe, symbols, top.at, heap, &waiting);
        }
        if (left->previous != NONE) propose(bpe, symbols, left->previous, heap, &waiting);
    }
    size_t start = 0;
    for (uint32_t i = count ? 0 : NONE; i != NONE; i = symbols[i].next) {
        if (!tuff_pieces_add(out, symbols[i].id, start, symbols[i].end))
            return tuff_fail_memory("encoding a text");
        start = symbols[i].end;
    }
    return TUFF_OK;
}

static void forget_words(tuff_bpe_scratch *scratch)
{
    tuff_map_free(&scratch->seen);
    scratch->runs.size = scratch->pieces.ids.size = 0;
}

/* Keeps a word's pieces, those of `out` from `first` on; the cache is only speed, so running out of memory
 * here just leaves the word out. */
static void remember(tuff_bpe_scratch *scratch, tuff_view word, const tuff_pieces *out, size_t first)
{
    if (scratch->seen.count >= CACHED_WORDS) forget_words(scratch);
    size_t run = scratch->runs.size, kept = scratch->pieces.ids.size, count = out->ids.size - first;
    scratch->pieces.traced = out->traced;
    if (!tuff_pieces_append(&scratch->pieces, out->ids.data + first, out->traced ? out->spans + first : NULL,
                            count))
        return;
    if (!tuff_ids_add(&scratch->runs, (int32_t)kept) || !tuff_ids_add(&scratch->runs, (int32_t)count) ||
        !tuff_map_put(&scratch->seen, word.data, word.size, (uint32_t)run)) {
        scratch->runs.size = run;
        scratch->pieces.ids.size = kept;
    }
}

static bool recall(const tuff_bpe_scratch *scratch, uint32_t run, tuff_pieces *out)
{
    size_t first = (size_t)scratch->runs.data[run], count = (size_t)scratch->runs.data[run + 1];
    const tuff_pieces *kept = &scratch->pieces;
    return tuff_pieces_append(out, kept->ids.data + first, kept->traced ? kept->spans + first : NULL, count);
}

static tuff_status encode_word(const tuff_bpe *bpe, tuff_view word, tuff_bpe_scratch *scratch,
                               tuff_pieces *out)
{
    uint32_t run;
    bool cached = word.size <= CACHED_SIZE;
    if (cached && tuff_map_get(&scratch->seen, word.data, word.size, &run))
        return recall(scratch, run, out) ? TUFF_OK : tuff_fail_memory("encoding a text");
    size_t first = out->ids.size;
    int32_t whole = bpe->whole_words ? vocab_id(bpe, word.data, word.size) : -1;
    if (whole >= 0) {
        if (!tuff_pieces_add(out, whole, 0, word.size)) return tuff_fail_memory("encoding a text");
    } else {
        TUFF_TRY(merge_word(bpe, word, scratch, out));
    }
    /* a word of an empty vocabulary gives no ids, and then there may be no array yet */
    if (cached && out->ids.size > first) remember(scratch, word, out, first);
    return TUFF_OK;
}

/* A part of a word from `start` on. */
static tuff_status encode_part(const tuff_bpe *bpe, tuff_view word, size_t start, size_t end,
                               tuff_bpe_scratch *scratch, tuff_pieces *out)
{
    size_t first = out->ids.size;
    TUFF_TRY(encode_word(bpe, (tuff_view){word.data + start, end - start}, scratch, out));
    tuff_pieces_move(out, first, start);
    return TUFF_OK;
}

tuff_status tuff_bpe_encode(const tuff_bpe *bpe, tuff_view word, tuff_bpe_scratch *scratch, tuff_pieces *out)
{
    static const char space[] = "\xe2\x96\x81";
    if (!bpe->space_starts_word || bpe->whole_words || bpe->suffix.size)
        return encode_word(bpe, word, scratch, out);
    size_t start = 0;
    for (size_t i = 1; i + 3 <= word.size; i++) {
        TUFF_TRY(tuff_pace_work(scratch->pace, 1));
        bool here = memcmp(word.data + i, space, 3) == 0;
        if (!here || (i >= 3 && memcmp(word.data + i - 3, space, 3) == 0)) continue;
        TUFF_TRY(encode_part(bpe, word, start, i, scratch, out));
        start = i;
        if (scratch->pace && scratch->outer) scratch->pace->at = i;
    }
    return encode_part(bpe, word, start, word.size, scratch, out);
}
