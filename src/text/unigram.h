/* Unigram (Kudo 2018): of all ways to cut a text into pieces of the vocabulary the one whose scores add up to
 * most. A character that no piece has is unknown; unknown ones side by side are one. */
#ifndef TUFF_TEXT_UNIGRAM_H
#define TUFF_TEXT_UNIGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <tuff/status.h>

#include "text/pace.h"
#include "text/pieces.h"
#include "text/trie.h"

typedef struct tuff_unigram {
    tuff_trie pieces;
    double *scores;     /* by id; owned */
    uint8_t *special;   /* by id: not to come about where special tokens are plain text; owned */
    double unk_score;   /* of an unknown character */
    int32_t unk;        /* -1: unknown characters are dropped */
    int32_t bytes[256]; /* ids of "<0x00>" to "<0xFF>", -1: none */
    bool byte_fallback; /* unknown characters become byte tokens */
    bool single; /* sums are f32, as in SentencePiece; else f64, as in the Hugging Face library and llama.cpp
                  */
} tuff_unigram;

/* Builds the tables from pieces with ids below `size` and scores by id; of pieces spelled alike the last
 * counts. The other fields are the caller's to fill in. `special`, `scores` and `bonus` are by id and copied.
 * The pieces with a bonus have the score that SentencePiece (0.2.3) gives its user-defined symbols. */
TUFF_MUST_USE tuff_status tuff_unigram_build(tuff_unigram *model, const tuff_view *pieces, const int32_t *ids,
                                             size_t count, const double *scores, const uint8_t *special,
                                             const uint8_t *bonus, size_t size, const char *where);
void tuff_unigram_free(tuff_unigram *model);

/* Working memory of one encoding. {0} is empty. */
typedef struct tuff_unigram_scratch {
    struct tuff_unigram_place *places;
    size_t capacity;
    tuff_pace *pace; /* NULL: nobody watches */
    bool plain;      /* special tokens are plain text */
    bool outer;      /* a word is all there is: it tells how far the text is */
} tuff_unigram_scratch;
void tuff_unigram_scratch_free(tuff_unigram_scratch *scratch);

/* Appends the pieces of one word (valid UTF-8). */
TUFF_MUST_USE tuff_status tuff_unigram_encode(const tuff_unigram *model, tuff_view word,
                                              tuff_unigram_scratch *scratch, tuff_pieces *out);

#endif
