/* Checkpoints inside. */
#ifndef TUFF_TRAIN_CHECKPOINT_H
#define TUFF_TRAIN_CHECKPOINT_H

#include <tuff/checkpoint.h>

#include "base/json.h"
#include "base/watch.h"
#include "train/trainer.h"

enum { TUFF_CHECKPOINT_FORMAT = 1 };
#define TUFF_CHECKPOINT_STATE     "trainer_state.json"
#define TUFF_CHECKPOINT_OPTIMIZER "optimizer.safetensors"
#define TUFF_CHECKPOINT_PREFIX    "checkpoint-"

struct tuff_checkpoint {
    char *directory, *state; /* paths: its own, that of trainer_state.json */
    cJSON *json;             /* of that file */
    const cJSON *own;        /* the object "tuff" in it */
    int64_t step, max_steps, nonfinite, skipped;
    double epoch;
};

/* ---- its files (train/checkpoint_files.c) */

typedef struct tuff_checkpoint_file {
    char *name; /* within the directory: "model.safetensors", "1_Pooling/config.json" */
    uint64_t bytes;
    char sha256[65];
} tuff_checkpoint_file;
typedef struct tuff_checkpoint_files {
    tuff_checkpoint_file *items; /* in the order of their names */
    size_t count, capacity;
} tuff_checkpoint_files;
/* Lists what is in a directory and its folders, but for trainer_state.json. */
TUFF_MUST_USE tuff_status tuff_checkpoint_files_list(const char *directory, tuff_checkpoint_files *out_files);
/* Takes the list that trainer_state.json has; `where` is for error texts. */
TUFF_MUST_USE tuff_status tuff_checkpoint_files_parse(const cJSON *list, const char *where,
                                                      tuff_checkpoint_files *out_files);
/* Sets sizes and hashes; the work is counted in bytes. */
TUFF_MUST_USE tuff_status tuff_checkpoint_files_hash(tuff_checkpoint_files *files, const char *directory,
                                                     tuff_watched *work);
uint64_t tuff_checkpoint_files_bytes(const tuff_checkpoint_files *files);
void tuff_checkpoint_files_print(const tuff_checkpoint_files *files, tuff_buf *out);
void tuff_checkpoint_files_free(tuff_checkpoint_files *files);

/* ---- what a training is, as its checkpoints say it (train/checkpoint_state.c) */

/* Appends members of a JSON object: "method", "task", "settings", "trained", "adapter", "model", "data",
 * "device". Each is an object of texts, numbers and lists of texts, which tuff_checkpoint_differences
 * compares one by one. */
TUFF_MUST_USE tuff_status tuff_checkpoint_describe(tuff_trainer *trainer, tuff_buf *out);
/* Fails where going on from the checkpoint has no meaning. */
TUFF_MUST_USE tuff_status tuff_checkpoint_check(const tuff_checkpoint *checkpoint,
                                                const tuff_trainer *trainer);

/* ---- tensors that it holds of the optimizer */

/* One of them: in the store under `name`. */
typedef struct tuff_checkpoint_tensor {
    char *name;
    tuff_dtype dtype;
    int rank;
    int64_t shape[TUFF_MAX_RANK];
} tuff_checkpoint_tensor;
/* The counters of the phases and all states. *out_tensors: *out_count of them; freed with
 * tuff_checkpoint_tensors_free. */
TUFF_MUST_USE tuff_status tuff_checkpoint_tensors(const tuff_trainer *trainer,
                                                  tuff_checkpoint_tensor **out_tensors, size_t *out_count);
void tuff_checkpoint_tensors_free(tuff_checkpoint_tensor *tensors, size_t count);

/* ---- phases of another training (train/checkpoint_phases.c) */

/* Whether the optimizer is the one that the checkpoint has states of. */
bool tuff_checkpoint_same_optimizer(const tuff_checkpoint *checkpoint, const tuff_trainer *trainer);
TUFF_MUST_USE tuff_status tuff_checkpoint_open_states(const tuff_checkpoint *checkpoint,
                                                      tuff_weights **out_states);
/* For each phase of the trainer that of the checkpoint whose count of steps it goes on with, -1: none, in
 * *out_then, which is to be freed. Fails where its tensors were trained for numbers of steps that differ,
 * which the optimizer cannot go on with. */
TUFF_MUST_USE tuff_status tuff_checkpoint_phases(const tuff_checkpoint *checkpoint,
                                                 const tuff_trainer *trainer, const tuff_weights *states,
                                                 int **out_then);
/* Fails where that does. */
TUFF_MUST_USE tuff_status tuff_checkpoint_check_phases(const tuff_checkpoint *checkpoint,
                                                       const tuff_trainer *trainer);

#endif
