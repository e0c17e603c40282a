/* Which tensors a training changes, and from which step on: what is frozen by name or by depth, and layers
 * that are unfrozen one after the other. */
#ifndef TUFF_TRAIN_TRAINED_SET_H
#define TUFF_TRAIN_TRAINED_SET_H

#include "models/arch.h"
#include "models/params.h"

/* A tensor that could be trained. */
typedef struct tuff_candidate {
    const char *name;
    int64_t above;  /* layers above it, see train/groups.h */
    bool is_matrix; /* more than a vector */
} tuff_candidate;

typedef struct tuff_trained_item {
    uint32_t candidate; /* its number */
    int phase;          /* in which it begins to be trained */
} tuff_trained_item;

/* Those that are trained, in the order of the candidates. */
typedef struct tuff_trained_set {
    tuff_trained_item *items;
    size_t count;
    int phases;      /* at least 1 */
    int64_t *begins; /* of each phase: steps done before it */
} tuff_trained_set;

/* Texts may be NULL. Patterns, several between commas, match whole parts of names, one or several:
 * "layers.0", "q_proj", "*norm*"; '*' stands for anything, '?' for a character, 2-5 for a number of these. */
typedef struct tuff_trained_set_params {
    const char *freeze, *train_only;
    int64_t top_layers;   /* only so many of the last layers, and what is behind them; 0: all */
    const char *schedule; /* "one-per-epoch", or the steps after which the next layer is unfrozen */
    double epoch_steps;   /* steps of an epoch */
    int64_t total_steps;  /* what would begin at these or later stays frozen */
} tuff_trained_set_params;

/* Errors name the setting: a pattern that matches nothing, with the nearest names; nothing left to train;
 * steps that do not rise, or are more than there are layers. After a failure it is to be freed as well. */
TUFF_MUST_USE tuff_status tuff_trained_set_make(const tuff_candidate *candidates, size_t count,
                                                const tuff_trained_set_params *params, tuff_trained_set *out);
void tuff_trained_set_free(tuff_trained_set *selection);
/* The phase of the step behind so many. */
int tuff_trained_set_phase(const tuff_trained_set *selection, int64_t steps);

/* Whether whole parts of a name match a pattern of `size` bytes. */
bool tuff_name_matches(const char *pattern, size_t size, const char *name);

#endif
