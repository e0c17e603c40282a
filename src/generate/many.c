/* Many prompts, of memory or of a file, continued in batches. Texts end in any order; they are given out in
 * that of the prompts. */
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "base/text.h"
#include "formats/records.h"
#include "generate/batcher.h"
#include "generate/beams.h"

/* A text from its prompt until it is given out. */
typedef struct entry {
    tuff_sequence *sequence; /* NULL: it has ended */
    int64_t record, number;
    char *prompt;
    size_t prompt_size;
    uint64_t end; /* how far the source is with it */
    tuff_buf text;
    tuff_chosen *tokens; /* [token_count]; their `top` is set when they are given out */
    tuff_token_logprob *tops;
    size_t token_count, token_capacity, top_count, top_capacity;
    tuff_generate_result result;
    char *error; /* NULL: none */
} entry;

/* Where prompts come from. */
typedef struct source {
    tuff_records *records; /* NULL: memory */
    const char *const *prompts;
    const size_t *sizes;
    size_t at, n;
} source;

/* One call. */
typedef struct work {
    tuff_batcher *batcher;
    const tuff_watch *watch;
    const tuff_generate_many_params *params;
    tuff_generate_params generate;
    tuff_sampling sampling;
    source from;
    int64_t copies; /* texts of each prompt */
    tuff_view prompt;
    int64_t record, number; /* of the next text; number == copies: a prompt is to be read */
    bool all_read, refused;
    tuff_status wrong; /* with the file */
    char *why;
    entry **window; /* texts not given out yet, in order */
    size_t count, most;
    uint64_t done, total; /* bytes of the file, else prompts */
    tuff_generate_many_result result;
} work;

static bool collect(const char *text, size_t size, void *user)
{
    entry *e = user;
    tuff_buf_bytes(&e->text, text, size);
    return !e->text.failed;
}

static void collect_token(const tuff_chosen *token, void *user)
{
    entry *e = user;
    bool kept = tuff_grow((void **)&e->tokens, e->token_count, &e->token_capacity, sizeof *e->tokens);
    if (kept) e->tokens[e->token_count++] = *token;
    for (size_t i = 0; i < token->top_count && kept; i++) {
        kept = tuff_grow((void **)&e->tops, e->top_count, &e->top_capacity, sizeof *e->tops);
        if (kept) e->tops[e->top_count++] = token->top[i];
    }
    if (!kept) e->text.failed = true;
}

static void end_entry(work *w, entry *e)
{
    if (!e->sequence) return;
    e->result = e->sequence->result;
    if (*tuff_sequence_error(e->sequence)) e->error = tuff_strdup(tuff_sequence_error(e->sequence));
    tuff_batcher_drop(w->batcher, &e->sequence);
}

static void destroy_entry(work *w, entry *e)
{
    if (e->sequence) tuff_batcher_drop(w->batcher, &e->sequence);
    tuff_free(e->prompt);
    tuff_free(e->error);
    tuff_buf_free(&e->text);
    tuff_free(e->tokens);
    tuff_free(e->tops);
    tuff_free(e);
}

/* ---- giving out */

static tuff_status give(work *w, const entry *e)
{
    if (e->text.failed) return tuff_fail_memory("a text");
    const tuff_token_logprob *top = e->tops;
    for (size_t i = 0; i < e->token_count; top += e->tokens[i++].top_count)
        e->tokens[i].top = e->tokens[i].top_count ? top : NULL;
    const tuff_generated text = {.record = e->record,
                                 .number = e->number,
                                 .prompt = e->prompt,
                                 .prompt_size = e->prompt_size,
                                 .text = e->text.data ? e->text.data : "",
                                 .text_size = e->text.size,
                                 .result = &e->result,
                                 .error = e->error ? e->error : "",
                                 .tokens = e->tokens,
                                 .token_count = e->token_count};
    w->result.texts++;
    w->result.failed += e->result.finish == TUFF_FINISH_FAILED;
    w->result.prompt_tokens += e->result.prompt_tokens;
    w->result.new_tokens += e->result.new_tokens;
    w->refused = !w->params->on_text(&text, w->params->user);
    return w->refused ? tuff_fail(TUFF_CANCELLED, "cancelled by the receiver of texts") : TUFF_OK;
}

