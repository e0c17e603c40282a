/* Names of the Hugging Face hub in place of paths: what its programs have in their cache is found, and how to
 * get what they have not is said. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { ID = 96, COMMIT = 64 };

/* "owner/name" as the hub has it, where the owner is no directory here; or a name alone, which models of its
 * first days have. */
static bool looks_like_id(const char *path, bool *out_alone)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t owner = strspn(path, letters);
    *out_alone = owner > 0 && !path[owner] && !strchr(path, '.');
    if (*out_alone) return owner <= ID;
    if (owner == 0 || owner > ID || path[0] == '.' || path[owner] != '/') return false;
    const char *name = path + owner + 1;
    char directory[ID + 1];
    snprintf(directory, sizeof directory, "%.*s", (int)owner, path);
    size_t size = strspn(name, letters);
    return size > 0 && size <= ID && !name[size] && name[0] != '.' && !tuff_cli_exists(directory);
}

/* Where the hub's programs keep what they have loaded: as huggingface_hub looks for it. False: it is not
 * known. */
static bool cache_of(char out[TUFF_CLI_PATH])
{
    static const struct {
        const char *variable, *below;
    } places[] = {{"HF_HUB_CACHE", ""},
                  {"HUGGINGFACE_HUB_CACHE", ""},
                  {"HF_HOME", "/hub"},
                  {"XDG_CACHE_HOME", "/huggingface/hub"},
                  {"HOME", "/.cache/huggingface/hub"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *value = getenv(places[i].variable);
        if (value && *value)
            return snprintf(out, TUFF_CLI_PATH, "%s%s", value, places[i].below) < TUFF_CLI_PATH;
    }
    return false;
}

/* The snapshot of a model's directory in a cache that refs/main names. False: there is none. */
static bool snapshot_of(const char *root, char out[TUFF_CLI_PATH])
{
    char refs[TUFF_CLI_PATH], commit[COMMIT + 1];
    if (snprintf(refs, sizeof refs, "%s/refs/main", root) >= (int)sizeof refs) return false;
    FILE *file = tuff_cli_exists(refs) && !tuff_cli_is_directory(refs) ? fopen(refs, "rb") : NULL;
    const size_t size = file ? fread(commit, 1, COMMIT, file) : 0;
    if (file) fclose(file);
    commit[size] = 0;
    commit[strspn(commit, "0123456789abcdef")] = 0; /* nothing but a commit leads anywhere */
    return *commit && snprintf(out, TUFF_CLI_PATH, "%s/snapshots/%s", root, commit) < TUFF_CLI_PATH &&
           tuff_cli_is_directory(out);
}

/* The snapshot of a name in the cache. */
static bool find_id(const char *id, char out[TUFF_CLI_PATH])
{
    char cache[TUFF_CLI_PATH], root[TUFF_CLI_PATH];
    const char *slash = strchr(id, '/');
    const int owner = slash ? (int)(slash - id) : 0;
    return cache_of(cache) &&
           snprintf(root, sizeof root, "%s/models--%.*s%s%s", cache, owner, id, slash ? "--" : "",
                    slash ? slash + 1 : id) < (int)sizeof root &&
           snapshot_of(root, out);
}

/* The directory of a model in a cache, which has its files below. */
static bool find_root(const char *path, char out[TUFF_CLI_PATH])
{
    char inner[TUFF_CLI_PATH];
    return snprintf(inner, sizeof inner, "%s/snapshots", path) < (int)sizeof inner &&
           tuff_cli_is_directory(inner) && !tuff_cli_holds_model(path) && !tuff_cli_holds_adapter(path) &&
           snapshot_of(path, out);
}

static bool find(const char **path, bool quiet, const char *what)
{
    enum { ROOMS = 4 };
    static char rooms[ROOMS][TUFF_CLI_PATH]; /* a command has fewer paths than these */
    static int used;
    char *room = rooms[used % ROOMS];
    bool alone;
    if (!*path) return true;
    const bool there = tuff_cli_exists(*path), id = !there && looks_like_id(*path, &alone);
    if (there ? find_root(*path, room) : id && find_id(*path, room)) {
        if (!quiet) tuff_cli_row(what, "%s, of the Hugging Face hub's cache: %s", *path, room);
        *path = room;
        used++;
        return true;
    }
    if (!id) return true;
    const char *name = alone ? *path : strchr(*path, '/') + 1;
    tuff_cli_say("tuff: there is no file or directory %s; Tuff does not download %ss: %s`hf download %s "
                 "--local-dir %s`, then give %s as the %s",
                 *path, what,
                 alone ? "if that is a name of the Hugging Face hub, get its files with "
                       : "get its files with ",
                 *path, name, name, what);
    return false;
}

bool tuff_cli_find_model(const char **path, bool quiet)
{
    return find(path, quiet, "model");
}

bool tuff_cli_find_adapter(const char **path, bool quiet)
{
    return find(path, quiet, "adapter");
}

/* A part of a path that begins so, with what lies in it behind "/snapshots/"; NULL: there is none. */
static const char *find_part(const char *path, const char *mark, const char **out_end)
{
    for (const char *at = path; (at = strstr(at, mark)); at++) {
        *out_end = at + strcspn(at, "/");
        if ((at == path || at[-1] == '/') && strncmp(*out_end, "/snapshots/", strlen("/snapshots/")) == 0)
            return at + strlen(mark);
    }
    return NULL;
}

const char *tuff_cli_hub_id(const char *path)
{
    static char id[2 * ID + 2];
    const char *end, *at = find_part(path, "models--", &end);
    if (!at || at == end || end - at >= (ptrdiff_t)sizeof id) return NULL;
    const char *between = strstr(at, "--");
    const bool owned = between && between < end;
    snprintf(id, sizeof id, "%.*s%s%.*s", owned ? (int)(between - at) : 0, at, owned ? "/" : "",
             (int)(end - (owned ? between + 2 : at)), owned ? between + 2 : at);
    return id;
}
