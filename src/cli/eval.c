/* tuff eval */
#include <tuff/train.h>

#include "cli/cli.h"

typedef struct eval_options {
    tuff_cli_common common;
    const char *model, *file, *adapter, *dump_logits;
    int64_t block_size, batch_size;
    int format;
} eval_options;

#define AT(field) .offset = offsetof(eval_options, field)
static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Options:"},
    {TUFF_ARG_TEXT, "model", "PATH", AT(model), .help = "a Hugging Face directory or a .gguf file",
     .required = true},
    {TUFF_ARG_TEXT, "file", "FILE", AT(file), .help = "the text, UTF-8", .required = true},
    {TUFF_ARG_CHOICE, "file-format", "auto|text", AT(format),
     .help =
         "auto refuses JSON records and tables (.csv, .tsv), which are not understood yet; text takes them as they are written"},
    {TUFF_ARG_TEXT, "adapter", "DIR", AT(adapter), .help = "a PEFT LoRA adapter to apply"},
    {TUFF_ARG_INT, "block-size", "N", AT(block_size), 2, 16777216, "tokens of a block",
     "1024, or the model's context if that is less"},
    {TUFF_ARG_INT, "batch-size", "N", AT(batch_size), 1, 65536, "blocks that run at once"},
    {TUFF_ARG_TEXT, "dump-logits", "FILE", AT(dump_logits),
     .help = "also write input_ids and logits of the first blocks, at most 4, as safetensors"},
    TUFF_CLI_DEVICE_ROWS,
    TUFF_CLI_JSON_ROW("print one JSON object with loss, perplexity and tokens"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "eval",
    .usage = "--model PATH --file FILE [options]",
    .stray = "a model as --model PATH, a text as --file FILE",
    .about = "Measures how well a model predicts a text.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .notes =
        "How it is counted:\n"
        "  The text becomes one stream of tokens (special tokens spelled out in it are seen, none are added), cut "
        "into blocks of --block-size that do not overlap. In each block every token but the first is predicted "
        "from those before it in the block. A last block that is not full counts when it has two tokens. "
        "tokens is the number of predictions, loss their mean negative log-likelihood in nats, perplexity "
        "exp(loss). Numbers from other block sizes or tokenizers do not compare.",
};

static int evaluate(const eval_options *o, const tuff_model *model, tuff_device *device)
{
    int64_t block = tuff_cli_block_size(model, o->block_size);
    const tuff_watch *watch = tuff_cli_watch();
    tuff_eval_params params = TUFF_EVAL_PARAMS_INIT;
    params.batch_size = o->batch_size;
    params.adapter = o->adapter;
    params.watch = watch;
    tuff_text_params text = TUFF_TEXT_PARAMS_INIT;
    text.watch = watch;
    text.allow_json = o->format == TUFF_CLI_FORMAT_TEXT;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    tuff_dataset *data = NULL;
    int code = TUFF_EXIT_OK;
    tuff_status status = tuff_dataset_load_text(model, o->file, block, &text, &data);
    if (status != TUFF_OK) return tuff_cli_text_failed(status, "file-format");
    tuff_cli_catch_interrupt();
    status = tuff_evaluate(model, device, data, &params, &result);
    if (status == TUFF_OK && o->dump_logits)
        status = tuff_save_logits(model, device, data, o->adapter, watch, o->dump_logits);
    if (status == TUFF_CANCELLED && tuff_cli_interrupted()) {
        tuff_cli_say("tuff: interrupted");
        code = TUFF_EXIT_FAILED;
    } else if (status != TUFF_OK) {
        code = tuff_cli_failed();
    } else if (o->common.json) {
        tuff_cli_show_line("");
        printf("{\"loss\": ");
        tuff_cli_json_number(stdout, result.loss);
        printf(", \"perplexity\": ");
        tuff_cli_json_number(stdout, result.perplexity);
        printf(", \"tokens\": %lld, \"block_size\": %lld}\n", (long long)result.tokens, (long long)block);
    } else {
        tuff_cli_show_line("");
        printf("loss        %.6f\nperplexity  %.4f\ntokens      %s in blocks of %lld\n", result.loss,
               result.perplexity, tuff_cli_count(result.tokens), (long long)block);
    }
    tuff_dataset_destroy(&data);
    return code;
}

int tuff_cli_eval(int argc, char **argv)
{
    eval_options options = {.batch_size = 4};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    tuff_cli_begin(&options.common);
    if (!tuff_cli_model_is_there(options.model)) return TUFF_EXIT_FAILED;
    const char *const inputs[] = {options.model, options.file, options.adapter};
    if (!tuff_cli_check_output("dump-logits", options.dump_logits, inputs, 3)) return TUFF_EXIT_FAILED;
    tuff_model *model = NULL;
    tuff_device *device = NULL;
    int code = tuff_model_load(options.model, &model) == TUFF_OK &&
                       tuff_cli_open_device(&options.common, false, &device) == TUFF_OK
                   ? evaluate(&options, model, device)
                   : tuff_cli_failed();
    tuff_cli_device_stats(&options.common, device);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    return code;
}
