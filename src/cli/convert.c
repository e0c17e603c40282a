/* tuff convert */
#include <stdlib.h>
#include <string.h>
#include <tuff/importance.h>

#include "cli/cli.h"

typedef struct convert_options {
    tuff_cli_common common;
    const char *model, *output, *text, *adapter, *base, *base_name;
    int to, dtype;
    bool overwrite, requantize;
} convert_options;

enum { TO_HF };
/* Of the words of --dtype: what the model has; then the names of tuff_save_type, of which a directory can
 * have the first. */
enum { DTYPE_AS_STORED, DTYPE_FIRST, DTYPE_LAST_OF_HF = 3 };

static const tuff_arg items[] = {
    {.kind = TUFF_ARG_POSITION,
     .name = "MODEL",
     .offset = offsetof(convert_options, model),
     .help = TUFF_CLI_MODEL_HELP "; or an adapter, of PEFT or, with --base, a .gguf file"},
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
     .required = true,
     .use = TUFF_USE_WRITTEN},
    {.kind = TUFF_ARG_TEXT,
     .name = "adapter",
     .value = "DIR",
     .offset = offsetof(convert_options, adapter),
     .help =
         "merge this adapter, of PEFT or a .gguf file: the result has it in its weights and needs no adapter; its chat template and its new tokens come along. LoRA, VeRA and IA3 can be merged, several LoRAs by weight (a=0.7,b=0.3); a "
         "quantized model needs a --dtype then, since its weights become others"},
    {.kind = TUFF_ARG_TEXT,
     .name = "base",
     .value = "MODEL",
     .offset = offsetof(convert_options, base),
     .help =
         "convert an adapter, which is for this model: to a PEFT directory, or to a GGUF file for llama.cpp, which "
         "has plain LoRA only (other scales of rsLoRA and patterns are multiplied in)",
     .preset = "the model that the adapter's adapter_config.json or run.json names, where it is there"},
    {.kind = TUFF_ARG_TEXT,
     .name = "base-model-name",
     .value = "NAME",
     .offset = offsetof(convert_options, base_name),
     .help = "what that model is called in the result, such as a name of the hub",
     .preset = "as the adapter says"},
    {.kind = TUFF_ARG_CHOICE,
     .name = "dtype",
     .value = "stored|f32|f16|bf16|q8_0|q6_k|q5_k_m|q5_k_s|q4_k_m|q4_k_s|q3_k_l|q3_k_m|q3_k_s|q2_k|q5_1|q5_0|"
              "q4_1|q4_0|iq4_nl|mxfp4",
     .offset = offsetof(convert_options, dtype),
     .help =
         "type of the weights; stored keeps what the model has, f32 for a quantized one. Those from q8_0 on "
         "quantize, and are for --to gguf: of each number so many bits remain, more in the matrices that need "
         "them, as in llama.cpp's files. q4_k_m is a good choice for most; mxfp4 is for experts, all else "
         "becomes q8_0"},
    {.kind = TUFF_ARG_TEXT,
     .name = "importance-text",
     .value = "FILE",
     .offset = offsetof(convert_options, text),
     .help =
         "run the model over this text first, UTF-8 of the kind that it is to be good at, and let errors count by "
         "how much each weight then matters (llama.cpp's imatrix). Some 10,000 words are enough; it takes as long "
         "as reading them on the CPU, and the quality of few bits gains most"},
    {.kind = TUFF_ARG_FLAG,
     .name = "allow-requantize",
     .offset = offsetof(convert_options, requantize),
     .help =
         "quantize also what is quantized already, in another type; the original would give a better result"},
    {.kind = TUFF_ARG_INT,
     .name = "threads",
     .value = "N",
     .offset = offsetof(tuff_cli_common, threads),
     .low = 1,
     .high = 1024,
     .help = "how many threads quantize; the result does not depend on it",
     .preset = "the processors that the process may use"},
    {.kind = TUFF_ARG_FLAG,
     .name = "overwrite",
     .offset = offsetof(convert_options, overwrite),
     .help = "replace what is at PATH, unless it is read; without it nothing that exists is touched"},
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
    .examples = "tuff convert MODEL --to gguf --dtype q4_k_m --output model-q4_k_m.gguf\n"
                "tuff convert MODEL --adapter pirate-lora --to hf --output merged",
};

