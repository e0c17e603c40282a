/* How good predictions are: figures of classes, of sets of labels, of numbers. */
#ifndef TUFF_TRAIN_FIGURES_H
#define TUFF_TRAIN_FIGURES_H

#include "train/task.h"

/* What was counted of each class. */
typedef struct tuff_figures {
    size_t classes;
    int64_t *right, *truth, *said; /* [classes] */
    int64_t examples, correct;
} tuff_figures;

TUFF_MUST_USE tuff_status tuff_figures_begin(tuff_figures *figures, size_t classes);
void tuff_figures_add(tuff_figures *figures, size_t truth, size_t said);
/* Of an example with any number of labels; those with a logit above 0 are said. */
void tuff_figures_add_set(tuff_figures *figures, const int32_t *truth, size_t n, const float *logits);
/* As scikit-learn has them, 0 where there is nothing to divide by. accuracy: examples that are right in all.
 * f1, precision and recall of each class: their means (_macro) over the classes that occur or are said, those
 * weighted by how often classes occur (_weighted), and those of all labels together (_micro), of which only
 * the F1 is put where an example has one label, and all three are the accuracy. With one label mcc, too,
 * Matthews' correlation, and of two classes the three of the second one by itself. `sets`: examples have any
 * number of labels, and means are over all classes. */
void tuff_figures_put(const tuff_figures *figures, bool sets, tuff_eval_result *out);
void tuff_figures_end(tuff_figures *figures);

/* mse, rmse, mae, pearson, spearman. */
TUFF_MUST_USE tuff_status tuff_figures_of_numbers(const float *said, const float *truth, size_t n,
                                                  tuff_eval_result *out);
/* The place of the largest, the first of equals. */
size_t tuff_figures_best(const float *x, size_t n);

#endif
