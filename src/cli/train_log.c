/* The log of a run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/train.h"

static char *joined(const char *a, size_t size, const char *b)
{
    char *text = malloc(size + strlen(b) + 1);
    if (!text) return NULL;
    memcpy(text, a, size);
    memcpy(text + size, b, strlen(b) + 1);
    return text;
}

bool tuff_cli_log_open(tuff_cli_log *log, const char *wanted, const char *directory, const char *stage)
{
    *log = (tuff_cli_log){0};
    size_t size = strlen(directory);
    while (size > 1 && directory[size - 1] == '/')
        size--;
    if (wanted) {
        log->path = joined(wanted, strlen(wanted), "");
    } else {
        bool there = tuff_cli_is_directory(directory);
        log->path = joined(stage, strlen(stage), "/train_log.jsonl");
        log->unsaved = joined(directory, size, there ? "/train_log.failed.jsonl" : ".train_log.jsonl");
    }
    if (!log->path || (!wanted && !log->unsaved)) {
        tuff_cli_say("tuff: out of memory");
        return false;
    }
    return true;
}

static bool ready(tuff_cli_log *log)
{
    const char *why;
    if (log->file || log->failed) return log->file != NULL;
    log->file = tuff_cli_create(log->path, log->unsaved != NULL, &why);
    if (log->file) return true;
    tuff_cli_say("tuff: warning: the log %s cannot be written: %s", log->path, why);
    log->failed = true;
    return false;
}

static void field(tuff_cli_log *log, const char *name, double value)
{
    fprintf(log->file, ", \"%s\": ", name);
    tuff_cli_json_number(log->file, value);
}

static void fail(tuff_cli_log *log)
{
    tuff_cli_say("tuff: warning: the log %s cannot be written: %s", log->path, strerror(errno));
    log->failed = true;
    fclose(log->file);
    log->file = NULL;
}

static void end_line(tuff_cli_log *log)
{
    fputs("}\n", log->file);
    if (fflush(log->file) != 0) fail(log);
}

void tuff_cli_log_step(tuff_cli_log *log, const tuff_train_step *step, int64_t tokens)
{
    if (!ready(log)) return;
    fprintf(log->file, "{\"step\": %lld", (long long)step->step);
    field(log, "epoch", step->epoch);
    field(log, "loss", step->loss);
    field(log, "learning_rate", step->learning_rate);
    field(log, "grad_norm", step->grad_norm);
    fprintf(log->file, ", \"tokens\": %lld", (long long)tokens);
    for (int64_t i = 0; i < step->count; i++)
        field(log, step->figures[i].name, step->figures[i].value);
    if (step->skipped) fputs(", \"skipped\": true", log->file);
    end_line(log);
}

void tuff_cli_log_eval(tuff_cli_log *log, int64_t step, const tuff_eval_result *result)
{
    if (!ready(log)) return;
    fprintf(log->file, "{\"step\": %lld", (long long)step);
    if (result->tokens) field(log, "eval_loss", result->loss);
    if (result->perplexity > 0) field(log, "eval_perplexity", result->perplexity);
    for (int64_t i = 0; i < result->count; i++) {
        char name[40];
        snprintf(name, sizeof name, "eval_%s", result->figures[i].name);
        field(log, name, result->figures[i].value);
    }
    end_line(log);
}

void tuff_cli_log_sample(tuff_cli_log *log, int64_t step, const char *prompt, const char *text, size_t size)
{
    if (!ready(log)) return;
    fprintf(log->file, "{\"step\": %lld, \"prompt\": ", (long long)step);
    tuff_cli_json_text(log->file, prompt, strlen(prompt));
    fputs(", \"sample\": ", log->file);
    tuff_cli_json_text(log->file, text, size);
    end_line(log);
}

/* ---- checkpoints */

static char *read_whole(const char *path, size_t *out_size)
{
    char *text = NULL, piece[4096];
    size_t n;
    FILE *from = fopen(path, "rb"), *to = from ? tuff_cli_memory_stream(&text, out_size) : NULL;
    while (to && (n = fread(piece, 1, sizeof piece, from)) > 0)
        fwrite(piece, 1, n, to);
    const bool good = to && !ferror(from) && !ferror(to);
    if (from) fclose(from);
    if ((to && fclose(to) != 0) || !good) {
        free(text);
        return NULL;
    }
    return text;
}

