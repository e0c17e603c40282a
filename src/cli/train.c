/* tuff train */
#include <string.h>
#include <tuff/program.h>

#include "cli/train.h"

typedef struct run {
    const tuff_cli_train_options *options;
    tuff_cli_train_options *given; /* what run.json is to have */
    tuff_model *base, *grown;      /* as it is loaded, and with --add-special-tokens; NULL: it has them */
    const tuff_model *model;       /* one of them */
    tuff_device *device;
    tuff_dataset *train, *validation;
    tuff_trainer *trainer;
    tuff_stage *stage; /* of the output directory, from before anything is loaded until all is saved */
    tuff_cli_log log;
    tuff_cli_page report;
    tuff_cli_progress progress;
    tuff_train_step last;
    tuff_eval_result evaluated;
    int64_t evaluated_at; /* step; -1: never */
    tuff_cli_health health;
    tuff_cli_samples samples;
    tuff_cli_checkpoints checkpoints;
    int64_t tokens; /* of the steps before this process's */
    bool diverged;  /* too many steps were not finite: the training failed */
    bool stopped;   /* early: it does not get better */
    bool failed;    /* which was said */
    bool lost;      /* the device was: the training can go on from a checkpoint on a new one */
    tuff_dataset *parts[TUFF_ARG_LIST_MAX]; /* of a mixture, until they were reported on */
} run;

/* Notes a loss. */
static tuff_status heed(run *r, tuff_status status)
{
    r->lost = r->lost || status == TUFF_DEVICE_LOST;
    return status;
}

/* ---- before anything runs */

/* Checked before the training, so that its work is not lost at its end. */
static bool open_output(const tuff_cli_train_options *o, bool in_place, tuff_stage **out_stage)
{
    if (!o->output_dir) return true;
    if (tuff_cli_exists(o->output_dir) && !tuff_cli_is_directory(o->output_dir)) {
        tuff_cli_say("tuff: --output-dir %s is no directory", o->output_dir);
        return false;
    }
    /* from here on nobody else writes there */
    if (!tuff_cli_can_create(o->output_dir, true)) return false;
    if (!o->dry_run && tuff_stage_open(o->output_dir, out_stage) != TUFF_OK)
        return tuff_cli_failed() == TUFF_EXIT_OK;
    bool model = tuff_cli_holds_model(o->output_dir), adapter = tuff_cli_holds_adapter(o->output_dir);
    if (o->lora_rank || o->peft_type ? model : adapter) {
        tuff_cli_say("tuff: --output-dir %s holds %s, and %s is to be written; choose another", o->output_dir,
                     model ? "a model" : "an adapter", model ? "an adapter" : "a model");
        return false;
    }
    /* the result of a training that goes on from there is its own */
    if (!o->overwrite && !in_place && (model || adapter)) {
        tuff_cli_say("tuff: --output-dir %s already holds %s; choose another, or give --overwrite-output-dir",
                     o->output_dir, model ? "a model" : "an adapter");
        return false;
    }
    return true;
}

static bool check_space(const run *r, const tuff_train_memory *m)
{
    const char *directory = r->options->output_dir;
    uint64_t needed = 4 * (uint64_t)m->trained_parameters, there = tuff_cli_free_space(directory);
    if (there >= needed) return true;
    tuff_cli_say("tuff: --output-dir %s has %s free, the result needs %s", directory, tuff_cli_bytes(there),
                 tuff_cli_bytes(needed));
    return false;
}

static int print_plan(const run *r)
{
    char *text = tuff_program_text(tuff_trainer_program(r->trainer));
    if (!text) {
        tuff_cli_say("tuff: out of memory");
        return TUFF_EXIT_FAILED;
    }
    fputs(text, stdout);
    tuff_free(text);
    return TUFF_EXIT_OK;
}

/* ---- the run */

static void say_evaluation(const run *r, int64_t step)
{
    const tuff_eval_result *e = &r->evaluated;
    char text[512];
    int at = snprintf(text, sizeof text, "step %lld/%lld", (long long)step, (long long)r->progress.steps);
    if (e->tokens) at += snprintf(text + at, sizeof text - (size_t)at, "  validation loss %.4f", e->loss);
    if (e->perplexity > 0)
        at += snprintf(text + at, sizeof text - (size_t)at, "  perplexity %.2f", e->perplexity);
    for (int64_t i = 0; i < e->count && i < TUFF_CLI_FIGURES_SHOWN && at < (int)sizeof text - 60; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "  %s %.4f", e->figures[i].name,
                       e->figures[i].value);
    tuff_cli_say("%s", text);
}

