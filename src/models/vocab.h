/* The vocabulary of a GGUF file as a tokenizer, and back. */
#ifndef TUFF_MODELS_VOCAB_H
#define TUFF_MODELS_VOCAB_H

#include <tuff/tokenizer.h>

#include "formats/gguf.h"
#include "formats/hf_config.h"

TUFF_MUST_USE tuff_status tuff_vocab_load(const tuff_gguf *gguf, tuff_tokenizer **out_tokenizer);
/* Begin, padding and end tokens. */
TUFF_MUST_USE tuff_status tuff_vocab_tokens(const tuff_gguf *gguf, tuff_hf_tokens *out_tokens);
/* Writes the tokenizer.ggml.* keys, with one token for each of the model's `rows`: those past the tokenizer's
 * are unused ones, as other readers of GGUF take the size of the vocabulary from their number. */
TUFF_MUST_USE tuff_status tuff_vocab_write(const tuff_tokenizer *tokenizer, uint32_t rows,
                                           tuff_gguf_builder *gguf);

#endif
