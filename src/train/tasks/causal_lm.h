/* What tasks share that learn next tokens. */
#ifndef TUFF_TRAIN_TASKS_CAUSAL_LM_H
#define TUFF_TRAIN_TASKS_CAUSAL_LM_H

#include "train/task.h"

/* The sum of the losses, with what keeps a mixture's routers in balance, which counts as much as labels do.
 */
tuff_tensor *tuff_causal_lm_balanced(const tuff_task_graph *at, tuff_net *net, tuff_tensor *sum);
/* Sets the input of that, where the program has it. */
TUFF_MUST_USE tuff_status tuff_causal_lm_set_balance(tuff_program *program, int64_t labels);

#endif
