/* WordPiece: a word is cut into the longest tokens that fit, from its start on; those after the first are
 * spelled with a prefix ("##ing"). A word that cannot be cut so is one unknown token. */
#ifndef TUFF_TEXT_WORDPIECE_H
#define TUFF_TEXT_WORDPIECE_H

#include <stdint.h>
#include <tuff/status.h>

#include "text/pace.h"
#include "text/pieces.h"
#include "text/trie.h"

typedef struct tuff_wordpiece {
    tuff_trie starts, tails; /* tokens that begin a word; those that go on with one, without the prefix */
    tuff_view prefix;
    int32_t unk;
    size_t longest; /* characters: a longer word is unknown */
} tuff_wordpiece;

/* Builds the tables; prefix, unk and longest are in place. */
TUFF_MUST_USE tuff_status tuff_wordpiece_build(tuff_wordpiece *model, const tuff_view *tokens,
                                               const int32_t *ids, size_t count, const char *where);
void tuff_wordpiece_free(tuff_wordpiece *model);

/* Appends the tokens of one word (valid UTF-8). */
TUFF_MUST_USE tuff_status tuff_wordpiece_encode(const tuff_wordpiece *model, tuff_view word, tuff_pace *pace,
                                                tuff_pieces *out);

#endif
