/* The rules of a graph, checked before planning: order, arity, storage ranges, and that nobody reads a tensor
 * whose memory has since been overwritten in place. */
#include <string.h>

#include "ir/op.h"

static tuff_status check_range(const tuff_tensor *x)
{
    int64_t low = x->offset, high = x->offset;
    for (int i = 0; i < x->shape.rank; i++) {
        if (x->shape.dim[i] < 1)
            return tuff_fail(TUFF_INTERNAL, "graph: tensor %u has shape %s", x->id,
                             tuff_shape_text(&x->shape));
        int64_t reach = (x->shape.dim[i] - 1) * x->stride[i];
        *(reach < 0 ? &low : &high) += reach;
    }
    const tuff_tensor *root = x->storage;
    if (root->storage != root || root->dtype != x->dtype || low < 0 || high >= tuff_tensor_count(root))
        return tuff_fail(TUFF_INTERNAL, "graph: tensor %u %s reaches outside its storage %s", x->id,
                         tuff_shape_text(&x->shape), tuff_shape_text(&root->shape));
    return TUFF_OK;
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
                info->name, node->id, *x->storage->name ? x->storage->name : "a tensor", writer->name,
                written - 1, writer->name);
        }
    }
    for (int o = 0; o < node->n_out; o++) {
        const tuff_tensor *x = node->out[o];
        TUFF_TRY(check_range(x));
        if (x->storage == x || info->is_view) continue;
        if (x->storage->kind == TUFF_TENSOR_INPUT)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "%s would overwrite the input %s; only variables and results can be "
                             "updated in place",
                             info->name, x->storage->name);
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
