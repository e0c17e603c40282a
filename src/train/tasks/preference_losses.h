/* What models are trained by that are to prefer some answers to others. */
#ifndef TUFF_TRAIN_TASKS_PREFERENCE_LOSSES_H
#define TUFF_TRAIN_TASKS_PREFERENCE_LOSSES_H

#include <tuff/graph.h>
#include <tuff/program.h>

#include "base/status.h"

typedef enum tuff_preference_kind {
#define TUFF_PREFERENCE_LOSS(id, name, rule, pairs, reference) TUFF_PREFERENCE_##id,
#include "train/tasks/preference_losses.def"
#undef TUFF_PREFERENCE_LOSS
    TUFF_PREFERENCE_LOSSES
} tuff_preference_kind;

/* "dpo"; the kind of a name, TUFF_PREFERENCE_LOSSES for one that there is not. */
const char *tuff_preference_name(tuff_preference_kind kind);
tuff_preference_kind tuff_preference_find(const char *name);
/* "dpo, ipo, ...", for error texts. */
const char *tuff_preference_names(void);

typedef struct tuff_preference_loss {
    tuff_preference_kind kind;
    double beta, label_smoothing, desirable_weight, undesirable_weight;
} tuff_preference_loss;

/* Whether its examples are pairs; whether it needs the log-probabilities of a reference. */
bool tuff_preference_is_paired(const tuff_preference_loss *loss);
bool tuff_preference_has_reference(const tuff_preference_loss *loss);
/* Fails for a setting that is out of its range. */
TUFF_MUST_USE tuff_status tuff_preference_check(const tuff_preference_loss *loss);

/* The sum of the losses of n examples, a scalar, of the log-probabilities of 2n answers, [2n]: first those
 * that are preferred, then those that are not; of kto first the examples' own, then answers to others, by
 * which it is told how far the model is from the reference. Of orpo without the likelihood of what is
 * preferred. Declares the inputs that tuff_preference_set sets. */
tuff_tensor *tuff_preference_build(const tuff_preference_loss *loss, tuff_graph *g, tuff_tensor *logps,
                                   int64_t n);

/* A batch of `count` examples where n can be. */
typedef struct tuff_preference_batch {
    int64_t count, n;
    const float *reference;   /* [2n], as the log-probabilities */
    const int32_t *lengths;   /* [2n]: tokens of the answers, 0 where there is none */
    const int32_t *desirable; /* [n], of kto: 1 or 0 */
} tuff_preference_batch;
/* Words of scratch that setting takes for n examples. */
size_t tuff_preference_words(int64_t n);
/* Sets those inputs that a program has. */
TUFF_MUST_USE tuff_status tuff_preference_set(const tuff_preference_loss *loss, tuff_program *program,
                                              const tuff_preference_batch *batch, float *scratch);

#endif
