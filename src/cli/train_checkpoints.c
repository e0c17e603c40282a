/* Checkpoints of `tuff train`: when they are written, and going on from one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/train.h"

/* ---- options */

/* What follows from the options that were given. */
static void settle_defaults(tuff_cli_train_options *o)
{
    enum { SAVE_STEPS = 500 }; /* as in transformers */
    if (o->save_strategy < 0) o->save_strategy = o->save_steps ? TUFF_CLI_STEPS : TUFF_CLI_NEVER;
    if (o->eval_strategy < 0)
        o->eval_strategy = o->eval_steps ? TUFF_CLI_STEPS : o->patience ? TUFF_CLI_EPOCH : TUFF_CLI_NEVER;
    if (o->save_strategy == TUFF_CLI_STEPS && !o->save_steps) o->save_steps = SAVE_STEPS;
    if (o->eval_strategy == TUFF_CLI_STEPS && !o->eval_steps) o->eval_steps = o->logging_steps;
}

/* transformers' rules. */
static const char *contradiction(const tuff_cli_train_options *o)
{
    const bool saves = o->save_strategy != TUFF_CLI_NEVER, measures = o->eval_strategy != TUFF_CLI_NEVER;
    const bool chooses = o->best_metric || o->greater_is_better;
    if (o->save_steps && o->save_strategy != TUFF_CLI_STEPS)
        return "--save-steps is of --save-strategy steps";
    if (o->eval_steps && o->eval_strategy != TUFF_CLI_STEPS)
        return "--eval-steps is of --eval-strategy steps";
    const bool can = o->validation_file || o->data.validation_split > 0 || o->eval_docs;
    if (o->eval_steps && !can)
        return "--eval-steps needs --validation-file, --validation-split or --eval-docs";
    if (o->patience && measures && !can)
        return "--early-stopping-patience needs --validation-file, --validation-split or --eval-docs";
    if (measures && !can) return "--eval-strategy needs --validation-file, --validation-split or --eval-docs";
    if (saves && !o->output_dir) return "checkpoints need --output-dir";
    if (o->save_total_limit && !saves) return "--save-total-limit needs --save-strategy or --save-steps";
    if (o->load_best && o->save_strategy != o->eval_strategy)
        return "--load-best-model-at-end needs --save-strategy and --eval-strategy to be the same";
    if (o->load_best && !saves) return "--load-best-model-at-end needs --save-strategy and --eval-strategy";
    if (o->load_best && o->save_strategy == TUFF_CLI_STEPS && o->save_steps % o->eval_steps != 0)
        return "--load-best-model-at-end needs --save-steps to be a multiple of --eval-steps";
    if (o->patience && !measures) return "--early-stopping-patience needs --eval-strategy";
    if (o->patience_threshold > 0 && !o->patience)
        return "--early-stopping-threshold needs --early-stopping-patience";
    if (chooses && !o->load_best && !o->patience)
        return "--metric-for-best-model and --greater-is-better need --load-best-model-at-end or "
               "--early-stopping-patience";
    if (o->resume && strcmp(o->resume, "last") == 0 && !o->output_dir)
        return "--resume-from-checkpoint last is of --output-dir";
    return NULL;
}

const char *tuff_cli_checkpoints_settle(tuff_cli_train_options *o)
{
    settle_defaults(o);
    return contradiction(o);
}

bool tuff_cli_due(int strategy, int64_t every, const tuff_train_step *step, double epoch_before,
                  int64_t steps)
{
    const double just = 1e-9; /* an epoch's last step makes it whole, but for rounding */
    if (strategy == TUFF_CLI_NEVER) return false;
    if (step->step == steps) return true;
    if (strategy == TUFF_CLI_STEPS) return step->step % every == 0;
    return floor(step->epoch + just) > floor(epoch_before + just);
}

/* ---- which one to go on from */

static bool joined(const char *directory, const char *name, char out[TUFF_CLI_PATH])
{
    const size_t size = strlen(directory);
    const int n = snprintf(out, TUFF_CLI_PATH, "%s%s%s", directory,
                           size && directory[size - 1] == '/' ? "" : "/", name);
    if (n > 0 && n < TUFF_CLI_PATH) return true;
    tuff_cli_say("tuff: a path is too long: %.80s...", directory);
    return false;
}

/* The newest whole one of fewer than `below` steps; what is damaged is passed over, saying so. NULL without a
 * failure: there is none. */
