/* What a Vulkan driver's compiler makes of pipelines. Nothing runs, so a driver that pretends to have its
 * card will do.
 *
 *   statistics DIRECTORY     reads DIRECTORY/pipelines.txt, whose lines begin with a module's name and its
 * specialization constants ("1,64", "-" for none), and DIRECTORY/NAME.spv
 *
 * Prints a line of what the device reports, which plans are made for, then one for each pipeline: its name
 * and constants, and every statistic that the driver has as name=value, spaces as underscores. Exit status 1
 * when a pipeline cannot be made, 77 when there is no device with such statistics. Alone: it loads the Vulkan
 * loader by itself and needs the C library only. */
#define VK_NO_PROTOTYPES
#define VOLK_IMPLEMENTATION
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <volk.h>

enum { MOST_CONSTANTS = 32, ARGUMENT_BYTES = 128, NOTHING = 77 };

static VkPhysicalDevice card;
static VkDevice device;
static VkPipelineLayout layout;

static int has_extension(const char *name)
{
    uint32_t n = 0;
    vkEnumerateDeviceExtensionProperties(card, NULL, &n, NULL);
    VkExtensionProperties *all = calloc(n + 1, sizeof *all);
    if (!all) return 0;
    int found = 0;
    vkEnumerateDeviceExtensionProperties(card, NULL, &n, all);
    for (uint32_t i = 0; i < n; i++)
        found |= strcmp(all[i].extensionName, name) == 0;
    free(all);
    return found;
}

static void say_device(const VkPhysicalDeviceVulkan11Features *v11,
                       const VkPhysicalDeviceVulkan12Features *v12)
{
    VkPhysicalDeviceVulkan12Properties driver = {.sType =
                                                     VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES};
    VkPhysicalDeviceVulkan11Properties more = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, .pNext = &driver};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                       .pNext = &more};
    vkGetPhysicalDeviceProperties2(card, &all);
    printf("device subgroup=%u shared=%u workgroup=%u half=%d,%d byte=%d driver=%s %s\n", more.subgroupSize,
           all.properties.limits.maxComputeSharedMemorySize,
           all.properties.limits.maxComputeWorkGroupInvocations, (int)v11->storageBuffer16BitAccess,
           (int)v12->shaderFloat16, (int)(v12->shaderInt8 && v12->storageBuffer8BitAccess), driver.driverName,
           driver.driverInfo);
}

/* With all features that it has, and statistics. */
static int open_device(void)
{
    const char *statistics_name = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo instance_info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                          .pApplicationInfo = &application};
    VkInstance instance;
    uint32_t one = 1;
    if (volkInitialize() != VK_SUCCESS || vkCreateInstance(&instance_info, NULL, &instance) != VK_SUCCESS)
        return 0;
    volkLoadInstance(instance);
    if (vkEnumeratePhysicalDevices(instance, &one, &card) < VK_SUCCESS || one == 0) return 0;
    if (!has_extension(statistics_name)) return 0;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .pNext = &statistics};
    VkPhysicalDeviceVulkan11Features v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                            .pNext = &v12};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &v11};
    vkGetPhysicalDeviceFeatures2(card, &features);
    features.features.robustBufferAccess = VK_FALSE; /* Tuff leaves it off */
    const float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    VkDeviceCreateInfo device_info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                      .pNext = &features,
                                      .queueCreateInfoCount = 1,
                                      .pQueueCreateInfos = &queue,
                                      .enabledExtensionCount = 1,
                                      .ppEnabledExtensionNames = &statistics_name};
    if (vkCreateDevice(card, &device_info, NULL, &device) != VK_SUCCESS) return 0;
    volkLoadDevice(device);
    say_device(&v11, &v12);
    VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = ARGUMENT_BYTES};
    VkPipelineLayoutCreateInfo layout_info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                              .pushConstantRangeCount = 1,
                                              .pPushConstantRanges = &range};
    return vkCreatePipelineLayout(device, &layout_info, NULL, &layout) == VK_SUCCESS;
}