static bool evaluate(run *r, int64_t step)
{
    if ((!r->validation && !r->options->eval_docs) || r->evaluated_at == step) return true;
    double began = tuff_cli_seconds();
    tuff_status status =
        heed(r, tuff_cli_train_measure(r->options, r->trainer, r->validation, &r->evaluated));
    r->checkpoints.unmeasured = status == TUFF_CANCELLED;
    if (status != TUFF_OK) return status == TUFF_CANCELLED && tuff_cli_interrupted();
    r->evaluated_at = step;
    tuff_cli_progress_eval(&r->progress, &r->evaluated);
    if (step != r->checkpoints.logged_at) { /* else it was, before a checkpoint that was gone on from */
        r->failed = !tuff_cli_checkpoints_measured(&r->checkpoints, step, &r->evaluated, &r->stopped);
        tuff_cli_log_eval(&r->log, step, &r->evaluated);
        tuff_cli_page_eval(&r->report, step, &r->evaluated);
        r->checkpoints.logged_at = step;
    }
    if (!r->options->common.quiet)
        say_evaluation(r, step);
    else
        tuff_cli_show_line("");
    r->progress.spent += tuff_cli_seconds() - began;
    return !r->failed;
}

static tuff_cli_run_state state_of(run *r)
{
    return (tuff_cli_run_state){&r->health, &r->tokens, &r->samples};
}

static bool sample(run *r, int64_t step)
{
    const double began = tuff_cli_seconds();
    r->failed = !tuff_cli_samples_take(&r->samples, r->trainer, step, &r->log, &r->report);
    r->progress.spent += tuff_cli_seconds() - began;
    return !r->failed;
}

/* One that cannot be written is said, and the training goes on. */
static bool save_checkpoint(run *r)
{
    const double began = tuff_cli_seconds();
    const tuff_cli_run_state state = state_of(r);
    const bool saved = tuff_cli_checkpoints_save(&r->checkpoints, r->trainer, r->last.step, &r->log, &state,
                                                 r->tokens + r->progress.tokens);
    r->progress.spent += tuff_cli_seconds() - began;
    return saved;
}

/* What is to be done between steps. */
static bool after_step(run *r, double epoch_before, int64_t steps)
{
    const tuff_cli_train_options *o = r->options;
    if (tuff_cli_due(o->eval_strategy, o->eval_steps, &r->last, epoch_before, steps) &&
        !evaluate(r, r->last.step))
        return false;
    const bool samples = o->sample_steps
                             ? r->last.step % o->sample_steps == 0
                             : tuff_cli_due(o->eval_strategy, o->eval_steps, &r->last, epoch_before, steps);
    if (!r->diverged && samples && !sample(r, r->last.step)) return false;
    if (!r->diverged && tuff_cli_due(o->save_strategy, o->save_steps, &r->last, epoch_before, steps))
        save_checkpoint(r);
    return true;
}

/* Why was said. */
static void end_failed(run *r)
{
    r->diverged = true;
    tuff_cli_page_end(&r->report, TUFF_TRAINING_FAILED, r->health.why);
}

/* Numbers, scores of vectors and preferences have losses of other kinds. */
static bool is_entropy(const run *r)
{
    const char *name;
    int64_t count;
    const int task = r->options->task;
    if (task == TUFF_CLI_TRAIN_EMBEDDING || task == TUFF_CLI_PREFERENCE) return false;
    return strcmp(tuff_cli_task_name(task), "classification") != 0 ||
           tuff_dataset_label(r->train, 0, &name, &count);
}

