/* Commands that the Vulkan backend records and submits, captured by swapping entries of the device's function
 * table, with what each of them reads and writes, as the plan says. */
#ifndef TUFF_TESTS_VULKAN_CAPTURE_H
#define TUFF_TESTS_VULKAN_CAPTURE_H

#include "vulkan_case.h"

#ifdef TUFF_HAVE_VULKAN

enum { MAX_EVENTS = 4096, MAX_ACCESSES = 64, MAX_POOLS = 8 };

typedef struct access {
    VkBuffer buffer;
    uint64_t begin, end;
    bool write;
} access_t;

/* Something that happens on the device: a barrier, accesses in one pipeline stage, or a change of
 * timestamps. */
typedef struct event {
    VkCommandBuffer commands;
    enum { BARRIER, ACCESSES, TIMESTAMPS } kind;
    VkPipelineStageFlags stage, from, to; /* of accesses; of a barrier */
    VkAccessFlags from_access, to_access; /* of a barrier */
    bool is_dispatch, is_past;            /* of other programs, in order among themselves */
    uint32_t base[3], groups[3];          /* of a dispatch */
    const tuff_dispatch *dispatch;        /* of a dispatch: what it is a part of, in the plan */
    int step;                             /* of a dispatch; -1 */
    enum { NO_QUERY, RESET, STAMP, FETCH } query;
    VkQueryPool pool;
    uint32_t first_query, n_queries;
    bool waits; /* of FETCH */
    access_t accesses[MAX_ACCESSES];
    int n;
} event;

static event *recorded, *executed; /* by command buffer; in order of submission */
static size_t n_recorded, n_executed;

/* ---- capture ---- */

static struct VolkDeviceTable real;

static inline event *record(VkCommandBuffer commands, int kind)
{
    assert_true(n_recorded < MAX_EVENTS);
    event *e = &recorded[n_recorded++];
    *e = (event){.commands = commands, .step = -1};
    e->kind = kind;
    return e;
}

static inline void add_access(event *e, VkBuffer buffer, uint64_t begin, uint64_t end, bool write)
{
    assert_true(e->n < MAX_ACCESSES);
    e->accesses[e->n++] = (access_t){buffer, begin, end, write};
}

static VkResult VKAPI_PTR begin_commands(VkCommandBuffer commands, const VkCommandBufferBeginInfo *info)
{
    for (size_t i = 0; i < n_recorded;) /* what was recorded before is gone */
        if (recorded[i].commands == commands)
            memmove(&recorded[i], &recorded[i + 1], (--n_recorded - i) * sizeof *recorded);
        else
            i++;
    return real.vkBeginCommandBuffer(commands, info);
}

/* A run that goes through all of a program piece by piece records as it goes, task by task. */
static const tuff_vk_program *tried; /* NULL: none does */
static size_t tried_task;
static uint64_t tried_groups; /* of that task, so far */
static inline void attach_work(event *e, const tuff_vk_program *program, const tuff_vk_work *work);

static inline void attach_piece(event *e)
{
    assert_true(tried_task < tried->n_tasks);
    const tuff_vk_task *task = &tried->tasks[tried_task];
    uint32_t axis = tuff_vk_split_axis(task->dispatch);
    assert_int_equal(e->base[axis], tried_groups);
    tuff_vk_work work =
        tuff_vk_part(task, (uint32_t)tried_task, tried_groups, tried_groups + e->groups[axis]);
    attach_work(e, tried, &work);
    tried_groups += e->groups[axis];
    if (tried_groups < task->dispatch->groups[axis]) return;
    tried_task++;
    tried_groups = 0;
}

static inline void record_dispatch(VkCommandBuffer commands, const uint32_t *base, const uint32_t *groups)
{
    event *e = record(commands, ACCESSES);
    e->stage = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    e->is_dispatch = true;
    memcpy(e->base, base, sizeof e->base);
    memcpy(e->groups, groups, sizeof e->groups);
    if (tried) attach_piece(e);
}

static void VKAPI_PTR dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z)
{
    record_dispatch(commands, (uint32_t[3]){0}, (uint32_t[3]){x, y, z});
    real.vkCmdDispatch(commands, x, y, z);
}

