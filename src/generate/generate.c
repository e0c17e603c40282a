/* The loop of generation: prompt, then one token after the other. */
#include <string.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/structs.h"
#include "generate/generator.h"

typedef struct loop {
    tuff_generator *gen;
    const tuff_generate_params *params;
    const tuff_tokenizer *tokenizer;
    tuff_sampler *sampler;
    tuff_decoder *decoder;
    tuff_stop *stop;
    int32_t *prompt;
    size_t prompt_count;
    tuff_generate_result result;
    bool done, cancelled;
} loop;

static void finish(loop *l, tuff_finish reason)
{
    l->result.finish = reason;
    l->done = true;
}

static void show(loop *l, const char *text, size_t size)
{
    if (size == 0 || !l->params->on_text || l->cancelled) return;
    l->cancelled = !l->params->on_text(text, size, l->params->user);
    if (l->cancelled) finish(l, TUFF_FINISH_CANCELLED);
}

/* Text that became complete, past the stop strings. */
static tuff_status take_text(loop *l, tuff_piece text)
{
    const char *shown;
    size_t size;
    bool stopped = false;
    TUFF_TRY(tuff_stop_feed(l->stop, text.data, text.size, &shown, &size, &stopped));
    show(l, shown, size);
    if (stopped && !l->cancelled) finish(l, TUFF_FINISH_STOP);
    return TUFF_OK;
}

/* A text from nothing begins with the token that begins texts, also where none is put before prompts. */
static tuff_status begin_text(loop *l)
{
    int32_t bos = tuff_tokenizer_bos(l->tokenizer);
    if (bos < 0) return TUFF_OK;
    tuff_free(l->prompt);
    l->prompt = tuff_alloc_array(1, sizeof *l->prompt);
    if (!l->prompt) return tuff_fail_memory("a prompt");
    l->prompt[l->prompt_count++] = bos;
    return TUFF_OK;
}

static tuff_status prepare(loop *l, const char *prompt, size_t size)
{
    const tuff_config *c = &l->gen->runner->model->config;
    TUFF_TRY(tuff_model_get_tokenizer(l->gen->runner->model, &l->tokenizer));
    unsigned flags = TUFF_ENCODE_ADD_SPECIAL | (l->params->plain_special ? TUFF_ENCODE_PLAIN_SPECIAL : 0);
    TUFF_TRY(tuff_tokenizer_encode_watched(l->tokenizer, prompt, size, flags, l->gen->watch, &l->prompt,
                                           &l->prompt_count));
    if (l->prompt_count == 0) TUFF_TRY(begin_text(l));
    if (l->prompt_count == 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the prompt is empty and the model has no token that begins a text; give at "
                         "least one character");
    if ((int64_t)l->prompt_count >= l->gen->runner->context)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the prompt has %zu tokens and the context is %lld, which leaves no room for "
                         "new ones; shorten the prompt or raise the context length",
                         l->prompt_count, (long long)l->gen->runner->context);
    TUFF_TRY(tuff_sampler_create(l->params->sampling, (uint32_t)c->vocab_size, &l->sampler));
    TUFF_TRY(tuff_decoder_create(l->tokenizer, true, &l->decoder));
    TUFF_TRY(tuff_stop_create(l->params->stop, l->params->stop_count, &l->stop));
    for (size_t i = 0; i < l->prompt_count; i++) {
        tuff_piece ignored;
        tuff_sampler_accept(l->sampler, l->prompt[i]);
        TUFF_TRY(tuff_decoder_feed(l->decoder, l->prompt[i], &ignored));
    }
    l->result.prompt_tokens = (int64_t)l->prompt_count;
    return TUFF_OK;
}

static bool is_end(const loop *l, int32_t id)
{
    const tuff_hf_tokens *tokens = &l->gen->runner->model->config.tokens;
    if (l->params->ignore_eos) return false;
    for (size_t i = 0; i < tokens->eos_count; i++)
        if (tokens->eos[i] == id) return true;
    return tuff_tokenizer_is_eos(l->tokenizer, id);
}

