/* One text: a batcher's only sequence. */
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "generate/beams.h"
#include "generate/generator.h"

/* How many ids of the prompt the slot has already: all but the last at most, after which the text begins. */
static int64_t shared(const tuff_generator *gen, const tuff_sequence *s)
{
    int64_t n = 0;
    while (n + 1 < s->given && n < (int64_t)gen->kept_count && gen->kept[n] == s->ids[n])
        n++;
    return s->source ? 0 : n;
}

/* What the slot has from now on. Without memory to remember it nothing is used again. */
static void keep(tuff_generator *gen, const tuff_sequence *s)
{
    const bool good =
        s->params.num_beams < 2 && (s->result.status == TUFF_OK || s->result.status == TUFF_CANCELLED);
    int32_t *kept = good ? tuff_realloc_array(gen->kept, (size_t)s->fed + 1, sizeof *kept) : NULL;
    gen->kept_count = 0;
    if (!kept) return;
    gen->kept = kept;
    gen->kept_count = (size_t)s->fed;
    memcpy(kept, s->ids, (size_t)s->fed * sizeof *kept);
}

/* Makes ready all that the prompt needs, and a token after it, so that no speed has it in it. */
static tuff_status prepare(tuff_batcher *b, tuff_sequence *s, const tuff_watch *watch)
{
    const int64_t n = s->given, nothing = 0;
    const uint64_t changes = b->runner->angle_changes;
    const tuff_room room = {.slots = 1,
                            .positions = n,
                            .most = tuff_sequence_most(s),
                            .kept = 1,
                            .used = &s->fed,
                            .sources = s->source ? 1 : 0,
                            .source = (int64_t)s->source_count,
                            .encoded = &nothing};
    TUFF_TRY(tuff_runner_reserve(b->runner, &room, watch));
    if (b->runner->angle_changes != changes) s->fed = 0; /* keys of other angles */
    s->result.cached_tokens = s->fed;
    const int64_t first = tuff_sequence_next(s, TUFF_PIECE_TOKENS), left = n - s->fed - first;
    const int64_t rest = left % TUFF_PIECE_TOKENS;
    if (s->params.max_new_tokens != 1) TUFF_TRY(tuff_runner_prepare(b->runner, 1, 1, watch, NULL));
    TUFF_TRY(
        tuff_runner_prepare(b->runner, (s->fed ? 0 : b->runner->virtual_tokens) + first, 1, watch, NULL));
    if (left >= TUFF_PIECE_TOKENS)
        TUFF_TRY(tuff_runner_prepare(b->runner, TUFF_PIECE_TOKENS, 1, watch, NULL));
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

static tuff_status generate(tuff_generator *gen, const char *prompt, size_t size,
                            const tuff_generate_params *params, tuff_generate_result *result)
{
    tuff_batcher *b = gen->batcher;
    const tuff_watch *watch = params->watch ? params->watch : b->own_watch;
    tuff_sequence *s = NULL;
    tuff_status status = tuff_batcher_append(b, prompt, size, params, watch, &s);
    if (!s) {
        result->finish = status == TUFF_CANCELLED ? TUFF_FINISH_CANCELLED : TUFF_FINISH_FAILED;
        result->status = status;
        return status;
    }
    if (params->reuse_cache) s->fed = shared(gen, s);
    status = run(b, s, watch);
    *result = s->result;
    keep(gen, s);
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
    tuff_status status = generate(generator, prompt, size, &p, &result);
    tuff_batcher_leave(generator->batcher);
    if (!out_result) return status;
    tuff_status given = TUFF_GIVE(out_result, &result, TUFF_GENERATE_RESULT_INIT, prompt_rate);
    return status == TUFF_OK ? given : status;
}
