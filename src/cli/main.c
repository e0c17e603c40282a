/* The command `tuff`: finds the verb and runs it. */
#include <string.h>
#include <tuff/version.h>

#include "cli/cli.h"

typedef struct verb {
    const char *name, *what;
    int (*run)(int argc, char **argv);
} verb;

static const verb verbs[] = {
    {"devices", "list the devices to compute on", tuff_cli_devices},
    {"inspect", "show what a model file holds", tuff_cli_inspect},
    {"convert", "write a model as the other kind of file", tuff_cli_convert},
    {"generate", "continue a prompt", tuff_cli_generate},
    {"chat", "talk with a model that was tuned for it", tuff_cli_chat},
    {"embed", "turn texts into vectors", tuff_cli_embed},
    {"search", "find the texts nearest to a query", tuff_cli_search},
    {"fill-mask", "guess the words behind masks", tuff_cli_fill_mask},
    {"classify", "tell the classes of texts, or of the words in them", tuff_cli_classify},
    {"answer", "find the answer to a question in a text", tuff_cli_answer},
    {"train", "fine-tune a model on texts or records, whole or by an adapter", tuff_cli_train},
    {"eval", "measure a model on texts, records or searches", tuff_cli_eval},
    {"cache", "show or remove what is kept of texts that were tokenized", tuff_cli_cache},
    {"conform", "prove every operation on a device", tuff_cli_conform},
    {"bench", "measure how fast a device is, alone and with a model", tuff_cli_bench},
};
enum { VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(FILE *out)
{
    tuff_cli_paragraphs(
        out, "Usage: tuff VERB [options]\n\n"
             "Fine-tunes, samples and embeds with transformer models, on any Vulkan device and on the "
             "CPU.\n\n");
    for (int i = 0; i < VERBS; i++) {
        char line[128];
        snprintf(line, sizeof line, "  %-10s %s", verbs[i].name, verbs[i].what);
        tuff_cli_paragraphs(out, line);
    }
    tuff_cli_paragraphs(
        out,
        "\n  tuff help VERB    a verb's options\n"
        "  tuff --version    the version\n\n"
        "A model is a Hugging Face directory or a GGUF file. Results go to standard output, all else to "
        "standard error. Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage; conform has more.\n"
        "Environment: TUFF_DEVICE (a device's name), TUFF_LOG (error, warn, info, debug), TUFF_CACHE_DIR "
        "(where shaders and token ids of texts are kept), TUFF_SHADER_DIR (where shaders are looked for).\n");
}

static const verb *find(const char *name)
{
    for (int i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
    return NULL;
}

static const char *verb_at(const void *user, size_t i)
{
    (void)user;
    return verbs[i].name;
}

static int unknown(const char *name)
{
    const char *near = tuff_args_nearest(name, VERBS, verb_at, NULL);
    if (near)
        tuff_cli_say("tuff: there is no verb \"%.40s\"; did you mean %s?", name, near);
    else
        tuff_cli_say("tuff: there is no verb \"%.40s\" (see: tuff --help)", name);
    return TUFF_EXIT_USAGE;
}

static int help(const char *name)
{
    const verb *v = name ? find(name) : NULL;
    if (name && !v) return unknown(name);
    if (!name) {
        print_help(stdout);
        return TUFF_EXIT_OK;
    }
    char verb_name[16], option[] = "--help", *argv[] = {verb_name, option, NULL};
    snprintf(verb_name, sizeof verb_name, "%s", name);
    return v->run(2, argv);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return TUFF_EXIT_USAGE;
    }
    const char *first = argv[1];
    if (strcmp(first, "--version") == 0) {
        printf("tuff %s\n", tuff_version());
        return TUFF_EXIT_OK;
    }
    if (strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    const verb *v = find(first);
    return v ? v->run(argc - 1, argv + 1) : unknown(first);
}

int main(int argc, char **argv)
{
    tuff_cli_prepare_process();
    int code = run(argc, argv);
    return tuff_cli_flush() ? code : TUFF_EXIT_FAILED;
}
