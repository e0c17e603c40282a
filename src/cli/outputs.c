/* What a command writes is never put in the place of what it reads: one rule for all verbs, by their tables
 * of options. */
#include <string.h>

#include "cli/cli.h"

typedef struct named_path {
    const tuff_arg *arg;
    const char *path;
} named_path;

/* The files of rows "FILE=WEIGHT", until the next call. */
static void cut_weights(size_t count, const char **paths)
{
    static char files[TUFF_ARG_LIST_MAX][TUFF_CLI_PATH];
    for (size_t i = 0; i < count; i++) {
        const char *equals = strrchr(paths[i], '=');
        const size_t size = equals ? (size_t)(equals - paths[i]) : strlen(paths[i]);
        if (size >= sizeof files[i]) continue;
        memcpy(files[i], paths[i], size);
        files[i][size] = 0;
        paths[i] = files[i];
    }
}

/* The paths of a row, in paths[0..TUFF_ARG_LIST_MAX); how many there are. */
static size_t paths_of(const tuff_arg *arg, const void *options, const char **paths)
{
    static const char *const kinds[] = {"FILE",  "PATH",      "DIR",        "DIRECTORY",
                                        "MODEL", "NAME|FILE", "FILE=WEIGHT"};
    const char *kind = arg->kind == TUFF_ARG_POSITION ? arg->name : arg->value;
    const char *field = (const char *)options + arg->offset;
    bool path = false;
    for (size_t i = 0; kind && i < sizeof kinds / sizeof *kinds; i++)
        path = path || strcmp(kind, kinds[i]) == 0;
    if (!path) return 0;
    if (arg->kind == TUFF_ARG_LIST) {
        const tuff_arg_list *list = (const tuff_arg_list *)(const void *)field;
        memcpy(paths, list->items, list->count * sizeof *paths);
        if (strcmp(kind, "FILE=WEIGHT") == 0) cut_weights(list->count, paths);
        return list->count;
    }
    if (arg->kind == TUFF_ARG_OPTIONAL) {
        tuff_arg_optional optional;
        memcpy(&optional, field, sizeof optional);
        paths[0] = optional.value;
    } else {
        memcpy(paths, field, sizeof *paths);
    }
    return paths[0] != NULL && strcmp(paths[0], "-") != 0;
}

/* The path of a row that has one at most; NULL: none. */
static const char *path_of(const tuff_arg *arg, const void *options)
{
    const char *paths[TUFF_ARG_LIST_MAX];
    return paths_of(arg, options, paths) ? paths[0] : NULL;
}

static bool is_directory_row(const tuff_arg *arg)
{
    return strncmp(arg->value, "DIR", 3) == 0;
}

static const tuff_arg *row_of(const tuff_args *args, tuff_arg_use use)
{
    for (size_t i = 0; i < args->count; i++)
        if (args->items[i].use == use) return &args->items[i];
    return NULL;
}

/* Whether a run goes on in the directory that it writes: what lies there is its own then. */
static bool goes_on(const tuff_args *args, const void *options, const char *directory)
{
    const tuff_arg *row = row_of(args, TUFF_USE_GONE_ON);
    const char *from = row ? path_of(row, options) : NULL;
    if (!from) return false;
    return strcmp(from, "last") == 0 || tuff_cli_same_directory(from, directory) ||
           tuff_cli_is_within(from, directory);
}

/* Whether `out`, which is written, would be in the place of `in`, which is read. */
static bool replaces(const tuff_args *args, const void *options, const named_path *out, const named_path *in)
{
    if (in->arg->use == TUFF_USE_ADDED_TO) return false;
    if (!is_directory_row(out->arg) && !tuff_cli_is_directory(out->path))
        return tuff_cli_would_replace(out->path, in->path);
    if (in->arg->use == TUFF_USE_GONE_ON) return false;
    if (in->arg->kind == TUFF_ARG_CONFIG && goes_on(args, options, out->path)) return false;
    return tuff_cli_result_would_replace(out->path, in->path);
}

static bool refuse(const named_path *out, const char *what, const named_path *in)
{
    const bool named = in->arg->kind != TUFF_ARG_POSITION;
    tuff_cli_say("tuff: --%s %s would replace %s%s, which %s%s; choose another %s", out->arg->name, out->path,
                 what, in->path, named ? "is given as --" : "is read", named ? in->arg->name : "",
                 is_directory_row(out->arg) || tuff_cli_is_directory(out->path) ? "directory" : "file");
    return false;
}

/* One thing that is written beside another thing of the command. */
static bool check_pair(const tuff_args *args, const void *options, const named_path *out,
                       const named_path *other)
{
    if (other->arg->use == TUFF_USE_WRITTEN && !is_directory_row(other->arg)) {
        if (other->arg >= out->arg || is_directory_row(out->arg) ||
            !tuff_cli_is_same_file(out->path, other->path))
            return true;
        tuff_cli_say("tuff: --%s and --%s are both %s; choose another file for one of them", out->arg->name,
                     other->arg->name, other->path);
        return false;
    }
    if (!replaces(args, options, out, other)) return true;
    const bool whole = tuff_cli_is_same_file(out->path, other->path) ||
                       tuff_cli_same_directory(out->path, other->path) || is_directory_row(out->arg);
    return refuse(out, whole ? "" : "a file of ", other);
}

static bool check_one(const tuff_args *args, const void *options, const named_path *out)
{
    for (size_t i = 0; i < args->count; i++) {
        const char *paths[TUFF_ARG_LIST_MAX];
        const size_t n = &args->items[i] == out->arg ? 0 : paths_of(&args->items[i], options, paths);
        for (size_t k = 0; k < n; k++)
            if (!check_pair(args, options, out, &(named_path){&args->items[i], paths[k]})) return false;
    }
    if (strcmp(out->arg->value, "FILE") != 0) return true; /* the verb knows what may be there */
    if (!tuff_cli_is_directory(out->path)) return tuff_cli_can_create(out->path, false);
    tuff_cli_say("tuff: --%s %s is a directory, and a file is to be written", out->arg->name, out->path);
    return false;
}

bool tuff_cli_check_outputs(const tuff_args *args, const void *options)
{
    for (size_t i = 0; i < args->count; i++) {
        const named_path out = {&args->items[i], args->items[i].use == TUFF_USE_WRITTEN
                                                     ? path_of(&args->items[i], options)
                                                     : NULL};
        if (out.path && !check_one(args, options, &out)) return false;
    }
    return true;
}
