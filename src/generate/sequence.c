#include "generate/sequence.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/structs.h"
#include "base/text.h"
#include "text/sampler.h"

/* ---- making one ---- */

/* A text from nothing begins with the token that begins texts, also where none is put before prompts. */
static tuff_status begin_text(tuff_sequence *s)
{
    int32_t bos = tuff_tokenizer_bos(s->tokenizer);
    if (bos < 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the prompt is empty and the model has no token that begins a text; give at "
                         "least one character");
    if (!tuff_grow((void **)&s->ids, s->count, &s->capacity, sizeof *s->ids))
        return tuff_fail_memory("a prompt");
    s->ids[s->count++] = bos;
    return TUFF_OK;
}

/* The prompt is what the encoder reads; the text begins with a token for that. */
static tuff_status begin_answer(tuff_sequence *s)
{
    const tuff_config *c = &s->model->config;
    if (c->tokens.start < 0 || c->tokens.start >= c->vocab_size)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: decoder_start_token_id is %d, expected a token of its vocabulary of %lld",
                         s->model->path, c->tokens.start, (long long)c->vocab_size);
    if (c->learned_positions && (int64_t)s->count > c->max_positions)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the prompt has %zu tokens, but the model's encoder has %lld positions; shorten it",
                         s->count, (long long)c->max_positions);
    s->source = s->ids;
    s->source_count = s->count;
    s->ids = NULL;
    s->count = s->capacity = 0;
    if (!tuff_grow((void **)&s->ids, s->count, &s->capacity, sizeof *s->ids))
        return tuff_fail_memory("a text");
    s->ids[s->count++] = c->tokens.start;
    return TUFF_OK;
}

/* What a sequence begins with: a text, or its ids as they are. */
typedef struct prompt {
    const char *text;
    size_t size;
    const int32_t *ids; /* [count]; NULL: the text */
    size_t count;
} prompt;

static tuff_status copy_prompt(tuff_sequence *s, const prompt *p)
{
    s->ids = tuff_alloc_array(p->count, sizeof *s->ids);
    if (!s->ids) return tuff_fail_memory("a prompt");
    memcpy(s->ids, p->ids, p->count * sizeof *s->ids);
    s->count = p->count;
    return TUFF_OK;
}

static tuff_status encode(tuff_sequence *s, tuff_view text)
{
    unsigned flags = (s->params.no_special ? 0 : TUFF_ENCODE_ADD_SPECIAL) |
                     (s->params.plain_special ? TUFF_ENCODE_PLAIN_SPECIAL : 0);
    return tuff_tokenizer_encode_watched(s->tokenizer, text.data, text.size, flags, s->watch, &s->ids,
                                         &s->count);
}

static tuff_status encode_prompt(tuff_sequence *s, const prompt *p)
{
    tuff_buf text = {0};
    if (!s->params.source_prefix) return encode(s, (tuff_view){p->text, p->size});
    tuff_buf_text(&text, s->params.source_prefix);
    tuff_buf_bytes(&text, p->text, p->size);
    tuff_status status = text.failed ? tuff_fail_memory("a prompt")
                                     : encode(s, (tuff_view){text.data ? text.data : "", text.size});
    tuff_buf_free(&text);
    return status;
}

static tuff_status take_prompt(tuff_sequence *s, const prompt *p)
{
    TUFF_TRY(tuff_model_get_tokenizer(s->model, &s->tokenizer));
    TUFF_TRY(p->ids ? copy_prompt(s, p) : encode_prompt(s, p));
    s->capacity = s->count;
    if (s->count == 0) TUFF_TRY(begin_text(s));
    s->result.prompt_tokens = (int64_t)s->count;
    if (s->model->config.encoder) TUFF_TRY(begin_answer(s));
    s->given = (int64_t)s->count;
    if ((int64_t)s->count >= s->context)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the prompt has %zu tokens and the context is %lld, which leaves no room for "
                         "new ones; shorten the prompt or raise the context length",
                         s->count, (long long)s->context);
    return TUFF_OK;
}

