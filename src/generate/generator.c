#include "generate/generator.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/structs.h"
#include "runtime/program.h"

tuff_status tuff_generator_create(const tuff_model *model, tuff_device *device,
                                  const tuff_generator_params *params, tuff_generator **out_generator)
{
    TUFF_NEED_OUT(out_generator);
    TUFF_NEED(model);
    TUFF_NEED(device);
    tuff_generator_params p = TUFF_GENERATOR_PARAMS_INIT;
    *out_generator = NULL;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_GENERATOR_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    tuff_generator *gen = tuff_alloc(sizeof *gen);
    if (!gen) return tuff_fail_memory("a generator");
    gen->own_watch = gen->watch = p.watch;
    atomic_flag_clear(&gen->busy);
    tuff_status status = tuff_runner_create(model, device,
                                            &(tuff_runner_params){.context = p.context_length,
                                                                  .most_slots = 1,
                                                                  .cache_f16 = p.cache_f16,
                                                                  .adapter = p.adapter,
                                                                  .watch = p.watch},
                                            &gen->runner);
    if (status != TUFF_OK)
        tuff_generator_destroy(&gen);
    else
        *out_generator = gen;
    return status;
}

tuff_status tuff_generator_enter(tuff_generator *gen, const tuff_watch *watch)
{
    TUFF_TRY(tuff_watch_check(watch));
    if (atomic_flag_test_and_set(&gen->busy))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the generator is in use by another call; a callback must not call into it, and a "
                         "generator belongs to one thread at a time");
    gen->watch = watch ? watch : gen->own_watch;
    return TUFF_OK;
}

void tuff_generator_leave(tuff_generator *gen)
{
    gen->watch = gen->own_watch;
    atomic_flag_clear(&gen->busy);
}

void tuff_generator_destroy(tuff_generator **generator)
{
    if (!generator) return;
    tuff_generator *gen = *generator;
    if (!gen) return;
    if (atomic_flag_test_and_set(&gen->busy)) {
        tuff_log_to(&gen->runner->device->log, TUFF_LOG_ERROR,
                    "a generator that is in use by a call was to be destroyed; it is left as it is");
        return;
    }
    tuff_runner_destroy(&gen->runner);
    tuff_free(gen);
    *generator = NULL;
}

tuff_status tuff_generator_prepare(tuff_generator *gen, int64_t n, bool decode)
{
    tuff_runner *r = gen->runner;
    const int64_t piece = TUFF_PIECE_TOKENS, nothing = 0;
    TUFF_TRY(tuff_runner_reserve(r, 1, n, gen->most, &nothing, gen->watch));
    if (decode) TUFF_TRY(tuff_runner_prepare(r, 1, 1, NULL));
    if (n >= piece) TUFF_TRY(tuff_runner_prepare(r, piece, 1, NULL));
    return n % piece ? tuff_runner_prepare(r, n % piece, 1, NULL) : TUFF_OK;
}

/* Waits for the runs since the clock was set. */
static tuff_status stop_clock(tuff_generator *gen, uint64_t since)
{
    TUFF_TRY(tuff_runner_wait(gen->runner));
    gen->warm_seconds += (double)(tuff_now_ns() - since) / 1e9;
    return TUFF_OK;
}

tuff_status tuff_generator_run(tuff_generator *gen, const int32_t *ids, int64_t n, int64_t start)
{
    tuff_runner *r = gen->runner;
    if (n < 1 || start < 0 || start + n > r->context)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "positions %lld to %lld do not fit a context of %lld",
                         (long long)start, (long long)(start + n), (long long)r->context);
    TUFF_TRY(tuff_runner_reserve(r, 1, start + n, gen->most, &start, gen->watch));
    bool timed = false; /* runs since the clock was set */
    uint64_t since = tuff_now_ns();
    for (int64_t done = 0; done < n;) {
        if (n > 1) TUFF_TRY(tuff_watch_step(gen->watch, TUFF_PHASE_PROMPT, (uint64_t)done, (uint64_t)n));
        int64_t left = n - done, count = left < TUFF_PIECE_TOKENS ? left : TUFF_PIECE_TOKENS;
        const tuff_feed feed = {.slot = 0, .start = start + done, .count = count, .ids = ids + done};
        bool is_new = false;
        TUFF_TRY(tuff_runner_prepare(r, count, 1, &is_new));
        if (is_new && timed) TUFF_TRY(stop_clock(gen, since));
        TUFF_TRY(tuff_runner_run(r, &feed, 1, gen->watch ? gen->watch->cancel : NULL));
        done += count;
        timed = !is_new;
        if (timed) {
            gen->warm_tokens += count;
            continue;
        }
        TUFF_TRY(tuff_runner_wait(r));
        since = tuff_now_ns();
    }
    return timed ? stop_clock(gen, since) : TUFF_OK;
}

tuff_program *tuff_generator_program(tuff_generator *gen)
{
    if (!gen || atomic_flag_test_and_set(&gen->busy)) return NULL;
    tuff_program *program = gen->runner->single && gen->runner->single->ran ? gen->runner->single : NULL;
    atomic_flag_clear(&gen->busy);
    return program;
}

tuff_status tuff_generator_logits(tuff_generator *gen, const int32_t *ids, size_t n, float *out_logits)
{
    TUFF_NEED(gen);
    TUFF_NEED(ids);
    TUFF_NEED(out_logits);
    if (n == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "logits are asked for after no token at all");
    if (n > (size_t)gen->runner->context)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%zu ids do not fit a context of %lld", n,
                         (long long)gen->runner->context);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= gen->runner->model->config.vocab_size)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "id %d at %zu is outside the vocabulary of %lld", ids[i],
                             i, (long long)gen->runner->model->config.vocab_size);
    TUFF_TRY(tuff_generator_enter(gen, NULL));
    gen->most = (int64_t)n;
    tuff_status status = tuff_generator_run(gen, ids, (int64_t)n, 0);
    if (status == TUFF_OK)
        memcpy(out_logits, gen->runner->logits,
               (size_t)gen->runner->model->config.vocab_size * sizeof *out_logits);
    tuff_generator_leave(gen);
    return status;
}
