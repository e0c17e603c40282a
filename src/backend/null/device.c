/* A device that runs nothing: plans, their kernels' geometry and their properties are tested on it. */
#include "backend/backend.h"

#include <stdio.h>

typedef struct null_program {
    tuff_backend_program base;
    void *slot, *results;
} null_program;

static tuff_status list(tuff_device_description *out, size_t capacity, size_t *out_count, char *reason)
{
    (void)reason;
    *out_count = 1;
    if (capacity == 0) return TUFF_OK;
    *out = (tuff_device_description){.kind = TUFF_KIND_VIRTUAL, .reason = "it runs nothing"};
    snprintf(out->name, sizeof out->name, "null");
    return TUFF_OK;
}

static tuff_status open_device(size_t index, const tuff_open_params *params, tuff_backend_device **out)
{
    (void)index;
    *out = tuff_alloc(sizeof **out);
    if (!*out) return tuff_fail_memory("the null device");
    (*out)->backend = &tuff_backend_null;
    /* the least that the Vulkan backend accepts, less what is masked */
    (*out)->caps = (tuff_caps){.features = 0,
                               .subgroup_size = 4,
                               .shared_bytes = 16384,
                               .max_workgroup = 128,
                               .max_groups = {65535, 65535, 65535},
                               .max_allocation = (uint64_t)1 << 30};
    tuff_mask_apply(&params->mask, &(*out)->caps);
    return TUFF_OK;
}

static void close_device(tuff_backend_device **device)
{
    tuff_free(*device);
    *device = NULL;
}

static tuff_status buffer_create(tuff_backend_device *device, uint64_t bytes, const char *name,
                                 tuff_backend_buffer **out)
{
    (void)device;
    (void)name;
    *out = tuff_alloc(sizeof **out);
    if (!*out) return tuff_fail_memory("a buffer");
    **out = (tuff_backend_buffer){&tuff_backend_null, bytes};
    return TUFF_OK;
}

static void buffer_destroy(tuff_backend_device *device, tuff_backend_buffer **buffer)
{
    (void)device;
    tuff_free(*buffer);
    *buffer = NULL;
}

static tuff_status refuse(void)
{
    return tuff_fail(TUFF_UNSUPPORTED, "the null device has no memory to read or write");
}

static tuff_status buffer_write(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                                const void *data, uint64_t bytes)
{
    (void)device, (void)buffer, (void)offset, (void)data, (void)bytes;
    return refuse();
}

static tuff_status buffer_read(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                               void *data, uint64_t bytes)
{
    (void)device, (void)buffer, (void)offset, (void)data, (void)bytes;
    return refuse();
}

static void program_destroy(tuff_backend_device *device, tuff_backend_program **program)
{
    (void)device;
    null_program *p = (null_program *)*program;
    if (!p) return;
    tuff_free(p->slot);
    tuff_free(p->results);
    tuff_free(p);
    *program = NULL;
}

static tuff_status program_create(tuff_backend_device *device, const tuff_plan *plan,
                                  tuff_backend_buffer *const *variables, tuff_backend_buffer *const *blocks,
                                  tuff_backend_program **out)
{
    (void)variables, (void)blocks;
    *out = NULL;
    null_program *p = tuff_alloc(sizeof *p);
    if (!p) return tuff_fail_memory("a program");
    *out = &p->base;
    p->base = (tuff_backend_program){.backend = &tuff_backend_null, .plan = plan};
    p->slot = tuff_alloc((size_t)plan->input_bytes + 1);
    p->results = tuff_alloc((size_t)plan->output_bytes + 1);
    if (p->slot && p->results) return TUFF_OK;
    program_destroy(device, out);
    return tuff_fail_memory("a program");
}

static tuff_status program_slot(tuff_backend_device *device, tuff_backend_program *program, void **out_slot)
{
    (void)device;
    *out_slot = ((null_program *)program)->slot;
    return TUFF_OK;
}

static tuff_status program_run(tuff_backend_device *device, tuff_backend_program *program)
{
    (void)device, (void)program;
    return TUFF_OK;
}

static tuff_status program_wait(tuff_backend_device *device, tuff_backend_program *program,
                                const void **out_results)
{
    (void)device;
    *out_results = ((null_program *)program)->results;
    return TUFF_OK;
}

static const tuff_step_time *program_times(tuff_backend_program *program)
{
    (void)program;
    return NULL;
}

static void stats(const tuff_backend_device *device, tuff_backend_stats *out)
{
    (void)device;
    *out = (tuff_backend_stats){0};
}

const tuff_backend tuff_backend_null = {
    .name = "null",
    .list = list,
    .open = open_device,
    .close = close_device,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .buffer_write = buffer_write,
    .buffer_read = buffer_read,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .program_slot = program_slot,
    .program_run = program_run,
    .program_wait = program_wait,
    .program_times = program_times,
    .stats = stats,
};
