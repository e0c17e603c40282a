/* Texts that a model gives by itself, beside those that it was to give. */
#ifndef TUFF_TRAIN_ANSWERING_H
#define TUFF_TRAIN_ANSWERING_H

#include "train/task.h"

/* How it is asked. */
typedef struct tuff_answering {
    int64_t batch; /* questions at once; 0: 4 */
    bool stem;     /* see tuff_text_scores */
    const tuff_watch *watch;
} tuff_answering;

/* Sets what tuff_text_scores_put does, of the greedy answers to all that the task asks. */
TUFF_MUST_USE tuff_status tuff_answer(const tuff_loaded *loaded, const tuff_dataset *data,
                                      const tuff_answering *how, tuff_eval_result *out_result);
/* Fails unless the task asks for texts. */
TUFF_MUST_USE tuff_status tuff_answer_check(const tuff_task *task);

#endif
