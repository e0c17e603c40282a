/* The CPU as a device: its memory is the host's, a program runs its steps one after the other. */
#include "backend/backend.h"

#include <stdio.h>
#include <string.h>

#include "backend/cpu/program.h"
#include "base/os.h"
#include "base/thread.h"

static void write_name(unsigned threads, char out[256])
{
#ifdef TUFF_HAVE_ONEDNN
    const char *library = "oneDNN";
#else
    const char *library = "plain loops";
#endif
    snprintf(out, 256, "CPU (%u thread%s, %s)", threads, threads == 1 ? "" : "s", library);
}

static void name_of(const tuff_backend_device *device, char out_name[256])
{
    write_name(tuff_host_threads(((const tuff_cpu_device *)device)->host), out_name);
}

static tuff_status list(tuff_device_description *out, size_t capacity, size_t *out_count, char *reason)
{
    (void)reason;
    *out_count = 1;
    if (capacity == 0) return TUFF_OK;
    *out =
        (tuff_device_description){.kind = TUFF_KIND_CPU, .usable = true, .memory_bytes = tuff_total_memory()};
    write_name(tuff_processors(), out->name);
    return TUFF_OK;
}

static void close_device(tuff_backend_device **device)
{
    tuff_host_destroy(&((tuff_cpu_device *)*device)->host);
    tuff_free(*device);
    *device = NULL;
}

static tuff_status open_device(size_t index, const tuff_open_params *params, tuff_backend_device **out)
{
    (void)index;
    *out = NULL;
    tuff_cpu_device *device = tuff_alloc(sizeof *device);
    if (!device) return tuff_fail_memory("the CPU device");
    device->base.backend = &tuff_backend_cpu;
    device->base.caps = (tuff_caps){.is_host = true, .memory_bytes = tuff_total_memory()};
    tuff_mask_apply(&params->mask, &device->base.caps);
    device->budget = params->mask.memory;
    device->profile = params->profile;
    tuff_backend_device *base = &device->base;
    tuff_status status = tuff_host_create(params->threads, &device->host);
    if (status != TUFF_OK) {
        close_device(&base);
        return status;
    }
    *out = base;
    return TUFF_OK;
}
/* What is free: of the host, or of a lesser budget; 0: not known. */
static uint64_t available(const tuff_cpu_device *device)
{
    uint64_t left = tuff_available_memory(), budget = device->budget;
    if (!budget) return left;
    uint64_t held = __atomic_load_n(&device->stats.bytes, __ATOMIC_RELAXED);
    budget = held < budget ? budget - held : 1;
    return left && left < budget ? left : budget;
}

/* Systems that promise more memory than they have kill the process that uses it: what is surely too much is
 * refused here. */
static bool surely_too_much(const tuff_cpu_device *device, uint64_t bytes)
{
    enum { LARGE = 64 << 20 }; /* worth the question */
    if (bytes > SIZE_MAX - 64) return true;
    if (bytes < LARGE && !device->budget) return false;
    uint64_t left = available(device);
    return left && bytes > left;
}

tuff_status tuff_cpu_memory(tuff_cpu_device *device, uint64_t bytes, const char *what, void **out)
{
    const size_t alignment = bytes < TUFF_LARGE_PAGE ? 64 : TUFF_LARGE_PAGE;
    *out = surely_too_much(device, bytes) ? NULL : tuff_alloc_aligned((size_t)bytes + 64, alignment);
    if (!*out) {
        uint64_t left = available(device);
        return tuff_fail(TUFF_OUT_OF_MEMORY, "out of memory: %s needs %llu bytes, about %llu are free%s",
                         what, (unsigned long long)bytes, (unsigned long long)left,
                         bytes <= left ? ", yet the system gives none: see the process's limits (ulimit -v)"
                                       : "");
    }
    tuff_prefer_large_pages(*out, (size_t)bytes + 64);
    /* a device may be used from several threads */
    __atomic_fetch_add(&device->stats.allocations, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&device->stats.bytes, bytes, __ATOMIC_RELAXED);
    return TUFF_OK;
}

