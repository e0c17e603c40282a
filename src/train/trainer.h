/* The trainer inside. */
#ifndef TUFF_TRAIN_TRAINER_H
#define TUFF_TRAIN_TRAINER_H

#include <stdatomic.h>

#include "train/dataset.h"
#include "train/lm.h"

struct tuff_trainer {
    const tuff_model *model;
    tuff_device *device;
    const tuff_dataset *data;
    tuff_train_params params;
    tuff_lm lm;
    tuff_lm eval_lm;
    int64_t total_steps, warmup_steps, step; /* step: done so far */
    int64_t blocks, next_block;              /* of the data; in the endless shuffled sequence of blocks */
    uint32_t *order;                         /* of the blocks in the current epoch */
    int64_t order_epoch;                     /* -1: none yet */
    tuff_store *store;                       /* NULL until needed */
    tuff_program *update, *accumulate,
        *evaluate;                 /* accumulate only with more than one micro-batch; evaluate when asked */
    int32_t *ids, *labels, *index; /* one batch */
    int64_t nonfinite;             /* skipped steps in a row */
    atomic_flag busy;              /* a call works on it */
    bool broken;                   /* a step failed on its way: nobody knows what it changed */
    bool unclean; /* a step was cancelled on its way: the accumulated gradients are part of it */
};

/* As tuff_trainer_create; `decay_all` applies weight decay to biases and norms too (for comparison with plain
 * AdamW). */
TUFF_MUST_USE tuff_status tuff_trainer_create_with(const tuff_model *model, tuff_device *device,
                                                   const tuff_dataset *train, const tuff_train_params *params,
                                                   bool decay_all, tuff_trainer **out_trainer);

/* Of every public call that works on it: TUFF_INVALID_ARGUMENT when another one is at work. Leaving returns
 * `status`. */
TUFF_MUST_USE tuff_status tuff_trainer_enter(tuff_trainer *trainer);
TUFF_MUST_USE tuff_status tuff_trainer_leave(tuff_trainer *trainer, tuff_status status);

/* Fails for a setting that is out of its range. */
TUFF_MUST_USE tuff_status tuff_train_params_check(const tuff_train_params *params);

/* Ids of the micro-batch of blocks first_block.. of the endless shuffled sequence, [batch, block_size]. */
void tuff_trainer_take_batch(tuff_trainer *trainer, int64_t first_block, int32_t *ids);

/* Puts weights and state on the device and makes the programs ready, once. After a failure it may be called
 * again. */
TUFF_MUST_USE tuff_status tuff_trainer_prepare(tuff_trainer *trainer);

tuff_train_memory tuff_trainer_memory(const tuff_trainer *trainer);

/* Mean loss over a data set, checked by tuff_lm_check_data, by a program of lm's shape. */
TUFF_MUST_USE tuff_status tuff_evaluate_with(const tuff_lm *lm, tuff_program *program,
                                             const tuff_dataset *data, tuff_eval_result *out_result);

#endif
