/* The pre-tokenizers of tokenizer.json: how a normalized text is cut into the words that the model encodes
 * one by one.
 *
 * Each of Hugging Face's pre-tokenizers is one to three of these steps; a piece runs through all steps before
 * the next one is cut, so the memory needed does not grow with the text. */
#ifndef TUFF_TEXT_SPLIT_H
#define TUFF_TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/status.h>

#include "base/text.h"
#include "text/origins.h"
#include "text/regex.h"

typedef enum tuff_splitter_kind {
    TUFF_SPLIT_PATTERN,
    TUFF_SPLIT_PREFIX_SPACE, /* puts a space before a piece that has none */
    TUFF_SPLIT_METASPACE,    /* writes spaces as `text`, and puts one before */
    TUFF_SPLIT_BYTES,        /* into the byte-level alphabet */
    TUFF_SPLIT_SPACES,       /* at white space, which goes */
    TUFF_SPLIT_BERT          /* the same, and around each punctuation mark */
} tuff_splitter_kind;

/* What becomes of a match of the pattern. */
typedef enum tuff_split_behavior {
    TUFF_SPLIT_ISOLATED,
    TUFF_SPLIT_REMOVED,
    TUFF_SPLIT_MERGED_WITH_PREVIOUS,
    TUFF_SPLIT_MERGED_WITH_NEXT,
    TUFF_SPLIT_CONTIGUOUS
} tuff_split_behavior;

typedef enum tuff_prepend { TUFF_PREPEND_ALWAYS, TUFF_PREPEND_FIRST, TUFF_PREPEND_NEVER } tuff_prepend;

typedef struct tuff_splitter {
    tuff_splitter_kind kind;
    tuff_regex *regex; /* owned */
    tuff_split_behavior behavior;
    bool invert; /* what lies between matches is the match */
    tuff_view text;
    tuff_prepend prepend;
    tuff_view pattern; /* source of the regex, to tell known cuts apart */
} tuff_splitter;

typedef tuff_status (*tuff_word_fn)(void *user, tuff_view word);

/* One encoding's working memory over the steps. */
typedef struct tuff_split_run {
    const tuff_splitter *steps;
    size_t count;
    size_t outer;    /* the first step that cuts: it tells how far the text is; count: none does */
    tuff_pace *pace; /* NULL: nobody watches */
    struct tuff_split_state *states;
    bool traced;     /* tuff_split_origin will be asked */
    tuff_view piece; /* that is being cut */
    tuff_word_fn fn;
    void *user;
} tuff_split_run;
TUFF_MUST_USE tuff_status tuff_split_begin(const tuff_splitter *steps, size_t count, bool traced,
                                           tuff_word_fn fn, void *user, tuff_pace *pace, tuff_split_run *run);
/* Cuts one piece (valid UTF-8) and hands its words over in order; none is empty. `first`: the piece begins
 * the text. */
TUFF_MUST_USE tuff_status tuff_split(tuff_split_run *run, tuff_view piece, bool first);
/* While a word is being handed over: the bytes of the piece that [start, end) of the word stands for. */
tuff_span tuff_split_origin(const tuff_split_run *run, tuff_view word, tuff_span span);
void tuff_split_end(tuff_split_run *run);

#endif
