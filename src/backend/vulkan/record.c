/* Recording: segments of dispatches, and the copies that begin and end a run. */
#include <string.h>

#include "backend/vulkan/program.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/status.h"

static const VkPipelineStageFlags compute = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                  transfer = VK_PIPELINE_STAGE_TRANSFER_BIT,
                                  host = VK_PIPELINE_STAGE_HOST_BIT;

void tuff_vk_record_mark(const tuff_vk_program *program, VkCommandBuffer commands, uint32_t mark)
{
    if (program->cut.queries)
        program->device->vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                                program->cut.queries, mark);
}

void tuff_vk_record_work(const tuff_vk_program *program, VkCommandBuffer commands, const tuff_vk_work *work,
                         VkPipeline *bound)
{
    const struct VolkDeviceTable *vk = &program->device->vk;
    if (*bound != work->pipeline)
        vk->vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, work->pipeline);
    *bound = work->pipeline;
    uint8_t push[TUFF_MAX_ARGS];
    uint32_t bytes = tuff_vk_push_constants(program, work, push);
    if (bytes)
        vk->vkCmdPushConstants(commands, program->device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               (bytes + 3) / 4 * 4, push);
    const uint32_t *base = work->base, *groups = work->groups;
    if (base[0] || base[1] || base[2])
        vk->vkCmdDispatchBase(commands, base[0], base[1], base[2], groups[0], groups[1], groups[2]);
    else
        vk->vkCmdDispatch(commands, groups[0], groups[1], groups[2]);
}

/* `order`: NULL, or which work takes each place. */
static tuff_status record_segment(tuff_vk_program *program, const tuff_vk_segment *segment,
                                  const uint32_t *order)
{
    tuff_vk_device *device = program->device;
    VkCommandBuffer commands = segment->commands;
    /* runs overlap in the ring, so a segment may be pending more than once */
    TUFF_TRY(tuff_vk_begin_commands(device, commands, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT));
    VkPipeline bound = VK_NULL_HANDLE;
    uint32_t end = segment->first_work + segment->n_work;
    for (uint32_t i = segment->first_work; i < end; i++) {
        if (program->cut.work[i].barrier) tuff_vk_barrier(device, commands, compute, compute);
        tuff_vk_record_work(program, commands, &program->cut.work[order ? order[i] : i], &bound);
        bool step_ends =
            i + 1 == program->cut.n_work || program->cut.work[i + 1].step != program->cut.work[i].step;
        if (program->times && step_ends)
            tuff_vk_record_mark(program, commands, program->cut.work[i].step + 1);
    }
    if (!program->times) tuff_vk_record_mark(program, commands, segment->mark);
    return tuff_vk_end_commands(device, commands);
}

static tuff_status record_begin(const tuff_vk_program *program, uint64_t index)
{
    VkCommandBuffer commands = program->cut.begin[index];
    tuff_vk_device *device = program->device;
    const struct VolkDeviceTable *vk = &device->vk;
    uint64_t bytes = program->base.plan->input_bytes;
    TUFF_TRY(tuff_vk_begin_commands(device, commands, 0));
    /* everything before, of any program, comes before everything here */
    tuff_vk_barrier(device, commands, compute | transfer, compute | transfer);
    if (program->cut.queries)
        vk->vkCmdResetQueryPool(commands, program->cut.queries, 0, program->cut.n_marks);
    if (bytes) {
        VkBufferCopy region = {.srcOffset = program->slots.offset + index * program->slot_stride,
                               .dstOffset = program->step.offset,
                               .size = bytes};
        vk->vkCmdCopyBuffer(commands, program->slots.block->buffer, program->step.block->buffer, 1, &region);
        tuff_vk_barrier(device, commands, transfer, compute | transfer);
    }
    tuff_vk_record_mark(program, commands, 0);
    return tuff_vk_end_commands(device, commands);
}

static tuff_status record_end(const tuff_vk_program *program, uint64_t index)
{
    VkCommandBuffer commands = program->cut.end[index];
    tuff_vk_device *device = program->device;
    const struct VolkDeviceTable *vk = &device->vk;
    const tuff_plan *plan = program->base.plan;
    uint64_t at = program->cut.results.offset + index * program->cut.result_stride;
    VkBuffer results = program->cut.results.block->buffer;
    TUFF_TRY(tuff_vk_begin_commands(device, commands, 0));
    if (plan->n_outputs) tuff_vk_barrier(device, commands, compute | transfer, transfer);
    for (size_t i = 0; i < plan->n_outputs; i++) {
        const tuff_plan_output *output = &plan->outputs[i];
        const tuff_vk_memory *memory = tuff_vk_memory_of(program, &output->location);
        VkBufferCopy region = {.srcOffset = memory->offset + output->location.offset,
                               .dstOffset = at + output->offset,
                               .size = output->bytes};
        vk->vkCmdCopyBuffer(commands, memory->block->buffer, results, 1, &region);
    }
    if (program->cut.queries)
        vk->vkCmdCopyQueryPoolResults(commands, program->cut.queries, 0, program->cut.n_marks, results,
                                      at + (plan->output_bytes + 7) / 8 * 8, 8,
                                      VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    /* the host may read the results, and variables where it reaches them */
    tuff_vk_barrier(device, commands, compute | transfer, host);
    return tuff_vk_end_commands(device, commands);
}

tuff_status tuff_vk_record(tuff_vk_program *program)
{
    for (uint64_t i = 0; i < TUFF_VK_SLOTS; i++) {
        TUFF_TRY(record_begin(program, i));
        TUFF_TRY(record_end(program, i));
    }
    for (size_t i = 0; i < program->cut.n_segments; i++) {
        const tuff_vk_segment *segment = &program->cut.segments[i];
        if (segment->host)
            TUFF_TRY(tuff_vk_host_step_record(program, segment));
        else
            TUFF_TRY(record_segment(program, segment, NULL));
    }
    return TUFF_OK;
}

tuff_status tuff_vk_record_permuted(tuff_vk_program *program)
{
    uint32_t n = (uint32_t)program->cut.n_work, stream = 0;
    for (uint32_t i = 0; i < n; i++)
        program->cut.order[i] = i;
    for (uint32_t s = 0; s < program->cut.n_segments; s++) {
        const tuff_vk_segment *segment = &program->cut.segments[s];
        uint32_t end = segment->first_work + segment->n_work;
        for (uint32_t i = segment->first_work, k; i < end; i = k) {
            for (k = i + 1; k < end && !program->cut.work[k].barrier;)
                k++;
            tuff_rng_shuffle(&program->cut.order[i], k - i, program->device->params.permute,
                             (uint32_t)program->runs, stream++);
        }
        if (!segment->host) TUFF_TRY(record_segment(program, segment, program->cut.order));
    }
    return TUFF_OK;
}
