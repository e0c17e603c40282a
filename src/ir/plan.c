#include "ir/plan.h"

#include <string.h>

#include "ir/rewrite.h"

static tuff_status find_leaves(tuff_plan *plan)
{
    const tuff_graph *g = plan->graph;
    bool *used = tuff_arena_array(&plan->arena, g->n_tensors, sizeof *used);
    plan->variables = tuff_arena_array(&plan->arena, g->n_tensors, sizeof *plan->variables);
    plan->inputs = tuff_arena_array(&plan->arena, g->n_tensors, sizeof *plan->inputs);
    plan->outputs = tuff_arena_array(&plan->arena, g->n_tensors, sizeof *plan->outputs);
    if (!used || !plan->variables || !plan->inputs || !plan->outputs) return tuff_fail_memory("a plan");
    for (size_t i = 0; i < g->n_nodes; i++) {
        const tuff_node *node = g->nodes[i];
        for (int k = 0; k < node->n_in; k++)
            if (node->in[k]) used[node->in[k]->storage->id] = true;
    }
    for (size_t i = 0; i < g->n_tensors; i++) {
        const tuff_tensor *x = g->tensors[i];
        if (x->output_name && x->producer) {
            plan->outputs[plan->n_outputs++] =
                (tuff_plan_output){.tensor = x, .offset = plan->output_bytes, .bytes = tuff_tensor_bytes(x)};
            plan->output_bytes += (tuff_tensor_bytes(x) + 63) / 64 * 64;
        }
        if (!used[i] || x->kind == TUFF_TENSOR_RESULT) continue;
        if (x->kind == TUFF_TENSOR_VARIABLE) {
            plan->variables[plan->n_variables++] =
                (tuff_plan_variable){.tensor = x, .bytes = tuff_tensor_bytes(x)};
        } else {
            plan->inputs[plan->n_inputs++] =
                (tuff_plan_input){.tensor = x, .offset = plan->input_bytes, .bytes = tuff_tensor_bytes(x)};
            plan->input_bytes += (tuff_tensor_bytes(x) + 63) / 64 * 64;
        }
    }
    return TUFF_OK;
}

static bool same_list(const tuff_work_list *a, const tuff_work_list *b)
{
    return a->input == b->input && a->words == b->words && a->capacity == b->capacity && a->fill == b->fill &&
           memcmp(a->param, b->param, sizeof a->param) == 0;
}

/* The plan's list that is like this one, whose `input` is the plan's; made where there is none yet. */
static tuff_status find_list(tuff_plan *plan, const tuff_work_list *list, tuff_location *out)
{
    size_t at = 0;
    while (at < plan->n_lists && !same_list(&plan->lists[at].list, list))
        at++;
    if (at == plan->n_lists) {
        if (at == plan->lists_capacity) {
            size_t larger = at ? 2 * at : 8;
            tuff_plan_list *grown = tuff_arena_array(&plan->arena, larger, sizeof *grown);
            if (!grown) return tuff_fail_memory("a plan");
            if (at) memcpy(grown, plan->lists, at * sizeof *grown);
            plan->lists = grown;
            plan->lists_capacity = larger;
        }
        uint64_t bytes = (uint64_t)list->words * list->capacity * sizeof(int32_t);
        plan->lists[plan->n_lists++] =
            (tuff_plan_list){.list = *list, .offset = plan->input_bytes, .bytes = bytes};
        plan->input_bytes += (bytes + 63) / 64 * 64;
    }
    uint64_t offset = plan->lists[at].offset;
    *out = (tuff_location){TUFF_MEMORY_INPUT, (uint32_t)list->input, offset, offset,
                           offset + plan->lists[at].bytes};
    return TUFF_OK;
}

