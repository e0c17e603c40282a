/* The graphs of a task: what is measured of a batch, and training steps around its loss. */
#ifndef TUFF_TRAIN_LM_H
#define TUFF_TRAIN_LM_H

#include "adapters/adapter.h"
#include "runtime/session.h"
#include "train/groups.h"
#include "train/optimizers/optimizer.h"
#include "train/trained_set.h"
#include "train/task.h"

typedef struct tuff_lm {
    const tuff_model *model;
    const tuff_dataset *data; /* whose task it is */
    tuff_adapter *adapter;    /* NULL: none */
    bool trains_model;        /* its parameters are f32 and get gradients */
    int64_t rope_positions;
    tuff_groups groups;
    const tuff_trained_set *selected; /* of what could be trained; NULL: all of it */
    int phase;                        /* of programs with gradients or updates: those that train by then */
    bool averaged; /* there are averages of what is trained, which measuring reads in its place */
    double label_smoothing;
    bool noise;              /* on what a training reads of the tokens' table */
    tuff_dropouts dropouts;  /* inside the model, while it is trained */
    tuff_dtype operands;     /* what products round theirs to */
    const tuff_watch *watch; /* of uploads and evaluations; NULL: none */
} tuff_lm;

/* Puts all that the programs below read into the store, but for the optimizer's state. */
TUFF_MUST_USE tuff_status tuff_lm_upload(const tuff_lm *lm, tuff_store *store);

/* Makes room for the adapter's virtual tokens among the rotary positions, and checks lm's data. */
TUFF_MUST_USE tuff_status tuff_lm_reserve(tuff_lm *lm);
/* Fails where learned positions end within blocks or records of the data behind the virtual tokens. */
TUFF_MUST_USE tuff_status tuff_lm_check_length(const tuff_lm *lm, const tuff_dataset *data);

/* What a program does. */
typedef enum tuff_lm_step {
    TUFF_LM_STEP,       /* losses of a batch, their gradients, update */
    TUFF_LM_ACCUMULATE, /* losses of a batch, their gradients added to variables "grad.<name>"; of a pass
                           without losses: its outputs */
    TUFF_LM_UPDATE,     /* of no batch: update from these variables, then zeros in them */
    TUFF_LM_AVERAGE,    /* of no batch: moves averages, variables "ema.<name>", by the input "rate" f32 scalar
                           towards what is trained */
    TUFF_LM_MEASURE,    /* losses of a batch, and what the task observes */
    TUFF_LM_REFERENCE,  /* of a batch, what the model gives without the adapter */
    TUFF_LM_LOGITS
} tuff_lm_step;
typedef struct tuff_lm_train {
    tuff_lm_step step;
    tuff_task_shape shape; /* of the batch */
    int pass;              /* of the task */
    bool decay_all;        /* weight decay on biases and norms too */
    tuff_optimizer_settings optimizer;
} tuff_lm_train;
/* With a batch: inputs as in models/net.h and the task's; output "loss", the sum. With gradients: input
 * "weight" f32 scalar, by which the sum's is scaled. With an update: inputs, outputs and
 * variables of tuff_optimizer_build. */
TUFF_MUST_USE tuff_status tuff_lm_build(const tuff_lm *lm, const tuff_lm_train *train, tuff_graph *g);

/* What could be trained: all parameters, or the adapter's tensors and the parameters that are trained whole.
 */
size_t tuff_lm_candidate_count(const tuff_lm *lm);
tuff_trained tuff_lm_candidate(const tuff_lm *lm, size_t index);
/* What is trained, sooner or later: those of them that are selected. */
size_t tuff_lm_trained_count(const tuff_lm *lm);
tuff_trained tuff_lm_trained(const tuff_lm *lm, size_t index);
#define TUFF_LM_AVERAGE_PREFIX "ema."
/* The phase in which it begins to be. */
int tuff_lm_trained_phase(const tuff_lm *lm, size_t index);

#endif
