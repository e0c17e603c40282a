/* The parts of `tuff train`. */
#ifndef TUFF_CLI_TRAIN_H
#define TUFF_CLI_TRAIN_H

#include <tuff/checkpoint.h>
#include <tuff/train.h>
#include <tuff/report.h>

#include "cli/cli.h"

/* Those of examples, and vectors. */
enum { TUFF_CLI_TRAIN_EMBEDDING = TUFF_CLI_TASK_COUNT };
#define TUFF_CLI_TRAIN_TASKS TUFF_CLI_TASKS "|embedding"
#define TUFF_CLI_BIASES      "none|all|lora_only"
/* Of vectors, then of preferences. */
#define TUFF_CLI_TRAIN_LOSSES "mnrl|cosine|triplet|contrastive|cosent|" TUFF_CLI_PREFERENCES
enum { TUFF_CLI_VECTOR_LOSSES = 5 };

typedef struct tuff_cli_train_options {
    tuff_cli_common common;
    const char *model, *train_file, *validation_file, *output_dir, *log_file, *dump_batches, *lora_target,
        *optim, *optim_args, *scheduler_kwargs;
    int64_t max_steps, batch_size, accumulation, block_size, warmup_steps, seed, eval_steps, logging_steps;
    double epochs, learning_rate, warmup_ratio, weight_decay, beta1, beta2, epsilon, max_grad_norm, momentum;
    const char *method, *peft_type, *target_modules, *feedforward_modules, *init_text;
    const char *rank_pattern, *alpha_pattern, *base_model_name, *target_parameters, *token_indices,
        *special_tokens;
    bool use_rslora, use_dora, prefix_projection, bf16;
    int bias; /* of TUFF_CLI_BIASES */
    int64_t lora_rank, virtual_tokens, encoder_hidden, projection_key;
    double d_initial, reduction_factor;
    const char *adapter_config, *non_linearity;
    double layerwise_decay, loraplus_ratio, loraplus_embedding, label_smoothing, neftune_alpha;
    const char *freeze, *train_only, *unfreeze_schedule;
    int64_t unfreeze_top_layers;
    double ema_decay;
    const char *dropout;                              /* "config", "none" or a number; NULL: not given */
    double lora_alpha, lora_dropout, adapter_dropout; /* negative: not given */
    int64_t max_nonfinite;
    int scheduler, format;
    bool no_shuffle, nesterov, overwrite, print_plan, dry_run, save_anyway, auto_batch;
    int64_t max_memory; /* megabytes; 0: not given */
    tuff_arg_optional profile;
    int task;                   /* of TUFF_CLI_TRAIN_TASKS */
    tuff_cli_data_options data; /* max_length also of embedding */
    int loss;                   /* of TUFF_CLI_TRAIN_LOSSES */
    /* embedding */
    int pooling;
    int64_t gradient_cache_batch;
    const char *query_prompt, *document_prompt;
    const char *eval_docs, *eval_queries, *eval_qrels, *id_field;
    /* checkpoints */
    int save_strategy, eval_strategy;               /* -1: not given */
    int64_t save_steps, save_total_limit, patience; /* 0: not given */
    double patience_threshold;
    bool load_best;
    int greater_is_better;                      /* 0: by the metric's name; 1: true; 2: false */
    const char *best_metric;                    /* "loss"; NULL: not given */
    const char *resume;                         /* NULL: not given */
    const struct tuff_cli_train_options *given; /* as they were before anything followed from others */
    /* samples */
    tuff_arg_list sample_prompts;
    int64_t sample_steps, sample_tokens; /* sample_steps 0: with each evaluation */
    double sample_temperature;
    /* the report */
    const char *report_to, *logging_dir;
    bool report_page, report_events; /* as report_to says */
    /* mixtures */
    tuff_arg_list mix;
    int mix_end; /* tuff_mixture_end */
} tuff_cli_train_options;

/* Of --save-strategy and --eval-strategy. */
enum { TUFF_CLI_NEVER, TUFF_CLI_STEPS, TUFF_CLI_EPOCH };
#define TUFF_CLI_STRATEGIES "no|steps|epoch"

/* Parses and checks what can be checked without the library. */
tuff_args_outcome tuff_cli_train_parse(int argc, char **argv, tuff_cli_train_options *out,
                                       tuff_cli_train_options *out_given);
/* As tuff_cli_check_outputs. */
bool tuff_cli_train_check_outputs(const tuff_cli_train_options *options);
/* Writes run.json, from which the training can be run again, into a directory. False: *out_why says why. */
bool tuff_cli_train_write_settings(const tuff_cli_train_options *options, const char *directory,
                                   const char **out_why);
