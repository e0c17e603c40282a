#include "runtime/compile.h"

#include <string.h>

#include "base/os.h"
#include "base/text.h"
#include "ir/op.h"
#include "runtime/figures.h"

/* Buffers are sizes, programs slots of zeros: the null backend's. */
typedef struct compiler {
    tuff_backend_device base;
    tuff_backend table;
    tuff_backend_device *inner;
    tuff_mutex *lock; /* all below */
    tuff_arena arena;
    tuff_map index; /* keys of kernels, and their names by number, to numbers */
    tuff_kernel *kernels;
    size_t n, capacity;
} compiler;

static compiler *compiler_of(const tuff_backend_device *device)
{
    return (compiler *)device;
}

typedef struct key {
    uint32_t shader, n_spec, spec[TUFF_MAX_SPEC];
} key;

static tuff_status add_kernel(compiler *c, const tuff_dispatch *dispatch, const key *k, uint32_t *out)
{
    if (!tuff_grow((void **)&c->kernels, c->n, &c->capacity, sizeof *c->kernels))
        return tuff_fail_memory("a kernel");
    tuff_kernel *kernel = &c->kernels[c->n];
    TUFF_TRY(c->inner->backend->compile(c->inner, dispatch, &c->arena, kernel));
    tuff_figures_assign(kernel);
    *out = (uint32_t)c->n;
    if (!tuff_map_put(&c->index, k, sizeof *k, *out)) return tuff_fail_memory("a kernel");
    c->n++;
    return TUFF_OK;
}

/* One name of a kernel: several operations may run it, each of them often. */
static tuff_status add_name(compiler *c, uint32_t number, const char *op, const char *row)
{
    tuff_kernel *kernel = &c->kernels[number];
    uint32_t unused;
    const char *pair = tuff_arena_printf(&c->arena, "%u %s %s", number, op, row);
    if (!pair) return tuff_fail_memory("a kernel's name");
    if (tuff_map_get(&c->index, pair, strlen(pair), &unused)) return TUFF_OK;
    const char *name = kernel->name ? tuff_arena_printf(&c->arena, "%s, %s %s", kernel->name, op, row)
                                    : tuff_arena_printf(&c->arena, "%s %s", op, row);
    if (!name || !tuff_map_put(&c->index, pair, strlen(pair), number))
        return tuff_fail_memory("a kernel's name");
    kernel->name = name;
    return TUFF_OK;
}

static tuff_status take_step(compiler *c, const tuff_plan_step *step)
{
    for (size_t i = 0; step->launch && i < step->launch->n; i++) {
        const tuff_dispatch *d = step->launch->dispatches[i];
        key k = {.shader = (uint32_t)d->shader, .n_spec = (uint32_t)d->n_spec};
        uint32_t number;
        memcpy(k.spec, d->spec, (size_t)d->n_spec * sizeof *d->spec);
        if (!tuff_map_get(&c->index, &k, sizeof k, &number))
            TUFF_TRY(tuff_note(add_kernel(c, d, &k, &number), "%s", step->op->name));
        TUFF_TRY(add_name(c, number, step->op->name, step->op->rows[step->row].name));
    }
    return TUFF_OK;
}

static tuff_status program_create(tuff_backend_device *device, const tuff_plan *plan,
                                  tuff_backend_buffer *const *variables, tuff_backend_buffer *const *blocks,
                                  tuff_backend_program **out)
{
    compiler *c = compiler_of(device);
    tuff_status status = TUFF_OK;
    *out = NULL;
    tuff_mutex_lock(c->lock);
    for (size_t i = 0; i < plan->n_steps && status == TUFF_OK; i++)
        status = take_step(c, &plan->steps[i]);
    tuff_mutex_unlock(c->lock);
    return status == TUFF_OK ? tuff_backend_null.program_create(device, plan, variables, blocks, out)
                             : status;
}

static tuff_status write_nothing(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                                 const void *data, uint64_t bytes)
{
    (void)device, (void)buffer, (void)offset, (void)data, (void)bytes;
    return TUFF_OK;
}

static tuff_status read_zeros(tuff_backend_device *device, tuff_backend_buffer *buffer, uint64_t offset,
                              void *data, uint64_t bytes)
{
    (void)device, (void)buffer, (void)offset;
    memset(data, 0, (size_t)bytes);
    return TUFF_OK;
}

static tuff_status shader_key(const tuff_backend_device *device, tuff_shader shader, char out_key[65])
{
    const tuff_backend_device *inner = compiler_of(device)->inner;
    return inner->backend->shader_key(inner, shader, out_key);
}

static void close_device(tuff_backend_device **device)
{
    compiler *c = compiler_of(*device);
    *device = NULL;
    if (c->inner) c->inner->backend->close(&c->inner);
    tuff_mutex_destroy(&c->lock);
    tuff_arena_free(&c->arena);
    tuff_map_free(&c->index);
    tuff_free(c->kernels);
    tuff_free(c);
}

tuff_status tuff_compile_only(tuff_backend_device **device)
{
    compiler *c = tuff_alloc(sizeof *c);
    if (c) c->lock = tuff_mutex_create();
    if (!c || !c->lock) {
        tuff_free(c);
        (*device)->backend->close(device);
        return tuff_fail_memory("a device");
    }
    c->inner = *device;
    c->table = tuff_backend_null;
    c->table.name = c->inner->backend->name;
    c->table.close = close_device;
    c->table.buffer_write = write_nothing;
    c->table.buffer_read = read_zeros;
    c->table.program_create = program_create;
    c->table.validation = c->inner->backend->validation;
    c->table.shader_key = c->inner->backend->shader_key ? shader_key : NULL;
    c->base = (tuff_backend_device){.backend = &c->table, .caps = c->inner->caps};
    *device = &c->base;
    return TUFF_OK;
}

size_t tuff_compile_count(const tuff_backend_device *device)
{
    return compiler_of(device)->n;
}

const tuff_kernel *tuff_compile_at(const tuff_backend_device *device, size_t index)
{
    return &compiler_of(device)->kernels[index];
}
