/* Sums are made where what they add was made. Products and what follows them: a factor, and a sum with a
 * tensor of the result's shape or with one row for all rows, become the product's end, where the result is in
 * registers. A sum into an accumulator goes into it. Dropout, and the gradient of a norm, end with a sum with
 * a tensor: residuals and their gradients. */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"

/* True where x is all of its storage, in its order. */
static bool is_whole(const tuff_tensor *x)
{
    return tuff_tensor_contiguous(x) && x->offset == 0 &&
           tuff_shape_count(&x->shape) == tuff_shape_count(&x->storage->shape);
}

/* The same but for leading axes of length 1. */
static bool same_dims(const tuff_tensor *x, const tuff_tensor *y)
{
    tuff_dims4 a = tuff_tensor_dims4(x), b = tuff_tensor_dims4(y);
    return memcmp(a.dim, b.dim, sizeof a.dim) == 0;
}

static bool used_once(const tuff_graph *g, const tuff_tensor *storage, const tuff_node *user)
{
    for (size_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i]->storage == storage && g->tensors[i]->output_name) return false;
    for (size_t i = storage->producer->id + 1; i < g->n_nodes; i++) {
        const tuff_node *node = g->nodes[i];
        if (tuff_op_info_of(node->op)->is_view) continue;
        int uses = 0;
        for (int k = 0; k < node->n_in; k++)
            uses += node->in[k] && node->in[k]->storage == storage;
        if (uses != (node == user)) return false;
    }
    return true;
}

/* True when no node from `from` to before `to` overwrites x. */
static bool lasts(const tuff_graph *g, const tuff_tensor *x, uint32_t from, uint32_t to)
{
    if (!x) return true;
    for (uint32_t i = from; i < to; i++) {
        const tuff_node *node = g->nodes[i];
        for (int o = 0; o < node->n_out && !tuff_op_info_of(node->op)->is_view; o++)
            if (node->out[o]->storage == x->storage) return false;
    }
    return true;
}

/* The node whose result, of the same shape as that of `node`, x is, where nobody else needs it and `node` may
 * make it instead. */
static const tuff_node *maker_of(const tuff_graph *g, const tuff_tensor *x, const tuff_node *node)
{
    const tuff_node *maker = x->storage->producer;
    if (!maker || maker->n_out != 1 || x->storage != maker->out[0]) return NULL;
    if (!is_whole(x) || !same_dims(x, maker->out[0]) || !same_dims(x, node->out[0])) return NULL;
    if (!used_once(g, x->storage, node)) return NULL;
    for (int i = 0; i < maker->n_in; i++)
        if (!lasts(g, maker->in[i], maker->id + 1, node->id)) return NULL;
    return maker;
}

static const tuff_node *product_of(const tuff_graph *g, const tuff_tensor *x, const tuff_node *node)
{
    const tuff_node *maker = maker_of(g, x, node);
    return maker && maker->op == TUFF_OP_matmul ? maker : NULL;
}

/* The same of what has an addend for its last operand, and none yet. */
static const tuff_node *adder_of(const tuff_graph *g, const tuff_tensor *x, const tuff_node *node)
{
    const tuff_node *maker = maker_of(g, x, node);
    if (!maker) return NULL;
    bool adds = maker->op == TUFF_OP_dropout || maker->op == TUFF_OP_layer_norm_backward ||
                maker->op == TUFF_OP_rms_norm_backward;
    return adds && !maker->in[maker->n_in - 1] ? maker : NULL;
}

/* `node` makes the product, with this addend and times this factor. */
static bool replace(tuff_graph *g, tuff_node *node, const tuff_node *product, tuff_tensor *addend,
                    double factor, bool into)
{
    tuff_tensor **in = tuff_arena_array(&g->arena, 3, sizeof(tuff_tensor *));
    if (!in) return false;
    in[0] = product->in[0];
    in[1] = product->in[1];
    in[2] = addend;
    node->op = TUFF_OP_matmul;
    node->attrs = product->attrs;
    node->attrs.matmul.factor *= factor;
    node->attrs.matmul.into = into;
    node->in = in;
    node->n_in = 3;
    return true;
}

