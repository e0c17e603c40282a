/* tuff generate */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/generate.h>
#include <tuff/program.h>

#include "cli/chat.h"

#define AT(field) .offset = offsetof(tuff_cli_generate_options, field)
static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "What to continue:"},
#include "cli/whose.def"
    {TUFF_ARG_TEXT, "prompt", "TEXT", AT(prompt),
     .help = "the text to continue, or, of an encoder-decoder, to answer"},
    {TUFF_ARG_TEXT, "source-prefix", "TEXT", AT(source_prefix),
     .help = "put before every prompt, such as \"translate English to German: \"", .preset = "nothing"},
    {TUFF_ARG_TEXT, "prompt-file", "FILE", AT(prompt_file),
     .help = "a file with the text to continue, without its last line end; - is standard input"},
    {TUFF_ARG_TEXT, "file", "FILE", AT(file),
     .help = "many prompts: one per line, or by its name JSON (.jsonl, .json), CSV or TSV"},
    {TUFF_ARG_TEXT, "field", "NAME", AT(field), .help = "the key or column of --file that holds the prompt",
     .preset = "prompt"},
    {TUFF_ARG_INT, "num-return-sequences", "N", AT(num_return_sequences), 1, 1048576,
     "texts for each prompt, each with random numbers of its own; with --num-beams the N best", "1"},
    {TUFF_ARG_INT, "batch-size", "N", AT(batch_size), 1, 1024, "of many texts: how many are made at once",
     "8"},
    {.kind = TUFF_ARG_GROUP,
     .name = "To answer messages of a chat, in place of a prompt (several turns: see tuff help chat):"},
#include "cli/said.def"
#include "cli/template.def"
#include "cli/choosing.def"
    {.kind = TUFF_ARG_GROUP, .name = "To search for the most probable text:"},
    {TUFF_ARG_INT, "num-beams", "N", AT(num_beams), 1, 256,
     "N texts are gone on with at once, and the best is given when it is found; 1: no search",
     "as generation_config.json says, else 1"},
    {TUFF_ARG_REAL, "length-penalty", "X", AT(length_penalty), -100, 100,
     "with beams: log-probabilities are divided by the text's length to this power; above 0 longer texts gain by it",
     "as generation_config.json says, else 1"},
    {TUFF_ARG_CHOICE, "early-stopping", "false|true|never", AT(early_stopping),
     .help =
         "with beams: end when no better text is likely; when as many have ended as there are beams; when none can be "
         "better",
     .preset = "as generation_config.json says, else false"},
    {.kind = TUFF_ARG_GROUP, .name = "When to end:"},
#include "cli/ending.def"
    {TUFF_ARG_INT, "min-new-tokens", "N", AT(min_new_tokens), 0, 1e15,
     "before N tokens the model does not end its text; stop texts may",
     "as generation_config.json says, else 0"},
    {TUFF_ARG_FLAG, "ignore-eos", NULL, AT(ignore_eos),
     .help = "go on after the model's end-of-text token, but not after those of --eos-token-id"},
    {TUFF_ARG_INT, "context-length", "N", AT(context_length), 1, 16777216,
     "tokens of prompt and text together; models with rotary positions may be run past what they were trained for",
     "the model's"},
    {.kind = TUFF_ARG_GROUP, .name = "Other options:"},
    {TUFF_ARG_INT, "logprobs", "N", AT(logprobs), 0, 1000,
     "give the tokens of the text too, each with the logarithm of its probability and the N most probable ones: "
     "the model's own, before anything above changes them",
     "none"},
    TUFF_CLI_DEVICE_ROWS,
