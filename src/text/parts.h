/* Where a long text may be cut, so that its parts give the very ids that the whole gives.
 *
 * There are three kinds of such places: behind a newline that stands alone between a character that is no
 * white space and a letter or digit; before a space that stands alone between letters or digits; before a
 * full stop or comma behind a letter. The known ways of cutting words (known_cuts.def) all end a word there,
 * whatever lies on the other side, but those that say otherwise; so do those that cut at white space. A BPE
 * without such a step has no token that goes over such a place, which is looked at, so that no merge does. A
 * part but the first is encoded behind a short lead, which stands for what is before it, and whose own ids
 * are then left out: so what a tokenizer puts before a text comes before the lead. */
#ifndef TUFF_TEXT_PARTS_H
#define TUFF_TEXT_PARTS_H

#include "text/encode.h"

/* Kinds of places. */
enum {
    TUFF_PARTS_LINES = 1,
    TUFF_PARTS_SPACES = 2,
    TUFF_PARTS_MARKS = 4,
    TUFF_PARTS_ALL = TUFF_PARTS_LINES | TUFF_PARTS_SPACES | TUFF_PARTS_MARKS
};

typedef struct tuff_parts {
    const tuff_tokenizer *tokenizer;
    unsigned kinds;               /* of places where its texts may be cut */
    const char *why;              /* there are none */
    bool ascii;                   /* only between characters of ASCII */
    bool before[256], after[256]; /* last and first bytes of added tokens that take white space with them */
    size_t line_lead, word_lead;  /* ids of the two leads */
} tuff_parts;

/* Looks where the texts of a tokenizer may be cut: fills in all but the leads (parts_kinds.c). */
TUFF_MUST_USE tuff_status tuff_parts_find(const tuff_tokenizer *tokenizer, tuff_parts *out);
/* A letter, or a digit of ASCII: what stands on both sides of a space or behind a newline. */
bool tuff_parts_is_word(uint32_t codepoint);

/* *out_can is false for a tokenizer whose texts must be encoded whole, and out->why says why. */
TUFF_MUST_USE tuff_status tuff_parts_begin(const tuff_tokenizer *tokenizer, tuff_parts *out, bool *out_can);
/* The last place in (0, most] where the text may be cut, that is 0 < place < size; 0: there is none. */
size_t tuff_parts_cut(const tuff_parts *parts, tuff_view text, size_t most);
/* What is put before a part that is not the first. */
const char *tuff_parts_lead(tuff_view part);
/* Encodes a part of a text, the first or another one; its ids are pieces.ids from *out_begin on. The encoder
 * has begun without special tokens; `room` is working memory. */
TUFF_MUST_USE tuff_status tuff_parts_encode(const tuff_parts *parts, tuff_encoder *encoder, tuff_view part,
                                            bool first, tuff_buf *room, size_t *out_begin);

#endif
