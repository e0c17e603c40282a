/* The ways of cutting text into words that have a name in GGUF (tokenizer.ggml.pre). */
#ifndef TUFF_TEXT_KNOWN_CUTS_H
#define TUFF_TEXT_KNOWN_CUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/status.h>

#include "base/text.h"

struct tuff_tokenizer;

enum { TUFF_CUT_PATTERNS = 7 };

/* A line of known_cuts.def. */
typedef struct tuff_known_cut {
    const char *names; /* with a space between them; the first is the one to write */
    unsigned flags;
    const char *patterns[TUFF_CUT_PATTERNS]; /* applied one after another, matches isolated */
} tuff_known_cut;

enum {
    TUFF_CUT_NFC = 1,         /* the models normalize first */
    TUFF_CUT_WHOLE_WORDS = 2, /* a word in the vocabulary is its token */
    TUFF_CUT_BEGIN = 4,       /* texts begin with the token for it where a GGUF does not say */
    TUFF_CUT_OVER_LINES = 8,  /* words go over line ends: see parts.h */
    TUFF_CUT_OVER_SPACES = 16 /* words go over spaces between letters */
};

/* Of the first line, GPT-2's. */
const char *tuff_gpt2_pattern(void);

/* NULL: no such name. */
const tuff_known_cut *tuff_known_cut_find(const char *name);
/* Its first name. */
tuff_view tuff_known_cut_name(const tuff_known_cut *cut);
/* The one the tokenizer's splitters are; NULL: none. */
const tuff_known_cut *tuff_known_cut_of(const struct tuff_tokenizer *tokenizer);
/* Gives the tokenizer the normalizer, splitters and decoder of byte-level BPE with this cut. */
TUFF_MUST_USE tuff_status tuff_known_cut_apply(struct tuff_tokenizer *tokenizer, const tuff_known_cut *cut,
                                               bool space_prefix, const char *where);

#endif
