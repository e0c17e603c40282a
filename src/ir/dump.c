/* Plans as text: one line per step, for reading and for comparing two plans with diff. */
#include <stdio.h>

#include "ir/plan.h"
#include "ir/rewrite.h"

static const char *const names[TUFF_OP_COUNT] = {
#define TUFF_OP(name) [TUFF_OP_##name] = #name,
#include "ir/ops.def"
#undef TUFF_OP
};

const char *tuff_op_name(tuff_op op)
{
    return (unsigned)op < TUFF_OP_COUNT ? names[op] : "?";
}

tuff_cost tuff_cost_elementwise(const tuff_node *node)
{
    tuff_cost cost = {0, 0};
    for (int i = 0; i < node->n_out; i++) {
        cost.flops += (double)tuff_tensor_count(node->out[i]);
        cost.bytes += (double)tuff_tensor_bytes(node->out[i]);
    }
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i]) cost.bytes += (double)tuff_tensor_bytes(node->in[i]);
    return cost;
}

static void print_location(const tuff_plan *plan, const tuff_location *at, tuff_buf *out)
{
    switch (at->kind) {
    case TUFF_MEMORY_NONE:
        tuff_buf_text(out, "-");
        break;
    case TUFF_MEMORY_ARENA:
        tuff_buf_printf(out, "a%u+%llu", at->index, (unsigned long long)at->offset);
        break;
    case TUFF_MEMORY_VARIABLE:
        tuff_buf_printf(out, "%s", plan->variables[at->index].tensor->name);
        if (at->offset) tuff_buf_printf(out, "+%llu", (unsigned long long)at->offset);
        break;
    case TUFF_MEMORY_INPUT:
        tuff_buf_printf(out, "%s", plan->inputs[at->index].tensor->name);
        break;
    }
}

static void print_operands(const tuff_plan *plan, tuff_tensor *const *tensors, const tuff_location *at, int n,
                           tuff_buf *out)
{
    enum { SHOWN = 8 }; /* a multi-tensor optimizer has hundreds */
    for (int i = 0; i < n && i < SHOWN; i++) {
        tuff_buf_char(out, ' ');
        print_location(plan, &at[i], out);
        if (tensors[i])
            tuff_buf_printf(out, ":%s%s", tuff_dtype_name(tensors[i]->dtype),
                            tuff_shape_text(&tensors[i]->shape));
    }
    if (n > SHOWN) tuff_buf_printf(out, " ... (%d more)", n - SHOWN);
}

static void print_order(const tuff_plan *plan, tuff_buf *out)
{
    tuff_buf_printf(out, "order: %s, %zu barriers", plan->order.by_levels ? "by levels" : "the graph's",
                    plan->order.barriers);
    if (plan->order.by_levels)
        tuff_buf_printf(out, "; in the graph's order %zu, arena %llu bytes", plan->order.graph_barriers,
                        (unsigned long long)plan->order.graph_arena_bytes);
    tuff_buf_char(out, '\n');
}

static void print_passes(const tuff_plan *plan, tuff_buf *out)
{
    tuff_buf_text(out, "passes:");
    for (int i = 0; i < TUFF_PASS_COUNT; i++)
        tuff_buf_printf(out, "%s %s %zu", i ? "," : "", tuff_pass_name((tuff_pass)i),
                        plan->graph->changes[i]);
    tuff_buf_char(out, '\n');
}

/* "split 1/2": the first of two phases. */
static void print_kernel(const tuff_plan_step *step, char *text, size_t size)
{
    const char *name = step->row < 0 ? "host" : step->op->rows[step->row].name;
    if (step->n_phases > 1)
        snprintf(text, size, "%s %u/%u", name, step->phase + 1, step->n_phases);
    else
        snprintf(text, size, "%s", name);
}

void tuff_plan_print(const tuff_plan *plan, tuff_buf *out)
{
    tuff_buf_printf(out, "arena %llu bytes in %zu blocks, live %llu, step buffer %llu, results %llu\n",
                    (unsigned long long)plan->arena_bytes, plan->n_blocks,
                    (unsigned long long)plan->live_bytes, (unsigned long long)plan->input_bytes,
                    (unsigned long long)plan->output_bytes);
    print_passes(plan, out);
    print_order(plan, out);
    for (size_t s = 0; s < plan->n_steps; s++) {
        const tuff_plan_step *step = &plan->steps[s];
        char kernel[64];
        print_kernel(step, kernel, sizeof kernel);
        tuff_buf_printf(out, "%c%4zu %-26s %-18s", step->barrier ? '|' : ' ', s, step->op->name, kernel);
        print_operands(plan, step->node->out, step->out, step->node->n_out, out);
        tuff_buf_text(out, " <-");
        print_operands(plan, step->node->in, step->in, step->node->n_in, out);
        for (int i = 0; step->launch && i < step->launch->n_lists; i++)
            tuff_buf_printf(out, " %s[%u x %u]", i == 0 ? "lists " : "", step->launch->lists[i].capacity,
                            step->launch->lists[i].words);
        tuff_buf_char(out, '\n');
    }
}