static bool train(run *r)
{
    int64_t steps = tuff_trainer_total_steps(r->trainer);
    r->health.entropy = is_entropy(r);
    tuff_cli_progress_begin(&r->progress, r->options->common.quiet, r->device, r->checkpoints.step, steps,
                            r->options->logging_steps);
    r->last.step = r->checkpoints.step;
    r->last.epoch = r->checkpoints.epoch;
    /* what is wrong with the files of a search shows now, and where it began */
    if (r->options->eval_docs && !r->last.step && !evaluate(r, 0)) return false;
    if (tuff_cli_checkpoints_unmeasured(&r->checkpoints)) {
        if (!evaluate(r, r->last.step)) return false;
        tuff_cli_checkpoints_measured_from(&r->checkpoints);
    }
    if ((!r->last.step || r->samples.interrupted) && !sample(r, r->last.step)) return false;
    for (int64_t i = r->last.step + 1; i <= steps && !tuff_cli_interrupted() && !r->diverged && !r->stopped;
         i++) {
        const double epoch = r->last.epoch;
        tuff_status status = heed(r, tuff_trainer_step(r->trainer, &r->last));
        r->diverged = status == TUFF_NOT_FINITE && r->last.step == i;
        if (status == TUFF_CANCELLED && tuff_cli_interrupted()) break;
        if (status != TUFF_OK && !r->diverged) return false;
        tuff_cli_progress_step(&r->progress, &r->last);
        tuff_cli_log_step(&r->log, &r->last, r->tokens + r->progress.tokens);
        tuff_cli_page_step(&r->report, &r->last);
        tuff_cli_health_step(&r->health, &r->last);
        if (r->diverged) tuff_cli_page_end(&r->report, TUFF_TRAINING_FAILED, tuff_error_message());
        if (r->diverged) tuff_cli_failed();
        if (!r->diverged && !tuff_cli_health_goes_on(&r->health)) end_failed(r);
        if (!after_step(r, epoch, steps)) return false;
    }
    if (!r->diverged && !tuff_cli_health_end(&r->health)) end_failed(r);
    if (r->diverged || tuff_cli_interrupted()) return true;
    if (!evaluate(r, r->last.step)) return false;
    if (r->evaluated_at == r->last.step && !tuff_cli_health_measured(&r->health, &r->evaluated))
        end_failed(r);
    return r->diverged || sample(r, r->last.step);
}

/* Where checkpoints are written, a training that is interrupted ends with one in place of the result. */
static bool leave_checkpoint(run *r)
{
    const tuff_cli_train_options *o = r->options;
    const int64_t step = r->last.step;
    if (!tuff_cli_interrupted() || o->save_strategy == TUFF_CLI_NEVER || r->diverged || step == 0)
        return false;
    if (r->checkpoints.saved_at != step && !save_checkpoint(r)) return false;
    tuff_cli_say("interrupted after step %lld of %lld; --resume-from-checkpoint last goes on from there",
                 (long long)step, (long long)r->progress.steps);
    tuff_cli_log_leave(&r->log);
    tuff_cli_page_end(&r->report, TUFF_TRAINING_STOPPED, "interrupted, with a checkpoint");
    tuff_cli_page_leave(&r->report);
    return true;
}

/* False: the result is what the last step made, which was said. */
static bool take_best(run *r)
{
    if (r->diverged || tuff_cli_interrupted()) return true;
    if (!tuff_cli_checkpoints_load_best(&r->checkpoints, r->trainer, r->last.step)) return false;
    if (!r->options->load_best || !*r->checkpoints.best) return true;
    r->evaluated_at = r->checkpoints.best_known ? r->checkpoints.best_step : -1;
    r->evaluated = r->checkpoints.best_result;
    return true;
}

