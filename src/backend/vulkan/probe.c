/* What a physical device offers, and whether Tuff can use it. */
#include <stdio.h>
#include <string.h>

#include "backend/vulkan/vk.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/status.h"

static tuff_device_kind kind_of(VkPhysicalDeviceType type, VkDriverId driver)
{
    if (driver == VK_DRIVER_ID_MESA_LLVMPIPE || driver == VK_DRIVER_ID_GOOGLE_SWIFTSHADER)
        return TUFF_KIND_SOFTWARE;
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return TUFF_KIND_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return TUFF_KIND_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return TUFF_KIND_SOFTWARE;
    default:
        return TUFF_KIND_VIRTUAL;
    }
}

/* A family for computing: one of its own where there is one, so that the desktop keeps its queue. */
static bool find_queue(VkPhysicalDevice physical, tuff_vk_probe *out, bool *out_memory_failed)
{
    uint32_t n = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, NULL);
    VkQueueFamilyProperties *families = tuff_alloc_array(n, sizeof *families);
    *out_memory_failed = !families;
    if (!families) return false;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, families);
    int best = -1;
    for (uint32_t i = 0; i < n; i++) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || families[i].queueCount == 0) continue;
        int score = (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT ? 0 : 1) +
                    (families[i].timestampValidBits ? 2 : 0);
        if (score <= best) continue;
        best = score;
        out->queue_family = i;
        out->timestamp_bits = families[i].timestampValidBits;
    }
    tuff_free(families);
    return best >= 0;
}

static tuff_status find_extensions(VkPhysicalDevice physical, tuff_vk_probe *out, bool *out_dot_product)
{
    uint32_t n = 0;
    if (vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL) != VK_SUCCESS) n = 0;
    VkExtensionProperties *extensions = tuff_alloc_array(n, sizeof *extensions);
    if (!extensions) return tuff_fail_memory("the extensions of a Vulkan device");
    if (n && vkEnumerateDeviceExtensionProperties(physical, NULL, &n, extensions) < VK_SUCCESS) n = 0;
    for (uint32_t i = 0; i < n; i++) {
        const char *name = extensions[i].extensionName;
        if (strcmp(name, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) == 0) out->has_budget = true;
        if (strcmp(name, TUFF_VK_PORTABILITY_SUBSET) == 0) out->is_subset = true;
        if (strcmp(name, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME) == 0)
            out->has_statistics = true;
        if (strcmp(name, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME) == 0) *out_dot_product = true;
    }
    tuff_free(extensions);
    return TUFF_OK;
}

/* Adds to out->features; *out_floor: the device has what Tuff cannot do without. */
static void find_features(VkPhysicalDevice physical, bool dot_product, tuff_vk_probe *out, bool *out_floor)
{
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    void *optional = NULL;
    if (dot_product) optional = &dot;
    if (out->has_statistics) {
        statistics.pNext = optional;
        optional = &statistics;
    }
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .pNext = optional};
    VkPhysicalDeviceVulkan11Features v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                            .pNext = &v12};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &v11};
    vkGetPhysicalDeviceFeatures2(physical, &features);
    *out_floor = v12.bufferDeviceAddress && v12.timelineSemaphore;
    out->has_statistics = statistics.pipelineExecutableInfo;
    if (v11.storageBuffer16BitAccess) out->features |= TUFF_CAP_F16_STORAGE;
    if (v12.shaderFloat16) out->features |= TUFF_CAP_F16_ARITHMETIC;
    if (v12.storageBuffer8BitAccess && v12.shaderInt8 && dot.shaderIntegerDotProduct)
        out->features |= TUFF_CAP_INT8;
    /* the kernels broadcast from invocations that a loop counts */
    if (!v12.subgroupBroadcastDynamicId) out->features &= ~(uint32_t)TUFF_CAP_SUBGROUP_BALLOT;
}

static void read_properties(VkPhysicalDevice physical, tuff_vk_probe *out)
{
    bool v13 = out->properties.apiVersion >= VK_API_VERSION_1_3;
    VkPhysicalDeviceMaintenance4Properties maintenance = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES};
    VkPhysicalDeviceVulkan12Properties v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES, .pNext = v13 ? &maintenance : NULL};
    VkPhysicalDeviceVulkan11Properties v11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, .pNext = &v12};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                              .pNext = &v11};
    vkGetPhysicalDeviceProperties2(physical, &properties);

    memcpy(out->description.uuid, v11.deviceUUID, sizeof out->description.uuid);
    memcpy(out->driver_uuid, v11.driverUUID, sizeof out->driver_uuid);
    /* users know the driver as lavapipe; it calls itself by the name of its OpenGL sibling */
    const char *name = v12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE ? "lavapipe" : v12.driverName;
    snprintf(out->description.driver, sizeof out->description.driver, "%.100s%s%.100s", name,
             v12.driverInfo[0] ? ", " : "", v12.driverInfo);
    out->description.kind = kind_of(out->properties.deviceType, v12.driverID);
    bool software = out->description.kind == TUFF_KIND_SOFTWARE;
    if (software && out->description.memory_bytes && tuff_total_memory())
        out->description.memory_bytes = tuff_total_memory(); /* lavapipe says 2 GiB, whatever there is */
    out->subgroup_size = v11.subgroupSize;
    if ((v11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) &&
        (v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT))
        out->features |= TUFF_CAP_SUBGROUP_ARITHMETIC;
    if ((v11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_BALLOT_BIT) &&
        (v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT))
        out->features |= TUFF_CAP_SUBGROUP_BALLOT;
    if (out->description.kind == TUFF_KIND_SOFTWARE) out->features |= TUFF_CAP_SOFTWARE | TUFF_CAP_SHORT_CODE;
    /* it came to 24 GB over the forward kernel of attention's tiles, and did not end */
    if (v12.driverID == VK_DRIVER_ID_GOOGLE_SWIFTSHADER) out->features |= TUFF_CAP_LITTLE_CODE;
    out->max_allocation = v11.maxMemoryAllocationSize;
    if (v13 && maintenance.maxBufferSize < out->max_allocation)
        out->max_allocation = maintenance.maxBufferSize;
    out->max_allocation &= ~(uint64_t)255;
}

