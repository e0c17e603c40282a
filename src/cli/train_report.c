/* train: the page that shows a run, and the event files for TensorBoard. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/train.h"

/* ---- options */

static bool is_word(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && strncasecmp(text, word, size) == 0;
}

const char *tuff_cli_page_settle(tuff_cli_train_options *o)
{
    static char wrong[160];
    const char *at = o->report_to ? o->report_to : o->logging_dir ? "all" : "html";
    for (bool any = false; *at || !any; any = true) {
        const size_t size = strcspn(at, ",");
        const bool all = is_word(at, size, "all");
        if (all || is_word(at, size, "html")) o->report_page = true;
        if (all || is_word(at, size, "tensorboard")) o->report_events = true;
        if (!all && !is_word(at, size, "html") && !is_word(at, size, "tensorboard") &&
            !is_word(at, size, "none")) {
            snprintf(
                wrong, sizeof wrong,
                "--report-to is \"%.40s\", expected html, tensorboard, both with a comma between, all or none",
                at);
            return wrong;
        }
        at += size + (at[size] == ',');
    }
    if (o->logging_dir && !o->report_events) return "--logging-dir is of --report-to tensorboard";
    return NULL;
}

/* ---- where it goes */

static char *path_of(const char *directory, const char *between, const char *name)
{
    size_t size = strlen(directory);
    while (size > 1 && directory[size - 1] == '/')
        size--;
    const size_t room = size + strlen(between) + strlen(name) + 1;
    char *path = malloc(room);
    if (path) snprintf(path, room, "%.*s%s%s", (int)size, directory, between, name);
    return path;
}

bool tuff_cli_page_check(const tuff_cli_train_options *o)
{
    if (!o->report_events || !o->output_dir) return true;
    char *path = o->logging_dir ? path_of(o->logging_dir, "", "") : path_of(o->output_dir, "/", "runs");
    bool good = path && tuff_cli_can_create(path, true);
    if (!path) tuff_cli_say("tuff: out of memory");
    if (good && tuff_cli_exists(path) && !tuff_cli_is_directory(path)) {
        tuff_cli_say("tuff: %s is no directory, and event files are to be written there", path);
        good = false;
    }
    free(path);
    return good;
}

static bool choose_paths(tuff_cli_page *r, const tuff_cli_train_options *o, const char *stage)
{
    const bool there = tuff_cli_is_directory(o->output_dir);
    if (o->report_page) {
        r->path = path_of(stage, "/", "report.html");
        r->unsaved = there ? path_of(o->output_dir, "/", "report.failed.html")
                           : path_of(o->output_dir, ".", "report.html");
        r->left = path_of(o->output_dir, "/", "report.html");
    }
    if (o->report_events)
        r->events = o->logging_dir ? path_of(o->logging_dir, "", "") : path_of(o->output_dir, "/", "runs");
    const bool page = !o->report_page || (r->path && r->unsaved && r->left);
    if (page && (!o->report_events || r->events)) return true;
    tuff_cli_say("tuff: out of memory");
    return false;
}

/* ---- what it says */

/* The report is no reason to lose a training. */
static void heed(tuff_cli_page *r, tuff_status status)
{
    if (status == TUFF_OK || r->failed) return;
    r->failed = true;
    tuff_cli_say("tuff: warning: the report of the training cannot be written: %s", tuff_error_message());
}

static void add_setting(const char *name, const char *value, void *user)
{
    tuff_cli_page *r = user;
    heed(r, tuff_train_report_fact(r->report, "Settings", name, value));
}

/* Without the steps of before where their log is damaged; *out_damaged: so it is. */
static void begin(tuff_cli_page *r, tuff_train_report_params *p, bool *out_damaged)
{
    tuff_status status = tuff_train_report_create(p, &r->report);
    *out_damaged = status == TUFF_BAD_FORMAT && p->log;
    if (*out_damaged) {
        tuff_cli_say(
            "tuff: warning: the log of the steps before is damaged (%s); the report and the log begin at "
            "step %lld",
            tuff_error_message(), (long long)p->done_steps);
        p->log = NULL;
        status = tuff_train_report_create(p, &r->report);
    }
    heed(r, status);
}