/* NULL: it cannot be read. */
static uint32_t *read_module(const char *directory, const char *name, size_t *out_bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.spv", directory, name);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t size = 0, room = 1 << 20;
    uint32_t *words = malloc(room);
    while (words && (size += fread((char *)words + size, 1, room - size, file)) == room) {
        uint32_t *larger = realloc(words, room *= 2);
        if (!larger) free(words);
        words = larger;
    }
    fclose(file);
    *out_bytes = size;
    return words;
}

static int make_pipeline(const char *directory, const char *name, const uint32_t *constants, uint32_t n,
                         VkPipeline *out)
{
    VkSpecializationMapEntry entries[MOST_CONSTANTS];
    for (uint32_t i = 0; i < n; i++)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = 4 * i, .size = 4};
    const VkSpecializationInfo special = {
        .mapEntryCount = n, .pMapEntries = entries, .dataSize = 4 * (size_t)n, .pData = constants};
    VkShaderModuleCreateInfo module_info = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
    uint32_t *words = read_module(directory, name, &module_info.codeSize);
    VkShaderModule module = VK_NULL_HANDLE;
    module_info.pCode = words;
    int made = words && vkCreateShaderModule(device, &module_info, NULL, &module) == VK_SUCCESS;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_DISPATCH_BASE,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &special},
        .layout = layout};
    made = made && vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &info, NULL, out) == VK_SUCCESS;
    if (module) vkDestroyShaderModule(device, module, NULL);
    free(words);
    return made;
}

static void print_statistics(VkPipeline pipeline)
{
    const VkPipelineExecutableInfoKHR first = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                               .pipeline = pipeline};
    enum { MOST = 64 };
    VkPipelineExecutableStatisticKHR found[MOST];
    uint32_t n = MOST;
    memset(found, 0, sizeof found);
    for (uint32_t i = 0; i < n; i++)
        found[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    vkGetPipelineExecutableStatisticsKHR(device, &first, &n, found);
    for (uint32_t i = 0; i < n; i++) {
        for (char *c = found[i].name; *c; c++)
            if (*c == ' ') *c = '_';
        if (found[i].format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR)
            printf(" %s=%g", found[i].name, found[i].value.f64);
        else
            printf(" %s=%llu", found[i].name, (unsigned long long)found[i].value.u64);
    }
}

int main(int argc, char **argv)
{
    char path[4096], line[65536];
    if (argc != 2) {
        fprintf(stderr, "usage: statistics DIRECTORY\n");
        return 2;
    }
    if (!open_device()) {
        fprintf(stderr, "statistics: no Vulkan device that tells statistics of pipelines\n");
        return NOTHING;
    }
    snprintf(path, sizeof path, "%s/pipelines.txt", argv[1]);
    FILE *list = fopen(path, "r");
    if (!list) {
        fprintf(stderr, "statistics: %s cannot be read\n", path);
        return 1;
    }
    int failed = 0;
    while (fgets(line, sizeof line, list)) {
        const char *name = strtok(line, " \n"), *text = strtok(NULL, " \n");
        uint32_t constants[MOST_CONSTANTS], n = 0;
        VkPipeline pipeline = VK_NULL_HANDLE;
        if (!name || !text) continue;
        printf("%s %s", name, text);
        if (strcmp(text, "-") != 0)
            for (char *at = (char *)text, *end; *at && n < MOST_CONSTANTS; at = *end ? end + 1 : end)
                constants[n++] = (uint32_t)strtoul(at, &end, 10);
        const int made = make_pipeline(argv[1], name, constants, n, &pipeline);
        if (made) print_statistics(pipeline);
        printf(made ? "\n" : " cannot be made\n");
        failed |= !made;
        vkDestroyPipeline(device, pipeline, NULL);
    }
    fclose(list);
    return failed;
}