static void print_json(const run *r)
{
    printf("{\"output_dir\": ");
    tuff_cli_json_text(stdout, r->options->output_dir, strlen(r->options->output_dir));
    printf(", \"steps\": %lld, \"skipped_steps\": %lld, \"tokens\": %lld", (long long)r->last.step,
           (long long)r->health.skipped, (long long)(r->tokens + r->progress.tokens));
    if (r->progress.counted) {
        printf(", \"loss\": ");
        tuff_cli_json_number(stdout, r->last.loss);
        printf(", \"tokens_per_second\": ");
        tuff_cli_json_number(stdout, tuff_cli_progress_rate(&r->progress));
    }
    if (r->options->load_best && *r->checkpoints.best) {
        printf(", \"best_step\": %lld, \"best_metric\": ", (long long)r->checkpoints.best_step);
        tuff_cli_json_number(stdout, r->checkpoints.best_metric);
    }
    if (r->evaluated_at >= 0) {
        if (r->evaluated.tokens) {
            printf(", \"eval_loss\": ");
            tuff_cli_json_number(stdout, r->evaluated.loss);
        }
        if (r->evaluated.perplexity > 0) {
            printf(", \"eval_perplexity\": ");
            tuff_cli_json_number(stdout, r->evaluated.perplexity);
        }
        for (int64_t i = 0; i < r->evaluated.count; i++) {
            printf(", \"eval_%s\": ", r->evaluated.figures[i].name);
            tuff_cli_json_number(stdout, r->evaluated.figures[i].value);
        }
    }
    printf(", \"data\": ");
    tuff_cli_report_json(stdout, r->train, NULL);
    tuff_cli_mixture_json(r->options, r->train);
    if (r->validation) {
        printf(", \"validation_data\": ");
        tuff_cli_report_json(stdout, r->validation, r->train);
    }
    printf("}\n");
}

/* Whether there is something worth keeping; else says why not. */
static bool to_be_saved(const run *r)
{
    if (r->diverged && !r->options->save_anyway) {
        tuff_cli_say("nothing is saved; --save-anyway would save the model as it is now");
        if (r->checkpoints.saved_at >= 0)
            tuff_cli_say("the last checkpoint is that of step %lld", (long long)r->checkpoints.saved_at);
        return false;
    }
    if (r->last.step == 0 && tuff_cli_interrupted()) {
        tuff_cli_say("tuff: interrupted before the first step was done; nothing is saved");
        return false;
    }
    return true;
}

/* What was trained is not lost where it cannot be put where it was to go. */
static bool put_in_place(run *r)
{
    char *kept;
    if (tuff_stage_commit_or_keep(&r->stage, &kept) == TUFF_OK) return true;
    tuff_cli_failed();
    if (kept)
        tuff_cli_say("tuff: the result is whole, and kept in %s: it can be used from there, or moved", kept);
    tuff_free(kept);
    return false;
}

static int finish(run *r)
{
    const tuff_cli_train_options *o = r->options;
    if (leave_checkpoint(r) || !to_be_saved(r) || !take_best(r)) return TUFF_EXIT_FAILED;
    if (heed(r, tuff_trainer_save_into(r->trainer, r->stage, NULL)) != TUFF_OK) return tuff_cli_failed();
    const char *why = NULL;
    if (!tuff_cli_train_write_settings(o, tuff_stage_path(r->stage), &why))
        tuff_cli_say("tuff: warning: the settings of the run (run.json) cannot be written: %s", why);
    const bool stopped = tuff_cli_interrupted() || r->stopped;
    tuff_cli_page_end(&r->report, stopped ? TUFF_TRAINING_STOPPED : TUFF_TRAINING_DONE,
                      tuff_cli_interrupted() ? "interrupted, and saved"
                      : r->stopped           ? "stopped early, as it got no better"
                                             : "done");
    tuff_cli_page_close(&r->report, true);
    int code = tuff_cli_log_close(&r->log, true) ? TUFF_EXIT_OK : TUFF_EXIT_FAILED;
    if (!put_in_place(r)) return TUFF_EXIT_FAILED;
    if (r->health.skipped && !o->common.quiet)
        tuff_cli_say("%lld of %lld steps were skipped", (long long)r->health.skipped,
                     (long long)r->last.step);
    if (!o->common.quiet)
        tuff_cli_say("saved to %s after %s step%s%s", o->output_dir, tuff_cli_count(r->last.step),
                     r->last.step == 1 ? "" : "s", tuff_cli_interrupted() ? " (interrupted)" : "");
    if ((o->lora_rank || o->peft_type) && r->grown && !o->common.quiet)
        tuff_cli_say(
            "its tokenizer has more tokens than the model: PEFT's AutoPeftModel gives the model rows for them; before "
            "PeftModel.from_pretrained, model.resize_token_embeddings(len(tokenizer)) does");
    if ((o->lora_rank || o->peft_type) && !o->common.quiet && !tuff_cli_is_directory(o->model))
        tuff_cli_say(
            "the adapter goes onto %s: `tuff generate --model %s --adapter %s`; PEFT needs the model as a "
            "directory: `tuff convert %s --to hf --output DIR`",
            o->model, o->model, o->output_dir, o->model);
    if (o->common.json) print_json(r);
    tuff_program *program = tuff_trainer_program(r->trainer);
    if (o->profile.given && r->last.step &&
        !tuff_cli_profile(tuff_program_profile_text(program),
                          o->profile.value ? tuff_program_profile_trace(program) : NULL, o->profile.value))
        code = TUFF_EXIT_FAILED;
    return tuff_cli_interrupted() || r->diverged ? TUFF_EXIT_FAILED : code;
}

