/* The Vulkan backend inside. Tests look in here too: they swap entries of a device's function table. */
#ifndef TUFF_BACKEND_VULKAN_VK_H
#define TUFF_BACKEND_VULKAN_VK_H

#define VK_NO_PROTOTYPES
#include <volk.h>

#include <stdatomic.h>

#include "backend/backend.h"
#include "backend/host.h"
#include "backend/vulkan/memory.h"
#include "backend/vulkan/shader_source.h"
#include "base/os.h"
#include "base/text.h"

/* ---- instance.c, debug.c ---- */

/* One per process for all devices without validation, created by the first user and destroyed by the last;
 * one for each device with it, since the layer's messages go to that device's receiver. */
typedef struct tuff_vk_instance {
    VkInstance handle;
    int users;
    bool layer; /* the validation layer is on */
    bool debug; /* VK_EXT_debug_utils is on */
    VkDebugUtilsMessengerEXT messenger;
} tuff_vk_instance;

/* Fails with TUFF_UNSUPPORTED when there is no loader, or none for Vulkan 1.2. */
/* `log` must live as long as an instance with validation; NULL: the process's receiver. */
TUFF_MUST_USE tuff_status tuff_vk_instance_acquire(bool validate, tuff_log_receiver *log,
                                                   tuff_vk_instance **out);
void tuff_vk_instance_release(tuff_vk_instance **instance);
/* The physical devices of an instance; free with tuff_free. */
TUFF_MUST_USE tuff_status tuff_vk_physical_devices(VkInstance instance, VkPhysicalDevice **out,
                                                   uint32_t *out_count);

/* Messages of the validation layer since the process started. */
uint64_t tuff_vk_validation_messages(void);
/* The same, with the last of them. */
uint64_t tuff_vk_validation(char *text, size_t size);
/* Chained into the instance's creation, so that it is watched too. */
VkDebugUtilsMessengerCreateInfoEXT tuff_vk_messenger_info(tuff_log_receiver *log);

/* ---- probe.c ---- */

/* Its name is in vulkan_beta.h. A device that lists it must be opened with it. */
#define TUFF_VK_PORTABILITY_SUBSET "VK_KHR_portability_subset"

/* All that is known of a physical device before it is opened. */
typedef struct tuff_vk_probe {
    tuff_device_description description;
    VkPhysicalDeviceProperties properties;
    VkPhysicalDeviceMemoryProperties memory;
    uint8_t driver_uuid[VK_UUID_SIZE];
    uint32_t subgroup_size;
    uint64_t max_allocation;
    uint32_t features;   /* TUFF_CAP_* */
    bool int8_core;      /* integer dot product is core (1.3), not an extension */
    bool has_budget;     /* VK_EXT_memory_budget */
    bool has_statistics; /* VK_KHR_pipeline_executable_properties and its feature */
    bool is_subset;      /* a layer over another interface, such as MoltenVK: TUFF_VK_PORTABILITY_SUBSET */
    uint32_t queue_family, timestamp_bits;
} tuff_vk_probe;
TUFF_MUST_USE tuff_status tuff_vk_probe_device(VkPhysicalDevice physical, tuff_vk_probe *out);

/* ---- device.c ---- */

/* How fast a kernel was measured to be on this device. */
typedef struct tuff_vk_speed {
    uint32_t measured; /* how often; the first time a driver may have compiled it, so it does not count */
    double pace;       /* measured over guessed time */
    double most_ns;    /* the longest guess that was measured */
} tuff_vk_speed;

typedef struct tuff_vk_pipeline {
    VkPipeline handle;
    tuff_shader shader;
    tuff_vk_speed speed;
} tuff_vk_pipeline;

/* What is destroyed while the device may still use it goes when the timeline has come to `value`. */
typedef struct tuff_vk_retired {
    struct tuff_vk_retired *next;
    uint64_t value;
    void (*destroy)(struct tuff_vk_device *device, struct tuff_vk_retired *retired);
} tuff_vk_retired;

/* Command buffers and memory for copies between host and device, made at first use (staging.c). */
typedef struct tuff_vk_staging {
    VkCommandPool pool;
    VkCommandBuffer commands[2];
    uint64_t value[2]; /* of the timeline, when each half is free again */
    tuff_vk_memory memory;
} tuff_vk_staging;

