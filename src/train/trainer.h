/* The trainer inside. */
#ifndef TUFF_TRAIN_TRAINER_H
#define TUFF_TRAIN_TRAINER_H

#include <stdatomic.h>

#include "train/dataset.h"
#include "train/reference.h"
#include "train/runs.h"
#include "train/schedule.h"

struct tuff_trainer {
    const tuff_model *given; /* whose head may not be the task's */
    const tuff_model *model;
    char *base_name;       /* that an adapter is saved for; NULL: the model's own */
    tuff_model *own_model; /* with the head that the task needs, where the caller's has another; else NULL */
    tuff_device *device;
    const tuff_dataset *data;
    tuff_train_params params;
    tuff_runs runs;
    tuff_buf dropout_text;                   /* the model's dropouts */
    bool in_passes;                          /* the task runs batches itself */
    tuff_trained_set selected;               /* what is trained, and when */
    char *selection_texts[3];                /* freeze, train_only, unfreeze_schedule as given; NULL: not */
    bool sums;                               /* gradients of several runs are added up before an update */
    int64_t total_steps, warmup_steps, step; /* step: done so far */
    tuff_rates rates;                        /* of learning, by step */
    int64_t blocks;                          /* examples */
    uint32_t *order;                         /* of the examples in the current epoch */
    uint32_t *mixing;                        /* of mixtures: room for the order of a part */
    int64_t order_epoch;                     /* -1: none yet */
    tuff_store *store;                       /* the session's; NULL until it is filled */
    tuff_program *update, *accumulate;       /* of the largest batches; accumulate only where it sums */
    tuff_program *average;                   /* NULL: there are no averages */
    tuff_program *last;                      /* that updated */
    int64_t drawn;                           /* what of dropout's masks the run at hand draws */
    uint64_t variables;                      /* bytes of those that a batch's program has */
    uint64_t arena, bound, transfers, extra; /* of training; what evaluation takes beside that */
    uint32_t *examples;                      /* of one batch */
    tuff_references references;              /* of the training's data, and of what it is measured with */
    tuff_meter meter;                        /* of a step */
    int64_t nonfinite;                       /* steps in a row whose gradients were not finite */
    int64_t skipped;                         /* of the steps done: those that changed nothing */
    char data_hash[65];                      /* of the training's examples; "": not known yet */
    atomic_flag busy;                        /* a call works on it */
    bool moved;                              /* the weights may not be those of the beginning any more */
    bool broken;                             /* a step failed on its way: nobody knows what it changed */
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

/* Micro-batch `micro` of step `step`, both counted from 0, in the trainer's memory. At the end of an epoch of
 * records it may have fewer examples than others, or none. */
tuff_batch tuff_trainer_take_batch(tuff_trainer *trainer, int64_t step, int64_t micro);
/* Steps of an epoch of records; 0: of blocks, whose epochs begin anywhere. */
int64_t tuff_trainer_epoch_steps(const tuff_trainer *trainer);

/* Puts weights and state on the device and makes the programs ready, once. After a failure it may be called
 * again. */
TUFF_MUST_USE tuff_status tuff_trainer_prepare(tuff_trainer *trainer);

/* Goes to the phase of the step that comes next. */
void tuff_trainer_enter_phase(tuff_trainer *trainer);

/* The first part of it: what a run reads that changes nothing. */
TUFF_MUST_USE tuff_status tuff_trainer_need_store(tuff_trainer *trainer);
/* Notes data whose reference is needed; fails where it is too late for it. */
TUFF_MUST_USE tuff_status tuff_trainer_want_reference(tuff_trainer *trainer, const tuff_dataset *data);
/* The last one: what the model was like before its training. */
TUFF_MUST_USE tuff_status tuff_trainer_need_references(tuff_trainer *trainer);

/* How far the steps done have come, in epochs. */
double tuff_trainer_epochs_done(const tuff_trainer *trainer);

/* Writes what is trained into a stage: a model or an adapter. */
TUFF_MUST_USE tuff_status tuff_trainer_write(tuff_trainer *trainer, tuff_stage *stage,
                                             const tuff_watch *watch);

/* ---- averages of what is trained (train/average.c); without them these do nothing */

TUFF_MUST_USE tuff_status tuff_trainer_add_averages(tuff_trainer *trainer);
/* The average of one begins as the tensor is now. */
TUFF_MUST_USE tuff_status tuff_trainer_begin_average(tuff_trainer *trainer, const char *name);
TUFF_MUST_USE tuff_status tuff_trainer_plan_averages(tuff_trainer *trainer);
/* After a step that changed something, `before` of which were done before it. */
TUFF_MUST_USE tuff_status tuff_trainer_average(tuff_trainer *trainer, int64_t before);
/* Averages go under the names of what is trained, and back. */
void tuff_trainer_exchange_averages(tuff_trainer *trainer);

tuff_train_memory tuff_trainer_memory(const tuff_trainer *trainer);

/* ---- before anything runs */

TUFF_MUST_USE tuff_status tuff_trainer_check_data(const tuff_trainer *trainer);
/* Counts the steps and plans the programs. */
TUFF_MUST_USE tuff_status tuff_trainer_plan(tuff_trainer *trainer);
/* Chooses tensors of those that could be trained. */
TUFF_MUST_USE tuff_status tuff_trainer_select(const tuff_trainer *trainer,
                                              const tuff_trained_set_params *params, tuff_trained_set *out);
/* What the program of a batch does. */
tuff_lm_step tuff_trainer_batch_step(const tuff_trainer *trainer);

/* The passes and shapes of batches, each once. */
enum { TUFF_MOST_SHAPES = 64 };
typedef struct tuff_planned {
    int64_t pass;
    tuff_task_shape shape;
} tuff_planned;
typedef struct tuff_shapes {
    tuff_planned items[TUFF_MOST_SHAPES];
    size_t count;
} tuff_shapes;
/* Adds one that is not there yet, as long as there is room. */
void tuff_shapes_note(tuff_shapes *shapes, int pass, const tuff_task_shape *shape);
/* The largest first. */
void tuff_shapes_sort(tuff_shapes *shapes);

/* ---- evaluation */

/* What the model says now of what the data asks (train/answering.h), with its weights as the last step left
 * them. */
TUFF_MUST_USE tuff_status tuff_trainer_answer(tuff_trainer *trainer, const tuff_dataset *data,
                                              tuff_eval_result *out_result);
/* Plans the programs that tuff_evaluate_with runs: batches of at most `most` examples. `seed` is of what the
 * task draws. *out_transfers: their inputs and results on their way. */
TUFF_MUST_USE tuff_status tuff_evaluate_plan(tuff_runs *runs, const tuff_dataset *data, int64_t most,
                                             uint64_t seed, uint64_t *out_transfers);
/* Measures a data set that the task's check let pass; its reference where it has one, else NULL. */
TUFF_MUST_USE tuff_status tuff_evaluate_with(tuff_runs *runs, const tuff_dataset *data, int64_t most,
                                             uint64_t seed, const float *reference,
                                             tuff_eval_result *out_result);

/* A model as it is in its file, with an adapter perhaps, on a device to be measured; the data is checked.
 * `adapter` is a PEFT directory or NULL; `watch` may be NULL. To be closed also after a failure. */
TUFF_MUST_USE tuff_status tuff_runs_open_frozen(tuff_runs *runs, const tuff_model *model, tuff_device *device,
                                                const tuff_dataset *data, const char *adapter,
                                                const tuff_watch *watch);
/* Rows of rotary tables for all that a model may be asked: as many as it has positions; but the tables of
 * models with a million positions would take memory for nothing. */
int64_t tuff_rope_positions(const tuff_model *model);
/* The tokens that a sequence of examples may have: as many as there are places for in the model's tables.
 * Where only distances count, to an end of them, it may have any number. */
int64_t tuff_longest_sequence(const tuff_model *model);
/* tuff_rope_positions, and as many as the data's blocks need: evaluation may use longer blocks than training
 * does. Where angles depend on the context that their table is made for, that is a block. */
int64_t tuff_data_positions(const tuff_model *model, const tuff_dataset *data);

#endif