/* From where a checkpoint is, if there is one. */
static bool go_on(run *r, const tuff_cli_setting *setting)
{
    const tuff_cli_run_state state = state_of(r);
    tuff_checkpoint_info info = TUFF_CHECKPOINT_INFO_INIT;
    if (!tuff_cli_checkpoints_resume(&r->checkpoints, r->trainer, &state)) return false;
    r->stopped = tuff_cli_checkpoints_stopped(&r->checkpoints);
    if (r->checkpoints.from && tuff_checkpoint_get_info(r->checkpoints.from, &info) != TUFF_OK)
        return tuff_cli_failed() == TUFF_EXIT_OK;
    const char *from = r->checkpoints.from ? info.directory : NULL;
    bool damaged = false;
    if (!tuff_cli_page_open(&r->report, r->options, r->device, tuff_stage_path(r->stage), setting,
                            tuff_trainer_total_steps(r->trainer), r->checkpoints.step, from, &damaged))
        return false;
    tuff_cli_page_data(&r->report, r->options, r->train, r->validation);
    return !from || tuff_cli_log_continue(&r->log, from, r->options->output_dir, damaged);
}

/* Of texts as of those to train on, which the setting has; of records all that is known of them. */
static void tell_validation(const tuff_cli_train_options *o, const tuff_dataset *data, int64_t block)
{
    const char *path = o->validation_file ? o->validation_file : o->train_file;
    if (o->task == TUFF_CLI_CAUSAL_LM)
        tuff_cli_row("eval", "%s: %s tokens, %s blocks of %s", path,
                     tuff_cli_count(tuff_dataset_tokens(data)), tuff_cli_count(tuff_dataset_blocks(data)),
                     tuff_cli_count(block));
    else
        tuff_cli_report("eval", path, data);
}

static int with_trainer(run *r, const tuff_train_params *params, int64_t block)
{
    const tuff_cli_train_options *o = r->options;
    tuff_train_memory memory = TUFF_TRAIN_MEMORY_INIT;
    tuff_cli_setting setting;
    if (tuff_trainer_get_memory(r->trainer, &memory) != TUFF_OK ||
        !tuff_cli_setting_of(&setting, o, r->trainer, r->model, r->device, r->train, params, block))
        return tuff_cli_failed();
    const bool tells = tuff_cli_train_tells(o);
    if (tells) tuff_cli_setting_print(&setting);
    if (tells) tuff_cli_train_tell_tokens(o, r->base, r->grown);
    if (tells && o->mix.count)
        tuff_cli_mixture_report(o, r->train, r->parts);
    else if (tells && o->task != TUFF_CLI_CAUSAL_LM)
        tuff_cli_report("file", o->train_file, r->train);
    tuff_cli_mixture_free(r->parts); /* they were copied */
    if (tells && r->validation) tell_validation(o, r->validation, block);
    if (o->dump_batches && tuff_trainer_dump_batches(r->trainer, o->dump_batches) != TUFF_OK)
        return tuff_cli_failed();
    if (o->print_plan) return print_plan(r);
    if (o->output_dir && !check_space(r, &memory)) return TUFF_EXIT_FAILED;
    if (o->dry_run)
        return tuff_cli_train_dry_run(&(tuff_cli_train_dry){.options = o,
                                                            .params = params,
                                                            .model = r->model,
                                                            .device = r->device,
                                                            .train = r->train,
                                                            .validation = r->validation,
                                                            .trainer = r->trainer,
                                                            .memory = &memory,
                                                            .block = block,
                                                            .done = r->checkpoints.step});
    if (!tuff_cli_log_open(&r->log, o->log_file, o->output_dir, tuff_stage_path(r->stage)))
        return TUFF_EXIT_FAILED;
    if (!o->common.quiet) tuff_cli_row("log", "%s%s", r->log.path, o->log_file ? "" : " (until it is saved)");
    tuff_cli_catch_interrupt();
    if (!go_on(r, &setting)) return TUFF_EXIT_FAILED;
    return train(r) ? finish(r) : r->failed ? TUFF_EXIT_FAILED : tuff_cli_failed();
}

