/* Cutting: long tasks into parts, steps into segments, the units that submits are made of. */
#include <string.h>

#include "backend/vulkan/program.h"
#include "base/memory.h"
#include "base/status.h"

enum { SEGMENT_STEPS = 32, SEGMENTS_PER_SUBMIT = 4, PARTS_PER_SUBMIT = 2 };

/* Of a segment's time: so much is no hiccup of a busy machine. */
enum { TOO_MANY_SUBMITS = 2 };

uint32_t tuff_vk_split_axis(const tuff_dispatch *dispatch)
{
    const uint32_t *groups = dispatch->groups;
    if (groups[1] == 1 && groups[2] == 1) return 0;
    return groups[1] > groups[2] ? 1 : 2;
}

/* A task that is expected to take more than half of a submit's time is made of parts that do not. */
static uint32_t parts_of(const tuff_vk_program *program, const tuff_vk_task *task)
{
    double most = (double)program->device->params.submit_ns / PARTS_PER_SUBMIT, ns = task->expected_ns;
    uint32_t groups = task->dispatch->groups[tuff_vk_split_axis(task->dispatch)];
    if (!(ns > most)) return 1;
    return ns < most * groups ? (uint32_t)(ns / most) + 1 : groups;
}

tuff_vk_work tuff_vk_part(const tuff_vk_task *task, uint32_t index, uint64_t from, uint64_t to)
{
    tuff_vk_work work = {
        .dispatch = task->dispatch, .task = index, .step = task->step, .pipeline = task->pipeline};
    uint32_t axis = tuff_vk_split_axis(task->dispatch);
    memcpy(work.groups, task->dispatch->groups, sizeof work.groups);
    work.base[axis] = (uint32_t)from;
    work.groups[axis] = (uint32_t)(to - from);
    return work;
}

/* A segment ends when it is long enough. */
static bool is_long(const tuff_vk_program *program, const tuff_vk_segment *segment)
{
    if (program->device->params.permute) return false; /* the longer, the more there is to permute */
    double most = (double)program->device->params.submit_ns / SEGMENTS_PER_SUBMIT;
    return segment->n_steps >= SEGMENT_STEPS || segment->expected_ns >= most;
}

/* `s`: the step that it begins with, or within. */
static tuff_vk_segment *begin_segment(tuff_vk_cut *cut, size_t s)
{
    tuff_vk_segment *segment = &cut->segments[cut->n_segments++];
    segment->first_step = segment->n_done = (uint32_t)s;
    segment->first_work = (uint32_t)cut->n_work;
    return segment;
}

static void add_part(tuff_vk_program *program, tuff_vk_segment *segment, uint32_t t, uint32_t k)
{
    const tuff_vk_task *task = &program->tasks[t];
    uint64_t n = task->dispatch->groups[tuff_vk_split_axis(task->dispatch)], parts = program->cut.parts[t];
    tuff_vk_work *work = &program->cut.work[program->cut.n_work++];
    *work = tuff_vk_part(task, t, n * k / parts, n * (k + 1) / parts);
    work->barrier = k == 0 && task->barrier;
    segment->n_work++;
    segment->barriers += work->barrier;
    segment->guess_ns += task->guess_ns / (double)parts;
    segment->expected_ns += task->expected_ns / (double)parts;
}

static void cut_steps(tuff_vk_program *program)
{
    tuff_vk_cut *cut = &program->cut;
    const tuff_plan *plan = program->base.plan;
    tuff_vk_segment *segment = NULL;
    for (uint32_t s = 0, t = 0; s < plan->n_steps; s++) {
        const tuff_plan_step *step = &plan->steps[s];
        if (!step->launch) { /* by itself */
            segment = begin_segment(cut, s);
            segment->host = program->hosts[s];
        }
        for (size_t i = 0; step->launch && i < step->launch->n; i++, t++)
            for (uint32_t k = 0; k < cut->parts[t]; k++) {
                bool first = i == 0 && k == 0;
                if (!segment || segment->host || ((first || cut->parts[t] > 1) && is_long(program, segment)))
                    segment = begin_segment(cut, s);
                segment->n_steps += first;
                add_part(program, segment, t, k);
            }
        segment->n_done = s + 1;
    }
}

static tuff_status cut_tasks(tuff_vk_program *program)
{
    tuff_vk_cut *cut = &program->cut;
    size_t n_work = 0;
    cut->parts = tuff_arena_array(&cut->arena, program->n_tasks, sizeof *cut->parts);
    if (!cut->parts) return tuff_fail_memory("a program");
    for (size_t t = 0; t < program->n_tasks; t++)
        n_work += cut->parts[t] = parts_of(program, &program->tasks[t]);
    cut->work = tuff_arena_array(&cut->arena, n_work, sizeof *cut->work);
    cut->segments =
        tuff_arena_array(&cut->arena, program->base.plan->n_steps + n_work, sizeof *cut->segments);
    if (!cut->work || !cut->segments) return tuff_fail_memory("a program");
    cut_steps(program);
    if (!program->device->params.permute) return TUFF_OK;
    cut->order = tuff_arena_array(&cut->arena, cut->n_work, sizeof *cut->order);
    return cut->order ? TUFF_OK : tuff_fail_memory("a program");
}

