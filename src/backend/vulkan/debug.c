/* Messages of the validation layer, and names of objects. */
#include <stdio.h>

#include "backend/vulkan/vk.h"
#include "base/log.h"
#include "base/os.h"

enum { TEXT_SIZE = 1024 };
static atomic_ullong messages;
static char last[TEXT_SIZE]; /* guarded by the lock of the log */

uint64_t tuff_vk_validation_messages(void)
{
    return atomic_load(&messages);
}

uint64_t tuff_vk_validation(char *text, size_t size)
{
    tuff_lock_global(TUFF_LOCK_LOG);
    snprintf(text, size, "%s", last);
    tuff_unlock_global(TUFF_LOCK_LOG);
    return atomic_load(&messages);
}

static VKAPI_ATTR VkBool32 VKAPI_CALL receive(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                              VkDebugUtilsMessageTypeFlagsEXT types,
                                              const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    (void)types;
    tuff_lock_global(TUFF_LOCK_LOG);
    snprintf(last, sizeof last, "%s", data->pMessage);
    tuff_unlock_global(TUFF_LOCK_LOG);
    atomic_fetch_add(&messages, 1);
    bool error = severity >= VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    tuff_log_to(user, error ? TUFF_LOG_ERROR : TUFF_LOG_WARN, "Vulkan validation: %s", data->pMessage);
    return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT tuff_vk_messenger_info(tuff_log_receiver *log)
{
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType =
            VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = receive,
        .pUserData = log};
}

void tuff_vk_name(tuff_vk_device *device, VkObjectType type, uint64_t handle, const char *name)
{
    if (!device->set_name || !name || !handle) return;
    VkDebugUtilsObjectNameInfoEXT info = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
                                          .objectType = type,
                                          .objectHandle = handle,
                                          .pObjectName = name};
    /* a name is a convenience: nothing to do when it cannot be set */
    (void)device->set_name(device->handle, &info);
}
