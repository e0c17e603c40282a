/* The driver's pipeline cache on disk, by driver. A file is our header, the hash of the rest, and the
 * driver's data; what comes back from the disk is checked before the driver sees it. */
#include <string.h>

#include "backend/vulkan/vk.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

enum { HEX = 64, LIMIT = 256 << 20 };

/* The file of this device's driver. */
static bool cache_path(const tuff_vk_device *device, tuff_buf *out)
{
    if (!tuff_cache_directory(out)) return false;
    tuff_buf_text(out, "/pipelines/");
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        tuff_buf_printf(out, "%02x", device->probe.driver_uuid[i]);
    tuff_buf_printf(out, "-%04x-%04x.bin", device->probe.properties.vendorID,
                    device->probe.properties.deviceID);
    return !out->failed;
}

/* Our hash, and the driver's own header (Vulkan 1.2, table 12). */
static bool is_ours(const tuff_vk_device *device, const tuff_buf *file)
{
    VkPipelineCacheHeaderVersionOne header;
    if (file->size < HEX + sizeof header) return false;
    char hex[65];
    tuff_sha256_hex_of(file->data + HEX, file->size - HEX, hex);
    if (memcmp(hex, file->data, HEX) != 0) return false;
    memcpy(&header, file->data + HEX, sizeof header);
    const VkPhysicalDeviceProperties *properties = &device->probe.properties;
    return header.headerSize >= sizeof header &&
           header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == properties->vendorID && header.deviceID == properties->deviceID &&
           memcmp(header.pipelineCacheUUID, properties->pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

tuff_status tuff_vk_cache_load(tuff_vk_device *device)
{
    tuff_buf path = {0}, file = {0};
    bool found = cache_path(device, &path) && tuff_is_file(path.data) &&
                 tuff_read_file(path.data, LIMIT, &file) == TUFF_OK;
    bool usable = found && is_ours(device, &file);
    if (usable) memcpy(device->cache_hash, file.data, HEX);
    if (found && !usable)
        tuff_log_to(&device->params.log, TUFF_LOG_DEBUG,
                    "%s is damaged or of another driver: starting afresh", path.data);
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize = usable ? file.size - HEX : 0,
                                      .pInitialData = usable ? file.data + HEX : NULL};
    VkResult result = device->vk.vkCreatePipelineCache(device->handle, &info, NULL, &device->cache);
    if (result != VK_SUCCESS) device->cache = VK_NULL_HANDLE;
    tuff_buf_free(&path);
    tuff_buf_free(&file);
    return tuff_vk_check(device, result, "creating the pipeline cache");
}

void tuff_vk_cache_save(tuff_vk_device *device)
{
    if (device->n_pipelines == 0 || atomic_load(&device->lost)) return; /* nothing new, or nothing to trust */
    tuff_buf path = {0}, file = {0};
    char hex[65] = {0};
    size_t size = 0;
    VkResult result = device->vk.vkGetPipelineCacheData(device->handle, device->cache, &size, NULL);
    void *data = result == VK_SUCCESS ? tuff_alloc(size) : NULL;
    if (data && device->vk.vkGetPipelineCacheData(device->handle, device->cache, &size, data) == VK_SUCCESS) {
        tuff_sha256_hex_of(data, size, hex);
        tuff_buf_bytes(&file, hex, HEX);
        tuff_buf_bytes(&file, data, size);
        bool saved = memcmp(hex, device->cache_hash, HEX) == 0;
        saved = saved || (!file.failed && cache_path(device, &path) &&
                          tuff_write_cache_file(path.data, file.data, file.size) == TUFF_OK);
        if (!saved)
            tuff_log_to(&device->params.log, TUFF_LOG_DEBUG, "the pipeline cache was not saved: %s",
                        tuff_error_message());
    }
    tuff_free(data);
    tuff_buf_free(&path);
    tuff_buf_free(&file);
}
