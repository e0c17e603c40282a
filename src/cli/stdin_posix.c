/* "-" where an option wants a file that is read: what comes on standard input is kept in a file for as long
 * as the process lasts, since files are looked into, read twice, and known by their endings. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static char kept[512]; /* the file; "": none */

static void forget(void)
{
    if (*kept) unlink(kept);
}

/* Columns that records are known by. */
static bool is_column(const char *name, size_t size)
{
    static const char *const names[] = {
        "text",  "label",  "labels",   "source",     "target", "tokens",   "question",    "context",
        "query", "prompt", "chosen",   "completion", "output", "rejected", "instruction", "anchor",
        "score", "id",     "positive", "sentence",   "_id",    "answers",  "sentence1",   "sentence2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0) return true;
    return false;
}

/* Whether a first line names columns, two or more, of which one is known. */
static bool names_columns(const char *line, size_t size, char between)
{
    bool known = false;
    size_t cells = 0;
    for (size_t at = 0; at <= size; cells++) {
        const char *end = memchr(line + at, between, size - at);
        const size_t stop = end ? (size_t)(end - line) : size;
        const bool quoted = stop - at >= 2 && line[at] == '"' && line[stop - 1] == '"';
        known = known || is_column(line + at + quoted, stop - at - 2 * (size_t)quoted);
        at = stop + 1;
    }
    return known && cells >= 2;
}

/* As what the readers of files take it. */
static const char *ending_of(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && strchr(" \t\r\n", text[at]))
        at++;
    if (at < size && text[at] == '{') return ".jsonl";
    if (at < size && text[at] == '[') return ".json";
    const char *newline = size ? memchr(text, '\n', size) : NULL;
    size_t line = newline ? (size_t)(newline - text) : size;
    if (line && text[line - 1] == '\r') line--;
    if (names_columns(text, line, '\t')) return ".tsv";
    return names_columns(text, line, ',') ? ".csv" : ".txt";
}

static bool fail(const char *what)
{
    tuff_cli_say("tuff: standard input cannot be %s: %s", what, strerror(errno));
    return false;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        const ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static bool keep_rest(int fd, char *bytes, size_t size, size_t room)
{
    for (; size; size = fread(bytes, 1, room, stdin))
        if (!write_all(fd, bytes, size)) return fail("kept");
    return !ferror(stdin) || fail("read");
}

static bool keep(void)
{
    enum { ROOM = 1 << 16 };
    static char bytes[ROOM];
    const char *directory = getenv("TMPDIR");
    errno = 0;
    const size_t size = fread(bytes, 1, ROOM, stdin);
    if (ferror(stdin)) return fail("read");
    const char *ending = ending_of(bytes, size);
    if (!directory || !*directory || strlen(directory) > 400) directory = "/tmp";
    snprintf(kept, sizeof kept, "%s/tuff-stdin-XXXXXX%s", directory, ending);
    const int fd = mkstemps(kept, (int)strlen(ending));
    if (fd < 0) {
        *kept = 0;
        return fail("kept");
    }
    atexit(forget);
    const bool good = keep_rest(fd, bytes, size, ROOM);
    return close(fd) == 0 && good;
}

bool tuff_cli_take_stdin(const tuff_args *args, void *options)
{
    const char *taken = NULL;
    for (size_t i = 0; i < args->count; i++) {
        const tuff_arg *arg = &args->items[i];
        char *field = (char *)options + arg->offset;
        const char *value = NULL;
        if (arg->kind != TUFF_ARG_TEXT || arg->use != TUFF_USE_READ || !arg->value ||
            strcmp(arg->value, "FILE") != 0 || strcmp(arg->name, "prompt-file") == 0) /* reads it itself */
            continue;
        memcpy(&value, field, sizeof value);
        if (!value || strcmp(value, "-") != 0) continue;
        if (taken) {
            tuff_cli_say("tuff: --%s and --%s are both -, and standard input can be read once", taken,
                         arg->name);
            return false;
        }
        taken = arg->name;
        if (!keep()) return false;
        value = kept;
        memcpy(field, &value, sizeof value);
    }
    return true;
}

const char *tuff_cli_given_path(const char *path)
{
    return *kept && path == kept ? "-" : path;
}