#include "cli/running.def"
    {TUFF_ARG_FLAG, "invariant", NULL, AT(invariant),
     .help = "of many texts: none depends on the others or on --batch-size, not even by rounding"},
    {TUFF_ARG_OPTIONAL, "profile", "FILE", AT(profile),
     .help = "print the time by operation of a one-token step, and write its Chrome trace to FILE",
     .use = TUFF_USE_WRITTEN},
    TUFF_CLI_JSON_ROW("print a JSON object for each text when it is done, instead of the text as it comes"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "generate",
    .usage = "--model PATH (--prompt TEXT | --prompt-file FILE | --file FILE | --messages FILE) [options]",
    .stray = "a model as --model PATH, a prompt as --prompt TEXT, in quotes",
    .about =
        "Continues a prompt. The prompt and then the new text, as it is made, go to standard output; the speed to "
        "standard error. Ctrl-C ends the text. Many texts are made together; they come in the order of their prompts, "
        "each when it is done, and Ctrl-C keeps those that are.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples =
        "tuff generate --model MODEL --prompt \"Once upon a time\" --max-new-tokens 200 --temperature 0.8 --top-p 0.95\n"
        "tuff generate --model MODEL --file prompts.jsonl --field question --json",
};

enum { PROMPT_LIMIT = 64 << 20 };

typedef struct text {
    char *data;
    size_t size, capacity;
} text;

static bool append(text *to, const char *data, size_t size)
{
    if (to->capacity - to->size < size + 1) {
        size_t capacity = 2 * (to->size + size) + 64;
        char *grown = realloc(to->data, capacity);
        if (!grown) {
            tuff_cli_say("tuff: out of memory");
            return false;
        }
        to->data = grown;
        to->capacity = capacity;
    }
    if (size) memcpy(to->data + to->size, data, size);
    to->size += size;
    to->data[to->size] = 0;
    return true;
}

static bool read_prompt(const char *path, text *out)
{
    bool is_stdin = strcmp(path, "-") == 0, ok = true;
    FILE *file = is_stdin ? stdin : tuff_cli_open_input(path);
    if (!file) return false;
    errno = 0;
    char piece[4096];
    for (size_t n; ok && (n = fread(piece, 1, sizeof piece, file)) > 0;)
        ok = append(out, piece, n) && out->size <= PROMPT_LIMIT;
    if (out->size > PROMPT_LIMIT) {
        tuff_cli_say("tuff: the prompt in %s is larger than 64 MB", path);
    } else if (ferror(file)) {
        tuff_cli_say("tuff: the prompt in %s cannot be read: %s", path, strerror(errno));
        ok = false;
    }
    if (!is_stdin) fclose(file);
    if (ok && out->size && out->data[out->size - 1] == '\n') out->size--;
    if (ok && out->size && out->data[out->size - 1] == '\r') out->size--;
    return ok;
}

typedef struct receiver {
    const text *prompt; /* NULL once printed, or not to be printed */
    bool keep, failed, shown;
    text made;
    tuff_cli_tokens tokens;
} receiver;

/* The prompt is held back until the model has taken it: an error leaves nothing on stdout. */
static void print_prompt(receiver *to)
{
    tuff_cli_show_line("");
    if (to->prompt) fwrite(to->prompt->data, 1, to->prompt->size, stdout);
    to->prompt = NULL;
}

static bool on_text(const char *data, size_t size, void *user)
{
    receiver *to = user;
    if (to->keep) {
        to->failed = !append(&to->made, data, size);
    } else {
        errno = 0;
        print_prompt(to);
        to->shown = true;
        to->failed = fwrite(data, 1, size, stdout) != size || fflush(stdout) != 0;
        if (to->failed) tuff_cli_stdout_failed(errno);
    }
    return !to->failed && !tuff_cli_interrupted();
}

static void on_token(const tuff_chosen *token, void *user)
{
    receiver *to = user;
    if (to->failed || tuff_cli_tokens_add(&to->tokens, token)) return;
    to->failed = true;
    tuff_cli_say("tuff: out of memory");
}

const char *tuff_cli_finish_name(tuff_finish finish)
{
    static const char *const names[] = {"length", "eos", "stop", "context", "cancelled", "failed"};
    return names[finish];
}

/* `tokenizer`: of the tokens, where they were asked for; NULL: they were not. */
static void print_json(const text *prompt, const receiver *made, const tuff_generate_result *r,
                       const tuff_tokenizer *tokenizer)
{
    printf("{\"prompt\": ");
    tuff_cli_json_text(stdout, prompt->data ? prompt->data : "", prompt->size);
    printf(", \"text\": ");
    tuff_cli_json_text(stdout, made->made.data ? made->made.data : "", made->made.size);
    printf(", \"finish\": \"%s\", \"prompt_tokens\": %lld, \"new_tokens\": %lld, \"prompt_seconds\": ",
           tuff_cli_finish_name(r->finish), (long long)r->prompt_tokens, (long long)r->new_tokens);
    tuff_cli_json_number(stdout, r->prompt_seconds);
    printf(", \"generate_seconds\": ");
    tuff_cli_json_number(stdout, r->generate_seconds);
    printf(", \"start_seconds\": ");
    tuff_cli_json_number(stdout, r->start_seconds);
    if (tokenizer) tuff_cli_tokens_json(tokenizer, made->tokens.items, made->tokens.count);
    printf("}\n");
}

