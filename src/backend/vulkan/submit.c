/* Command buffers, the queue and its timeline. */
#include "backend/vulkan/vk.h"
#include "base/status.h"

tuff_status tuff_vk_command_pool(tuff_vk_device *device, VkCommandPool *out_pool, uint32_t n,
                                 VkCommandBuffer *out)
{
    *out_pool = VK_NULL_HANDLE;
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = device->probe.queue_family};
    VkResult result = device->vk.vkCreateCommandPool(device->handle, &pool, NULL, out_pool);
    if (result == VK_SUCCESS) {
        VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = *out_pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = n};
        result = device->vk.vkAllocateCommandBuffers(device->handle, &info, out);
        if (result != VK_SUCCESS) device->vk.vkDestroyCommandPool(device->handle, *out_pool, NULL);
    }
    if (result != VK_SUCCESS) *out_pool = VK_NULL_HANDLE;
    return tuff_vk_check(device, result, "making command buffers");
}

tuff_status tuff_vk_begin_commands(tuff_vk_device *device, VkCommandBuffer commands,
                                   VkCommandBufferUsageFlags usage)
{
    VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = usage};
    return tuff_vk_check(device, device->vk.vkBeginCommandBuffer(commands, &info), "recording commands");
}

tuff_status tuff_vk_end_commands(tuff_vk_device *device, VkCommandBuffer commands)
{
    tuff_mutex_lock(device->queue_lock);
    device->stats.recorded++;
    tuff_mutex_unlock(device->queue_lock);
    return tuff_vk_check(device, device->vk.vkEndCommandBuffer(commands), "recording commands");
}

/* All accesses that Tuff makes in a stage. */
static VkAccessFlags accesses(VkPipelineStageFlags stages, bool source)
{
    VkAccessFlags flags = 0;
    if (stages & VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT)
        flags |= VK_ACCESS_SHADER_WRITE_BIT | (source ? 0 : VK_ACCESS_SHADER_READ_BIT);
    if (stages & VK_PIPELINE_STAGE_TRANSFER_BIT)
        flags |= VK_ACCESS_TRANSFER_WRITE_BIT | (source ? 0 : VK_ACCESS_TRANSFER_READ_BIT);
    if (stages & VK_PIPELINE_STAGE_HOST_BIT)
        flags |= source ? VK_ACCESS_HOST_WRITE_BIT : VK_ACCESS_HOST_READ_BIT;
    return flags;
}

void tuff_vk_barrier(tuff_vk_device *device, VkCommandBuffer commands, VkPipelineStageFlags from,
                     VkPipelineStageFlags to)
{
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = accesses(from, true),
                               .dstAccessMask = accesses(to, false)};
    device->vk.vkCmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, NULL, 0, NULL);
}

tuff_status tuff_vk_submit(tuff_vk_device *device, const VkCommandBuffer *commands, uint32_t n,
                           uint64_t dispatches, uint64_t barriers, uint64_t *out_value)
{
    TUFF_TRY(tuff_vk_alive(device));
    tuff_mutex_lock(device->queue_lock);
    uint64_t value = device->submitted + 1;
    VkTimelineSemaphoreSubmitInfo timeline = {.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                              .signalSemaphoreValueCount = 1,
                                              .pSignalSemaphoreValues = &value};
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .pNext = &timeline,
                         .commandBufferCount = n,
                         .pCommandBuffers = commands,
                         .signalSemaphoreCount = 1,
                         .pSignalSemaphores = &device->timeline};
    VkResult result = device->vk.vkQueueSubmit(device->queue, 1, &info, VK_NULL_HANDLE);
    if (result == VK_SUCCESS) {
        device->submitted = value;
        device->stats.submits++;
        device->stats.dispatches += dispatches;
        device->stats.barriers += barriers;
        *out_value = value;
    }
    tuff_mutex_unlock(device->queue_lock);
    return tuff_vk_check(device, result, "submitting work");
}

tuff_status tuff_vk_wait_some(tuff_vk_device *device, uint64_t value, uint64_t ns, bool *out_reached)
{
    VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                .semaphoreCount = 1,
                                .pSemaphores = &device->timeline,
                                .pValues = &value};
    *out_reached = false;
    TUFF_TRY(tuff_vk_alive(device));
    VkResult result = device->vk.vkWaitSemaphores(device->handle, &info, ns);
    if (result == VK_TIMEOUT) return TUFF_OK;
    *out_reached = true;
    return tuff_vk_check(device, result, "waiting for work");
}

tuff_status tuff_vk_wait(tuff_vk_device *device, uint64_t value)
{
    const uint64_t second = 1000 * 1000 * 1000;
    for (bool reached = false; !reached;) /* in turns, so that a loss seen by another thread ends it too */
        TUFF_TRY(tuff_vk_wait_some(device, value, second, &reached));
    return TUFF_OK;
}

tuff_status tuff_vk_wait_idle(tuff_vk_device *device)
{
    tuff_mutex_lock(device->queue_lock);
    uint64_t value = device->submitted;
    tuff_mutex_unlock(device->queue_lock);
    return tuff_vk_wait(device, value);
}

void tuff_vk_drain(tuff_vk_device *device)
{
    /* a lost one uses nothing, and why it was lost is still to be told */
    if (atomic_load(&device->lost)) return;
    if (tuff_vk_wait_idle(device) == TUFF_OK || atomic_load(&device->lost)) return;
    tuff_mutex_lock(device->queue_lock); /* the wait itself failed, for lack of memory */
    (void)device->vk.vkDeviceWaitIdle(device->handle);
    tuff_mutex_unlock(device->queue_lock);
}
