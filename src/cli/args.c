#include "cli/args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

typedef struct parser {
    const tuff_args *args;
    int argc, at;
    char **argv;
    char *out;        /* the verb's struct */
    bool given[128];  /* by row of the table */
    size_t positions; /* seen so far */
} parser;

static bool wrong(const parser *p, const char *name, const char *what)
{
    tuff_cli_say("tuff: --%s %s (see: tuff help %s)", name, what, p->args->verb);
    return false;
}

static const char *name_at(const void *user, size_t i)
{
    const tuff_args *args = user;
    bool named = args->items[i].kind != TUFF_ARG_GROUP && args->items[i].kind != TUFF_ARG_POSITION;
    return named ? args->items[i].name : NULL;
}

static bool unknown(const parser *p, const char *name)
{
    const char *hint = tuff_args_hint(name);
    const char *near = tuff_args_nearest(name, p->args->count, name_at, p->args);
    if (hint)
        tuff_cli_say("tuff: %s has no option --%s: %s (see: tuff help %s)", p->args->verb, name, hint,
                     p->args->verb);
    else if (near)
        tuff_cli_say("tuff: %s has no option --%s; did you mean --%s?", p->args->verb, name, near);
    else
        tuff_cli_say("tuff: %s has no option --%s (see: tuff help %s)", p->args->verb, name, p->args->verb);
    return false;
}

static bool set_int(const parser *p, const tuff_arg *arg, const char *text)
{
    char *end, what[160];
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool number = *text && !*end && errno == 0;
    if (!number || value < (long long)arg->low || value > (long long)arg->high) {
        snprintf(what, sizeof what, "is \"%.40s\", expected a whole number from %.0f to %.0f", text, arg->low,
                 arg->high);
        return wrong(p, arg->name, what);
    }
    int64_t stored = value;
    memcpy(p->out + arg->offset, &stored, sizeof stored);
    return true;
}

static bool set_real(const parser *p, const tuff_arg *arg, const char *text)
{
    char *end, what[160];
    double value = strtod(text, &end);
    bool number = *text && !*end && isfinite(value);
    if (!number || value < arg->low || value > arg->high) {
        snprintf(what, sizeof what, "is \"%.40s\", expected a number from %.10g to %.10g", text, arg->low,
                 arg->high);
        return wrong(p, arg->name, what);
    }
    memcpy(p->out + arg->offset, &value, sizeof value);
    return true;
}

static bool set_choice(const parser *p, const tuff_arg *arg, const char *text)
{
    size_t length = strlen(text);
    int index = 0;
    for (const char *word = arg->value; *word; index++) {
        size_t size = strcspn(word, "|");
        if (size == length && memcmp(word, text, size) == 0) {
            memcpy(p->out + arg->offset, &index, sizeof index);
            return true;
        }
        word += size + (word[size] == '|');
    }
    char what[256];
    snprintf(what, sizeof what, "is \"%.40s\", expected one of %s", text, arg->value);
    return wrong(p, arg->name, what);
}

static bool append(const parser *p, const tuff_arg *arg, const char *text)
{
    tuff_arg_list *list = (tuff_arg_list *)(void *)(p->out + arg->offset);
    if (list->count == TUFF_ARG_LIST_MAX) return wrong(p, arg->name, "is given too often, at most 64 times");
    list->items[list->count++] = text;
    return true;
}

static bool set_value(const parser *p, const tuff_arg *arg, const char *text)
{
    switch (arg->kind) {
    case TUFF_ARG_INT:
        return set_int(p, arg, text);
    case TUFF_ARG_REAL:
        return set_real(p, arg, text);
    case TUFF_ARG_CHOICE:
        return set_choice(p, arg, text);
    case TUFF_ARG_LIST:
        return append(p, arg, text);
    default:
        memcpy(p->out + arg->offset, &text, sizeof text);
        return true;
    }
}

static bool looks_like_option(const char *text)
{
    return text[0] == '-' && text[1] == '-' && text[2];
}

static bool set_optional(parser *p, const tuff_arg *arg, const char *attached)
{
    tuff_arg_optional value = {true, attached};
    if (!attached && p->at < p->argc && p->argv[p->at][0] != '-') value.value = p->argv[p->at++];
    memcpy(p->out + arg->offset, &value, sizeof value);
    return true;
}