/* Beams are ranked, not drawn, and only whole texts are given. */
static tuff_status check_beams(const tuff_generate_params *p)
{
    if (p->num_beams < 0 || p->num_beams > TUFF_MOST_BEAMS)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "num_beams is %lld, expected 1 to %d",
                         (long long)p->num_beams, TUFF_MOST_BEAMS);
    if (p->num_beams < 2) return TUFF_OK;
    if (!(fabs(p->length_penalty) <= 100))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "length_penalty is %g, expected a number from -100 to 100",
                         p->length_penalty);
    if (p->early_stopping > TUFF_EARLY_STOPPING_NEVER)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "early_stopping is %u, expected 0 to %d",
                         (unsigned)p->early_stopping, TUFF_EARLY_STOPPING_NEVER);
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    TUFF_TRY(TUFF_TAKE(&sampling, p->sampling, TUFF_SAMPLING_INIT, seed));
    if (sampling.temperature != 0 || p->stop_count || p->on_token || p->reuse_cache)
        return tuff_fail(TUFF_UNSUPPORTED, "a search with beams takes no %s",
                         sampling.temperature != 0 ? "temperature"
                         : p->stop_count           ? "stop texts"
                         : p->reuse_cache          ? "cache of the call before"
                                                   : "log-probabilities of tokens");
    return TUFF_OK;
}

/* What ends a text, and how much of it is told of. */
static tuff_status check_tokens(const tuff_model *model, const tuff_generate_params *p)
{
    const long long vocab = model->config.vocab_size;
    if (p->max_new_tokens < 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "max_new_tokens is %lld, expected 0 or more",
                         (long long)p->max_new_tokens);
    if (p->min_new_tokens < 0 || (p->max_new_tokens && p->min_new_tokens > p->max_new_tokens))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "min_new_tokens is %lld, expected 0 or more%s",
                         (long long)p->min_new_tokens,
                         p->min_new_tokens < 0 ? "" : ", and no more than max_new_tokens");
    if (p->min_length < 0 || p->max_length < 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is %lld, expected 0 or more",
                         p->min_length < 0 ? "min_length" : "max_length",
                         (long long)(p->min_length < 0 ? p->min_length : p->max_length));
    if (p->top_logprobs > TUFF_MOST_TOP)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "top_logprobs is %u, expected 0 to %d", p->top_logprobs,
                         TUFF_MOST_TOP);
    TUFF_NEED_MANY(p->eos_ids, p->eos_id_count);
    for (size_t i = 0; i < p->eos_id_count; i++)
        if (p->eos_ids[i] < 0 || p->eos_ids[i] >= vocab)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "id %d is to end the text, but the model's vocabulary has %lld tokens",
                             p->eos_ids[i], vocab);
    return TUFF_OK;
}

/* How tokens are chosen and where the text ends. */
static tuff_status make_rules(const tuff_model *model, const tuff_generate_params *params,
                              tuff_sampler **out_sampler, tuff_stop **out_stop)
{
    TUFF_TRY(check_tokens(model, params));
    TUFF_TRY(check_beams(params));
    TUFF_TRY(tuff_sampler_create(params->sampling, (uint32_t)model->config.vocab_size, out_sampler));
    if (!params->stop && params->stop_count)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "stop is NULL, and stop_count is %zu", params->stop_count);
    return tuff_stop_create(params->stop, params->stop_count, out_stop);
}

tuff_status tuff_sequence_check(const tuff_model *model, const tuff_generate_params *params)
{
    tuff_sampler *sampler = NULL;
    tuff_stop *stop = NULL;
    tuff_status status = make_rules(model, params, &sampler, &stop);
    tuff_sampler_destroy(&sampler);
    tuff_stop_destroy(&stop);
    return status;
}

static tuff_status copy_ids(tuff_sequence *s)
{
    const size_t n = s->params.eos_id_count;
    s->eos_ids = tuff_alloc_array(n, sizeof *s->eos_ids);
    s->top = tuff_alloc_array(s->params.top_logprobs, sizeof *s->top);
    if (!s->eos_ids || !s->top) return tuff_fail_memory("a sequence");
    if (n) memcpy(s->eos_ids, s->params.eos_ids, n * sizeof *s->eos_ids);
    return TUFF_OK;
}

