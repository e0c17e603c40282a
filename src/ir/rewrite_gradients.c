/* Gradients, in a graph before planning: sparse ones folded into dense ones, added up where they are made. */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"

/* True when nobody but `node` and those before it look at the memory of x, as itself or through a view. */
static bool last_use(const tuff_graph *g, const tuff_tensor *x, const tuff_node *node)
{
    for (size_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i]->storage == x->storage && g->tensors[i]->output_name) return false;
    for (size_t i = node->id + 1; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k] && g->nodes[i]->in[k]->storage == x->storage) return false;
    return true;
}

static int count_uses(const tuff_graph *g, const tuff_tensor *x)
{
    int uses = x->output_name ? 1 : 0;
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            uses += g->nodes[i]->in[k] == x;
    return uses;
}

static bool is_zero_fill(const tuff_tensor *x)
{
    return x->producer && x->producer->op == TUFF_OP_fill && x->producer->attrs.fill.value == 0.0;
}

/* add(dense, embedding_backward(fill 0, dy, index)) becomes embedding_backward(dense, dy, index): a tied
 * table's gradient without a second dense table. The add's node turns into the embedding's, so the order
 * stays right. */
static bool fold_sparse_add(const tuff_graph *g, tuff_node *add)
{
    for (int side = 0; side < 2; side++) {
        tuff_tensor *sparse = add->in[side], *dense = add->in[1 - side];
        tuff_node *source = sparse->producer;
        if (!source || source->op != TUFF_OP_embedding_backward || !is_zero_fill(source->in[0])) continue;
        if (dense->storage->kind != TUFF_TENSOR_RESULT || !tuff_tensor_contiguous(dense) ||
            dense->offset != 0)
            continue;
        if (!tuff_shape_equal(&dense->shape, &sparse->shape) ||
            !tuff_shape_equal(&dense->shape, &add->out[0]->shape))
            continue;
        if (count_uses(g, dense) != 1 || count_uses(g, sparse) != 1 || !last_use(g, dense, add)) continue;
        tuff_tensor *out = add->out[0];
        add->op = TUFF_OP_embedding_backward;
        add->in = source->in; /* the old node is dead now; its first input becomes the dense part */
        add->n_in = source->n_in;
        add->in[0] = dense;
        for (size_t i = 0; i < g->n_tensors; i++) /* the sum, and views of it */
            if (g->tensors[i]->storage == out) g->tensors[i]->storage = dense->storage;
        return true;
    }
    return false;
}

tuff_status tuff_pass_fold(tuff_graph *g, size_t *changes)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i]->op == TUFF_OP_add) *changes += fold_sparse_add(g, g->nodes[i]);
    return TUFF_OK;
}

static bool touches(const tuff_node *node, const tuff_tensor *storage)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && node->in[i]->storage == storage) return true;
    for (int o = 0; o < node->n_out; o++)
        if (node->out[o]->storage == storage) return true;
    return false;
}

/* The node behind which an accumulate may stand: the one that makes its addend (unless that may move too);
 * itself where something between needs the accumulator as it was. */
static uint32_t earliest(const tuff_graph *g, const tuff_node *node)
{
    if (node->op != TUFF_OP_accumulate) return node->id;
    const tuff_tensor *accumulator = node->in[0], *addend = node->in[1];
    if (!addend->producer) return node->id;
    if (addend->producer->op == TUFF_OP_accumulate) return node->id;
    uint32_t at = addend->producer->id;
    for (uint32_t i = at + 1; i < node->id; i++)
        if (touches(g->nodes[i], accumulator->storage)) return node->id;
    return at;
}

/* Moves accumulates up to where their addend is made, so that the gradients of a whole model never live
 * together. */
tuff_status tuff_pass_hoist(tuff_graph *g, size_t *changes)
{
    const uint32_t none = UINT32_MAX;
    uint32_t n = (uint32_t)g->n_nodes;
    uint32_t *first = tuff_alloc_array(n, sizeof *first); /* of those to stand behind a node */
    uint32_t *next = tuff_alloc_array(n, sizeof *next);
    tuff_node **nodes = tuff_alloc_array(n, sizeof *nodes);
    bool ok = first && next && nodes;
    for (uint32_t i = 0; ok && i < n; i++)
        first[i] = next[i] = none;
    for (uint32_t i = n; ok && i-- > 0;) {
        uint32_t at = earliest(g, g->nodes[i]);
        if (at == i) continue;
        next[i] = first[at];
        first[at] = i;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; ok && i < n; i++) {
        if (earliest(g, g->nodes[i]) != i) continue;
        nodes[count++] = g->nodes[i];
        for (uint32_t k = first[i]; k != none; k = next[k])
            nodes[count++] = g->nodes[k];
    }
    for (uint32_t i = 0; ok && i < n; i++) {
        *changes += nodes[i]->id > i && nodes[i]->op == TUFF_OP_accumulate;
        g->nodes[i] = nodes[i];
        g->nodes[i]->id = i;
    }
    tuff_free(first);
    tuff_free(next);
    tuff_free(nodes);
    return ok ? TUFF_OK : tuff_fail_memory("rewriting a graph");
}
