/* The graphs of language modelling: loss of a batch, and a training step around it. */
#ifndef TUFF_TRAIN_LM_H
#define TUFF_TRAIN_LM_H

#include "adapters/lora.h"
#include "models/net.h"
#include "runtime/store.h"
#include "train/dataset.h"

typedef struct tuff_lm {
    const tuff_model *model;
    tuff_lora *lora; /* NULL: none */
    int64_t batch, length;
    bool trains_model; /* its parameters are f32 and get gradients */
    int64_t rope_positions;
    const tuff_watch *watch; /* of uploads and evaluations; NULL: none */
} tuff_lm;

/* Fails unless the model knows every id of the data and has positions for its blocks: learned ones end,
 * rotary ones go on. */
TUFF_MUST_USE tuff_status tuff_lm_check_data(const tuff_model *model, const tuff_dataset *data);

/* Puts all that the programs below read into the store, but for the optimizer's state. */
TUFF_MUST_USE tuff_status tuff_lm_upload(const tuff_lm *lm, tuff_store *store);

/* Logits of ids: output "logits" [batch * length, vocab]. Inputs as in models/net.h. */
TUFF_MUST_USE tuff_status tuff_lm_logits_program(const tuff_lm *lm, tuff_device *device,
                                                 tuff_program **out_program);
/* Mean loss of ids and labels of one batch: outputs "loss" and "count". Inputs as in models/net.h. */
TUFF_MUST_USE tuff_status tuff_lm_eval_program(const tuff_lm *lm, tuff_device *device,
                                               tuff_program **out_program);

/* What a training program does. */
typedef enum tuff_lm_step {
    TUFF_LM_STEP,       /* loss of a batch, its gradients, update */
    TUFF_LM_ACCUMULATE, /* loss of a batch, gradients of loss / accumulation, added to variables "grad.<name>"
                         */
    TUFF_LM_UPDATE      /* of no batch: update from these variables, then zeros in them */
} tuff_lm_step;
typedef struct tuff_lm_train {
    tuff_lm_step step;
    int64_t accumulation;
    bool decay_all; /* weight decay on biases and norms too */
    tuff_adamw_params adamw;
} tuff_lm_train;
/* With a batch: inputs as in models/net.h, output "loss". With an update: input "lr" f32 scalar, outputs
 * "norm" and "state" (f32 [4], see tuff_optimizer_step), variables "adam.m.<name>", "adam.v.<name>" of every
 * trained tensor and "adam.state". */
TUFF_MUST_USE tuff_status tuff_lm_train_program(const tuff_lm *lm, const tuff_lm_train *train,
                                                tuff_device *device, tuff_program **out_program);

/* The trained tensors: all parameters, or the adapter's A and B. */
typedef struct tuff_trained {
    const char *name;
    int rank;
    int64_t shape[2];
    bool decay;
} tuff_trained;
size_t tuff_lm_trained_count(const tuff_lm *lm);
tuff_trained tuff_lm_trained(const tuff_lm *lm, size_t index);

/* Sets the inputs that are the same for every batch: segments, positions and their index. */
TUFF_MUST_USE tuff_status tuff_lm_set_positions(const tuff_lm *lm, tuff_program *program);
/* Sets ids and labels [batch, length], and the index of the ids; allocates nothing. `index_scratch` has
 * tuff_lm_index_size elements. */
TUFF_MUST_USE tuff_status tuff_lm_set_batch(const tuff_lm *lm, tuff_program *program, const int32_t *ids,
                                            const int32_t *labels, int32_t *index_scratch);
size_t tuff_lm_index_size(const tuff_lm *lm);

#endif