/* What follows from options where others are not given. False: some do not go together, which was said. */
bool tuff_cli_train_settle(tuff_cli_train_options *options);
tuff_cli_train_options tuff_cli_train_defaults(void);
/* Takes --method for what it says. NULL, or what is wrong with it. */
const char *tuff_cli_take_method(tuff_cli_train_options *options);
#define TUFF_CLI_METHODS "full, lora, dora, vera, ia3, prompt, prefix, bitfit, tokens or adapter"
/* --dropout as tuff_train_params has it; NAN: it is none. */
double tuff_cli_train_dropout(const tuff_cli_train_options *options);
/* What is trained, for people: "DoRA"; NULL: all parameters. */
const char *tuff_cli_method_title(const tuff_cli_train_options *options);
/* Whether an adapter of this type is trained. */
bool tuff_cli_trains(const tuff_cli_train_options *options, const char *peft_type);
tuff_train_params tuff_cli_train_params(const tuff_cli_train_options *options);
/* Tells the settings that matter in every training, and those that are not the preset ones: names of options,
 * their values. */
void tuff_cli_train_settings(const tuff_cli_train_options *options,
                             void (*tell)(const char *name, const char *value, void *user), void *user);

/* Reads a file that vectors are trained on: what is held out of it, or the rest; all where nothing is. */
tuff_status tuff_cli_train_load_some_pairs(const tuff_cli_train_options *options, const tuff_model *model,
                                           const char *path, bool held_out, tuff_dataset **out);
/* The same of one that they are measured with; `scored`: how well the vectors follow its scores tells more
 * than a loss that looks at none. cosent takes scores of any range. Where it has none, that fails. */
tuff_status tuff_cli_train_load_measured_pairs(const tuff_cli_train_options *options, const tuff_model *model,
                                               const char *path, bool held_out, bool scored,
                                               tuff_dataset **out);

/* ---- files that are mixed */

/* A --mix; false: there is none of this number. */
typedef struct tuff_cli_mixed {
    char path[TUFF_CLI_PATH];
    double weight;
} tuff_cli_mixed;
bool tuff_cli_mixture_part(const tuff_cli_train_options *options, size_t index, tuff_cli_mixed *out);
/* Takes the first file for --train-file. NULL, or what is wrong. */
const char *tuff_cli_mixture_settle(tuff_cli_train_options *options);
/* What the files are for: sft where one has conversations. -1: it was said why it is nothing. */
int tuff_cli_mixture_task(const tuff_cli_train_options *options);
/* Reads all files and mixes them; parts[] begins as NULLs and is freed by the caller, also after a failure.
 */
tuff_status tuff_cli_train_load_mixture(const tuff_cli_train_options *options, const tuff_model *model,
                                        int64_t block, tuff_dataset *parts[TUFF_ARG_LIST_MAX],
                                        tuff_dataset **out_train);
/* What is held out of them, mixed. */
tuff_status tuff_cli_train_load_held_out(const tuff_cli_train_options *options, const tuff_model *model,
                                         int64_t block, const tuff_dataset *train,
                                         tuff_dataset **out_validation);
void tuff_cli_mixture_free(tuff_dataset *parts[TUFF_ARG_LIST_MAX]);
/* The examples of all parts, or of what is no mixture. */
int64_t tuff_cli_mixture_examples(const tuff_dataset *train);
/* What each file holds, as tuff_cli_report, and how much of an epoch it is. */
void tuff_cli_mixture_report(const tuff_cli_train_options *options, const tuff_dataset *train,
                             tuff_dataset *const parts[TUFF_ARG_LIST_MAX]);
/* A member "mixture" of an object, where there is one. */
void tuff_cli_mixture_json(const tuff_cli_train_options *options, const tuff_dataset *train);

/* Measures what is trained, on the validation data (NULL: there is none) and by search where there are files
 * for that. Without validation data the result has no loss, and 0 tokens. */
tuff_status tuff_cli_train_measure(const tuff_cli_train_options *options, tuff_trainer *trainer,
                                   const tuff_dataset *validation, tuff_eval_result *out_result);

/* ---- what is said before the first step: rows of a word and a text */
typedef struct tuff_cli_setting_row {
    const char *word;
    char text[640];
} tuff_cli_setting_row;
typedef struct tuff_cli_setting {
    tuff_cli_setting_row rows[9];
    size_t count;
} tuff_cli_setting;
/* False: the library's error. */
bool tuff_cli_setting_of(tuff_cli_setting *setting, const tuff_cli_train_options *options,
                         const tuff_trainer *trainer, const tuff_model *model, const tuff_device *device,
                         const tuff_dataset *data, const tuff_train_params *params, int64_t block);
