#include "runtime/program.h"

#include <string.h>

#include "base/log.h"
#include "base/structs.h"
#include "runtime/row_trust.h"

/* Steps without a kernel row on the device run on the host: said once per device. */
static void say_fallbacks(const tuff_program *program)
{
    if (program->plan->caps.is_host) return;
    size_t n = 0;
    const char *first = "";
    for (size_t i = 0; i < program->plan->n_steps; i++)
        if (program->plan->steps[i].row < 0 && n++ == 0) first = program->plan->steps[i].op->name;
    if (n && !__atomic_exchange_n(&program->device->said_fallback, 1, __ATOMIC_ACQ_REL))
        tuff_log_to(&program->device->log, TUFF_LOG_WARN,
                    "%zu of %zu steps (the first is %s) have no kernel that fits %s and run on the CPU", n,
                    program->plan->n_steps, first, program->device->info.name);
}

/* Plans for the kernel rows that the device can be trusted with; finding a wrong one means planning again. */
static tuff_status make_plan(tuff_program *program, const tuff_plan_options *options, const tuff_watch *watch)
{
    tuff_device *device = program->device;
    tuff_caps caps = {0};
    tuff_plan_options with_caps = *options;
    if (options->order == TUFF_ORDER_AUTO) with_caps.order = device->order;
    with_caps.without_passes |= device->without_passes;
    if (device->wide_bytes) program->graph->wide_bytes = device->wide_bytes;
    with_caps.caps = device->trust ? &caps : &device->handle->caps;
    for (bool again = true; again;) {
        tuff_plan_destroy(&program->plan);
        if (device->trust) tuff_row_trust_caps(device->trust, &caps);
        TUFF_TRY(tuff_plan_create(program->graph, &with_caps, &program->plan));
        again = false;
        if (device->trust)
            TUFF_TRY(tuff_row_trust_check(device->trust, program->plan, &device->info, watch, &again));
    }
    return TUFF_OK;
}

static tuff_status build(tuff_program *program, const tuff_plan_options *options, const tuff_watch *watch)
{
    TUFF_TRY(make_plan(program, options, watch));
    program->variables = tuff_alloc_array(program->plan->n_variables + 1, sizeof(tuff_backend_buffer *));
    program->inputs = tuff_alloc((size_t)program->plan->input_bytes + 1);
    if (!program->variables || !program->inputs) return tuff_fail_memory("a program");
    for (size_t i = 0; i < program->plan->n_inputs; i++) /* zeros until they are set */
        tuff_plan_fill_lists(program->plan, i, program->inputs);
    say_fallbacks(program);
    return TUFF_OK;
}

static tuff_status create(tuff_device *device, tuff_graph **graph, const tuff_plan_options *options,
                          const tuff_watch *watch, tuff_program **out_program)
{
    *out_program = NULL;
    tuff_program *program = tuff_alloc(sizeof *program);
    if (!program) {
        tuff_graph_destroy(graph);
        return tuff_fail_memory("a program");
    }
    program->device = device;
    program->graph = *graph;
    *graph = NULL;
    tuff_device_keep(device);
    __atomic_fetch_add(&device->live_programs, 1, __ATOMIC_ACQ_REL);
    tuff_status status = build(program, options, watch);
    if (status != TUFF_OK)
        tuff_program_destroy(&program);
    else
        *out_program = program;
    return status;
}

tuff_status tuff_program_create_with(tuff_device *device, tuff_graph **graph,
                                     const tuff_plan_options *options, tuff_program **out_program)
{
    return create(device, graph, options, NULL, out_program);
}

tuff_status tuff_program_create_watched(tuff_device *device, tuff_graph **graph, const tuff_watch *watch,
                                        tuff_program **out_program)
{
    return create(device, graph, &(tuff_plan_options){0}, watch, out_program);
}

tuff_status tuff_program_create(tuff_device *device, tuff_graph **graph, tuff_program **out_program)
{
    if (out_program) *out_program = NULL;
    if (!device || !out_program) tuff_graph_destroy(graph);
    TUFF_NEED(device);
    TUFF_NEED(out_program);
    TUFF_NEED(graph);
    TUFF_NEED(*graph);
    return tuff_program_create_with(device, graph, &(tuff_plan_options){0}, out_program);
}

void tuff_program_destroy(tuff_program **program)
{
    if (!program) return;
    tuff_program *p = *program;
    if (!p) return;
    if (p->handle) p->device->backend->program_destroy(p->device->handle, &p->handle);
    tuff_plan_destroy(&p->plan);
    tuff_graph_destroy(&p->graph);
    tuff_free(p->variables);
    tuff_free(p->blocks);
    tuff_free(p->inputs);
    __atomic_fetch_sub(&p->device->live_programs, 1, __ATOMIC_ACQ_REL);
    tuff_device_let_go(p->device);
    tuff_free(p);
    *program = NULL;
}

tuff_status tuff_program_bind(tuff_program *p, const char *variable, tuff_buffer *buffer)
{
    TUFF_NEED(p);
    TUFF_NEED(variable);
    TUFF_NEED(buffer);
    for (size_t i = 0; i < p->plan->n_variables; i++) {
        const tuff_tensor *x = p->plan->variables[i].tensor;
        if (strcmp(x->name, variable) != 0) continue;
        if (p->handle)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: a program that has run cannot be bound anew",
                             variable);
        if (buffer->device != p->device)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: the buffer lives on %s, the program on %s", variable,
                             buffer->device->info.name, p->device->info.name);
        if (buffer->dtype != x->dtype || tuff_shape_count(&buffer->shape) != tuff_tensor_count(x))
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: the buffer is %s %s, the program expects %s %s",
                             variable, tuff_dtype_name(buffer->dtype), tuff_shape_text(&buffer->shape),
                             tuff_dtype_name(x->dtype), tuff_shape_text(&x->shape));
        p->variables[i] = buffer->handle;
    }
    return TUFF_OK;
}