/* The texts that have ended and have nothing unfinished before them. */
static tuff_status give_first(work *w)
{
    size_t n = 0;
    tuff_status status = TUFF_OK;
    for (; n < w->count && status == TUFF_OK; n++) {
        entry *e = w->window[n];
        if (e->sequence && !e->sequence->ended) break;
        end_entry(w, e);
        w->done = e->end;
        status = give(w, e);
        destroy_entry(w, e);
    }
    w->count -= n;
    memmove(w->window, w->window + n, w->count * sizeof(entry *));
    return status;
}

/* When it is over: what has ended is not lost, whatever is before it. The error stays the first one. */
static void give_rest(work *w)
{
    for (size_t i = 0; i < w->count; i++) {
        entry *e = w->window[i];
        if (e->sequence && !e->sequence->ended) continue;
        end_entry(w, e);
        if (!w->refused && !e->text.failed && give(w, e) != TUFF_OK) w->refused = true;
    }
}

/* ---- taking in */

static tuff_status next_prompt(source *from, tuff_view *out, bool *out_there)
{
    if (from->records) return tuff_records_next(from->records, out, out_there);
    *out_there = from->at < from->n;
    if (!*out_there) return TUFF_OK;
    const char *prompt = from->prompts[from->at];
    const bool empty = from->sizes && from->sizes[from->at] == 0;
    if (!prompt && !empty) return tuff_fail(TUFF_INVALID_ARGUMENT, "prompt %zu is NULL", from->at);
    if (!prompt) prompt = "";
    *out = from->sizes ? (tuff_view){prompt, from->sizes[from->at]} : tuff_view_of(prompt);
    from->at++;
    return TUFF_OK;
}

static void get_position(const source *from, uint64_t *out_done, uint64_t *out_total)
{
    if (from->records) {
        tuff_records_position(from->records, out_done, out_total);
        return;
    }
    *out_done = from->at;
    *out_total = from->n;
}

/* What is wrong with the file ends the reading; what was read before is still done. */
static void read_prompt(work *w)
{
    bool there = false;
    tuff_status status = next_prompt(&w->from, &w->prompt, &there);
    w->all_read = status != TUFF_OK || !there;
    w->number = 0;
    if (status == TUFF_OK) return;
    w->wrong = status;
    w->why = tuff_strdup(tuff_error_message());
}

static tuff_status begin_sequence(work *w, entry *e)
{
    tuff_sampling sampling = w->sampling;
    tuff_generate_params params = w->generate;
    sampling.sequence += (uint32_t)(e->record * w->copies + e->number);
    params.sampling = &sampling;
    params.on_text = collect;
    params.on_token = w->params->tokens ? collect_token : NULL;
    params.user = e;
    tuff_status status =
        tuff_batcher_append(w->batcher, e->prompt, e->prompt_size, &params, NULL, &e->sequence);
    if (status != TUFF_INVALID_ARGUMENT) return status;
    e->error = tuff_strdup(tuff_error_message()); /* this prompt cannot be continued: others can */
    e->result.finish = TUFF_FINISH_FAILED;
    e->result.status = status;
    return TUFF_OK;
}

static tuff_status make_entry(work *w, entry *e)
{
    e->result = (tuff_generate_result)TUFF_GENERATE_RESULT_INIT;
    e->record = w->record;
    e->number = w->number;
    e->prompt_size = w->prompt.size;
    e->prompt = tuff_alloc(w->prompt.size + 1);
    if (!e->prompt) return tuff_fail_memory("a prompt");
    if (w->prompt.size) memcpy(e->prompt, w->prompt.data, w->prompt.size);
    get_position(&w->from, &e->end, &w->total);
    return begin_sequence(w, e);
}

