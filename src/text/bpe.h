/* Byte pair encoding: the table of merges and the encoding of one word.
 *
 * Serves both families: byte-level BPE has a rank per merge; a SentencePiece vocabulary is a BPE whose merges
 * that give the same token share a rank, ordered by the tokens' scores. */
#ifndef TUFF_TEXT_BPE_H
#define TUFF_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"
#include "text/pace.h"
#include "text/pieces.h"

/* left and right, side by side, become id. */
typedef struct tuff_merge {
    int32_t left, right, id;
    uint32_t rank; /* lower goes first; of equals the leftmost */
} tuff_merge;

enum { TUFF_BPE_DIRECT = 0x400, TUFF_BPE_SUFFIX = 32 };

typedef struct tuff_bpe {
    tuff_merge *merges; /* in order of rank */
    size_t merge_count, merge_capacity;
    uint32_t *slots; /* open addressing by (left, right): index into merges plus one, 0 is free */
    size_t slot_mask;
    uint64_t seed;                   /* of the slots' hash */
    const tuff_map *vocab;           /* spelling to id, of the tokens the model itself may give */
    int32_t direct[TUFF_BPE_DIRECT]; /* ids of the first code points, -1: none */
    int32_t bytes[256];              /* ids of "<0x00>" to "<0xFF>", -1: none */
    int32_t unk;                     /* -1: unknown characters are dropped */
    bool byte_fallback;              /* unknown characters become byte tokens */
    bool fuse_unk;                   /* neighbouring unknown characters give one unk */
    bool whole_words;                /* a word in the vocabulary is its token, whatever the merges say */
    tuff_view suffix;                /* behind the last character of a word; the tokenizer's memory */
    bool space_starts_word;          /* no token has U+2581 after another character: safe to cut there */
} tuff_bpe;

/* Adds a merge; all are in place before tuff_bpe_finish. */
TUFF_MUST_USE tuff_status tuff_bpe_add(tuff_bpe *bpe, tuff_merge merge);
/* Builds the tables from merges and `vocab`, which must stay; `bytes` are the caller's to fill in. */
TUFF_MUST_USE tuff_status tuff_bpe_finish(tuff_bpe *bpe, const tuff_map *vocab);
const tuff_merge *tuff_bpe_find(const tuff_bpe *bpe, int32_t left, int32_t right);
void tuff_bpe_free(tuff_bpe *bpe);

/* Working memory of one encoding. {0} is empty. */
typedef struct tuff_bpe_scratch {
    struct tuff_bpe_symbol *symbols;
    struct tuff_bpe_candidate *heap;
    size_t capacity;
    tuff_map seen;      /* words encoded before, to their index in `runs` */
    tuff_ids runs;      /* pairs: first piece, count */
    tuff_pieces pieces; /* of the words in `seen` */
    tuff_pace *pace;    /* NULL: nobody watches */
    bool outer;         /* a word is all there is: it tells how far the text is */
} tuff_bpe_scratch;
void tuff_bpe_scratch_free(tuff_bpe_scratch *scratch);

/* Appends the pieces of one word (valid UTF-8). Lists with spans and without may not share a scratch. */
TUFF_MUST_USE tuff_status tuff_bpe_encode(const tuff_bpe *bpe, tuff_view word, tuff_bpe_scratch *scratch,
                                          tuff_pieces *out);

#endif
