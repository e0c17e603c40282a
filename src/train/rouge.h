/* ROUGE (Lin 2004) of a text beside the one that it is to be, as rouge-score counts it: words are what is
 * left of a text in small letters when all but a-z and 0-9 is taken for space. */
#ifndef TUFF_TRAIN_ROUGE_H
#define TUFF_TRAIN_ROUGE_H

#include "train/ngrams.h"

/* F-measures, from 0 to 1. */
typedef struct tuff_rouge {
    double one, two; /* words, pairs of words */
    double l;        /* the longest common sequence of words */
    double l_sum;    /* the same sentence by sentence, which lines are */
} tuff_rouge;

/* `stem`: words without their endings, by Porter's rules. */
TUFF_MUST_USE tuff_status tuff_rouge_score(tuff_view said, tuff_view truth, bool stem, tuff_rouge *out);

#endif
