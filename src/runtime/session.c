#include "runtime/session.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "runtime/program.h"

typedef struct shared_block {
    uint64_t bytes;
    tuff_backend_buffer *buffer; /* NULL until a program that has it is ready */
    bool taken;                  /* by the program at hand */
} shared_block;

typedef struct entry {
    void *key;
    size_t key_size;
    tuff_program *program;
    uint32_t *blocks; /* which of the arena each of the plan's is */
    bool ready;       /* it has its memory */
    bool kept;        /* never let go */
    uint64_t asked;   /* when it was last asked for, in requests */
} entry;

struct tuff_session {
    tuff_device *device;
    tuff_store *store, *caches;
    bool borrowed;  /* the store is another's */
    entry *entries; /* few enough to be looked through */
    size_t count, capacity;
    uint64_t requests;
    shared_block *blocks; /* of the arena: they never move */
    size_t n_blocks, blocks_capacity;
};

tuff_status tuff_session_create_on(tuff_store *store, tuff_session **out_session)
{
    *out_session = tuff_alloc(sizeof **out_session);
    if (!*out_session) return tuff_fail_memory("a session");
    **out_session = (tuff_session){.device = tuff_store_device(store), .store = store, .borrowed = true};
    return TUFF_OK;
}

tuff_status tuff_session_create(tuff_device *device, tuff_session **out_session)
{
    tuff_store *store = NULL;
    *out_session = NULL;
    TUFF_TRY(tuff_store_create(device, &store));
    tuff_status status = tuff_session_create_on(store, out_session);
    if (status != TUFF_OK)
        tuff_store_destroy(&store);
    else
        (*out_session)->borrowed = false;
    return status;
}

static void drop(entry *e)
{
    tuff_program_destroy(&e->program);
    tuff_free(e->blocks);
    tuff_free(e->key);
}

/* Gives up blocks of the arena that no program has: those that are not on the device, with `all` the others,
 * too. The rest keep their numbers. */
static void free_blocks(tuff_session *session, bool all)
{
    for (size_t i = 0; i < session->n_blocks; i++)
        session->blocks[i].taken = false;
    for (size_t i = 0; i < session->count; i++) {
        const entry *e = &session->entries[i];
        for (size_t k = 0; k < e->program->plan->n_blocks; k++)
            session->blocks[e->blocks[k]].taken = true;
    }
    for (size_t i = 0; i < session->n_blocks; i++) {
        shared_block *block = &session->blocks[i];
        if (block->taken || (block->buffer && !all)) continue;
        if (block->buffer) session->device->backend->buffer_destroy(session->device->handle, &block->buffer);
        *block = (shared_block){0};
    }
}

/* Of the arena stays what is on the device. */
static void drop_programs(tuff_session *session)
{
    for (size_t i = 0; i < session->count; i++)
        drop(&session->entries[i]);
    session->count = 0;
    free_blocks(session, false);
}

void tuff_session_destroy(tuff_session **out)
{
    tuff_session *session = *out;
    if (!session) return;
    drop_programs(session);
    free_blocks(session, true);
    if (session->caches) tuff_store_destroy(&session->caches);
    if (!session->borrowed) tuff_store_destroy(&session->store); /* at last: it keeps the device */
    tuff_free(session->entries);
    tuff_free(session->blocks);
    tuff_free(session);
    *out = NULL;
}

tuff_store *tuff_session_store(const tuff_session *session)
{
    return session->store;
}

tuff_store *tuff_session_caches(const tuff_session *session)
{
    return session->caches;
}

void tuff_session_set_caches(tuff_session *session, tuff_store **caches)
{
    drop_programs(session);
    if (session->caches) tuff_store_destroy(&session->caches);
    session->caches = *caches;
    *caches = NULL;
}

uint64_t tuff_session_arena(const tuff_session *session)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < session->n_blocks; i++)
        if (session->blocks[i].buffer) bytes += session->blocks[i].bytes;
    return bytes;
}

uint64_t tuff_session_arena_planned(const tuff_session *session)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < session->n_blocks; i++)
        bytes += session->blocks[i].bytes;
    return bytes;
}

