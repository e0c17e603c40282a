/* The labels of a classifier's data: names and numbers. */
#ifndef TUFF_TRAIN_LABELS_H
#define TUFF_TRAIN_LABELS_H

#include "base/memory.h"
#include "models/model.h"
#include "train/record_cache.h"

typedef struct tuff_labels {
    const char **names;
    size_t count, capacity;
    int64_t *counts; /* [count], once they are settled: how often each is there */
    tuff_map by_name;
    tuff_arena arena;
    bool closed;   /* other names are none */
    bool numbered; /* a name is a number: then no number stands for another name */
} tuff_labels;

/* The model's, closed. */
TUFF_MUST_USE tuff_status tuff_labels_of_model(tuff_labels *labels, const tuff_model *model);
TUFF_MUST_USE tuff_status tuff_labels_copy(tuff_labels *labels, const tuff_labels *from);
/* Fails unless those of two data sets that are mixed are the same, in the same order. */
TUFF_MUST_USE tuff_status tuff_labels_need_same(const tuff_labels *labels, const tuff_labels *other);
/* The number of a name, or of one that is given by its number (closed labels whose names are no numbers); -1
 * where there is none. */
int32_t tuff_labels_find(const tuff_labels *labels, tuff_view name);
/* The same, adding it where the labels are not closed; -1: it is none of them. */
TUFF_MUST_USE tuff_status tuff_labels_take(tuff_labels *labels, tuff_view name, int32_t *out_number);
/* Puts open labels in order, numbers by their value, and says what became of numbers[0..n), where negative
 * ones stay. Where the model has labels and all of these are among them, they become the model's. Counts
 * them. */
TUFF_MUST_USE tuff_status tuff_labels_settle(tuff_labels *labels, const tuff_model *model, int32_t *numbers,
                                             size_t n);
/* Settled labels, into the cache or out of it. */
void tuff_labels_keep(tuff_labels *labels, tuff_kept *kept);
/* As tuff_dataset_label has it, of settled labels. */
bool tuff_labels_count(const tuff_labels *labels, size_t index, const char **out_name, int64_t *out_count);
/* "bad, so so, good", for error texts. */
void tuff_labels_list(const tuff_labels *labels, char text[200]);
void tuff_labels_free(tuff_labels *labels);

#endif
