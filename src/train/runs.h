/* A task on a device: its programs in one session, by what they do and the shape of their batches. Trainer,
 * evaluation and logits stand on it. */
#ifndef TUFF_TRAIN_RUNS_H
#define TUFF_TRAIN_RUNS_H

#include "train/lm.h"

typedef struct tuff_runs {
    tuff_lm lm;
    tuff_session *session;
    tuff_pack pack;
    tuff_watched work; /* of which runs are parts; begun by tuff_runs_begin */
    bool decay_all;    /* of updates, with: */
    tuff_optimizer_settings optimizer;
} tuff_runs;

/* After a failure it is to be closed as well. */
TUFF_MUST_USE tuff_status tuff_runs_open(tuff_runs *runs, tuff_device *device);
void tuff_runs_close(tuff_runs *runs);

/* A program for batches of this shape, planned; the task's settings are of `data`. `shape` NULL: of none. */
TUFF_MUST_USE tuff_status tuff_runs_plan(tuff_runs *runs, tuff_lm_step step, const tuff_dataset *data,
                                         const tuff_task_shape *shape, int pass, tuff_program **out_program);
/* The same, ready to run once the store is filled. */
TUFF_MUST_USE tuff_status tuff_runs_program(tuff_runs *runs, tuff_lm_step step, const tuff_dataset *data,
                                            const tuff_task_shape *shape, int pass,
                                            tuff_program **out_program);

/* Begins a work of so many batches, whose runs are told as parts of it. */
void tuff_runs_begin(tuff_runs *runs, tuff_phase phase, uint64_t batches);
/* Runs a program for a batch; *out_loss is the sum of its losses, NaN where the task has none. */
TUFF_MUST_USE tuff_status tuff_runs_batch(tuff_runs *runs, tuff_program *program, const tuff_batch *batch,
                                          const tuff_task_shape *shape, bool whole, double *out_loss);

#endif
