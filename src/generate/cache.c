/* The KV cache and the rotary tables. They have room for what the runs so far needed. For a run that needs
 * more larger ones are made, and what the old ones hold is copied. */
#include <stdio.h>

#include "base/memory.h"
#include "generate/generator.h"
#include "models/model.h"
#include "runtime/room.h"

/* Positions: what a cache has at first, so that short runs never grow; what its length is a multiple of. */
enum { FIRST = 1024, STEP = 256 };

/* At least twice the old length, so that all copies together cost about as much as the last one. Never more
 * than the run can use. */
static int64_t next_capacity(const tuff_generator *gen, int64_t needed)
{
    int64_t most = gen->most && gen->most < gen->context ? gen->most : gen->context;
    int64_t wanted = 2 * gen->capacity > FIRST ? 2 * gen->capacity : FIRST;
    if (wanted > most) wanted = most;
    if (wanted < needed) wanted = needed;
    wanted = (wanted + STEP - 1) / STEP * STEP;
    return wanted < gen->context ? wanted : gen->context;
}

static tuff_status check_room(const tuff_generator *gen, int64_t capacity)
{
    const tuff_config *c = &gen->model->config;
    uint64_t row = (uint64_t)(2 * c->layers * c->kv_heads * c->head_dim) * tuff_dtype_size(gen->cache_dtype);
    if (c->rope_theta != 0) row += (uint64_t)c->head_dim * sizeof(float);
    char what[64];
    snprintf(what, sizeof what, "a KV cache of %lld positions", (long long)capacity);
    return tuff_room_check(gen->device, row * (uint64_t)capacity, what,
                           "fewer new tokens, a shorter prompt or a cache of f16 need");
}

/* Copies the first `used` positions of every head. */
static tuff_status copy_cache(const tuff_generator *gen, const char *name, int64_t used, tuff_buffer *to,
                              int64_t to_capacity, void *rows)
{
    const tuff_config *c = &gen->model->config;
    tuff_buffer *from = gen->caches ? tuff_store_find(gen->caches, name) : NULL;
    for (int64_t head = 0; from && used && head < c->kv_heads; head++) {
        TUFF_TRY(tuff_buffer_read(from, head * gen->capacity * c->head_dim, rows, used * c->head_dim));
        TUFF_TRY(tuff_buffer_write(to, head * to_capacity * c->head_dim, rows, used * c->head_dim));
    }
    return TUFF_OK;
}

static tuff_status add_cache(const tuff_generator *gen, int layer, char which, int64_t used,
                             tuff_store *store, int64_t capacity, void *rows)
{
    const tuff_config *c = &gen->model->config;
    char name[32];
    snprintf(name, sizeof name, "cache.%c.%d", which, layer);
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_store_add(store, name, gen->cache_dtype, 3,
                            (const int64_t[]){c->kv_heads, capacity, c->head_dim}, &buffer));
    return copy_cache(gen, name, used, buffer, capacity, rows);
}

static tuff_status fill(const tuff_generator *gen, int64_t used, tuff_store *store, int64_t capacity)
{
    const tuff_config *c = &gen->model->config;
    void *rows = tuff_alloc_array((size_t)(used * c->head_dim) + 1, tuff_dtype_size(gen->cache_dtype));
    tuff_status status = rows ? TUFF_OK : tuff_fail_memory("a copy of the KV cache");
    for (int i = 0; i < (int)c->layers && status == TUFF_OK; i++) {
        status = add_cache(gen, i, 'k', used, store, capacity, rows);
        if (status == TUFF_OK && gen->watch && tuff_cancel_requested(gen->watch->cancel))
            status = tuff_fail(TUFF_CANCELLED, "cancelled while a KV cache was made");
        if (status == TUFF_OK) status = add_cache(gen, i, 'v', used, store, capacity, rows);
    }
    tuff_free(rows);
    return status == TUFF_OK ? tuff_model_upload_tables(gen->model, capacity, gen->watch, store) : status;
}

tuff_status tuff_generator_reserve(tuff_generator *gen, int64_t needed, int64_t used)
{
    if (needed <= gen->capacity) return TUFF_OK;
    int64_t capacity = next_capacity(gen, needed);
    tuff_store *store = NULL;
    TUFF_TRY(check_room(gen, capacity));
    TUFF_TRY(tuff_store_create(gen->device, &store));
    tuff_status status = fill(gen, used, store, capacity);
    if (status != TUFF_OK) {
        tuff_store_destroy(&store);
        return tuff_note(status, "making a KV cache of %lld positions", (long long)capacity);
    }
    for (int i = 0; i < TUFF_BUCKETS; i++) /* they are bound to the old cache */
        tuff_program_destroy(&gen->programs[i]);
    tuff_store_destroy(&gen->caches);
    gen->caches = store;
    gen->capacity = capacity;
    return TUFF_OK;
}