static tuff_status add_text(work *w)
{
    entry *e = tuff_alloc(sizeof *e);
    if (!e) return tuff_fail_memory("a text");
    tuff_status status = make_entry(w, e);
    if (status != TUFF_OK) {
        destroy_entry(w, e);
        return status;
    }
    w->window[w->count++] = e;
    if (++w->number == w->copies) w->record++;
    return TUFF_OK;
}

/* Texts of this call that have not ended. */
static int64_t left_of(const work *w)
{
    int64_t left = 0;
    for (size_t i = 0; i < w->count; i++)
        left += w->window[i]->sequence && !w->window[i]->sequence->ended;
    return left;
}

/* The texts of the first prompt that has none, by a search with beams. What goes wrong with it is their own
 * end. */
static tuff_status search(work *w, tuff_watched *whole)
{
    tuff_sequence *of[TUFF_MOST_BEAMS];
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++)
        if (w->window[i]->sequence && !w->window[i]->sequence->ended) of[n++] = w->window[i]->sequence;
    if (n == 0) return TUFF_OK;
    tuff_watched_call call;
    tuff_watched_call_begin(&call, whole);
    tuff_status status = tuff_beams_find(w->batcher, of, n, &call.each);
    if (status != TUFF_NOT_FINITE && status != TUFF_INVALID_ARGUMENT) return status;
    for (size_t i = 0; i < n; i++)
        tuff_sequence_fail(of[i], status);
    return TUFF_OK;
}

/* As many as can be at work, the batcher's others among them, for a search those of one prompt; and no more
 * than `most` that wait for one before them to be given out. */
static tuff_status fill(work *w)
{
    const bool beams = w->generate.num_beams > 1;
    const int64_t at_once = beams ? w->copies : w->batcher->max_slots;
    int64_t left = beams ? left_of(w) : (int64_t)tuff_batcher_left(w->batcher);
    while (w->count < w->most && left < at_once && !w->all_read) {
        if (w->number == w->copies) read_prompt(w);
        if (w->all_read) break;
        TUFF_TRY(add_text(w));
        left += w->window[w->count - 1]->sequence != NULL;
    }
    return TUFF_OK;
}

static tuff_status run(work *w)
{
    for (;;) {
        TUFF_TRY(give_first(w));
        tuff_watched whole = {.watch = w->watch,
                              .phase = TUFF_PHASE_GENERATE,
                              .unit = w->from.records ? "bytes" : "prompts",
                              .done = w->done,
                              .total = w->total};
        TUFF_TRY(tuff_watched_tell(&whole));
        TUFF_TRY(fill(w));
        if (w->count == 0 && w->all_read) break;
        TUFF_TRY(w->generate.num_beams > 1 ? search(w, &whole) : tuff_batcher_advance(w->batcher, &whole));
    }
    if (w->wrong != TUFF_OK) return tuff_fail(w->wrong, "%s", w->why ? w->why : "the file has a bad record");
    return TUFF_OK;
}

