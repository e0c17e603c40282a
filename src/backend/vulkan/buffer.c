/* Buffers of the runtime, and reading and writing device memory. */
#include <stddef.h>
#include <string.h>

#include "backend/vulkan/vk.h"
#include "base/memory.h"
#include "base/status.h"

tuff_status tuff_vk_buffer_create(tuff_backend_device *base, uint64_t bytes, const char *name,
                                  tuff_backend_buffer **out)
{
    *out = NULL;
    tuff_vk_device *device = tuff_vk_device_of(base);
    tuff_vk_buffer *buffer = tuff_alloc(sizeof *buffer);
    if (!buffer) return tuff_fail_memory("a buffer");
    buffer->base = (tuff_backend_buffer){.backend = base->backend, .bytes = bytes};
    tuff_backend_buffer *result = &buffer->base;
    tuff_status status =
        tuff_vk_memory_create(device, TUFF_VK_TENSOR, bytes, name ? name : "a buffer", &buffer->memory);
    if (status == TUFF_OK) status = tuff_vk_clear(device, &buffer->memory, 0);
    if (status != TUFF_OK) tuff_vk_buffer_destroy(base, &result);
    *out = result;
    return status;
}

static void destroy(tuff_vk_device *device, tuff_vk_retired *retired)
{
    tuff_vk_buffer *buffer = (tuff_vk_buffer *)(void *)((char *)retired - offsetof(tuff_vk_buffer, retired));
    tuff_vk_memory_destroy(device, &buffer->memory);
    tuff_free(buffer);
}

/* Whatever was submitted may use it. */
void tuff_vk_buffer_destroy(tuff_backend_device *base, tuff_backend_buffer **out)
{
    tuff_vk_buffer *buffer = (tuff_vk_buffer *)*out;
    *out = NULL;
    if (!buffer) return;
    tuff_vk_device *device = tuff_vk_device_of(base);
    tuff_mutex_lock(device->queue_lock);
    uint64_t last = device->submitted;
    tuff_mutex_unlock(device->queue_lock);
    tuff_vk_retire(device, &buffer->retired, last, destroy);
}

static tuff_status check_range(const tuff_backend_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "bytes %llu to %llu of a buffer of %llu bytes",
                     (unsigned long long)offset, (unsigned long long)(offset + bytes),
                     (unsigned long long)buffer->bytes);
}

tuff_status tuff_vk_buffer_write(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                                 const void *data, uint64_t bytes)
{
    TUFF_TRY(check_range(buffer, offset, bytes));
    return tuff_vk_upload(tuff_vk_device_of(device), &((tuff_vk_buffer *)buffer)->memory, offset, data,
                          bytes);
}

tuff_status tuff_vk_buffer_read(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                                void *data, uint64_t bytes)
{
    TUFF_TRY(check_range(buffer, offset, bytes));
    return tuff_vk_download(tuff_vk_device_of(device), &((tuff_vk_buffer *)buffer)->memory, offset, data,
                            bytes);
}

tuff_status tuff_vk_upload(tuff_vk_device *device, const tuff_vk_memory *to, uint64_t offset,
                           const void *data, uint64_t bytes)
{
    if (!device->direct_write) return tuff_vk_stage_up(device, to, offset, data, bytes);
    TUFF_TRY(tuff_vk_wait_idle(device));
    /* the flush writes whole atoms: what the host has of their other bytes must be what the device left there
     */
    TUFF_TRY(tuff_vk_memory_invalidate(device, to, offset, bytes));
    if (bytes) memcpy(tuff_vk_mapped(to) + offset, data, bytes);
    return tuff_vk_memory_flush(device, to, offset, bytes);
}

tuff_status tuff_vk_download(tuff_vk_device *device, const tuff_vk_memory *from, uint64_t offset, void *data,
                             uint64_t bytes)
{
    if (!device->direct_read) return tuff_vk_stage_down(device, from, offset, data, bytes);
    TUFF_TRY(tuff_vk_wait_idle(device));
    TUFF_TRY(tuff_vk_memory_invalidate(device, from, offset, bytes));
    if (bytes) memcpy(data, tuff_vk_mapped(from) + offset, bytes);
    return TUFF_OK;
}

tuff_status tuff_vk_clear(tuff_vk_device *device, const tuff_vk_memory *memory, uint8_t value)
{
    /* a card fills its own memory much faster than the host does, even where the host reaches it */
    if (!device->direct_read) return tuff_vk_stage_clear(device, memory, value);
    /* new memory: nothing submitted uses it, so there is nothing to wait for */
    memset(tuff_vk_mapped(memory), value, memory->bytes);
    return tuff_vk_memory_flush(device, memory, 0, memory->bytes);
}
