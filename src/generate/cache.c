/* The KV cache and the rotary tables. They have room for what the runs so far needed. For a run that needs
 * more larger ones are made, and what the old ones hold is copied. */
#include <stdio.h>

#include "base/memory.h"
#include "generate/runner.h"
#include "models/model.h"
#include "runtime/room.h"

/* Positions: what all slots have at first, so that short runs never grow; what a slot's are a multiple of. */
enum { FIRST = 1024, STEP = 256 };

typedef struct growth {
    tuff_runner *runner;
    int64_t slots, capacity;
    const int64_t *used;
    const tuff_watch *watch;
    tuff_store *store;
    void *rows; /* of one head on their way */
} growth;

/* At least twice the old length, so that all copies together cost about as much as the last one. Never more
 * than the run can use. */
static int64_t next_capacity(const tuff_runner *r, int64_t slots, int64_t needed, int64_t most)
{
    if (needed <= r->capacity) return r->capacity;
    const int64_t context = r->context + r->virtual_tokens;
    const bool declared = most != 0;
    if (most == 0 || most > r->context) most = r->context;
    most += r->virtual_tokens;
    int64_t wanted = 2 * r->capacity > FIRST / slots ? 2 * r->capacity : FIRST / slots;
    /* where angles depend on the length, growing would leave keys of other angles in the cache */
    if (wanted > most || (declared && tuff_rope_by_length(&r->model->config))) wanted = most;
    if (wanted < needed) wanted = needed;
    wanted = (wanted + STEP - 1) / STEP * STEP;
    return wanted < context ? wanted : context;
}

/* Twice as many as before at least, for the same reason. */
static int64_t next_slots(const tuff_runner *r, int64_t needed)
{
    int64_t slots = r->slots ? r->slots : 1;
    while (slots < needed)
        slots *= 2;
    return slots < r->most_slots ? slots : r->most_slots;
}

static tuff_status check_room(const growth *w)
{
    const tuff_config *c = &w->runner->model->config;
    uint64_t row =
        (uint64_t)(2 * c->layers * c->kv_heads * c->head_dim) * tuff_dtype_size(w->runner->cache_dtype);
    uint64_t bytes = row * (uint64_t)(w->slots * w->capacity);
    if (c->rope.theta != 0) bytes += (uint64_t)(w->capacity * c->head_dim) * sizeof(float);
    char what[96];
    if (w->slots == 1)
        snprintf(what, sizeof what, "a KV cache of %lld positions", (long long)w->capacity);
    else
        snprintf(what, sizeof what, "a KV cache of %lld positions for each of %lld sequences",
                 (long long)w->capacity, (long long)w->slots);
    return tuff_room_check(w->runner->device, bytes, what,
                           "fewer new tokens, a shorter prompt or a cache of f16 need");
}

/* Copies the positions of every slot and head that are in use. */
static tuff_status copy_cache(const growth *w, const char *name, tuff_buffer *to)
{
    const tuff_runner *r = w->runner;
    const tuff_config *c = &r->model->config;
    const tuff_store *caches = tuff_session_caches(r->session);
    tuff_buffer *from = caches ? tuff_store_find(caches, name) : NULL;
    for (int64_t head = 0; from && head < c->kv_heads; head++)
        for (int64_t slot = 0; slot < r->slots; slot++) {
            if (w->used[slot] == 0) continue;
            int64_t n = (w->used[slot] + r->virtual_tokens) * c->head_dim;
            TUFF_TRY(
                tuff_buffer_read(from, (head * r->slots + slot) * r->capacity * c->head_dim, w->rows, n));
            TUFF_TRY(tuff_buffer_write(to, (head * w->slots + slot) * w->capacity * c->head_dim, w->rows, n));
        }
    return TUFF_OK;
}

static tuff_status add_cache(const growth *w, int layer, char which)
{
    const tuff_config *c = &w->runner->model->config;
    const int64_t shape[] = {c->kv_heads, w->slots * w->capacity, c->head_dim};
    char name[32];
    snprintf(name, sizeof name, "cache.%c.%d", which, layer);
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_store_add(w->store, name, w->runner->cache_dtype, 3, shape, &buffer));
    return copy_cache(w, name, buffer);
}

static tuff_status fill(growth *w)
{
    const tuff_runner *r = w->runner;
    const tuff_config *c = &r->model->config;
    int64_t most = 0;
    for (int64_t slot = 0; slot < r->slots; slot++)
        if (w->used[slot] > most) most = w->used[slot];
    w->rows = tuff_alloc_array((size_t)((most + r->virtual_tokens) * c->head_dim) + 1,
                               tuff_dtype_size(r->cache_dtype));
    if (!w->rows) return tuff_fail_memory("a copy of the KV cache");
    for (int i = 0; i < (int)c->layers; i++) {
        TUFF_TRY(add_cache(w, i, 'k'));
        if (w->watch && tuff_cancel_requested(w->watch->cancel))
            return tuff_fail(TUFF_CANCELLED, "cancelled while a KV cache was made");
        TUFF_TRY(add_cache(w, i, 'v'));
    }
    return tuff_model_upload_tables(r->model, w->capacity, w->watch, w->store);
}

tuff_status tuff_runner_reserve(tuff_runner *r, int64_t slots, int64_t positions, int64_t most,
                                const int64_t *used, const tuff_watch *watch)
{
    positions += r->virtual_tokens;
    if (slots <= r->slots && positions <= r->capacity) return TUFF_OK;
    growth w = {.runner = r, .slots = next_slots(r, slots), .used = used, .watch = watch};
    w.capacity = next_capacity(r, w.slots, positions, most);
    if (w.slots * w.capacity > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "a KV cache for %lld sequences of %lld positions has more than %d rows; take fewer "
                         "sequences or a shorter context",
                         (long long)w.slots, (long long)w.capacity, INT32_MAX);
    TUFF_TRY(check_room(&w));
    TUFF_TRY(tuff_store_create(r->device, &w.store));
    tuff_status status = fill(&w);
    tuff_free(w.rows);
    if (status != TUFF_OK) {
        tuff_store_destroy(&w.store);
        return tuff_note(status, "making a KV cache of %lld positions", (long long)(w.slots * w.capacity));
    }
    tuff_session_set_caches(r->session, &w.store);
    r->single = r->program = NULL;
    r->slots = w.slots;
    r->capacity = w.capacity;
    return TUFF_OK;
}
