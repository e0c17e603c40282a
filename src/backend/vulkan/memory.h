/* Device memory: parts of large blocks. */
#ifndef TUFF_BACKEND_VULKAN_MEMORY_H
#define TUFF_BACKEND_VULKAN_MEMORY_H

#define VK_NO_PROTOTYPES
#include <volk.h>

#include <stdbool.h>
#include <stdint.h>
#include <tuff/status.h>

struct tuff_vk_device;

typedef enum tuff_vk_memory_use {
    TUFF_VK_TENSOR,   /* device-local; host-visible too where the device's memory is the host's */
    TUFF_VK_UPLOAD,   /* the host writes, the device reads */
    TUFF_VK_READBACK, /* the device writes, the host reads */
    TUFF_VK_MEMORY_USES
} tuff_vk_memory_use;

typedef struct tuff_vk_range {
    uint64_t offset, bytes;
} tuff_vk_range;

/* One allocation of the driver under one buffer. */
typedef struct tuff_vk_block {
    struct tuff_vk_block *next;
    tuff_vk_memory_use use;
    VkDeviceMemory memory;
    VkBuffer buffer;
    VkDeviceAddress address;
    uint8_t *mapped; /* NULL: not host-visible */
    bool coherent;
    uint64_t bytes, allocated; /* of the buffer, of the memory under it */
    size_t n_parts;            /* handed out */
    tuff_vk_range *free;       /* by offset, never adjacent */
    size_t n_free, free_capacity;
} tuff_vk_block;

/* A part of a block, aligned to 256. {0} is none. */
typedef struct tuff_vk_memory {
    tuff_vk_block *block;
    uint64_t offset, bytes;
} tuff_vk_memory;

/* Contents are undefined. `what` names it in error texts. */
TUFF_MUST_USE tuff_status tuff_vk_memory_create(struct tuff_vk_device *device, tuff_vk_memory_use use,
                                                uint64_t bytes, const char *what, tuff_vk_memory *out);
void tuff_vk_memory_destroy(struct tuff_vk_device *device, tuff_vk_memory *memory);

/* Gives blocks back to the driver that were kept empty for the next program. */
void tuff_vk_memory_trim(struct tuff_vk_device *device);

/* Fails when `bytes` more for tensors, in however many parts, are surely too much. */
TUFF_MUST_USE tuff_status tuff_vk_memory_expect(struct tuff_vk_device *device, uint64_t bytes,
                                                const char *what);

/* Makes host writes visible to the device, device writes visible to the host. */
TUFF_MUST_USE tuff_status tuff_vk_memory_flush(struct tuff_vk_device *device, const tuff_vk_memory *memory,
                                               uint64_t offset, uint64_t bytes);
TUFF_MUST_USE tuff_status tuff_vk_memory_invalidate(struct tuff_vk_device *device,
                                                    const tuff_vk_memory *memory, uint64_t offset,
                                                    uint64_t bytes);

static inline uint8_t *tuff_vk_mapped(const tuff_vk_memory *memory)
{
    return memory->block->mapped ? memory->block->mapped + memory->offset : NULL;
}

static inline VkDeviceAddress tuff_vk_address(const tuff_vk_memory *memory)
{
    return memory->block->address + memory->offset;
}

#endif