void tuff_cpu_memory_free(tuff_cpu_device *device, uint64_t bytes, void **memory)
{
    if (!*memory) return;
    tuff_free_aligned(*memory);
    *memory = NULL;
    __atomic_fetch_sub(&device->stats.bytes, bytes, __ATOMIC_RELAXED);
}

typedef struct cpu_buffer {
    tuff_backend_buffer base;
    void *memory;
} cpu_buffer;

void *tuff_cpu_buffer_memory(tuff_backend_buffer *buffer)
{
    return ((cpu_buffer *)buffer)->memory;
}

static tuff_status buffer_create(tuff_backend_device *device, uint64_t bytes, const char *name,
                                 tuff_backend_buffer **out)
{
    *out = NULL;
    cpu_buffer *buffer = tuff_alloc(sizeof *buffer);
    if (!buffer) return tuff_fail_memory("a buffer");
    tuff_status status =
        tuff_cpu_memory((tuff_cpu_device *)device, bytes, name ? name : "a buffer", &buffer->memory);
    if (status != TUFF_OK) {
        tuff_free(buffer);
        return status;
    }
    memset(buffer->memory, 0, (size_t)bytes);
    buffer->base = (tuff_backend_buffer){&tuff_backend_cpu, bytes};
    *out = &buffer->base;
    return TUFF_OK;
}

static void buffer_destroy(tuff_backend_device *device, tuff_backend_buffer **buffer)
{
    if (!*buffer) return;
    tuff_cpu_memory_free((tuff_cpu_device *)device, (*buffer)->bytes, &((cpu_buffer *)*buffer)->memory);
    tuff_free(*buffer);
    *buffer = NULL;
}

static tuff_status check_range(const tuff_backend_buffer *buffer, uint64_t offset, uint64_t bytes)
{
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "bytes %llu to %llu lie outside a buffer of %llu bytes",
                     (unsigned long long)offset, (unsigned long long)(offset + bytes),
                     (unsigned long long)buffer->bytes);
}

static tuff_status buffer_write(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                                const void *data, uint64_t bytes)
{
    (void)device;
    TUFF_TRY(check_range(buffer, offset, bytes));
    if (bytes > 0) memcpy((char *)((cpu_buffer *)buffer)->memory + offset, data, (size_t)bytes);
    return TUFF_OK;
}

static tuff_status buffer_read(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                               void *data, uint64_t bytes)
{
    (void)device;
    TUFF_TRY(check_range(buffer, offset, bytes));
    if (bytes > 0) memcpy(data, (char *)((cpu_buffer *)buffer)->memory + offset, (size_t)bytes);
    return TUFF_OK;
}

static void stats(const tuff_backend_device *device, tuff_backend_stats *out)
{
    const tuff_backend_stats *from = &((const tuff_cpu_device *)device)->stats;
    *out = (tuff_backend_stats){
        .allocations = __atomic_load_n(&from->allocations, __ATOMIC_RELAXED),
        .bytes = __atomic_load_n(&from->bytes, __ATOMIC_RELAXED),
        .dispatches = __atomic_load_n(&from->dispatches, __ATOMIC_RELAXED),
    };
}

const tuff_backend tuff_backend_cpu = {
    .name = "cpu",
    .list = list,
    .open = open_device,
    .close = close_device,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .buffer_write = buffer_write,
    .buffer_read = buffer_read,
    .program_create = tuff_cpu_program_create,
    .program_destroy = tuff_cpu_program_destroy,
    .program_slot = tuff_cpu_program_slot,
    .program_run = tuff_cpu_program_run,
    .program_wait = tuff_cpu_program_wait,
    .program_times = tuff_cpu_program_times,
    .name_of = name_of,
    .stats = stats,
};