static tuff_status make_tokens(loop *l)
{
    int64_t position = l->result.prompt_tokens;
    int64_t most = l->params->max_new_tokens ? l->params->max_new_tokens : INT64_MAX;
    while (!l->done) {
        int32_t id = 0;
        TUFF_TRY(tuff_watch_step(l->gen->watch, TUFF_PHASE_GENERATE, (uint64_t)l->result.new_tokens,
                                 most == INT64_MAX ? 0 : (uint64_t)most));
        TUFF_TRY(tuff_sampler_sample(l->sampler, l->gen->runner->logits, (uint64_t)position, &id));
        tuff_sampler_accept(l->sampler, id);
        if (is_end(l, id)) {
            finish(l, TUFF_FINISH_EOS);
            break;
        }
        tuff_piece text;
        TUFF_TRY(tuff_decoder_feed(l->decoder, id, &text));
        l->result.new_tokens++;
        TUFF_TRY(take_text(l, text));
        if (l->done) break;
        if (l->result.new_tokens >= most)
            finish(l, TUFF_FINISH_LENGTH);
        else if (position >= l->gen->runner->context)
            finish(l, TUFF_FINISH_CONTEXT);
        else
            TUFF_TRY(tuff_generator_run(l->gen, &id, 1, position++));
    }
    return TUFF_OK;
}

/* What was held back in case a character or a stop string went on. */
static tuff_status flush(loop *l)
{
    if (l->result.finish == TUFF_FINISH_CANCELLED || l->result.finish == TUFF_FINISH_STOP) return TUFF_OK;
    tuff_piece text;
    const char *held;
    size_t size;
    TUFF_TRY(tuff_decoder_flush(l->decoder, &text));
    TUFF_TRY(take_text(l, text));
    tuff_stop_flush(l->stop, &held, &size);
    show(l, held, size);
    return TUFF_OK;
}

/* The last token is not fed back: the cache needs no place for it. */
static void limit_cache(loop *l)
{
    int64_t left = l->gen->runner->context - l->result.prompt_tokens, more = l->params->max_new_tokens;
    l->gen->most = more && more - 1 < left ? l->result.prompt_tokens + more - 1 : l->gen->runner->context;
}

/* The loop after the prompt. Its time counts on every way out: an interrupted call tells its speed too. */
static tuff_status continue_text(loop *l)
{
    uint64_t begin = tuff_now_ns();
    tuff_status status = make_tokens(l);
    if (status == TUFF_OK) status = flush(l);
    l->result.generate_seconds = (double)(tuff_now_ns() - begin) / 1e9;
    return status;
}

static tuff_status generate(loop *l, const char *prompt, size_t size)
{
    TUFF_TRY(prepare(l, prompt, size));
    limit_cache(l);
    uint64_t start = tuff_now_ns();
    TUFF_TRY(tuff_generator_prepare(l->gen, l->result.prompt_tokens, l->params->max_new_tokens != 1));
    uint64_t begin = tuff_now_ns();
    l->gen->warm_tokens = 0;
    l->gen->warm_seconds = 0;
    l->result.start_seconds = (double)(begin - start) / 1e9;
    tuff_status status = tuff_generator_run(l->gen, l->prompt, (int64_t)l->prompt_count, 0);
    l->result.prompt_seconds = (double)(tuff_now_ns() - begin) / 1e9;
    if (status != TUFF_OK) return status; /* what was fed last has not been timed: no rate */
    if (l->gen->warm_seconds > 0) l->result.prompt_rate = (double)l->gen->warm_tokens / l->gen->warm_seconds;
    return continue_text(l);
}

tuff_status tuff_generate(tuff_generator *generator, const char *prompt, size_t size,
                          const tuff_generate_params *params, tuff_generate_result *out_result)
{
    TUFF_NEED(generator);
    TUFF_NEED_MANY(prompt, size);
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    loop l = {.gen = generator, .params = &p, .result = TUFF_GENERATE_RESULT_INIT};
    if (out_result) TUFF_TRY(TUFF_GIVE(out_result, &l.result, TUFF_GENERATE_RESULT_INIT, prompt_rate));
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_GENERATE_PARAMS_INIT, watch));
    if (p.max_new_tokens < 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "max_new_tokens is %lld, expected 0 or more",
                         (long long)p.max_new_tokens);
    TUFF_TRY(tuff_generator_enter(generator, p.watch));
    tuff_status status = generate(&l, prompt, size);
    tuff_generator_leave(generator);
    if (status == TUFF_CANCELLED) l.result.finish = TUFF_FINISH_CANCELLED;
    if (out_result) {
        tuff_status given = TUFF_GIVE(out_result, &l.result, TUFF_GENERATE_RESULT_INIT, prompt_rate);
        if (status == TUFF_OK) status = given;
    }
    tuff_sampler_destroy(&l.sampler);
    tuff_decoder_destroy(&l.decoder);
    tuff_stop_destroy(&l.stop);
    tuff_free(l.prompt);
    return status;
}
