#include "cli/args.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"

typedef struct parser {
    const tuff_args *args;
    int argc, at;
    char **argv;
    char *out;                         /* the verb's struct */
    bool given[TUFF_ARGS_MAX];         /* by row of the table */
    const char *values[TUFF_ARGS_MAX]; /* as what, by row; NULL: without a value */
    bool settled[TUFF_ARGS_MAX];       /* by row: the file of settings has it */
    const char *file;                  /* that is being read; NULL: the command line is */
    int line;                          /* of the file */
    size_t positions;                  /* seen so far */
} parser;

/* The name of an option as one that reads it has written it. */
static const char *spelled(const parser *p, const char *name)
{
    static char text[64];
    snprintf(text, sizeof text, "%s%.60s", p->file ? "" : "--", name);
    for (char *c = text; p->file && *c; c++)
        if (*c == '-') *c = '_';
    return text;
}

static bool wrong(const parser *p, const char *name, const char *what)
{
    if (p->file)
        tuff_cli_say("tuff: %s:%d: %s %s (see: tuff help %s)", p->file, p->line, spelled(p, name), what,
                     p->args->verb);
    else
        tuff_cli_say("tuff: %s %s (see: tuff help %s)", spelled(p, name), what, p->args->verb);
    return false;
}

static const char *name_at(const void *user, size_t i)
{
    const tuff_args *args = user;
    bool named = args->items[i].kind != TUFF_ARG_GROUP && args->items[i].kind != TUFF_ARG_POSITION;
    return named ? args->items[i].name : NULL;
}

/* What Hugging Face's name of an option is here; NULL: it is none of these. */
static const char *alias_of(const char *name)
{
    static const char *const aliases[][2] = {
#define TUFF_ALIAS(theirs, ours) {theirs, ours},
#include "cli/aliases.def"
    };
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(aliases[i][0], name) == 0) return aliases[i][1];
    return NULL;
}

static bool unknown(const parser *p, const char *name)
{
    const char *alias = alias_of(name), *hint = tuff_args_hint(name), *verb = p->args->verb;
    if (!hint && alias) hint = tuff_args_hint(alias);
    const char *near = tuff_args_nearest(name, p->args->count, name_at, p->args);
    char where[512] = "", nearest[64];
    if (p->file) snprintf(where, sizeof where, "%s:%d: ", p->file, p->line);
    snprintf(nearest, sizeof nearest, "%s", near ? spelled(p, near) : "");
    if (hint)
        tuff_cli_say("tuff: %s%s has no option %s: %s (see: tuff help %s)", where, verb, spelled(p, name),
                     hint, verb);
    else if (near)
        tuff_cli_say("tuff: %s%s has no option %s; did you mean %s?", where, verb, spelled(p, name), nearest);
    else
        tuff_cli_say("tuff: %s%s has no option %s (see: tuff help %s)", where, verb, spelled(p, name), verb);
    return false;
}

static size_t row_named(const parser *p, const char *name)
{
    size_t row = 0;
    while (row < p->args->count && !(name_at(p->args, row) && strcmp(name_at(p->args, row), name) == 0))
        row++;
    return row;
}

/* The row of an option, as `text[0..size)` spells it; its name, with '-', goes to name[64]. The count of
 * rows: there is none. */
static size_t look_for_row(const parser *p, const char *text, size_t size, char name[64])
{
    if (size > 63) size = 63;
    for (size_t i = 0; i < size; i++)
        name[i] = text[i] == '_' ? '-' : text[i];
    name[size] = 0;
    size_t row = row_named(p, name);
    const char *alias = alias_of(name);
    if (row == p->args->count && alias) row = row_named(p, alias);
    for (size_t i = 0; p->file && row == p->args->count && i < p->args->count; i++)
        if (p->args->items[i].kind == TUFF_ARG_POSITION &&
            strcasecmp(p->args->items[i].name, alias ? alias : name) == 0)
            return i;
    return row;
}

/* The same; SIZE_MAX: there is none, which was said. */
static size_t find_row(const parser *p, const char *text, size_t size, char name[64])
{
    const size_t row = look_for_row(p, text, size, name);
    if (row < p->args->count) return row;
    unknown(p, name);
    return SIZE_MAX;
}

