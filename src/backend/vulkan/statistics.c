/* What a driver tells of the pipelines that it compiled (VK_KHR_pipeline_executable_properties), and what
 * their modules tell without it. */
#include <string.h>

#include "backend/vulkan/vk.h"
#include "base/memory.h"
#include "base/status.h"

/* Drivers fill these arrays; one that leaves no 0 in them is no reason to read on. */
static const char *copy_text(tuff_arena *arena, const char text[VK_MAX_DESCRIPTION_SIZE])
{
    return tuff_arena_printf(arena, "%.*s", VK_MAX_DESCRIPTION_SIZE, text);
}

static tuff_status check(tuff_vk_device *device, VkResult result, const char *what)
{
    /* there may be more between the call that counts and the one that fills */
    return tuff_vk_check(device, result == VK_INCOMPLETE ? VK_SUCCESS : result, what);
}

static bool take_statistic(tuff_arena *arena, const VkPipelineExecutableStatisticKHR *from,
                           tuff_kernel_statistic *to)
{
    *to = (tuff_kernel_statistic){.name = copy_text(arena, from->name),
                                  .description = copy_text(arena, from->description)};
    switch (from->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        to->format = TUFF_KERNEL_BOOL;
        to->value.boolean = from->value.b32 != VK_FALSE;
        break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        to->format = TUFF_KERNEL_INT64;
        to->value.int64 = from->value.i64;
        break;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
        to->format = TUFF_KERNEL_FLOAT64;
        to->value.float64 = from->value.f64;
        break;
    default:
        to->format = TUFF_KERNEL_UINT64;
        to->value.uint64 = from->value.u64;
    }
    return to->name && to->description;
}

static tuff_status read_statistics(tuff_vk_device *device, const VkPipelineExecutableInfoKHR *info,
                                   tuff_arena *arena, tuff_kernel_executable *out)
{
    uint32_t n = 0;
    TUFF_TRY(check(device, device->vk.vkGetPipelineExecutableStatisticsKHR(device->handle, info, &n, NULL),
                   "counting what it tells of a kernel"));
    VkPipelineExecutableStatisticKHR *found = tuff_alloc_array(n, sizeof *found);
    tuff_kernel_statistic *statistics = tuff_arena_array(arena, n, sizeof *statistics);
    bool held = found && statistics;
    VkResult result = VK_SUCCESS;
    for (uint32_t i = 0; i < n && held; i++)
        found[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    if (n && held) result = device->vk.vkGetPipelineExecutableStatisticsKHR(device->handle, info, &n, found);
    tuff_status status = held ? check(device, result, "reading what it tells of a kernel") : TUFF_OK;
    for (uint32_t i = 0; i < n && held && status == TUFF_OK; i++)
        held = take_statistic(arena, &found[i], &statistics[i]);
    tuff_free(found);
    out->statistics = statistics;
    out->n_statistics = n;
    return held ? status : tuff_fail_memory("the statistics of a kernel");
}

static tuff_status read_executables(tuff_vk_device *device, VkPipeline pipeline, tuff_arena *arena,
                                    tuff_kernel *out)
{
    const VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    uint32_t n = 0;
    TUFF_TRY(check(device, device->vk.vkGetPipelineExecutablePropertiesKHR(device->handle, &info, &n, NULL),
                   "counting what it made of a kernel"));
    if (n == 0) return TUFF_OK;
    VkPipelineExecutablePropertiesKHR *found = tuff_arena_array(arena, n, sizeof *found);
    tuff_kernel_executable *executables = tuff_arena_array(arena, n, sizeof *executables);
    if (!found || !executables) return tuff_fail_memory("the statistics of a kernel");
    for (uint32_t i = 0; i < n; i++)
        found[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
    TUFF_TRY(check(device, device->vk.vkGetPipelineExecutablePropertiesKHR(device->handle, &info, &n, found),
                   "reading what it made of a kernel"));
    for (uint32_t i = 0; i < n; i++) {
        const VkPipelineExecutableInfoKHR one = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                                 .pipeline = pipeline,
                                                 .executableIndex = i};
        executables[i] = (tuff_kernel_executable){.name = copy_text(arena, found[i].name),
                                                  .description = copy_text(arena, found[i].description),
                                                  .subgroup_size = found[i].subgroupSize};
        if (!executables[i].name || !executables[i].description)
            return tuff_fail_memory("the statistics of a kernel");
        TUFF_TRY(read_statistics(device, &one, arena, &executables[i]));
    }
    out->executables = executables;
    out->n_executables = n;
    return TUFF_OK;
}

/* What the module tells. */
static tuff_status describe(tuff_vk_device *device, const tuff_dispatch *dispatch, tuff_arena *arena,
                            tuff_kernel *out)
{
    const tuff_vk_module *module;
    uint64_t shared;
    uint32_t *constants = tuff_arena_array(arena, (size_t)dispatch->n_spec, sizeof *constants);
    if (!constants) return tuff_fail_memory("a kernel");
    memcpy(constants, dispatch->spec, (size_t)dispatch->n_spec * sizeof *constants);
    tuff_mutex_lock(device->pipeline_lock);
    tuff_status status = tuff_vk_module_of(device, dispatch->shader, &module);
    tuff_mutex_unlock(device->pipeline_lock);
    TUFF_TRY(status);
    TUFF_TRY(tuff_spirv_shared_bytes(module->words, module->n_words, dispatch, &shared));
    *out = (tuff_kernel){.shader = tuff_spirv_pack[dispatch->shader].name,
                         .constants = constants,
                         .n_constants = (size_t)dispatch->n_spec,
                         .subgroup_size = device->base.caps.subgroup_size,
                         .shared_bytes = (uint32_t)shared,
                         .spirv_bytes = module->n_words * 4};
    for (int axis = 0; axis < 3; axis++)
        out->workgroup[axis] = tuff_spirv_local_size(&module->info, dispatch, axis);
    return TUFF_OK;
}

tuff_status tuff_vk_compile(tuff_backend_device *base, const tuff_dispatch *dispatch, tuff_arena *arena,
                            tuff_kernel *out)
{
    tuff_vk_device *device = tuff_vk_device_of(base);
    const char *driver = device->probe.description.driver;
    VkPipeline pipeline;
    uint32_t number;
    bool told = false;
    TUFF_TRY(tuff_vk_pipeline_of(device, dispatch, &pipeline, &number));
    TUFF_TRY(describe(device, dispatch, arena, out));
    if (device->captures)
        TUFF_TRY(tuff_note(read_executables(device, pipeline, arena, out), "%s", out->shader));
    for (size_t i = 0; i < out->n_executables; i++)
        told = told || out->executables[i].n_statistics > 0;
    if (told) return TUFF_OK;
    out->silence =
        device->captures
            ? tuff_arena_printf(
                  arena, "the driver (%s) has VK_KHR_pipeline_executable_properties, and told nothing by it",
                  driver)
            : tuff_arena_printf(arena, "the driver (%s) does not have VK_KHR_pipeline_executable_properties",
                                driver);
    return out->silence ? TUFF_OK : tuff_fail_memory("a kernel");
}