/* Plans take variables to lie apart: their barriers know nothing of a buffer that two share. */
static tuff_status check_apart(const tuff_program *p)
{
    const tuff_plan *plan = p->plan;
    for (size_t i = 0; i < plan->n_variables; i++)
        for (size_t k = 0; k < plan->n_variables && plan->variables[i].written; k++)
            if (k != i && p->variables[k] == p->variables[i])
                return tuff_fail(
                    TUFF_INVALID_ARGUMENT,
                    "variables %s and %s are bound to one buffer, and the program writes %s: bind "
                    "each to a buffer of its own, or make them one variable",
                    plan->variables[i].tensor->name, plan->variables[k].tensor->name,
                    plan->variables[i].tensor->name);
    return TUFF_OK;
}

tuff_status tuff_program_prepare(tuff_program *p)
{
    TUFF_NEED(p);
    if (p->handle) return TUFF_OK;
    for (size_t i = 0; i < p->plan->n_variables; i++)
        if (!p->variables[i])
            return tuff_fail(TUFF_INVALID_ARGUMENT, "variable %s of the program is not bound to a buffer",
                             p->plan->variables[i].tensor->name);
    TUFF_TRY(check_apart(p));
    return p->device->backend->program_create(p->device->handle, p->plan, p->variables, p->blocks,
                                              &p->handle);
}

bool tuff_program_has_input(const tuff_program *p, const char *name)
{
    for (size_t i = 0; i < p->plan->n_inputs; i++)
        if (strcmp(p->plan->inputs[i].tensor->name, name) == 0) return true;
    return false;
}

tuff_status tuff_program_input(tuff_program *p, const char *name, const void *data, size_t bytes)
{
    TUFF_NEED(p);
    TUFF_NEED(name);
    TUFF_NEED(data);
    for (size_t i = 0; i < p->plan->n_inputs; i++) {
        const tuff_plan_input *input = &p->plan->inputs[i];
        if (strcmp(input->tensor->name, name) != 0) continue;
        if (bytes != input->bytes)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "input %s: %zu bytes given, %s %s needs %llu", name,
                             bytes, tuff_dtype_name(input->tensor->dtype),
                             tuff_shape_text(&input->tensor->shape), (unsigned long long)input->bytes);
        memcpy(p->inputs + input->offset, data, bytes);
        tuff_plan_fill_lists(p->plan, i, p->inputs);
    }
    return TUFF_OK;
}

tuff_status tuff_program_run(tuff_program *p)
{
    TUFF_NEED(p);
    return tuff_program_run_until(p, NULL, false);
}

tuff_status tuff_program_run_until(tuff_program *p, tuff_watched *work, bool whole)
{
    TUFF_TRY(tuff_program_prepare(p));
    void *slot = NULL;
    TUFF_TRY(p->device->backend->program_slot(p->device->handle, p->handle, &slot));
    memcpy(slot, p->inputs, (size_t)p->plan->input_bytes);
    p->handle->work = work;
    p->handle->last_cancel = whole ? p->plan->first_write : SIZE_MAX;
    tuff_status status = p->device->backend->program_run(p->device->handle, p->handle);
    p->handle->work = NULL;
    TUFF_TRY(status);
    p->ran = true;
    p->runs++;
    return TUFF_OK;
}

tuff_status tuff_program_output(tuff_program *p, const char *name, void *out, size_t bytes)
{
    TUFF_NEED(p);
    TUFF_NEED(name);
    TUFF_NEED(out);
    if (!p->ran)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "output %s is read before the program has run", name);
    for (size_t i = 0; i < p->plan->n_outputs; i++) {
        const tuff_plan_output *output = &p->plan->outputs[i];
        if (strcmp(output->tensor->output_name, name) != 0) continue;
        if (bytes != output->bytes)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "output %s: %zu bytes asked for, %s %s has %llu", name,
                             bytes, tuff_dtype_name(output->tensor->dtype),
                             tuff_shape_text(&output->tensor->shape), (unsigned long long)output->bytes);
        const void *results = NULL;
        TUFF_TRY(p->device->backend->program_wait(p->device->handle, p->handle, &results));
        memcpy(out, (const char *)results + output->offset, bytes);
        return TUFF_OK;
    }
    return tuff_fail(TUFF_NOT_FOUND, "the program has no output called \"%s\"", name);
}

tuff_program_memory tuff_program_memory_of(const tuff_program *p)
{
    enum { SLOTS = 3 }; /* the deepest ring a backend keeps */
    tuff_program_memory memory = {
        .struct_size = sizeof memory, .arena = p->plan->arena_bytes, .arena_bound = p->plan->live_bytes};
    for (size_t i = 0; i < p->plan->n_variables; i++)
        memory.variables += p->plan->variables[i].bytes;
    memory.staging = SLOTS * (p->plan->input_bytes + p->plan->output_bytes);
    return memory;
}

tuff_status tuff_program_get_memory(const tuff_program *p, tuff_program_memory *out_memory)
{
    TUFF_NEED(p);
    const tuff_program_memory memory = tuff_program_memory_of(p);
    return TUFF_GIVE(out_memory, &memory, TUFF_PROGRAM_MEMORY_INIT, staging);
}

double tuff_program_flops(const tuff_program *p)
{
    if (!p) return 0;
    return p->plan->flops;
}

char *tuff_program_text(const tuff_program *p)
{
    if (!p) return NULL;
    tuff_buf text = {0};
    tuff_plan_print(p->plan, &text);
    if (!text.failed) return text.data;
    tuff_buf_free(&text);
    return NULL;
}
