/* Answers beside the true ones, as SQuAD's evaluation counts them (Rajpurkar et al. 2016). */
#ifndef TUFF_TRAIN_SQUAD_H
#define TUFF_TRAIN_SQUAD_H

#include "base/status.h"
#include "base/text.h"

/* Both texts without case (of ASCII), punctuation, articles and extra spaces: 1 where they are the same, and
 * the F1 of their words. */
TUFF_MUST_USE tuff_status tuff_squad_compare(tuff_view said, tuff_view truth, double *out_exact,
                                             double *out_f1);

#endif