/* Lengths that count what the text begins with too. */
static tuff_status settle_lengths(tuff_sequence *s)
{
    tuff_generate_params *p = &s->params;
    const long long given = s->given;
    if (p->min_length > s->given && p->min_length - s->given > p->min_new_tokens)
        p->min_new_tokens = p->min_length - s->given;
    if (p->max_length && !p->max_new_tokens && p->max_length <= s->given)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "max_length is %lld and the text begins with %lld token%s of it, which leaves no room "
            "for new ones; raise it, or set max_new_tokens",
            (long long)p->max_length, given, given == 1 ? "" : "s");
    if (p->max_length && !p->max_new_tokens) p->max_new_tokens = p->max_length - s->given;
    if (p->max_new_tokens && p->min_new_tokens > p->max_new_tokens) p->min_new_tokens = p->max_new_tokens;
    return TUFF_OK;
}

/* What would end a text too short is not chosen. */
static tuff_status hold_ends(tuff_sequence *s)
{
    const int64_t vocab = s->model->config.vocab_size;
    size_t n = 0;
    if (s->params.min_new_tokens == 0) return TUFF_OK;
    int32_t *ends = tuff_alloc_array((size_t)vocab, sizeof *ends);
    if (!ends) return tuff_fail_memory("a sequence");
    for (int64_t id = 0; id < vocab; id++)
        if (tuff_sequence_is_end(s, (int32_t)id)) ends[n++] = (int32_t)id;
    tuff_status status = n ? tuff_sampler_hold_ends(s->sampler, ends, n, s->params.min_new_tokens) : TUFF_OK;
    tuff_free(ends);
    return status;
}

static tuff_status prepare(tuff_sequence *s, const prompt *p)
{
    TUFF_TRY(take_prompt(s, p));
    TUFF_TRY(make_rules(s->model, &s->params, &s->sampler, &s->stop));
    TUFF_TRY(settle_lengths(s));
    TUFF_TRY(copy_ids(s));
    TUFF_TRY(hold_ends(s));
    s->sampler->first = tuff_sequence_forced(s, 0) >= 0;
    TUFF_TRY(tuff_decoder_create(s->tokenizer, true, &s->decoder));
    for (size_t i = 0; i < s->count; i++) {
        tuff_piece ignored;
        tuff_sampler_prompt(s->sampler, s->ids[i]);
        if (!s->source) TUFF_TRY(tuff_decoder_feed(s->decoder, s->ids[i], &ignored));
    }
    return TUFF_OK;
}

static tuff_status create(const tuff_model *model, int64_t context, const prompt *p,
                          const tuff_generate_params *params, const tuff_watch *watch,
                          tuff_sequence **out_sequence)
{
    *out_sequence = NULL;
    tuff_sequence *s = tuff_alloc(sizeof *s);
    if (!s) return tuff_fail_memory("a sequence");
    *s = (tuff_sequence){.model = model,
                         .context = context,
                         .params = *params,
                         .watch = watch,
                         .slot = -1,
                         .result = TUFF_GENERATE_RESULT_INIT};
    tuff_status status = prepare(s, p);
    s->params.sampling = NULL;
    s->params.stop = NULL;
    s->params.eos_ids = NULL;
    s->params.source_prefix = NULL;
    s->added_ns = tuff_now_ns();
    if (status != TUFF_OK)
        tuff_sequence_destroy(&s);
    else
        *out_sequence = s;
    return status;
}

tuff_status tuff_sequence_create(const tuff_model *model, int64_t context, const char *text, size_t size,
                                 const tuff_generate_params *params, const tuff_watch *watch,
                                 tuff_sequence **out_sequence)
{
    return create(model, context, &(prompt){.text = text, .size = size}, params, watch, out_sequence);
}

tuff_status tuff_sequence_create_ids(const tuff_model *model, int64_t context, const int32_t *ids, size_t n,
                                     const tuff_generate_params *params, tuff_sequence **out_sequence)
{
    return create(model, context, &(prompt){.ids = ids, .count = n}, params, NULL, out_sequence);
}

