/* tuff generate with many prompts, or many texts of one. */
#include <errno.h>
#include <string.h>

#include "cli/generate.h"

typedef struct work {
    const tuff_cli_generate_options *o;
    const tuff_tokenizer *tokenizer;
    double began, shown;
    int64_t texts, tokens; /* given out */
    bool failed;           /* to write */
} work;

/* The prompt and its text; an empty line between two. */
static void print_text(const work *w, const tuff_generated *text)
{
    if (w->texts) putchar('\n');
    fwrite(text->prompt, 1, text->prompt_size, stdout);
    fwrite(text->text, 1, text->text_size, stdout);
    putchar('\n');
    tuff_cli_tokens_print(w->tokenizer, text->tokens, text->token_count);
}

static void print_json(const work *w, const tuff_generated *text)
{
    const tuff_generate_result *r = text->result;
    printf("{\"record\": %lld, \"number\": %lld, \"prompt\": ", (long long)text->record,
           (long long)text->number);
    tuff_cli_json_text(stdout, text->prompt, text->prompt_size);
    printf(", \"text\": ");
    tuff_cli_json_text(stdout, text->text, text->text_size);
    printf(", \"finish\": \"%s\", \"prompt_tokens\": %lld, \"new_tokens\": %lld",
           tuff_cli_finish_name(r->finish), (long long)r->prompt_tokens, (long long)r->new_tokens);
    if (w->o->logprobs >= 0) tuff_cli_tokens_json(w->tokenizer, text->tokens, text->token_count);
    if (*text->error) {
        printf(", \"error\": ");
        tuff_cli_json_text(stdout, text->error, strlen(text->error));
    }
    puts("}");
}

static bool on_text(const tuff_generated *text, void *user)
{
    work *w = user;
    bool is_failed = text->result->finish == TUFF_FINISH_FAILED;
    tuff_cli_show_line("");
    if (is_failed) tuff_cli_say("tuff: prompt %lld: %s", (long long)text->record + 1, text->error);
    errno = 0;
    if (w->o->common.json)
        print_json(w, text);
    else if (!is_failed)
        print_text(w, text);
    w->texts += w->o->common.json || !is_failed;
    w->tokens += text->result->new_tokens;
    w->failed = fflush(stdout) != 0 || ferror(stdout);
    if (w->failed) tuff_cli_stdout_failed(errno);
    return !w->failed;
}

/* A line that is rewritten, for what takes longer than a moment. */
static bool show(const tuff_progress *progress, void *user)
{
    work *w = user;
    double now = tuff_cli_seconds(), spent = now - w->began;
    if (progress->phase != TUFF_PHASE_GENERATE || !progress->total || spent < 0.5 || now - w->shown < 0.1)
        return true;
    double share = (double)progress->done / (double)progress->total;
    char line[96], eta[32] = "";
    if (share > 0) snprintf(eta, sizeof eta, ", ETA %s", tuff_cli_time(spent * (1 - share) / share));
    snprintf(line, sizeof line, "%s texts, %.0f %%, %.0f tokens/s%s", tuff_cli_count(w->texts), 100 * share,
             (double)w->tokens / spent, eta);
    tuff_cli_show_line(line);
    w->shown = now;
    return true;
}

static void print_stats(const work *w, const tuff_generate_many_result *r)
{
    double spent = tuff_cli_seconds() - w->began;
    tuff_cli_say("%s text%s in %s; prompts: %s tokens; text: %s tokens, %.1f tokens/s",
                 tuff_cli_count(r->texts - r->failed), r->texts - r->failed == 1 ? "" : "s",
                 tuff_cli_time(spent), tuff_cli_count(r->prompt_tokens), tuff_cli_count(r->new_tokens),
                 spent > 0 ? (double)r->new_tokens / spent : 0);
}

static int generate(work *w, tuff_batcher *batcher, const char *prompt, size_t size)
{
    const tuff_cli_generate_options *o = w->o;
    tuff_sampling sampling;
    const tuff_generate_params each = tuff_cli_generate_params(o, &sampling);
    const tuff_watch *usual = tuff_cli_watch();
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_generate_many_params params = TUFF_GENERATE_MANY_PARAMS_INIT;
    tuff_generate_many_result result = TUFF_GENERATE_MANY_RESULT_INIT;
    watch.cancel = usual ? usual->cancel : NULL;
    watch.user = w;
    if (!o->common.quiet && tuff_cli_is_terminal(stderr)) watch.on_progress = show;
    params.field = o->field;
    params.num_return_sequences = o->num_return_sequences;
    params.generate = &each;
    params.tokens = o->logprobs >= 0;
    params.on_text = on_text;
    params.user = w;
    params.watch = &watch;
    w->began = tuff_cli_seconds();
    tuff_status status = o->file ? tuff_generate_file(batcher, o->file, &params, &result)
                                 : tuff_generate_many(batcher, &prompt, &size, 1, &params, &result);
    tuff_cli_show_line("");
    if (w->failed) return TUFF_EXIT_FAILED;
    bool interrupted = status == TUFF_CANCELLED && tuff_cli_interrupted();
    if (status != TUFF_OK && !interrupted) tuff_cli_failed();
    if (!o->common.quiet && result.texts) print_stats(w, &result);
    if (interrupted) tuff_cli_say("tuff: interrupted; texts that were not finished are left out");
    return status == TUFF_OK && !result.failed ? TUFF_EXIT_OK : TUFF_EXIT_FAILED;
}

int tuff_cli_generate_many(const tuff_cli_generate_options *o, const tuff_model *model, tuff_device *device,
                           const char *prompt, size_t size)
{
    tuff_batcher_params params = TUFF_BATCHER_PARAMS_INIT;
    params.context_length = o->context_length;
    params.max_sequences = o->batch_size;
    params.cache_f16 = o->cache_f16;
    params.invariant = o->invariant;
    params.exact = o->exact;
    params.adapter = o->adapter;
    params.watch = tuff_cli_watch();
    tuff_batcher *batcher = NULL;
    work w = {.o = o};
    if (o->num_return_sequences > 1 && o->temperature == 0 && o->num_beams < 2 && !o->common.quiet)
        tuff_cli_say("tuff: warning: without --temperature all texts of a prompt are the same");
    tuff_status status = tuff_model_get_tokenizer(model, &w.tokenizer);
    if (status == TUFF_OK) status = tuff_batcher_create(model, device, &params, &batcher);
    int code = TUFF_EXIT_FAILED;
    if (status == TUFF_OK)
        code = generate(&w, batcher, prompt, size);
    else if (status == TUFF_CANCELLED && tuff_cli_interrupted())
        tuff_cli_say("tuff: interrupted before the first token");
    else
        tuff_cli_failed();
    tuff_generate_memory memory = TUFF_GENERATE_MEMORY_INIT;
    if (batcher && tuff_batcher_get_memory(batcher, &memory) == TUFF_OK)
        tuff_cli_generate_memory(&o->common, &memory);
    tuff_batcher_destroy(&batcher);
    return code;
}