static tuff_status newest_whole(const char *directory, int64_t below, bool say, tuff_checkpoint **out)
{
    *out = NULL;
    for (size_t i = 0;; i++) {
        char *path = NULL;
        tuff_status status = tuff_checkpoint_find(directory, i, &path);
        if (status == TUFF_NOT_FOUND) return TUFF_OK;
        if (status != TUFF_OK) return status;
        if (tuff_checkpoint_step(path) < below) status = tuff_checkpoint_open(path, tuff_cli_watch(), out);
        tuff_free(path);
        const bool damaged = status == TUFF_BAD_FORMAT || status == TUFF_NOT_FOUND;
        if (damaged && say)
            tuff_cli_say("tuff: warning: %s; the one before it is looked at", tuff_error_message());
        if (*out || (status != TUFF_OK && !damaged)) return status;
    }
}

static const char *directory_of(const tuff_checkpoint *checkpoint)
{
    tuff_checkpoint_info info = TUFF_CHECKPOINT_INFO_INIT;
    return tuff_checkpoint_get_info(checkpoint, &info) == TUFF_OK ? info.directory : "";
}

/* Where the checkpoint lies; without the slashes behind its name. */
static bool parent_of(const char *path, char out[TUFF_CLI_PATH])
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    while (size > 0 && path[size - 1] != '/')
        size--;
    if (size >= TUFF_CLI_PATH) return false;
    snprintf(out, TUFF_CLI_PATH, "%.*s", size ? (int)size : 1, size ? path : ".");
    return true;
}

/* One that the user named is taken or refused; where it is damaged, another one is offered. */
static bool open_named(const char *path, tuff_checkpoint **out)
{
    tuff_checkpoint *other = NULL;
    char parent[TUFF_CLI_PATH];
    tuff_status status = tuff_checkpoint_open(path, tuff_cli_watch(), out);
    if (status == TUFF_OK) return true;
    tuff_cli_failed();
    const int64_t step = tuff_checkpoint_step(path);
    if (status != TUFF_BAD_FORMAT || step < 0 || !parent_of(path, parent)) return false;
    if (newest_whole(parent, step, false, &other) == TUFF_OK && other)
        tuff_cli_say("the one before it is whole: --resume-from-checkpoint %s", directory_of(other));
    tuff_checkpoint_destroy(&other);
    return false;
}

static bool open_from(tuff_cli_checkpoints *c)
{
    const tuff_cli_train_options *o = c->options;
    char state[TUFF_CLI_PATH];
    const char *path = strcmp(o->resume, "last") == 0 ? o->output_dir : o->resume;
    if (!joined(path, "trainer_state.json", state)) return false;
    if (tuff_cli_exists(state) || tuff_checkpoint_step(path) >= 0) {
        char parent[TUFF_CLI_PATH];
        if (!open_named(path, &c->from)) return false;
        c->in_place =
            o->output_dir && parent_of(path, parent) && tuff_cli_same_directory(parent, o->output_dir);
        return true;
    }
    if (!tuff_cli_is_directory(path)) {
        tuff_cli_say("tuff: --resume-from-checkpoint %s: there is no such directory", path);
        return false;
    }
    if (newest_whole(path, INT64_MAX, true, &c->from) != TUFF_OK) return tuff_cli_failed() == TUFF_EXIT_OK;
    if (!c->from) {
        tuff_cli_say("tuff: --resume-from-checkpoint %s: there is no whole checkpoint in it", path);
        return false;
    }
    c->in_place = o->output_dir && tuff_cli_same_directory(path, o->output_dir);
    return true;
}

bool tuff_cli_checkpoints_settings(const char *resume, const char *output_dir, tuff_cli_resumed *out)
{
    char state[TUFF_CLI_PATH], parent[TUFF_CLI_PATH];
    tuff_checkpoint *from = NULL;
    const char *path = strcmp(resume, "last") == 0 ? output_dir : resume;
    *out = (tuff_cli_resumed){0};
    if (!path) return true;
    if (!tuff_cli_is_directory(path)) {
        tuff_cli_say("tuff: --resume-from-checkpoint %s: there is no such directory", path);
        return false;
    }
    if (!joined(path, "trainer_state.json", state)) return false;
    const bool named = tuff_cli_exists(state);
    if (!named && newest_whole(path, INT64_MAX, false, &from) != TUFF_OK)
        return tuff_cli_failed() == TUFF_EXIT_OK;
    if (!named && !from) {
        tuff_cli_say("tuff: --resume-from-checkpoint %s: there is no whole checkpoint in it", path);
        return false;
    }
    bool good = joined(named ? path : directory_of(from), "run.json", out->settings);
    good = good && (!named || parent_of(path, parent));
    size_t size = named && good ? strlen(parent) : 0;
    while (size > 1 && parent[size - 1] == '/')
        parent[--size] = 0;
    if (good) snprintf(out->output_dir, sizeof out->output_dir, "%s", named ? parent : path);
    if (good && !tuff_cli_exists(out->settings)) *out = (tuff_cli_resumed){0};
    tuff_checkpoint_destroy(&from);
    return good;
}

