/* Which model an adapter is for, as the files in its directory say. */
#include <string.h>

#include "cli/cli.h"

/* In the order in which they are asked: what PEFT and the package `adapters` write, and our own trainings. */
static const struct {
    const char *file, *key;
} places[] = {{"adapter_config.json", "base_model_name_or_path"},
              {"adapter_config.json", "model_name"},
              {"run.json", "model"}};
enum { PLACES = sizeof places / sizeof *places };

/* What a file says; empty: nothing. False: it cannot be read, which was said. */
static bool read_name(const char *directory, size_t place, char out[TUFF_CLI_PATH])
{
    char path[TUFF_CLI_PATH];
    const tuff_config_item *items;
    size_t count;
    *out = 0;
    const int size = snprintf(path, sizeof path, "%s/%s", directory, places[place].file);
    if (size >= (int)sizeof path || !tuff_cli_exists(path)) return true;
    if (!tuff_config_read(path, &items, &count)) return false;
    for (size_t i = 0; i < count; i++)
        if (items[i].name && items[i].kind == TUFF_CONFIG_TEXT &&
            strcmp(items[i].name, places[place].key) == 0)
            snprintf(out, TUFF_CLI_PATH, "%s", items[i].text);
    return true;
}

static bool is_model(const char *path)
{
    return tuff_cli_is_directory(path) ? tuff_cli_holds_model(path) : tuff_cli_exists(path);
}

/* A path is as it is from here, or from the adapter. */
static bool find(const char *directory, const char *name, char out[TUFF_CLI_PATH])
{
    if (snprintf(out, TUFF_CLI_PATH, "%s", name) < TUFF_CLI_PATH && is_model(out)) return true;
    return *name != '/' && snprintf(out, TUFF_CLI_PATH, "%s/%s", directory, name) < TUFF_CLI_PATH &&
           is_model(out);
}

const char *tuff_cli_adapter_base(const char *directory, bool quiet)
{
    static char base[TUFF_CLI_PATH];
    char name[TUFF_CLI_PATH], found[512] = "";
    for (size_t i = 0; i < PLACES; i++) {
        if (!read_name(directory, i, name)) return NULL;
        if (!*name) continue;
        if (find(directory, name, base)) {
            if (!quiet) tuff_cli_row("base", "%s, as the adapter's %s says", base, places[i].file);
            return base;
        }
        const size_t size = strlen(found);
        snprintf(found + size, sizeof found - size, "%s%s has \"%.80s\"", size ? " and " : "; its ",
                 places[i].file, name);
    }
    tuff_cli_say("tuff: %s is an adapter: say with --base which model it is for%s%s (to merge it, give the "
                 "model first and %s as --adapter)",
                 directory, found, *found ? ", where no model is" : "", directory);
    return NULL;
}
