/* tuff embed */
#include <stdlib.h>
#include <string.h>
#include <tuff/embed.h>

#include "cli/cli.h"

enum { FORMAT_JSON, FORMAT_CSV, FORMAT_NPY, FORMAT_RAW };
typedef struct embed_options {
    tuff_cli_common common;
    const char *model, *file, *output, *field, *adapter, *prompt, *prompt_name;
    tuff_arg_list texts;
    int64_t dimensions, max_length, batch_tokens, chunk, overlap;
    int pooling, normalize, type, format;
    bool restart;
} embed_options;

#define AT(member) .offset = offsetof(embed_options, member)
static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "What:"},
    {TUFF_ARG_TEXT, "model", "PATH", AT(model),
     .help = "a Hugging Face or sentence-transformers directory, or a .gguf file", .required = true},
    {TUFF_ARG_LIST, "text", "TEXT", AT(texts),
     .help = "a text; may be given again. Its vector goes to standard output"},
    {TUFF_ARG_TEXT, "file", "FILE", AT(file),
     .help = "a text per line, or by its name JSON (.jsonl, .json), CSV or TSV"},
    {TUFF_ARG_TEXT, "field", "NAME", AT(field), .help = "the key or column that holds the text",
     .preset = "text"},
    {TUFF_ARG_TEXT, "output", "FILE", AT(output),
     .help =
         "with --file: where the vectors go, a NumPy array (.npy). A small .origin.json beside it tells of which records "
         "and which model they are. Interrupted, the same command goes on where it stopped",
     .use = TUFF_USE_WRITTEN},
    {TUFF_ARG_CHOICE, "format", "json|csv|npy|raw", AT(format),
     .help = "how vectors are printed: a line each, or all as a NumPy array or as its numbers alone (f32)"},
    {TUFF_ARG_CHOICE, "type", "f32|f16|int8|binary", AT(type),
     .help =
         "how numbers are stored in --output; int8 scales each vector by its largest number, binary keeps signs"},
    {.kind = TUFF_ARG_FLAG, .name = "restart", AT(restart), .help = "begin anew where a run was interrupted"},
    {.kind = TUFF_ARG_GROUP, .name = "How:"},
    {TUFF_ARG_CHOICE, "pooling", "model|mean|cls|max|last|weighted-mean|mean-sqrt-len|none", AT(pooling),
     .help =
         "how the vectors of a text's tokens become one; model: as its files say, else mean for encoders, last for "
         "decoders; none: they stay apart, a row per token, and beside --output a table called .offsets.npy in place of "
         ".npy says where those of each record begin"},
    {TUFF_ARG_CHOICE, "normalize", "model|yes|no", AT(normalize),
     .help = "scale vectors to length 1; model: as its files say, else yes"},
    {TUFF_ARG_INT, "dimensions", "N", AT(dimensions), 1, 1048576, "only the first N numbers (Matryoshka)",
     "all"},
    {TUFF_ARG_INT, "max-length", "N", AT(max_length), 2, 16777216,
     "tokens of a text; what is longer is cut off", "the model's"},
    {TUFF_ARG_INT, "chunk", "N", AT(chunk), 1, 16777216,
     "with --file: cut texts into chunks of at most N tokens, and give a vector for each. Beside --output, a table "
     "called .chunks.npy in place of .npy says of which record and which of its bytes each is",
     "texts are one"},
    {TUFF_ARG_INT, "chunk-overlap", "N", AT(overlap), 0, 16777216,
     "tokens that a chunk shares with the one before it", "0"},
    {TUFF_ARG_TEXT, "prompt", "TEXT", AT(prompt), .help = "put before every text, such as \"query: \"",
     .preset = "the model's default prompt, if it has one"},
    {TUFF_ARG_TEXT, "prompt-name", "NAME", AT(prompt_name),
     .help = "one of the prompts that the model's files name"},
    {TUFF_ARG_TEXT, "adapter", "DIR", AT(adapter),
     .help = "an adapter to apply: of PEFT LoRA, DoRA or IA3; a .gguf file with LoRA"},
    {TUFF_ARG_INT, "batch-tokens", "N", AT(batch_tokens), 1, 16777216,
     "tokens that are computed together; no vector depends on it", "4096"},
    TUFF_CLI_DEVICE_ROWS,
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "embed",
    .usage = "--model PATH (--text TEXT... | --file FILE --output FILE) [options]",
    .about = "Turns texts into vectors.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples = "tuff embed --model MODEL --text \"a sentence\"\n"
                "tuff embed --model MODEL --file docs.jsonl --field body --output vectors.npy",
    .notes =
        "What depends on what:\n"
        "  A text's vector is the same, bit for bit, alone or among others, whatever --batch-tokens and --threads "
        "are. Another device or version may round it differently. A special token that is spelled out in a text "
        "([SEP]) is text, where sentence-transformers takes it for the token.\n",
};

static bool is_binary(const embed_options *o)
{
    return o->format == FORMAT_NPY || o->format == FORMAT_RAW;
}

