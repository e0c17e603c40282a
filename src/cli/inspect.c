/* tuff inspect */
#include <tuff/model.h>
#include <tuff/program.h>

#include "cli/cli.h"

typedef struct inspect_options {
    tuff_cli_common common;
    const char *model;
    bool tensors;
} inspect_options;

static const tuff_arg items[] = {
    {.kind = TUFF_ARG_POSITION,
     .name = "MODEL",
     .offset = offsetof(inspect_options, model),
     .help = "a Hugging Face directory, a .safetensors, .bin or .gguf file, or a PEFT adapter directory"},
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    {.kind = TUFF_ARG_FLAG,
     .name = "tensors",
     .offset = offsetof(inspect_options, tensors),
     .help = "list every tensor with its type and shape (in row-major order, as in Hugging Face)"},
    TUFF_CLI_JSON_ROW("print one JSON object, tensors included"),
    TUFF_CLI_QUIET_ROW,
};
static const tuff_args spec = {
    .verb = "inspect",
    .usage = "MODEL [options]",
    .about =
        "Shows what a model file holds: architecture, config, parameters and their types, tokenizer, metadata. "
        "Works on files of unknown architectures too, and says whether Tuff can run the model.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples = "tuff inspect MODEL\n"
                "tuff inspect model.gguf --tensors",
};

int tuff_cli_inspect(int argc, char **argv)
{
    inspect_options options = {0};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    tuff_cli_begin(&options.common);
    if (!tuff_cli_find_model(&options.model, options.common.quiet)) return TUFF_EXIT_FAILED;
    char *text = NULL;
    unsigned flags =
        (options.common.json ? TUFF_INSPECT_JSON : 0) | (options.tensors ? TUFF_INSPECT_TENSORS : 0);
    if (tuff_inspect(options.model, flags, &text) != TUFF_OK) return tuff_cli_failed();
    fputs(text, stdout);
    tuff_free(text);
    return TUFF_EXIT_OK;
}
