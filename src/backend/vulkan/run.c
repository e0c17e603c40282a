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
    program->batch[program->n_batch++] = commands;
}

/* The slot is busy from its first submit on, also when a later one fails. */
static tuff_status submit(tuff_vk_program *program, tuff_vk_slot *slot)
{
    tuff_status status = tuff_vk_submit(program->device, program->batch, program->n_batch,
                                        program->batch_dispatches, program->batch_barriers, &slot->value);
    program->n_batch = 0;
    program->batch_dispatches = program->batch_barriers = 0;
    return status;
}

/* Before each submit of a run that may be cancelled: it stays at most two submits ahead of the device, so
 * that what was submitted ends soon. `begun`: no step from here on was submitted. */
static tuff_status go_on(tuff_vk_program *program, const tuff_vk_slot *slot, size_t begun)
{
    const tuff_backend_program *base = &program->base;
    if (!base->cancel) return TUFF_OK;
    uint64_t before_last = program->before_last;
    program->before_last = slot->value;
    if (before_last) TUFF_TRY(tuff_vk_wait(program->device, before_last));
    if (begun > base->last_cancel || !tuff_cancel_requested(base->cancel)) return TUFF_OK;
    return tuff_fail(TUFF_CANCELLED, "cancelled during a run, before step %zu of %zu", begun,
                     base->plan->n_steps);
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

static tuff_status submit_all(tuff_vk_program *program, tuff_vk_slot *slot)
{
    double most = (double)program->device->params.submit_ns, filled = 0;
    double pace = tuff_vk_pace(program->device);
    size_t begun = 0;
    program->before_last = 0;
    program->n_batch = 0; /* a run that failed may have left some */
    program->batch_dispatches = 0;
    add(program, slot->begin);
    program->batch_barriers = program->base.plan->input_bytes ? 2 : 1;
    for (size_t i = 0; i < program->n_segments; i++) {
        const tuff_vk_segment *segment = &program->segments[i];
        if (segment->host) {
            TUFF_TRY(go_on(program, slot, begun));
            TUFF_TRY(run_host_step(program, segment, slot));
            begun = segment->n_done;
            filled = 0;
            continue;
        }
        double ns = segment->measured_ns > 0 ? segment->measured_ns : segment->estimate_ns * pace;
        if (filled > 0 && filled + ns > most) {
            TUFF_TRY(go_on(program, slot, begun));
            TUFF_TRY(submit(program, slot));
            begun = segment->first_step + 1; /* it may be the rest of a step */
            filled = 0;
        }
        filled += ns;
        add(program, segment->commands);
        program->batch_dispatches += segment->n_work;
        program->batch_barriers += segment->barriers;
    }
    TUFF_TRY(go_on(program, slot, begun));
    add(program, slot->end);
    program->batch_barriers += program->base.plan->n_outputs ? 2 : 1;
    return submit(program, slot);
}

tuff_status tuff_vk_program_run(tuff_backend_device *device, tuff_backend_program *base)
{
    tuff_vk_program *program = tuff_vk_program_of(base);
    TUFF_TRY(tuff_vk_alive(program->device));
    TUFF_TRY(acquire(program));
    if (program->order) {
        TUFF_TRY(
            tuff_vk_wait_idle(tuff_vk_device_of(device))); /* its commands are about to be recorded again */
        TUFF_TRY(tuff_vk_record_permuted(program));
    }
    tuff_vk_slot *slot = &program->ring[program->current];
    TUFF_TRY(tuff_vk_memory_flush(program->device, &program->slots, program->current * program->slot_stride,
                                  program->slot_stride));
    program->acquired = false;
    TUFF_TRY(submit_all(program, slot));
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
    uint64_t at = program->last * program->result_stride;
    TUFF_TRY(tuff_vk_memory_invalidate(program->device, &program->results, at, program->result_stride));
    *out_results = tuff_vk_mapped(&program->results) + at;
    return TUFF_OK;
}