typedef struct tuff_vk_device {
    tuff_backend_device base;
    tuff_open_params params;
    tuff_vk_probe probe;
    tuff_vk_instance *instance;
    VkPhysicalDevice physical;
    VkDevice handle;
    struct VolkDeviceTable vk;                 /* every device command goes through here */
    PFN_vkSetDebugUtilsObjectNameEXT set_name; /* NULL: no names */
    atomic_bool lost;
    tuff_host *host; /* for steps without a kernel */

    tuff_mutex *queue_lock; /* queue, timeline, pace, stats but for memory's, what is retired */
    VkQueue queue;
    VkSemaphore timeline;
    uint64_t submitted; /* the timeline's value when all work submitted is done */
    tuff_backend_stats stats;
    double pace;            /* measured time over estimated time, a running mean */
    double clock_offset_ns; /* add to a timestamp's nanoseconds to get tuff_now_ns */
    tuff_vk_retired *retired;

    tuff_mutex *memory_lock; /* blocks, their stats */
    tuff_vk_block *blocks;
    uint32_t memory_type[TUFF_VK_MEMORY_USES];
    bool direct_write, direct_read; /* tensors are reached by the host without copies; tests turn it off */

    tuff_mutex *staging_lock;
    tuff_vk_staging staging[2]; /* up, down */

    tuff_mutex *pipeline_lock;
    VkPipelineLayout layout;
    bool captures;           /* pipelines are made so that the driver can tell what it made of them */
    VkPipelineCache cache;   /* none: nothing is run */
    char cache_hash[64];     /* of the cache as loaded: saved again only when it changed */
    tuff_map pipeline_index; /* (shader, specialization) to pipelines[] */
    tuff_vk_pipeline *pipelines;
    size_t n_pipelines, pipelines_capacity;
    tuff_vk_module modules[TUFF_SHADER_COUNT];
} tuff_vk_device;

TUFF_MUST_USE tuff_status tuff_vk_memory_kinds(tuff_vk_device *device); /* chooses memory_type and direct_* */

TUFF_MUST_USE tuff_status tuff_vk_open(size_t index, const tuff_open_params *params,
                                       tuff_backend_device **out);
void tuff_vk_close(tuff_backend_device **device);
TUFF_MUST_USE tuff_status tuff_vk_list(tuff_device_description *out, size_t capacity, size_t *out_count,
                                       char *reason);

static inline tuff_vk_device *tuff_vk_device_of(tuff_backend_device *device)
{
    return (tuff_vk_device *)device;
}

/* Turns a result into a status with a text, and remembers a lost device. */
/* "VK_ERROR_DEVICE_LOST"; of one that Tuff does not know its number, in `text`. */
const char *tuff_vk_result_name(VkResult result, char text[32]);
TUFF_MUST_USE tuff_status tuff_vk_check(tuff_vk_device *device, VkResult result, const char *what);
/* Fails quickly once the device is lost. */
TUFF_MUST_USE tuff_status tuff_vk_alive(tuff_vk_device *device);
/* Gives an object a name for the validation layer and for debuggers. */
void tuff_vk_name(tuff_vk_device *device, VkObjectType type, uint64_t handle, const char *name);

/* ---- submit.c ---- */

TUFF_MUST_USE tuff_status tuff_vk_begin_commands(tuff_vk_device *device, VkCommandBuffer commands,
                                                 VkCommandBufferUsageFlags usage);
TUFF_MUST_USE tuff_status tuff_vk_end_commands(tuff_vk_device *device, VkCommandBuffer commands);
TUFF_MUST_USE tuff_status tuff_vk_command_pool(tuff_vk_device *device, VkCommandPool *out_pool, uint32_t n,
                                               VkCommandBuffer *out_commands);
/* A memory barrier over everything. */
void tuff_vk_barrier(tuff_vk_device *device, VkCommandBuffer commands, VkPipelineStageFlags from,
                     VkPipelineStageFlags to);
/* Submits n command buffers as one; *out_value is the timeline's value when they are done. */
TUFF_MUST_USE tuff_status tuff_vk_submit(tuff_vk_device *device, const VkCommandBuffer *commands, uint32_t n,
                                         uint64_t dispatches, uint64_t barriers, uint64_t *out_value);
TUFF_MUST_USE tuff_status tuff_vk_wait(tuff_vk_device *device, uint64_t value);
/* For at most so long; whether it was reached. */
TUFF_MUST_USE tuff_status tuff_vk_wait_some(tuff_vk_device *device, uint64_t value, uint64_t ns,
                                            bool *out_reached);
