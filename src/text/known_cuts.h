/* The ways of cutting text into words that have a name in GGUF (tokenizer.ggml.pre). */
#ifndef TUFF_TEXT_KNOWN_CUTS_H
#define TUFF_TEXT_KNOWN_CUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/status.h>

struct tuff_tokenizer;

enum { TUFF_CUT_PATTERNS = 4 };

typedef struct tuff_known_cut {
    const char *names[8];                    /* the first is the one to write */
    const char *patterns[TUFF_CUT_PATTERNS]; /* applied one after another, matches isolated */
    bool nfc;                                /* the models normalize first */
    bool whole_words;                        /* a word in the vocabulary is its token */
} tuff_known_cut;

extern const char tuff_gpt2_pattern[];

/* NULL: no such name. */
const tuff_known_cut *tuff_known_cut_find(const char *name);
/* The one the tokenizer's splitters are; NULL: none. */
const tuff_known_cut *tuff_known_cut_of(const struct tuff_tokenizer *tokenizer);
/* Gives the tokenizer the normalizer, splitters and decoder of byte-level BPE with this cut. */
TUFF_MUST_USE tuff_status tuff_known_cut_apply(struct tuff_tokenizer *tokenizer, const tuff_known_cut *cut,
                                               bool space_prefix, const char *where);

#endif
