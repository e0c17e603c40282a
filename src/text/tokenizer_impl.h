/* What a tokenizer is inside src/text. */
#ifndef TUFF_TEXT_TOKENIZER_IMPL_H
#define TUFF_TEXT_TOKENIZER_IMPL_H

#include <tuff/tokenizer.h>

#include "base/memory.h"
#include "base/text.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalize.h"
#include "text/split.h"
#include "text/template.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

enum {
    TUFF_EOS_LIMIT = 16,
    TUFF_STEP_LIMIT = 32 /* normalizers, cuts, decoder steps */
};

/* How words become ids. */
typedef enum tuff_word_model { TUFF_WORDS_BPE, TUFF_WORDS_WORDPIECE, TUFF_WORDS_UNIGRAM } tuff_word_model;

typedef enum tuff_unspell_kind {
    TUFF_UNSPELL_BYTES,      /* byte-level characters to bytes */
    TUFF_UNSPELL_REPLACE,    /* matches of `regex` by `text` */
    TUFF_UNSPELL_BYTE_TOKEN, /* "<0x0A>" to its byte */
    TUFF_UNSPELL_STRIP,      /* up to `left` and `right` of the character `text` off the ends of each token */
    TUFF_UNSPELL_STRIP_ALL,  /* off the start of the whole text */
    TUFF_UNSPELL_METASPACE,  /* `text` to a space, and to nothing in the first token where `drop_first` */
    TUFF_UNSPELL_SUFFIX,     /* `text` to a space, but of the last token to nothing */
    TUFF_UNSPELL_WORDPIECE   /* a space before tokens that do not begin with `text`, else without that */
} tuff_unspell_kind;

/* One step from a token's spelling to its text. */
typedef struct tuff_unspell {
    tuff_unspell_kind kind;
    tuff_regex *regex; /* owned */
    tuff_view text;
    size_t left, right;
    bool drop_first;
    bool cleanup; /* word pieces: no spaces before commas and the like */
} tuff_unspell;

typedef struct tuff_token {
    tuff_view text; /* data NULL: no token has this id */
    double score;
    uint8_t type;  /* tuff_token_type */
    bool special;  /* skipped when decoding for people */
    bool in_model; /* the model may give it, not only the search for added tokens */
} tuff_token;

struct tuff_tokenizer {
    tuff_arena arena; /* all texts and tables below, unless said otherwise */
    tuff_token *tokens;
    uint32_t size;
    tuff_map ids;   /* spelling to id, added tokens included */
    tuff_map vocab; /* the same of the tokens that the model itself may give */
    tuff_word_model model;
    tuff_bpe bpe;
    tuff_wordpiece wordpiece;
    tuff_unigram unigram;

    tuff_added_token *added;
    size_t added_count;
    tuff_added_set raw_added, normalized_added;
    tuff_added_set user_defined; /* of a SentencePiece model's file: sought in no raw text */

    tuff_normalizer normalizers[TUFF_STEP_LIMIT];
    size_t normalizer_count;
    tuff_splitter splitters[TUFF_STEP_LIMIT];
    size_t splitter_count;
    tuff_unspell unspells[TUFF_STEP_LIMIT];
    size_t unspell_count;
    bool join_with_space; /* no decoder: tokens are words */

    tuff_template single, pair; /* around a text, around two */
    bool trim, trim_prefix; /* offsets: without white space at their ends; a space was put before the text */
    int32_t bos, unk, pad, cls, sep, mask, eos[TUFF_EOS_LIMIT];
    size_t eos_count;

    /* Where it came from, for writing. */
    tuff_view json, config; /* tokenizer.json, tokenizer_config.json as read; data NULL: not from one */
    const struct tuff_known_cut
        *cut;           /* byte-level, the known way of cutting; NULL: not byte-level or unknown */
    bool byte_level;    /* the vocabulary is spelled in byte-level characters */
    bool space_pieces;  /* the vocabulary spells space as U+2581: kind llama */
    bool scored;        /* the tokens have scores */
    bool sentencepiece; /* a Unigram by SentencePiece's rules: only normal and user's tokens come about */
    bool model_file;    /* a SentencePiece model's own file, which is read as SentencePiece itself does */
    bool space_prefix;
    tuff_view chat_template;
    bool chat_file; /* it was a file of its own */
};

/* ---- building (tokenizer.c) ---- */
TUFF_MUST_USE tuff_status tuff_tokenizer_new(tuff_tokenizer **out_tokenizer);
/* A copy in the tokenizer's arena; data NULL: out of memory. */
tuff_view tuff_tokenizer_copy(tuff_tokenizer *tokenizer, tuff_view text);
/* Makes the token table; ids 0 to size - 1. */
TUFF_MUST_USE tuff_status tuff_tokenizer_reserve(tuff_tokenizer *tokenizer, uint32_t size);
/* Steps by their parts; the step limit and memory are checked, the regex is compiled. A step's charsmap is
 * the tokenizer's from here on. */
TUFF_MUST_USE tuff_status tuff_add_normalizer(tuff_tokenizer *tokenizer, tuff_normalizer step,
                                              tuff_view pattern, const char *where);
TUFF_MUST_USE tuff_status tuff_add_splitter(tuff_tokenizer *tokenizer, tuff_splitter step, tuff_view pattern,
                                            const char *where);
TUFF_MUST_USE tuff_status tuff_add_unspell(tuff_tokenizer *tokenizer, tuff_unspell step, tuff_view pattern,
                                           const char *where);
/* Finds the two tokens and the one they make, and adds the merge. `index` is for the error text. */
TUFF_MUST_USE tuff_status tuff_add_merge(tuff_tokenizer *tokenizer, tuff_view left, tuff_view right,
                                         size_t index, const char *where);
/* The same from "left right". */
TUFF_MUST_USE tuff_status tuff_add_merge_text(tuff_tokenizer *tokenizer, tuff_view text, size_t index,
                                              const char *where);
/* Adds an end-of-text id once; ignores negative ones. */
void tuff_tokenizer_add_eos(tuff_tokenizer *tokenizer, int64_t id);
/* After tokens, merges and steps are in: the tables of the model and the added tokens. */
TUFF_MUST_USE tuff_status tuff_tokenizer_finish(tuff_tokenizer *tokenizer, const char *where);
/* Looks for a special token that usually ends texts, when no file has named one. */
void tuff_tokenizer_guess_eos(tuff_tokenizer *tokenizer);
/* The same for begin of text, and for an encoder's cls, sep and mask, from the template and usual names. */
void tuff_guess_specials(tuff_tokenizer *t);

#endif
