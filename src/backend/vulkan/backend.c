/* The Vulkan backend's table. */
#include "backend/vulkan/program.h"
#include "backend/vulkan/vk.h"

static void stats(const tuff_backend_device *base, tuff_backend_stats *out)
{
    const tuff_vk_device *device = (const tuff_vk_device *)base;
    tuff_mutex_lock(device->memory_lock); /* allocations and bytes */
    tuff_mutex_lock(device->queue_lock);  /* the rest */
    *out = device->stats;
    tuff_mutex_unlock(device->queue_lock);
    tuff_mutex_unlock(device->memory_lock);
}

static tuff_status shader_key(const tuff_backend_device *device, tuff_shader shader, char out_key[65])
{
    (void)device;
    return tuff_shader_key_of(shader, tuff_environment("TUFF_SHADER_DIR"), out_key);
}

static tuff_status kernel(tuff_backend_device *device, const tuff_dispatch *dispatch,
                          tuff_backend_kernel *out)
{
    tuff_vk_device *d = tuff_vk_device_of(device);
    const tuff_vk_module *module;
    tuff_mutex_lock(d->pipeline_lock);
    tuff_status status = tuff_vk_module_of(d, dispatch->shader, &module);
    tuff_mutex_unlock(d->pipeline_lock);
    TUFF_TRY(status);
    out->spirv = module->words;
    out->spirv_bytes = module->n_words * 4;
    for (int axis = 0; axis < 3; axis++)
        out->workgroup[axis] = tuff_spirv_local_size(&module->info, dispatch, axis);
    return TUFF_OK;
}

const tuff_backend tuff_backend_vulkan = {
    .name = "vulkan",
    .list = tuff_vk_list,
    .open = tuff_vk_open,
    .close = tuff_vk_close,
    .buffer_create = tuff_vk_buffer_create,
    .buffer_destroy = tuff_vk_buffer_destroy,
    .buffer_write = tuff_vk_buffer_write,
    .buffer_read = tuff_vk_buffer_read,
    .program_create = tuff_vk_program_create,
    .program_destroy = tuff_vk_program_destroy,
    .program_slot = tuff_vk_program_slot,
    .program_run = tuff_vk_program_run,
    .program_wait = tuff_vk_program_wait,
    .program_times = tuff_vk_program_times,
    .shader_key = shader_key,
    .kernel = kernel,
    .compile = tuff_vk_compile,
    .stats = stats,
    .validation = tuff_vk_validation,
};