uint64_t tuff_session_transfers(const tuff_session *session)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < session->count; i++)
        bytes += tuff_program_memory_of(session->entries[i].program).staging;
    return bytes;
}

/* What a block is made for that is larger than all there are: the smaller ones stay, so that programs of ever
 * larger batches would have one each. Twice the largest makes them few; so much more than is needed is
 * little. */
static uint64_t block_size(const tuff_session *session, const tuff_plan *plan, uint64_t bytes)
{
    const uint64_t much = 64 << 20;
    uint64_t largest = 0, most = session->device->handle->caps.max_allocation; /* 0: any */
    for (size_t i = 0; i < session->n_blocks; i++)
        if (session->blocks[i].bytes > largest) largest = session->blocks[i].bytes;
    if (plan->n_blocks > 1 || (most && bytes >= most)) return bytes; /* cut to fit */
    if (!most || most > bytes + much) most = bytes + much;
    uint64_t size = 2 * largest < most ? 2 * largest : most;
    return largest && size > bytes ? size : bytes;
}

/* The smallest free block of so many bytes, or a new one. */
static tuff_status take_block(tuff_session *session, const tuff_plan *plan, uint64_t bytes, uint32_t *out)
{
    size_t best = session->n_blocks, none = session->n_blocks;
    for (size_t i = 0; i < session->n_blocks; i++) {
        const shared_block *block = &session->blocks[i];
        if (!block->bytes) none = i;
        if (block->taken || block->bytes < bytes) continue;
        if (best == session->n_blocks || block->bytes < session->blocks[best].bytes) best = i;
    }
    if (best == session->n_blocks) {
        const uint64_t size = block_size(session, plan, bytes);
        if (!tuff_grow((void **)&session->blocks, session->n_blocks, &session->blocks_capacity,
                       sizeof *session->blocks))
            return tuff_fail_memory("a session's arena");
        best = none;
        if (best == session->n_blocks) session->n_blocks++;
        session->blocks[best] = (shared_block){.bytes = size};
    }
    session->blocks[best].taken = true;
    *out = (uint32_t)best;
    return TUFF_OK;
}

/* Gives the plan's blocks their places in the arena, the largest first: so the largest there are serve again.
 */
static tuff_status share_arena(tuff_session *session, entry *e)
{
    enum { NONE = UINT32_MAX };
    const tuff_plan *plan = e->program->plan;
    e->blocks = tuff_alloc_array(plan->n_blocks + 1, sizeof *e->blocks);
    if (!e->blocks) return tuff_fail_memory("a program");
    for (size_t i = 0; i < session->n_blocks; i++)
        session->blocks[i].taken = false;
    for (size_t i = 0; i < plan->n_blocks; i++)
        e->blocks[i] = NONE;
    for (size_t done = 0; done < plan->n_blocks; done++) {
        size_t largest = plan->n_blocks;
        for (size_t i = 0; i < plan->n_blocks; i++)
            if (e->blocks[i] == NONE &&
                (largest == plan->n_blocks || plan->blocks[i] > plan->blocks[largest]))
                largest = i;
        TUFF_TRY(take_block(session, plan, plan->blocks[largest], &e->blocks[largest]));
    }
    return TUFF_OK;
}

static tuff_status plan(tuff_session *session, tuff_session_build build, void *user, const tuff_watch *watch,
                        entry *out)
{
    tuff_graph *g = NULL;
    TUFF_TRY(tuff_graph_create(&g));
    tuff_status status = build(user, g);
    if (status != TUFF_OK) {
        tuff_graph_destroy(&g);
        return status;
    }
    TUFF_TRY(tuff_program_create_watched(session->device, &g, watch, &out->program));
    return share_arena(session, out);
}

/* The programs that were asked for longest ago go, where there are too many or too large ones, and their
 * blocks with them. What the device still works on is the backend's until it is done. */
