/* Batchers: made and ended, sequences that come and go. */
#include "generate/batcher.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/structs.h"
#include "runtime/device.h"

enum { MOST_SEQUENCES = 1024, MOST_STEP_TOKENS = 65536, DEFAULT_SEQUENCES = 8 };

tuff_status tuff_batcher_enter(tuff_batcher *b, const char *what)
{
    if (atomic_flag_test_and_set(&b->busy))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "the %s is in use by another call; a callback must not call into it, and a %s belongs "
            "to one thread at a time",
            what, what);
    return TUFF_OK;
}

void tuff_batcher_leave(tuff_batcher *b)
{
    atomic_flag_clear(&b->busy);
}

static tuff_status choose(tuff_batcher *b, const tuff_batcher_params *p)
{
    b->max_slots = b->use_slots = p->max_sequences ? p->max_sequences : DEFAULT_SEQUENCES;
    if (b->max_slots < 1 || b->max_slots > MOST_SEQUENCES)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "max_sequences is %lld, expected 1 to %d",
                         (long long)b->max_slots, MOST_SEQUENCES);
    b->step_tokens = p->step_tokens ? p->step_tokens : b->max_slots + TUFF_PIECE_TOKENS;
    if (b->step_tokens <= b->max_slots || b->step_tokens > MOST_STEP_TOKENS)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "step_tokens is %lld, expected more than max_sequences, %lld, to %d",
                         (long long)b->step_tokens, (long long)b->max_slots, MOST_STEP_TOKENS);
    b->piece = b->step_tokens - b->max_slots;
    if (b->piece > TUFF_PIECE_TOKENS) b->piece = TUFF_PIECE_TOKENS;
    return TUFF_OK;
}

static tuff_status build(tuff_batcher *b, const tuff_model *model, tuff_device *device,
                         const tuff_loaded *loaded, const tuff_batcher_params *p)
{
    TUFF_TRY(tuff_watch_check(p->watch));
    TUFF_TRY(choose(b, p));
    b->own_watch = p->watch;
    b->slots = tuff_alloc_array((size_t)b->max_slots, sizeof *b->slots);
    b->feeds = tuff_alloc_array((size_t)b->max_slots, sizeof *b->feeds);
    b->used = tuff_alloc_array((size_t)b->max_slots, sizeof *b->used);
    b->encoded = tuff_alloc_array((size_t)b->max_slots, sizeof *b->encoded);
    if (!b->slots || !b->feeds || !b->used || !b->encoded) return tuff_fail_memory("a batcher");
    return tuff_runner_create(model, device,
                              &(tuff_runner_params){.context = p->context_length,
                                                    .most_slots = b->max_slots,
                                                    .cache_f16 = p->cache_f16,
                                                    .invariant = p->invariant,
                                                    .exact = p->exact,
                                                    .adapter = p->adapter,
                                                    .loaded = loaded,
                                                    .watch = p->watch},
                              &b->runner);
}

static tuff_status create(const tuff_model *model, tuff_device *device, const tuff_loaded *loaded,
                          const tuff_batcher_params *params, tuff_batcher **out_batcher)
{
    tuff_batcher_params p = TUFF_BATCHER_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_BATCHER_PARAMS_INIT, watch));
    tuff_batcher *b = tuff_alloc(sizeof *b);
    if (!b) return tuff_fail_memory("a batcher");
    atomic_flag_clear(&b->busy);
    tuff_status status = build(b, model, device, loaded, &p);
    if (status != TUFF_OK)
        tuff_batcher_destroy(&b);
    else
        *out_batcher = b;
    return status;
}

tuff_status tuff_batcher_create(const tuff_model *model, tuff_device *device,
                                const tuff_batcher_params *params, tuff_batcher **out_batcher)
{
    TUFF_NEED_OUT(out_batcher);
    TUFF_NEED(model);
    TUFF_NEED(device);
    return create(model, device, NULL, params, out_batcher);
}

tuff_status tuff_batcher_create_loaded(const tuff_loaded *loaded, const tuff_batcher_params *params,
                                       tuff_batcher **out_batcher)
{
    *out_batcher = NULL;
    return create(loaded->model, loaded->device, loaded, params, out_batcher);
}

void tuff_batcher_end(tuff_batcher **batcher, const char *what)
{
    tuff_batcher *b = *batcher;
    if (!b) return;
    if (atomic_flag_test_and_set(&b->busy)) {
        tuff_log_to(&b->runner->device->log, TUFF_LOG_ERROR,
                    "a %s that is in use by a call was to be destroyed; it is left as it is", what);
        return;
    }
    for (size_t i = 0; i < b->count; i++)
        tuff_sequence_destroy(&b->all[i]);
    tuff_runner_destroy(&b->runner);
    tuff_free(b->all);
    tuff_free(b->slots);
    tuff_free(b->feeds);
    tuff_free(b->used);
    tuff_free(b->encoded);
    tuff_free(b);
    *batcher = NULL;
}

void tuff_batcher_destroy(tuff_batcher **batcher)
{
    if (batcher) tuff_batcher_end(batcher, "batcher");
}

tuff_status tuff_batcher_memory(tuff_batcher *b, const char *what, tuff_generate_memory *out_memory)
{
    TUFF_TRY(tuff_batcher_enter(b, what));
    const tuff_generate_memory memory = tuff_runner_memory(b->runner);
    tuff_batcher_leave(b);
    return TUFF_GIVE(out_memory, &memory, TUFF_GENERATE_MEMORY_INIT, total);
}

