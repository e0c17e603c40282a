/* The KV cache and the rotary tables. They have room for what the runs so far needed. For a run that needs
 * more larger ones are made, and what the old ones hold is copied. */
#include <stdio.h>

#include "base/memory.h"
#include "generate/runner.h"
#include "models/model.h"
#include "runtime/room.h"

/* Positions: what all slots have at first, so that short runs never grow; what a slot's are a multiple of. */
enum { FIRST = 1024, STEP = 256 };

/* One of the two kinds: a sequence's own keys and values, or those of its source. */
typedef struct part {
    const char *name;
    int64_t slots, capacity;           /* rows of each */
    int64_t from_slots, from_capacity; /* so far */
    int64_t kept;                      /* so many of them, the first, are copied */
    const int64_t *used;               /* [kept]: rows in use, but for: */
    int64_t more;                      /* of each slot that is in use */
} part;

typedef struct growth {
    tuff_runner *runner;
    part own, source;
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

/* Of a source, which is never longer than learned positions. */
static int64_t next_source(const tuff_runner *r, int64_t needed)
{
    enum { ROWS = 64 };
    if (needed <= r->source_capacity) return r->source_capacity;
    int64_t wanted = needed > 2 * r->source_capacity ? needed : 2 * r->source_capacity;
    return (wanted + ROWS - 1) / ROWS * ROWS;
}

static tuff_status check_room(const growth *w)
{
    const tuff_config *c = &w->runner->model->config;
    const part *own = &w->own;
    uint64_t row =
        (uint64_t)(2 * c->layers * c->kv_heads * c->head_dim) * tuff_dtype_size(w->runner->cache_dtype);
    uint64_t bytes = row * (uint64_t)(own->slots * own->capacity + w->source.slots * w->source.capacity);
    if (c->rope.theta != 0) bytes += (uint64_t)(own->capacity * c->head_dim) * sizeof(float);
    if (c->alibi.most != 0) bytes += (uint64_t)(own->capacity * c->heads) * sizeof(float);
    char what[96];
    if (own->slots == 1)
        snprintf(what, sizeof what, "a KV cache of %lld positions", (long long)own->capacity);
    else
        snprintf(what, sizeof what, "a KV cache of %lld positions for each of %lld sequences",
                 (long long)own->capacity, (long long)own->slots);
    return tuff_room_check(w->runner->device, bytes, what,
                           "fewer new tokens, a shorter prompt or a cache of f16 need");
}

/* Copies the rows of every slot and head that are in use. */
static tuff_status copy_cache(const growth *w, const part *p, const char *name, tuff_buffer *to)
{
    const tuff_config *c = &w->runner->model->config;
    const tuff_store *caches = tuff_session_caches(w->runner->session);
    tuff_buffer *from = caches ? tuff_store_find(caches, name) : NULL;
    for (int64_t head = 0; from && head < c->kv_heads; head++)
        for (int64_t slot = 0; slot < p->kept; slot++) {
            if (p->used[slot] == 0) continue;
            int64_t n = (p->used[slot] + p->more) * c->head_dim;
            TUFF_TRY(tuff_buffer_read(from, (head * p->from_slots + slot) * p->from_capacity * c->head_dim,
                                      w->rows, n));
            TUFF_TRY(tuff_buffer_write(to, (head * p->slots + slot) * p->capacity * c->head_dim, w->rows, n));
        }
    return TUFF_OK;
}

static tuff_status add_cache(const growth *w, const part *p, int layer, char which)
{
    const tuff_config *c = &w->runner->model->config;
    const int64_t shape[] = {c->kv_heads, p->slots * p->capacity, c->head_dim};
    char name[32];
    snprintf(name, sizeof name, "%s.%c.%d", p->name, which, layer);
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_store_add(w->store, name, w->runner->cache_dtype, 3, shape, &buffer));
    return copy_cache(w, p, name, buffer);
}

static int64_t longest(const part *p)
{
    int64_t most = 0;
    for (int64_t slot = 0; slot < p->kept; slot++)
        if (p->used[slot] > most) most = p->used[slot];
    return most + p->more;
}

