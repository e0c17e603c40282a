/* Programs: creation and destruction. */
#include "backend/vulkan/program.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static tuff_status bind_variables(tuff_vk_program *program, tuff_backend_buffer *const *variables)
{
    const tuff_plan *plan = program->base.plan;
    for (size_t i = 0; i < plan->n_variables; i++) {
        const tuff_plan_variable *variable = &plan->variables[i];
        if (!variables[i] || variables[i]->backend != program->base.backend ||
            variables[i]->bytes < variable->bytes)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "variable \"%s\" needs a buffer of %llu bytes on the program's device",
                             variable->tensor->name, (unsigned long long)variable->bytes);
        program->variables[i] = &((const tuff_vk_buffer *)variables[i])->memory;
    }
    return TUFF_OK;
}

/* The plan's arena. Under validation it starts as NaN, so that a read before the first write shows. */
static tuff_status create_blocks(tuff_vk_program *program, tuff_backend_buffer *const *blocks)
{
    const tuff_plan *plan = program->base.plan;
    tuff_vk_device *device = program->device;
    for (size_t i = 0; blocks && i < plan->n_blocks; i++)
        program->blocks[i] = &((const tuff_vk_buffer *)blocks[i])->memory;
    if (blocks) return TUFF_OK;
    program->n_own_blocks = plan->n_blocks;
    program->own_blocks = tuff_arena_array(&program->arena, plan->n_blocks, sizeof *program->own_blocks);
    if (!program->own_blocks) return tuff_fail_memory("a program");
    TUFF_TRY(tuff_vk_memory_expect(device, plan->arena_bytes, "a plan"));
    for (size_t i = 0; i < plan->n_blocks; i++) {
        TUFF_TRY(tuff_vk_memory_create(device, TUFF_VK_TENSOR, plan->blocks[i], "a plan's arena",
                                       &program->own_blocks[i]));
        if (device->params.validate) TUFF_TRY(tuff_vk_clear(device, &program->own_blocks[i], 0xff));
        program->blocks[i] = &program->own_blocks[i];
    }
    return TUFF_OK;
}

static tuff_status create_slots(tuff_vk_program *program)
{
    const tuff_plan *plan = program->base.plan;
    tuff_vk_device *device = program->device;
    program->slot_stride = round_up(plan->input_bytes);
    TUFF_TRY(
        tuff_vk_memory_create(device, TUFF_VK_TENSOR, plan->input_bytes, "a plan's inputs", &program->step));
    TUFF_TRY(tuff_vk_memory_create(device, TUFF_VK_UPLOAD, TUFF_VK_SLOTS * program->slot_stride,
                                   "a plan's inputs", &program->slots));
    memset(tuff_vk_mapped(&program->slots), 0, program->slots.bytes);
    return TUFF_OK;
}

static tuff_status create(tuff_vk_program *program, tuff_backend_buffer *const *variables,
                          tuff_backend_buffer *const *blocks)
{
    const tuff_plan *plan = program->base.plan;
    program->blocks = tuff_arena_array(&program->arena, plan->n_blocks, sizeof *program->blocks);
    program->variables = tuff_arena_array(&program->arena, plan->n_variables, sizeof *program->variables);
    if (!program->blocks || !program->variables) return tuff_fail_memory("a program");
    if (program->device->params.profile) {
        program->times = tuff_arena_array(&program->arena, plan->n_steps, sizeof *program->times);
        if (!program->times) return tuff_fail_memory("a program");
    }
    TUFF_TRY(bind_variables(program, variables));
    TUFF_TRY(create_blocks(program, blocks));
    TUFF_TRY(tuff_vk_make_tasks(program));
    TUFF_TRY(create_slots(program));
    TUFF_TRY(tuff_vk_resolve(program));
    return tuff_vk_cut_program(program);
}

tuff_status tuff_vk_program_create(tuff_backend_device *base, const tuff_plan *plan,
                                   tuff_backend_buffer *const *variables, tuff_backend_buffer *const *blocks,
                                   tuff_backend_program **out)
{
    *out = NULL;
    tuff_vk_device *device = tuff_vk_device_of(base);
    TUFF_TRY(tuff_vk_alive(device));
    tuff_vk_program *program = tuff_alloc(sizeof *program);
    if (!program) return tuff_fail_memory("a program");
    program->base = (tuff_backend_program){.backend = base->backend, .plan = plan};
    program->device = device;
    tuff_backend_program *result = &program->base;
    tuff_status status = create(program, variables, blocks);
    if (status != TUFF_OK) tuff_vk_program_destroy(base, &result);
    *out = result;
    return status;
}

/* The plan may be gone. */
static void destroy(tuff_vk_device *device, tuff_vk_retired *retired)
{
    tuff_vk_program *program =
        (tuff_vk_program *)(void *)((char *)retired - offsetof(tuff_vk_program, retired));
    tuff_vk_cut_destroy(device, &program->cut);
    for (size_t s = 0; s < program->n_hosts; s++)
        tuff_vk_host_step_destroy(program->hosts[s]);
    for (size_t i = 0; program->own_blocks && i < program->n_own_blocks; i++)
        tuff_vk_memory_destroy(device, &program->own_blocks[i]);
    tuff_vk_memory_destroy(device, &program->tables);
    tuff_vk_memory_destroy(device, &program->step);
    tuff_vk_memory_destroy(device, &program->slots);
    tuff_vk_memory_destroy(device, &program->transfer);
    tuff_arena_free(&program->arena);
    tuff_free(program);
}

/* Its own memory and commands are used by its own runs only. */
void tuff_vk_program_destroy(tuff_backend_device *base, tuff_backend_program **out)
{
    tuff_vk_program *program = tuff_vk_program_of(*out);
    *out = NULL;
    if (!program) return;
    uint64_t last = 0;
    for (int i = 0; i < TUFF_VK_SLOTS; i++)
        if (program->ring[i].value > last) last = program->ring[i].value;
    tuff_vk_retire(tuff_vk_device_of(base), &program->retired, last, destroy);
}

const tuff_step_time *tuff_vk_program_times(tuff_backend_program *base)
{
    tuff_vk_program *program = tuff_vk_program_of(base);
    /* the ring's runs that are done but not yet counted */
    for (int i = 0; program->times && i < TUFF_VK_SLOTS; i++)
        if (tuff_vk_wait(program->device, program->ring[i].value) == TUFF_OK)
            tuff_vk_read_marks(program, &program->ring[i]);
    return program->times;
}
