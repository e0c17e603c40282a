/* tuff chat */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/chat.h>
#include <tuff/generate.h>

#include "cli/chat.h"

#define AT(field) .offset = offsetof(tuff_cli_generate_options, field)
static const tuff_arg items[] = {
    {.kind = TUFF_ARG_GROUP, .name = "Whom to talk with:"},
#include "cli/whose.def"
#include "cli/template.def"
    {.kind = TUFF_ARG_GROUP, .name = "What is said before:"},
#include "cli/said.def"
#include "cli/choosing.def"
    {.kind = TUFF_ARG_GROUP, .name = "When an answer ends:"},
#include "cli/ending.def"
    {TUFF_ARG_INT, "context-length", "N", AT(context_length), 1, 16777216, "tokens of all messages together",
     "the model's"},
    {.kind = TUFF_ARG_GROUP, .name = "Other options:"},
    TUFF_CLI_DEVICE_ROWS,
#include "cli/running.def"
    TUFF_CLI_JSON_ROW("print a JSON object for each answer when it is done, instead of the text as it comes"),
    TUFF_CLI_TALK_ROWS,
};
static const tuff_args spec = {
    .verb = "chat",
    .usage = "--model PATH [--adapter DIR] [--chat-template NAME|FILE] [--system TEXT] [options]",
    .stray = "a model as --model PATH; what to say comes from standard input",
    .about =
        "Answers what comes from standard input, a message a line, by a model that was tuned for it. Answers go to "
        "standard output as they are made. /reset forgets what was said, /exit or the end of the input ends, Ctrl-C ends "
        "at once. Of what was said before nothing is run again, as long as the template leaves it as it was.",
    .items = items,
    .count = sizeof items / sizeof items[0],
    .examples =
        "tuff chat --model MODEL --adapter pirate-lora --system \"You are terse.\" --temperature 0.7\n"
        "echo \"What is tuff?\" | tuff chat --model MODEL --json",
};

/* A text that a person reads and JSON keeps: pieces of an answer. */
typedef struct receiver {
    FILE *kept;
    bool json, failed;
} receiver;

static bool on_text(const char *data, size_t size, void *user)
{
    receiver *to = user;
    to->failed = fwrite(data, 1, size, to->kept) != size;
    if (to->failed) {
        tuff_cli_say("tuff: out of memory");
    } else if (!to->json) {
        errno = 0;
        tuff_cli_show_line("");
        to->failed = fwrite(data, 1, size, stdout) != size || fflush(stdout) != 0;
        if (to->failed) tuff_cli_stdout_failed(errno);
    }
    return !to->failed && !tuff_cli_interrupted();
}

static void print_json(const char *text, size_t size, const tuff_generate_result *r)
{
    printf("{\"role\": \"assistant\", \"content\": ");
    tuff_cli_json_text(stdout, text, size);
    printf(", \"finish\": \"%s\", \"prompt_tokens\": %lld, \"cached_tokens\": %lld, \"new_tokens\": %lld, "
           "\"prompt_seconds\": ",
           tuff_cli_finish_name(r->finish), (long long)r->prompt_tokens, (long long)r->cached_tokens,
           (long long)r->new_tokens);
    tuff_cli_json_number(stdout, r->prompt_seconds);
    printf(", \"generate_seconds\": ");
    tuff_cli_json_number(stdout, r->generate_seconds);
    printf("}\n");
    fflush(stdout);
}

static void print_stats(const tuff_generate_result *r)
{
    char speed[48] = "";
    if (r->new_tokens > 1 && r->generate_seconds > 0)
        snprintf(speed, sizeof speed, ", %.1f tokens/s", (double)r->new_tokens / r->generate_seconds);
    tuff_cli_say("(%s tokens, %s of them known; answer: %s%s)", tuff_cli_count(r->prompt_tokens),
                 tuff_cli_count(r->cached_tokens), tuff_cli_count(r->new_tokens), speed);
}

/* One answer, which is added to the messages. False: it was said why there is none, or it was interrupted. */
static bool answer(chat *c)
{
    tuff_sampling sampling;
    tuff_generate_params params = tuff_cli_generate_params(c->o, &sampling);
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    tuff_chat_text *prompt = NULL;
    char *text = NULL;
    size_t size = 0;
    receiver to = {.kept = tuff_cli_memory_stream(&text, &size), .json = c->o->common.json};
    if (!to.kept) {
        tuff_cli_say("tuff: out of memory");
        return false;
    }
    params.on_text = on_text;
    params.user = &to;
    params.watch = tuff_cli_watch();
    params.no_special = true;
    params.reuse_cache = true;
    tuff_status status = tuff_cli_chat_render(c, &prompt);
    if (status == TUFF_OK) status = tuff_generate(c->generator, prompt->data, prompt->size, &params, &result);
    tuff_chat_text_destroy(&prompt);
    const bool closed = fclose(to.kept) == 0;
    bool good = status == TUFF_OK && closed && !to.failed && !tuff_cli_interrupted();
    if (!to.json && (size || status == TUFF_OK)) putchar('\n');
    if (status != TUFF_OK && !(status == TUFF_CANCELLED && tuff_cli_interrupted())) tuff_cli_failed();
    if (good && to.json) print_json(text, size, &result);
    if (good) good = tuff_cli_chat_add(c, "assistant", text, size);
    if (good && c->o->common.verbose) print_stats(&result);
    if (good && result.finish == TUFF_FINISH_CONTEXT)
        tuff_cli_say("tuff: warning: the context is full; /reset forgets what was said");
    free(text);
    return good;
}

