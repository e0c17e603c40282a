/* tuff convert */
#include <tuff/model.h>

#include "cli/cli.h"

typedef struct convert_options {
    tuff_cli_common common;
    const char *model, *output;
    int to, dtype;
    bool overwrite;
} convert_options;

enum { TO_HF };
enum { DTYPE_AS_STORED };
static const tuff_dtype dtypes[] = {TUFF_F32, TUFF_F32, TUFF_F16, TUFF_BF16};

static const tuff_arg items[] = {
    {.kind = TUFF_ARG_POSITION,
     .name = "MODEL",
     .offset = offsetof(convert_options, model),
     .help = "a Hugging Face directory or a .gguf file"},
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    {.kind = TUFF_ARG_CHOICE,
     .name = "to",
     .value = "hf|gguf",
     .offset = offsetof(convert_options, to),
     .help = "the kind of the result: a Hugging Face directory or one GGUF file",
     .preset = "",
     .required = true},
    {.kind = TUFF_ARG_TEXT,
     .name = "output",
     .value = "PATH",
     .offset = offsetof(convert_options, output),
     .help = "where to write it",
     .required = true},
    {.kind = TUFF_ARG_CHOICE,
     .name = "dtype",
     .value = "stored|f32|f16|bf16",
     .offset = offsetof(convert_options, dtype),
     .help = "type of the weights; stored keeps what the model has, f32 for block types such as Q8_0"},
    {.kind = TUFF_ARG_FLAG,
     .name = "overwrite",
     .offset = offsetof(convert_options, overwrite),
     .help = "replace what is at PATH; without it nothing that exists is touched"},
    TUFF_CLI_QUIET_ROW,
};
static const tuff_args spec = {
    .verb = "convert",
    .usage = "MODEL --to hf|gguf --output PATH [options]",
    .about =
        "Writes weights, config and tokenizer of a model as the other kind of file, or as the same kind in another "
        "type. The result appears whole or not at all.",
    .items = items,
    .count = sizeof items / sizeof items[0],
};

static bool check_output(const convert_options *options)
{
    bool room = options->to == TO_HF && tuff_cli_is_empty_directory(options->output);
    if (tuff_cli_exists(options->output) && !room && !options->overwrite) {
        tuff_cli_say("tuff: %s exists; choose another --output, or give --overwrite to replace it",
                     options->output);
        return false;
    }
    if (options->to == TO_HF && tuff_cli_holds_adapter(options->output)) {
        tuff_cli_say("tuff: %s holds an adapter, and a model is to be written; choose another --output",
                     options->output);
        return false;
    }
    return tuff_cli_is_directory(options->output) ||
           tuff_cli_can_create(options->output, options->to == TO_HF);
}

static int failed(tuff_status status)
{
    if (status != TUFF_CANCELLED || !tuff_cli_interrupted()) return tuff_cli_failed();
    tuff_cli_say("tuff: interrupted; nothing is written");
    return TUFF_EXIT_FAILED;
}

static int convert(const convert_options *options, const tuff_model *model)
{
    tuff_model_info info = TUFF_MODEL_INFO_INIT;
    if (tuff_model_get_info(model, &info) != TUFF_OK) return tuff_cli_failed();
    tuff_dtype dtype = options->dtype == DTYPE_AS_STORED ? info.dtype : dtypes[options->dtype];
    const tuff_tokenizer *tokenizer;
    if (tuff_model_get_tokenizer(model, &tokenizer) != TUFF_OK && !options->common.quiet)
        tuff_cli_say("tuff: warning: the result will have no tokenizer: %s", tuff_error_message());
    tuff_status status =
        tuff_model_save_watched(model, options->to == TO_HF ? TUFF_FORMAT_HF : TUFF_FORMAT_GGUF, dtype,
                                tuff_cli_watch(), options->output);
    tuff_cli_show_line("");
    if (status != TUFF_OK) return failed(status);
    if (!options->common.quiet)
        tuff_cli_say("%s: %s, %s parameters as %s", options->output, info.architecture,
                     tuff_cli_count(info.parameters), tuff_dtype_name(dtype));
    return TUFF_EXIT_OK;
}

int tuff_cli_convert(int argc, char **argv)
{
    convert_options options = {0};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    tuff_cli_begin(&options.common);
    if (!tuff_cli_model_is_there(options.model) || !check_output(&options)) return TUFF_EXIT_FAILED;
    tuff_model *model = NULL;
    tuff_cli_catch_interrupt();
    tuff_status status = tuff_model_load_watched(options.model, tuff_cli_watch(), &model);
    int code = status == TUFF_OK ? convert(&options, model) : failed(status);
    tuff_model_destroy(&model);
    return code;
}