static void VKAPI_PTR dispatch_base(VkCommandBuffer commands, uint32_t base_x, uint32_t base_y,
                                    uint32_t base_z, uint32_t x, uint32_t y, uint32_t z)
{
    record_dispatch(commands, (uint32_t[3]){base_x, base_y, base_z}, (uint32_t[3]){x, y, z});
    real.vkCmdDispatchBase(commands, base_x, base_y, base_z, x, y, z);
}

static void VKAPI_PTR barrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkPipelineStageFlags to,
                              VkDependencyFlags flags, uint32_t n, const VkMemoryBarrier *barriers,
                              uint32_t n_buffer, const VkBufferMemoryBarrier *buffer, uint32_t n_image,
                              const VkImageMemoryBarrier *image)
{
    assert_int_equal(n, 1);
    event *e = record(commands, BARRIER);
    e->from = from;
    e->to = to;
    e->from_access = barriers->srcAccessMask;
    e->to_access = barriers->dstAccessMask;
    real.vkCmdPipelineBarrier(commands, from, to, flags, n, barriers, n_buffer, buffer, n_image, image);
}

static void VKAPI_PTR copy(VkCommandBuffer commands, VkBuffer from, VkBuffer to, uint32_t n,
                           const VkBufferCopy *regions)
{
    event *e = record(commands, ACCESSES);
    e->stage = VK_PIPELINE_STAGE_TRANSFER_BIT;
    for (uint32_t i = 0; i < n; i++) {
        add_access(e, from, regions[i].srcOffset, regions[i].srcOffset + regions[i].size, false);
        add_access(e, to, regions[i].dstOffset, regions[i].dstOffset + regions[i].size, true);
    }
    real.vkCmdCopyBuffer(commands, from, to, n, regions);
}

static inline event *record_queries(VkCommandBuffer commands, int kind, int query, VkQueryPool pool,
                                    uint32_t first, uint32_t n)
{
    event *e = record(commands, kind);
    e->query = query;
    e->pool = pool;
    e->first_query = first;
    e->n_queries = n;
    return e;
}

static void VKAPI_PTR reset_queries(VkCommandBuffer commands, VkQueryPool pool, uint32_t first, uint32_t n)
{
    record_queries(commands, TIMESTAMPS, RESET, pool, first, n);
    real.vkCmdResetQueryPool(commands, pool, first, n);
}

static void VKAPI_PTR write_timestamp(VkCommandBuffer commands, VkPipelineStageFlagBits stage,
                                      VkQueryPool pool, uint32_t query)
{
    record_queries(commands, TIMESTAMPS, STAMP, pool, query, 1);
    real.vkCmdWriteTimestamp(commands, stage, pool, query);
}

/* To Vulkan it is a transfer that writes. */
static void VKAPI_PTR copy_queries(VkCommandBuffer commands, VkQueryPool pool, uint32_t first, uint32_t n,
                                   VkBuffer to, VkDeviceSize offset, VkDeviceSize stride,
                                   VkQueryResultFlags flags)
{
    event *e = record_queries(commands, ACCESSES, FETCH, pool, first, n);
    e->waits = flags & VK_QUERY_RESULT_WAIT_BIT;
    e->stage = VK_PIPELINE_STAGE_TRANSFER_BIT;
    add_access(e, to, offset, offset + (n - 1) * stride + 8, true);
    real.vkCmdCopyQueryPoolResults(commands, pool, first, n, to, offset, stride, flags);
}

/* No kernel was ever measured. */
static inline void forget_kernels(tuff_vk_device *device)
{
    for (size_t i = 0; i < device->n_pipelines; i++)
        device->pipelines[i].speed = (tuff_vk_speed){0};
}

static VkResult VKAPI_PTR submit(VkQueue queue, uint32_t n, const VkSubmitInfo *infos, VkFence fence)
{
    if (tried) forget_kernels(tried->device);
    for (uint32_t s = 0; s < n; s++)
        for (uint32_t c = 0; c < infos[s].commandBufferCount; c++)
            for (size_t i = 0; i < n_recorded; i++)
                if (recorded[i].commands == infos[s].pCommandBuffers[c]) {
                    assert_true(n_executed < MAX_EVENTS);
                    executed[n_executed++] = recorded[i];
                }
    return real.vkQueueSubmit(queue, n, infos, fence);
}

