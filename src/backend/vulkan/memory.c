/* The sub-allocator: blocks of driver memory, each under one buffer, handed out in parts, best fit. */
#include "backend/vulkan/memory.h"

#include <string.h>

#include "backend/vulkan/vk.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

enum { ALIGNMENT = 256 }; /* the most that nonCoherentAtomSize and any vector load may ask for */

#define MIB (1024.0 * 1024.0)

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static const VkMemoryType *type_of(const tuff_vk_device *device, tuff_vk_memory_use use)
{
    return &device->probe.memory.memoryTypes[device->memory_type[use]];
}

/* ---- free ranges of a block ---- */

static bool insert_range(tuff_vk_block *block, size_t at, tuff_vk_range range)
{
    if (!tuff_grow((void **)&block->free, block->n_free, &block->free_capacity, sizeof *block->free))
        return false;
    memmove(&block->free[at + 1], &block->free[at], (block->n_free - at) * sizeof *block->free);
    block->free[at] = range;
    block->n_free++;
    return true;
}

static void remove_range(tuff_vk_block *block, size_t at)
{
    block->n_free--;
    memmove(&block->free[at], &block->free[at + 1], (block->n_free - at) * sizeof *block->free);
}

/* Gives a part back. Cannot fail: taking it left room in the list for its return (see take_range). */
static void give_range(tuff_vk_block *block, uint64_t offset, uint64_t bytes)
{
    size_t at = 0;
    while (at < block->n_free && block->free[at].offset < offset)
        at++;
    bool joins_before = at > 0 && block->free[at - 1].offset + block->free[at - 1].bytes == offset;
    bool joins_after = at < block->n_free && offset + bytes == block->free[at].offset;
    if (joins_before) {
        block->free[at - 1].bytes += bytes;
        if (joins_after) {
            block->free[at - 1].bytes += block->free[at].bytes;
            remove_range(block, at);
        }
    } else if (joins_after) {
        block->free[at].offset = offset;
        block->free[at].bytes += bytes;
    } else {
        bool room = insert_range(block, at, (tuff_vk_range){offset, bytes});
        TUFF_ASSERT(room);
    }
}

/* Each part in use can at most add one free range when it returns, so capacity >= parts + 1 always suffices.
 */
static bool reserve_range(tuff_vk_block *block)
{
    while (block->free_capacity < block->n_parts + 2) {
        size_t capacity = block->free_capacity;
        if (!tuff_grow((void **)&block->free, capacity, &block->free_capacity, sizeof *block->free))
            return false;
    }
    return true;
}

static bool take_range(tuff_vk_block *block, uint64_t bytes, uint64_t *out_offset)
{
    size_t best = block->n_free;
    for (size_t i = 0; i < block->n_free; i++)
        if (block->free[i].bytes >= bytes &&
            (best == block->n_free || block->free[i].bytes < block->free[best].bytes))
            best = i;
    if (best == block->n_free || !reserve_range(block)) return false;
    *out_offset = block->free[best].offset;
    block->free[best].offset += bytes;
    block->free[best].bytes -= bytes;
    if (block->free[best].bytes == 0) remove_range(block, best);
    block->n_parts++;
    return true;
}

/* ---- blocks ---- */

static void destroy_block(tuff_vk_device *device, tuff_vk_block *block)
{
    if (block->buffer) device->vk.vkDestroyBuffer(device->handle, block->buffer, NULL);
    if (block->memory) device->vk.vkFreeMemory(device->handle, block->memory, NULL);
    tuff_free(block->free);
    tuff_free(block);
}

/* Empty blocks that were kept go back to the driver. */
static void destroy_spares(tuff_vk_device *device)
{
    for (tuff_vk_block **link = &device->blocks; *link;) {
        tuff_vk_block *block = *link;
        if (block->n_parts > 0) {
            link = &block->next;
            continue;
        }
        *link = block->next;
        destroy_block(device, block);
    }
}

static VkResult create_buffer(tuff_vk_device *device, uint64_t bytes, VkBuffer *out)
{
    VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                               .size = bytes,
                               .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                        VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                                        VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT};
    VkResult result = device->vk.vkCreateBuffer(device->handle, &info, NULL, out);
    if (result != VK_SUCCESS) *out = VK_NULL_HANDLE;
    return result;
}

/* A software driver's heap is the host's memory, whatever size it makes up for it. */
static uint64_t host_available(const tuff_vk_device *device)
{
    return device->probe.description.kind == TUFF_KIND_SOFTWARE ? tuff_available_memory() : 0;
}

