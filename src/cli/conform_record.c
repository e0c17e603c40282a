/* The record of a conformance run, and the lines about each case. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/version.h>

#include "cli/conform.h"

bool tuff_cli_record_open(tuff_cli_record *record, const char *path)
{
    *record = (tuff_cli_record){.path = path};
    if (path == NULL) return true;
    record->file = tuff_cli_is_standard(path) ? stdout : fopen(path, "wb");
    if (record->file == NULL) tuff_cli_say("tuff: %s cannot be written: %s", path, strerror(errno));
    return record->file != NULL;
}

static void keep(tuff_cli_record *record, const char *line, size_t size)
{
    if (record->size + size + 2 > record->capacity) {
        size_t capacity = 2 * (record->size + size) + 4096;
        char *grown = realloc(record->text, capacity);
        if (grown == NULL) {
            if (!record->failed) tuff_cli_say("tuff: out of memory for the record of this run");
            record->failed = true;
            return;
        }
        record->text = grown;
        record->capacity = capacity;
    }
    memcpy(record->text + record->size, line, size);
    record->size += size;
    record->text[record->size++] = '\n';
}

void tuff_cli_record_line(tuff_cli_record *record, const char *line)
{
    keep(record, line, strlen(line));
    if (record->file == NULL || record->failed) return;
    errno = 0;
    if (fprintf(record->file, "%s\n", line) >= 0 && fflush(record->file) == 0) return;
    record->failed = true;
    if (tuff_cli_is_standard(record->path))
        tuff_cli_stdout_failed(errno);
    else
        tuff_cli_say("tuff: %s cannot be written: %s", record->path, strerror(errno));
}

/* Through a stream into memory, for the JSON writers print. */
static char *compose(void (*print)(FILE *out, const void *user), const void *user)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = tuff_cli_memory_stream(&text, &size);
    if (out == NULL) return NULL;
    print(out, user);
    return fclose(out) == 0 ? text : NULL;
}

typedef struct not_run {
    const char *device, *message;
} not_run;

static void print_error(FILE *out, const void *user)
{
    const not_run *x = user;
    fputs("{\"record\": \"error\", \"message\": ", out);
    tuff_cli_json_text(out, x->message, strlen(x->message));
    fputs(", \"device\": ", out);
    tuff_cli_json_text(out, x->device, strlen(x->device));
    fprintf(out, ", \"version\": \"%s\"}", tuff_version());
}

void tuff_cli_record_error(tuff_cli_record *record, const char *device, const char *message)
{
    const not_run x = {device, message};
    char *line = compose(print_error, &x);
    if (line != NULL) tuff_cli_record_line(record, line);
    record->failed = record->failed || line == NULL;
    free(line);
}

void tuff_cli_record_cut(tuff_cli_record *record, const char *device)
{
    record->cut = true;
    tuff_cli_record_error(record, device, "it was interrupted before this device was run");
}

void tuff_cli_record_close(tuff_cli_record *record, int exit_code)
{
    static const char *const words[] = {[TUFF_EXIT_OK] = "passed",
                                        [TUFF_EXIT_FAILED] = "failed",
                                        [TUFF_EXIT_USAGE] = "wrong usage",
                                        [TUFF_EXIT_NO_DEVICE] = "no device",
                                        [TUFF_EXIT_INTERRUPTED] = "interrupted"};
    char line[96];
    snprintf(line, sizeof line, "{\"record\": \"exit\", \"code\": %d, \"verdict\": \"%s\"}", exit_code,
             words[exit_code]);
    tuff_cli_record_line(record, line);
    if (record->file != NULL && !tuff_cli_is_standard(record->path) && fclose(record->file) != 0 &&
        !record->failed) {
        tuff_cli_say("tuff: %s cannot be written: %s", record->path, strerror(errno));
        record->failed = true;
    }
    record->file = NULL;
}

void tuff_cli_record_free(tuff_cli_record *record)
{
    free(record->text);
    record->text = NULL;
}

/* ---- lines ---- */

void tuff_cli_case_begins(tuff_cli_case_lines *lines, const char *name, size_t index, size_t count)
{
    if (lines->rounds == 0 || index <= lines->last) lines->rounds++;
    lines->last = index;
    if (lines->out == NULL) return;
    char text[256], round[32] = "";
    if (lines->soak) snprintf(round, sizeof round, "round %zu: ", lines->rounds);
    if (!lines->terminal) {
        fprintf(lines->out, "%s%s ... ", round, name);
        fflush(lines->out);
        return;
    }
    int columns = tuff_cli_columns(stderr) - 1;
    snprintf(text, sizeof text, "%s%zu/%zu %s", round, index + 1, count, name);
    if ((int)strlen(text) > columns) text[columns] = 0;
    tuff_cli_show_line(text);
}

void tuff_cli_case_ended(tuff_cli_case_lines *lines, const char *name, const char *outcome, const char *found,
                         bool failed, double worst, double milliseconds)
{
    if (lines->out != NULL && !lines->terminal) {
        fprintf(lines->out, "%s", outcome);
        if (worst > 0) fprintf(lines->out, " at %.2g", worst);
        fprintf(lines->out, ", %.0f ms%s%s\n", milliseconds, found != NULL ? ": " : "",
                found != NULL ? found : "");
        fflush(lines->out);
    } else if (failed) {
        tuff_cli_say("%s %s%s%s", outcome, name, found != NULL ? ": " : "", found != NULL ? found : "");
    }
}
