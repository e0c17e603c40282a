/* Cutting: steps into segments, the units that submits are made of, and long dispatches into parts. */
#include "backend/vulkan/program.h"
#include "base/memory.h"
#include "base/status.h"

enum { SEGMENT_STEPS = 32, SEGMENTS_PER_SUBMIT = 4, PARTS_PER_SUBMIT = 2 };

uint32_t tuff_vk_split_axis(const tuff_dispatch *dispatch)
{
    const uint32_t *groups = dispatch->groups;
    if (groups[1] == 1 && groups[2] == 1) return 0;
    return groups[1] > groups[2] ? 1 : 2;
}

/* A dispatch that is guessed to take more than half of a submit's time is made of parts that do not. */
static uint32_t parts_of(const tuff_vk_program *program, const tuff_dispatch *dispatch, double ns)
{
    double most = (double)program->device->params.submit_ns / PARTS_PER_SUBMIT;
    uint32_t groups = dispatch->groups[tuff_vk_split_axis(dispatch)];
    if (!(ns > most)) return 1;
    return ns < most * groups ? (uint32_t)(ns / most) + 1 : groups;
}

/* Fills `parts`, by dispatch in the plan's order. */
static tuff_status split(tuff_vk_program *program, double pace, size_t *out_work)
{
    const tuff_plan *plan = program->base.plan;
    size_t n = 0;
    for (size_t s = 0; s < plan->n_steps; s++)
        n += plan->steps[s].launch ? plan->steps[s].launch->n : 0;
    program->parts = tuff_arena_array(&program->arena, n, sizeof *program->parts);
    if (!program->parts) return tuff_fail_memory("a program");
    n = *out_work = 0;
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_launch *launch = plan->steps[s].launch;
        if (!launch) continue;
        double ns = pace * tuff_vk_estimate_ns(program->device, &plan->steps[s]) / (double)launch->n;
        for (size_t i = 0; i < launch->n; i++, n++) {
            program->parts[n] = parts_of(program, launch->dispatches[i], ns);
            *out_work += program->parts[n];
        }
    }
    return TUFF_OK;
}

/* A segment ends when it is long enough. */
static bool is_long(const tuff_vk_program *program, const tuff_vk_segment *segment, double pace)
{
    if (program->device->params.permute) return false; /* the longer, the more there is to permute */
    double most = (double)program->device->params.submit_ns / SEGMENTS_PER_SUBMIT;
    return segment->n_steps >= SEGMENT_STEPS || segment->estimate_ns * pace >= most;
}

/* `s`: the step that it begins with, or within. */
static tuff_vk_segment *begin_segment(tuff_vk_program *program, size_t s)
{
    tuff_vk_segment *segment = &program->segments[program->n_segments++];
    segment->first_step = segment->n_done = (uint32_t)s;
    segment->first_work = (uint32_t)program->n_work;
    return segment;
}

static tuff_status cut(tuff_vk_program *program, double pace, uint64_t *out_transfer_bytes)
{
    const tuff_plan *plan = program->base.plan;
    const uint32_t *parts = program->parts;
    tuff_vk_segment *segment = NULL;
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_plan_step *step = &plan->steps[s];
        if (!step->launch) { /* by itself */
            segment = begin_segment(program, s);
            segment->n_done++;
            TUFF_TRY(tuff_vk_host_step_create(program, step, out_transfer_bytes, &segment->host));
            continue;
        }
        double ns = tuff_vk_estimate_ns(program->device, step) / (double)step->launch->n;
        for (size_t i = 0; i < step->launch->n; i++, parts++)
            for (uint32_t k = 0; k < *parts; k++) {
                bool first = i == 0 && k == 0;
                if (!segment || segment->host || ((first || *parts > 1) && is_long(program, segment, pace)))
                    segment = begin_segment(program, s);
                segment->n_steps += first;
                segment->n_work++;
                program->n_work++;
                segment->estimate_ns += ns / *parts;
                if (k == 0) segment->barriers += i == 0 ? step->barrier : step->launch->dispatches[i]->after;
            }
        segment->n_done = (uint32_t)s + 1;
    }
    return TUFF_OK;
}

static tuff_status make_commands(tuff_vk_program *program)
{
    size_t n = 2 * TUFF_VK_SLOTS;
    for (size_t i = 0; i < program->n_segments; i++)
        n += program->segments[i].host ? 2 : 1;
    program->commands = tuff_arena_array(&program->arena, n, sizeof *program->commands);
    program->batch = tuff_arena_array(&program->arena, n, sizeof *program->batch);
    if (!program->commands || !program->batch) return tuff_fail_memory("a program's command buffers");
    TUFF_TRY(tuff_vk_command_pool(program->device, &program->pool, (uint32_t)n, program->commands));
    VkCommandBuffer *next = program->commands;
    for (int i = 0; i < TUFF_VK_SLOTS; i++) {
        program->ring[i].begin = *next++;
        program->ring[i].end = *next++;
    }
    for (size_t i = 0; i < program->n_segments; i++) {
        program->segments[i].commands = *next++;
        if (program->segments[i].host) program->segments[i].back = *next++;
    }
    return TUFF_OK;
}

/* Timestamps: one at the beginning and one after each segment, or, profiling, after each step. */
static tuff_status make_marks(tuff_vk_program *program)
{
    tuff_vk_device *device = program->device;
    for (size_t i = 0; i < program->n_segments; i++) {
        tuff_vk_segment *segment = &program->segments[i];
        segment->mark = program->times ? segment->n_done : (uint32_t)i + 1;
    }
    if (!device->probe.timestamp_bits) return TUFF_OK;
    program->n_marks = 1 + (uint32_t)(program->times ? program->base.plan->n_steps : program->n_segments);
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = program->n_marks};
    VkResult result = device->vk.vkCreateQueryPool(device->handle, &info, NULL, &program->queries);
    if (result != VK_SUCCESS) program->queries = VK_NULL_HANDLE;
    return tuff_vk_check(device, result, "making timestamps");
}

tuff_status tuff_vk_make_segments(tuff_vk_program *program)
{
    const tuff_plan *plan = program->base.plan;
    uint64_t transfer_bytes = 0;
    double pace = tuff_vk_pace(program->device);
    size_t n_work;
    TUFF_TRY(split(program, pace, &n_work));
    program->segments = tuff_arena_array(&program->arena, plan->n_steps + n_work, sizeof *program->segments);
    if (!program->segments) return tuff_fail_memory("a program");
    TUFF_TRY(cut(program, pace, &transfer_bytes));
    if (transfer_bytes) {
        TUFF_TRY(tuff_vk_memory_create(program->device, TUFF_VK_READBACK, transfer_bytes,
                                       "a plan's host steps", &program->transfer));
        for (size_t i = 0; i < program->n_segments; i++)
            if (program->segments[i].host)
                tuff_vk_host_step_bind(program, &plan->steps[program->segments[i].first_step],
                                       program->segments[i].host);
    }
    TUFF_TRY(make_commands(program));
    if (program->device->params.permute) {
        program->order = tuff_arena_array(&program->arena, program->n_work, sizeof *program->order);
        if (!program->order) return tuff_fail_memory("a program");
    }
    return make_marks(program);
}