static inline void capture(tuff_vk_device *device)
{
    real = device->vk;
    device->vk.vkBeginCommandBuffer = begin_commands;
    device->vk.vkCmdDispatch = dispatch;
    device->vk.vkCmdDispatchBase = dispatch_base;
    device->vk.vkCmdPipelineBarrier = barrier;
    device->vk.vkCmdCopyBuffer = copy;
    device->vk.vkCmdResetQueryPool = reset_queries;
    device->vk.vkCmdWriteTimestamp = write_timestamp;
    device->vk.vkCmdCopyQueryPoolResults = copy_queries;
    device->vk.vkQueueSubmit = submit;
    n_recorded = n_executed = 0;
}

/* ---- what dispatches touch, from the plan ---- */

static inline void add_location(event *e, const tuff_vk_program *program, const tuff_location *location,
                                bool write)
{
    const tuff_vk_memory *memory = tuff_vk_memory_of(program, location);
    if (memory)
        add_access(e, memory->block->buffer, memory->offset + location->begin, memory->offset + location->end,
                   write);
}

static inline void attach_work(event *e, const tuff_vk_program *program, const tuff_vk_work *work)
{
    const tuff_plan_step *step = &program->base.plan->steps[work->step];
    assert_memory_equal(e->base, work->base, sizeof e->base);
    assert_memory_equal(e->groups, work->groups, sizeof e->groups);
    e->step = (int)work->step;
    e->dispatch = work->dispatch;
    for (int k = 0; k < step->node->n_in; k++)
        add_location(e, program, &step->in[k], false);
    for (int k = 0; k < step->node->n_out; k++)
        add_location(e, program, &step->out[k], true);
    add_location(e, program, &step->scratch, true);
}

/* Gives the recorded dispatches their accesses: they are the program's, in its order. A part of a dispatch
 * is taken to touch all that the whole one does. */
static inline void attach_plan(const tuff_vk_program *program)
{
    size_t w = 0;
    for (size_t i = 0; i < n_recorded; i++) {
        event *e = &recorded[i];
        if (!e->is_dispatch) continue;
        assert_true(w < program->cut.n_work);
        attach_work(e, program, &program->cut.work[w++]);
    }
    assert_int_equal(w, program->cut.n_work);
}

/* What other programs did before: dispatches that wrote all that this one has, for programs share arenas. */
static inline void add_past(const tuff_vk_program *program)
{
    const tuff_plan *plan = program->base.plan;
    event *e = &executed[n_executed++];
    *e =
        (event){.kind = ACCESSES, .stage = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, .step = -1, .is_past = true};
    for (size_t i = 0; i < plan->n_blocks; i++) {
        const tuff_vk_memory *memory = program->blocks[i];
        add_access(e, memory->block->buffer, memory->offset, memory->offset + memory->bytes, true);
    }
    for (size_t i = 0; i < plan->n_variables; i++) {
        const tuff_vk_memory *memory = program->variables[i];
        add_access(e, memory->block->buffer, memory->offset, memory->offset + memory->bytes, true);
    }
}

/* The host reads the results and timestamps after a run, and variables that were written. */
static inline void add_host(const tuff_vk_program *program)
{
    const tuff_plan *plan = program->base.plan;
    event *e = &executed[n_executed++];
    *e = (event){.kind = ACCESSES, .stage = VK_PIPELINE_STAGE_HOST_BIT, .step = -1};
    const tuff_vk_memory *results = &program->cut.results;
    uint64_t at = results->offset + program->last * program->cut.result_stride;
    if (plan->output_bytes) add_access(e, results->block->buffer, at, at + plan->output_bytes, false);
    uint64_t marks = at + (plan->output_bytes + 7) / 8 * 8;
    if (program->cut.queries)
        add_access(e, results->block->buffer, marks, marks + 8 * (uint64_t)program->cut.n_marks, false);
    for (size_t i = 0; i < plan->n_variables; i++) {
        const tuff_vk_memory *memory = program->variables[i];
        if (plan->variables[i].written)
            add_access(e, memory->block->buffer, memory->offset, memory->offset + plan->variables[i].bytes,
                       false);
    }
}

#endif
#endif
