/* SentencePiece's table of replacements ("precompiled charsmap"): which beginnings of a text become what. It
 * is a double array (as darts-clone makes them) over strings that end with NUL. */
#ifndef TUFF_TEXT_CHARSMAP_H
#define TUFF_TEXT_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <tuff/status.h>

#include "base/text.h"
#include "text/added_tokens.h"
#include "text/origins.h"
#include "text/pace.h"

/* Immutable once made. */
typedef struct tuff_charsmap tuff_charsmap;
/* Copies a hostile blob. TUFF_BAD_FORMAT when it cannot be such a table. */
TUFF_MUST_USE tuff_status tuff_charsmap_create(tuff_view blob, const char *where, tuff_charsmap **out_map);
void tuff_charsmap_destroy(tuff_charsmap **map);
/* The bytes it was made from. */
tuff_view tuff_charsmap_blob(const tuff_charsmap *map);

/* Appends the text with its replacements, as the Hugging Face library makes them, until `out` has more than
 * `limit` bytes: a character with all that belongs to it (a grapheme cluster) is replaced as a whole by what
 * its shortest known beginning becomes; where it has none, or 6 bytes or more, each of its code points by
 * itself. */
TUFF_MUST_USE tuff_status tuff_charsmap_apply(const tuff_charsmap *map, tuff_view text, size_t limit,
                                              tuff_pace *pace, tuff_made *out);

/* The same as SentencePiece makes them: at each place the longest known beginning is replaced. Spaces become
 * U+2581; with `merge` there are none at the ends and no two in a row, with `prefix` there is one before the
 * text. Where one of `kept` begins nothing else is replaced in it. `map` and `kept` may be NULL. */
TUFF_MUST_USE tuff_status tuff_charsmap_sentencepiece(const tuff_charsmap *map, const tuff_added_set *kept,
                                                      bool prefix, bool merge, tuff_view text, size_t limit,
                                                      tuff_pace *pace, tuff_made *out);

#endif