/* Lists are made on the host from what the host has set: whole inputs of the graph. */
static tuff_status place_lists(tuff_plan *plan, tuff_plan_step *step)
{
    const tuff_launch *launch = step->launch;
    step->lists = tuff_arena_array(&plan->arena, (size_t)launch->n_lists + 1, sizeof *step->lists);
    if (!step->lists) return tuff_fail_memory("a plan");
    for (int i = 0; i < launch->n_lists; i++) {
        tuff_work_list list = launch->lists[i];
        const tuff_tensor *x = list.input < step->node->n_in ? step->node->in[list.input] : NULL;
        if (!x || x->storage != x || x->kind != TUFF_TENSOR_INPUT)
            return tuff_fail(TUFF_INTERNAL, "%s: a work list of kernel %s needs an input of the graph",
                             step->op->name, step->op->rows[step->row].name);
        for (size_t k = 0; k < plan->n_inputs; k++)
            if (plan->inputs[k].tensor == x) list.input = (int)k;
        TUFF_TRY(find_list(plan, &list, &step->lists[i]));
    }
    return TUFF_OK;
}

void tuff_plan_fill_lists(const tuff_plan *plan, size_t index, void *slot)
{
    for (size_t i = 0; i < plan->n_lists; i++) {
        const tuff_plan_list *to = &plan->lists[i];
        if (to->list.input != (int)index) continue;
        int32_t *words = (int32_t *)(void *)((char *)slot + to->offset);
        memset(words, 0, (size_t)to->bytes);
        to->list.fill(&to->list, (const char *)slot + plan->inputs[index].offset, words);
    }
}

static tuff_status launch_step(tuff_plan *plan, tuff_plan_step *step)
{
    step->launch = tuff_arena_alloc(&plan->arena, sizeof *step->launch);
    if (!step->launch) return tuff_fail_memory("a plan");
    step->launch->arena = &plan->arena;
    const tuff_kernel_row *row = &step->op->rows[step->row];
    row->geometry(step->node, &plan->caps, step->launch);
    if (step->launch->failed || step->launch->n == 0)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: kernel %s cannot be laid out for a result of %s on this device", step->op->name,
                         row->name, tuff_shape_text(&step->node->out[0]->shape));
    for (size_t i = 0; i < step->launch->n; i++) {
        const tuff_dispatch *d = step->launch->dispatches[i];
        for (int axis = 0; axis < 3; axis++)
            if (d->groups[axis] == 0 || d->groups[axis] > plan->caps.max_groups[axis])
                return tuff_fail(
                    TUFF_UNSUPPORTED,
                    "%s: kernel %s needs %u workgroups along axis %d for %s, the device allows 1 to %u",
                    step->op->name, row->name, d->groups[axis], axis,
                    tuff_shape_text(&step->node->out[0]->shape), plan->caps.max_groups[axis]);
    }
    return TUFF_OK;
}

static tuff_status choose_row(const tuff_plan *plan, const tuff_plan_options *options, tuff_plan_step *step)
{
    step->row = -1;
    if (!plan->caps.is_host) {
        int forced = options->force_row ? options->force_row[step->node->op] : TUFF_ROW_ANY;
        if (forced != TUFF_ROW_HOST)
            step->row = tuff_row_fits(step->node, &plan->caps, forced)
                            ? forced
                            : tuff_choose_row(step->node, &plan->caps);
    }
    if (step->row < 0 && !step->op->cpu)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: no kernel fits a result of %s", step->op->name,
                         tuff_shape_text(&step->node->out[0]->shape));
    return TUFF_OK;
}

/* How many dispatches from `at` on do not wait for each other. */
static size_t phase_size(const tuff_launch *launch, size_t at)
{
    size_t n = 1;
    while (at + n < launch->n && !launch->dispatches[at + n]->after)
        n++;
    return n;
}

/* Appends the phases of a step. */
static tuff_status add_phases(tuff_plan *plan, const tuff_plan_step *whole, uint32_t n_phases)
{
    for (size_t at = 0, phase = 0; phase < n_phases; phase++) {
        tuff_plan_step *step = &plan->steps[plan->n_steps++];
        *step = *whole;
        step->phase = (uint32_t)phase;
        step->n_phases = n_phases;
        if (n_phases == 1) break;
        tuff_launch *launch = tuff_arena_alloc(&plan->arena, sizeof *launch);
        if (!launch) return tuff_fail_memory("a plan");
        *launch = *whole->launch;
        launch->dispatches += at;
        launch->n = phase_size(whole->launch, at);
        at += launch->n;
        double share = (double)launch->n / (double)whole->launch->n;
        step->launch = launch;
        step->cost = (tuff_cost){whole->cost.flops * share, whole->cost.bytes * share};
    }
    return TUFF_OK;
}

