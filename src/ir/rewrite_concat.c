/* Sums of padded parts that fill a whole become that whole at once. */
#include <string.h>

#include "ir/op.h"
#include "ir/plan.h"

/* Of one sum; deeper ones stay as they are. */
enum { MOST_PARTS = 16 };

/* The pads of a sum, by where their parts begin. */
typedef struct parts {
    const tuff_node *pad[MOST_PARTS];
    int n;
} parts;

static int64_t start_of(const tuff_node *pad)
{
    return pad->attrs.slice.start;
}

static int64_t end_of(const tuff_node *pad)
{
    return start_of(pad) + pad->in[0]->shape.dim[pad->attrs.slice.axis];
}

/* The node that made x, if x is of the whole's shape and `reader` alone looks at it, once. */
static const tuff_node *made_for(const tuff_graph *g, const tuff_tensor *x, const tuff_node *reader)
{
    if (!x->producer || x->output_name || !tuff_shape_equal(&x->shape, &reader->out[0]->shape)) return NULL;
    int uses = 0;
    for (size_t i = x->producer->id + 1; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            uses += g->nodes[i]->in[k] == x;
    return uses == 1 ? x->producer : NULL;
}

/* Collects what `sum` adds up. False: it is not of pads alone. */
static bool collect(const tuff_graph *g, const tuff_node *sum, int depth, parts *p)
{
    for (int side = 0; side < 2; side++) {
        tuff_op op = sum->in[side]->producer ? sum->in[side]->producer->op : TUFF_OP_COUNT;
        if (op != TUFF_OP_pad && op != TUFF_OP_add) return false; /* before anything is counted */
    }
    for (int side = 0; side < 2; side++) {
        const tuff_node *node = made_for(g, sum->in[side], sum);
        if (!node || depth == MOST_PARTS || p->n == MOST_PARTS) return false;
        if (node->op == TUFF_OP_add) {
            if (!collect(g, node, depth + 1, p)) return false;
            continue;
        }
        int at = p->n++;
        for (; at > 0 && start_of(p->pad[at - 1]) > start_of(node); at--)
            p->pad[at] = p->pad[at - 1];
        p->pad[at] = node;
    }
    return true;
}

/* True when no node between a pad and the sum overwrites what was padded. */
static bool lasts(const tuff_graph *g, const tuff_node *pad, const tuff_node *sum)
{
    for (uint32_t i = pad->id + 1; i < sum->id; i++) {
        const tuff_node *node = g->nodes[i];
        for (int o = 0; o < node->n_out && !tuff_op_info_of(node->op)->is_view; o++)
            if (node->out[o]->storage == pad->in[0]->storage) return false;
    }
    return true;
}

static bool fill_the_whole(const tuff_graph *g, const parts *p, const tuff_node *sum)
{
    int axis = p->pad[0]->attrs.slice.axis;
    int64_t end = 0;
    for (int i = 0; i < p->n; i++) {
        const tuff_node *pad = p->pad[i];
        if (pad->attrs.slice.axis != axis || start_of(pad) != end || !lasts(g, pad, sum)) return false;
        end = end_of(pad);
    }
    return end == sum->out[0]->shape.dim[axis];
}

tuff_status tuff_pass_join(tuff_graph *g, size_t *changes)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        tuff_node *sum = g->nodes[i];
        parts p = {.n = 0};
        if (sum->op != TUFF_OP_add || !collect(g, sum, 1, &p) || !fill_the_whole(g, &p, sum)) continue;
        tuff_tensor **in = tuff_arena_array(&g->arena, (size_t)p.n, sizeof(tuff_tensor *));
        if (!in) return tuff_fail_memory("rewriting a graph");
        for (int k = 0; k < p.n; k++)
            in[k] = p.pad[k]->in[0];
        sum->op = TUFF_OP_concat;
        sum->attrs = (tuff_attrs){.concat = {.axis = p.pad[0]->attrs.slice.axis}};
        sum->in = in;
        sum->n_in = p.n;
        ++*changes;
    }
    return TUFF_OK;
}
