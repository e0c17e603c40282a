/* The rules of a graph, checked before planning: order, storage ranges, and that nobody reads a tensor whose
 * memory has since been overwritten in place. */
#include <string.h>

#include "ir/dtype.h"
#include "ir/op.h"

/* The first and the last element of its storage that a tensor can reach. */
static void reach_of(const tuff_tensor *x, int64_t *low, int64_t *high)
{
    *low = *high = x->offset;
    for (int i = 0; i < x->shape.rank; i++) {
        int64_t reach = (x->shape.dim[i] - 1) * x->stride[i];
        *(reach < 0 ? low : high) += reach;
    }
}

static bool overlap(const tuff_tensor *a, const tuff_tensor *b)
{
    if (!a || !b || a->storage != b->storage) return false;
    int64_t a_low, a_high, b_low, b_high;
    reach_of(a, &a_low, &a_high);
    reach_of(b, &b_low, &b_high);
    return a_low <= b_high && b_low <= a_high;
}

static tuff_status check_range(const tuff_tensor *x)
{
    for (int i = 0; i < x->shape.rank; i++)
        if (x->shape.dim[i] < 1)
            return tuff_fail(TUFF_INTERNAL, "graph: tensor %u has shape %s", x->id,
                             tuff_shape_text(&x->shape));
    int64_t low, high;
    reach_of(x, &low, &high);
    const tuff_tensor *root = x->storage;
    if (!tuff_tensor_whole_blocks(x))
        return tuff_fail(TUFF_INTERNAL, "graph: tensor %u %s cuts blocks of %s", x->id,
                         tuff_shape_text(&x->shape), tuff_dtype_name(x->dtype));
    if (root->storage != root || root->dtype != x->dtype || low < 0 || high >= tuff_tensor_count(root))
        return tuff_fail(TUFF_INTERNAL, "graph: tensor %u %s reaches outside its storage %s", x->id,
                         tuff_shape_text(&x->shape), tuff_shape_text(&root->shape));
    return TUFF_OK;
}

static const char *name_of(const tuff_tensor *x)
{
    return *x->storage->name ? x->storage->name : "a tensor";
}

/* What output `o` overwrites may be looked at by this node as the one input that it updates, and by nobody
 * else: work items run in any order. */
static tuff_status check_in_place(const tuff_node *node, int o)
{
    const tuff_tensor *x = node->out[o];
    const char *op = tuff_op_info_of(node->op)->name;
    if (x->storage->kind == TUFF_TENSOR_INPUT)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s would overwrite the input %s; only variables and results can be updated in place", op,
            x->storage->name);
    if (x->storage->output_name)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s would overwrite the output %s; copy it first", op,
                         x->storage->output_name);
    int readers = 0, writers = 0;
    for (int i = 0; i < node->n_in; i++)
        readers += overlap(node->in[i], x);
    for (int k = 0; k < node->n_out; k++)
        writers += overlap(node->out[k], x);
    if (readers == 1 && writers == 1) return TUFF_OK;
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "%s (node %u) updates %s in place and is also given it as another operand; copy it first", op,
        node->id, name_of(x));
}

/* version[storage id]: 1 + the node that last wrote the storage in place. */
static tuff_status check_node(const tuff_graph *g, const tuff_node *node, uint32_t *version)
{
    const tuff_op_info *info = tuff_op_info_of(node->op);
    for (int i = 0; i < node->n_in; i++) {
        const tuff_tensor *x = node->in[i];
        if (!x) continue;
        if (x->producer && x->producer->id >= node->id)
            return tuff_fail(TUFF_INTERNAL, "graph: %s (node %u) reads a tensor made after it", info->name,
                             node->id);
        uint32_t written = version[x->storage->id];
        uint32_t made = x->producer ? x->producer->id + 1 : 0;
        if (written > made) {
            const tuff_op_info *writer = tuff_op_info_of(g->nodes[written - 1]->op);
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "%s (node %u) reads %s after %s (node %u) overwrote it in place; read the result of %s instead",
                info->name, node->id, name_of(x), writer->name, written - 1, writer->name);
        }
    }
    for (int o = 0; o < node->n_out; o++) {
        const tuff_tensor *x = node->out[o];
        TUFF_TRY(check_range(x));
        if (info->is_view) continue;
        if (tuff_dtype_is_block(x->dtype))
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "%s (node %u) would make %s; results are f32, f16, bf16, i32 or u32", info->name,
                             node->id, tuff_dtype_name(x->dtype));
        if (x->storage == x) continue;
        TUFF_TRY(check_in_place(node, o));
        version[x->storage->id] = node->id + 1;
    }
    return TUFF_OK;
}

tuff_status tuff_graph_verify(const tuff_graph *g)
{
    TUFF_TRY(tuff_graph_status(g));
    uint32_t *version = tuff_alloc_array(g->n_tensors, sizeof *version);
    if (!version) return tuff_fail_memory("verifying a graph");
    tuff_status status = TUFF_OK;
    for (size_t i = 0; i < g->n_nodes && status == TUFF_OK; i++)
        status = check_node(g, g->nodes[i], version);
    tuff_free(version);
    return status;
}
