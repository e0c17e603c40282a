/* A sampler inside: how logits are changed, which ids are left to choose from. */
#ifndef TUFF_TEXT_SAMPLER_H
#define TUFF_TEXT_SAMPLER_H

#include <tuff/sampler.h>

#include "base/status.h"

typedef struct tuff_choice {
    int32_t id;
    double logit;
    double weight; /* exp(logit - largest logit) */
} tuff_choice;

struct tuff_sampler {
    tuff_sampling settings; /* its biases are `biases` */
    uint32_t vocab;
    tuff_logit_bias *biases;
    int32_t *bias_ids;    /* of all of them */
    uint8_t *seen;        /* [vocab]: the id is in the prompt or has been chosen, within the window */
    uint32_t *chosen;     /* [vocab]: how often it has been; NULL: no penalty asks */
    double *scores;       /* [vocab]: the logits as they are changed */
    tuff_choice *choices; /* [vocab]: what is left, in order of id */
    tuff_choice *sorted;  /* [vocab]: for top-p and typical-p */
    double *heap;         /* the largest logits, smallest first */
    int32_t *ids; /* [count]: prompt and text, where n-grams, the window or biases of several ids ask */
    size_t count, capacity;
    bool keeps_ids, lost_ids; /* lost_ids: there was no memory for one */
    int32_t *ends;            /* [end_count]: ids that may not be chosen before `least_made` ids are */
    size_t end_count;
    int64_t made, least_made;
    int64_t first; /* how many ids are made before the first that is chosen: 1 where one is forced */
};

/* Ids that may not be chosen before `least` ids have been; they are copied. */
TUFF_MUST_USE tuff_status tuff_sampler_hold_ends(tuff_sampler *sampler, const int32_t *ids, size_t n,
                                                 int64_t least);
/* Whether that which follows does anything. */
bool tuff_sampler_changes(const tuff_sampler *sampler);
/* Changes scores f64 [vocab], which may be logits or log-probabilities, as biases, penalties, n-grams and
 * held ends say; what is forbidden becomes -INFINITY. Fails where an id was lost. */
TUFF_MUST_USE tuff_status tuff_sampler_change(const tuff_sampler *sampler, double *scores);
/* What tuff_sampler_sample draws from: ids in ascending order with their weights. Valid until the next call.
 * Not for greedy settings. */
TUFF_MUST_USE tuff_status tuff_sampler_weigh(tuff_sampler *sampler, const float *logits, uint64_t position,
                                             const tuff_choice **out_choices, uint32_t *out_count);

/* Which of the first `count` choices stay, by the sampler's settings; their number. `total` is the sum of
 * weights. */
uint32_t tuff_keep_top_k(tuff_sampler *sampler, uint32_t count);
uint32_t tuff_keep_top_p(tuff_sampler *sampler, uint32_t count, double total);
uint32_t tuff_keep_min_p(tuff_sampler *sampler, uint32_t count);
uint32_t tuff_keep_typical(tuff_sampler *sampler, uint32_t count);

#endif
