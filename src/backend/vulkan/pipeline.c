/* Pipelines: one layout for all, one pipeline per module and set of specialization constants. */
#include <string.h>

#include "backend/vulkan/vk.h"
#include "base/memory.h"
#include "base/status.h"

tuff_status tuff_vk_module_of(tuff_vk_device *device, tuff_shader shader, const tuff_vk_module **out)
{
    *out = NULL;
    tuff_vk_module *module = &device->modules[shader];
    if (!module->words)
        TUFF_TRY(tuff_shader_load(shader, tuff_environment("TUFF_SHADER_DIR"), &device->params.log, module));
    *out = module;
    return TUFF_OK;
}

/* The limits by axis, which caps do not have. */
static const char *check_axes(const tuff_vk_device *device, const tuff_spirv_info *info,
                              const tuff_dispatch *dispatch)
{
    for (int axis = 0; axis < 3; axis++)
        if (tuff_spirv_local_size(info, dispatch, axis) >
            device->probe.properties.limits.maxComputeWorkGroupSize[axis])
            return "the workgroup is too large along an axis";
    return NULL;
}

static tuff_status create_pipeline(tuff_vk_device *device, const tuff_vk_module *code,
                                   const tuff_dispatch *dispatch, VkPipeline *out)
{
    *out = VK_NULL_HANDLE;
    VkShaderModuleCreateInfo module_info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                            .codeSize = code->n_words * 4,
                                            .pCode = code->words};
    VkShaderModule module;
    TUFF_TRY(tuff_vk_check(device,
                           device->vk.vkCreateShaderModule(device->handle, &module_info, NULL, &module),
                           "loading a shader"));
    VkSpecializationMapEntry entries[TUFF_MAX_SPEC];
    for (int i = 0; i < dispatch->n_spec; i++)
        entries[i] =
            (VkSpecializationMapEntry){.constantID = (uint32_t)i, .offset = (uint32_t)i * 4, .size = 4};
    VkSpecializationInfo constants = {.mapEntryCount = (uint32_t)dispatch->n_spec,
                                      .pMapEntries = entries,
                                      .dataSize = (size_t)dispatch->n_spec * 4,
                                      .pData = dispatch->spec};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_DISPATCH_BASE | /* any dispatch may be cut into parts */
                 (device->captures ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0),
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &constants},
        .layout = device->layout};
    VkResult result = device->vk.vkCreateComputePipelines(device->handle, device->cache, 1, &info, NULL, out);
    device->vk.vkDestroyShaderModule(device->handle, module, NULL);
    if (result != VK_SUCCESS) *out = VK_NULL_HANDLE;
    TUFF_TRY(tuff_vk_check(device, result, "compiling a shader"));
    tuff_vk_name(device, VK_OBJECT_TYPE_PIPELINE, (uint64_t)(uintptr_t)*out,
                 tuff_spirv_pack[dispatch->shader].name);
    return TUFF_OK;
}

static tuff_status check_shared(const tuff_vk_device *device, const tuff_vk_module *module,
                                const tuff_dispatch *dispatch)
{
    uint64_t bytes;
    TUFF_TRY(tuff_spirv_shared_bytes(module->words, module->n_words, dispatch, &bytes));
    if (bytes <= device->base.caps.shared_bytes) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "shader %s takes %llu bytes of shared memory, %s allows %u",
                     tuff_spirv_pack[dispatch->shader].name, (unsigned long long)bytes,
                     device->probe.description.name, device->base.caps.shared_bytes);
}

typedef struct key {
    uint32_t shader, n_spec, spec[TUFF_MAX_SPEC];
} key;