/* Steps after those that are done: checkpoints of a training that is left behind. */
static bool is_left_behind(const tuff_cli_checkpoints *c, const char *path)
{
    return !c->in_place || tuff_checkpoint_step(path) > c->step;
}

/* One that would be taken for this training's newest. */
static bool check_others(const tuff_cli_checkpoints *c)
{
    const tuff_cli_train_options *o = c->options;
    tuff_checkpoint *newest = NULL;
    if (o->save_strategy == TUFF_CLI_NEVER || o->overwrite || !tuff_cli_is_directory(o->output_dir))
        return true;
    if (newest_whole(o->output_dir, INT64_MAX, false, &newest) != TUFF_OK)
        return tuff_cli_failed() == TUFF_EXIT_OK;
    const char *path = newest ? directory_of(newest) : "";
    const bool behind = newest && is_left_behind(c, path);
    if (behind && c->in_place)
        tuff_cli_say(
            "tuff: --output-dir %s also has %s, which is newer than what this training goes on from; choose "
            "another directory, or give --overwrite-output-dir, which removes what is newer",
            o->output_dir, path);
    else if (behind)
        tuff_cli_say(
            "tuff: --output-dir %s has checkpoints already (%s): go on with --resume-from-checkpoint last, "
            "choose another directory, or give --overwrite-output-dir, which removes them",
            o->output_dir, path);
    tuff_checkpoint_destroy(&newest);
    return !behind;
}

bool tuff_cli_checkpoints_open(tuff_cli_checkpoints *c, const tuff_cli_train_options *options)
{
    *c = (tuff_cli_checkpoints){.options = options, .saved_at = -1, .logged_at = -1, .measured_at = -1};
    if (options->resume && !open_from(c)) return false;
    if (c->from) {
        tuff_checkpoint_info info = TUFF_CHECKPOINT_INFO_INIT;
        if (tuff_checkpoint_get_info(c->from, &info) != TUFF_OK) return tuff_cli_failed() == TUFF_EXIT_OK;
        c->step = info.step;
        c->epoch = info.epoch;
        if (c->in_place) c->saved_at = info.step;
    }
    return check_others(c);
}

void tuff_cli_checkpoints_close(tuff_cli_checkpoints *c)
{
    tuff_checkpoint_destroy(&c->from);
    *c = (tuff_cli_checkpoints){0};
}

/* ---- what is kept beside the trainer's state */

enum { NUMBERS = 16 + 2 * TUFF_CLI_RECENT };
typedef struct numbers {
    tuff_checkpoint_number items[NUMBERS];
    size_t count;
    const tuff_checkpoint *from; /* to be read from; NULL: to be written */
} numbers;

static void keep_real(numbers *n, const char *name, double *value)
{
    if (n->from) {
        double read;
        if (tuff_checkpoint_get_number(n->from, name, &read)) *value = read;
        return;
    }
    tuff_checkpoint_number *item = &n->items[n->count++];
    snprintf(item->name, sizeof item->name, "%s", name);
    item->value = *value;
}

static void keep_int(numbers *n, const char *name, int64_t *value)
{
    double real = (double)*value;
    keep_real(n, name, &real);
    if (real >= 0 && real < 0x1p53) *value = (int64_t)real;
}

