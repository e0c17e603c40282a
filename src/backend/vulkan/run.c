/* Running a program: slots of the ring, submits sized by time. */
#include "backend/vulkan/program.h"
#include "base/status.h"

/* Waits until the next run's slot is free. */
static tuff_status acquire(tuff_vk_program *program)
{
    if (program->acquired) return TUFF_OK;
    tuff_vk_slot *slot = &program->ring[program->current];
    TUFF_TRY(tuff_vk_wait(program->device, slot->value));
    tuff_vk_read_marks(program, slot);
    program->acquired = true;
    return TUFF_OK;
}

tuff_status tuff_vk_program_slot(tuff_backend_device *device, tuff_backend_program *base, void **out)
{
    (void)device;
    tuff_vk_program *program = tuff_vk_program_of(base);
    *out = NULL;
    TUFF_TRY(tuff_vk_alive(program->device));
    TUFF_TRY(acquire(program));
    *out = tuff_vk_mapped(&program->slots) + program->current * program->slot_stride;
    return TUFF_OK;
}

static void add(tuff_vk_program *program, VkCommandBuffer commands)
{
    program->cut.batch[program->cut.n_batch++] = commands;
}

/* The slot is busy from its first submit on, also when a later one fails. */
static tuff_status submit(tuff_vk_program *program, tuff_vk_slot *slot)
{
    tuff_status status = tuff_vk_submit(program->device, program->cut.batch, program->cut.n_batch,
                                        program->batch_dispatches, program->batch_barriers, &slot->value);
    program->cut.n_batch = 0;
    program->batch_dispatches = program->batch_barriers = 0;
    return status;
}

tuff_status tuff_vk_go_on(tuff_vk_program *program, const tuff_vk_slot *slot, size_t begun)
{
    const tuff_backend_program *base = &program->base;
    if (!base->work) return TUFF_OK;
    const uint64_t tenth_ns = 100 * 1000 * 1000, before_last = program->before_last;
    bool reached = before_last == 0;
    program->before_last = slot->value;
    do {
        if (!reached) TUFF_TRY(tuff_vk_wait_some(program->device, before_last, tenth_ns, &reached));
        if (begun <= base->last_cancel) TUFF_TRY(tuff_watched_within(base->work, begun, base->plan->n_steps));
    } while (!reached);
    return TUFF_OK;
}

static tuff_status run_host_step(tuff_vk_program *program, const tuff_vk_segment *segment, tuff_vk_slot *slot)
{
    add(program, segment->commands);
    program->batch_barriers += 2;
    TUFF_TRY(submit(program, slot));
    TUFF_TRY(tuff_vk_wait(program->device, slot->value));
    TUFF_TRY(tuff_vk_host_step_run(program, &program->base.plan->steps[segment->first_step], segment->host));
    add(program, segment->back);
    program->batch_barriers++;
    return TUFF_OK;
}

/* Submits what has been put together, if anything. `begun`: see tuff_vk_go_on. */
static tuff_status flush(tuff_vk_program *program, tuff_vk_slot *slot, size_t begun)
{
    if (!program->cut.n_batch) return TUFF_OK;
    TUFF_TRY(tuff_vk_go_on(program, slot, begun));
    return submit(program, slot);
}

/* What has been measured is joined to submits of the size that is aimed at; what has not goes alone, and a
 * kernel that is new to the device is tried first. */
