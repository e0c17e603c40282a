/* The parts of tokenizer.json, written. */
#ifndef TUFF_TEXT_WRITE_H
#define TUFF_TEXT_WRITE_H

#include "text/tokenizer_impl.h"

/* The whole file: as it was read, where the tokenizer came from one. */
TUFF_MUST_USE tuff_status tuff_write_tokenizer_json(const tuff_tokenizer *tokenizer, tuff_buf *out);
/* tokenizer_config.json: the same. */
TUFF_MUST_USE tuff_status tuff_write_tokenizer_config(const tuff_tokenizer *tokenizer, tuff_buf *out);

void tuff_write_quoted(tuff_buf *out, tuff_view text);
/* "vocab": {text: id} */
void tuff_write_vocab(const tuff_tokenizer *t, tuff_buf *out);

/* ---- encoders (write_encoders.c) ---- */

/* Patterns of what SentencePiece takes off the ends of a text. */
extern const char tuff_spaces_before[], tuff_pieces_behind[];

/* Normalizer, pre-tokenizer, decoder; the model, to the end of the file. */
void tuff_write_bert_steps(const tuff_tokenizer *t, tuff_buf *out);
void tuff_write_sentencepiece_steps(const tuff_tokenizer *t, tuff_buf *out);
void tuff_write_wordpiece(const tuff_tokenizer *t, tuff_buf *out);
void tuff_write_unigram(const tuff_tokenizer *t, tuff_buf *out);

#endif