static uint32_t count_phases(const tuff_plan_step *step)
{
    uint32_t n = 1;
    for (size_t i = 1; step->launch && i < step->launch->n; i++)
        n += step->launch->dispatches[i]->after;
    return n;
}

static tuff_status split_phases(tuff_plan *plan)
{
    size_t n_whole = plan->n_steps, n = 0;
    const tuff_plan_step *whole = plan->steps;
    for (size_t s = 0; s < n_whole; s++)
        n += count_phases(&whole[s]);
    plan->n_steps = 0;
    plan->steps = tuff_arena_array(&plan->arena, n + 1, sizeof *plan->steps);
    if (!plan->steps) return tuff_fail_memory("a plan");
    for (size_t s = 0; s < n_whole; s++)
        TUFF_TRY(add_phases(plan, &whole[s], count_phases(&whole[s])));
    return TUFF_OK;
}

static tuff_status make_steps(tuff_plan *plan, const tuff_plan_options *options)
{
    const tuff_graph *g = plan->graph;
    plan->steps = tuff_arena_array(&plan->arena, g->n_nodes + 1, sizeof *plan->steps);
    if (!plan->steps) return tuff_fail_memory("a plan");
    for (size_t i = 0; i < g->n_nodes; i++) {
        const tuff_node *node = g->nodes[i];
        const tuff_op_info *op = tuff_op_info_of(node->op);
        if (op->is_view) continue;
        tuff_plan_step *step = &plan->steps[plan->n_steps++];
        step->node = node;
        step->op = op;
        step->in = tuff_arena_array(&plan->arena, (size_t)node->n_in + 1, sizeof *step->in);
        step->out = tuff_arena_array(&plan->arena, (size_t)node->n_out + 1, sizeof *step->out);
        if (!step->in || !step->out) return tuff_fail_memory("a plan");
        step->cost = op->cost(node);
        plan->flops += step->cost.flops;
        plan->bytes += step->cost.bytes;
        TUFF_TRY(choose_row(plan, options, step));
        if (step->row < 0) continue;
        TUFF_TRY(launch_step(plan, step));
        TUFF_TRY(place_lists(plan, step));
        step->whole = step->launch;
    }
    return split_phases(plan);
}

static void mark_written(tuff_plan *plan)
{
    plan->first_write = plan->n_steps;
    for (size_t s = 0; s < plan->n_steps; s++)
        for (int o = 0; o < plan->steps[s].node->n_out; o++) {
            if (plan->steps[s].out[o].kind != TUFF_MEMORY_VARIABLE) continue;
            plan->variables[plan->steps[s].out[o].index].written = true;
            if (s < plan->first_write) plan->first_write = s;
        }
}

static tuff_status compile(tuff_plan *plan, tuff_graph *graph, const tuff_plan_options *options)
{
    TUFF_TRY(tuff_graph_verify(graph));
    TUFF_TRY(tuff_rewrite(graph, options->without_passes));
    TUFF_TRY(tuff_graph_verify(graph));
    TUFF_TRY(find_leaves(plan));
    TUFF_TRY(make_steps(plan, options));
    TUFF_TRY(tuff_plan_order(plan, options));
    mark_written(plan);
    return TUFF_OK;
}

tuff_status tuff_plan_create(tuff_graph *graph, const tuff_plan_options *options, tuff_plan **out_plan)
{
    *out_plan = NULL;
    tuff_plan *plan = tuff_alloc(sizeof *plan);
    if (!plan) return tuff_fail_memory("a plan");
    plan->graph = graph;
    plan->caps = *options->caps;
    tuff_status status = compile(plan, graph, options);
    if (status != TUFF_OK) {
        tuff_plan_destroy(&plan);
        return status;
    }
    *out_plan = plan;
    return TUFF_OK;
}

void tuff_plan_destroy(tuff_plan **plan)
{
    if (!*plan) return;
    tuff_arena arena = (*plan)->arena;
    tuff_arena_free(&arena);
    tuff_free(*plan);
    *plan = NULL;
}