static uint64_t driver_available(tuff_vk_device *device, tuff_vk_memory_use use)
{
    uint64_t host = host_available(device);
    if (host) return host;
    uint32_t heap = type_of(device, use)->heapIndex;
    uint64_t size = device->probe.memory.memoryHeaps[heap].size, used = device->stats.bytes;
    if (device->probe.has_budget) {
        VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
        VkPhysicalDeviceMemoryProperties2 properties = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &budget};
        vkGetPhysicalDeviceMemoryProperties2(device->physical, &properties);
        size = budget.heapBudget[heap];
        used = budget.heapUsage[heap];
    }
    return size > used ? size - used : 0;
}

static uint64_t available(tuff_vk_device *device, tuff_vk_memory_use use)
{
    uint64_t left = driver_available(device, use), budget = device->params.mask.memory,
             used = device->stats.bytes;
    if (!budget) return left;
    budget = budget > used ? budget - used : 0;
    return budget < left ? budget : left;
}

/* Where memory is the host's, more than there is would kill the process, and a budget is to be kept. A card's
 * driver may move others' memory away, so there it is asked. */
static bool must_fit(const tuff_vk_device *device)
{
    return device->params.mask.memory || host_available(device);
}

static tuff_status fail_memory(tuff_vk_device *device, tuff_vk_memory_use use, uint64_t bytes,
                               const char *what)
{
    return tuff_fail(TUFF_OUT_OF_MEMORY, "%s: %s wants %.1f MiB of %s memory, %.1f MiB are available",
                     device->probe.description.name, what, (double)bytes / MIB,
                     use == TUFF_VK_TENSOR ? "device" : "host-visible", (double)available(device, use) / MIB);
}

/* Allocates and binds; a failure leaves what there is to destroy_block. */
static VkResult fill_block(tuff_vk_device *device, tuff_vk_block *block)
{
    VkResult result = create_buffer(device, block->bytes, &block->buffer);
    if (result != VK_SUCCESS) return result;
    VkMemoryRequirements requirements;
    device->vk.vkGetBufferMemoryRequirements(device->handle, block->buffer, &requirements);
    VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                       .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .pNext = &flags,
                                 .allocationSize = requirements.size,
                                 .memoryTypeIndex = device->memory_type[block->use]};
    result = device->vk.vkAllocateMemory(device->handle, &info, NULL, &block->memory);
    if (result != VK_SUCCESS) {
        block->memory = VK_NULL_HANDLE;
        return result;
    }
    block->allocated = requirements.size;
    device->stats.allocations++;
    result = device->vk.vkBindBufferMemory(device->handle, block->buffer, block->memory, 0);
    if (result != VK_SUCCESS) return result;
    VkMemoryPropertyFlags properties = type_of(device, block->use)->propertyFlags;
    block->coherent = properties & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if (properties & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) {
        void *mapped;
        result = device->vk.vkMapMemory(device->handle, block->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
        if (result != VK_SUCCESS) return result;
        block->mapped = mapped;
    }
    VkBufferDeviceAddressInfo address = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                         .buffer = block->buffer};
    block->address = device->vk.vkGetBufferDeviceAddress(device->handle, &address);
    return VK_SUCCESS;
}

static uint64_t block_size(const tuff_vk_device *device, tuff_vk_memory_use use, uint64_t bytes)
{
    uint64_t usual = (uint64_t)(use == TUFF_VK_TENSOR ? 128 : 4) << 20;
    uint64_t heap = device->probe.memory.memoryHeaps[type_of(device, use)->heapIndex].size;
    if (usual > heap / 16) usual = heap / 16 / ALIGNMENT * ALIGNMENT;
    if (usual > device->base.caps.max_allocation) usual = device->base.caps.max_allocation;
    return bytes > usual ? bytes : usual;
}

static tuff_status create_block(tuff_vk_device *device, tuff_vk_memory_use use, uint64_t bytes,
                                const char *what, tuff_vk_block **out)
{
    if (bytes > device->base.caps.max_allocation)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: %s wants %.1f MiB in one piece, the driver allows %.1f MiB",
                         device->probe.description.name, what, (double)bytes / MIB,
                         (double)device->base.caps.max_allocation / MIB);
    destroy_spares(device); /* none of them would do */
    uint64_t left = available(device, use);
    if (bytes > left && must_fit(device)) return fail_memory(device, use, bytes, what);
    uint64_t size = block_size(device, use, bytes);
    if (size > left) size = bytes;
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (;;) {
        tuff_vk_block *block = tuff_alloc(sizeof *block);
        if (!block) return tuff_fail_memory("a block of device memory");
        block->use = use;
        block->bytes = size;
        bool listed = insert_range(block, 0, (tuff_vk_range){0, size});
        result = listed ? fill_block(device, block) : VK_ERROR_OUT_OF_HOST_MEMORY;
        if (result == VK_SUCCESS) {
            tuff_vk_name(device, VK_OBJECT_TYPE_BUFFER, (uint64_t)(uintptr_t)block->buffer, what);
            *out = block;
            return TUFF_OK;
        }
        destroy_block(device, block);
        if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY || size == bytes) break;
        size = bytes; /* a whole block does not fit any more, its part may */
    }
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY) return fail_memory(device, use, bytes, what);
    return tuff_vk_check(device, result, "allocating memory");
}

