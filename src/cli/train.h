/* The parts of `tuff train`. */
#ifndef TUFF_CLI_TRAIN_H
#define TUFF_CLI_TRAIN_H

#include <tuff/train.h>

#include "cli/cli.h"

/* Those of examples, and vectors. */
enum { TUFF_CLI_TRAIN_EMBEDDING = TUFF_CLI_TASK_COUNT };
#define TUFF_CLI_TRAIN_TASKS  TUFF_CLI_TASKS "|embedding"
#define TUFF_CLI_TRAIN_LOSSES "mnrl|cosine|triplet|contrastive|cosent"

typedef struct tuff_cli_train_options {
    tuff_cli_common common;
    const char *model, *train_file, *validation_file, *output_dir, *log_file, *dump_batches, *lora_target,
        *optim;
    int64_t max_steps, batch_size, accumulation, block_size, warmup_steps, seed, eval_steps, logging_steps;
    double epochs, learning_rate, warmup_ratio, weight_decay, beta1, beta2, epsilon, max_grad_norm, momentum;
    const char *peft_type, *target_modules, *feedforward_modules, *init_text;
    int64_t lora_rank, virtual_tokens;
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
} tuff_cli_train_options;

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

#endif
