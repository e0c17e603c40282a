/* Rewrites of a graph before planning: the list of passes, and what they share. */
#include "ir/rewrite.h"

#include "ir/op.h"

static const struct {
    const char *name;
    tuff_status (*run)(tuff_graph *graph, size_t *changes);
} passes[TUFF_PASS_COUNT] = {
#define TUFF_PASS(name) [TUFF_PASS_##name] = {#name, tuff_pass_##name},
#include "ir/passes.def"
#undef TUFF_PASS
};

const char *tuff_pass_name(tuff_pass pass)
{
    return (unsigned)pass < TUFF_PASS_COUNT ? passes[pass].name : "?";
}

static bool writes_variable(const tuff_node *node)
{
    if (tuff_op_info_of(node->op)->is_view) return false;
    for (int o = 0; o < node->n_out; o++)
        if (node->out[o]->storage->kind == TUFF_TENSOR_VARIABLE) return true;
    return false;
}

static void drop(tuff_graph *g, bool *live)
{
    for (size_t i = g->n_nodes; i-- > 0;) {
        tuff_node *node = g->nodes[i];
        bool keep = writes_variable(node);
        for (int o = 0; o < node->n_out; o++)
            keep = keep || live[node->out[o]->id] || node->out[o]->output_name;
        if (!keep) {
            g->nodes[i] = NULL;
            continue;
        }
        for (int k = 0; k < node->n_in; k++)
            if (node->in[k]) live[node->in[k]->id] = live[node->in[k]->storage->id] = true;
    }
    size_t n = 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]) {
            g->nodes[n] = g->nodes[i];
            g->nodes[n]->id = (uint32_t)n;
            n++;
        }
    g->n_nodes = n;
}

static tuff_status drop_dead(tuff_graph *g)
{
    bool *live = tuff_alloc_array(g->n_tensors + 1, sizeof *live);
    if (!live) return tuff_fail_memory("rewriting a graph");
    drop(g, live);
    tuff_free(live);
    return TUFF_OK;
}

tuff_status tuff_rewrite(tuff_graph *graph, uint32_t without)
{
    for (int pass = 0; pass < TUFF_PASS_COUNT; pass++) {
        if (without >> pass & 1) continue;
        TUFF_TRY(passes[pass].run(graph, &graph->changes[pass]));
        TUFF_TRY(drop_dead(graph));
    }
    return drop_dead(graph);
}
