/* tuff cache */
#include <string.h>
#include <time.h>
#include <tuff/cache.h>

#include "cli/cli.h"

typedef struct cache_options {
    tuff_cli_common common;
    bool remove;
} cache_options;

static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    {.kind = TUFF_ARG_FLAG,
     .name = "remove",
     .offset = offsetof(cache_options, remove),
     .help = "remove all of it; trainings that use it go on",
     .momentary = true},
    TUFF_CLI_JSON_ROW("print a JSON object per text"),
    TUFF_CLI_QUIET_ROW,
};
static const tuff_args spec = {
    .verb = "cache",
    .usage = "[options]",
    .about =
        "Lists the texts and files of records whose token ids are kept in the cache directory (TUFF_CACHE_DIR, else "
        "XDG_CACHE_HOME/tuff, else ~/.cache/tuff), so that they are tokenized once and need not fit into memory. "
        "They are found by the file's content, the tokenizer and the settings that it was read with. Files of less than a "
        "megabyte are not kept, nor are those of --task qa; of "
        "more than 20 GiB in all, those go that were not used for the longest time.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples = "tuff cache\n"
                "tuff cache --remove",
};

typedef struct listing {
    bool json;
    size_t count;
    uint64_t size;
} listing;

static void print(const tuff_cached_text *text, void *user)
{
    listing *l = user;
    char when[32] = "?";
    const time_t used = (time_t)text->used;
    const struct tm *local = localtime(&used);
    if (local) strftime(when, sizeof when, "%Y-%m-%d %H:%M", local);
    l->count++;
    l->size += text->size;
    if (!l->json) {
        printf("%10s  %14s tokens  used %s  %s\n", tuff_cli_bytes(text->size),
               tuff_cli_count((int64_t)text->tokens), when, *text->text ? text->text : "(damaged)");
        return;
    }
    printf("{\"path\": ");
    tuff_cli_json_text(stdout, text->path, strlen(text->path));
    printf(", \"text\": ");
    tuff_cli_json_text(stdout, text->text, strlen(text->text));
    printf(", \"bytes\": %llu, \"tokens\": %llu, \"used\": %llu}\n", (unsigned long long)text->size,
           (unsigned long long)text->tokens, (unsigned long long)text->used);
}

static void add(const tuff_cached_text *text, void *user)
{
    listing *l = user;
    l->count++;
    l->size += text->size;
}

int tuff_cli_cache(int argc, char **argv)
{
    cache_options options = {0};
    listing l = {0};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    tuff_cli_begin(&options.common);
    l.json = options.common.json;
    if (tuff_cache_list_texts(options.remove ? add : print, &l) != TUFF_OK) return tuff_cli_failed();
    if (options.remove && tuff_cache_remove_texts() != TUFF_OK) return tuff_cli_failed();
    if (!options.common.quiet)
        tuff_cli_say("tuff: %s%s text%s, %s", options.remove ? "removed " : "",
                     tuff_cli_count((int64_t)l.count), l.count == 1 ? "" : "s", tuff_cli_bytes(l.size));
    return TUFF_EXIT_OK;
}