static void print_stats(const tuff_generate_result *r)
{
    static const char *const why[] = {"--max-new-tokens reached", "the model ended its text",
                                      "a stop text came", "the context is full", "interrupted"};
    char speed[48] = ""; /* the run of the prompt gives the first token: one token alone has no speed */
    if (r->new_tokens > 1 && r->generate_seconds > 0)
        snprintf(speed, sizeof speed, ", %.1f tokens/s", (double)r->new_tokens / r->generate_seconds);
    char prompt[64] =
        ""; /* a short prompt is one run, the first, in which kernels may be compiled: no speed */
    if (r->prompt_rate > 0)
        snprintf(prompt, sizeof prompt, ", %.1f tokens/s", r->prompt_rate);
    else if (r->prompt_seconds > 0)
        snprintf(prompt, sizeof prompt, " in %.2f s, first run included", r->prompt_seconds);
    char line[256];
    int columns = tuff_cli_columns(stderr);
    snprintf(line, sizeof line, "prompt: %s token%s%s; text: %s token%s%s (%s)",
             tuff_cli_count(r->prompt_tokens), r->prompt_tokens == 1 ? "" : "s", prompt,
             tuff_cli_count(r->new_tokens), r->new_tokens == 1 ? "" : "s", speed, why[r->finish]);
    tuff_cli_show_line("");
    fflush(stdout);
    tuff_cli_wrap(stderr, columns ? columns : (int)sizeof line, line, 0, 0);
}

static int profile(const tuff_cli_generate_options *o, tuff_generator *generator)
{
    tuff_program *program = tuff_generator_program(generator);
    if (!program) {
        tuff_cli_say("tuff: warning: there is no profile: no token was fed back to the model");
        return TUFF_EXIT_OK;
    }
    char *trace = o->profile.value ? tuff_program_profile_trace(program) : NULL;
    return tuff_cli_profile(tuff_program_profile_text(program), trace, o->profile.value) ? TUFF_EXIT_OK
                                                                                         : TUFF_EXIT_FAILED;
}

tuff_generate_params tuff_cli_generate_params(const tuff_cli_generate_options *o, tuff_sampling *sampling)
{
    *sampling = (tuff_sampling)TUFF_SAMPLING_INIT;
    sampling->repetition_penalty = (float)o->repetition_penalty;
    sampling->repetition_window = (uint32_t)o->repetition_window;
    sampling->temperature = (float)o->temperature;
    sampling->top_k = (uint32_t)o->top_k;
    sampling->top_p = (float)o->top_p;
    sampling->min_p = (float)o->min_p;
    sampling->typical_p = (float)o->typical_p;
    sampling->min_tokens_to_keep = (uint32_t)o->min_tokens_to_keep;
    sampling->frequency_penalty = (float)o->frequency_penalty;
    sampling->presence_penalty = (float)o->presence_penalty;
    sampling->no_repeat_ngram_size = (uint32_t)o->no_repeat_ngram_size;
    sampling->logit_bias = o->biases->all;
    sampling->logit_bias_count = o->biases->all_count;
    sampling->seed = (uint64_t)o->seed;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    params.sampling = sampling;
    params.max_new_tokens = o->max_new_tokens;
    params.stop = o->stop.items;
    params.stop_count = o->stop.count;
    params.min_new_tokens = o->min_new_tokens;
    params.eos_ids = o->eos_ids;
    params.eos_id_count = o->eos_token_id.count;
    params.top_logprobs = o->logprobs > 0 ? (uint32_t)o->logprobs : 0;
    params.ignore_eos = o->ignore_eos;
    params.num_beams = o->num_beams;
    params.length_penalty = o->length_penalty;
    params.source_prefix = o->source_prefix;
    params.early_stopping = (tuff_early_stopping)o->early_stopping;
    params.min_length = o->min_length;
    params.max_length = o->max_length;
    params.no_special = o->rendered;
    return params;
}

