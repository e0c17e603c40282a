/* Tokens found in the text before anything else is done to it: "<|endoftext|>" and the like. */
#ifndef TUFF_TEXT_ADDED_TOKENS_H
#define TUFF_TEXT_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"
#include "text/pace.h"

typedef struct tuff_added_token {
    tuff_view text; /* as the vocabulary spells it */
    int32_t id;
    bool special;     /* skipped when decoding for people */
    bool normalized;  /* sought in the normalized text */
    bool single_word; /* only where no letter adjoins */
    bool left, right; /* takes the white space on its left, right, with it */
} tuff_added_token;

/* The tokens sought in one stage, before or after normalization. */
typedef struct tuff_added_set {
    struct tuff_added_needle *needles; /* sorted by bytes */
    size_t count;
    bool starts[256]; /* first bytes of the needles */
} tuff_added_set;

/* `needles[i]` is what to seek for tokens[i]; its bytes must outlive the set. Empty ones are left out. */
TUFF_MUST_USE tuff_status tuff_added_build(tuff_added_set *set, const tuff_added_token *tokens,
                                           const tuff_view *needles, size_t count);
void tuff_added_free(tuff_added_set *set);

/* What is sought: the needle at an index below `count`. */
tuff_view tuff_added_needle_text(const tuff_added_set *set, size_t index);

/* Bytes of the longest needle that data[0..size) begins with, 0: none. */
size_t tuff_added_beginning(const tuff_added_set *set, const char *data, size_t size);

/* Where the search in one text stands. */
typedef struct tuff_added_search {
    size_t from;     /* where the next needle may start */
    size_t done;     /* end of the last token, white space it took included */
    tuff_pace *pace; /* NULL: nobody watches */
} tuff_added_search;

/* The next token: it takes [*out_start, *out_end); the text between the last token and it is plain.
 * *out_token is NULL after the last. */
TUFF_MUST_USE tuff_status tuff_added_next(const tuff_added_set *set, tuff_view text, bool plain_special,
                                          tuff_added_search *search, const tuff_added_token **out_token,
                                          size_t *out_start, size_t *out_end);

#endif