/* With pipeline_lock held. */
static tuff_status find_or_create(tuff_vk_device *device, const tuff_dispatch *dispatch, VkPipeline *out,
                                  uint32_t *out_kernel)
{
    const tuff_vk_module *module;
    TUFF_TRY(tuff_vk_module_of(device, dispatch->shader, &module));
    const char *fault = tuff_spirv_check(&module->info, dispatch, &device->base.caps);
    if (!fault) fault = check_axes(device, &module->info, dispatch);
    if (fault)
        return tuff_fail(TUFF_INTERNAL, "shader %s (arguments %u bytes, C gives %u): %s",
                         tuff_spirv_pack[dispatch->shader].name, module->info.args_bytes, dispatch->args_size,
                         fault);
    key k = {.shader = (uint32_t)dispatch->shader, .n_spec = (uint32_t)dispatch->n_spec};
    memcpy(k.spec, dispatch->spec, (size_t)dispatch->n_spec * 4);
    uint32_t index;
    if (tuff_map_get(&device->pipeline_index, &k, sizeof k, &index)) {
        *out = device->pipelines[index].handle;
        *out_kernel = index;
        return TUFF_OK;
    }
    if (!tuff_grow((void **)&device->pipelines, device->n_pipelines, &device->pipelines_capacity,
                   sizeof *device->pipelines))
        return tuff_fail_memory("a pipeline");
    TUFF_TRY(check_shared(device, module, dispatch));
    TUFF_TRY(create_pipeline(device, module, dispatch, out));
    *out_kernel = index = (uint32_t)device->n_pipelines;
    device->pipelines[device->n_pipelines++] = (tuff_vk_pipeline){.handle = *out, .shader = dispatch->shader};
    if (!tuff_map_put(&device->pipeline_index, &k, sizeof k, index)) return tuff_fail_memory("a pipeline");
    return TUFF_OK;
}

tuff_status tuff_vk_pipeline_of(tuff_vk_device *device, const tuff_dispatch *dispatch, VkPipeline *out,
                                uint32_t *out_kernel)
{
    *out = VK_NULL_HANDLE;
    *out_kernel = 0;
    TUFF_TRY(tuff_vk_alive(device));
    tuff_mutex_lock(device->pipeline_lock);
    tuff_status status = find_or_create(device, dispatch, out, out_kernel);
    tuff_mutex_unlock(device->pipeline_lock);
    return status;
}

tuff_vk_speed tuff_vk_speed_of(tuff_vk_device *device, uint32_t kernel)
{
    tuff_mutex_lock(device->pipeline_lock);
    tuff_vk_speed speed = device->pipelines[kernel].speed;
    tuff_mutex_unlock(device->pipeline_lock);
    return speed;
}

void tuff_vk_measured(tuff_vk_device *device, uint32_t kernel, double guess_ns, double measured_ns)
{
    tuff_mutex_lock(device->pipeline_lock);
    tuff_vk_speed *speed = &device->pipelines[kernel].speed;
    if (speed->measured++ > 0 && guess_ns > 0) {
        speed->pace = measured_ns / guess_ns;
        if (guess_ns > speed->most_ns) speed->most_ns = guess_ns;
    }
    tuff_mutex_unlock(device->pipeline_lock);
}

tuff_status tuff_vk_pipelines_create(tuff_vk_device *device)
{
    VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = TUFF_MAX_ARGS};
    VkPipelineLayoutCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                       .pushConstantRangeCount = 1,
                                       .pPushConstantRanges = &range};
    VkResult result = device->vk.vkCreatePipelineLayout(device->handle, &info, NULL, &device->layout);
    if (result != VK_SUCCESS) device->layout = VK_NULL_HANDLE;
    TUFF_TRY(tuff_vk_check(device, result, "creating the pipeline layout"));
    return device->params.compile_only ? TUFF_OK : tuff_vk_cache_load(device);
}

void tuff_vk_pipelines_destroy(tuff_vk_device *device)
{
    if (device->cache) tuff_vk_cache_save(device);
    for (size_t i = 0; i < device->n_pipelines; i++)
        device->vk.vkDestroyPipeline(device->handle, device->pipelines[i].handle, NULL);
    tuff_free(device->pipelines);
    tuff_map_free(&device->pipeline_index);
    for (int i = 0; i < TUFF_SHADER_COUNT; i++)
        tuff_shader_unload(&device->modules[i]);
    device->vk.vkDestroyPipelineCache(device->handle, device->cache, NULL);
    device->vk.vkDestroyPipelineLayout(device->handle, device->layout, NULL);
}
