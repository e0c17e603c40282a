/* First runs: what was never measured on this device is run piece by piece, each awaited and timed, so that
 * no guess can keep a device longer than its driver lets it be kept. */
#include "backend/vulkan/program.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/status.h"

/* Of a submit's time: a first piece, as far as it can be guessed; what pieces grow to. */
enum { FIRST_OF_SUBMIT = 1000, PIECES_PER_SUBMIT = 2 };

/* A kernel that was measured on something is not known on more than so many times as much. */
enum { REACH = 8 };

/* And what it is known to take too long for is gone through with care. */
static bool is_known(const tuff_vk_device *device, const tuff_vk_speed *speed, double guess_ns)
{
    return speed->measured > 1 && guess_ns <= REACH * speed->most_ns &&
           guess_ns * speed->pace <= (double)device->params.submit_ns / PIECES_PER_SUBMIT;
}

bool tuff_vk_must_try(tuff_vk_program *program, const tuff_vk_segment *segment)
{
    if (segment->host || segment->tried || segment->measured_ns > 0) return false;
    if (program->device->params.permute) return false; /* whose order is another each time */
    for (uint32_t w = 0; w < segment->n_work; w++) {
        uint32_t t = program->cut.work[segment->first_work + w].task;
        const tuff_vk_task *task = &program->tasks[t];
        tuff_vk_speed speed = tuff_vk_speed_of(program->device, task->kernel);
        if (!is_known(program->device, &speed, task->guess_ns / (double)program->cut.parts[t])) return true;
    }
    return false;
}

static tuff_status prepare(tuff_vk_device *device, tuff_vk_trial *trial)
{
    if (!trial->pool) TUFF_TRY(tuff_vk_command_pool(device, &trial->pool, 1, &trial->commands));
    if (trial->queries || !device->probe.timestamp_bits) return TUFF_OK;
    VkQueryPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = 2};
    VkResult result = device->vk.vkCreateQueryPool(device->handle, &info, NULL, &trial->queries);
    if (result != VK_SUCCESS) trial->queries = VK_NULL_HANDLE;
    return tuff_vk_check(device, result, "making timestamps");
}

void tuff_vk_trial_destroy(tuff_vk_device *device, tuff_vk_trial *trial)
{
    if (trial->pool) device->vk.vkDestroyCommandPool(device->handle, trial->pool, NULL);
    if (trial->queries) device->vk.vkDestroyQueryPool(device->handle, trial->queries, NULL);
    *trial = (tuff_vk_trial){0};
}

/* A piece of a task's grid, and whether the program's timestamps follow it. */
typedef struct piece {
    tuff_vk_work work;
    bool has_mark;
    uint32_t mark;
} piece;

static tuff_status record(const tuff_vk_program *program, const tuff_vk_trial *trial, const piece *p)
{
    tuff_vk_device *device = program->device;
    const struct VolkDeviceTable *vk = &device->vk;
    const VkPipelineStageFlags compute = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    VkPipeline bound = VK_NULL_HANDLE;
    TUFF_TRY(tuff_vk_begin_commands(device, trial->commands, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT));
    if (trial->queries) vk->vkCmdResetQueryPool(trial->commands, trial->queries, 0, 2);
    if (p->work.barrier) tuff_vk_barrier(device, trial->commands, compute, compute);
    if (trial->queries)
        vk->vkCmdWriteTimestamp(trial->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, trial->queries, 0);
    tuff_vk_record_work(program, trial->commands, &p->work, &bound);
    if (trial->queries)
        vk->vkCmdWriteTimestamp(trial->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, trial->queries, 1);
    if (p->has_mark) tuff_vk_record_mark(program, trial->commands, p->mark);
    return tuff_vk_end_commands(device, trial->commands);
}