/* All of it counts: lavapipe's version is always 1, and its subgroups depend on the width it was told to use.
 */
static void identify(tuff_vk_probe *out)
{
    uint64_t driver[3] = {tuff_fnv1a(out->description.driver, strlen(out->description.driver)),
                          tuff_fnv1a(out->driver_uuid, sizeof out->driver_uuid),
                          tuff_fnv1a(out->properties.pipelineCacheUUID, VK_UUID_SIZE)};
    snprintf(out->description.identity, sizeof out->description.identity, "%04x-%04x-%08x-%u-%016llx",
             out->properties.vendorID, out->properties.deviceID, out->properties.driverVersion,
             out->subgroup_size, (unsigned long long)tuff_fnv1a(driver, sizeof driver));
}

tuff_status tuff_vk_probe_device(VkPhysicalDevice physical, tuff_vk_probe *out)
{
    *out = (tuff_vk_probe){0};
    tuff_device_description *description = &out->description;
    vkGetPhysicalDeviceProperties(physical, &out->properties);
    vkGetPhysicalDeviceMemoryProperties(physical, &out->memory);
    snprintf(description->name, sizeof description->name, "%.255s", out->properties.deviceName);
    description->kind = kind_of(out->properties.deviceType, VK_DRIVER_ID_MAX_ENUM);
    for (uint32_t i = 0; i < out->memory.memoryHeapCount; i++)
        if ((out->memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            out->memory.memoryHeaps[i].size > description->memory_bytes)
            description->memory_bytes = out->memory.memoryHeaps[i].size;

    uint32_t version = out->properties.apiVersion;
    if (version < VK_API_VERSION_1_2) {
        snprintf(description->reason, sizeof description->reason,
                 "its driver offers Vulkan %u.%u, but 1.2 is needed", VK_API_VERSION_MAJOR(version),
                 VK_API_VERSION_MINOR(version));
        return TUFF_OK;
    }
    bool dot_product = false, floor, memory_failed;
    TUFF_TRY(find_extensions(physical, out, &dot_product));
    read_properties(physical, out);
    identify(out);
    out->int8_core = version >= VK_API_VERSION_1_3;
    find_features(physical, dot_product || out->int8_core, out, &floor);
    bool queue = find_queue(physical, out, &memory_failed);
    if (memory_failed) return tuff_fail_memory("the queues of a Vulkan device");
    if (!floor)
        snprintf(description->reason, sizeof description->reason,
                 "its driver lacks bufferDeviceAddress or timelineSemaphore, which Tuff needs");
    else if (!queue)
        snprintf(description->reason, sizeof description->reason, "it has no queue for computing");
    else if (description->memory_bytes == 0) /* RADV_FORCE_FAMILY, or a driver that only compiles */
        snprintf(description->reason, sizeof description->reason,
                 "it has 0 bytes of memory: its driver stands for hardware that is not there");
    description->compiles = floor && queue;
    description->usable = description->compiles && description->memory_bytes > 0;
    return TUFF_OK;
}

tuff_status tuff_vk_list(tuff_device_description *out, size_t capacity, size_t *out_count, char *reason)
{
    *out_count = 0;
    reason[0] = 0;
    tuff_vk_instance *instance = NULL;
    VkPhysicalDevice *devices = NULL;
    uint32_t n = 0;
    tuff_vk_probe *probe = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_vk_instance_acquire(false, NULL, &instance));
    TUFF_GO(tuff_vk_physical_devices(instance->handle, &devices, &n));
    probe = tuff_alloc(sizeof *probe);
    if (!probe) TUFF_GO(tuff_fail_memory("the list of Vulkan devices"));
    for (uint32_t i = 0; i < n && i < capacity; i++) {
        TUFF_GO(tuff_vk_probe_device(devices[i], probe));
        out[i] = probe->description;
    }
    *out_count = n;
    if (n == 0) snprintf(reason, 256, "the Vulkan loader found no device");
done:
    if (status == TUFF_UNSUPPORTED) { /* a machine without Vulkan is no failure */
        snprintf(reason, 256, "%.255s", tuff_error_message());
        status = TUFF_OK;
    }
    tuff_free(probe);
    tuff_free(devices);
    tuff_vk_instance_release(&instance);
    return status;
}
