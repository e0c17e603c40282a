/* Parts of the task seq2seq. */
#ifndef TUFF_TRAIN_TASKS_SEQ2SEQ_H
#define TUFF_TRAIN_TASKS_SEQ2SEQ_H

#include "train/task.h"

/* Sets exact_match: the share of targets whose texts the model gives as its greedy answers. */
TUFF_MUST_USE tuff_status tuff_seq2seq_answer(const tuff_loaded *loaded, const tuff_dataset *data,
                                              const tuff_eval_params *params, tuff_eval_result *out_result);

#endif
