/* Guards: memory in which every stray access shows. */
#include <string.h>

#include "base/rng.h"
#include "conform/runner.h"

void tuff_guard_fill(void *bytes, uint64_t size)
{
    uint32_t word = TUFF_GUARD_WORD;
    for (uint64_t at = 0; at + 4 <= size; at += 4)
        memcpy((uint8_t *)bytes + at, &word, 4);
}

typedef struct layout {
    tuff_plan *plan;
    uint64_t *base; /* by tensor id of a storage; UINT64_MAX: not placed yet */
    uint64_t size;
} layout;

static uint64_t place(layout *l, uint64_t bytes)
{
    uint64_t at = l->size;
    l->size = (at + bytes + 2 * TUFF_GUARD_BYTES - 1) / TUFF_GUARD_BYTES * TUFF_GUARD_BYTES;
    return at;
}

static void move(layout *l, const tuff_tensor *x, tuff_location *location)
{
    if (location->kind != TUFF_MEMORY_ARENA) return;
    uint64_t *base = &l->base[x->storage->id];
    if (*base == UINT64_MAX) *base = place(l, tuff_tensor_bytes(x->storage));
    uint64_t offset = *base + tuff_dtype_bytes(x->dtype, x->offset);
    *location = (tuff_location){.kind = TUFF_MEMORY_VARIABLE,
                                .index = (uint32_t)l->plan->n_variables,
                                .offset = offset,
                                .begin = offset,
                                .end = offset + (location->end - location->begin)};
}

/* Phases of a node share their scratch memory. */
static void move_scratch(layout *l, size_t s)
{
    const tuff_plan *plan = l->plan;
    tuff_plan_step *step = &plan->steps[s];
    if (step->scratch.kind != TUFF_MEMORY_ARENA) return;
    for (size_t k = s; step->phase > 0 && k-- > 0;)
        if (plan->steps[k].node == step->node) {
            step->scratch = plan->steps[k].scratch;
            return;
        }
    uint64_t bytes = step->scratch.end - step->scratch.begin, at = place(l, bytes);
    step->scratch = (tuff_location){TUFF_MEMORY_VARIABLE, (uint32_t)plan->n_variables, at, at, at + bytes};
}

static void move_all(layout *l)
{
    tuff_plan *plan = l->plan;
    for (size_t s = 0; s < plan->n_steps; s++) {
        tuff_plan_step *step = &plan->steps[s];
        for (int i = 0; i < step->node->n_in; i++)
            if (step->node->in[i] != NULL) move(l, step->node->in[i], &step->in[i]);
        for (int i = 0; i < step->node->n_out; i++)
            move(l, step->node->out[i], &step->out[i]);
        move_scratch(l, s);
    }
    for (size_t i = 0; i < plan->n_outputs; i++)
        move(l, plan->outputs[i].tensor, &plan->outputs[i].location);
}

tuff_status tuff_plan_isolate(tuff_plan *plan)
{
    size_t n_tensors = plan->graph->n_tensors;
    layout l = {.plan = plan, .size = TUFF_GUARD_BYTES};
    tuff_tensor *memory = tuff_arena_alloc(&plan->arena, sizeof *memory);
    tuff_plan_variable *variables = tuff_arena_array(&plan->arena, plan->n_variables + 1, sizeof *variables);
    l.base = tuff_alloc_array(n_tensors, sizeof *l.base);
    if (memory == NULL || variables == NULL || l.base == NULL) {
        tuff_free(l.base);
        return tuff_fail_memory("an isolated plan");
    }
    for (size_t i = 0; i < n_tensors; i++)
        l.base[i] = UINT64_MAX;
    move_all(&l);
    tuff_free(l.base);
    if (plan->n_variables > 0) memcpy(variables, plan->variables, plan->n_variables * sizeof *variables);
    *memory = (tuff_tensor){.dtype = TUFF_U32,
                            .kind = TUFF_TENSOR_VARIABLE,
                            .storage = memory,
                            .name = "isolated memory",
                            .id = (uint32_t)n_tensors};
    int64_t words = (int64_t)(l.size / 4);
    memory->shape = tuff_shape_of(1, &words);
    tuff_contiguous_strides(&memory->shape, memory->stride);
    variables[plan->n_variables] = (tuff_plan_variable){.tensor = memory, .bytes = l.size, .written = true};
    plan->variables = variables;
    plan->n_variables++;
    plan->n_blocks = 0;
    plan->arena_bytes = 0;
    return tuff_plan_hazards(plan);
}

void tuff_plan_permute(tuff_plan *plan, uint64_t seed)
{
    for (size_t begin = 0, end; begin < plan->n_steps; begin = end) {
        for (end = begin + 1; end < plan->n_steps && !plan->steps[end].barrier;)
            end++;
        plan->steps[begin].barrier = false;
        for (size_t i = end - 1; i > begin; i--) {
            size_t other = begin + tuff_philox4x32(seed, i, 0, TUFF_STREAM_CONFORM).v[0] % (i - begin + 1);
            tuff_plan_step step = plan->steps[i];
            plan->steps[i] = plan->steps[other];
            plan->steps[other] = step;
        }
        plan->steps[begin].barrier = begin > 0;
    }
}

static void mark(const tuff_location *location, uint32_t index, uint8_t *map, uint64_t size, uint8_t use)
{
    if (location->kind != TUFF_MEMORY_VARIABLE || location->index != index) return;
    for (uint64_t at = location->begin; at < location->end && at < size; at++)
        map[at] = use;
}

void tuff_guard_map(const tuff_plan *plan, uint32_t index, const tuff_case_run *run, uint8_t *map,
                    uint64_t size)
{
    memset(map, TUFF_BYTE_GUARD, size);
    const tuff_tensor *variable = plan->variables[index].tensor;
    for (size_t i = 0; i < run->n_leaves; i++) {
        const tuff_tensor *x = run->leaves[i].tensor;
        if (x->storage != variable) continue;
        uint64_t begin = tuff_dtype_bytes(x->dtype, x->offset);
        memset(map + begin, TUFF_BYTE_INPUT, tuff_tensor_bytes(x));
    }
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_plan_step *step = &plan->steps[s];
        for (int o = 0; o < step->node->n_out; o++)
            mark(&step->out[o], index, map, size, TUFF_BYTE_RESULT);
        mark(&step->scratch, index, map, size, TUFF_BYTE_SCRATCH);
    }
}