static tuff_status fill(growth *w)
{
    const tuff_runner *r = w->runner;
    const tuff_config *c = &r->model->config;
    const part *parts[] = {&w->own, &w->source};
    const int64_t own = longest(&w->own), source = longest(&w->source);
    w->rows = tuff_alloc_array((size_t)((own > source ? own : source) * c->head_dim) + 1,
                               tuff_dtype_size(r->cache_dtype));
    if (!w->rows) return tuff_fail_memory("a copy of the KV cache");
    for (int i = 0; i < (c->encoder ? 2 : 1) * (int)c->layers; i++) {
        const part *p = parts[i / (int)c->layers];
        TUFF_TRY(add_cache(w, p, i % (int)c->layers, 'k'));
        if (w->watch && tuff_cancel_requested(w->watch->cancel))
            return tuff_fail(TUFF_CANCELLED, "cancelled while a KV cache was made");
        TUFF_TRY(add_cache(w, p, i % (int)c->layers, 'v'));
    }
    return tuff_model_upload_tables(r->model, w->own.capacity, w->watch, w->store);
}

static int64_t fewer(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What both kinds are to be like. */
static growth plan(tuff_runner *r, const tuff_room *room, int64_t positions)
{
    growth w = {.runner = r};
    const int64_t slots = next_slots(r, room->slots);
    w.own = (part){.name = "cache",
                   .slots = slots,
                   .capacity = next_capacity(r, slots, positions, room->most),
                   .from_slots = r->slots,
                   .from_capacity = r->capacity,
                   .kept = fewer(room->kept, r->slots),
                   .used = room->used,
                   .more = r->virtual_tokens};
    w.source = (part){.name = "cross",
                      .slots = room->sources > r->source_slots ? room->sources : r->source_slots,
                      .capacity = next_source(r, room->source),
                      .from_slots = r->source_slots,
                      .from_capacity = r->source_capacity,
                      .kept = room->encoded ? fewer(room->kept, r->source_slots) : 0,
                      .used = room->encoded};
    return w;
}

/* How many rows a slot needs. Where angles depend on the length, all that will be needed counts from the
 * first run on, so that no sequence begins with other angles than it goes on with. */
static int64_t needed_rows(const tuff_runner *r, const tuff_room *room)
{
    const int64_t most = room->most < r->context ? room->most : r->context;
    const bool whole = tuff_rope_by_length(&r->model->config) && most > room->positions;
    return (whole ? most : room->positions) + r->virtual_tokens;
}

tuff_status tuff_runner_reserve(tuff_runner *r, const tuff_room *room, const tuff_watch *watch)
{
    const int64_t positions = needed_rows(r, room);
    if (room->slots <= r->slots && positions <= r->capacity && room->sources <= r->source_slots &&
        room->source <= r->source_capacity)
        return TUFF_OK;
    growth w = plan(r, room, positions);
    w.watch = watch;
    if (w.own.slots * w.own.capacity > INT32_MAX || w.source.slots * w.source.capacity > INT32_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "a KV cache for %lld sequences of %lld positions has more than %d rows; take fewer "
                         "sequences or a shorter context",
                         (long long)w.own.slots, (long long)w.own.capacity, INT32_MAX);
    TUFF_TRY(check_room(&w));
    TUFF_TRY(tuff_store_create(r->device, &w.store));
    tuff_status status = fill(&w);
    tuff_free(w.rows);
    if (status != TUFF_OK) {
        tuff_store_destroy(&w.store);
        return tuff_note(status, "making a KV cache of %lld positions",
                         (long long)(w.own.slots * w.own.capacity));
    }
    if (r->capacity && !tuff_rope_same(&r->model->config, r->capacity, w.own.capacity)) r->angle_changes++;
    tuff_session_set_caches(r->session, &w.store);
    r->single = r->program = NULL;
    r->slots = w.own.slots;
    r->capacity = w.own.capacity;
    r->source_slots = w.source.slots;
    r->source_capacity = w.source.capacity;
    return TUFF_OK;
}
