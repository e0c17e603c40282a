#include "backend/cpu/program.h"

#include <string.h>

#include "base/fp.h"
#include "base/os.h"

typedef struct cpu_step {
    const void **in;
    void **out;
    void *scratch;
} cpu_step;

typedef struct cpu_program {
    tuff_backend_program base;
    tuff_arena arena; /* the pointer tables below */
    cpu_step *steps;
    const void **outputs; /* where each output lies: in the arena, or in a variable updated in place */
    void **blocks;        /* arena blocks */
    bool shares_blocks;   /* they belong to somebody else */
    void *slot, *results;
    tuff_step_time *times;
    uint64_t runs; /* begun */
} cpu_program;

static void *resolve(const cpu_program *program, tuff_backend_buffer *const *variables,
                     const tuff_location *at)
{
    switch (at->kind) {
    case TUFF_MEMORY_ARENA:
        return (char *)program->blocks[at->index] + at->offset;
    case TUFF_MEMORY_VARIABLE:
        return (char *)tuff_cpu_buffer_memory(variables[at->index]) + at->offset;
    case TUFF_MEMORY_INPUT:
        return (char *)program->slot + at->offset;
    case TUFF_MEMORY_NONE:
        break;
    }
    return NULL;
}

static tuff_status resolve_steps(cpu_program *program, tuff_backend_buffer *const *variables)
{
    const tuff_plan *plan = program->base.plan;
    program->steps = tuff_arena_array(&program->arena, plan->n_steps + 1, sizeof *program->steps);
    if (!program->steps) return tuff_fail_memory("a program");
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_plan_step *from = &plan->steps[s];
        cpu_step *to = &program->steps[s];
        to->in = tuff_arena_array(&program->arena, (size_t)from->node->n_in + 1, sizeof *to->in);
        to->out = tuff_arena_array(&program->arena, (size_t)from->node->n_out + 1, sizeof *to->out);
        if (!to->in || !to->out) return tuff_fail_memory("a program");
        for (int i = 0; i < from->node->n_in; i++)
            to->in[i] = resolve(program, variables, &from->in[i]);
        for (int i = 0; i < from->node->n_out; i++)
            to->out[i] = resolve(program, variables, &from->out[i]);
        to->scratch = resolve(program, variables, &from->scratch);
    }
    program->outputs = tuff_arena_array(&program->arena, plan->n_outputs + 1, sizeof *program->outputs);
    if (!program->outputs) return tuff_fail_memory("a program");
    for (size_t i = 0; i < plan->n_outputs; i++)
        program->outputs[i] = resolve(program, variables, &plan->outputs[i].location);
    return TUFF_OK;
}

static tuff_status build(cpu_program *program, tuff_cpu_device *device, tuff_backend_buffer *const *variables,
                         tuff_backend_buffer *const *blocks)
{
    const tuff_plan *plan = program->base.plan;
    program->blocks = tuff_arena_array(&program->arena, plan->n_blocks + 1, sizeof *program->blocks);
    if (!program->blocks) return tuff_fail_memory("a program");
    program->shares_blocks = blocks != NULL;
    for (size_t i = 0; i < plan->n_blocks; i++) {
        if (blocks)
            program->blocks[i] = tuff_cpu_buffer_memory(blocks[i]);
        else
            TUFF_TRY(tuff_cpu_memory(device, plan->blocks[i], "the arena of a program", &program->blocks[i]));
    }
    TUFF_TRY(tuff_cpu_memory(device, plan->input_bytes, "the step buffer", &program->slot));
    TUFF_TRY(tuff_cpu_memory(device, plan->output_bytes, "the results of a program", &program->results));
    memset(program->slot, 0, (size_t)plan->input_bytes);
    if (device->profile) {
        program->times = tuff_arena_array(&program->arena, plan->n_steps + 1, sizeof *program->times);
        if (!program->times) return tuff_fail_memory("a profile");
    }
    return resolve_steps(program, variables);
}

