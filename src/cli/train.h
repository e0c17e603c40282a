/* The parts of `tuff train`. */
#ifndef TUFF_CLI_TRAIN_H
#define TUFF_CLI_TRAIN_H

#include <tuff/checkpoint.h>
#include <tuff/train.h>

#include "cli/cli.h"

/* Those of examples, and vectors. */
enum { TUFF_CLI_TRAIN_EMBEDDING = TUFF_CLI_TASK_COUNT };
#define TUFF_CLI_TRAIN_TASKS  TUFF_CLI_TASKS "|embedding"
#define TUFF_CLI_TRAIN_LOSSES "mnrl|cosine|triplet|contrastive|cosent"

typedef struct tuff_cli_train_options {
    tuff_cli_common common;
    const char *model, *train_file, *validation_file, *output_dir, *log_file, *dump_batches, *lora_target,
        *optim, *optim_args, *scheduler_kwargs;
    int64_t max_steps, batch_size, accumulation, block_size, warmup_steps, seed, eval_steps, logging_steps;
    double epochs, learning_rate, warmup_ratio, weight_decay, beta1, beta2, epsilon, max_grad_norm, momentum;
    const char *method, *peft_type, *target_modules, *feedforward_modules, *init_text;
    const char *rank_pattern, *alpha_pattern, *base_model_name;
    bool use_rslora, use_dora;
    int64_t lora_rank, virtual_tokens;
    double layerwise_decay, loraplus_ratio, loraplus_embedding;
    double lora_alpha, lora_dropout; /* negative: not given */
    int64_t max_nonfinite;
    int scheduler, format;
    bool no_shuffle, nesterov, overwrite, print_plan, save_anyway;
    tuff_arg_optional profile;
    int task;                   /* of TUFF_CLI_TRAIN_TASKS */
    tuff_cli_data_options data; /* max_length also of embedding */
    /* embedding */
    int loss, pooling;
    int64_t gradient_cache_batch;
    const char *query_prompt, *document_prompt;
    const char *eval_docs, *eval_queries, *eval_qrels, *id_field;
    /* checkpoints */
    int save_strategy, eval_strategy;               /* -1: not given */
    int64_t save_steps, save_total_limit, patience; /* 0: not given */
    double patience_threshold;
    bool load_best;
    int greater_is_better;   /* 0: by the metric's name; 1: true; 2: false */
    const char *best_metric; /* "loss"; NULL: not given */
    const char *resume;      /* NULL: not given */
} tuff_cli_train_options;

/* Of --save-strategy and --eval-strategy. */
enum { TUFF_CLI_NEVER, TUFF_CLI_STEPS, TUFF_CLI_EPOCH };
#define TUFF_CLI_STRATEGIES "no|steps|epoch"

/* Parses and checks what can be checked without the library. */
tuff_args_outcome tuff_cli_train_parse(int argc, char **argv, tuff_cli_train_options *out);
/* Whether an adapter of this type is trained. */
bool tuff_cli_trains(const tuff_cli_train_options *options, const char *peft_type);
tuff_train_params tuff_cli_train_params(const tuff_cli_train_options *options);

/* Reads the files that vectors are trained on and measured with; *out_validation stays NULL where there is
 * none. What was loaded is destroyed by the caller, also after a failure. */
tuff_status tuff_cli_train_load_pairs(const tuff_cli_train_options *options, const tuff_model *model,
                                      tuff_dataset **out_train, tuff_dataset **out_validation);

/* Measures what is trained, on the validation data (NULL: there is none) and by search where there are files
 * for that. Without validation data the result has no loss, and 0 tokens. */
tuff_status tuff_cli_train_measure(const tuff_cli_train_options *options, tuff_trainer *trainer,
                                   const tuff_dataset *validation, tuff_eval_result *out_result);

/* ---- the log of a run: a line of JSON per step and per evaluation */
typedef struct tuff_cli_log {
    FILE *file;
    char *path, *unsaved; /* where it is written; where it goes when nothing is saved, NULL: stays */
    bool failed;
} tuff_cli_log;
/* `wanted` NULL: train_log.jsonl of the stage of the output directory. False: said why. The file is made with
 * its first line. */
bool tuff_cli_log_open(tuff_cli_log *log, const char *wanted, const char *directory, const char *stage);
void tuff_cli_log_step(tuff_cli_log *log, const tuff_train_step *step, int64_t tokens);
void tuff_cli_log_eval(tuff_cli_log *log, int64_t step, const tuff_eval_result *result);
/* Copies what was logged so far into a file that is not there; *out_history, freed with free, is a list of
 * JSON of its last lines. False: *out_why says why. */
bool tuff_cli_log_copy(tuff_cli_log *log, const char *path, char **out_history, const char **out_why);
/* Begins with the log of a checkpoint; false: said why. Nothing where there is none. */
bool tuff_cli_log_continue(tuff_cli_log *log, const char *checkpoint);
/* Ends a log that a checkpoint has: what lies in the stage goes with it. */
void tuff_cli_log_leave(tuff_cli_log *log);
/* Ends the log. Unless it is `saved` with the stage, it moves out of it: to <directory>.train_log.jsonl, or
 * where the directory exists to train_log.failed.jsonl in it. False: said why. */
