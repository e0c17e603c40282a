/* The normalizers of tokenizer.json: what is done to a text before it is cut into words. */
#ifndef TUFF_TEXT_NORMALIZE_H
#define TUFF_TEXT_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "base/text.h"
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
    TUFF_NORMALIZE_BYTES /* into the byte-level alphabet */
} tuff_normalizer_kind;

typedef struct tuff_normalizer {
    tuff_normalizer_kind kind;
    tuff_regex *regex; /* replace: what; owned */
    tuff_view text;    /* replace: by what; prepend: what */
    bool left, right;  /* strip: which ends */
} tuff_normalizer;

/* How many bytes a text of `size` bytes may become. Real normalizers make up to 11 of one. */
static inline size_t tuff_normalize_room(size_t size)
{
    return size > (SIZE_MAX - 65536) / 16 ? SIZE_MAX : size * 16 + 65536;
}

/* Appends the normalized text, valid UTF-8 in and out, and takes its size from *room. TUFF_UNSUPPORTED when
 * the text grows beyond it, after any step. */
TUFF_MUST_USE tuff_status tuff_normalize(const tuff_normalizer *steps, size_t count, tuff_view text,
                                         size_t *room, tuff_pace *pace, tuff_buf *out);

/* Appends the text with each maximal broken sequence replaced by U+FFFD (Unicode 15, section 3.9). */
TUFF_MUST_USE tuff_status tuff_repair_utf8(tuff_view text, tuff_pace *pace, tuff_buf *out);

/* Unicode's White_Space. */
bool tuff_is_space(uint32_t codepoint);

/* Appends the text with every match replaced, until `out` has more than `limit` bytes. */
TUFF_MUST_USE tuff_status tuff_replace(const tuff_regex *regex, tuff_view by, tuff_view text, size_t limit,
                                       tuff_pace *pace, tuff_buf *out);

#endif
