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

enum {
    TUFF_TEMPLATE_LIMIT = 16, /* ids around a text */
    TUFF_EOS_LIMIT = 16,
    TUFF_STEP_LIMIT = 32 /* normalizers, cuts, decoder steps */
};

typedef enum tuff_unspell_kind {
    TUFF_UNSPELL_BYTES,      /* byte-level characters to bytes */
    TUFF_UNSPELL_REPLACE,    /* matches of `regex` by `text` */
    TUFF_UNSPELL_BYTE_TOKEN, /* "<0x0A>" to its byte */
    TUFF_UNSPELL_STRIP,      /* up to `left` and `right` of the character `text` off the ends of each token */
    TUFF_UNSPELL_STRIP_ALL,  /* off the start of the whole text */
    TUFF_UNSPELL_METASPACE   /* `text` to a space, and to nothing in the first token where `drop_first` */
} tuff_unspell_kind;

/* One step from a token's spelling to its text. */
typedef struct tuff_unspell {
    tuff_unspell_kind kind;
    tuff_regex *regex; /* owned */
    tuff_view text;
    size_t left, right;
    bool drop_first;
} tuff_unspell;

typedef struct tuff_token {
    tuff_view text; /* data NULL: no token has this id */
    float score;
    uint8_t type;  /* tuff_token_type */
    bool special;  /* skipped when decoding for people */
    bool in_model; /* the model may give it, not only the search for added tokens */
} tuff_token;

struct tuff_tokenizer {
    tuff_arena arena; /* all texts and tables below, unless said otherwise */
    tuff_token *tokens;
    uint32_t size;
    tuff_map ids; /* spelling to id, added tokens included */
    tuff_bpe bpe;

    tuff_added_token *added;
    size_t added_count;
    tuff_added_set raw_added, normalized_added;

    tuff_normalizer normalizers[TUFF_STEP_LIMIT];
    size_t normalizer_count;
    tuff_splitter splitters[TUFF_STEP_LIMIT];
    size_t splitter_count;
    tuff_unspell unspells[TUFF_STEP_LIMIT];
    size_t unspell_count;
    bool join_with_space; /* no decoder: tokens are words */

    int32_t before[TUFF_TEMPLATE_LIMIT], after[TUFF_TEMPLATE_LIMIT]; /* around a text */
    size_t before_count, after_count;
    int32_t bos, unk, pad, eos[TUFF_EOS_LIMIT];
    size_t eos_count;

    /* Where it came from, for writing. */
    tuff_view json, config; /* tokenizer.json, tokenizer_config.json as read; data NULL: not from one */
    const struct tuff_known_cut
        *cut;          /* byte-level, the known way of cutting; NULL: not byte-level or unknown */
    bool byte_level;   /* the vocabulary is spelled in byte-level characters */
    bool space_pieces; /* the vocabulary spells space as U+2581: kind llama */
    bool scored;       /* the tokens have scores */
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
/* Steps by their parts; the step limit and memory are checked, the regex is compiled. */
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
TUFF_MUST_USE tuff_status tuff_tokenizer_finish(tuff_tokenizer *tokenizer);
/* Looks for a special token that usually ends texts, when no file has named one. */
void tuff_tokenizer_guess_eos(tuff_tokenizer *tokenizer);

/* ---- writing (write.c) ---- */
TUFF_MUST_USE tuff_status tuff_write_tokenizer_json(const tuff_tokenizer *tokenizer, tuff_buf *out);

#endif