static tuff_status make_commands(tuff_vk_program *program)
{
    tuff_vk_cut *cut = &program->cut;
    size_t n = 2 * TUFF_VK_SLOTS;
    for (size_t i = 0; i < cut->n_segments; i++)
        n += cut->segments[i].host ? 2 : 1;
    cut->commands = tuff_arena_array(&cut->arena, n, sizeof *cut->commands);
    cut->batch = tuff_arena_array(&cut->arena, n, sizeof *cut->batch);
    if (!cut->commands || !cut->batch) return tuff_fail_memory("a program's command buffers");
    TUFF_TRY(tuff_vk_command_pool(program->device, &cut->pool, (uint32_t)n, cut->commands));
    VkCommandBuffer *next = cut->commands;
    for (int i = 0; i < TUFF_VK_SLOTS; i++) {
        cut->begin[i] = *next++;
        cut->end[i] = *next++;
    }
    for (size_t i = 0; i < cut->n_segments; i++) {
        cut->segments[i].commands = *next++;
        if (cut->segments[i].host) cut->segments[i].back = *next++;
    }
    return TUFF_OK;
}

/* Timestamps: one at the beginning and one after each segment, or, profiling, after each step. */
static tuff_status make_marks(tuff_vk_program *program)
{
    tuff_vk_cut *cut = &program->cut;
    tuff_vk_device *device = program->device;
    for (size_t i = 0; i < cut->n_segments; i++) {
        tuff_vk_segment *segment = &cut->segments[i];
        segment->mark = program->times ? segment->n_done : (uint32_t)i + 1;
    }
    if (!device->probe.timestamp_bits) return TUFF_OK;
    cut->n_marks = 1 + (uint32_t)(program->times ? program->base.plan->n_steps : cut->n_segments);
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = cut->n_marks};
    VkResult result = device->vk.vkCreateQueryPool(device->handle, &info, NULL, &cut->queries);
    if (result != VK_SUCCESS) cut->queries = VK_NULL_HANDLE;
    return tuff_vk_check(device, result, "making timestamps");
}

static tuff_status make_results(tuff_vk_program *program)
{
    tuff_vk_cut *cut = &program->cut;
    uint64_t bytes = (program->base.plan->output_bytes + 7) / 8 * 8 + (uint64_t)cut->n_marks * 8;
    cut->result_stride = (bytes + 255) / 256 * 256;
    TUFF_TRY(tuff_vk_memory_create(program->device, TUFF_VK_READBACK, TUFF_VK_SLOTS * cut->result_stride,
                                   "a plan's outputs", &cut->results));
    memset(tuff_vk_mapped(&cut->results), 0, cut->results.bytes);
    return TUFF_OK;
}

static tuff_status make(tuff_vk_program *program)
{
    TUFF_TRY(cut_tasks(program));
    TUFF_TRY(make_commands(program));
    TUFF_TRY(make_marks(program));
    TUFF_TRY(make_results(program));
    return tuff_vk_record(program);
}

tuff_status tuff_vk_cut_program(tuff_vk_program *program)
{
    tuff_vk_cut before = program->cut;
    program->cut = (tuff_vk_cut){0};
    tuff_status status = make(program);
    tuff_vk_cut unused = status == TUFF_OK ? before : program->cut;
    if (status != TUFF_OK) program->cut = before;
    tuff_vk_cut_destroy(program->device, &unused);
    return status;
}

void tuff_vk_cut_destroy(tuff_vk_device *device, tuff_vk_cut *cut)
{
    if (cut->pool) device->vk.vkDestroyCommandPool(device->handle, cut->pool, NULL);
    if (cut->queries) device->vk.vkDestroyQueryPool(device->handle, cut->queries, NULL);
    tuff_vk_memory_destroy(device, &cut->results);
    tuff_arena_free(&cut->arena);
    *cut = (tuff_vk_cut){0};
}

/* ---- cutting anew ---- */

bool tuff_vk_is_too_long(const tuff_vk_program *program, const tuff_vk_segment *segment)
{
    const tuff_vk_cut *cut = &program->cut;
    if (segment->host || program->device->params.permute) return false;
    if (!(segment->measured_ns > TOO_MANY_SUBMITS * (double)program->device->params.submit_ns)) return false;
    if (segment->n_work > 1) return true;
    const tuff_vk_work *work = &cut->work[segment->first_work];
    return work->groups[tuff_vk_split_axis(work->dispatch)] > 1;
}

void tuff_vk_learn_tasks(tuff_vk_program *program)
{
    const tuff_vk_cut *cut = &program->cut;
    for (size_t t = 0; t < program->n_tasks; t++)
        program->tasks[t].learned_ns = 0;
    for (size_t i = 0; i < cut->n_segments; i++) {
        const tuff_vk_segment *segment = &cut->segments[i];
        double expected = 0;
        for (uint32_t w = 0; w < segment->n_work; w++) {
            uint32_t t = cut->work[segment->first_work + w].task;
            expected += program->tasks[t].expected_ns / (double)cut->parts[t];
        }
        bool known = segment->measured_ns > 0 && expected > 0;
        double off = known ? segment->measured_ns / expected : 1;
        for (uint32_t w = 0; w < segment->n_work; w++) {
            uint32_t t = cut->work[segment->first_work + w].task;
            program->tasks[t].learned_ns += off * program->tasks[t].expected_ns / (double)cut->parts[t];
        }
    }
    for (size_t t = 0; t < program->n_tasks; t++) {
        tuff_vk_task *task = &program->tasks[t];
        if (!task->listed || task->learned_ns > task->expected_ns) task->expected_ns = task->learned_ns;
    }
}
