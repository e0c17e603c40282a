#include "runtime/store.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "runtime/device.h"

struct tuff_store {
    tuff_device *device;
    tuff_buffer **buffers;
    size_t count, capacity;
    tuff_map by_name;
};

tuff_status tuff_store_create(tuff_device *device, tuff_store **out_store)
{
    *out_store = tuff_alloc(sizeof **out_store);
    if (!*out_store) return tuff_fail_memory("a store of buffers");
    (*out_store)->device = device;
    tuff_device_keep(device);
    return TUFF_OK;
}

void tuff_store_clear(tuff_store *store)
{
    for (size_t i = 0; i < store->count; i++)
        tuff_buffer_destroy(&store->buffers[i]);
    store->count = 0;
    tuff_map_free(&store->by_name);
}

void tuff_store_destroy(tuff_store **store)
{
    if (!*store) return;
    tuff_store_clear(*store);
    tuff_device_let_go((*store)->device);
    tuff_free((*store)->buffers);
    tuff_free(*store);
    *store = NULL;
}

tuff_device *tuff_store_device(const tuff_store *store)
{
    return store->device;
}

tuff_status tuff_store_add(tuff_store *store, const char *name, tuff_dtype dtype, int rank,
                           const int64_t *dims, tuff_buffer **out_buffer)
{
    if (out_buffer) *out_buffer = NULL;
    if (tuff_store_find(store, name))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "two buffers are called \"%s\"", name);
    if (!tuff_grow((void **)&store->buffers, store->count, &store->capacity, sizeof *store->buffers))
        return tuff_fail_memory("a store of buffers");
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_buffer_create(store->device, name, dtype, rank, dims, &buffer));
    if (!tuff_map_put(&store->by_name, name, strlen(name), (uint32_t)store->count)) {
        tuff_buffer_destroy(&buffer);
        return tuff_fail_memory("a store of buffers");
    }
    store->buffers[store->count++] = buffer;
    if (out_buffer) *out_buffer = buffer;
    return TUFF_OK;
}

tuff_status tuff_store_retype(tuff_store *store, const char *name, tuff_dtype dtype)
{
    uint32_t i;
    if (!tuff_map_get(&store->by_name, name, strlen(name), &i))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "no buffer is called \"%s\"", name);
    const tuff_shape shape = store->buffers[i]->shape;
    tuff_buffer *buffer = NULL;
    TUFF_TRY(tuff_buffer_create(store->device, name, dtype, shape.rank, shape.dim, &buffer));
    tuff_buffer_destroy(&store->buffers[i]);
    store->buffers[i] = buffer;
    return TUFF_OK;
}

tuff_buffer *tuff_store_find(const tuff_store *store, const char *name)
{
    uint32_t i;
    return tuff_map_get(&store->by_name, name, strlen(name), &i) ? store->buffers[i] : NULL;
}

void tuff_store_exchange(tuff_store *store, const char *a, const char *b)
{
    uint32_t i, k;
    if (!tuff_map_get(&store->by_name, a, strlen(a), &i) || !tuff_map_get(&store->by_name, b, strlen(b), &k))
        return;
    tuff_buffer *x = store->buffers[i], *y = store->buffers[k];
    char *name = x->name;
    x->name = y->name;
    y->name = name;
    store->buffers[i] = y;
    store->buffers[k] = x;
}

tuff_status tuff_store_bind_but(const tuff_store *store, const tuff_store *but, tuff_program *program)
{
    for (size_t i = 0; i < store->count; i++)
        if (!but || !tuff_store_find(but, store->buffers[i]->name))
            TUFF_TRY(tuff_program_bind(program, store->buffers[i]->name, store->buffers[i]));
    return TUFF_OK;
}

tuff_status tuff_store_bind(const tuff_store *store, tuff_program *program)
{
    return tuff_store_bind_but(store, NULL, program);
}

uint64_t tuff_store_bytes(const tuff_store *store)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < store->count; i++)
        bytes += tuff_dtype_bytes(store->buffers[i]->dtype, tuff_buffer_count(store->buffers[i]));
    return bytes;
}

size_t tuff_store_count(const tuff_store *store)
{
    return store->count;
}

tuff_buffer *tuff_store_at(const tuff_store *store, size_t index, const char **out_name)
{
    if (out_name) *out_name = store->buffers[index]->name;
    return store->buffers[index];
}
