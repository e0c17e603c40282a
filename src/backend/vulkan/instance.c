/* The Vulkan loader and the instances. */
#include <string.h>

#include "backend/vulkan/vk.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

#define VALIDATION_LAYER "VK_LAYER_KHRONOS_validation"

static tuff_vk_instance shared; /* without validation */

static bool has_layer(const char *name)
{
    uint32_t n = 0;
    if (vkEnumerateInstanceLayerProperties(&n, NULL) != VK_SUCCESS || n == 0) return false;
    VkLayerProperties *layers = tuff_alloc_array(n, sizeof *layers);
    bool found = false;
    if (layers && vkEnumerateInstanceLayerProperties(&n, layers) >= VK_SUCCESS)
        for (uint32_t i = 0; i < n; i++)
            found |= strcmp(layers[i].layerName, name) == 0;
    tuff_free(layers);
    return found;
}

static bool has_extension(const char *layer, const char *name)
{
    uint32_t n = 0;
    if (vkEnumerateInstanceExtensionProperties(layer, &n, NULL) != VK_SUCCESS || n == 0) return false;
    VkExtensionProperties *extensions = tuff_alloc_array(n, sizeof *extensions);
    bool found = false;
    if (extensions && vkEnumerateInstanceExtensionProperties(layer, &n, extensions) >= VK_SUCCESS)
        for (uint32_t i = 0; i < n; i++)
            found |= strcmp(extensions[i].extensionName, name) == 0;
    tuff_free(extensions);
    return found;
}

static tuff_status load_loader(void)
{
    /* once: other threads may be calling through it */
    if (!vkGetInstanceProcAddr && volkInitialize() != VK_SUCCESS)
        return tuff_fail(TUFF_UNSUPPORTED, "no Vulkan loader (libvulkan.so.1) is installed");
    uint32_t version = volkGetInstanceVersion();
    if (version < VK_API_VERSION_1_2)
        return tuff_fail(TUFF_UNSUPPORTED, "the Vulkan loader is for version %u.%u, but 1.2 is needed",
                         VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
    return TUFF_OK;
}

static tuff_status create(bool validate, tuff_log_receiver *log, tuff_vk_instance *instance)
{
    TUFF_TRY(load_loader());
    bool layer = instance->layer = validate && has_layer(VALIDATION_LAYER);
    instance->debug =
        validate && (has_extension(NULL, VK_EXT_DEBUG_UTILS_EXTENSION_NAME) ||
                     (layer && has_extension(VALIDATION_LAYER, VK_EXT_DEBUG_UTILS_EXTENSION_NAME)));
    /* without it the loader hides drivers that are layers over another interface, such as MoltenVK */
    bool layered = has_extension(NULL, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
    const char *layers[] = {VALIDATION_LAYER}, *extensions[2];
    uint32_t n = 0;
    if (instance->debug) extensions[n++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    if (layered) extensions[n++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
    VkDebugUtilsMessengerCreateInfoEXT messenger = tuff_vk_messenger_info(log);
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pEngineName = "tuff", .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pNext = instance->debug ? &messenger : NULL,
                                 .flags = layered ? VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR : 0,
                                 .pApplicationInfo = &application,
                                 .enabledLayerCount = layer,
                                 .ppEnabledLayerNames = layers,
                                 .enabledExtensionCount = n,
                                 .ppEnabledExtensionNames = extensions};
    char text[32];
    VkResult result = vkCreateInstance(&info, NULL, &instance->handle);
    if (result != VK_SUCCESS) {
        instance->handle = VK_NULL_HANDLE;
        return tuff_fail(result == VK_ERROR_OUT_OF_HOST_MEMORY ? TUFF_OUT_OF_MEMORY : TUFF_UNSUPPORTED,
                         "the Vulkan loader found no driver that works (vkCreateInstance: %s)",
                         tuff_vk_result_name(result, text));
    }
    /* The loader's entry points serve every instance: once is enough, and other threads may be using them. */
    if (!vkGetDeviceProcAddr) volkLoadInstanceOnly(instance->handle);
    PFN_vkCreateDebugUtilsMessengerEXT make = (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(
        instance->handle, "vkCreateDebugUtilsMessengerEXT");
    if (instance->debug && make &&
        make(instance->handle, &messenger, NULL, &instance->messenger) != VK_SUCCESS)
        instance->messenger = VK_NULL_HANDLE;
    return TUFF_OK;
}

tuff_status tuff_vk_instance_acquire(bool validate, tuff_log_receiver *log, tuff_vk_instance **out)
{
    *out = NULL;
    tuff_vk_instance *instance = validate ? tuff_alloc(sizeof *instance) : &shared;
    if (!instance) return tuff_fail_memory("a Vulkan instance");
    tuff_lock_global(TUFF_LOCK_INSTANCES);
    tuff_status status = instance->users ? TUFF_OK : create(validate, log, instance);
    if (status == TUFF_OK) {
        instance->users++;
        *out = instance;
    }
    tuff_unlock_global(TUFF_LOCK_INSTANCES);
    if (status != TUFF_OK && validate) tuff_free(instance);
    return status;
}

void tuff_vk_instance_release(tuff_vk_instance **instance)
{
    tuff_vk_instance *x = *instance;
    *instance = NULL;
    if (!x) return;
    tuff_lock_global(TUFF_LOCK_INSTANCES);
    if (--x->users == 0) {
        PFN_vkDestroyDebugUtilsMessengerEXT destroy =
            (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(x->handle,
                                                                       "vkDestroyDebugUtilsMessengerEXT");
        if (x->messenger && destroy) destroy(x->handle, x->messenger, NULL);
        vkDestroyInstance(x->handle, NULL);
        if (x == &shared)
            *x = (tuff_vk_instance){0};
        else
            tuff_free(x);
    }
    tuff_unlock_global(TUFF_LOCK_INSTANCES);
}

tuff_status tuff_vk_physical_devices(VkInstance instance, VkPhysicalDevice **out, uint32_t *out_count)
{
    *out = NULL;
    *out_count = 0;
    uint32_t n = 0;
    char text[32];
    VkResult result = vkEnumeratePhysicalDevices(instance, &n, NULL);
    if (result != VK_SUCCESS) /* a loader without drivers says so here */
        return tuff_fail(TUFF_UNSUPPORTED, "the Vulkan loader found no driver (%s)",
                         tuff_vk_result_name(result, text));
    VkPhysicalDevice *devices = tuff_alloc_array(n, sizeof *devices);
    if (!devices) return tuff_fail_memory("the list of Vulkan devices");
    result = vkEnumeratePhysicalDevices(instance, &n, devices);
    if (result < VK_SUCCESS) {
        tuff_free(devices);
        return tuff_fail(TUFF_UNSUPPORTED, "listing the Vulkan devices failed (%s)",
                         tuff_vk_result_name(result, text));
    }
    *out = devices;
    *out_count = n;
    return TUFF_OK;
}
