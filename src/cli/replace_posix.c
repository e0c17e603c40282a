/* Whether a file that is to be written would be in the place of one that is read. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

enum { PATH_SIZE = 4096 };

/* How the files of a model, an adapter or a checkpoint begin, as far as Tuff reads or writes them, and how
 * others end. */
static const char *const beginnings[] = {
    "model",         "pytorch_model",  "config",        "generation_config", "tokenizer", "vocab",
    "merges",        "special_tokens", "added_tokens",  "chat_template",     "adapter_",  "modules",
    "sentence_bert", "spiece",         "sentencepiece", "trainer_state",     "optimizer", "run.json"};
static const char *const weights[] = {".safetensors", ".bin", ".gguf"};
static const char *const endings[] = {".model", ".tiktoken"};

static bool ends_with(const char *name, const char *const *list, size_t n)
{
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; ending && i < n; i++)
        if (strcmp(ending, list[i]) == 0) return true;
    return false;
}
#define ENDS_WITH(name, list) ends_with(name, list, sizeof(list) / sizeof *(list))

static bool begins(const char *name)
{
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0) return true;
    return false;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool tuff_cli_same_directory(const char *a, const char *b)
{
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && S_ISDIR(one.st_mode) && is_same(&one, &other);
}

bool tuff_cli_is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    const bool x_there = stat(a, &x) == 0, y_there = stat(b, &y) == 0;
    if (!x_there && !y_there) return strcmp(a, b) == 0;
    return x_there && y_there && S_ISREG(x.st_mode) && is_same(&x, &y);
}

/* Its directory, and its name within. */
static const char *split(const char *path, char *directory)
{
    const char *slash = strrchr(path, '/');
    const size_t size = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    memcpy(directory, size ? path : ".", size ? size : 1);
    directory[size ? size : 1] = 0;
    return slash ? slash + 1 : path;
}

/* A GGUF file in a directory is a model of its own. */
static bool is_gguf(const char *name)
{
    static const char *const own[] = {".gguf"};
    return ENDS_WITH(name, own);
}

static bool is_of_model(const char *name)
{
    return begins(name) || ENDS_WITH(name, weights) || ENDS_WITH(name, endings);
}

static bool is_of_directory(const char *name)
{
    return is_of_model(name) && !is_gguf(name);
}

/* Of what is saved in a directory. */
static bool is_of_result(const char *name)
{
    static const char *const names[] = {
        "config.json", "config_sentence_", "generation_config.json", "tokenizer",       "vocab.json",
        "vocab.txt",   "merges.txt",       "modules.json",           "added_tokens",    "special_tokens_",
        "adapter_",    "sentence_bert_",   "trainer_state.json",     "chat_template.j", "chat_layout.t",
        "run.json",    "report.html",      "train_log.jsonl"};
    static const char *const ends[] = {".json", ".txt", ".jinja", ".jsonl", ".html", ".model"};
    static const char *const stored[] = {".safetensors", ".bin"};
    if (ENDS_WITH(name, stored)) return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0) return ENDS_WITH(name, ends);
    return false;
}

/* Whether a file that is there is in the directory, with a name of that kind, by whatever names both go;
 * `deep`: or in one of its own directories, as sentence-transformers has them. */
static bool is_among(const struct stat *file, const char *directory, bool deep,
                     bool (*is_of)(const char *name))
{
    char path[PATH_SIZE];
    bool found = false;
    DIR *entries = opendir(directory);
    if (!entries) return false;
    for (const struct dirent *e; !found && (e = readdir(entries)) != NULL;) {
        struct stat info;
        if (e->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", directory, e->d_name) >= PATH_SIZE ||
            stat(path, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode) && deep) found = is_among(file, path, false, is_of);
        if (S_ISREG(info.st_mode) && is_same(file, &info)) found = is_of(e->d_name);
    }
    closedir(entries);
    return found;
}

bool tuff_cli_would_replace(const char *path, const char *input)
{
    char parent[PATH_SIZE], beside[PATH_SIZE];
    struct stat in, out, above;
    if (!*path || strlen(path) >= PATH_SIZE || strlen(input) >= PATH_SIZE || stat(input, &in) != 0)
        return false;
    const bool there = stat(path, &out) == 0 && S_ISREG(out.st_mode);
    if (S_ISREG(in.st_mode)) { /* weights are read with what lies beside them */
        const char *name = split(input, beside);
        if (there && is_same(&in, &out)) return true;
        return there && (ENDS_WITH(name, weights) || begins(name)) &&
               is_among(&out, beside, false, is_gguf(name) ? is_gguf : is_of_model); /* its other parts */
    }
    if (!S_ISDIR(in.st_mode)) return false;
    const char *name = split(path, parent);
    if (begins(name) && !is_gguf(name) && stat(parent, &above) == 0 && is_same(&in, &above)) return true;
    return there && is_among(&out, input, true, is_of_directory);
}

bool tuff_cli_result_would_replace(const char *directory, const char *input)
{
    struct stat in;
    if (strlen(directory) >= PATH_SIZE || stat(input, &in) != 0) return false;
    if (S_ISDIR(in.st_mode)) return tuff_cli_same_directory(directory, input);
    return S_ISREG(in.st_mode) && is_among(&in, directory, false, is_of_result);
}

bool tuff_cli_is_within(const char *path, const char *directory)
{
    char parent[PATH_SIZE], trimmed[PATH_SIZE];
    size_t size = strlen(path);
    if (size >= PATH_SIZE) return false;
    while (size > 1 && path[size - 1] == '/')
        size--;
    memcpy(trimmed, path, size);
    trimmed[size] = 0;
    split(trimmed, parent);
    return tuff_cli_same_directory(parent, directory);
}