static tuff_status prepare(work *w)
{
    w->copies = w->number = w->params->num_return_sequences ? w->params->num_return_sequences : 1;
    if (w->copies < 1 || w->copies > 1 << 20)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "num_return_sequences is %lld, expected 1 to %d",
                         (long long)w->params->num_return_sequences, 1 << 20);
    w->generate = (tuff_generate_params)TUFF_GENERATE_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&w->generate, w->params->generate, TUFF_GENERATE_PARAMS_INIT, watch));
    w->sampling = (tuff_sampling)TUFF_SAMPLING_INIT;
    TUFF_TRY(TUFF_TAKE(&w->sampling, w->generate.sampling, TUFF_SAMPLING_INIT, seed));
    if (w->generate.on_text || w->generate.on_finish || w->generate.on_token || w->generate.watch)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "many texts have no callbacks and no watch of their own; give the call's");
    if (w->generate.reuse_cache)
        return tuff_fail(TUFF_UNSUPPORTED, "reuse_cache is for a generator, whose texts follow each other");
    const bool beams = w->generate.num_beams > 1;
    if (beams && w->copies > w->generate.num_beams)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "num_return_sequences is %lld, but a search with %lld beams finds no more texts than that",
            (long long)w->copies, (long long)w->generate.num_beams);
    TUFF_TRY(tuff_sequence_check(w->batcher->runner->model, &w->generate));
    w->most = beams ? (size_t)w->copies : 4 * (size_t)w->batcher->max_slots;
    w->window = tuff_alloc_array(w->most, sizeof(entry *));
    return w->window ? TUFF_OK : tuff_fail_memory("a list of texts");
}

/* The window empties on every way out. */
static tuff_status end(work *w, tuff_status status)
{
    char *why = status != TUFF_OK && w->count ? tuff_strdup(tuff_error_message()) : NULL;
    give_rest(w);
    if (why) status = tuff_fail(status, "%s", why);
    for (size_t i = 0; i < w->count; i++)
        destroy_entry(w, w->window[i]);
    tuff_records_close(&w->from.records);
    tuff_free(w->window);
    tuff_free(w->why);
    tuff_free(why);
    return status;
}

/* The file of this name, or the prompts of `from`. */
static tuff_status generate_many(tuff_batcher *batcher, const char *input, source from,
                                 const tuff_generate_many_params *params,
                                 tuff_generate_many_result *out_result)
{
    tuff_generate_many_params p = TUFF_GENERATE_MANY_PARAMS_INIT;
    work w = {.batcher = batcher, .params = &p, .from = from, .result = TUFF_GENERATE_MANY_RESULT_INIT};
    if (out_result) TUFF_TRY(TUFF_GIVE(out_result, &w.result, TUFF_GENERATE_MANY_RESULT_INIT, new_tokens));
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_GENERATE_MANY_PARAMS_INIT, watch));
    if (!p.on_text)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "on_text of tuff_generate_many_params is NULL: there is nobody to give the texts to");
    TUFF_TRY(tuff_watch_check(p.watch));
    w.watch = p.watch ? p.watch : batcher->own_watch;
    TUFF_TRY(tuff_batcher_enter(batcher, "batcher"));
    const char *field = p.field ? p.field : "prompt";
    tuff_status status = prepare(&w);
    if (status == TUFF_OK && input)
        status = tuff_records_open(input, TUFF_RECORDS_AUTO, &field, 1, &w.from.records);
    if (status == TUFF_OK) status = run(&w);
    status = end(&w, status);
    tuff_batcher_leave(batcher);
    if (!out_result) return status;
    tuff_status given = TUFF_GIVE(out_result, &w.result, TUFF_GENERATE_MANY_RESULT_INIT, new_tokens);
    return status == TUFF_OK ? given : status;
}

tuff_status tuff_generate_many(tuff_batcher *batcher, const char *const *prompts, const size_t *sizes,
                               size_t n, const tuff_generate_many_params *params,
                               tuff_generate_many_result *out_result)
{
    TUFF_NEED(batcher);
    TUFF_NEED_MANY(prompts, n);
    TUFF_NEED(params);
    return generate_many(batcher, NULL, (source){.prompts = prompts, .sizes = sizes, .n = n}, params,
                         out_result);
}

tuff_status tuff_generate_file(tuff_batcher *batcher, const char *input,
                               const tuff_generate_many_params *params, tuff_generate_many_result *out_result)
{
    TUFF_NEED(batcher);
    TUFF_NEED(input);
    TUFF_NEED(params);
    return generate_many(batcher, input, (source){.n = 0}, params, out_result);
}
