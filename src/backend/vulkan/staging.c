/* Copies between host and device memory that the host cannot reach, through a bounded pair of halves: while
 * the device copies one, the host fills or empties the other. */
#include <string.h>

#include "backend/vulkan/vk.h"
#include "base/status.h"

enum { HALF = 4 << 20, UP = 0, DOWN = 1 };

/* With staging_lock held. */
static tuff_status prepare(tuff_vk_device *device, int direction)
{
    tuff_vk_staging *staging = &device->staging[direction];
    if (!staging->pool) TUFF_TRY(tuff_vk_command_pool(device, &staging->pool, 2, staging->commands));
    if (!staging->memory.block)
        TUFF_TRY(tuff_vk_memory_create(device, direction == UP ? TUFF_VK_UPLOAD : TUFF_VK_READBACK, 2 * HALF,
                                       "staging for copies", &staging->memory));
    return TUFF_OK;
}

void tuff_vk_staging_destroy(tuff_vk_device *device)
{
    for (int i = 0; i < 2; i++) {
        tuff_vk_memory_destroy(device, &device->staging[i].memory);
        if (device->staging[i].pool)
            device->vk.vkDestroyCommandPool(device->handle, device->staging[i].pool, NULL);
    }
}

static const VkPipelineStageFlags work =
    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;

static tuff_status begin(tuff_vk_device *device, VkCommandBuffer commands)
{
    TUFF_TRY(tuff_vk_begin_commands(device, commands, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT));
    tuff_vk_barrier(device, commands, work, VK_PIPELINE_STAGE_TRANSFER_BIT);
    return TUFF_OK;
}

static tuff_status finish(tuff_vk_device *device, VkCommandBuffer commands, uint64_t *out_value)
{
    tuff_vk_barrier(device, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, work | VK_PIPELINE_STAGE_HOST_BIT);
    TUFF_TRY(tuff_vk_end_commands(device, commands));
    return tuff_vk_submit(device, &commands, 1, 0, 2, out_value);
}

/* Starts copying one piece between a half and the device. */
static tuff_status copy(tuff_vk_device *device, int direction, int half, const tuff_vk_memory *memory,
                        uint64_t offset, uint64_t bytes)
{
    tuff_vk_staging *staging = &device->staging[direction];
    VkCommandBuffer commands = staging->commands[half];
    TUFF_TRY(tuff_vk_wait(device, staging->value[half])); /* a copy that failed may have left it running */
    TUFF_TRY(begin(device, commands));
    uint64_t here = staging->memory.offset + (uint64_t)half * HALF, there = memory->offset + offset;
    VkBuffer host = staging->memory.block->buffer, far = memory->block->buffer;
    if (direction == UP) {
        VkBufferCopy region = {.srcOffset = here, .dstOffset = there, .size = bytes};
        device->vk.vkCmdCopyBuffer(commands, host, far, 1, &region);
    } else {
        VkBufferCopy region = {.srcOffset = there, .dstOffset = here, .size = bytes};
        device->vk.vkCmdCopyBuffer(commands, far, host, 1, &region);
    }
    return finish(device, commands, &staging->value[half]);
}

static uint64_t piece(uint64_t at, uint64_t bytes)
{
    return bytes - at < HALF ? bytes - at : HALF;
}

static tuff_status up(tuff_vk_device *device, const tuff_vk_memory *to, uint64_t offset, const uint8_t *data,
                      uint64_t bytes)
{
    TUFF_TRY(prepare(device, UP));
    tuff_vk_staging *staging = &device->staging[UP];
    int half = 0;
    for (uint64_t at = 0; at < bytes; at += HALF, half ^= 1) {
        uint64_t n = piece(at, bytes), place = (uint64_t)half * HALF;
        TUFF_TRY(tuff_vk_wait(device, staging->value[half]));
        memcpy(tuff_vk_mapped(&staging->memory) + place, data + at, n);
        TUFF_TRY(tuff_vk_memory_flush(device, &staging->memory, place, n));
        TUFF_TRY(copy(device, UP, half, to, offset + at, n));
    }
    return tuff_vk_wait(device, staging->value[half ^ 1]);
}

static tuff_status down(tuff_vk_device *device, const tuff_vk_memory *from, uint64_t offset, uint8_t *data,
                        uint64_t bytes)
{
    TUFF_TRY(prepare(device, DOWN));
    tuff_vk_staging *staging = &device->staging[DOWN];
    int half = 0;
    if (bytes) TUFF_TRY(copy(device, DOWN, half, from, offset, piece(0, bytes)));
    for (uint64_t at = 0; at < bytes; at += HALF, half ^= 1) {
        uint64_t n = piece(at, bytes), place = (uint64_t)half * HALF;
        if (at + n < bytes)
            TUFF_TRY(copy(device, DOWN, half ^ 1, from, offset + at + n, piece(at + n, bytes)));
        TUFF_TRY(tuff_vk_wait(device, staging->value[half]));
        TUFF_TRY(tuff_vk_memory_invalidate(device, &staging->memory, place, n));
        memcpy(data + at, tuff_vk_mapped(&staging->memory) + place, n);
    }
    return TUFF_OK;
}

static tuff_status clear(tuff_vk_device *device, const tuff_vk_memory *memory, uint8_t value)
{
    TUFF_TRY(prepare(device, UP));
    tuff_vk_staging *staging = &device->staging[UP];
    TUFF_TRY(tuff_vk_wait(device, staging->value[0]));
    TUFF_TRY(begin(device, staging->commands[0]));
    device->vk.vkCmdFillBuffer(staging->commands[0], memory->block->buffer, memory->offset, memory->bytes,
                               value * 0x01010101u);
    TUFF_TRY(finish(device, staging->commands[0], &staging->value[0]));
    return tuff_vk_wait(device, staging->value[0]);
}

tuff_status tuff_vk_stage_up(tuff_vk_device *device, const tuff_vk_memory *to, uint64_t offset,
                             const void *data, uint64_t bytes)
{
    tuff_mutex_lock(device->staging_lock);
    tuff_status status = up(device, to, offset, data, bytes);
    tuff_mutex_unlock(device->staging_lock);
    return status;
}

tuff_status tuff_vk_stage_down(tuff_vk_device *device, const tuff_vk_memory *from, uint64_t offset,
                               void *data, uint64_t bytes)
{
    tuff_mutex_lock(device->staging_lock);
    tuff_status status = down(device, from, offset, data, bytes);
    tuff_mutex_unlock(device->staging_lock);
    return status;
}

tuff_status tuff_vk_stage_clear(tuff_vk_device *device, const tuff_vk_memory *memory, uint8_t value)
{
    tuff_mutex_lock(device->staging_lock);
    tuff_status status = clear(device, memory, value);
    tuff_mutex_unlock(device->staging_lock);
    return status;
}