static tuff_status take(tuff_vk_device *device, tuff_vk_memory_use use, uint64_t bytes, const char *what,
                        tuff_vk_memory *out)
{
    for (tuff_vk_block *block = device->blocks; block; block = block->next) {
        if (block->use != use || !take_range(block, bytes, &out->offset)) continue;
        if (block->n_parts == 1) device->stats.bytes += block->allocated;
        out->block = block;
        return TUFF_OK;
    }
    tuff_vk_block *block = NULL;
    TUFF_TRY(create_block(device, use, bytes, what, &block));
    if (!take_range(block, bytes, &out->offset)) {
        destroy_block(device, block);
        return tuff_fail_memory("a block of device memory");
    }
    device->stats.bytes += block->allocated;
    block->next = device->blocks;
    device->blocks = block;
    out->block = block;
    return TUFF_OK;
}

/* An empty block of the usual size is kept, one for each use: programs come and go, and drivers clear what
 * they allocate. */
static void drop_block(tuff_vk_device *device, tuff_vk_block *block)
{
    bool keep = block->bytes <= block_size(device, block->use, 0);
    for (const tuff_vk_block *other = device->blocks; other; other = other->next)
        keep = keep && (other == block || other->use != block->use || other->n_parts > 0);
    if (keep) return;
    tuff_vk_block **link = &device->blocks;
    while (*link != block)
        link = &(*link)->next;
    *link = block->next;
    destroy_block(device, block);
}

void tuff_vk_memory_trim(tuff_vk_device *device)
{
    tuff_mutex_lock(device->memory_lock);
    destroy_spares(device);
    tuff_mutex_unlock(device->memory_lock);
}

tuff_status tuff_vk_memory_create(tuff_vk_device *device, tuff_vk_memory_use use, uint64_t bytes,
                                  const char *what, tuff_vk_memory *out)
{
    *out = (tuff_vk_memory){0};
    TUFF_TRY(tuff_vk_alive(device));
    if (bytes > UINT64_MAX / 2) return fail_memory(device, use, bytes, what);
    uint64_t size = round_up(bytes ? bytes : 1);
    tuff_status status;
    tuff_vk_sweep(device, false);
    do {
        tuff_mutex_lock(device->memory_lock);
        status = take(device, use, size, what, out);
        tuff_mutex_unlock(device->memory_lock);
    } while (status == TUFF_OUT_OF_MEMORY && tuff_vk_reclaim(device));
    if (status == TUFF_OK) out->bytes = size;
    return status;
}

void tuff_vk_memory_destroy(tuff_vk_device *device, tuff_vk_memory *memory)
{
    tuff_vk_block *block = memory->block;
    if (!block) return;
    tuff_mutex_lock(device->memory_lock);
    give_range(block, memory->offset, memory->bytes);
    if (--block->n_parts == 0) {
        device->stats.bytes -= block->allocated;
        drop_block(device, block);
    }
    tuff_mutex_unlock(device->memory_lock);
    *memory = (tuff_vk_memory){0};
}

/* What the driver would still give, and the free parts of the blocks there are. */
static uint64_t available_in_parts(tuff_vk_device *device)
{
    uint64_t left = available(device, TUFF_VK_TENSOR);
    for (const tuff_vk_block *block = device->blocks; block; block = block->next)
        for (size_t i = 0; block->use == TUFF_VK_TENSOR && block->n_parts > 0 && i < block->n_free; i++)
            left += block->free[i].bytes;
    return left;
}

tuff_status tuff_vk_memory_expect(tuff_vk_device *device, uint64_t bytes, const char *what)
{
    uint64_t left;
    if (!must_fit(device)) return TUFF_OK;
    do {
        tuff_mutex_lock(device->memory_lock);
        left = available_in_parts(device);
        if (bytes > left) {
            destroy_spares(device);
            left = available_in_parts(device);
        }
        tuff_mutex_unlock(device->memory_lock);
        if (bytes <= left) return TUFF_OK;
    } while (tuff_vk_reclaim(device));
    return tuff_fail(TUFF_OUT_OF_MEMORY,
                     "%s: %s wants %.1f MiB of device memory in all, %.1f MiB are available; smaller batches "
                     "or shorter sequences need less",
                     device->probe.description.name, what, (double)bytes / MIB, (double)left / MIB);
}