static tuff_status load_measured_pairs(run *r, const char *path, bool held_out)
{
    const tuff_cli_train_options *o = r->options;
    if (tuff_cli_train_load_measured_pairs(o, r->model, path, held_out, true, &r->validation) == TUFF_OK)
        return TUFF_OK;
    return tuff_cli_train_load_measured_pairs(o, r->model, path, held_out, false, &r->validation);
}

/* What is measured: a file, or what is held out. */
static tuff_status load_validation(run *r, int64_t block)
{
    const tuff_cli_train_options *o = r->options;
    const bool held_out = o->data.validation_split > 0;
    const char *path = held_out ? o->train_file : o->validation_file;
    tuff_cli_data_options data = o->data;
    if (!path) return TUFF_OK;
    if (held_out && o->mix.count)
        return tuff_cli_train_load_held_out(o, r->model, block, r->train, &r->validation);
    if (o->task == TUFF_CLI_TRAIN_EMBEDDING) return load_measured_pairs(r, path, held_out);
    data.threads = o->common.threads;
    data.quiet = o->common.quiet || o->common.verbose;
    data.split_seed = o->seed;
    data.held_out = held_out;
    data.block_stride = 0; /* each token is measured once */
    return tuff_cli_load_data(r->model, path, o->task, &data, block, o->format == TUFF_CLI_FORMAT_TEXT, false,
                              r->train, &r->validation);
}

static tuff_status load_data(run *r, int64_t block)
{
    const tuff_cli_train_options *o = r->options;
    tuff_cli_data_options data = o->data;
    tuff_status status;
    data.threads = o->common.threads;
    data.quiet = o->common.quiet || o->common.verbose;
    data.split_seed = o->seed;
    if (o->mix.count)
        status = tuff_cli_train_load_mixture(o, r->model, block, r->parts, &r->train);
    else if (o->task == TUFF_CLI_TRAIN_EMBEDDING)
        status = tuff_cli_train_load_some_pairs(o, r->model, o->train_file, false, &r->train);
    else
        status = tuff_cli_load_data(r->model, o->train_file, o->task, &data, block,
                                    o->format == TUFF_CLI_FORMAT_TEXT, true, NULL, &r->train);
    return status == TUFF_OK ? load_validation(r, block) : status;
}

/* --auto-batch. A training that goes on keeps what was chosen when it began. */
static tuff_status create_fitting(run *r, tuff_train_params *params)
{
    const tuff_cli_train_options *o = r->options;
    tuff_checkpoint_info info = TUFF_CHECKPOINT_INFO_INIT;
    int64_t batch = 0, accumulation = 0;
    if (r->checkpoints.from && tuff_checkpoint_get_info(r->checkpoints.from, &info) == TUFF_OK) {
        batch = info.per_device_train_batch_size;
        accumulation = info.gradient_accumulation_steps;
    }
    const bool kept = batch && batch * accumulation == o->batch_size * o->accumulation;
    if (kept) {
        params->per_device_train_batch_size = batch;
        params->gradient_accumulation_steps = accumulation;
    }
    tuff_status status = kept ? tuff_trainer_create(r->model, r->device, r->train, params, &r->trainer)
                              : tuff_trainer_create_fitting(r->model, r->device, r->train, params,
                                                            (uint64_t)o->max_memory * 1000000, &r->trainer);
    if (status == TUFF_OK) status = tuff_trainer_get_batch(r->trainer, &batch, &accumulation);
    if (status != TUFF_OK) return status;
    params->per_device_train_batch_size = r->given->batch_size = batch;
    params->gradient_accumulation_steps = r->given->accumulation = accumulation;
    r->given->auto_batch = false; /* run again, it is as it was, on whatever device */
    r->given->max_memory = 0;
    return TUFF_OK;
}

