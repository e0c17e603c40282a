/* A task: what a model is trained for and measured by. It turns records into examples, examples into batches,
 * builds the sum of a batch's losses, and says how good the outputs are. Trainer and evaluation know no task
 * by name.
 *
 * The host knows how many labels a whole step has before any of it runs, and the gradient is scaled by 1 /
 * that number: so batches whose gradients are summed count by their labels, and one without labels adds
 * nothing. A loss is a sum over what the task counts as labels: tokens, examples, pairs. */
#ifndef TUFF_TRAIN_TASK_H
#define TUFF_TRAIN_TASK_H

#include "base/hash.h"
#include "generate/runner.h"
#include "models/heads/head.h"
#include "models/model.h"
#include "packed/pack.h"
#include "train/dataset.h"

/* What a task's batches and graphs are made for. */
typedef tuff_pack_shape tuff_task_shape;

/* Examples of a data set, by number, in the order in which they are packed. */
typedef struct tuff_batch {
    const tuff_dataset *data;
    const uint32_t *examples;
    int64_t count, most; /* how many; what a batch of this run has at most */
    /* Of what a task draws at random, as a function of the seed and the place: example i is number first + i
     * of the endless sequence of examples that a training sees, or of the data set that is measured. */
    uint64_t seed, first;
    int64_t virtual_tokens; /* of an adapter, before each sequence's own; which a pack adds by itself */
    bool silent;            /* these predict nothing */
    const float *reference; /* as many numbers of each example of the data as the task's `reference` says */
} tuff_batch;

typedef enum tuff_task_use {
    TUFF_TASK_TRAIN,     /* the loss, to be differentiated */
    TUFF_TASK_MEASURE,   /* the loss, and as outputs what `observe` reads */
    TUFF_TASK_REFERENCE, /* no loss: the output "reference" [numbers * most], number k of the batch's example
                            i is at k * most + i */
    TUFF_TASK_LOGITS     /* no loss: the output "logits" [tokens, ...], for checks against other programs */
} tuff_task_use;

/* What a graph is built for. */
typedef struct tuff_task_graph {
    const tuff_model *model;
    const tuff_dataset *data; /* of the task: its options */
    tuff_task_shape shape;
    tuff_task_use use;
    int pass;
    double label_smoothing; /* of what is trained */
} tuff_task_graph;

/* A text that a model is to answer by itself; begins as zeros. */
typedef struct tuff_asked {
    const int32_t *ids, *answer; /* of the data set: what stands before the answer; the true one */
    size_t count, answer_count;
    int64_t next; /* the task's: where it goes on */
} tuff_asked;

/* What a task has seen in an evaluation. */
typedef struct tuff_meter {
    const tuff_model *model;
    const tuff_dataset *data;
    tuff_buf seen; /* what `observe` appends */
    void *scratch; /* for outputs; grows */
    size_t scratch_size;
} tuff_meter;

typedef struct tuff_task_run tuff_task_run;
struct tuff_kept;

struct tuff_task {
    const char *name;      /* "causal-lm" */
    const char *title;     /* for people: "causal language modelling" */
    const tuff_head *head; /* that it works with; NULL: none */
    const char *peft_type; /* of tasks without a head: task_type of an adapter that is saved */
    bool perplexity;       /* exp(loss) means something */
    /* Whether what an example's loss is depends on the others of its batch; NULL: it does not. */
    bool (*compares)(const tuff_dataset *data);
    int64_t (*sequences)(const tuff_dataset *data); /* of an example; NULL: one */

    /* ---- data */

    /* Reads a file of records into an empty data set; NULL: it is a text in blocks. */
    tuff_status (*load)(const tuff_model *model, const char *path, const tuff_data_params *params,
                        tuff_dataset *data);
    /* Takes what a data set has beside its sequences into another, which is to get its sequences next, behind
     * those of others or as the first; `own` is NULL then. Fails where they do not go together. NULL: such
     * data is not mixed. */
    tuff_status (*join)(tuff_dataset *into, const tuff_dataset *part);
    /* Keeps what a data set has beside its sequences in the cache, or takes it from there, but for what its
     * parameters say (record_cache.h). NULL: such data is not kept. */
    void (*keep)(struct tuff_kept *kept, tuff_dataset *data);
    /* The labels that the head must have for the data; NULL: it has none. */
    void (*wish)(const tuff_dataset *data, tuff_head_wish *out_wish);
    /* Adds to a hash what the examples have beside their ids: labels, scores; NULL: nothing. */
    void (*hash)(const tuff_dataset *data, tuff_sha256 *hash);
    /* Frees `own` of a data set; NULL: there is nothing to free. */
    void (*release)(tuff_dataset *data);
    /* Fails unless the model can be trained or measured with the data. */
    tuff_status (*check)(const tuff_dataset *data, const tuff_model *model);
    /* Fails unless batches of so many examples can be trained on; NULL: all can. */
    tuff_status (*check_batch)(const tuff_dataset *data, int64_t examples);
    /* How many examples a training, or a measurement, goes through. */
    int64_t (*count)(const tuff_dataset *data, bool training);
    /* How many numbers of each example are to be computed once, with the model as it was before the training
     * and no adapter, and given with batches; NULL: none. */
    int64_t (*reference)(const tuff_dataset *data);

    /* ---- batches */

