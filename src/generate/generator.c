/* Generators: a batcher of one sequence. */
#include "generate/generator.h"

#include <string.h>

#include "base/memory.h"
#include "base/structs.h"
#include "runtime/program.h"

static tuff_status create(const tuff_model *model, tuff_device *device, const tuff_loaded *loaded,
                          const tuff_generator_params *params, tuff_generator **out_generator)
{
    tuff_generator_params p = TUFF_GENERATOR_PARAMS_INIT;
    tuff_batcher_params of_one = TUFF_BATCHER_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_GENERATOR_PARAMS_INIT, watch));
    of_one.max_sequences = 1;
    of_one.context_length = p.context_length;
    of_one.cache_f16 = p.cache_f16;
    of_one.exact = p.exact;
    of_one.adapter = p.adapter;
    of_one.watch = p.watch;
    tuff_generator *gen = tuff_alloc(sizeof *gen);
    if (!gen) return tuff_fail_memory("a generator");
    tuff_status status = loaded ? tuff_batcher_create_loaded(loaded, &of_one, &gen->batcher)
                                : tuff_batcher_create(model, device, &of_one, &gen->batcher);
    if (status != TUFF_OK)
        tuff_generator_destroy(&gen);
    else
        *out_generator = gen;
    return status;
}

tuff_status tuff_generator_create(const tuff_model *model, tuff_device *device,
                                  const tuff_generator_params *params, tuff_generator **out_generator)
{
    TUFF_NEED_OUT(out_generator);
    TUFF_NEED(model);
    TUFF_NEED(device);
    return create(model, device, NULL, params, out_generator);
}

tuff_status tuff_generator_create_loaded(const tuff_loaded *loaded, const tuff_generator_params *params,
                                         tuff_generator **out_generator)
{
    *out_generator = NULL;
    return create(loaded->model, loaded->device, loaded, params, out_generator);
}

void tuff_generator_destroy(tuff_generator **generator)
{
    if (!generator || !*generator) return;
    tuff_batcher_end(&(*generator)->batcher, "generator");
    if ((*generator)->batcher) return; /* in use */
    tuff_free((*generator)->kept);
    tuff_free(*generator);
    *generator = NULL;
}

tuff_status tuff_generator_run(tuff_generator *gen, const int32_t *ids, int64_t n, int64_t start)
{
    tuff_runner *r = gen->batcher->runner;
    const tuff_watch *watch = gen->batcher->own_watch;
    gen->kept_count = 0;
    if (n < 1 || start < 0 || start + n > r->context)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "positions %lld to %lld do not fit a context of %lld",
                         (long long)start, (long long)(start + n), (long long)r->context);
    const tuff_room room = {.slots = 1, .positions = start + n, .kept = 1, .used = &start};
    tuff_watched work = {.watch = watch, .phase = TUFF_PHASE_PROMPT, .total = (uint64_t)n};
    TUFF_TRY(tuff_runner_reserve(r, &room, watch));
    for (int64_t done = 0; done < n;) {
        int64_t left = n - done, count = left < TUFF_PIECE_TOKENS ? left : TUFF_PIECE_TOKENS;
        const tuff_feed feed = {.slot = 0, .start = start + done, .count = count, .ids = ids + done};
        work.done = (uint64_t)done;
        work.part = (uint64_t)count;
        if (n > 1) TUFF_TRY(tuff_watched_tell(&work));
        TUFF_TRY(tuff_runner_run(r, &feed, 1, &work));
        done += count;
    }
    return tuff_runner_wait(r);
}

tuff_status tuff_generator_get_memory(tuff_generator *gen, tuff_generate_memory *out_memory)
{
    TUFF_NEED(gen);
    return tuff_batcher_memory(gen->batcher, "generator", out_memory);
}

tuff_program *tuff_generator_program(tuff_generator *gen)
{
    if (!gen || atomic_flag_test_and_set(&gen->batcher->busy)) return NULL;
    tuff_program *program = gen->batcher->runner->single;
    if (program && !program->ran) program = NULL;
    atomic_flag_clear(&gen->batcher->busy);
    return program;
}

tuff_status tuff_generator_logits(tuff_generator *gen, const int32_t *ids, size_t n, float *out_logits)
{
    TUFF_NEED(gen);
    TUFF_NEED(ids);
    TUFF_NEED(out_logits);
    const tuff_runner *r = gen->batcher->runner;
    int64_t vocab = r->model->config.vocab_size;
    if (n == 0) return tuff_fail(TUFF_INVALID_ARGUMENT, "logits are asked for after no token at all");
    if (n > (size_t)r->context)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%zu ids do not fit a context of %lld", n,
                         (long long)r->context);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "id %d at %zu is outside the vocabulary of %lld", ids[i],
                             i, (long long)vocab);
    if (r->model->config.encoder)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "logits are asked for after ids alone, but this is %s, whose text answers another",
                         tuff_config_kind(&r->model->config));
    const tuff_room room = {.slots = 1, .positions = (int64_t)n, .most = (int64_t)n};
    TUFF_TRY(tuff_batcher_enter(gen->batcher, "generator"));
    tuff_status status = tuff_runner_reserve(gen->batcher->runner, &room, gen->batcher->own_watch);
    if (status == TUFF_OK) status = tuff_generator_run(gen, ids, (int64_t)n, 0);
    if (status == TUFF_OK) memcpy(out_logits, r->logits, (size_t)vocab * sizeof *out_logits);
    tuff_batcher_leave(gen->batcher);
    return status;
}
