/* Opening and closing a device. */
#include <string.h>

#include "backend/vulkan/vk.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

/* What was submitted before may still be at work, and what it uses is freed once the loss is known. Drivers
 * end such waits soon. */
static void mark_lost(tuff_vk_device *device)
{
    if (atomic_load(&device->lost)) return;
    if (device->handle) {
        tuff_mutex_lock(device->queue_lock);
        (void)device->vk.vkDeviceWaitIdle(device->handle);
        tuff_mutex_unlock(device->queue_lock);
    }
    atomic_store(&device->lost, true);
}

tuff_status tuff_vk_check(tuff_vk_device *device, VkResult result, const char *what)
{
    if (result == VK_SUCCESS) return TUFF_OK;
    const char *name = device->probe.description.name;
    char text[32];
    switch (result) {
    case VK_ERROR_DEVICE_LOST:
        mark_lost(device);
        return tuff_fail(TUFF_DEVICE_LOST,
                         "%s was lost while %s: its driver reset it or it was removed; reopen the device",
                         name, what);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_MEMORY_MAP_FAILED:
        return tuff_fail(TUFF_OUT_OF_MEMORY, "out of host memory in the driver of %s while %s", name, what);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_TOO_MANY_OBJECTS: /* allocations */
        return tuff_fail(TUFF_OUT_OF_MEMORY, "out of device memory on %s while %s", name, what);
    default:
        return tuff_fail(TUFF_INTERNAL, "%s: %s while %s", name, tuff_vk_result_name(result, text), what);
    }
}

tuff_status tuff_vk_alive(tuff_vk_device *device)
{
    if (!atomic_load(&device->lost)) return TUFF_OK;
    return tuff_fail(TUFF_DEVICE_LOST, "%s was lost earlier; reopen the device",
                     device->probe.description.name);
}

static void fill_caps(tuff_vk_device *device)
{
    const VkPhysicalDeviceLimits *limits = &device->probe.properties.limits;
    tuff_caps *caps = &device->base.caps;
    caps->features = device->probe.features;
    caps->subgroup_size = device->probe.subgroup_size;
    caps->shared_bytes = limits->maxComputeSharedMemorySize;
    caps->max_workgroup = limits->maxComputeWorkGroupInvocations;
    if (limits->maxComputeWorkGroupSize[0] < caps->max_workgroup)
        caps->max_workgroup = limits->maxComputeWorkGroupSize[0];
    memcpy(caps->max_groups, limits->maxComputeWorkGroupCount, sizeof caps->max_groups);
    caps->max_allocation = device->probe.max_allocation;
    caps->memory_bytes = device->probe.description.memory_bytes;
    tuff_mask_apply(&device->params.mask, caps);
}

/* Asks for what the rows may use and no more. */
static tuff_status create_device(tuff_vk_device *device)
{
    uint32_t features = device->base.caps.features;
    bool int8 = features & TUFF_CAP_INT8;
    const char *extensions[4];
    uint32_t n = 0;
    if (device->probe.is_subset) extensions[n++] = TUFF_VK_PORTABILITY_SUBSET;
    if (device->probe.has_budget) extensions[n++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    if (int8 && !device->probe.int8_core) extensions[n++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    device->captures = device->params.compile_only && device->probe.has_statistics;
    if (device->captures) extensions[n++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;

    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE};
    void *optional = device->captures ? &statistics : NULL;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
        .pNext = optional,
        .shaderIntegerDotProduct = VK_TRUE};
    if (int8) optional = &dot;
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .pNext = optional,
                                            .bufferDeviceAddress = VK_TRUE,
                                            .timelineSemaphore = VK_TRUE,
                                            .shaderFloat16 = (features & TUFF_CAP_F16_ARITHMETIC) != 0,
                                            .storageBuffer8BitAccess = int8,
                                            .shaderInt8 = int8,
                                            .subgroupBroadcastDynamicId =
                                                (features & TUFF_CAP_SUBGROUP_BALLOT) != 0};
    VkPhysicalDeviceVulkan11Features v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                            .pNext = &v12,
                                            .storageBuffer16BitAccess =
                                                (features & TUFF_CAP_F16_STORAGE) != 0};
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = device->probe.queue_family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = &v11,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = n,
                               .ppEnabledExtensionNames = extensions};
    VkResult result = vkCreateDevice(device->physical, &info, NULL, &device->handle);
    if (result != VK_SUCCESS) device->handle = VK_NULL_HANDLE;
    TUFF_TRY(tuff_vk_check(device, result, "opening it"));
    volkLoadDeviceTable(&device->vk, device->handle);
    if (device->instance->debug)
        device->set_name = (PFN_vkSetDebugUtilsObjectNameEXT)vkGetInstanceProcAddr(
            device->instance->handle, "vkSetDebugUtilsObjectNameEXT");
    return TUFF_OK;
}