static tuff_status submit_all(tuff_vk_program *program, tuff_vk_slot *slot, tuff_vk_trial *trial)
{
    double most = (double)program->device->params.submit_ns, filled = 0;
    tuff_vk_cut *cut = &program->cut;
    size_t begun = 0;
    program->before_last = 0;
    cut->n_batch = 0; /* a run that failed may have left some */
    program->batch_dispatches = 0;
    add(program, cut->begin[program->current]);
    program->batch_barriers = program->base.plan->input_bytes ? 2 : 1;
    for (size_t i = 0; i < cut->n_segments; i++) {
        tuff_vk_segment *segment = &cut->segments[i];
        if (segment->host) {
            TUFF_TRY(tuff_vk_go_on(program, slot, begun));
            TUFF_TRY(run_host_step(program, segment, slot));
            begun = segment->n_done;
            filled = 0;
            continue;
        }
        if (tuff_vk_must_try(program, segment)) {
            TUFF_TRY(flush(program, slot, begun));
            TUFF_TRY(tuff_vk_try_segment(program, segment, slot, trial));
            begun = segment->n_done;
            filled = 0;
            continue;
        }
        bool known = segment->measured_ns > 0 || cut->order;
        double ns = segment->measured_ns > 0 ? segment->measured_ns : known ? segment->expected_ns : most;
        if (filled > 0 && (!known || filled + ns > most)) {
            TUFF_TRY(flush(program, slot, begun));
            begun = segment->first_step + 1; /* it may be the rest of a step */
            filled = 0;
        }
        filled += ns;
        add(program, segment->commands);
        program->batch_dispatches += segment->n_work;
        program->batch_barriers += segment->barriers;
    }
    TUFF_TRY(tuff_vk_go_on(program, slot, begun));
    add(program, cut->end[program->current]);
    program->batch_barriers += program->base.plan->n_outputs ? 2 : 1;
    return submit(program, slot);
}

static tuff_status begin_run(tuff_vk_program *program, tuff_vk_slot *slot)
{
    tuff_vk_trial trial = {0};
    slot->tried = false;
    slot->tried_ns = slot->tried_guess_ns = 0;
    tuff_status status = submit_all(program, slot, &trial);
    if (status != TUFF_OK && trial.pool) tuff_vk_drain(program->device);
    tuff_vk_trial_destroy(program->device, &trial);
    return status;
}

/* Segments that take longer than a submit should, such as those of a first run whose guess was wrong, are cut
 * anew. Rare: it waits for the program's runs. */
static tuff_status cut_anew(tuff_vk_program *program)
{
    enum { MOST_RECUTS = 4 };
    if (!program->too_long || program->recuts >= MOST_RECUTS) return TUFF_OK;
    for (int i = 0; i < TUFF_VK_SLOTS; i++) {
        TUFF_TRY(tuff_vk_wait(program->device, program->ring[i].value));
        tuff_vk_read_marks(program, &program->ring[i]);
    }
    tuff_vk_learn_tasks(program);
    TUFF_TRY(tuff_vk_cut_program(program));
    program->recuts++;
    program->too_long = false;
    return TUFF_OK;
}

tuff_status tuff_vk_program_run(tuff_backend_device *device, tuff_backend_program *base)
{
    tuff_vk_program *program = tuff_vk_program_of(base);
    TUFF_TRY(tuff_vk_alive(program->device));
    TUFF_TRY(acquire(program));
    TUFF_TRY(cut_anew(program));
    if (program->cut.order) {
        TUFF_TRY(
            tuff_vk_wait_idle(tuff_vk_device_of(device))); /* its commands are about to be recorded again */
        TUFF_TRY(tuff_vk_record_permuted(program));
    }
    tuff_vk_slot *slot = &program->ring[program->current];
    TUFF_TRY(tuff_vk_memory_flush(program->device, &program->slots, program->current * program->slot_stride,
                                  program->slot_stride));
    program->acquired = false;
    TUFF_TRY(begin_run(program, slot));
    slot->pending = true;
    program->runs++;
    program->last = program->current;
    program->current = (program->current + 1) % TUFF_VK_SLOTS;
    return TUFF_OK;
}

tuff_status tuff_vk_program_wait(tuff_backend_device *device, tuff_backend_program *base,
                                 const void **out_results)
{
    (void)device;
    tuff_vk_program *program = tuff_vk_program_of(base);
    *out_results = NULL;
    if (!program->runs) return tuff_fail(TUFF_INVALID_ARGUMENT, "a program was waited for that never ran");
    tuff_vk_slot *slot = &program->ring[program->last];
    TUFF_TRY(tuff_vk_wait(program->device, slot->value));
    tuff_vk_read_marks(program, slot);
    uint64_t at = program->last * program->cut.result_stride;
    TUFF_TRY(
        tuff_vk_memory_invalidate(program->device, &program->cut.results, at, program->cut.result_stride));
    *out_results = tuff_vk_mapped(&program->cut.results) + at;
    return TUFF_OK;
}