/* "--name", "--name=value"; p->at is behind it. */
static bool take_option(parser *p, const char *text)
{
    char name[64];
    const char *equals = strchr(text, '=');
    size_t size = equals ? (size_t)(equals - text) : strlen(text);
    if (size >= sizeof name) size = sizeof name - 1;
    for (size_t i = 0; i < size; i++)
        name[i] = text[i] == '_' ? '-' : text[i];
    name[size] = 0;
    size_t row = 0;
    while (row < p->args->count && !(name_at(p->args, row) && strcmp(name_at(p->args, row), name) == 0))
        row++;
    if (row == p->args->count) return unknown(p, name);
    const tuff_arg *arg = &p->args->items[row];
    const char *value = equals ? equals + 1 : NULL;
    /* the user may mean the first value or the last: do not guess */
    if (p->given[row] && arg->kind != TUFF_ARG_FLAG && arg->kind != TUFF_ARG_LIST)
        return wrong(p, name, "is given twice, and takes one value");
    p->given[row] = true;
    if (arg->kind == TUFF_ARG_FLAG) {
        if (value) return wrong(p, name, "takes no value");
        *(bool *)(p->out + arg->offset) = true;
        return true;
    }
    if (arg->kind == TUFF_ARG_OPTIONAL) return set_optional(p, arg, value);
    if (!value) {
        if (p->at == p->argc) return wrong(p, name, "needs a value");
        if (looks_like_option(p->argv[p->at])) {
            char what[256];
            snprintf(what, sizeof what,
                     "needs a value, but %.40s follows; write --%s=%.40s if that is the value",
                     p->argv[p->at], name, p->argv[p->at]);
            return wrong(p, name, what);
        }
        value = p->argv[p->at++];
    }
    return set_value(p, arg, value);
}

static bool take_position(parser *p, const char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < p->args->count; i++) {
        if (p->args->items[i].kind != TUFF_ARG_POSITION || n++ < p->positions) continue;
        p->positions++;
        p->given[i] = true;
        return set_value(p, &p->args->items[i], text);
    }
    if (text[0] == '-' && text[1])
        tuff_cli_say("tuff: %s has no option %.40s; options begin with -- (see: tuff help %s)", p->args->verb,
                     text, p->args->verb);
    else
        tuff_cli_say("tuff: %s does not know what to do with \"%.60s\"%s%s (see: tuff help %s)",
                     p->args->verb, text, p->args->stray ? ": give " : "",
                     p->args->stray ? p->args->stray : "", p->args->verb);
    return false;
}

static bool check_required(const parser *p)
{
    for (size_t i = 0; i < p->args->count; i++) {
        const tuff_arg *arg = &p->args->items[i];
        if (p->given[i] || !(arg->required || arg->kind == TUFF_ARG_POSITION)) continue;
        tuff_cli_say("tuff: %s needs %s%s (see: tuff help %s)", p->args->verb,
                     arg->kind == TUFF_ARG_POSITION ? "" : "--", arg->name, p->args->verb);
        return false;
    }
    return true;
}

static bool parse(parser *p)
{
    bool only_positions = false;
    while (p->at < p->argc) {
        const char *text = p->argv[p->at++];
        if (!only_positions && strcmp(text, "--") == 0)
            only_positions = true;
        else if (!only_positions && looks_like_option(text) ? !take_option(p, text + 2)
                                                            : !take_position(p, text))
            return false;
    }
    return check_required(p);
}

tuff_args_outcome tuff_args_parse(const tuff_args *args, int argc, char **argv, void *options)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            tuff_args_help(args, options);
            return TUFF_ARGS_HELP;
        }
    parser p = {.args = args, .argc = argc, .at = 1, .argv = argv, .out = options};
    return parse(&p) ? TUFF_ARGS_RUN : TUFF_ARGS_WRONG;
}

enum { NAME_MAX_SIZE = 48 };

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment distance). */
static size_t edits(const char *a, const char *b)
{
    size_t table[NAME_MAX_SIZE + 1][NAME_MAX_SIZE + 1], n = strlen(a), m = strlen(b);
    if (n > NAME_MAX_SIZE || m > NAME_MAX_SIZE) return NAME_MAX_SIZE;
    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            if (!i || !j) {
                table[i][j] = i + j;
                continue;
            }
            size_t best = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (table[i - 1][j] + 1 < best) best = table[i - 1][j] + 1;
            if (table[i][j - 1] + 1 < best) best = table[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                table[i - 2][j - 2] + 1 < best)
                best = table[i - 2][j - 2] + 1;
            table[i][j] = best;
        }
    return table[n][m];
}

const char *tuff_args_nearest(const char *name, size_t count, const char *(*get)(const void *user, size_t i),
                              const void *user)
{
    const char *best = NULL;
    size_t size = strlen(name), limit = size / 3 + 1, least = limit + 1;
    for (size_t i = 0; i < count; i++) {
        const char *candidate = get(user, i);
        if (!candidate) continue;
        size_t distance = edits(name, candidate);
        /* "--batch-size" for "--per-device-train-batch-size" */
        if (size >= 4 && strstr(candidate, name)) distance = distance ? 1 : 0;
        if (distance < least) {
            best = candidate;
            least = distance;
        }
    }
    return best;
}