/* One value for each option: the user may mean the first or the last, and we do not guess. */
static bool note(parser *p, size_t row, const char *value)
{
    const tuff_arg *arg = &p->args->items[row];
    const char *before = p->values[row];
    const bool again = p->given[row];
    p->given[row] = true;
    p->values[row] = value;
    if (!again && arg->kind == TUFF_ARG_LIST && p->settled[row]) /* the file's is replaced */
        ((tuff_arg_list *)(void *)(p->out + arg->offset))->count = 0;
    if (!again || arg->kind == TUFF_ARG_LIST) return true;
    if (arg->kind == TUFF_ARG_FLAG && strcmp(before, value) == 0) return true;
    char what[384];
    snprintf(what, sizeof what, "is given twice, %s%.120s%s and %s%.120s%s; it takes one value",
             before ? "as \"" : "without a value", before ? before : "", before ? "\"" : "",
             value ? "as \"" : "without one", value ? value : "", value ? "\"" : "");
    return wrong(p, arg->name, what);
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

/* Words of choices are in small letters; others have them in capitals (Q4_K_M). */
static bool is_word(const char *word, size_t size, const char *text)
{
    for (size_t i = 0; i < size; i++) {
        const char letter = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        if (letter != word[i]) return false;
    }
    return !text[size];
}

static bool set_choice(const parser *p, const tuff_arg *arg, const char *text)
{
    int index = 0;
    for (const char *word = arg->value; *word; index++) {
        size_t size = strcspn(word, "|");
        if (is_word(word, size, text)) {
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

static bool is_truth(const char *text)
{
    return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0;
}

/* "--flag", "--flag=false", and "--flag True" as Python programs take it. */
static bool take_flag(parser *p, size_t row, const char *attached)
{
    const tuff_arg *arg = &p->args->items[row];
    const char *value = attached;
    if (!value && p->at < p->argc && is_truth(p->argv[p->at])) value = p->argv[p->at++];
    if (value && !is_truth(value)) return wrong(p, arg->name, "takes no value but true or false");
    const bool on = !value || strcasecmp(value, "true") == 0;
    *(bool *)(p->out + arg->offset) = on;
    return note(p, row, on ? "true" : "false");
}

static bool take_optional(parser *p, size_t row, const char *attached)
{
    const tuff_arg *arg = &p->args->items[row];
    tuff_arg_optional value = {true, attached};
    if (!attached && p->at < p->argc && p->argv[p->at][0] != '-') value.value = p->argv[p->at++];
    memcpy(p->out + arg->offset, &value, sizeof value);
    return note(p, row, value.value);
}

/* "--name", "--name=value"; p->at is behind it. */
static bool take_option(parser *p, const char *text)
{
    char name[64];
    const char *equals = strchr(text, '=');
    const size_t row = find_row(p, text, equals ? (size_t)(equals - text) : strlen(text), name);
    if (row == SIZE_MAX) return false;
    const tuff_arg *arg = &p->args->items[row];
    const char *value = equals ? equals + 1 : NULL;
    if (arg->kind == TUFF_ARG_FLAG) return take_flag(p, row, value);
    if (arg->kind == TUFF_ARG_OPTIONAL) return take_optional(p, row, value);
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
    return note(p, row, value) && set_value(p, arg, value);
}

static bool take_position(parser *p, const char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < p->args->count; i++) {
        if (p->args->items[i].kind != TUFF_ARG_POSITION || n++ < p->positions) continue;
        p->positions++;
        return note(p, i, text) && set_value(p, &p->args->items[i], text);
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
        if (p->given[i] || p->settled[i] || !(arg->required || arg->kind == TUFF_ARG_POSITION)) continue;
        tuff_cli_say("tuff: %s needs %s%s (see: tuff help %s)", p->args->verb,
                     arg->kind == TUFF_ARG_POSITION ? "" : "--", arg->name, p->args->verb);
        return false;
    }
    return true;
}

/* ---- a file of settings */

static bool wrong_kind(const parser *p, const tuff_arg *arg, const tuff_config_item *item)
{
    static const char *const found[] = {"null", "false", "true", "a number", "a text", "an object", "a list"};
    static const char *const expected[] = {
        [TUFF_ARG_FLAG] = "true or false",
        [TUFF_ARG_INT] = "a number",
        [TUFF_ARG_REAL] = "a number",
        [TUFF_ARG_TEXT] = "a text",
        [TUFF_ARG_NAMES] = "a text or a list of texts",
        [TUFF_ARG_SETTINGS] = "a text or an object",
        [TUFF_ARG_LIST] = "a list of texts or numbers",
        [TUFF_ARG_CHOICE] = "one of",
        [TUFF_ARG_OPTIONAL] = "true, false or a text",
        [TUFF_ARG_POSITION] = "a text",
    };
    char what[512];
    int n = snprintf(what, sizeof what, "is ");
    if (item->kind == TUFF_CONFIG_TEXT)
        n += snprintf(what + n, sizeof what - (size_t)n, "the text \"%.40s\"", item->text);
    else
        n += snprintf(what + n, sizeof what - (size_t)n, "%s", found[item->kind]);
    snprintf(what + n, sizeof what - (size_t)n, ", expected %s%s%s", expected[arg->kind],
             arg->kind == TUFF_ARG_CHOICE ? " " : "", arg->kind == TUFF_ARG_CHOICE ? arg->value : "");
    return wrong(p, arg->name, what);
}

/* Whether a value may be of this kind. */
static bool fits(const tuff_arg *arg, tuff_config_kind kind)
{
    const bool text = kind == TUFF_CONFIG_TEXT, truth = kind == TUFF_CONFIG_TRUE || kind == TUFF_CONFIG_FALSE;
    switch (arg->kind) {
    case TUFF_ARG_FLAG:
        return truth;
    case TUFF_ARG_INT:
    case TUFF_ARG_REAL:
        return kind == TUFF_CONFIG_NUMBER;
    case TUFF_ARG_CHOICE:
    case TUFF_ARG_OPTIONAL:
        return text || truth;
    case TUFF_ARG_SETTINGS:
        return text || kind == TUFF_CONFIG_OBJECT;
    case TUFF_ARG_NAMES:
        return text;
    default:
        return text || kind == TUFF_CONFIG_NUMBER; /* such as a device's index */
    }
}

static bool settle_one(parser *p, size_t row, const tuff_config_item *item)
{
    const tuff_arg *arg = &p->args->items[row];
    const bool on = item->kind == TUFF_CONFIG_TRUE;
    p->line = item->line;
    if (!fits(arg, item->kind)) return wrong_kind(p, arg, item);
    const char *text = item->text ? item->text : on ? "true" : "false";
    if (!note(p, row, text)) return false;
    if (arg->kind == TUFF_ARG_FLAG) {
        *(bool *)(p->out + arg->offset) = on;
        return true;
    }
    if (arg->kind == TUFF_ARG_OPTIONAL) {
        const tuff_arg_optional value = {on || item->text, item->text};
        memcpy(p->out + arg->offset, &value, sizeof value);
        return true;
    }
    return set_value(p, arg, text);
}

/* One setting, with the items of its list behind it: there are items[0..count) in all. */
static bool settle(parser *p, const tuff_config_item *items, size_t count)
{
    char name[64];
    p->line = items[0].line;
    const size_t row = find_row(p, items[0].name, strlen(items[0].name), name);
    if (row == SIZE_MAX) return false;
    const tuff_arg *arg = &p->args->items[row];
    if (arg->kind == TUFF_ARG_CONFIG) return wrong(p, arg->name, "cannot be in a file of settings");
    if (items[0].kind == TUFF_CONFIG_NULL) return true; /* as if it were not there */
    if (p->given[row] && arg->kind == TUFF_ARG_LIST)
        return wrong(p, arg->name, "is given twice; put all of it into one list");
    if (items[0].kind != TUFF_CONFIG_LIST) return settle_one(p, row, &items[0]);
    if (arg->kind != TUFF_ARG_LIST && arg->kind != TUFF_ARG_NAMES) return wrong_kind(p, arg, &items[0]);
    for (size_t i = 1; i < count; i++) {
        if (!fits(arg, items[i].kind)) {
            p->line = items[i].line;
            return wrong_kind(p, arg, &items[i]);
        }
        if (arg->kind == TUFF_ARG_LIST && !settle_one(p, row, &items[i])) return false;
    }
    if (arg->kind == TUFF_ARG_LIST || count == 1) return true;
    const char *names = tuff_config_join(items + 1, count - 1);
    return note(p, row, names) && set_value(p, arg, names);
}

/* Before the command line is, so that what stands there comes first. */
static bool read_config(parser *p, const char *path)
{
    const tuff_config_item *items;
    size_t count;
    bool good = tuff_config_read(path, &items, &count);
    p->file = path;
    for (size_t i = 0, n; i < count && good; i += n) {
        for (n = 1; i + n < count && !items[i + n].name;)
            n++;
        good = settle(p, items + i, n);
    }
    p->file = NULL;
    memcpy(p->settled, p->given, sizeof p->settled);
    memset(p->given, 0, sizeof p->given);
    return good;
}

/* The value that the command line has for a row; NULL: none. An option's name is never another one's value,
 * unless it is written with '='. */
static const char *value_ahead(const parser *p, size_t row)
{
    char name[64];
    for (int i = 1; i < p->argc && strcmp(p->argv[i], "--") != 0; i++) {
        const char *text = p->argv[i];
        if (!looks_like_option(text)) continue;
        const char *equals = strchr(text, '=');
        const size_t size = equals ? (size_t)(equals - text) - 2 : strlen(text + 2);
        if (look_for_row(p, text + 2, size, name) != row) continue;
        if (equals) return equals + 1;
        if (i + 1 < p->argc && !looks_like_option(p->argv[i + 1])) return p->argv[i + 1];
    }
    return NULL;
}

/* Of the option that names such a file. */
static const char *config_path(const parser *p)
{
    size_t row = 0;
    while (row < p->args->count && p->args->items[row].kind != TUFF_ARG_CONFIG)
        row++;
    return row == p->args->count ? NULL : value_ahead(p, row);
}

const char *tuff_args_ahead(const tuff_args *args, int argc, char **argv, const char *name)
{
    const parser p = {.args = args, .argc = argc, .argv = argv};
    return value_ahead(&p, row_named(&p, name));
}

static bool parse(parser *p)
{
    bool only_positions = false;
    const char *config = config_path(p);
    if (config && !read_config(p, config)) return false;
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
    assert(args->count <= TUFF_ARGS_MAX);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            tuff_args_help(args, options);
            return TUFF_ARGS_HELP;
        }
    parser p = {.args = args, .argc = argc, .at = 1, .argv = argv, .out = options};
    return parse(&p) && tuff_cli_take_stdin(args, options) ? TUFF_ARGS_RUN : TUFF_ARGS_WRONG;
}
