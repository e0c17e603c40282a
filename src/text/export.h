/* A tokenizer as a GGUF vocabulary, while it is made. */
#ifndef TUFF_TEXT_EXPORT_H
#define TUFF_TEXT_EXPORT_H

#include "text/tokenizer_impl.h"

struct tuff_vocab_export {
    tuff_arena arena;
    tuff_piece *tokens, *merges;
    int32_t *types;
    float *scores;
    tuff_vocab_desc desc;
};

TUFF_MUST_USE tuff_status tuff_inexpressible(const char *what);

/* What the kinds of encoders need beside the tokens, types and scores, which are copied (export_encoders.c).
 */
TUFF_MUST_USE tuff_status tuff_export_wordpiece(const tuff_tokenizer *t, tuff_vocab_export *e);
TUFF_MUST_USE tuff_status tuff_export_unigram(const tuff_tokenizer *t, tuff_vocab_export *e);

#endif
