/* The normalizers of tokenizer.json: what is done to a text before it is cut into words. */
#ifndef TUFF_TEXT_NORMALIZE_H
#define TUFF_TEXT_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"
#include "text/charsmap.h"
#include "text/origins.h"
#include "text/regex.h"

typedef enum tuff_normalizer_kind {
    TUFF_NORMALIZE_PREPEND,
    TUFF_NORMALIZE_REPLACE,
    TUFF_NORMALIZE_NFC,
    TUFF_NORMALIZE_NFD,
    TUFF_NORMALIZE_NFKC,
    TUFF_NORMALIZE_NFKD,
    TUFF_NORMALIZE_LOWERCASE,
    TUFF_NORMALIZE_STRIP,
    TUFF_NORMALIZE_BYTES,      /* into the byte-level alphabet */
    TUFF_NORMALIZE_CLEAN,      /* BERT: without controls, every white space a space */
    TUFF_NORMALIZE_CHINESE,    /* BERT: spaces around each ideograph */
    TUFF_NORMALIZE_NONSPACING, /* BERT: without the marks that NFD has set free */
    TUFF_NORMALIZE_MARKS,      /* without all marks */
    TUFF_NORMALIZE_NMT,        /* SentencePiece's older rule: some controls out, others spaces */
    TUFF_NORMALIZE_CHARSMAP,   /* SentencePiece's table as the Hugging Face library reads it */
    TUFF_NORMALIZE_SENTENCEPIECE
} tuff_normalizer_kind;

typedef struct tuff_normalizer {
    tuff_normalizer_kind kind;
    tuff_regex *regex;          /* replace: what; owned */
    tuff_charsmap *charsmap;    /* NULL: none; owned */
    const tuff_added_set *kept; /* SentencePiece: what is left as it is; NULL: nothing */
    tuff_view text;             /* replace: by what; prepend: what */
    tuff_view pattern;          /* source of the regex */
    bool left, right;           /* strip: which ends */
    bool prefix, merge; /* SentencePiece: a space before the text; no spaces at its ends, nor two in a row */
} tuff_normalizer;
void tuff_normalizer_free(tuff_normalizer *step);

/* How many bytes a text of `size` bytes may become. Real normalizers make up to 11 of one. */
static inline size_t tuff_normalize_room(size_t size)
{
    return size > (SIZE_MAX - 65536) / 16 ? SIZE_MAX : size * 16 + 65536;
}

/* One encoding's working memory over the steps. {0} is empty. */
typedef struct tuff_normalizing {
    tuff_buf from, to;
    tuff_origins origins, next; /* of what the steps made; of the step at hand */
} tuff_normalizing;
void tuff_normalizing_free(tuff_normalizing *run);

/* Normalizes a text, valid UTF-8 in and out, and takes its size from *room. The result lies in the run until
 * its next text; run->origins say where it comes from, if `traced`. TUFF_UNSUPPORTED when the text grows
 * beyond *room, after any step. */
TUFF_MUST_USE tuff_status tuff_normalize(const tuff_normalizer *steps, size_t count, tuff_view text,
                                         bool traced, size_t *room, tuff_pace *pace, tuff_normalizing *run,
                                         tuff_view *out_text);

/* Appends the text with each maximal broken sequence replaced by U+FFFD (Unicode 15, section 3.9). */
TUFF_MUST_USE tuff_status tuff_repair_utf8(tuff_view text, tuff_pace *pace, tuff_made *out);

/* Appends the text with every match replaced, until `out` has more than `limit` bytes. */
TUFF_MUST_USE tuff_status tuff_replace(const tuff_regex *regex, tuff_view by, tuff_view text, size_t limit,
                                       tuff_pace *pace, tuff_made *out);

#endif