static bool check(const embed_options *o)
{
    const char *wrong = NULL;
    if (!o->texts.count && !o->file)
        wrong = "give --text TEXT or --file FILE";
    else if (o->texts.count && o->file)
        wrong = "give --text or --file, not both";
    else if (o->file && !o->output)
        wrong = "--file needs --output FILE, where its vectors go";
    else if (o->output && !o->file)
        wrong = "--output is for --file; the vectors of --text go to standard output";
    else if ((o->chunk || o->overlap) && !o->file)
        wrong = "--chunk and --chunk-overlap are for --file";
    else if (o->overlap && !o->chunk)
        wrong = "--chunk-overlap needs --chunk N";
    else if (o->chunk && o->pooling == TUFF_POOLING_NONE)
        wrong = "--chunk gives a vector per chunk, --pooling none one per token: give one of both";
    else if (is_binary(o) && o->texts.count && tuff_cli_is_terminal(stdout))
        wrong = "--format npy and raw are no text for a terminal: send them on, as in > FILE";
    else if (o->prompt && o->prompt_name)
        wrong = "give --prompt or --prompt-name, not both";
    if (wrong) tuff_cli_say("tuff: %s (see: tuff embed --help)", wrong);
    return !wrong;
}

static const char *find_prompt(const embed_options *o, const tuff_embedder *embedder, bool *found)
{
    *found = true;
    if (!o->prompt_name) return o->prompt;
    const char *prompt = tuff_embedder_prompt(embedder, o->prompt_name);
    *found = prompt != NULL;
    if (!prompt)
        tuff_cli_say("tuff: the model's files name no prompt \"%.40s\"; give the text itself with --prompt",
                     o->prompt_name);
    return prompt;
}

/* What stands before all vectors: the head of a .npy file of version 1.0. */
static void print_head(const embed_options *o, size_t rows, size_t columns)
{
    enum { HEAD = 128, BEFORE = 10 };
    char head[HEAD + 1];
    if (o->format != FORMAT_NPY) return;
    int size = snprintf(head, sizeof head,
                        "\x93NUMPY%c%c%c%c{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", 1,
                        0, HEAD - BEFORE, 0, rows, columns);
    memset(head + size, ' ', (size_t)(HEAD - 1 - size));
    head[HEAD - 1] = '\n';
    fwrite(head, 1, HEAD, stdout);
}

static void print_vector(const embed_options *o, const float *x, int64_t n, const char *end)
{
    if (is_binary(o)) {
        fwrite(x, sizeof *x, (size_t)n, stdout);
        return;
    }
    if (o->format == FORMAT_JSON) putchar('[');
    for (int64_t i = 0; i < n; i++)
        printf("%s%.9g", i ? (o->format == FORMAT_JSON ? ", " : ",") : "", (double)x[i]);
    printf("%s%s", o->format == FORMAT_JSON ? "]" : "", end);
}

static int interrupted_or_failed(tuff_status status)
{
    if (status != TUFF_CANCELLED || !tuff_cli_interrupted()) return tuff_cli_failed();
    tuff_cli_say("tuff: interrupted");
    return TUFF_EXIT_FAILED;
}

static void say_truncated(const embed_options *o, int64_t truncated, const tuff_embedder *embedder)
{
    if (!truncated || o->common.quiet) return;
    tuff_cli_say("tuff: %s of the texts %s longer than %lld tokens and cut off there (--max-length)",
                 tuff_cli_count(truncated), truncated == 1 ? "was" : "were",
                 (long long)tuff_embedder_max_length(embedder));
}

/* The vectors of each text's tokens: an array of arrays, a line each, or rows of one array. */
static int embed_tokens(const embed_options *o, tuff_embedder *embedder, const char *prompt)
{
    const size_t d = (size_t)tuff_embedder_dimensions(embedder);
    size_t counts[TUFF_ARG_LIST_MAX] = {0};
    float *vectors = NULL;
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
    params.prompt = prompt;
    tuff_status status =
        tuff_embed_tokens(embedder, o->texts.items, NULL, o->texts.count, &params, counts, &vectors, &result);
    if (status != TUFF_OK) return interrupted_or_failed(status);
    const float *at = vectors;
    size_t rows = 0;
    for (size_t i = 0; i < o->texts.count; i++)
        rows += counts[i];
    print_head(o, rows, d);
    for (size_t i = 0; i < o->texts.count; i++) {
        if (o->format == FORMAT_JSON) putchar('[');
        for (size_t k = 0; k < counts[i]; k++, at += d) {
            if (o->format == FORMAT_JSON && k) printf(", ");
            print_vector(o, at, (int64_t)d, o->format == FORMAT_JSON ? "" : "\n");
        }
        if (o->format == FORMAT_JSON) puts("]");
    }
    tuff_free(vectors);
    say_truncated(o, result.truncated, embedder);
    return TUFF_EXIT_OK;
}

