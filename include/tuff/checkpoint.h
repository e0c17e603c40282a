/* Checkpoints: a training as it is after some step, on the disk, to go on from. */
#ifndef TUFF_CHECKPOINT_H
#define TUFF_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/stage.h>
#include <tuff/status.h>
#include <tuff/train.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A checkpoint is a directory, "checkpoint-<step>" as in Hugging Face. In it are
 *
 * - what is trained, as tuff_trainer_save writes it: a model or a PEFT adapter, which loads like any other;
 *
 * - optimizer.safetensors: the optimizer's states by the names of their parameters, and its counter;
 *
 * - trainer_state.json: Hugging Face's TrainerState. What is Tuff's own is an object "tuff" in its
 *   "stateful_callbacks": settings, data, device, counters, and size and SHA-256 of every file.
 *
 * It appears whole or not at all. All that is random in a training is a function of its seed and of the step,
 * so that a training that goes on from a checkpoint, with the same settings, data, device and driver, makes
 * the same bytes as one that was never ended. */

/* A number that an application keeps in a checkpoint. Never gets further fields. */
typedef struct tuff_checkpoint_number {
    char name[32];
    double value;
} tuff_checkpoint_number;

/* What is written beside the training's own state. */
typedef struct tuff_checkpoint_params {
    size_t struct_size;      /* set by TUFF_CHECKPOINT_PARAMS_INIT */
    const tuff_watch *watch; /* TUFF_PHASE_SAVE, in bytes; the trainer's own is not asked. NULL: none */
    const char
        *best_model_checkpoint; /* Hugging Face's fields of that name; NULL: there is no best one yet */
    double best_metric;
    int64_t best_global_step;
    const char *log_history;               /* a list of JSON; NULL: an empty one */
    const tuff_checkpoint_number *numbers; /* the application's own, each name once */
    size_t number_count;
} tuff_checkpoint_params;
#define TUFF_CHECKPOINT_PARAMS_INIT                                     \
    {                                                                   \
        sizeof(tuff_checkpoint_params), NULL, NULL, 0, 0, NULL, NULL, 0 \
    }

/* Writes the present state as the directory `directory`. Steps may follow. `params` may be NULL. Errors: as
 * tuff_trainer_save; TUFF_INVALID_ARGUMENT for a trainer of which a step failed on its way, or a log_history
 * that is no list. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_save_checkpoint(tuff_trainer *trainer, const char *directory,
                                                                const tuff_checkpoint_params *params);
/* The same into a stage that you opened for it and commit; files of your own that are there already become
 * parts of the checkpoint. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_save_checkpoint_into(tuff_trainer *trainer, tuff_stage *stage,
                                                                     const tuff_checkpoint_params *params);

/* A checkpoint that was read: a description; the tensors stay on the disk. Immutable, may be shared by
 * threads. */
typedef struct tuff_checkpoint tuff_checkpoint;

/* Reads trainer_state.json and compares every file with the size and the hash that are written there. `watch`
 * (TUFF_PHASE_LOAD, in bytes) may be NULL. Errors: TUFF_NOT_FOUND where there is none; TUFF_BAD_FORMAT for
 * one that is damaged; TUFF_UNSUPPORTED for one that another program or version made. */
TUFF_API TUFF_MUST_USE tuff_status tuff_checkpoint_open(const char *directory, const tuff_watch *watch,
                                                        tuff_checkpoint **out_checkpoint);
TUFF_API void tuff_checkpoint_destroy(tuff_checkpoint **checkpoint);

typedef struct tuff_checkpoint_info {
    size_t struct_size;      /* set by TUFF_CHECKPOINT_INFO_INIT */
    int64_t step, max_steps; /* done; of the whole training */
    double epoch;
    int64_t skipped;                               /* of the steps done: those that changed nothing */
    const char *directory, *best_model_checkpoint; /* owned by the checkpoint; the latter NULL: none */
    double best_metric;
    int64_t best_global_step;
    int64_t per_device_train_batch_size, gradient_accumulation_steps; /* of the training; 0: not known */
} tuff_checkpoint_info;
#define TUFF_CHECKPOINT_INFO_INIT                                        \
    {                                                                    \
        sizeof(tuff_checkpoint_info), 0, 0, 0, 0, NULL, NULL, 0, 0, 0, 0 \
    }
TUFF_API TUFF_MUST_USE tuff_status tuff_checkpoint_get_info(const tuff_checkpoint *checkpoint,
                                                            tuff_checkpoint_info *out_info);
/* A number that was kept in it; false: there is none of this name. */
TUFF_API bool tuff_checkpoint_get_number(const tuff_checkpoint *checkpoint, const char *name,
                                         double *out_value);

/* What is not as it was when the checkpoint was written: a line for each setting, for the data, the model,
 * the device, its driver and its kernels; "" when a training that goes on continues bit for bit. Freed with
 * tuff_free. Errors: TUFF_INVALID_ARGUMENT where going on has no meaning: another method or task, parameters
 * of other names or shapes, tensors that were trained for numbers of steps that differ and would be trained
 * with one count of them now, because other ones are frozen or unfrozen. */
TUFF_API TUFF_MUST_USE tuff_status tuff_checkpoint_differences(const tuff_checkpoint *checkpoint,
                                                               tuff_trainer *trainer, char **out_lines);

/* Takes the trainer to where the checkpoint is: what is trained, the optimizer's states, the step, which
 * decides the place in the data. States that the checkpoint does not have, because it is of another
 * optimizer, begin anew. May be called at any time, also for a trainer of which a step failed. Errors: those
 * of tuff_checkpoint_differences; TUFF_BAD_FORMAT, TUFF_IO for files that were changed since the checkpoint
 * was opened; TUFF_CANCELLED by the trainer's watch. After a failure on its way the trainer can only be taken
 * to a checkpoint again, or be destroyed. */
TUFF_API TUFF_MUST_USE tuff_status tuff_trainer_resume(tuff_trainer *trainer,
                                                       const tuff_checkpoint *checkpoint);

/* ---- the checkpoints of a training, in the directory that its result goes to */

/* The path of the newest of them but `index`: 0 is that of the most steps. Only their names are looked at;
 * tuff_checkpoint_open tells whether one is whole. Freed with tuff_free. TUFF_NOT_FOUND: there are no more.
 */
TUFF_API TUFF_MUST_USE tuff_status tuff_checkpoint_find(const char *output_directory, size_t index,
                                                        char **out_directory);
/* The steps that a path ends with, "out/checkpoint-<step>"; -1: it is no checkpoint's name. */
TUFF_API int64_t tuff_checkpoint_step(const char *directory);
/* Removes one, so that what is half removed is no longer called so. Errors: TUFF_INVALID_ARGUMENT for a
 * directory that is none by its name; TUFF_IO. */
TUFF_API TUFF_MUST_USE tuff_status tuff_checkpoint_remove(const char *directory);
/* Removes what processes that were killed left while they wrote or removed checkpoints there. Best effort.
 */
TUFF_API void tuff_checkpoint_clean(const char *output_directory);

#ifdef __cplusplus
}
#endif
#endif