void tuff_cli_setting_print(const tuff_cli_setting *setting);

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
void tuff_cli_log_sample(tuff_cli_log *log, int64_t step, const char *prompt, const char *text, size_t size);
/* Copies what was logged so far into a file that is not there; *out_history, freed with free, is a list of
 * JSON of its last lines. False: *out_why says why. */
bool tuff_cli_log_copy(tuff_cli_log *log, const char *path, char **out_history, const char **out_why);
/* Begins with the log of a checkpoint; false: said why. Nothing where there is none. One that is `damaged` is
 * put aside, into train_log.damaged.jsonl of the directory of the result. */
bool tuff_cli_log_continue(tuff_cli_log *log, const char *checkpoint, const char *directory, bool damaged);
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
    double first[TUFF_CLI_RECENT], recent[TUFF_CLI_RECENT];
    bool entropy;    /* the loss is a cross-entropy: of how large it is follows whether the model is lost */
    bool lost;       /* the loss of the last step is not finite */
    const char *why; /* it failed, once it did */
} tuff_cli_health;
/* Warns of the first steps that were skipped. */
void tuff_cli_health_step(tuff_cli_health *health, const tuff_train_step *step);
/* False, saying so, when the loss is so far above its start that more steps help nothing. */
bool tuff_cli_health_goes_on(tuff_cli_health *health);
/* The same at the end, and when more than half of the steps were skipped, or the last loss was not finite.
 * Warns when the loss rose. */
bool tuff_cli_health_end(tuff_cli_health *health);
/* False, saying so, when what was measured of the result is not finite. */
bool tuff_cli_health_measured(tuff_cli_health *health, const tuff_eval_result *result);

/* ---- what one sees of a run */
typedef struct tuff_cli_progress {
    bool quiet, terminal, colour;
    const tuff_device *device;             /* whose memory is shown */
    tuff_train_step last;                  /* step 0, or that of a checkpoint: this process has done none */
    double part;                           /* of the step at hand that is done */
    char eval[40];                         /* "eval 2.3456"; "": there was none */
    int64_t steps, every;                  /* of the run; plain lines are printed every so many steps */
    int64_t counted, tokens, first_tokens; /* steps and tokens so far; tokens of the first step */
    double began, first;                   /* seconds: when, how long the first step took */
    double shown;                          /* when a line was last seen */
    double spent;                          /* seconds in other things than steps */
} tuff_cli_progress;
/* `done` steps of them are, of an earlier process. It must stay where it is until its end. */
void tuff_cli_progress_begin(tuff_cli_progress *progress, bool quiet, const tuff_device *device, int64_t done,
                             int64_t steps, int64_t every);
void tuff_cli_progress_end(tuff_cli_progress *progress);
void tuff_cli_progress_step(tuff_cli_progress *progress, const tuff_train_step *step);
void tuff_cli_progress_eval(tuff_cli_progress *progress, const tuff_eval_result *result);
double tuff_cli_progress_rate(const tuff_cli_progress *progress); /* tokens per second */

/* ---- what a training would be */
/* Whether what is known before the first step is said. Of --dry-run it is the result, which --quiet leaves.
 */
bool tuff_cli_train_tells(const tuff_cli_train_options *options);
typedef struct tuff_cli_train_dry {
    const tuff_cli_train_options *options;
    const tuff_train_params *params;
    const tuff_model *model;
    const tuff_device *device;
    const tuff_dataset *train, *validation; /* the latter NULL: none */
    tuff_trainer *trainer;
    const tuff_train_memory *memory;
    int64_t block, done; /* tokens of a block; steps before those that are left to do */
} tuff_cli_train_dry;
/* Says it, and how long it would take, by a few steps that are thrown away with the trainer. The exit code.
 */
int tuff_cli_train_dry_run(const tuff_cli_train_dry *dry);

/* ---- the page of a run, and event files for TensorBoard; nothing in them stops a training */
typedef struct tuff_cli_page {
    tuff_train_report *report;            /* NULL: none */
    char *path, *unsaved, *left, *events; /* the page: where it is written, and goes when nothing is saved, or
                                             when checkpoints are; the directory of events */
    bool any, ended, failed;              /* steps were told; the end was; a failure was said */
} tuff_cli_page;
/* What --report-to asks for. NULL, or what is wrong with it. */
const char *tuff_cli_page_settle(tuff_cli_train_options *options);
/* Whether event files could be made. False: said why. */
bool tuff_cli_page_check(const tuff_cli_train_options *options);
/* `done` steps are those of the checkpoint (NULL: there is none) that it goes on from. *out_damaged: its log
 * is, which was said, and the page begins without it. False: said why. */
