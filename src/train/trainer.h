/* The trainer inside. */
#ifndef TUFF_TRAIN_TRAINER_H
#define TUFF_TRAIN_TRAINER_H

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
    tuff_store *store;                       /* NULL until the first step */
    tuff_program *update, *accumulate,
        *evaluate;                 /* accumulate only with more than one micro-batch; evaluate when asked */
    int32_t *ids, *labels, *index; /* one batch */
};

/* As tuff_trainer_create; `decay_all` applies weight decay to biases and norms too (for comparison with plain
 * AdamW). */
TUFF_MUST_USE tuff_status tuff_trainer_create_with(const tuff_model *model, tuff_device *device,
                                                   const tuff_dataset *train, const tuff_train_params *params,
                                                   bool decay_all, tuff_trainer **out_trainer);

/* Puts weights and state on the device, once. */
TUFF_MUST_USE tuff_status tuff_trainer_prepare(tuff_trainer *trainer);

/* Mean loss over a data set by a program of lm's shape; ids, labels and index are scratch of one batch. */
TUFF_MUST_USE tuff_status tuff_evaluate_with(const tuff_lm *lm, tuff_program *program,
                                             const tuff_dataset *data, tuff_eval_result *out_result);

#endif