static tuff_status create_timeline(tuff_vk_device *device)
{
    VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                      .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    VkResult result = device->vk.vkCreateSemaphore(device->handle, &semaphore, NULL, &device->timeline);
    if (result != VK_SUCCESS) device->timeline = VK_NULL_HANDLE;
    return tuff_vk_check(device, result, "creating its timeline");
}

/* What hardware that is not there need not have. */
static tuff_status make_runnable(tuff_vk_device *device)
{
    device->vk.vkGetDeviceQueue(device->handle, device->probe.queue_family, 0, &device->queue);
    TUFF_TRY(create_timeline(device));
    TUFF_TRY(tuff_vk_memory_kinds(device));
    return device->params.profile ? tuff_vk_clock_calibrate(device) : TUFF_OK;
}

static tuff_status create_locks(tuff_vk_device *device)
{
    device->queue_lock = tuff_mutex_create();
    device->memory_lock = tuff_mutex_create();
    device->staging_lock = tuff_mutex_create();
    device->pipeline_lock = tuff_mutex_create();
    if (!device->queue_lock || !device->memory_lock || !device->staging_lock || !device->pipeline_lock)
        return tuff_fail_memory("a Vulkan device");
    return TUFF_OK;
}

static tuff_status find_physical(tuff_vk_device *device, size_t index)
{
    VkPhysicalDevice *devices;
    uint32_t n;
    TUFF_TRY(tuff_vk_physical_devices(device->instance->handle, &devices, &n));
    if (index < n) device->physical = devices[index];
    tuff_free(devices);
    if (index >= n) return tuff_fail(TUFF_NOT_FOUND, "there is no Vulkan device %zu: found %u", index, n);
    TUFF_TRY(tuff_vk_probe_device(device->physical, &device->probe));
    const tuff_device_description *description = &device->probe.description;
    if (!(description->usable || (device->params.compile_only && description->compiles)))
        return tuff_fail(TUFF_UNSUPPORTED, "%s cannot be used: %s", description->name, description->reason);
    return TUFF_OK;
}

/* Nothing would be validated without it. */
static tuff_status check_layer(const tuff_vk_device *device)
{
    if (!device->params.validate || device->instance->layer) return TUFF_OK;
    if (device->params.must_validate)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "the validation layer is not installed, so that nothing would be validated: install the "
            "package vulkan-validationlayers (Debian, Ubuntu) or vulkan-validation-layers "
            "(Fedora, Arch)");
    tuff_log_to(&device->params.log, TUFF_LOG_WARN,
                "the validation layer is not installed: Vulkan calls are not validated");
    return TUFF_OK;
}

tuff_status tuff_vk_open(size_t index, const tuff_open_params *params, tuff_backend_device **out)
{
    *out = NULL;
    tuff_vk_device *device = tuff_alloc(sizeof *device);
    if (!device) return tuff_fail_memory("a Vulkan device");
    tuff_backend_device *base = &device->base;
    base->backend = &tuff_backend_vulkan;
    if (params) device->params = *params;
    if (!device->params.submit_ns) device->params.submit_ns = 100 * 1000 * 1000;
    device->pace = 1;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_vk_instance_acquire(device->params.validate, &device->params.log, &device->instance));
    TUFF_GO(check_layer(device));
    TUFF_GO(find_physical(device, index));
    fill_caps(device);
    TUFF_GO(create_locks(device));
    TUFF_GO(tuff_host_create(device->params.threads, &device->host));
    TUFF_GO(create_device(device));
    TUFF_GO(tuff_vk_pipelines_create(device));
    if (!device->params.compile_only) TUFF_GO(make_runnable(device));
    *out = base;
    return TUFF_OK;
done:
    tuff_vk_close(&base);
    return status;
}

void tuff_vk_close(tuff_backend_device **base)
{
    if (!*base) return;
    tuff_vk_device *device = tuff_vk_device_of(*base);
    *base = NULL;
    if (device->handle) {
        /* a lost device has nothing left to wait for, and without a timeline nothing was submitted */
        if (device->timeline) (void)device->vk.vkDeviceWaitIdle(device->handle);
        tuff_vk_sweep(device, true);
        tuff_vk_staging_destroy(device);
        tuff_vk_memory_trim(device);
        tuff_vk_pipelines_destroy(device);
        device->vk.vkDestroySemaphore(device->handle, device->timeline, NULL);
        device->vk.vkDestroyDevice(device->handle, NULL);
    }
    tuff_host_destroy(&device->host);
    tuff_mutex_destroy(&device->queue_lock);
    tuff_mutex_destroy(&device->memory_lock);
    tuff_mutex_destroy(&device->staging_lock);
    tuff_mutex_destroy(&device->pipeline_lock);
    tuff_vk_instance_release(&device->instance);
    tuff_free(device);
}