void tuff_sequence_destroy(tuff_sequence **sequence)
{
    tuff_sequence *s = *sequence;
    if (!s) return;
    tuff_sampler_destroy(&s->sampler);
    tuff_decoder_destroy(&s->decoder);
    tuff_stop_destroy(&s->stop);
    tuff_free(s->eos_ids);
    tuff_free(s->top);
    tuff_free(s->ids);
    tuff_free(s->source);
    tuff_free(s->error);
    tuff_free(s);
    *sequence = NULL;
}

int64_t tuff_sequence_most(const tuff_sequence *s)
{
    int64_t left = s->context - s->given, more = s->params.max_new_tokens;
    return more && more - 1 < left ? s->given + more - 1 : s->context;
}

int64_t tuff_sequence_next(const tuff_sequence *s, int64_t piece)
{
    int64_t left = (int64_t)s->count - s->fed, room = piece - s->fed % piece;
    return left < room ? left : room;
}

void tuff_sequence_begin(tuff_sequence *s)
{
    if (s->begun_ns) return;
    s->begun_ns = tuff_now_ns();
    s->result.start_seconds = (double)(s->begun_ns - s->added_ns) / 1e9;
}

/* ---- its end ---- */

static double seconds_since(uint64_t ns)
{
    return (double)(tuff_now_ns() - ns) / 1e9;
}

static void finish(tuff_sequence *s, tuff_finish reason)
{
    s->result.finish = reason;
    s->ended = true;
}

/* The time of what it was at counts on every way out: an interrupted text tells its speed too. */
static void call_back(tuff_sequence *s)
{
    if (s->text_ns)
        s->result.generate_seconds = seconds_since(s->text_ns);
    else if (s->begun_ns)
        s->result.prompt_seconds = seconds_since(s->begun_ns);
    if (s->params.on_finish) s->params.on_finish(&s->result, s->params.user);
}

void tuff_sequence_fail(tuff_sequence *s, tuff_status status)
{
    s->error = tuff_strdup(tuff_error_message()); /* without memory it has none */
    s->result.status = status;
    finish(s, status == TUFF_CANCELLED ? TUFF_FINISH_CANCELLED : TUFF_FINISH_FAILED);
    call_back(s);
}

/* ---- its text ---- */

static void show(tuff_sequence *s, const char *text, size_t size)
{
    if (size == 0 || !s->params.on_text || s->silent) return;
    s->silent = !s->params.on_text(text, size, s->params.user);
    if (s->silent) finish(s, TUFF_FINISH_CANCELLED);
}

/* Text that became complete, past the stop strings. */
static tuff_status take_text(tuff_sequence *s, tuff_piece text)
{
    const char *shown;
    size_t size;
    bool stopped = false;
    TUFF_TRY(tuff_stop_feed(s->stop, text.data, text.size, &shown, &size, &stopped));
    show(s, shown, size);
    if (stopped && !s->silent) finish(s, TUFF_FINISH_STOP);
    return TUFF_OK;
}

bool tuff_sequence_is_end(const tuff_sequence *s, int32_t id)
{
    const tuff_hf_tokens *tokens = &s->model->config.tokens;
    for (size_t i = 0; i < s->params.eos_id_count; i++)
        if (s->eos_ids[i] == id) return true;
    if (s->params.ignore_eos) return false;
    for (size_t i = 0; i < tokens->eos_count; i++)
        if (tokens->eos[i] == id) return true;
    return tuff_tokenizer_is_eos(s->tokenizer, id);
}

/* What was held back in case a character or a stop string went on. */
static tuff_status flush(tuff_sequence *s)
{
    if (s->result.finish == TUFF_FINISH_CANCELLED || s->result.finish == TUFF_FINISH_STOP) return TUFF_OK;
    tuff_piece text;
    const char *held;
    size_t size;
    TUFF_TRY(tuff_decoder_flush(s->decoder, &text));
    TUFF_TRY(take_text(s, text));
    tuff_stop_flush(s->stop, &held, &size);
    show(s, held, size);
    return TUFF_OK;
}

