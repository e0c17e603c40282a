/* Mixed precision: products round their operands, where the graph asks for it. Their sums and results are
 * f32, and so is all else; what was made to stay as it is stays so. */
#include "ir/rewrite.h"

static bool is_product(tuff_op op)
{
    return op == TUFF_OP_matmul || op == TUFF_OP_matmul_grouped || op == TUFF_OP_matmul_grouped_weights;
}

tuff_status tuff_pass_precision(tuff_graph *g, size_t *changes)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        tuff_node *node = g->nodes[i];
        if (!is_product(node->op) || node->attrs.matmul.settled || node->attrs.matmul.operands == g->operands)
            continue;
        node->attrs.matmul.operands = g->operands;
        ++*changes;
    }
    return TUFF_OK;
}