bool tuff_cli_page_open(tuff_cli_page *report, const tuff_cli_train_options *options,
                        const tuff_device *device, const char *stage, const tuff_cli_setting *setting,
                        int64_t steps, int64_t done, const char *checkpoint, bool *out_damaged);
/* What is trained on, and measured with (NULL: nothing). */
void tuff_cli_page_data(tuff_cli_page *report, const tuff_cli_train_options *options,
                        const tuff_dataset *train, const tuff_dataset *validation);
void tuff_cli_page_step(tuff_cli_page *report, const tuff_train_step *step);
void tuff_cli_page_eval(tuff_cli_page *report, int64_t step, const tuff_eval_result *result);
void tuff_cli_page_sample(tuff_cli_page *report, int64_t step, const char *prompt, const char *text,
                          size_t size);
/* The first end is the one that counts. */
void tuff_cli_page_end(tuff_cli_page *report, tuff_training_end end, const char *why);
/* Takes the page out of a stage that is given up for a checkpoint. */
void tuff_cli_page_leave(tuff_cli_page *report);
/* Unless it is `saved` with the stage, the page moves out of it: to <directory>.report.html, or where the
 * directory existed to report.failed.html in it. */
void tuff_cli_page_close(tuff_cli_page *report, bool saved);

/* ---- what the model says now */
enum { TUFF_CLI_SAMPLE_SHOWN = 400 }; /* bytes of a text that are printed; the log has it all */
typedef struct tuff_cli_samples {
    const tuff_cli_train_options *options;
    int64_t at;       /* the step of the last ones, -1: none */
    bool interrupted; /* while they were made: there are none of that step */
    bool failed;      /* which was said: there are no more */
} tuff_cli_samples;
/* Unless it is done for this step: lets the model go on with each prompt, prints and logs what it says.
 * False: said why, and the training is not to begin. */
bool tuff_cli_samples_take(tuff_cli_samples *samples, tuff_trainer *trainer, int64_t step, tuff_cli_log *log,
                           tuff_cli_page *report);

/* ---- checkpoints of a run, and which of them is the best */

/* What is kept of a run beside what the trainer keeps. */
typedef struct tuff_cli_run_state {
    tuff_cli_health *health;
    int64_t *tokens; /* of the steps before this process's */
    tuff_cli_samples *samples;
} tuff_cli_run_state;

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
    bool lost;                    /* the device was, while one was read */
    int64_t measured_at;          /* the same of this process; its: */
    double metric;
    tuff_eval_result result;
} tuff_cli_checkpoints;

/* Sets what follows from other options. NULL, or what does not go together. */
const char *tuff_cli_checkpoints_settle(tuff_cli_train_options *options);
/* The settings that a checkpoint was written with, and where its training writes to; "" where it has none. */
typedef struct tuff_cli_resumed {
    char settings[TUFF_CLI_PATH], output_dir[TUFF_CLI_PATH];
} tuff_cli_resumed;
/* Of --resume-from-checkpoint, and --output-dir or NULL. False: there is no checkpoint, which was said. */
bool tuff_cli_checkpoints_settings(const char *resume, const char *output_dir, tuff_cli_resumed *out);
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

/* The model, with the tokens that it is to have. Both are
 * the caller's to destroy, also after a failure; *out_model is one of them. */
tuff_status tuff_cli_train_load(const tuff_cli_train_options *options, tuff_model **out_base,
                                tuff_model **out_grown, const tuff_model **out_model);
/* Says which are new, or, where a chat template is in want of some, how it gets them. */
void tuff_cli_train_tell_tokens(const tuff_cli_train_options *options, const tuff_model *base,
                                const tuff_model *grown);

/* ---- devices that are lost */
typedef struct tuff_cli_losses {
    int in_a_row;     /* without a new checkpoint */
    int64_t saved_at; /* steps of the last one at the last loss, -1: none */
} tuff_cli_losses;
/* After a loss, which was said: sets the options for a training that goes on where the last checkpoint is,
 * and says so. False: it is not tried again, for a reason that is said. */
bool tuff_cli_train_again(tuff_cli_losses *losses, tuff_cli_train_options *options,
                          const tuff_cli_train_options *given, const tuff_cli_checkpoints *checkpoints);

#endif
