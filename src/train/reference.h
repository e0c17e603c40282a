/* What a task needs of the model as it was before its training, with no adapter: a few numbers of each
 * example, computed once. */
#ifndef TUFF_TRAIN_REFERENCE_H
#define TUFF_TRAIN_REFERENCE_H

#include "train/runs.h"

/* Of one data set: as many numbers of each example as its task says; NULL until they are made. */
typedef struct tuff_reference {
    const tuff_dataset *data;
    float *numbers;
} tuff_reference;

/* Those of a trainer, or of an evaluation. */
typedef struct tuff_references {
    tuff_reference *items;
    size_t count, capacity;
} tuff_references;

/* Notes a data set that needs one, and keeps it. */
TUFF_MUST_USE tuff_status tuff_references_want(tuff_references *all, const tuff_dataset *data);
/* Plans the program of its largest batch, of at most `most` examples; NULL: it needs none. */
TUFF_MUST_USE tuff_status tuff_reference_plan(tuff_runs *runs, const tuff_dataset *data, int64_t most,
                                              tuff_program **out_program);
/* Whether one that is wanted is not made yet. */
bool tuff_references_missing(const tuff_references *all);
/* Makes them, by what the weights are now. */
TUFF_MUST_USE tuff_status tuff_references_make(tuff_references *all, tuff_runs *runs, int64_t most);
/* The numbers of a data set; NULL: it has none. */
const float *tuff_references_find(const tuff_references *all, const tuff_dataset *data);
void tuff_references_free(tuff_references *all);

#endif