    /* What a batch needs, and how many labels it has: those that the sum of the losses is over. */
    void (*size)(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels);
    /* Packs the batch's sequences and sets all inputs of a program of this shape: those of the net
     * (tuff_pack_set) and the task's own. Begins the pack. Allocates nothing once a batch was as large. */
    tuff_status (*fill)(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program);

    /* ---- graph */

    /* The sum of a batch's losses, a scalar; begins the net (tuff_net_begin) where the pass has one. NULL
     * where a pass has no loss: its outputs are all that it makes. */
    tuff_tensor *(*loss)(const tuff_task_graph *at, tuff_net *net);
    /* Whether its losses are cross-entropies of single labels, which may be smoothed; NULL: they are not. */
    bool (*smooths)(const tuff_dataset *data);

    /* Tasks whose gradient needs several programs (cached gradients of large batches) run a batch of the
     * training themselves, by tuff_task_run_program and tuff_task_run_once; the gradients of all runs of
     * passes that have a loss are added up. `passes` lists the programs of a batch, so that they are planned
     * and their memory is known: number `index` is of *out_pass and *out_shape; false: there are no more.
     * None at all: this data's batches are one run of pass 0 each. Both NULL: so are all. */
    bool (*passes)(const tuff_batch *batch, int index, int *out_pass, tuff_task_shape *out_shape);
    tuff_status (*run)(tuff_task_run *run, const tuff_batch *batch, double *out_loss);

    /* What people are told of the data beside what all data sets have; NULL: nothing. */
    void (*describe)(const tuff_dataset *data, tuff_data_report *out);

    /* As tuff_dataset_label has it; NULL: there are no labels. */
    bool (*label)(const tuff_dataset *data, size_t index, const char **out_name, int64_t *out_count);
    /* Writes files beside a model that was trained and is saved to a stage; NULL: none. */
    tuff_status (*save)(const tuff_dataset *data, const char *stage);

    /* ---- measurement; NULL: the loss is all there is */

    bool of_steps; /* the two are of the steps of a training, too */
    /* Reads the outputs of a batch that ran. */
    tuff_status (*observe)(tuff_meter *meter, const tuff_batch *batch, const tuff_task_shape *shape,
                           tuff_program *program);
    /* Sets figures of all that was observed. */
    tuff_status (*report)(tuff_meter *meter, tuff_eval_result *out_result);
    /* The next question of the data, whose answer the model is to give by itself; NULL: there are none. */
    tuff_status (*ask)(const tuff_dataset *data, tuff_asked *question, bool *out_there);
    bool asks_always; /* tuff_evaluate asks also where nobody says so */
};

#define TUFF_TASK(name) extern const tuff_task tuff_task_##name;
#include "train/tasks/tasks.def"
#undef TUFF_TASK

/* The task's `size`, with room for virtual tokens. */
void tuff_task_size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels);

/* NULL when there is none of this name. */
const tuff_task *tuff_task_find(const char *name);
/* "causal-lm, mlm, ...", for error texts. */
const char *tuff_task_names(void);

/* The sum of cross-entropies, whose labels are smoothed where a training asks for it, but not where the loss
 * is measured. */
tuff_tensor *tuff_task_cross_entropy(const tuff_task_graph *at, tuff_graph *g, tuff_tensor *logits,
                                     tuff_tensor *labels);
/* For tasks that always smooth. */
bool tuff_task_smooths(const tuff_dataset *data);

/* The head that a model needs for the data: the task's, with the data's labels. */
tuff_head_wish tuff_task_wish(const tuff_dataset *data);
/* Fails unless a model has it. */
TUFF_MUST_USE tuff_status tuff_task_need_head(const tuff_dataset *data, const tuff_model *model);

/* A batch that a task runs in passes. */
struct tuff_task_run {
    tuff_pack *pack;
    const tuff_config *config;
    float weight;  /* 1 / the labels of the whole step: the gradient of each sum of losses */
    void *self;    /* the trainer */
    int64_t piece; /* set by the task: runs of the same piece drop the same numbers out, others do not */
};
/* The program of a pass, ready to be given inputs. */
TUFF_MUST_USE tuff_status tuff_task_run_program(tuff_task_run *run, int pass, const tuff_task_shape *shape,
                                                tuff_program **out_program);
/* Runs it with the inputs that it has. */
TUFF_MUST_USE tuff_status tuff_task_run_once(tuff_task_run *run, tuff_program *program);

/* Appends a figure of an evaluation. */
void tuff_eval_put(tuff_eval_result *result, const char *name, double value);
/* Copies a result over the caller's, with as many figures as that has room for. */
TUFF_MUST_USE tuff_status tuff_eval_give(tuff_eval_result *out, const tuff_eval_result *result);
/* An output of a program in the meter's scratch: f32 or i32 [count], valid until the next call. */
TUFF_MUST_USE tuff_status tuff_meter_output(tuff_meter *meter, tuff_program *program, const char *name,
                                            size_t count, void *out_values);
/* For tasks whose one figure is the share of labels that are the most probable ones: `observe` ends with how
 * many there are, `report` sets it. */
TUFF_MUST_USE tuff_status tuff_meter_count(tuff_meter *meter, int64_t labels, int64_t right);
TUFF_MUST_USE tuff_status tuff_meter_accuracy(tuff_meter *meter, tuff_eval_result *out_result);

#endif
