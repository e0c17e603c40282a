#include "runtime/session.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "runtime/program.h"

typedef struct shared_block {
    tuff_backend_buffer *buffer;
    bool taken; /* by the program at hand */
} shared_block;

struct tuff_session {
    tuff_device *device;
    tuff_store *store, *caches;
    tuff_map by_key;
    tuff_program **programs;
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

static void drop_programs(tuff_session *session)
{
    for (size_t i = 0; i < session->count; i++)
        tuff_program_destroy(&session->programs[i]);
    session->count = 0;
    tuff_map_free(&session->by_key);
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
    tuff_free(session->programs);
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
        bytes += session->blocks[i].buffer->bytes;
    return bytes;
}

/* The smallest free block of so many bytes, or a new one. */
static tuff_status take_block(tuff_session *session, uint64_t bytes, tuff_backend_buffer **out)
{
    shared_block *best = NULL;
    for (size_t i = 0; i < session->n_blocks; i++) {
        shared_block *block = &session->blocks[i];
        if (block->taken || block->buffer->bytes < bytes) continue;
        if (!best || block->buffer->bytes < best->buffer->bytes) best = block;
    }
    if (!best) {
        if (!tuff_grow((void **)&session->blocks, session->n_blocks, &session->blocks_capacity,
                       sizeof *session->blocks))
            return tuff_fail_memory("a session's arena");
        best = &session->blocks[session->n_blocks];
        *best = (shared_block){0};
        TUFF_TRY(session->device->backend->buffer_create(session->device->handle, bytes, "a session's arena",
                                                         &best->buffer));
        session->n_blocks++;
    }
    best->taken = true;
    *out = best->buffer;
    return TUFF_OK;
}

/* Gives the plan's blocks memory of the arena, the largest first: so the largest there are serve again. */
static tuff_status share_arena(tuff_session *session, tuff_program *program)
{
    const tuff_plan *plan = program->plan;
    program->blocks = tuff_alloc_array(plan->n_blocks + 1, sizeof *program->blocks);
    if (!program->blocks) return tuff_fail_memory("a program");
    for (size_t i = 0; i < session->n_blocks; i++)
        session->blocks[i].taken = false;
    for (size_t done = 0; done < plan->n_blocks; done++) {
        size_t largest = plan->n_blocks;
        for (size_t i = 0; i < plan->n_blocks; i++)
            if (!program->blocks[i] && (largest == plan->n_blocks || plan->blocks[i] > plan->blocks[largest]))
                largest = i;
        TUFF_TRY(take_block(session, plan->blocks[largest], &program->blocks[largest]));
    }
    return TUFF_OK;
}

static tuff_status make_program(tuff_session *session, tuff_session_build build, void *user,
                                tuff_program **out_program)
{
    tuff_graph *g = NULL;
    TUFF_TRY(tuff_graph_create(&g));
    tuff_status status = build(user, g);
    if (status != TUFF_OK) {
        tuff_graph_destroy(&g);
        return status;
    }
    TUFF_TRY(tuff_program_create(session->device, &g, out_program));
    TUFF_TRY(tuff_store_bind(session->store, *out_program));
    if (session->caches) TUFF_TRY(tuff_store_bind(session->caches, *out_program));
    return share_arena(session, *out_program);
}

tuff_status tuff_session_program(tuff_session *session, const void *key, size_t size,
                                 tuff_session_build build, void *user, tuff_program **out_program)
{
    uint32_t at;
    *out_program = NULL;
    if (tuff_map_get(&session->by_key, key, size, &at)) {
        *out_program = session->programs[at];
        return TUFF_OK;
    }
    if (!tuff_grow((void **)&session->programs, session->count, &session->capacity, sizeof(tuff_program *)))
        return tuff_fail_memory("a session's programs");
    tuff_program *program = NULL;
    tuff_status status = make_program(session, build, user, &program);
    if (status == TUFF_OK && !tuff_map_put(&session->by_key, key, size, (uint32_t)session->count))
        status = tuff_fail_memory("a session's programs");
    if (status != TUFF_OK) {
        tuff_program_destroy(&program);
        return status;
    }
    session->programs[session->count++] = program;
    *out_program = program;
    return TUFF_OK;
}