static bool check_output(const convert_options *options)
{
    bool room = options->to == TO_HF && tuff_cli_is_empty_directory(options->output);
    if (tuff_cli_exists(options->output) && !room && !options->overwrite) {
        tuff_cli_say("tuff: %s exists; choose another --output, or give --overwrite to replace it",
                     options->output);
        return false;
    }
    if (options->base && tuff_cli_holds_model(options->output)) {
        tuff_cli_say("tuff: %s holds a model, and an adapter is to be written; choose another --output",
                     options->output);
        return false;
    }
    if (options->to == TO_HF && !options->base && tuff_cli_holds_adapter(options->output)) {
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

/* What the text shows to matter; NULL in *out where there is none. */
static int observe(const convert_options *options, const tuff_model *model, tuff_importance **out)
{
    tuff_device *device = NULL;
    tuff_importance_params params = TUFF_IMPORTANCE_PARAMS_INIT;
    *out = NULL;
    if (!options->text) return TUFF_EXIT_OK;
    char *text = tuff_cli_read_text(options->text);
    if (!text) return TUFF_EXIT_FAILED;
    tuff_cli_common common = options->common;
    common.device = "cpu";
    params.watch = tuff_cli_watch();
    tuff_status status = tuff_cli_open_device(&common, false, &device);
    if (status == TUFF_OK) status = tuff_importance_create(model, device, text, strlen(text), &params, out);
    tuff_device_destroy(&device);
    free(text);
    return status == TUFF_OK ? TUFF_EXIT_OK : failed(status);
}

static int convert(const convert_options *options, const tuff_model *model, const tuff_importance *importance)
{
    tuff_model_info info = TUFF_MODEL_INFO_INIT;
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    if (tuff_model_get_info(model, &info) != TUFF_OK) return tuff_cli_failed();
    const bool half = info.dtype == TUFF_F16 || info.dtype == TUFF_BF16;
    if (half || !options->adapter) params.type = tuff_dtype_name(half ? info.dtype : TUFF_F32);
    if (options->dtype >= DTYPE_FIRST) params.type = tuff_save_type((size_t)(options->dtype - DTYPE_FIRST));
    params.format = options->to == TO_HF ? TUFF_FORMAT_HF : TUFF_FORMAT_GGUF;
    params.threads = (uint32_t)options->common.threads;
    params.watch = tuff_cli_watch();
    params.importance = importance;
    if (options->requantize) params.flags = TUFF_SAVE_REQUANTIZE;
    const tuff_tokenizer *tokenizer;
    if (tuff_model_get_tokenizer(model, &tokenizer) != TUFF_OK && !options->common.quiet)
        tuff_cli_say("tuff: warning: the result will have no tokenizer: %s", tuff_error_message());
    const tuff_status status = tuff_model_save_with(model, &params, options->output);
    tuff_cli_show_line("");
    if (status != TUFF_OK) return failed(status);
    if (!options->common.quiet)
        tuff_cli_say("%s: %s%s, %s parameters as %s", options->output, info.architecture,
                     options->adapter ? " with the adapter merged" : "", tuff_cli_count(info.parameters),
                     params.type ? params.type : tuff_dtype_name(TUFF_F32));
    return TUFF_EXIT_OK;
}

/* An adapter, for a model. */
static int convert_adapter(convert_options *options)
{
    tuff_adapter_params params = TUFF_ADAPTER_PARAMS_INIT;
    tuff_model *base = NULL;
    if (!tuff_cli_find_model(&options->base, options->common.quiet)) return TUFF_EXIT_FAILED;
    tuff_cli_catch_interrupt();
    params.format = options->to == TO_HF ? TUFF_FORMAT_HF : TUFF_FORMAT_GGUF;
    params.base_name = options->base_name;
    params.watch = tuff_cli_watch();
    tuff_status status = tuff_model_load_watched(options->base, tuff_cli_watch(), &base);
    if (status == TUFF_OK) status = tuff_adapter_convert(base, options->model, &params, options->output);
    tuff_model_destroy(&base);
    tuff_cli_show_line("");
    if (status != TUFF_OK) return failed(status);
    if (!options->common.quiet)
        tuff_cli_say("%s: an adapter for %s", options->output,
                     options->base_name ? options->base_name : options->base);
    return TUFF_EXIT_OK;
}

static bool is_adapter(const char *path)
{
    return tuff_cli_holds_adapter(path) && !tuff_cli_holds_model(path);
}

/* Options that go together. */
static const char *contradiction(const convert_options *o)
{
    if (o->base && (o->adapter || o->text || o->requantize))
        return "with --base an adapter is converted, which --adapter, --importance-text and --allow-requantize are not "
               "for";
    if (o->base && o->dtype >= DTYPE_FIRST &&
        strcmp(tuff_save_type((size_t)(o->dtype - DTYPE_FIRST)), "f32") != 0)
        return "adapters are written as f32";
    if (o->base_name && !o->base && !is_adapter(o->model))
        return "--base-model-name is for an adapter, which needs --base";
    return NULL;
}

static bool agree(const convert_options *options)
{
    const char *wrong = contradiction(options);
    if (wrong) tuff_cli_say("tuff: %s (see: tuff help convert)", wrong);
    return !wrong;
}

int tuff_cli_convert(int argc, char **argv)
{
    convert_options options = {0};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    if (!agree(&options)) return TUFF_EXIT_USAGE;
    if (options.to == TO_HF && options.dtype > DTYPE_LAST_OF_HF) {
        tuff_cli_say(
            "tuff: a Hugging Face directory holds weights as f32, f16 or bf16; --dtype %s is for --to gguf",
            tuff_save_type((size_t)(options.dtype - DTYPE_FIRST)));
        return TUFF_EXIT_USAGE;
    }
    if (options.text && (options.to == TO_HF || options.dtype <= DTYPE_LAST_OF_HF)) {
        tuff_cli_say(
            "tuff: --importance-text is for what is quantized: --to gguf with a --dtype from q8_0 on");
        return TUFF_EXIT_USAGE;
    }
    tuff_cli_begin(&options.common);
    if (!tuff_cli_find_model(&options.model, options.common.quiet)) return TUFF_EXIT_FAILED;
    if (!options.base && is_adapter(options.model)) {
        options.base = tuff_cli_adapter_base(options.model, options.common.quiet);
        if (!options.base) return TUFF_EXIT_FAILED;
        if (!agree(&options)) return TUFF_EXIT_USAGE;
    }
    if (!check_output(&options) || !tuff_cli_check_outputs(&spec, &options)) return TUFF_EXIT_FAILED;
    if (options.base) return convert_adapter(&options);
    tuff_model *model = NULL, *merged = NULL;
    tuff_cli_catch_interrupt();
    tuff_status status = tuff_model_load_watched(options.model, tuff_cli_watch(), &model);
    if (status == TUFF_OK && options.adapter) status = tuff_model_merged(model, options.adapter, &merged);
    const tuff_model *from = merged ? merged : model;
    tuff_importance *importance = NULL;
    int code = status == TUFF_OK ? observe(&options, from, &importance) : failed(status);
    if (code == TUFF_EXIT_OK) code = convert(&options, from, importance);
    tuff_importance_destroy(&importance);
    tuff_model_destroy(&merged);
    tuff_model_destroy(&model);
    return code;
}