/* The last lines as a list of JSON. */
static char *history_of(const char *text, size_t size)
{
    enum { LINES = 20 };
    size_t begin = size, n;
    char *list = NULL;
    for (int lines = 0; begin > 0; begin--)
        if (text[begin - 1] == '\n' && begin < size && ++lines == LINES) break;
    FILE *to = tuff_cli_memory_stream(&list, &n);
    if (!to) return NULL;
    fputc('[', to);
    for (size_t i = begin; i < size; i++)
        if (text[i] != '\n')
            fputc(text[i], to);
        else if (i + 1 < size)
            fputs(", ", to);
    fputc(']', to);
    return fclose(to) == 0 ? list : NULL;
}

bool tuff_cli_log_copy(tuff_cli_log *log, const char *path, char **out_history, const char **out_why)
{
    size_t size = 0;
    *out_history = NULL;
    *out_why = "out of memory";
    /* a log that somebody has moved away is no reason to lose a checkpoint */
    char *text = log->file ? read_whole(log->path, &size) : NULL;
    FILE *copy = text ? tuff_cli_create(path, true, out_why) : NULL;
    bool good = !text || (copy && fwrite(text, 1, size, copy) == size);
    if (copy && fclose(copy) != 0) good = false;
    if (copy && !good) *out_why = strerror(errno);
    if (good) *out_history = history_of(text ? text : "", size);
    free(text);
    return *out_history != NULL;
}

/* A log that cannot be gone on with is kept, though not in the checkpoint, which may be removed. */
static void put_aside(const char *text, size_t size, const char *directory)
{
    const char *why = "out of memory";
    char *path = joined(directory, strlen(directory),
                        tuff_cli_is_directory(directory) ? "/train_log.damaged.jsonl" : ".damaged.jsonl");
    FILE *copy = path ? tuff_cli_create(path, false, &why) : NULL;
    bool good = copy && fwrite(text, 1, size, copy) == size;
    if (copy && !good) why = strerror(errno);
    if (copy && fclose(copy) != 0) good = false;
    if (good)
        tuff_cli_say("the damaged log is kept as %s", path);
    else
        tuff_cli_say("tuff: warning: the damaged log cannot be kept: %s", why);
    free(path);
}

bool tuff_cli_log_continue(tuff_cli_log *log, const char *checkpoint, const char *directory, bool damaged)
{
    size_t size = 0;
    char *path = joined(checkpoint, strlen(checkpoint), "/train_log.jsonl");
    char *text = path && tuff_cli_exists(path) ? read_whole(path, &size) : NULL;
    if (text && size && damaged)
        put_aside(text, size, directory);
    else if (text && size && ready(log) &&
             (fwrite(text, 1, size, log->file) != size || fflush(log->file) != 0))
        fail(log);
    const bool known = path != NULL;
    free(path);
    free(text);
    if (!known) tuff_cli_say("tuff: out of memory");
    return known;
}

void tuff_cli_log_leave(tuff_cli_log *log)
{
    if (log->file) fclose(log->file);
    free(log->path);
    free(log->unsaved);
    *log = (tuff_cli_log){0};
}

bool tuff_cli_log_close(tuff_cli_log *log, bool saved)
{
    bool ok = !log->failed, written = log->file != NULL;
    if (log->file && fclose(log->file) != 0) ok = false;
    if (!ok && !log->failed)
        tuff_cli_say("tuff: the log %s cannot be written: %s", log->path, strerror(errno));
    if (written && !saved) {
        bool moved = log->unsaved && rename(log->path, log->unsaved) == 0;
        if (log->unsaved && !moved)
            tuff_cli_say("tuff: the log cannot be kept as %s: %s", log->unsaved, strerror(errno));
        else
            tuff_cli_say("the log of the steps is in %s", moved ? log->unsaved : log->path);
    }
    free(log->path);
    free(log->unsaved);
    *log = (tuff_cli_log){0};
    return ok;
}