/* By the host's clock where the device has none. */
static tuff_status run_piece(const tuff_vk_program *program, tuff_vk_slot *slot, const tuff_vk_trial *trial,
                             const piece *p, double *out_ns)
{
    tuff_vk_device *device = program->device;
    uint64_t ticks[2];
    TUFF_TRY(record(program, trial, p));
    if (!trial->queries) TUFF_TRY(tuff_vk_wait(device, slot->value));
    uint64_t began = tuff_now_ns();
    TUFF_TRY(tuff_vk_submit(device, &trial->commands, 1, 1, p->work.barrier, &slot->value));
    TUFF_TRY(tuff_vk_wait(device, slot->value));
    *out_ns = (double)(tuff_now_ns() - began);
    if (!trial->queries) return TUFF_OK;
    VkResult result =
        device->vk.vkGetQueryPoolResults(device->handle, trial->queries, 0, 2, sizeof ticks, ticks, 8,
                                         VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    *out_ns = tuff_vk_ticks_ns(device, ticks[0], ticks[1]);
    return tuff_vk_check(device, result, "reading timestamps");
}

/* How much of a grid at first; `guess_ns`: for one. */
static double first_count(tuff_vk_device *device, const tuff_vk_task *task, double guess_ns)
{
    double submit = (double)device->params.submit_ns;
    tuff_vk_speed speed = tuff_vk_speed_of(device, task->kernel);
    if (speed.measured < 2) return submit / FIRST_OF_SUBMIT / (guess_ns * tuff_vk_pace(device));
    double fits = submit / PIECES_PER_SUBMIT / (guess_ns * speed.pace),
           reach = REACH * speed.most_ns / guess_ns;
    return fits < reach ? fits : reach;
}

static uint64_t whole(double count, uint64_t most)
{
    if (!(count >= 1)) return 1;
    return count < (double)most ? (uint64_t)count : most;
}

/* What the pieces took that count: a kernel's first one on a device may have been compiled in its time. */
typedef struct tally {
    double ns, guess_ns;
    uint64_t groups;
} tally;

/* Part `from` to `to` of a task's grid; `last`: with the segment's timestamp, or, profiling, its step's. */
static tuff_status try_task(tuff_vk_program *program, tuff_vk_slot *slot, const tuff_vk_trial *trial,
                            const tuff_vk_work *first, uint64_t to, const piece *last, tally *out)
{
    tuff_vk_device *device = program->device;
    const tuff_vk_task *task = &program->tasks[first->task];
    uint32_t axis = tuff_vk_split_axis(task->dispatch);
    uint64_t at = first->base[axis];
    double guess_ns = task->guess_ns / task->dispatch->groups[axis], most = (double)device->params.submit_ns;
    uint64_t count = whole(first_count(device, task, guess_ns), to - at);
    *out = (tally){0};
    for (uint64_t from = at; at < to;) {
        piece p = {.work = tuff_vk_part(task, first->task, at, at + count)};
        p.work.barrier = at == from && first->barrier;
        p.has_mark = last->has_mark && at + count == to;
        p.mark = last->mark;
        double ns, guess = guess_ns * (double)count, pace = tuff_vk_pace(device);
        TUFF_TRY(tuff_vk_go_on(program, slot, task->step + (at > 0)));
        TUFF_TRY(run_piece(program, slot, trial, &p, &ns));
        bool counts = tuff_vk_speed_of(device, task->kernel).measured > 0;
        tuff_vk_measured(device, task->kernel, guess, task->listed && ns < guess * pace ? guess * pace : ns);
        if (counts) {
            out->ns += ns;
            out->guess_ns += guess;
            out->groups += count;
        }
        at += count;
        double fits = ns > 0 ? most / PIECES_PER_SUBMIT / ns * (double)count : (double)to,
               reach = REACH * (double)count;
        if (at < to) count = whole(fits < reach ? fits : reach, to - at);
    }
    return TUFF_OK;
}

/* Of the work that follows: is it of another task, of another step? */
static bool ends_task(const tuff_vk_cut *cut, uint32_t w)
{
    return w + 1 == cut->n_work || cut->work[w + 1].task != cut->work[w].task;
}
static bool ends_step(const tuff_vk_cut *cut, uint32_t w)
{
    return w + 1 == cut->n_work || cut->work[w + 1].step != cut->work[w].step;
}

/* A task's time from that of its pieces; what its lists made short this time is not expected to stay so. */
static void learn(tuff_vk_task *task, double ns_per_group)
{
    double ns = ns_per_group * task->dispatch->groups[tuff_vk_split_axis(task->dispatch)];
    if (!task->listed || ns > task->expected_ns) task->expected_ns = ns;
}

tuff_status tuff_vk_try_segment(tuff_vk_program *program, tuff_vk_segment *segment, tuff_vk_slot *slot,
                                tuff_vk_trial *trial)
{
    const tuff_vk_cut *cut = &program->cut;
    double total_ns = 0;
    bool whole_known = true;
    TUFF_TRY(prepare(program->device, trial));
    segment->tried = slot->tried = true;
    uint32_t end = segment->first_work + segment->n_work;
    for (uint32_t w = segment->first_work, next; w < end; w = next) {
        for (next = w + 1; next < end && !ends_task(cut, next - 1);)
            next++;
        const tuff_vk_work *first = &cut->work[w], *last = &cut->work[next - 1];
        uint32_t axis = tuff_vk_split_axis(first->dispatch);
        uint64_t to = (uint64_t)last->base[axis] + last->groups[axis];
        piece mark = {.has_mark = program->times ? ends_step(cut, next - 1) : next == end,
                      .mark = program->times ? last->step + 1 : segment->mark};
        tally seen;
        TUFF_TRY(try_task(program, slot, trial, first, to, &mark, &seen));
        whole_known = whole_known && seen.groups > 0;
        if (!seen.groups) continue;
        double ns_per_group = seen.ns / (double)seen.groups;
        total_ns += ns_per_group * (double)(to - first->base[axis]);
        slot->tried_ns += seen.ns;
        slot->tried_guess_ns += seen.guess_ns;
        learn(&program->tasks[first->task], ns_per_group);
    }
    if (whole_known) segment->measured_ns = total_ns;
    program->too_long = program->too_long || tuff_vk_is_too_long(program, segment);
    return TUFF_OK;
}