bool tuff_cli_page_open(tuff_cli_page *r, const tuff_cli_train_options *o, const tuff_device *device,
                        const char *stage, const tuff_cli_setting *setting, int64_t steps, int64_t done,
                        const char *checkpoint, bool *out_damaged)
{
    *out_damaged = false;
    tuff_train_report_params p = TUFF_TRAIN_REPORT_PARAMS_INIT;
    if ((!o->report_page && !o->report_events) || steps == done) return true;
    char *log = checkpoint ? path_of(checkpoint, "/", "train_log.jsonl") : NULL;
    if (!choose_paths(r, o, stage)) {
        free(log);
        return false;
    }
    p.page = r->path;
    p.events = r->events;
    p.title = o->output_dir;
    p.device = device;
    p.total_steps = steps;
    p.done_steps = done;
    p.log = log && tuff_cli_exists(log) ? log : NULL;
    begin(r, &p, out_damaged);
    free(log);
    if (!r->report) return true; /* which was said */
    for (size_t i = 0; i < setting->count; i++)
        heed(r, tuff_train_report_fact(r->report, "Training", setting->rows[i].word, setting->rows[i].text));
    tuff_cli_train_settings(o, add_setting, r);
    if (o->common.quiet) return true;
    if (r->path) tuff_cli_row("report", "%s (until it is saved)", r->path);
    if (r->events) tuff_cli_row("events", "%s (tensorboard --logdir %s)", r->events, r->events);
    return true;
}

enum { TITLE = 2 * TUFF_CLI_PATH };

/* "Training: " and the file, or those that are mixed; what no title has room for is left out. */
static void title_of(const tuff_cli_train_options *o, const char *what, const char *file, char out[TITLE])
{
    tuff_cli_mixed part;
    size_t at = (size_t)snprintf(out, TITLE, "%s", what);
    for (size_t i = 0; file == o->train_file && at < TITLE && tuff_cli_mixture_part(o, i, &part); i++)
        at += (size_t)snprintf(out + at, TITLE - at, "%s%s", i ? ", " : ": ", part.path);
    if (!o->mix.count || file != o->train_file) snprintf(out + at, TITLE - at, ": %s", file);
}

void tuff_cli_page_data(tuff_cli_page *r, const tuff_cli_train_options *o, const tuff_dataset *train,
                        const tuff_dataset *validation)
{
    char title[TITLE];
    if (!r->report) return;
    title_of(o, "Training", o->train_file, title);
    heed(r, tuff_train_report_data(r->report, title, train, NULL));
    if (!validation) return;
    if (o->validation_file)
        title_of(o, "Validation", o->validation_file, title);
    else
        title_of(o, "Validation, held out of", o->train_file, title);
    heed(r, tuff_train_report_data(r->report, title, validation, train));
}

void tuff_cli_page_step(tuff_cli_page *r, const tuff_train_step *step)
{
    if (!r->report) return;
    r->any = true;
    heed(r, tuff_train_report_step(r->report, step));
}

void tuff_cli_page_eval(tuff_cli_page *r, int64_t step, const tuff_eval_result *result)
{
    if (r->report) heed(r, tuff_train_report_eval(r->report, step, result));
}

void tuff_cli_page_sample(tuff_cli_page *r, int64_t step, const char *prompt, const char *text, size_t size)
{
    if (r->report) heed(r, tuff_train_report_sample(r->report, step, prompt, strlen(prompt), text, size));
}

void tuff_cli_page_end(tuff_cli_page *r, tuff_training_end end, const char *why)
{
    if (r->report && !r->ended) heed(r, tuff_train_report_end(r->report, end, why));
    r->ended = true;
}

static void move(const tuff_cli_page *r, const char *to)
{
    if (!r->path || !r->any || !tuff_cli_exists(r->path)) return;
    if (rename(r->path, to) == 0)
        tuff_cli_say("the report of the training is %s", to);
    else
        tuff_cli_say("tuff: the report cannot be kept as %s: %s", to, strerror(errno));
}

void tuff_cli_page_leave(tuff_cli_page *r)
{
    if (r->report) move(r, r->left);
    tuff_train_report_destroy(&r->report);
}

void tuff_cli_page_close(tuff_cli_page *r, bool saved)
{
    if (r->report && !saved) move(r, r->unsaved);
    tuff_train_report_destroy(&r->report);
    free(r->path);
    free(r->unsaved);
    free(r->left);
    free(r->events);
    *r = (tuff_cli_page){0};
}