tuff_status tuff_cpu_program_create(tuff_backend_device *device, const tuff_plan *plan,
                                    tuff_backend_buffer *const *variables, tuff_backend_buffer *const *blocks,
                                    tuff_backend_program **out)
{
    *out = NULL;
    cpu_program *program = tuff_alloc(sizeof *program);
    if (!program) return tuff_fail_memory("a program");
    program->base = (tuff_backend_program){.backend = &tuff_backend_cpu, .plan = plan};
    tuff_backend_program *base = &program->base;
    tuff_status status = build(program, (tuff_cpu_device *)device, variables, blocks);
    if (status != TUFF_OK) {
        tuff_cpu_program_destroy(device, &base);
        return status;
    }
    *out = base;
    return TUFF_OK;
}

void tuff_cpu_program_destroy(tuff_backend_device *device, tuff_backend_program **base)
{
    cpu_program *program = (cpu_program *)*base;
    if (!program) return;
    tuff_cpu_device *cpu = (tuff_cpu_device *)device;
    const tuff_plan *plan = program->base.plan;
    for (size_t i = 0; program->blocks && !program->shares_blocks && i < plan->n_blocks; i++)
        tuff_cpu_memory_free(cpu, plan->blocks[i], &program->blocks[i]);
    tuff_cpu_memory_free(cpu, plan->input_bytes, &program->slot);
    tuff_cpu_memory_free(cpu, plan->output_bytes, &program->results);
    tuff_arena_free(&program->arena);
    tuff_free(program);
    *base = NULL;
}

tuff_status tuff_cpu_program_slot(tuff_backend_device *device, tuff_backend_program *program, void **out_slot)
{
    (void)device;
    *out_slot = ((cpu_program *)program)->slot;
    return TUFF_OK;
}

/* The watch's callback is the program's, and has its floating-point environment. */
static tuff_status tell(const tuff_backend_program *base, size_t step, tuff_fp *fp)
{
    if (step > base->last_cancel || !tuff_watched_due(base->work)) return TUFF_OK;
    tuff_fp_give_back(fp);
    tuff_status status = tuff_watched_within(base->work, step, base->plan->n_steps);
    tuff_fp_own(fp);
    return status;
}

static tuff_status run_steps(tuff_cpu_device *cpu, cpu_program *program, tuff_fp *fp)
{
    const tuff_backend_program *base = &program->base;
    const tuff_plan *plan = base->plan;
    if (program->runs++ == 1 && program->times) /* the first may have compiled: it tells nothing of others */
        memset(program->times, 0, plan->n_steps * sizeof *program->times);
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_plan_step *step = &plan->steps[s];
        const cpu_step *at = &program->steps[s];
        TUFF_TRY(tell(base, s, fp));
        uint64_t begin = program->times ? tuff_now_ns() : 0;
        tuff_host_run(cpu->host, step, at->in, at->out, at->scratch);
        if (!program->times) continue;
        tuff_step_time *time = &program->times[s];
        time->last_begin_ns = begin;
        time->last_end_ns = tuff_now_ns();
        time->total_ns += time->last_end_ns - begin;
        time->runs++;
    }
    return TUFF_OK;
}

tuff_status tuff_cpu_program_run(tuff_backend_device *device, tuff_backend_program *base)
{
    cpu_program *program = (cpu_program *)base;
    tuff_cpu_device *cpu = (tuff_cpu_device *)device;
    const tuff_plan *plan = base->plan;
    tuff_fp fp;
    tuff_fp_own(&fp);
    tuff_status status = run_steps(cpu, program, &fp);
    tuff_fp_give_back(&fp);
    TUFF_TRY(status);
    for (size_t i = 0; i < plan->n_outputs; i++) {
        const tuff_plan_output *output = &plan->outputs[i];
        memcpy((char *)program->results + output->offset, program->outputs[i], (size_t)output->bytes);
    }
    __atomic_fetch_add(&cpu->stats.dispatches, plan->n_steps, __ATOMIC_RELAXED);
    return TUFF_OK;
}

tuff_status tuff_cpu_program_wait(tuff_backend_device *device, tuff_backend_program *program,
                                  const void **out_results)
{
    (void)device;
    *out_results = ((cpu_program *)program)->results;
    return TUFF_OK;
}

const tuff_step_time *tuff_cpu_program_times(tuff_backend_program *program)
{
    return ((cpu_program *)program)->times;
}
