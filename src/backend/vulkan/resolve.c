/* From operands to addresses: each dispatch's arguments, and the tables that lie beside the plan. */
#include <string.h>

#include "backend/vulkan/program.h"
#include "base/memory.h"
#include "base/status.h"

enum { TABLE_ALIGNMENT = 64 };

const tuff_vk_memory *tuff_vk_memory_of(const tuff_vk_program *program, const tuff_location *location)
{
    switch (location->kind) {
    case TUFF_MEMORY_ARENA:
        return program->blocks[location->index];
    case TUFF_MEMORY_VARIABLE:
        return program->variables[location->index];
    case TUFF_MEMORY_INPUT:
        return &program->step;
    default:
        return NULL;
    }
}

static const tuff_location *operand(const tuff_plan_step *step, const tuff_reloc *reloc)
{
    switch (reloc->kind) {
    case TUFF_OPERAND_IN:
        return (int)reloc->index < step->node->n_in ? &step->in[reloc->index] : NULL;
    case TUFF_OPERAND_OUT:
        return (int)reloc->index < step->node->n_out ? &step->out[reloc->index] : NULL;
    case TUFF_OPERAND_SCRATCH:
        return &step->scratch;
    case TUFF_OPERAND_LIST:
        return (int)reloc->index < step->launch->n_lists ? &step->lists[reloc->index] : NULL;
    default:
        return NULL;
    }
}

/* 0 for an absent operand. */
static uint64_t address_of(const tuff_vk_program *program, size_t step, const tuff_reloc *reloc)
{
    if (reloc->kind == TUFF_OPERAND_DATA)
        return tuff_vk_address(&program->tables) + program->data_at[step] + reloc->index + reloc->offset;
    const tuff_location *location = operand(&program->base.plan->steps[step], reloc);
    const tuff_vk_memory *memory = location ? tuff_vk_memory_of(program, location) : NULL;
    return memory ? tuff_vk_address(memory) + location->offset + reloc->offset : 0;
}

static void write_addresses(const tuff_vk_program *program, size_t step, const tuff_reloc *relocs, size_t n,
                            uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t address = address_of(program, step, &relocs[i]);
        memcpy(to + relocs[i].at, &address, sizeof address);
    }
}

uint32_t tuff_vk_push_constants(const tuff_vk_program *program, const tuff_vk_work *work,
                                uint8_t out[TUFF_MAX_ARGS])
{
    const tuff_dispatch *d = work->dispatch;
    memcpy(out, d->args, d->args_size);
    write_addresses(program, work->step, d->relocs, d->n_relocs, out);
    return d->args_size;
}

/* Reserves a part of the tables. */
static uint64_t place(uint64_t *total, uint64_t bytes)
{
    uint64_t at = *total;
    *total = (at + bytes + TABLE_ALIGNMENT - 1) / TABLE_ALIGNMENT * TABLE_ALIGNMENT;
    return at;
}

static tuff_status lay_out(tuff_vk_program *program, uint64_t *out_bytes)
{
    const tuff_plan *plan = program->base.plan;
    *out_bytes = 0;
    program->data_at = tuff_arena_array(&program->arena, plan->n_steps, sizeof *program->data_at);
    if (!program->data_at) return tuff_fail_memory("a program");
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].launch) program->data_at[s] = place(out_bytes, plan->steps[s].launch->data_size);
    return TUFF_OK;
}

tuff_status tuff_vk_resolve(tuff_vk_program *program)
{
    const tuff_plan *plan = program->base.plan;
    uint64_t bytes;
    TUFF_TRY(lay_out(program, &bytes));
    TUFF_TRY(
        tuff_vk_memory_create(program->device, TUFF_VK_TENSOR, bytes, "a plan's tables", &program->tables));
    if (bytes == 0) return TUFF_OK;
    uint8_t *image = tuff_alloc(bytes);
    if (!image) return tuff_fail_memory("a plan's tables");
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_launch *launch = plan->steps[s].launch;
        if (!launch || !launch->data_size) continue;
        memcpy(image + program->data_at[s], launch->data, launch->data_size);
        write_addresses(program, s, launch->data_relocs, launch->n_data_relocs, image + program->data_at[s]);
    }
    tuff_status status = tuff_vk_upload(program->device, &program->tables, 0, image, bytes);
    tuff_free(image);
    return status;
}