static VkMappedMemoryRange mapped_range(const tuff_vk_memory *memory, uint64_t offset, uint64_t bytes)
{
    uint64_t begin = (memory->offset + offset) / ALIGNMENT * ALIGNMENT;
    uint64_t end = round_up(memory->offset + offset + bytes);
    return (VkMappedMemoryRange){.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                                 .memory = memory->block->memory,
                                 .offset = begin,
                                 .size = end - begin};
}

tuff_status tuff_vk_memory_flush(tuff_vk_device *device, const tuff_vk_memory *memory, uint64_t offset,
                                 uint64_t bytes)
{
    if (memory->block->coherent || bytes == 0) return TUFF_OK;
    VkMappedMemoryRange range = mapped_range(memory, offset, bytes);
    return tuff_vk_check(device, device->vk.vkFlushMappedMemoryRanges(device->handle, 1, &range),
                         "flushing memory");
}

tuff_status tuff_vk_memory_invalidate(tuff_vk_device *device, const tuff_vk_memory *memory, uint64_t offset,
                                      uint64_t bytes)
{
    if (memory->block->coherent || bytes == 0) return TUFF_OK;
    VkMappedMemoryRange range = mapped_range(memory, offset, bytes);
    return tuff_vk_check(device, device->vk.vkInvalidateMappedMemoryRanges(device->handle, 1, &range),
                         "reading memory back");
}

/* ---- which memory for what ---- */

/* The first type that has all of `must`; among those the one with the most of `wish`, the fewest of `avoid`.
 */
static int find_type(const VkPhysicalDeviceMemoryProperties *memory, uint32_t allowed,
                     VkMemoryPropertyFlags must, VkMemoryPropertyFlags wish, VkMemoryPropertyFlags avoid,
                     uint64_t heap_at_least)
{
    const VkMemoryPropertyFlags odd =
        VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |
        VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD;
    int best = -1, best_score = -1;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        VkMemoryPropertyFlags flags = memory->memoryTypes[i].propertyFlags;
        if (!(allowed >> i & 1) || (flags & must) != must || (flags & odd)) continue;
        if (memory->memoryHeaps[memory->memoryTypes[i].heapIndex].size < heap_at_least) continue;
        int score = 2 * __builtin_popcount(flags & wish) + (flags & avoid ? 0 : 1);
        if (score <= best_score) continue;
        best = (int)i;
        best_score = score;
    }
    return best;
}

tuff_status tuff_vk_memory_kinds(tuff_vk_device *device)
{
    VkBuffer buffer;
    TUFF_TRY(tuff_vk_check(device, create_buffer(device, ALIGNMENT, &buffer), "creating a buffer"));
    VkMemoryRequirements requirements;
    device->vk.vkGetBufferMemoryRequirements(device->handle, buffer, &requirements);
    device->vk.vkDestroyBuffer(device->handle, buffer, NULL);

    const VkPhysicalDeviceMemoryProperties *memory = &device->probe.memory;
    uint32_t allowed = requirements.memoryTypeBits;
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
                                coherent = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                                cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    /* A small host-visible window into a card's memory is left alone. */
    uint64_t largest = 0;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++)
        if ((memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            memory->memoryHeaps[i].size > largest)
            largest = memory->memoryHeaps[i].size;
    int tensor = find_type(memory, allowed, local, visible, 0, largest);
    if (tensor < 0) tensor = find_type(memory, allowed, 0, local, 0, 0);
    int upload = find_type(memory, allowed, visible | coherent, 0, local | cached, 0);
    int readback = find_type(memory, allowed, visible | cached, coherent, local, 0);
    if (readback < 0) readback = upload;
    if (tensor < 0 || upload < 0)
        return tuff_fail(TUFF_UNSUPPORTED, "%s offers no memory for buffers", device->probe.description.name);
    device->memory_type[TUFF_VK_TENSOR] = (uint32_t)tensor;
    device->memory_type[TUFF_VK_UPLOAD] = (uint32_t)upload;
    device->memory_type[TUFF_VK_READBACK] = (uint32_t)readback;
    VkMemoryPropertyFlags flags = memory->memoryTypes[tensor].propertyFlags;
    device->direct_write = flags & visible;
    device->direct_read = (flags & visible) && (flags & cached);
    return TUFF_OK;
}
