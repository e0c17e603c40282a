/* BLEU (Papineni et al. 2002) and chrF (Popovic 2015) of many texts, as sacrebleu counts them: BLEU of the
 * words that its tokenizer 13a makes, orders without a match smoothed exponentially; chrF of up to six
 * characters without white space, recall twice as important as precision. */
#ifndef TUFF_TRAIN_BLEU_H
#define TUFF_TRAIN_BLEU_H

#include "train/ngrams.h"

enum { TUFF_BLEU_ORDER = 4, TUFF_CHRF_ORDER = 6 };

/* What was counted; begins as zeros. */
typedef struct tuff_bleu {
    int64_t shared[TUFF_BLEU_ORDER], said[TUFF_BLEU_ORDER];
    int64_t said_words, true_words;
} tuff_bleu;
typedef struct tuff_chrf {
    int64_t shared[TUFF_CHRF_ORDER], said[TUFF_CHRF_ORDER], truth[TUFF_CHRF_ORDER];
} tuff_chrf;

TUFF_MUST_USE tuff_status tuff_bleu_add(tuff_bleu *bleu, tuff_view said, tuff_view truth);
TUFF_MUST_USE tuff_status tuff_chrf_add(tuff_chrf *chrf, tuff_view said, tuff_view truth);
/* From 0 to 100. */
double tuff_bleu_score(const tuff_bleu *bleu);
double tuff_chrf_score(const tuff_chrf *chrf);

/* A text with a space between the words of 13a. */
TUFF_MUST_USE tuff_status tuff_bleu_tokenize(tuff_view text, tuff_buf *out);

#endif
