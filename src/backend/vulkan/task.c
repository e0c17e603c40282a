/* Tasks: a plan's dispatches with their pipelines, and its host steps. They stay when a program is cut anew.
 */
#include "backend/vulkan/program.h"
#include "base/memory.h"
#include "base/status.h"

static tuff_status add_task(tuff_vk_program *program, const tuff_plan_step *step, uint32_t s, size_t i)
{
    const tuff_dispatch *d = step->launch->dispatches[i];
    tuff_vk_task *task = &program->tasks[program->n_tasks++];
    *task = (tuff_vk_task){
        .dispatch = d,
        .step = s,
        .barrier = i == 0 ? step->barrier : d->after,
        .listed = step->launch->n_lists > 0,
        .guess_ns = tuff_vk_estimate_ns(program->device, step) / (double)step->launch->n,
    };
    tuff_status status = tuff_vk_pipeline_of(program->device, d, &task->pipeline, &task->kernel);
    if (status != TUFF_OK) return tuff_note(status, "%s", step->op->name);
    task->expected_ns = task->guess_ns * tuff_vk_pace(program->device);
    return TUFF_OK;
}

static tuff_status make_transfer(tuff_vk_program *program, uint64_t bytes)
{
    if (!bytes) return TUFF_OK;
    TUFF_TRY(tuff_vk_memory_create(program->device, TUFF_VK_READBACK, bytes, "a plan's host steps",
                                   &program->transfer));
    for (size_t s = 0; s < program->n_hosts; s++)
        if (program->hosts[s])
            tuff_vk_host_step_bind(program, &program->base.plan->steps[s], program->hosts[s]);
    return TUFF_OK;
}

tuff_status tuff_vk_make_tasks(tuff_vk_program *program)
{
    const tuff_plan *plan = program->base.plan;
    size_t n = 0;
    uint64_t transfer_bytes = 0;
    for (size_t s = 0; s < plan->n_steps; s++)
        n += plan->steps[s].launch ? plan->steps[s].launch->n : 0;
    program->tasks = tuff_arena_array(&program->arena, n, sizeof *program->tasks);
    program->hosts = tuff_arena_array(&program->arena, plan->n_steps, sizeof *program->hosts);
    if (!program->tasks || !program->hosts) return tuff_fail_memory("a program");
    program->n_hosts = plan->n_steps;
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_plan_step *step = &plan->steps[s];
        if (!step->launch)
            TUFF_TRY(tuff_vk_host_step_create(program, step, &transfer_bytes, &program->hosts[s]));
        for (size_t i = 0; step->launch && i < step->launch->n; i++)
            TUFF_TRY(add_task(program, step, (uint32_t)s, i));
    }
    return make_transfer(program, transfer_bytes);
}