static tuff_status take_token(tuff_sequence *s, int32_t id)
{
    tuff_piece text;
    tuff_sampler_accept(s->sampler, id);
    if (tuff_sequence_is_end(s, id)) {
        finish(s, TUFF_FINISH_EOS);
        return TUFF_OK;
    }
    TUFF_TRY(tuff_decoder_feed(s->decoder, id, &text));
    if (!tuff_grow((void **)&s->ids, s->count, &s->capacity, sizeof *s->ids))
        return tuff_fail_memory("the ids of a text");
    s->ids[s->count++] = id;
    s->result.new_tokens++;
    TUFF_TRY(take_text(s, text));
    if (s->ended) return TUFF_OK;
    if (s->params.max_new_tokens && s->result.new_tokens >= s->params.max_new_tokens)
        finish(s, TUFF_FINISH_LENGTH);
    else if ((int64_t)s->count > s->context)
        finish(s, TUFF_FINISH_CONTEXT);
    return TUFF_OK;
}

void tuff_sequence_started(tuff_sequence *s)
{
    s->result.prompt_seconds = seconds_since(s->begun_ns);
    if (s->warm_seconds > 0) s->result.prompt_rate = (double)s->warm_tokens / s->warm_seconds;
    s->text_ns = tuff_now_ns();
}

/* Of a translation the first is the language; the last is its end. */
int32_t tuff_sequence_forced(const tuff_sequence *s, int64_t at)
{
    const tuff_config *c = &s->model->config;
    const bool is_last = at + 1 == s->params.max_new_tokens && !s->params.ignore_eos;
    const int32_t first = at == 0 && c->encoder ? c->tokens.first : -1;
    return is_last && c->tokens.last >= 0 ? c->tokens.last : first;
}

tuff_status tuff_sequence_take_all(tuff_sequence *s, const int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n && !s->ended; i++)
        TUFF_TRY(take_token(s, ids[i]));
    if (!s->ended) finish(s, TUFF_FINISH_CONTEXT);
    TUFF_TRY(flush(s));
    call_back(s);
    return TUFF_OK;
}

static void tell_token(tuff_sequence *s, const float *logits, int32_t id)
{
    tuff_chosen token;
    tuff_logprobs(logits, s->model->config.vocab_size, id, s->top, s->params.top_logprobs, &token);
    s->params.on_token(&token, s->params.user);
}

tuff_status tuff_sequence_take(tuff_sequence *s, const float *logits)
{
    int32_t id = tuff_sequence_forced(s, s->result.new_tokens);
    if (!s->text_ns) tuff_sequence_started(s);
    TUFF_TRY(tuff_watch_step(s->watch, TUFF_PHASE_GENERATE, (uint64_t)s->result.new_tokens,
                             (uint64_t)s->params.max_new_tokens));
    if (id < 0) TUFF_TRY(tuff_sampler_sample(s->sampler, logits, (uint64_t)s->count, &id));
    if (s->params.on_token && !tuff_sequence_is_end(s, id)) tell_token(s, logits, id);
    TUFF_TRY(take_token(s, id));
    if (!s->ended) return TUFF_OK;
    TUFF_TRY(flush(s));
    call_back(s);
    return TUFF_OK;
}

/* ---- what it tells ---- */

bool tuff_sequence_ended(const tuff_sequence *sequence)
{
    return !sequence || sequence->ended;
}

tuff_status tuff_sequence_result(const tuff_sequence *sequence, tuff_generate_result *out_result)
{
    TUFF_NEED(sequence);
    return TUFF_GIVE(out_result, &sequence->result, TUFF_GENERATE_RESULT_INIT, prompt_rate);
}

const char *tuff_sequence_error(const tuff_sequence *sequence)
{
    return sequence && sequence->error ? sequence->error : "";
}

const int32_t *tuff_sequence_ids(const tuff_sequence *sequence, size_t *out_count)
{
    if (out_count) *out_count = sequence ? sequence->count : 0;
    return sequence && out_count ? sequence->ids : NULL;
}