/* `goes_on`: the text goes on with the prompt, which is printed before it; else it answers it. */
static int generate(const tuff_cli_generate_options *o, tuff_generator *generator, const text *prompt,
                    bool goes_on, const tuff_tokenizer *tokenizer)
{
    bool json = o->common.json;
    receiver made = {.prompt = json || !goes_on ? NULL : prompt, .keep = json};
    tuff_sampling sampling;
    tuff_generate_params params = tuff_cli_generate_params(o, &sampling);
    params.on_text = on_text;
    params.on_token = o->logprobs < 0 ? NULL : on_token;
    params.user = &made;
    params.watch = tuff_cli_watch();
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    tuff_status status = tuff_generate(generator, prompt->data, prompt->size, &params, &result);
    if (status == TUFF_OK) print_prompt(&made);
    if (!json && (goes_on ? !made.prompt : made.shown || status == TUFF_OK)) putchar('\n');
    tuff_cli_tokens_end(&made.tokens);
    if (!json && !made.failed) tuff_cli_tokens_print(tokenizer, made.tokens.items, made.tokens.count);
    int code = made.failed || tuff_cli_interrupted() ? TUFF_EXIT_FAILED : TUFF_EXIT_OK;
    bool interrupted = status == TUFF_CANCELLED && tuff_cli_interrupted();
    if (interrupted && !result.new_tokens) {
        tuff_cli_say("tuff: interrupted before the first token");
    } else if (status != TUFF_OK && !interrupted) {
        code = tuff_cli_failed();
    } else {
        if (json && !made.failed) print_json(prompt, &made, &result, o->logprobs < 0 ? NULL : tokenizer);
        if (!o->common.quiet && !made.failed) print_stats(&result);
        if (o->profile.given && profile(o, generator) != TUFF_EXIT_OK) code = TUFF_EXIT_FAILED;
    }
    free(made.made.data);
    tuff_cli_tokens_free(&made.tokens);
    return code;
}

/* --messages: the chat as the model's template writes it, with what an answer begins with. */
static bool render(tuff_cli_generate_options *o, const tuff_model *model, text *out)
{
    chat c = {.o = o};
    tuff_chat_text *rendered = NULL;
    bool ok = tuff_cli_chat_begin(&c) && tuff_cli_chat_template(&c, model);
    if (ok && tuff_cli_chat_render(&c, &rendered) != TUFF_OK) ok = tuff_cli_failed() == TUFF_EXIT_OK;
    ok = ok && append(out, rendered->data, rendered->size);
    o->rendered = true;
    tuff_chat_text_destroy(&rendered);
    tuff_chat_template_destroy(&c.template);
    tuff_cli_chat_free(&c);
    return ok;
}

static bool is_many(const tuff_cli_generate_options *o)
{
    return o->file || o->num_return_sequences > 1;
}

static int one(const tuff_cli_generate_options *o, const tuff_model *model, tuff_device *device,
               const text *prompt)
{
    int code = TUFF_EXIT_FAILED;
    tuff_generator_params params = TUFF_GENERATOR_PARAMS_INIT;
    params.context_length = o->context_length;
    params.cache_f16 = o->cache_f16;
    params.exact = o->exact;
    params.adapter = o->adapter;
    params.watch = tuff_cli_watch();
    tuff_generator *generator = NULL;
    tuff_model_info info = TUFF_MODEL_INFO_INIT;
    const tuff_tokenizer *tokenizer = NULL;
    tuff_status status = tuff_model_get_info(model, &info);
    if (status == TUFF_OK) status = tuff_model_get_tokenizer(model, &tokenizer);
    if (status == TUFF_OK) status = tuff_generator_create(model, device, &params, &generator);
    if (status == TUFF_OK)
        code = generate(o, generator, prompt, !info.encoder_decoder && !o->messages, tokenizer);
    else if (status == TUFF_CANCELLED && tuff_cli_interrupted())
        tuff_cli_say("tuff: interrupted before the first token");
    else
        tuff_cli_failed();
    tuff_generate_memory memory = TUFF_GENERATE_MEMORY_INIT;
    if (generator && tuff_generator_get_memory(generator, &memory) == TUFF_OK)
        tuff_cli_generate_memory(&o->common, &memory);
    tuff_generator_destroy(&generator);
    return code;
}

