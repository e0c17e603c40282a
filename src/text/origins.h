/* A text made from another, and which bytes of that other each of its bytes stands for: so a token that the
 * model finds in a normalized text is found again in the user's. */
#ifndef TUFF_TEXT_ORIGINS_H
#define TUFF_TEXT_ORIGINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>
#include <tuff/tokenizer.h>

#include "base/text.h"

/* Longer texts have no origins: their places are kept in 32 bits, and a text may become 16 times as long. */
enum { TUFF_ORIGINS_LIMIT = 1 << 27 };

/* From byte `out` of the made text on, up to the next one's. */
typedef struct tuff_origin {
    uint32_t out;
    uint32_t in;
    uint32_t
        size; /* 0: copied, byte by byte, from `in` on. Else each byte stands for all of [in, in + size) */
} tuff_origin;

/* In order. {0}: the text was copied as it was. */
typedef struct tuff_origins {
    tuff_origin *items;
    size_t count, capacity;
} tuff_origins;
void tuff_origins_clear(tuff_origins *origins); /* keeps the memory */
void tuff_origins_free(tuff_origins *origins);
/* Where [start, end) of the made text comes from. */
tuff_span tuff_origins_find(const tuff_origins *origins, tuff_span made);
/* `later` leads from a text to one that `earlier` made: lets it lead to what that was made from. */
TUFF_MUST_USE tuff_status tuff_origins_join(tuff_origins *later, const tuff_origins *earlier);

/* A text being made. */
typedef struct tuff_made {
    tuff_buf text;
    tuff_origins *origins; /* NULL: not wanted */
} tuff_made;
void tuff_made_clear(tuff_made *made); /* keeps the memory */
/* Appends source[at, at + size) as it is. */
void tuff_made_copy(tuff_made *made, tuff_view source, size_t at, size_t size);
/* Appends `text`, which stands for [in, in + size) of the source; size is not 0. */
void tuff_made_put(tuff_made *made, tuff_view text, size_t in, size_t size);
void tuff_made_put_utf8(tuff_made *made, uint32_t codepoint, size_t in, size_t size);
/* Shortens the text to `size` bytes. */
void tuff_made_cut(tuff_made *made, size_t size);

#endif
