/* Steps without a kernel for this device: they run on the host, on copies of their operands. */
#include <string.h>

#include "backend/vulkan/program.h"
#include "base/fp.h"
#include "base/memory.h"
#include "base/status.h"

static const VkPipelineStageFlags compute = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                  transfer = VK_PIPELINE_STAGE_TRANSFER_BIT,
                                  host_stage = VK_PIPELINE_STAGE_HOST_BIT;

static const tuff_location *operand(const tuff_plan_step *step, int i)
{
    return i < step->node->n_in ? &step->in[i] : &step->out[i - step->node->n_in];
}

/* Adds an operand's bytes; ranges that overlap become one, so that operands which share memory still do. */
static void add_range(tuff_vk_host_step *host, tuff_vk_host_range range)
{
    for (size_t i = 0; i < host->n_ranges;) {
        const tuff_vk_host_range *x = &host->ranges[i];
        if (x->memory != range.memory || x->end <= range.begin || range.end <= x->begin) {
            i++;
            continue;
        }
        if (x->begin < range.begin) range.begin = x->begin;
        if (x->end > range.end) range.end = x->end;
        range.written |= x->written;
        host->ranges[i] = host->ranges[--host->n_ranges];
        i = 0;
    }
    host->ranges[host->n_ranges++] = range;
}

tuff_status tuff_vk_host_step_create(tuff_vk_program *program, const tuff_plan_step *step,
                                     uint64_t *transfer_bytes, tuff_vk_host_step **out)
{
    int n_in = step->node->n_in, n_out = step->node->n_out;
    tuff_vk_host_step *host = *out = tuff_arena_alloc(&program->arena, sizeof *host);
    if (!host) return tuff_fail_memory("a host step");
    host->ranges = tuff_arena_array(&program->arena, (size_t)(n_in + n_out), sizeof *host->ranges);
    host->in = tuff_arena_array(&program->arena, (size_t)n_in, sizeof *host->in);
    host->out = tuff_arena_array(&program->arena, (size_t)n_out, sizeof *host->out);
    if (!host->ranges || !host->in || !host->out) return tuff_fail_memory("a host step");
    size_t scratch = step->op->cpu_scratch ? step->op->cpu_scratch(step->node) : 0;
    if (scratch) {
        host->scratch = tuff_alloc_aligned(scratch, 64);
        if (!host->scratch) return tuff_fail_memory("a host step");
    }
    for (int i = 0; i < n_in + n_out; i++) {
        const tuff_location *location = operand(step, i);
        const tuff_vk_memory *memory = tuff_vk_memory_of(program, location);
        if (!memory) continue;
        add_range(host, (tuff_vk_host_range){memory, location->begin, location->end, 0, i >= n_in});
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < host->n_ranges; i++) {
        host->ranges[i].at = bytes;
        bytes += (host->ranges[i].end - host->ranges[i].begin + 63) / 64 * 64;
    }
    if (bytes > *transfer_bytes) *transfer_bytes = bytes; /* shared: host steps run one after another */
    return TUFF_OK;
}

void tuff_vk_host_step_bind(const tuff_vk_program *program, const tuff_plan_step *step,
                            tuff_vk_host_step *host)
{
    int n_in = step->node->n_in, n_out = step->node->n_out;
    for (int i = 0; i < n_in + n_out; i++) {
        const tuff_location *location = operand(step, i);
        const tuff_vk_memory *memory = tuff_vk_memory_of(program, location);
        for (size_t k = 0; k < host->n_ranges; k++) {
            const tuff_vk_host_range *range = &host->ranges[k];
            if (range->memory != memory || location->begin < range->begin || location->end > range->end)
                continue;
            uint8_t *pointer =
                tuff_vk_mapped(&program->transfer) + range->at + (location->offset - range->begin);
            if (i < n_in)
                host->in[i] = pointer;
            else
                host->out[i - n_in] = pointer;
        }
    }
}

void tuff_vk_host_step_destroy(tuff_vk_host_step *host)
{
    if (host) tuff_free_aligned(host->scratch);
}

static void copy_ranges(const tuff_vk_program *program, const tuff_vk_host_step *host,
                        VkCommandBuffer commands, bool back)
{
    const struct VolkDeviceTable *vk = &program->device->vk;
    VkBuffer near = program->transfer.block->buffer;
    for (size_t i = 0; i < host->n_ranges; i++) {
        const tuff_vk_host_range *range = &host->ranges[i];
        uint64_t here = program->transfer.offset + range->at, there = range->memory->offset + range->begin;
        VkBufferCopy region = {.srcOffset = back ? here : there,
                               .dstOffset = back ? there : here,
                               .size = range->end - range->begin};
        VkBuffer far = range->memory->block->buffer;
        if (!back) vk->vkCmdCopyBuffer(commands, far, near, 1, &region);
        if (back && range->written) vk->vkCmdCopyBuffer(commands, near, far, 1, &region);
    }
}

tuff_status tuff_vk_host_step_record(tuff_vk_program *program, const tuff_vk_segment *segment)
{
    tuff_vk_device *device = program->device;
    TUFF_TRY(tuff_vk_begin_commands(device, segment->commands, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT));
    tuff_vk_barrier(device, segment->commands, compute | transfer, transfer);
    copy_ranges(program, segment->host, segment->commands, false);
    tuff_vk_barrier(device, segment->commands, transfer, host_stage);
    TUFF_TRY(tuff_vk_end_commands(device, segment->commands));

    TUFF_TRY(tuff_vk_begin_commands(device, segment->back, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT));
    copy_ranges(program, segment->host, segment->back, true);
    tuff_vk_barrier(device, segment->back, transfer, compute | transfer);
    if (program->cut.queries)
        device->vk.vkCmdWriteTimestamp(segment->back, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                       program->cut.queries, segment->mark);
    return tuff_vk_end_commands(device, segment->back);
}

tuff_status tuff_vk_host_step_run(tuff_vk_program *program, const tuff_plan_step *step,
                                  const tuff_vk_host_step *host)
{
    tuff_vk_device *device = program->device;
    TUFF_TRY(tuff_vk_memory_invalidate(device, &program->transfer, 0, program->transfer.bytes));
    tuff_fp fp;
    tuff_fp_own(&fp);
    tuff_host_run(device->host, step, host->in, host->out, host->scratch);
    tuff_fp_give_back(&fp);
    return tuff_vk_memory_flush(device, &program->transfer, 0, program->transfer.bytes);
}
