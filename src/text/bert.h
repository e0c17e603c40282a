/* The steps around BERT's WordPiece. */
#ifndef TUFF_TEXT_BERT_H
#define TUFF_TEXT_BERT_H

#include "text/tokenizer_impl.h"

/* "BertNormalizer". */
typedef struct tuff_bert_rules {
    bool clean;   /* controls go, every white space is a space */
    bool chinese; /* each ideograph is a word */
    bool accents; /* are stripped */
    bool lower;
} tuff_bert_rules;

TUFF_MUST_USE tuff_status tuff_bert_add_normalizer(tuff_tokenizer *t, tuff_bert_rules rules,
                                                   const char *where);
/* The rules of a tokenizer that has these steps and no other; false for others. */
bool tuff_bert_rules_of(const tuff_tokenizer *t, tuff_bert_rules *out);
/* All of an uncased or a cased BERT, but for its tokens: steps, the model's prefix and limit, the decoder. */
TUFF_MUST_USE tuff_status tuff_bert_apply(tuff_tokenizer *t, tuff_bert_rules rules, const char *where);
/* Whether some token that is not special has a capital letter of ASCII: an uncased vocabulary has none. */
bool tuff_bert_is_cased(const tuff_tokenizer *t);

#endif