/* Both ways: a number is named once. */
static void keep(numbers *n, tuff_cli_checkpoints *c, const tuff_cli_run_state *state, int64_t *tokens)
{
    tuff_cli_health *h = state->health;
    tuff_cli_samples *s = state->samples;
    int64_t seen = c->seen_any, logged = c->logged_at + 1 /* 0: none */, unmeasured = c->unmeasured;
    int64_t sampled = s->at + 1, unsampled = s->interrupted;
    keep_int(n, "tokens", tokens);
    keep_int(n, "steps", &h->steps);
    keep_int(n, "steps_skipped", &h->skipped);
    keep_int(n, "steps_without_labels", &h->empty);
    keep_int(n, "steps_with_loss", &h->finite);
    for (int i = 0; i < TUFF_CLI_RECENT; i++) {
        char name[32];
        snprintf(name, sizeof name, "first_loss_%d", i);
        keep_real(n, i ? name : "first_loss", &h->first[i]);
        snprintf(name, sizeof name, "recent_loss_%d", i);
        keep_real(n, name, &h->recent[i]);
    }
    keep_int(n, "best_is_known", &seen);
    keep_real(n, "best_seen", &c->seen);
    keep_int(n, "early_stopping_counter", &c->waited);
    keep_int(n, "logged_evaluations_end", &logged);
    c->seen_any = seen != 0;
    keep_int(n, "evaluation_interrupted", &unmeasured);
    keep_int(n, "samples_end", &sampled);
    keep_int(n, "samples_interrupted", &unsampled);
    c->logged_at = logged - 1;
    c->unmeasured = unmeasured != 0;
    s->at = sampled - 1;
    s->interrupted = unsampled != 0;
}

/* ---- going on */

static void say_differences(const tuff_cli_checkpoints *c, char *lines)
{
    for (char *line = lines; *line;) {
        char *end = strchr(line, '\n');
        if (end) *end = 0;
        tuff_cli_say("tuff: unlike %s: %s", directory_of(c->from), line);
        line = end ? end + 1 : line + strlen(line);
    }
}

static bool take_state(tuff_cli_checkpoints *c, const tuff_cli_run_state *state)
{
    numbers n = {.from = c->from};
    tuff_checkpoint_info info = TUFF_CHECKPOINT_INFO_INIT;
    if (tuff_checkpoint_get_info(c->from, &info) != TUFF_OK) return false;
    keep(&n, c, state, state->tokens);
    /* by its own directory's name, for the run may have been moved; if it still is there */
    char parent[TUFF_CLI_PATH], best[TUFF_CLI_PATH], name[64];
    if (!info.best_model_checkpoint || !parent_of(info.directory, parent)) return true;
    snprintf(name, sizeof name, "checkpoint-%lld", (long long)info.best_global_step);
    if (!joined(parent, name, best) || !tuff_cli_is_directory(best)) return true;
    memcpy(c->best, best, sizeof best);
    c->best_metric = info.best_metric;
    c->best_step = info.best_global_step;
    return true;
}

/* Those that --overwrite-output-dir lets go. */
static bool remove_left_behind(const tuff_cli_checkpoints *c)
{
    const tuff_cli_train_options *o = c->options;
    char *path = NULL;
    if (o->save_strategy == TUFF_CLI_NEVER) return true;
    tuff_checkpoint_clean(o->output_dir);
    while (o->overwrite && tuff_checkpoint_find(o->output_dir, 0, &path) == TUFF_OK) {
        const bool behind = is_left_behind(c, path);
        const tuff_status status = behind ? tuff_checkpoint_remove(path) : TUFF_OK;
        tuff_free(path);
        if (status != TUFF_OK) return tuff_cli_failed() == TUFF_EXIT_OK;
        if (!behind) break;
    }
    return true;
}

bool tuff_cli_checkpoints_resume(tuff_cli_checkpoints *c, tuff_trainer *trainer,
                                 const tuff_cli_run_state *state)
{
    char *lines = NULL;
    if (c->from) {
        if (tuff_checkpoint_differences(c->from, trainer, &lines) != TUFF_OK)
            return tuff_cli_failed() == TUFF_EXIT_OK;
        say_differences(c, lines);
        tuff_free(lines);
        const tuff_status status = tuff_trainer_resume(trainer, c->from);
        c->lost = status == TUFF_DEVICE_LOST;
        if (status != TUFF_OK || !take_state(c, state)) return tuff_cli_failed() == TUFF_EXIT_OK;
        if (!c->options->common.quiet)
            tuff_cli_say("going on from %s, after step %lld of %lld", directory_of(c->from),
                         (long long)c->step, (long long)tuff_trainer_total_steps(trainer));
    }
    return remove_left_behind(c);
}

void tuff_cli_checkpoints_measured_from(tuff_cli_checkpoints *c)
{
    if (c->in_place && !c->unmeasured) tuff_cli_checkpoints_choose_best(c, c->step, directory_of(c->from));
}

