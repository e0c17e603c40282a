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
    tuff_program *program;
    uint32_t *blocks; /* which of the arena each of the plan's is */
    bool ready;       /* it has its memory */
} entry;

struct tuff_session {
    tuff_device *device;
    tuff_store *store, *caches;
    tuff_map by_key;
    entry *entries;
    size_t count, capacity;
    shared_block *blocks; /* of the arena: they never move */
    size_t n_blocks, blocks_capacity;
};

tuff_status tuff_session_create(tuff_device *device, tuff_session **out_session)
{
    *out_session = NULL;
    tuff_session *session = tuff_alloc(sizeof *session);
    if (!session) return tuff_fail_memory("a session");
    session->device = device;
    tuff_status status = tuff_store_create(device, &session->store);
    if (status != TUFF_OK)
        tuff_free(session);
    else
        *out_session = session;
    return status;
}

static void drop(entry *e)
{
    tuff_program_destroy(&e->program);
    tuff_free(e->blocks);
}

/* Of the arena stays what is on the device. */
static void drop_programs(tuff_session *session)
{
    size_t kept = 0;
    for (size_t i = 0; i < session->count; i++)
        drop(&session->entries[i]);
    session->count = 0;
    tuff_map_free(&session->by_key);
    for (size_t i = 0; i < session->n_blocks; i++)
        if (session->blocks[i].buffer) session->blocks[kept++] = session->blocks[i];
    session->n_blocks = kept;
}

void tuff_session_destroy(tuff_session **out)
{
    tuff_session *session = *out;
    if (!session) return;
    drop_programs(session);
    for (size_t i = 0; i < session->n_blocks; i++)
        session->device->backend->buffer_destroy(session->device->handle, &session->blocks[i].buffer);
    if (session->caches) tuff_store_destroy(&session->caches);
    tuff_store_destroy(&session->store);
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

/* The smallest free block of so many bytes, or a new one. */
static tuff_status take_block(tuff_session *session, uint64_t bytes, uint32_t *out)
{
    size_t best = session->n_blocks;
    for (size_t i = 0; i < session->n_blocks; i++) {
        const shared_block *block = &session->blocks[i];
        if (block->taken || block->bytes < bytes) continue;
        if (best == session->n_blocks || block->bytes < session->blocks[best].bytes) best = i;
    }
    if (best == session->n_blocks) {
        if (!tuff_grow((void **)&session->blocks, session->n_blocks, &session->blocks_capacity,
                       sizeof *session->blocks))
            return tuff_fail_memory("a session's arena");
        session->blocks[session->n_blocks++] = (shared_block){.bytes = bytes};
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
        TUFF_TRY(take_block(session, plan->blocks[largest], &e->blocks[largest]));
    }
    return TUFF_OK;
}

static tuff_status plan(tuff_session *session, tuff_session_build build, void *user, entry *out)
{
    tuff_graph *g = NULL;
    TUFF_TRY(tuff_graph_create(&g));
    tuff_status status = build(user, g);
    if (status != TUFF_OK) {
        tuff_graph_destroy(&g);
        return status;
    }
    TUFF_TRY(tuff_program_create(session->device, &g, &out->program));
    return share_arena(session, out);
}

/* The entry of a key, planned now if it is not yet. */
static tuff_status find(tuff_session *session, const void *key, size_t size, tuff_session_build build,
                        void *user, entry **out)
{
    uint32_t at;
    if (tuff_map_get(&session->by_key, key, size, &at)) {
        *out = &session->entries[at];
        return TUFF_OK;
    }
    if (!tuff_grow((void **)&session->entries, session->count, &session->capacity, sizeof(entry)))
        return tuff_fail_memory("a session's programs");
    entry made = {0};
    size_t blocks = session->n_blocks;
    tuff_status status = plan(session, build, user, &made);
    if (status == TUFF_OK && !tuff_map_put(&session->by_key, key, size, (uint32_t)session->count))
        status = tuff_fail_memory("a session's programs");
    if (status != TUFF_OK) {
        drop(&made);
        session->n_blocks = blocks; /* nobody else has those that it added */
        return status;
    }
    *out = &session->entries[session->count++];
    **out = made;
    return TUFF_OK;
}

/* Binds a program to the store's buffers, and makes its blocks of the arena where they are not there yet. */
static tuff_status give_memory(tuff_session *session, entry *e)
{
    size_t n = e->program->plan->n_blocks;
    if (e->ready) return TUFF_OK;
    TUFF_TRY(tuff_store_bind(session->store, e->program));
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
                              void *user, tuff_program **out_program)
{
    entry *e = NULL;
    *out_program = NULL;
    TUFF_TRY(find(session, key, size, build, user, &e));
    *out_program = e->program;
    return TUFF_OK;
}

tuff_status tuff_session_program(tuff_session *session, const void *key, size_t size,
                                 tuff_session_build build, void *user, tuff_program **out_program)
{
    entry *e = NULL;
    *out_program = NULL;
    TUFF_TRY(find(session, key, size, build, user, &e));
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