static int embed_texts(const embed_options *o, tuff_embedder *embedder, const char *prompt)
{
    int64_t d = tuff_embedder_dimensions(embedder);
    float *vectors = calloc(o->texts.count * (size_t)d, sizeof *vectors);
    if (!vectors) {
        tuff_cli_say("tuff: out of memory");
        return TUFF_EXIT_FAILED;
    }
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
    params.prompt = prompt;
    tuff_status status =
        tuff_embed(embedder, o->texts.items, NULL, o->texts.count, &params, vectors, &result);
    if (status == TUFF_OK) print_head(o, o->texts.count, (size_t)d);
    for (size_t i = 0; i < o->texts.count && status == TUFF_OK; i++)
        print_vector(o, vectors + i * (size_t)d, d, "\n");
    free(vectors);
    if (status != TUFF_OK) return interrupted_or_failed(status);
    say_truncated(o, result.truncated, embedder);
    return TUFF_EXIT_OK;
}

/* Queries get the model's prompt for them from tuff search; documents get theirs where it is asked for. */
static void say_document_prompt(const embed_options *o, const tuff_embedder *embedder)
{
    static const char *const names[] = {"document", "passage", "corpus"};
    if (o->prompt || o->prompt_name || o->common.quiet || tuff_embedder_prompt(embedder, NULL)) return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *prompt = tuff_embedder_prompt(embedder, names[i]);
        if (!prompt || !*prompt) continue;
        tuff_cli_say(
            "tuff: the model has a prompt for documents that are searched, which is not put before them unless "
            "--prompt-name %s is given",
            names[i]);
        return;
    }
}

static int embed_file(const embed_options *o, tuff_embedder *embedder, const char *prompt)
{
    tuff_embed_file_params params = TUFF_EMBED_FILE_PARAMS_INIT;
    tuff_embed_file_result result = TUFF_EMBED_FILE_RESULT_INIT;
    params.field = o->field;
    params.prompt = prompt;
    params.type = (tuff_vector_type)o->type;
    params.restart = o->restart;
    params.chunk = o->chunk;
    params.overlap = o->overlap;
    say_document_prompt(o, embedder);
    double began = tuff_cli_seconds();
    tuff_status status = tuff_embed_file(embedder, o->file, o->output, &params, &result);
    tuff_cli_show_line("");
    if (status != TUFF_OK) return tuff_cli_failed();
    double seconds = tuff_cli_seconds() - began;
    say_truncated(o, result.truncated, embedder);
    if (o->common.quiet) return TUFF_EXIT_OK;
    if (result.resumed) tuff_cli_say("%s of them were there from before", tuff_cli_count(result.resumed));
    if (o->chunk)
        tuff_cli_say("%s texts in chunks of at most %lld tokens", tuff_cli_count(result.records),
                     (long long)o->chunk);
    tuff_cli_say("%s: %s vectors of %lld numbers in %s, %s a second, %s tokens/s", o->output,
                 tuff_cli_count(result.vectors), (long long)tuff_embedder_dimensions(embedder),
                 tuff_cli_time(seconds),
                 tuff_cli_count((int64_t)((double)(result.vectors - result.resumed) / seconds)),
                 tuff_cli_count((int64_t)((double)result.tokens / seconds)));
    return TUFF_EXIT_OK;
}

static int embed(const embed_options *o, const tuff_model *model, tuff_device *device)
{
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    params.pooling = (tuff_pooling)o->pooling;
    params.normalize = (tuff_normalize)o->normalize;
    params.dimensions = o->dimensions;
    params.max_length = o->max_length;
    params.batch_tokens = o->batch_tokens;
    params.adapter = o->adapter;
    params.watch = tuff_cli_watch();
    tuff_embedder *embedder = NULL;
    bool found = false;
    tuff_cli_watch_shown(&o->common);
    if (tuff_embedder_create(model, device, &params, &embedder) != TUFF_OK) return tuff_cli_failed();
    const char *prompt = find_prompt(o, embedder, &found);
    int code = TUFF_EXIT_FAILED;
    if (found) {
        tuff_cli_catch_interrupt();
        bool apart = params.pooling == TUFF_POOLING_NONE;
        code = o->file ? embed_file(o, embedder, prompt)
               : apart ? embed_tokens(o, embedder, prompt)
                       : embed_texts(o, embedder, prompt);
    }
    tuff_embedder_destroy(&embedder);
    return code;
}

int tuff_cli_embed(int argc, char **argv)
{
    embed_options options = {0};
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    if (!check(&options)) return TUFF_EXIT_USAGE;
    tuff_cli_begin(&options.common);
    if (!tuff_cli_find_model(&options.model, options.common.quiet) ||
        !tuff_cli_find_adapter(&options.adapter, options.common.quiet))
        return TUFF_EXIT_FAILED;
    if (!tuff_cli_check_outputs(&spec, &options)) return TUFF_EXIT_FAILED;
    tuff_model *base = NULL, *adapted = NULL;
    const tuff_model *model = NULL;
    tuff_device *device = NULL;
    int code = tuff_cli_load_speaking(options.model, options.adapter, &base, &adapted, &model) == TUFF_OK &&
                       tuff_cli_open_device(&options.common, false, &device) == TUFF_OK
                   ? embed(&options, model, device)
                   : tuff_cli_failed();
    tuff_cli_device_stats(&options.common, device);
    tuff_device_destroy(&device);
    tuff_model_destroy(&adapted);
    tuff_model_destroy(&base);
    return code;
}