static void let_go(tuff_session *session)
{
    bool any = false;
    for (;;) {
        size_t oldest = session->count, loose = 0;
        for (size_t i = 0; i < session->count; i++) {
            const entry *e = &session->entries[i];
            loose += !e->kept;
            if (!e->kept && (oldest == session->count || e->asked < session->entries[oldest].asked))
                oldest = i;
        }
        bool too_many = session->count > TUFF_SESSION_PROGRAMS,
             too_large = tuff_session_transfers(session) > TUFF_SESSION_STAGING;
        if (loose <= TUFF_SESSION_RECENT || !(too_many || too_large)) break;
        drop(&session->entries[oldest]);
        session->entries[oldest] = session->entries[--session->count];
        any = true;
    }
    if (any) free_blocks(session, true);
}

static tuff_status make(tuff_session *session, const void *key, size_t size, tuff_session_build build,
                        void *user, const tuff_watch *watch, entry *out)
{
    *out = (entry){.key = tuff_alloc(size + 1), .key_size = size};
    if (!out->key || !tuff_grow((void **)&session->entries, session->count, &session->capacity, sizeof *out))
        return tuff_fail_memory("a session's programs");
    memcpy(out->key, key, size);
    return plan(session, build, user, watch, out);
}

static entry *look_up(tuff_session *session, const void *key, size_t size)
{
    for (size_t i = 0; i < session->count; i++) {
        entry *e = &session->entries[i];
        if (e->key_size == size && memcmp(e->key, key, size) == 0) return e;
    }
    return NULL;
}

/* The entry of a key, planned now if it is not yet. */
static tuff_status find(tuff_session *session, const void *key, size_t size, tuff_session_build build,
                        void *user, const tuff_watch *watch, entry **out)
{
    entry made;
    *out = look_up(session, key, size);
    if (!*out) {
        tuff_status status = make(session, key, size, build, user, watch, &made);
        if (status != TUFF_OK) {
            drop(&made);
            free_blocks(session, false); /* those that it added */
            return status;
        }
        made.asked = session->requests + 1; /* the last to go */
        session->entries[session->count++] = made;
        let_go(session);
        *out = look_up(session, key, size);
    }
    (*out)->asked = ++session->requests;
    return TUFF_OK;
}

void tuff_session_keep(tuff_session *session, const tuff_program *program)
{
    for (size_t i = 0; i < session->count; i++)
        if (session->entries[i].program == program) session->entries[i].kept = true;
}

/* Binds a program to the store's buffers, and makes its blocks of the arena where they are not there yet. */
static tuff_status give_memory(tuff_session *session, entry *e)
{
    size_t n = e->program->plan->n_blocks;
    if (e->ready) return TUFF_OK;
    TUFF_TRY(tuff_store_bind_but(session->store, session->caches, e->program));
    if (session->caches) TUFF_TRY(tuff_store_bind(session->caches, e->program));
    for (size_t i = 0; i < n; i++) {
        shared_block *block = &session->blocks[e->blocks[i]];
        if (block->buffer) continue;
        TUFF_TRY(session->device->backend->buffer_create(session->device->handle, block->bytes,
                                                         "a session's arena", &block->buffer));
    }
    e->program->blocks = tuff_alloc_array(n + 1, sizeof *e->program->blocks);
    if (!e->program->blocks) return tuff_fail_memory("a program");
    for (size_t i = 0; i < n; i++)
        e->program->blocks[i] = session->blocks[e->blocks[i]].buffer;
    e->ready = true;
    return TUFF_OK;
}

tuff_status tuff_session_plan(tuff_session *session, const void *key, size_t size, tuff_session_build build,
                              void *user, const tuff_watch *watch, tuff_program **out_program)
{
    entry *e = NULL;
    *out_program = NULL;
    TUFF_TRY(find(session, key, size, build, user, watch, &e));
    *out_program = e->program;
    return TUFF_OK;
}

tuff_status tuff_session_program(tuff_session *session, const void *key, size_t size,
                                 tuff_session_build build, void *user, const tuff_watch *watch,
                                 tuff_program **out_program)
{
    entry *e = NULL;
    *out_program = NULL;
    TUFF_TRY(find(session, key, size, build, user, watch, &e));
    TUFF_TRY(give_memory(session, e));
    *out_program = e->program;
    return TUFF_OK;
}

tuff_status tuff_session_ready(tuff_session *session)
{
    for (size_t i = 0; i < session->count; i++)
        TUFF_TRY(give_memory(session, &session->entries[i]));
    return TUFF_OK;
}