static int with_prompt(tuff_cli_generate_options *o, text *prompt)
{
    int code = TUFF_EXIT_FAILED;
    tuff_cli_biases biases = {.count = 0};
    o->biases = &biases;
    tuff_model *base = NULL, *adapted = NULL;
    const tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_status status = tuff_cli_load_speaking(o->model, o->adapter, &base, &adapted, &model);
    if (status == TUFF_OK) status = tuff_cli_open_device(&o->common, o->profile.given, &device);
    tuff_cli_catch_interrupt();
    if (status != TUFF_OK)
        tuff_cli_failed();
    else if ((o->messages && !render(o, model, prompt)) || !tuff_cli_generate_biases(o, model, &biases) ||
             !tuff_cli_generate_settle(o, model))
        code = TUFF_EXIT_FAILED;
    else if (is_many(o))
        code = tuff_cli_generate_many(o, model, device, prompt->data, prompt->size);
    else
        code = one(o, model, device, prompt);
    tuff_cli_biases_free(&biases);
    tuff_cli_device_stats(&o->common, device);
    tuff_device_destroy(&device);
    tuff_model_destroy(&adapted);
    tuff_model_destroy(&base);
    return code;
}

bool tuff_cli_generate_eos_ids(tuff_cli_generate_options *o, const char *verb)
{
    for (size_t i = 0; i < o->eos_token_id.count; i++) {
        const char *given = o->eos_token_id.items[i];
        const size_t digits = strspn(given, "0123456789");
        if (!digits || given[digits] || digits > 9) {
            tuff_cli_say(
                "tuff: --eos-token-id is \"%.40s\", expected the number of a token (see: tuff help %s)",
                given, verb);
            return false;
        }
        o->eos_ids[i] = (int32_t)strtol(given, NULL, 10);
    }
    return true;
}

static bool check(tuff_cli_generate_options *o)
{
    const char *wrong = NULL;
    int sources = !!o->prompt + !!o->prompt_file + !!o->file + !!o->messages;
    if (sources == 0)
        wrong = "needs one of --prompt, --prompt-file, --file and --messages";
    else if (sources > 1)
        wrong = "needs one of --prompt, --prompt-file, --file and --messages, not several";
    else if (!o->messages && (o->system || o->tools || o->template || o->variables))
        wrong = "takes --system, --tools, --chat-template and --chat-template-kwargs with --messages";
    else if (o->messages && o->source_prefix)
        wrong = "takes no --source-prefix with --messages";
    else if (o->num_beams > 1 && o->logprobs >= 0)
        wrong = "gives no --logprobs with --num-beams";
    else if (o->profile.given && is_many(o))
        wrong = "can make a --profile of one text only";
    if (wrong) tuff_cli_say("tuff: generate %s (see: tuff help generate)", wrong);
    return !wrong && tuff_cli_generate_eos_ids(o, "generate") && tuff_cli_generate_check_biases(o);
}

int tuff_cli_generate(int argc, char **argv)
{
    tuff_cli_generate_options options = TUFF_CLI_GENERATE_OPTIONS;
    tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    if (!check(&options)) return TUFF_EXIT_USAGE;
    tuff_cli_begin(&options.common);
    if (!tuff_cli_find_model(&options.model, options.common.quiet) ||
        !tuff_cli_find_adapter(&options.adapter, options.common.quiet))
        return TUFF_EXIT_FAILED;
    if (!tuff_cli_check_outputs(&spec, &options)) return TUFF_EXIT_FAILED;
    text prompt = {0};
    bool ok = true;
    if (options.prompt)
        ok = append(&prompt, options.prompt, strlen(options.prompt));
    else if (options.prompt_file)
        ok = read_prompt(options.prompt_file, &prompt);
    int code = ok ? with_prompt(&options, &prompt) : TUFF_EXIT_FAILED;
    free(prompt.data);
    return code;
}