/* The next message. False: there is none, or /exit. */
static bool next_line(chat *c, char **line, size_t *room, size_t *out_size)
{
    if (c->terminal) {
        fputs("> ", stderr);
        fflush(stderr);
        if (!tuff_cli_wait_for_input()) return false;
    }
    if (tuff_cli_interrupted() || !tuff_cli_read_line(line, room, out_size)) return false;
    while (*out_size && strchr("\r\n", (*line)[*out_size - 1]))
        (*line)[--*out_size] = 0;
    return strcmp(*line, "/exit") != 0;
}

/* The exit code. What cannot be answered ends a pipe's chat; on a terminal it is taken back. */
static int talk(chat *c)
{
    char *line = NULL;
    size_t room = 0, size = 0;
    bool good = !c->waiting || answer(c);
    c->terminal = tuff_cli_is_terminal(stdin) && !c->o->common.json;
    if (c->terminal) setvbuf(stdin, NULL, _IONBF, 0); /* what is read is what was waited for */
    while (good && next_line(c, &line, &room, &size)) {
        const size_t before = c->size;
        if (strcmp(line, "/reset") == 0) {
            tuff_cli_chat_reset(c);
            continue;
        }
        if (!size) continue;
        good = tuff_cli_chat_add(c, "user", line, size) && answer(c);
        if (good || !c->terminal || tuff_cli_interrupted()) continue;
        c->size = before;
        good = true;
    }
    if (good && ferror(stdin)) {
        tuff_cli_say("tuff: standard input cannot be read: %s", strerror(errno));
        good = false;
    }
    free(line);
    return good && !tuff_cli_interrupted() ? TUFF_EXIT_OK : TUFF_EXIT_FAILED;
}

static tuff_status create_generator(const tuff_cli_generate_options *o, const tuff_model *model,
                                    tuff_device *device, tuff_generator **out)
{
    tuff_generator_params params = TUFF_GENERATOR_PARAMS_INIT;
    params.context_length = o->context_length;
    params.cache_f16 = o->cache_f16;
    params.exact = o->exact;
    params.adapter = o->adapter;
    params.watch = tuff_cli_watch();
    return tuff_generator_create(model, device, &params, out);
}

static int with_messages(tuff_cli_generate_options *o, chat *c)
{
    int code = TUFF_EXIT_FAILED;
    tuff_cli_biases biases = {.count = 0};
    tuff_model *base = NULL, *adapted = NULL;
    const tuff_model *model = NULL;
    tuff_device *device = NULL;
    o->biases = &biases;
    o->num_beams = 1;
    tuff_status status = tuff_cli_load_speaking(o->model, o->adapter, &base, &adapted, &model);
    const bool ready = status == TUFF_OK && tuff_cli_chat_template(c, model);
    if (ready) status = tuff_cli_open_device(&o->common, false, &device);
    tuff_cli_catch_interrupt();
    if (ready && status == TUFF_OK && tuff_cli_generate_biases(o, model, &biases) &&
        tuff_cli_generate_settle(o, model)) {
        status = create_generator(o, model, device, &c->generator);
        if (status == TUFF_OK) code = talk(c);
    }
    if (status == TUFF_CANCELLED && tuff_cli_interrupted())
        tuff_cli_say("tuff: interrupted before the first message");
    else if (status != TUFF_OK)
        tuff_cli_failed();
    tuff_generator_destroy(&c->generator);
    tuff_chat_template_destroy(&c->template);
    tuff_cli_biases_free(&biases);
    tuff_cli_device_stats(&o->common, device);
    tuff_device_destroy(&device);
    tuff_model_destroy(&adapted);
    tuff_model_destroy(&base);
    return code;
}

int tuff_cli_chat(int argc, char **argv)
{
    tuff_cli_generate_options options = TUFF_CLI_GENERATE_OPTIONS;
    const tuff_args_outcome outcome = tuff_args_parse(&spec, argc, argv, &options);
    if (outcome != TUFF_ARGS_RUN) return outcome == TUFF_ARGS_HELP ? TUFF_EXIT_OK : TUFF_EXIT_USAGE;
    if (!tuff_cli_generate_eos_ids(&options, "chat") || !tuff_cli_generate_check_biases(&options))
        return TUFF_EXIT_USAGE;
    tuff_cli_begin(&options.common);
    if (!tuff_cli_find_model(&options.model, options.common.quiet) ||
        !tuff_cli_find_adapter(&options.adapter, options.common.quiet))
        return TUFF_EXIT_FAILED;
    chat c = {.o = &options};
    const int code = tuff_cli_chat_begin(&c) ? with_messages(&options, &c) : TUFF_EXIT_FAILED;
    tuff_cli_chat_free(&c);
    return code;
}