/* ---- writing */

/* Removes the oldest but the newest and the best, until there are as many as there may be. */
static void rotate(const tuff_cli_checkpoints *c, int64_t newest)
{
    const tuff_cli_train_options *o = c->options;
    const bool best_apart = o->load_best && *c->best && c->best_step != newest;
    int64_t most = o->save_total_limit, count = 0;
    char *path = NULL;
    if (!most) return;
    if (best_apart && most < 2) most = 2;
    while (tuff_checkpoint_find(o->output_dir, (size_t)count, &path) == TUFF_OK) {
        tuff_free(path);
        count++;
    }
    for (int64_t i = count - 1, left = count; i > 0 && left > most; i--) {
        if (tuff_checkpoint_find(o->output_dir, (size_t)i, &path) != TUFF_OK) return;
        if (!best_apart || tuff_checkpoint_step(path) != c->best_step) {
            if (tuff_checkpoint_remove(path) != TUFF_OK)
                tuff_cli_say("tuff: warning: an old checkpoint stays: %s", tuff_error_message());
            left--;
        }
        tuff_free(path);
    }
}

/* Into the stage of a checkpoint. */
static bool write_into(tuff_cli_checkpoints *c, tuff_trainer *trainer, tuff_stage *stage, tuff_cli_log *log,
                       const tuff_cli_run_state *state, int64_t tokens, const char **out_why)
{
    numbers n = {.count = 0};
    char path[TUFF_CLI_PATH], *history = NULL;
    tuff_checkpoint_params params = TUFF_CHECKPOINT_PARAMS_INIT;
    *out_why = "its path is too long";
    if (!joined(tuff_stage_path(stage), "train_log.jsonl", path) ||
        !tuff_cli_log_copy(log, path, &history, out_why))
        return false;
    if (!tuff_cli_train_write_settings(c->options, tuff_stage_path(stage), out_why)) {
        free(history);
        return false;
    }
    keep(&n, c, state, &tokens);
    params.numbers = n.items;
    params.number_count = n.count;
    params.log_history = history;
    params.best_model_checkpoint = *c->best ? c->best : NULL;
    params.best_metric = c->best_metric;
    params.best_global_step = c->best_step;
    const bool written = tuff_trainer_save_checkpoint_into(trainer, stage, &params) == TUFF_OK;
    *out_why = written ? NULL : tuff_error_message();
    free(history);
    return written;
}

/* `why`: the sentence of what failed. */
static bool write_checkpoint(tuff_cli_checkpoints *c, tuff_trainer *trainer, const char *path,
                             tuff_cli_log *log, const tuff_cli_run_state *state, int64_t tokens,
                             char why[512])
{
    tuff_stage *stage = NULL;
    const char *reason = NULL;
    /* one that is damaged, and was passed over */
    tuff_status status = tuff_cli_exists(path) ? tuff_checkpoint_remove(path) : TUFF_OK;
    if (status == TUFF_OK) status = tuff_stage_open(path, &stage);
    if (status == TUFF_OK && write_into(c, trainer, stage, log, state, tokens, &reason))
        status = tuff_stage_commit(&stage);
    const bool written = status == TUFF_OK && !reason;
    if (!written) snprintf(why, 512, "%s", reason ? reason : tuff_error_message());
    tuff_stage_abort(&stage);
    return written;
}

bool tuff_cli_checkpoints_save(tuff_cli_checkpoints *c, tuff_trainer *trainer, int64_t step,
                               tuff_cli_log *log, const tuff_cli_run_state *state, int64_t tokens)
{
    const tuff_cli_train_options *o = c->options;
    const tuff_cli_checkpoints before = *c;
    char name[64], path[TUFF_CLI_PATH], why[512];
    snprintf(name, sizeof name, "checkpoint-%lld", (long long)step);
    if (!joined(o->output_dir, name, path)) return false;
    tuff_cli_checkpoints_choose_best(c, step, path);
    if (!write_checkpoint(c, trainer, path, log, state, tokens, why)) {
        *c = before;
        tuff_cli_say("tuff: warning: %s could not be written: %s", path, why);
        if (c->saved_at >= 0)
            tuff_cli_say("the last whole checkpoint is that of step %lld", (long long)c->saved_at);
        return false;
    }
    c->saved_at = step;
    if (!o->common.quiet) tuff_cli_say("checkpoint %s", path);
    rotate(c, step);
    return true;
}