/* A tensor of the result's shape, or a row that is added to each row of it. */
static bool is_addend(const tuff_tensor *x, const tuff_tensor *out)
{
    if (x->dtype != TUFF_F32 || !tuff_tensor_contiguous(x)) return false;
    tuff_dims4 a = tuff_tensor_dims4(x), b = tuff_tensor_dims4(out);
    return same_dims(x, out) || (a.dim[3] == b.dim[3] && tuff_shape_count(&x->shape) == a.dim[3]);
}

/* Where both are products, the later one takes the other as its addend. */
static tuff_status end_with_sum(tuff_graph *g, tuff_node *add, size_t *changes)
{
    const tuff_node *products[2] = {product_of(g, add->in[0], add), product_of(g, add->in[1], add)};
    int side = products[1] && (!products[0] || products[0]->id < products[1]->id);
    const tuff_node *product = products[side];
    if (!product || product->in[2] || add->in[0]->storage == add->in[1]->storage) return TUFF_OK;
    if (!is_addend(add->in[1 - side], add->out[0])) return TUFF_OK;
    if (!replace(g, add, product, add->in[1 - side], 1, false)) return tuff_fail_memory("rewriting a graph");
    ++*changes;
    return TUFF_OK;
}

/* What is not a product, of the later one where both could. */
static tuff_status add_where_made(tuff_graph *g, tuff_node *add, size_t *changes)
{
    const tuff_node *makers[2] = {adder_of(g, add->in[0], add), adder_of(g, add->in[1], add)};
    int side = makers[1] && (!makers[0] || makers[0]->id < makers[1]->id);
    const tuff_node *maker = makers[side];
    tuff_tensor *addend = add->in[1 - side];
    if (!maker || addend->storage == maker->out[0] || addend->dtype != TUFF_F32) return TUFF_OK;
    if (!tuff_tensor_contiguous(addend) || !tuff_shape_equal(&addend->shape, &maker->in[0]->shape))
        return TUFF_OK;
    tuff_tensor **in = tuff_arena_array(&g->arena, (size_t)maker->n_in, sizeof(tuff_tensor *));
    if (!in) return tuff_fail_memory("rewriting a graph");
    memcpy(in, maker->in, (size_t)maker->n_in * sizeof(tuff_tensor *));
    in[maker->n_in - 1] = addend;
    add->op = maker->op;
    add->attrs = maker->attrs;
    add->in = in;
    add->n_in = maker->n_in;
    ++*changes;
    return TUFF_OK;
}

static tuff_status end_with_factor(tuff_graph *g, tuff_node *scale, size_t *changes)
{
    const tuff_node *product = product_of(g, scale->in[0], scale);
    if (!product || product->in[2]) return TUFF_OK;
    const double factor = scale->attrs.scale.factor;
    if (!replace(g, scale, product, NULL, factor, false)) return tuff_fail_memory("rewriting a graph");
    ++*changes;
    return TUFF_OK;
}

static tuff_status end_in_accumulator(tuff_graph *g, tuff_node *accumulate, size_t *changes)
{
    const tuff_node *product = product_of(g, accumulate->in[1], accumulate);
    if (!product || product->in[2] || !is_whole(accumulate->in[0])) return TUFF_OK;
    for (int i = 0; i < 2; i++)
        if (product->in[i]->storage == accumulate->in[0]->storage) return TUFF_OK;
    if (!replace(g, accumulate, product, accumulate->in[0], 1, true))
        return tuff_fail_memory("rewriting a graph");
    ++*changes;
    return TUFF_OK;
}

tuff_status tuff_pass_ends(tuff_graph *g, size_t *changes)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        tuff_node *node = g->nodes[i];
        if (node->op == TUFF_OP_add) TUFF_TRY(end_with_sum(g, node, changes));
        if (node->op == TUFF_OP_add) TUFF_TRY(add_where_made(g, node, changes));
        if (node->op == TUFF_OP_scale) TUFF_TRY(end_with_factor(g, node, changes));
        if (node->op == TUFF_OP_accumulate) TUFF_TRY(end_in_accumulator(g, node, changes));
    }
    return TUFF_OK;
}
