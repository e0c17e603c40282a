/* Tasks whose examples an application gives itself: see tuff_dataset_from_examples. */
#ifndef TUFF_TRAIN_TASKS_GIVEN_H
#define TUFF_TRAIN_TASKS_GIVEN_H

#include "train/task.h"

/* Of the next token, of classes of tokens, of classes of sequences: named as the tasks that read files. */
extern const tuff_task tuff_task_given_causal_lm, tuff_task_given_tokens, tuff_task_given_classes;

#endif
