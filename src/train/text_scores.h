/* How good texts are that a model gave, beside those that they were to be. */
#ifndef TUFF_TRAIN_TEXT_SCORES_H
#define TUFF_TRAIN_TEXT_SCORES_H

#include "train/bleu.h"
#include "train/rouge.h"
#include "train/task.h"

/* Begins as zeros, but for `stem`. */
typedef struct tuff_text_scores {
    bool stem; /* ROUGE's words without their endings */
    int64_t texts, exact;
    tuff_bleu bleu;
    tuff_chrf chrf;
    tuff_rouge rouge; /* sums */
} tuff_text_scores;

TUFF_MUST_USE tuff_status tuff_text_scores_add(tuff_text_scores *scores, tuff_view said, tuff_view truth);
/* bleu, chrf, rouge1, rouge2, rougeL and rougeLsum, which are means over the texts, and exact_match, the
 * share of texts that are the same; 0 to 100 of the first two, 0 to 1 of the others. */
void tuff_text_scores_put(const tuff_text_scores *scores, tuff_eval_result *out);

#endif