bool tuff_cli_log_close(tuff_cli_log *log, bool saved);

/* ---- whether a training has failed */
enum { TUFF_CLI_RECENT = 10 };
typedef struct tuff_cli_health {
    int64_t steps, skipped, finite; /* done; of them without an update; with a loss */
    int64_t empty;                  /* of the skipped: there was nothing to learn from */
    double first, recent[TUFF_CLI_RECENT];
} tuff_cli_health;
/* Warns of the first steps that were skipped. */
void tuff_cli_health_step(tuff_cli_health *health, const tuff_train_step *step);
/* False, saying so, when more than half of the steps were skipped. Warns when the loss rose far. */
bool tuff_cli_health_end(const tuff_cli_health *health);

/* ---- what one sees of a run */
typedef struct tuff_cli_progress {
    bool quiet, terminal;
    int64_t steps, every;                  /* of the run; plain lines are printed every so many steps */
    int64_t counted, tokens, first_tokens; /* steps and tokens so far; tokens of the first step */
    double began, first;                   /* seconds: when, how long the first step took */
    double shown;                          /* when the line was last rewritten */
    double spent;                          /* seconds in other things than steps */
} tuff_cli_progress;
void tuff_cli_progress_begin(tuff_cli_progress *progress, bool quiet, int64_t steps, int64_t every);
void tuff_cli_progress_step(tuff_cli_progress *progress, const tuff_train_step *step);
double tuff_cli_progress_rate(const tuff_cli_progress *progress); /* tokens per second */

/* ---- checkpoints of a run, and which of them is the best */

/* What is kept of a run beside what the trainer keeps. */
typedef struct tuff_cli_run_state {
    tuff_cli_health *health;
    int64_t *tokens; /* of the steps before this process's */
} tuff_cli_run_state;

enum { TUFF_CLI_PATH = 4096 };
typedef struct tuff_cli_checkpoints {
    const tuff_cli_train_options *options;
    tuff_checkpoint *from;    /* the training goes on from it; NULL: it begins */
    bool in_place;            /* it is one of --output-dir's */
    int64_t step, saved_at;   /* steps done before; those of the last whole one of --output-dir, -1: none */
    double epoch;             /* before */
    char best[TUFF_CLI_PATH]; /* of the best one; "": none */
    double best_metric;       /* its */
    int64_t best_step;
    tuff_eval_result best_result; /* its, where this process has measured it */
    bool seen_any, best_known;    /* whether there are: seen; best_result */
    double seen;                  /* the best of all evaluations */
    int64_t waited;               /* evaluations since it was seen */
    int64_t logged_at;            /* the step of the last evaluation that is in the log, -1: none */
    bool unmeasured;              /* an evaluation was interrupted at the last step */
    int64_t measured_at;          /* the same of this process; its: */
    double metric;
    tuff_eval_result result;
} tuff_cli_checkpoints;

/* Sets what follows from other options. NULL, or what does not go together. */
const char *tuff_cli_checkpoints_settle(tuff_cli_train_options *options);
/* Opens what the training is to go on from, and looks whether others are in the way. False: said why. */
bool tuff_cli_checkpoints_open(tuff_cli_checkpoints *checkpoints, const tuff_cli_train_options *options);
/* Just before the first step: says what differs, takes the trainer to where the checkpoint is, and removes
 * what --overwrite-output-dir is to remove. */
bool tuff_cli_checkpoints_resume(tuff_cli_checkpoints *checkpoints, tuff_trainer *trainer,
                                 const tuff_cli_run_state *state);
/* Whether something that is done at such times is to be done after a step: `every` is of steps. */
bool tuff_cli_due(int strategy, int64_t every, const tuff_train_step *step, double epoch_before,
                  int64_t steps);
/* After an evaluation; *out_stop: there was no better one for too long. False: said why. */
bool tuff_cli_checkpoints_measured(tuff_cli_checkpoints *checkpoints, int64_t step,
                                   const tuff_eval_result *result, bool *out_stop);
/* A checkpoint that is written now, at `path`, may be the best so far. */
void tuff_cli_checkpoints_choose_best(tuff_cli_checkpoints *checkpoints, int64_t step, const char *path);
/* Whether an evaluation of the step that it goes on from is still to be done; after it the checkpoint may be
 * the best one. */
bool tuff_cli_checkpoints_unmeasured(const tuff_cli_checkpoints *checkpoints);
void tuff_cli_checkpoints_measured_from(tuff_cli_checkpoints *checkpoints);
/* Whether that was so already. */
bool tuff_cli_checkpoints_stopped(const tuff_cli_checkpoints *checkpoints);
/* Writes a checkpoint, and removes those that are too many. False: said why; the training can go on. */
bool tuff_cli_checkpoints_save(tuff_cli_checkpoints *checkpoints, tuff_trainer *trainer, int64_t step,
                               tuff_cli_log *log, const tuff_cli_run_state *state, int64_t tokens);
/* --load-best-model-at-end; `step` is where the trainer is. False: said why; it is where it was, or nowhere.
 */
bool tuff_cli_checkpoints_load_best(tuff_cli_checkpoints *checkpoints, tuff_trainer *trainer, int64_t step);
void tuff_cli_checkpoints_close(tuff_cli_checkpoints *checkpoints);

#endif
