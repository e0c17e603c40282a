/* One text: a batcher's only sequence. */
#include "base/structs.h"
#include "generate/beams.h"
#include "generate/generator.h"

/* Makes ready all that the prompt needs, and a token after it, so that no speed has it in it. */
static tuff_status prepare(tuff_batcher *b, const tuff_sequence *s, const tuff_watch *watch)
{
    const int64_t n = s->given, rest = n % TUFF_PIECE_TOKENS, nothing = 0;
    const tuff_room room = {.slots = 1,
                            .positions = n,
                            .most = tuff_sequence_most(s),
                            .kept = 1,
                            .used = &nothing,
                            .sources = s->source ? 1 : 0,
                            .source = (int64_t)s->source_count,
                            .encoded = &nothing};
    TUFF_TRY(tuff_runner_reserve(b->runner, &room, watch));
    if (s->params.max_new_tokens != 1) TUFF_TRY(tuff_runner_prepare(b->runner, 1, 1, watch, NULL));
    if (b->runner->virtual_tokens)
        TUFF_TRY(tuff_runner_prepare(
            b->runner, b->runner->virtual_tokens + (n < TUFF_PIECE_TOKENS ? n : TUFF_PIECE_TOKENS), 1, watch,
            NULL));
    if (n >= TUFF_PIECE_TOKENS) TUFF_TRY(tuff_runner_prepare(b->runner, TUFF_PIECE_TOKENS, 1, watch, NULL));
    return rest ? tuff_runner_prepare(b->runner, rest, 1, watch, NULL) : TUFF_OK;
}

static tuff_status run(tuff_batcher *b, tuff_sequence *s, const tuff_watch *watch)
{
    const bool beams = s->params.num_beams > 1;
    tuff_status status = beams ? tuff_beams_run(b, s, watch) : prepare(b, s, watch);
    while (status == TUFF_OK && !s->ended) {
        tuff_watched work = {.watch = watch,
                             .phase = TUFF_PHASE_GENERATE,
                             .done = (uint64_t)s->result.new_tokens,
                             .total = (uint64_t)s->params.max_new_tokens};
        status = tuff_batcher_advance(b, &work);
    }
    if (status != TUFF_OK) tuff_sequence_fail(s, status);
    return s->result.status;
}

static tuff_status generate(tuff_batcher *b, const char *prompt, size_t size,
                            const tuff_generate_params *params, tuff_generate_result *result)
{
    const tuff_watch *watch = params->watch ? params->watch : b->own_watch;
    tuff_sequence *s = NULL;
    tuff_status status = tuff_batcher_append(b, prompt, size, params, watch, &s);
    if (!s) {
        result->finish = status == TUFF_CANCELLED ? TUFF_FINISH_CANCELLED : TUFF_FINISH_FAILED;
        result->status = status;
        return status;
    }
    status = run(b, s, watch);
    *result = s->result;
    tuff_batcher_drop(b, &s);
    return status;
}

tuff_status tuff_generate(tuff_generator *generator, const char *prompt, size_t size,
                          const tuff_generate_params *params, tuff_generate_result *out_result)
{
    TUFF_NEED(generator);
    TUFF_NEED_MANY(prompt, size);
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    if (out_result) TUFF_TRY(TUFF_GIVE(out_result, &result, TUFF_GENERATE_RESULT_INIT, prompt_rate));
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_GENERATE_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    TUFF_TRY(tuff_batcher_enter(generator->batcher, "generator"));
    tuff_status status = generate(generator->batcher, prompt, size, &p, &result);
    tuff_batcher_leave(generator->batcher);
    if (!out_result) return status;
    tuff_status given = TUFF_GIVE(out_result, &result, TUFF_GENERATE_RESULT_INIT, prompt_rate);
    return status == TUFF_OK ? given : status;
}
