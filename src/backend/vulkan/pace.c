/* How long things take: guesses from costs, corrected by timestamps; profiles. */
#include <string.h>

#include "backend/vulkan/program.h"
#include "base/os.h"
#include "base/status.h"

/* Low guesses of what each kind of device does per nanosecond, and of a dispatch's own cost. */
static const struct {
    double flops, bytes, overhead_ns;
} usual[] = {
    [TUFF_KIND_DISCRETE] = {1000, 100, 5000}, [TUFF_KIND_INTEGRATED] = {100, 15, 10000},
    [TUFF_KIND_VIRTUAL] = {100, 15, 10000},   [TUFF_KIND_CPU] = {4, 4, 20000},
    [TUFF_KIND_SOFTWARE] = {4, 4, 20000},
};

double tuff_vk_estimate_ns(const tuff_vk_device *device, const tuff_plan_step *step)
{
    tuff_device_kind kind = device->probe.description.kind;
    double flops = step->cost.flops / usual[kind].flops, bytes = step->cost.bytes / usual[kind].bytes;
    return (flops > bytes ? flops : bytes) + (double)step->launch->n * usual[kind].overhead_ns;
}

double tuff_vk_pace(tuff_vk_device *device)
{
    tuff_mutex_lock(device->queue_lock);
    double pace = device->pace;
    tuff_mutex_unlock(device->queue_lock);
    return pace;
}

void tuff_vk_correct_pace(tuff_vk_device *device, double measured_ns, double guess_ns)
{
    if (!(measured_ns > 0) || !(guess_ns > 0)) return;
    tuff_mutex_lock(device->queue_lock);
    device->pace = 0.75 * device->pace + 0.25 * (measured_ns / guess_ns);
    tuff_mutex_unlock(device->queue_lock);
}

double tuff_vk_ticks_ns(const tuff_vk_device *device, uint64_t from, uint64_t to)
{
    uint32_t bits = device->probe.timestamp_bits;
    uint64_t mask = bits < 64 ? ((uint64_t)1 << bits) - 1 : UINT64_MAX;
    return (double)((to - from) & mask) * (double)device->probe.properties.limits.timestampPeriod;
}

/* The segments' times, but those of a run that went through them piece by piece. */
static void take_times(tuff_vk_program *program, const tuff_vk_slot *slot, const uint64_t *marks)
{
    tuff_vk_device *device = program->device;
    double measured = slot->tried_ns, guessed = slot->tried_guess_ns;
    uint64_t before = marks[0];
    for (size_t i = 0; i < program->cut.n_segments; i++) {
        tuff_vk_segment *segment = &program->cut.segments[i];
        double ns = tuff_vk_ticks_ns(device, before, marks[segment->mark]);
        before = marks[segment->mark];
        if (segment->host || (slot->tried && segment->tried)) continue;
        segment->measured_ns = segment->measured_ns > 0 ? 0.75 * segment->measured_ns + 0.25 * ns : ns;
        measured += ns;
        guessed += segment->guess_ns;
        program->too_long = program->too_long || tuff_vk_is_too_long(program, segment);
    }
    tuff_vk_correct_pace(device, measured, guessed);
}

static uint64_t host_ns(const tuff_vk_device *device, uint64_t ticks)
{
    double ns = tuff_vk_ticks_ns(device, 0, ticks) + device->clock_offset_ns;
    return ns > 0 ? (uint64_t)ns : 0;
}

static void count_times(tuff_vk_program *program, const uint64_t *marks)
{
    for (size_t s = 0; s < program->base.plan->n_steps; s++) {
        tuff_step_time *time = &program->times[s];
        time->runs++;
        time->total_ns += (uint64_t)tuff_vk_ticks_ns(program->device, marks[s], marks[s + 1]);
        time->last_begin_ns = host_ns(program->device, marks[s]);
        time->last_end_ns = host_ns(program->device, marks[s + 1]);
    }
}

void tuff_vk_read_marks(tuff_vk_program *program, tuff_vk_slot *slot)
{
    if (!slot->pending) return;
    slot->pending = false;
    if (!program->cut.queries) return;
    uint64_t at = (uint64_t)(slot - program->ring) * program->cut.result_stride;
    uint64_t inside = (program->base.plan->output_bytes + 7) / 8 * 8;
    if (tuff_vk_memory_invalidate(program->device, &program->cut.results, at, program->cut.result_stride) !=
        TUFF_OK)
        return;
    const uint64_t *marks =
        (const uint64_t *)(const void *)(tuff_vk_mapped(&program->cut.results) + at + inside);
    /* lavapipe compiles during a first run that nothing was tried in: it says nothing about the next ones */
    if (program->runs_read++ || !program->device->params.permute) take_times(program, slot, marks);
    if (program->times && program->runs_read == 2)
        memset(program->times, 0, program->base.plan->n_steps * sizeof *program->times);
    if (program->times) count_times(program, marks);
}

/* The device's clock against the host's: of a few tries, the one that came back soonest. */
static tuff_status compare_clocks(tuff_vk_device *device, VkCommandBuffer commands, VkQueryPool queries)
{
    TUFF_TRY(tuff_vk_begin_commands(device, commands, 0));
    device->vk.vkCmdResetQueryPool(commands, queries, 0, 1);
    device->vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries, 0);
    TUFF_TRY(tuff_vk_end_commands(device, commands));
    for (int i = 0; i < 8; i++) {
        uint64_t value, ticks;
        TUFF_TRY(tuff_vk_submit(device, &commands, 1, 0, 0, &value));
        TUFF_TRY(tuff_vk_wait(device, value));
        double now = (double)tuff_now_ns();
        VkResult result =
            device->vk.vkGetQueryPoolResults(device->handle, queries, 0, 1, sizeof ticks, &ticks, 8,
                                             VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
        TUFF_TRY(tuff_vk_check(device, result, "setting its clock"));
        double offset = now - tuff_vk_ticks_ns(device, 0, ticks);
        if (i == 0 || offset < device->clock_offset_ns) device->clock_offset_ns = offset;
    }
    return TUFF_OK;
}

tuff_status tuff_vk_clock_calibrate(tuff_vk_device *device)
{
    if (!device->probe.timestamp_bits) return TUFF_OK;
    VkCommandPool pool;
    VkCommandBuffer commands;
    TUFF_TRY(tuff_vk_command_pool(device, &pool, 1, &commands));
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = 1};
    VkQueryPool queries;
    VkResult result = device->vk.vkCreateQueryPool(device->handle, &info, NULL, &queries);
    if (result != VK_SUCCESS) queries = VK_NULL_HANDLE;
    tuff_status status = tuff_vk_check(device, result, "setting its clock");
    if (status == TUFF_OK) status = compare_clocks(device, commands, queries);
    tuff_vk_drain(device);
    device->vk.vkDestroyQueryPool(device->handle, queries, NULL);
    device->vk.vkDestroyCommandPool(device->handle, pool, NULL);
    return status;
}