static tuff_status create_trainer(run *r, tuff_train_params *params)
{
    if (r->options->auto_batch) return create_fitting(r, params);
    return tuff_trainer_create(r->model, r->device, r->train, params, &r->trainer);
}

static int start(run *r)
{
    const tuff_cli_train_options *o = r->options;
    if (tuff_cli_train_load(o, &r->base, &r->grown, &r->model) != TUFF_OK) return tuff_cli_failed();
    int64_t block = tuff_cli_block_size(r->model, o->block_size);
    tuff_train_params params = tuff_cli_train_params(o);
    tuff_status status = load_data(r, block);
    if (status != TUFF_OK)
        return tuff_cli_data_failed(
            status, o->task, tuff_cli_names_records(o->train_file) ? o->train_file : o->validation_file,
            o->format == TUFF_CLI_FORMAT_TEXT ? NULL : "train-file-format");
    if (r->validation) tuff_cli_report_known(r->validation, r->train);
    status = tuff_cli_open_device(&o->common, o->profile.given, &r->device);
    if (status == TUFF_OK) status = create_trainer(r, &params);
    if (status == TUFF_OK && r->validation) status = tuff_trainer_plan_evaluation(r->trainer, r->validation);
    if (heed(r, status) != TUFF_OK) return tuff_cli_failed();
    return with_trainer(r, &params, block);
}

/* A training that goes on has log and page as the checkpoint says. */
static void give_up(run *r)
{
    tuff_cli_log_leave(&r->log);
    tuff_cli_page_close(&r->report, true);
}

/* *out_again: the device was lost, and the options are those with which it goes on. */
static int run_once(tuff_cli_train_options *options, tuff_cli_train_options *given, tuff_cli_losses *losses,
                    bool *out_again)
{
    run r = {.options = options,
             .given = given,
             .last = TUFF_TRAIN_STEP_INIT,
             .evaluated = TUFF_EVAL_RESULT_INIT,
             .evaluated_at = -1,
             .samples = {.options = options, .at = -1}};
    bool ready = tuff_cli_train_check_outputs(options) &&
                 tuff_cli_checkpoints_open(&r.checkpoints, options) &&
                 open_output(options, r.checkpoints.in_place, &r.stage) && tuff_cli_page_check(options);
    int code = ready ? start(&r) : TUFF_EXIT_FAILED;
    tuff_cli_progress_end(&r.progress);
    *out_again = code != TUFF_EXIT_OK && (r.lost || r.checkpoints.lost) &&
                 tuff_cli_train_again(losses, options, given, &r.checkpoints);
    if (*out_again) give_up(&r);
    tuff_cli_page_end(&r.report, TUFF_TRAINING_FAILED, tuff_error_message());
    tuff_cli_page_close(&r.report, false);
    tuff_cli_log_close(&r.log, false);
    tuff_stage_abort(&r.stage);
    tuff_cli_device_stats(&options->common, r.device);
    tuff_trainer_destroy(&r.trainer);
    tuff_device_destroy(&r.device);
    tuff_cli_mixture_free(r.parts);
    tuff_dataset_destroy(&r.train);
    tuff_dataset_destroy(&r.validation);
    tuff_model_destroy(&r.grown);
    tuff_model_destroy(&r.base);
    tuff_cli_checkpoints_close(&r.checkpoints);
    return code;
}

int tuff_cli_train(int argc, char **argv)
{
    tuff_cli_train_options options, given;
    tuff_cli_losses losses = {.saved_at = -1};
    bool again = true;
    int code = TUFF_EXIT_OK;
    tuff_args_outcome outcome = tuff_cli_train_parse(argc, argv, &options, &given);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    tuff_cli_outlive_readers();
    tuff_cli_begin(&options.common);
    if (!tuff_cli_find_model(&options.model, options.common.quiet)) return TUFF_EXIT_FAILED;
    if (!options.base_model_name && (options.lora_rank || options.peft_type))
        options.base_model_name = tuff_cli_hub_id(options.model);
    while (again)
        code = run_once(&options, &given, &losses, &again);
    return code;
}
