/* From a GGUF vocabulary to a tokenizer. */
#ifndef TUFF_TEXT_DESCRIBE_H
#define TUFF_TEXT_DESCRIBE_H

#include "text/tokenizer_impl.h"

enum { TUFF_NAMED_LIMIT = 8 }; /* ids that a description names */

/* Makes a new tokenizer, whose normalizers may have steps already, what the description says. */
TUFF_MUST_USE tuff_status tuff_tokenizer_fill(tuff_tokenizer *t, const tuff_vocab_desc *desc,
                                              const char *where);
/* The merges of tokens with scores: the two neighbours are joined whose token has the best one, of equals the
 * leftmost: a BPE whose merges have one rank per score. SentencePiece's and tiktoken's way. */
TUFF_MUST_USE tuff_status tuff_imply_merges(tuff_tokenizer *t, const char *where);
/* SentencePiece's way from a text to pieces and back. `bytes`: some tokens stand for bytes. */
TUFF_MUST_USE tuff_status tuff_add_sentencepiece(tuff_tokenizer *t, const tuff_vocab_desc *desc, bool bytes,
                                                 const char *where);

/* ---- the kinds of encoders (describe_encoders.c) ---- */

/* A token of kind bert as its vocabulary spells it: those with U+2581 before them begin words, others go on
 * with one. data NULL: out of memory. */
tuff_view tuff_spell_wordpiece(tuff_tokenizer *t, tuff_view text);
/* The same back; in `arena`. */
tuff_view tuff_spell_phantom(tuff_arena *arena, tuff_view text);
TUFF_MUST_USE tuff_status tuff_make_wordpiece(tuff_tokenizer *t, const tuff_vocab_desc *desc,
                                              const char *where);
TUFF_MUST_USE tuff_status tuff_make_unigram(tuff_tokenizer *t, const tuff_vocab_desc *desc,
                                            const char *where);

#endif
