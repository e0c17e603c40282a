/* A tokenizer with more special tokens. */
#ifndef TUFF_TEXT_EXTEND_H
#define TUFF_TEXT_EXTEND_H

#include <tuff/tokenizer.h>

/* A tokenizer that is `base` and has tokens[0..n) too, as added special ones: those that it does not know get
 * the next ids, in their order. `end` is one of its tokens then, with which texts end, in front of those with
 * which they ended before; NULL: none. `chat_template` is its template; {NULL, 0}: the base's. Errors:
 * TUFF_INVALID_ARGUMENT for a token that is empty, too long or no UTF-8; TUFF_UNSUPPORTED for a tokenizer
 * that cannot be written as tokenizer.json. */
TUFF_MUST_USE tuff_status tuff_tokenizer_extend(const tuff_tokenizer *base, const tuff_piece *tokens,
                                                size_t n, const char *end, tuff_piece chat_template,
                                                tuff_tokenizer **out_tokenizer);

#endif