tuff_status tuff_batcher_get_memory(tuff_batcher *b, tuff_generate_memory *out_memory)
{
    TUFF_NEED(b);
    return tuff_batcher_memory(b, "batcher", out_memory);
}

static tuff_status append(tuff_batcher *b, tuff_sequence **sequence)
{
    if (!tuff_grow((void **)&b->all, b->count, &b->capacity, sizeof(tuff_sequence *))) {
        tuff_sequence_destroy(sequence);
        return tuff_fail_memory("a batcher's sequences");
    }
    b->all[b->count++] = *sequence;
    return TUFF_OK;
}

tuff_status tuff_batcher_append(tuff_batcher *b, const char *prompt, size_t size,
                                const tuff_generate_params *params, const tuff_watch *watch,
                                tuff_sequence **out_sequence)
{
    TUFF_TRY(tuff_sequence_create(b->runner->model, b->runner->context, prompt, size, params, watch,
                                  out_sequence));
    return append(b, out_sequence);
}

tuff_status tuff_batcher_append_ids(tuff_batcher *b, const int32_t *ids, size_t n,
                                    const tuff_generate_params *params, tuff_sequence **out_sequence)
{
    TUFF_TRY(tuff_sequence_create_ids(b->runner->model, b->runner->context, ids, n, params, out_sequence));
    return append(b, out_sequence);
}

tuff_status tuff_batcher_check(const tuff_generate_params *params)
{
    if (params->reuse_cache)
        return tuff_fail(TUFF_UNSUPPORTED, "reuse_cache is for a generator, whose texts follow each other");
    if (params->num_beams < 2) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "a search with beams is for one text at a time (num_beams is %lld)",
                     (long long)params->num_beams);
}

tuff_status tuff_batcher_add(tuff_batcher *batcher, const char *prompt, size_t size,
                             const tuff_generate_params *params, tuff_sequence **out_sequence)
{
    TUFF_NEED_OUT(out_sequence);
    TUFF_NEED(batcher);
    TUFF_NEED_MANY(prompt, size);
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_GENERATE_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    TUFF_TRY(tuff_batcher_check(&p));
    TUFF_TRY(tuff_batcher_enter(batcher, "batcher"));
    tuff_status status = tuff_batcher_append(batcher, prompt, size, &p, p.watch, out_sequence);
    tuff_batcher_leave(batcher);
    return status;
}

void tuff_batcher_drop(tuff_batcher *b, tuff_sequence **sequence)
{
    size_t i = 0;
    while (b->all[i] != *sequence)
        i++;
    memmove(&b->all[i], &b->all[i + 1], (b->count - i - 1) * sizeof *b->all);
    b->count--;
    if ((*sequence)->slot >= 0) b->slots[(*sequence)->slot] = NULL;
    tuff_sequence_destroy(sequence);
}

static bool has(const tuff_batcher *b, const tuff_sequence *sequence)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->all[i] == sequence) return true;
    return false;
}

tuff_status tuff_batcher_remove(tuff_batcher *batcher, tuff_sequence **sequence)
{
    TUFF_NEED(batcher);
    TUFF_NEED(sequence);
    TUFF_NEED(*sequence);
    TUFF_TRY(tuff_batcher_enter(batcher, "batcher"));
    bool found = has(batcher, *sequence);
    if (found) tuff_batcher_drop(batcher, sequence);
    tuff_batcher_leave(batcher);
    return found ? TUFF_OK : tuff_fail(TUFF_INVALID_ARGUMENT, "the sequence is none of this batcher");
}

size_t tuff_batcher_left(const tuff_batcher *b)
{
    size_t left = 0;
    for (size_t i = 0; i < b->count; i++)
        left += !b->all[i]->ended;
    return left;
}

static tuff_status step(tuff_batcher *b, const tuff_watch *watch)
{
    tuff_watched work = {.watch = watch, .phase = TUFF_PHASE_GENERATE, .done = b->new_tokens};
    TUFF_TRY(tuff_watched_tell(&work));
    return tuff_batcher_advance(b, &work);
}

tuff_status tuff_batcher_step(tuff_batcher *batcher, const tuff_watch *watch, size_t *out_left)
{
    if (out_left) *out_left = 0;
    TUFF_NEED(batcher);
    TUFF_TRY(tuff_watch_check(watch));
    TUFF_TRY(tuff_batcher_enter(batcher, "batcher"));
    tuff_status status = step(batcher, watch ? watch : batcher->own_watch);
    if (out_left) *out_left = tuff_batcher_left(batcher);
    tuff_batcher_leave(batcher);
    return status;
}

tuff_status tuff_batcher_run(tuff_batcher *batcher, const tuff_watch *watch)
{
    TUFF_NEED(batcher);
    TUFF_TRY(tuff_watch_check(watch));
    TUFF_TRY(tuff_batcher_enter(batcher, "batcher"));
    tuff_status status = TUFF_OK;
    while (status == TUFF_OK && tuff_batcher_left(batcher))
        status = step(batcher, watch ? watch : batcher->own_watch);
    tuff_batcher_leave(batcher);
    return status;
}