/* Waits for all work submitted so far. */
TUFF_MUST_USE tuff_status tuff_vk_wait_idle(tuff_vk_device *device);
/* The same before something is destroyed. */
void tuff_vk_drain(tuff_vk_device *device);
/* Destroys it now where the timeline has come to `value`, else later. */
void tuff_vk_retire(tuff_vk_device *device, tuff_vk_retired *retired, uint64_t value,
                    void (*destroy)(struct tuff_vk_device *device, tuff_vk_retired *retired));
/* Destroys what has come to its time, or all. */
void tuff_vk_sweep(tuff_vk_device *device, bool all);
/* Waits for what is retired, so that its memory is free; false: there was none. */
bool tuff_vk_reclaim(tuff_vk_device *device);
/* Sets clock_offset_ns from one timestamp. */
TUFF_MUST_USE tuff_status tuff_vk_clock_calibrate(tuff_vk_device *device);

/* ---- buffer.c, staging.c ---- */

typedef struct tuff_vk_buffer {
    tuff_backend_buffer base;
    tuff_vk_retired retired;
    tuff_vk_memory memory;
} tuff_vk_buffer;

TUFF_MUST_USE tuff_status tuff_vk_buffer_create(tuff_backend_device *device, uint64_t bytes, const char *name,
                                                tuff_backend_buffer **out);
void tuff_vk_buffer_destroy(tuff_backend_device *device, tuff_backend_buffer **buffer);
TUFF_MUST_USE tuff_status tuff_vk_buffer_write(tuff_backend_device *device, tuff_backend_buffer *buffer,
                                               uint64_t offset, const void *data, uint64_t bytes);
TUFF_MUST_USE tuff_status tuff_vk_buffer_read(tuff_backend_device *device, tuff_backend_buffer *buffer,
                                              uint64_t offset, void *data, uint64_t bytes);

/* The same on any memory, directly or through staging, ordered after all work submitted before. */
TUFF_MUST_USE tuff_status tuff_vk_upload(tuff_vk_device *device, const tuff_vk_memory *to, uint64_t offset,
                                         const void *data, uint64_t bytes);
TUFF_MUST_USE tuff_status tuff_vk_download(tuff_vk_device *device, const tuff_vk_memory *from,
                                           uint64_t offset, void *data, uint64_t bytes);
/* Fills all of it with one byte. */
TUFF_MUST_USE tuff_status tuff_vk_clear(tuff_vk_device *device, const tuff_vk_memory *memory, uint8_t value);

TUFF_MUST_USE tuff_status tuff_vk_stage_up(tuff_vk_device *device, const tuff_vk_memory *to, uint64_t offset,
                                           const void *data, uint64_t bytes);
TUFF_MUST_USE tuff_status tuff_vk_stage_down(tuff_vk_device *device, const tuff_vk_memory *from,
                                             uint64_t offset, void *data, uint64_t bytes);
TUFF_MUST_USE tuff_status tuff_vk_stage_clear(tuff_vk_device *device, const tuff_vk_memory *memory,
                                              uint8_t value);
void tuff_vk_staging_destroy(tuff_vk_device *device);

/* ---- pipeline.c, pipeline_cache.c ---- */

/* The module of a shader, loaded at first use; belongs to the device. */
TUFF_MUST_USE tuff_status tuff_vk_module_of(tuff_vk_device *device, tuff_shader shader,
                                            const tuff_vk_module **out);
/* The pipeline for a dispatch, after checking the dispatch against the shader's reflection, and its number.
 */
TUFF_MUST_USE tuff_status tuff_vk_pipeline_of(tuff_vk_device *device, const tuff_dispatch *dispatch,
                                              VkPipeline *out, uint32_t *out_kernel);
tuff_vk_speed tuff_vk_speed_of(tuff_vk_device *device, uint32_t kernel);
void tuff_vk_measured(tuff_vk_device *device, uint32_t kernel, double guess_ns, double measured_ns);
TUFF_MUST_USE tuff_status tuff_vk_pipelines_create(tuff_vk_device *device);
void tuff_vk_pipelines_destroy(tuff_vk_device *device);

/* The driver's cache kept on disk; a missing, damaged or foreign file is an empty cache. */
TUFF_MUST_USE tuff_status tuff_vk_cache_load(tuff_vk_device *device);
void tuff_vk_cache_save(tuff_vk_device *device);

/* ---- statistics.c ---- */

/* See tuff_backend.compile. */
TUFF_MUST_USE tuff_status tuff_vk_compile(tuff_backend_device *device, const tuff_dispatch *dispatch,
                                          tuff_arena *arena, tuff_kernel *out);

#endif
