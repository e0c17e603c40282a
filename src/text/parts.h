/* Where a long text may be cut, so that its parts give the very ids that the whole gives.
 *
 * A cut is behind a newline that stands alone between a character that is no white space and a letter. The
 * known ways of cutting words (known_cuts.def) all begin a word there, whatever lies on the other side; a BPE
 * without such a step has no token that goes over such a place, which is looked at, so that no merge does. A
 * part but the first is encoded behind a short lead, which stands for what is before it, and whose own ids
 * are then left out: so what a tokenizer puts before a text comes before the lead. */
#ifndef TUFF_TEXT_PARTS_H
#define TUFF_TEXT_PARTS_H

#include "text/encode.h"

typedef struct tuff_parts {
    const tuff_tokenizer *tokenizer;
    bool before[256], after[256]; /* last and first bytes of added tokens that take white space with them */
    size_t lead;                  /* ids of TUFF_PARTS_LEAD */
} tuff_parts;

#define TUFF_PARTS_LEAD "a\n"

/* *out_can is false for a tokenizer whose texts must be encoded whole. */
TUFF_MUST_USE tuff_status tuff_parts_begin(const tuff_tokenizer *tokenizer, tuff_parts *out, bool *out_can);
/* The last place in (0, most] where the text may be cut, that is 0 < place < size; 0: there is none. */
size_t tuff_parts_cut(const tuff_parts *parts, tuff_view text, size_t most);
/* Encodes a part of a text, the first or another one; its ids are pieces.ids from *out_begin on. The encoder
 * has begun without special tokens; `room` is working memory. */
TUFF_MUST_USE tuff_status tuff_parts_encode(const tuff_parts *parts, tuff_encoder *encoder, tuff_view part,
                                            bool first, tuff_buf *room, size_t *out_begin);

#endif
