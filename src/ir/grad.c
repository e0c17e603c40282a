/* Reverse-mode differentiation: walks the graph backwards; accumulation and broadcast sums are in this one
 * place. */
#include <string.h>

#include "ir/op.h"

typedef struct walk {
    tuff_graph *g;
    bool *depends;       /* by tensor id: a function of some wrt tensor */
    tuff_tensor **grads; /* by tensor id */
    size_t n;            /* tensors when the walk began */
} walk;

static tuff_tensor *sum_to_shape(tuff_graph *g, tuff_tensor *d, const tuff_shape *shape)
{
    if (tuff_shape_equal(&d->shape, shape)) return d;
    unsigned axes = 0;
    int extra = d->shape.rank - shape->rank;
    for (int i = 0; i < d->shape.rank; i++)
        if (i < extra || (shape->dim[i - extra] == 1 && d->shape.dim[i] != 1)) axes |= 1u << i;
    if (axes) d = tuff_sum(g, d, axes, true);
    return tuff_reshape(g, d, shape->rank, shape->dim);
}

static void accumulate(walk *w, tuff_tensor *x, tuff_tensor *d)
{
    d = sum_to_shape(w->g, d, &x->shape);
    tuff_tensor **slot = &w->grads[x->id];
    *slot = *slot ? tuff_add(w->g, *slot, d) : d;
}

/* True when some input that depends on a wrt tensor is to receive a gradient. */
static bool wanted(const walk *w, const tuff_node *node, bool *needs)
{
    bool any = false;
    for (int i = 0; i < node->n_in; i++) {
        needs[i] = node->in[i] && node->in[i]->id < w->n && w->depends[node->in[i]->id];
        any = any || needs[i];
    }
    return any;
}

static void step_back(walk *w, const tuff_node *node, bool *needs, tuff_tensor **d_out, tuff_tensor **d_in)
{
    bool reached = false;
    for (int o = 0; o < node->n_out; o++) {
        d_out[o] = w->grads[node->out[o]->id];
        reached = reached || d_out[o];
    }
    if (!reached || !wanted(w, node, needs)) return;
    const tuff_op_info *info = tuff_op_info_of(node->op);
    if (!info->backward) {
        tuff_graph_fail(w->g, TUFF_UNSUPPORTED,
                        "the gradient passes through %s (%s %s), which has no backward rule", info->name,
                        node->out[0]->name, tuff_shape_text(&node->out[0]->shape));
        return;
    }
    memset(d_in, 0, (size_t)node->n_in * sizeof *d_in);
    info->backward(w->g, node, d_out, needs, d_in);
    for (int i = 0; i < node->n_in && w->g->status == TUFF_OK; i++)
        if (needs[i] && d_in[i]) accumulate(w, node->in[i], d_in[i]);
}

/* `first` is the gradient of the loss itself. */
static void run(walk *w, tuff_tensor *loss, tuff_tensor *first, tuff_tensor *const *wrt, size_t n,
                tuff_tensor **out_grads)
{
    tuff_graph *g = w->g;
    size_t n_nodes = g->n_nodes;
    for (size_t i = 0; i < n; i++) {
        if (wrt[i]->dtype != TUFF_F32) {
            tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                            "the gradient of %s is asked for, but it is stored as %s; only f32 "
                            "tensors have gradients",
                            wrt[i]->name, tuff_dtype_name(wrt[i]->dtype));
            return;
        }
        w->depends[wrt[i]->id] = true;
    }
    int widest_in = 1, widest_out = 1;
    for (size_t i = 0; i < n_nodes; i++) {
        const tuff_node *node = g->nodes[i];
        bool any = false;
        for (int k = 0; k < node->n_in; k++)
            any = any || (node->in[k] && w->depends[node->in[k]->id]);
        for (int k = 0; k < node->n_out; k++)
            if (any && !node->out[k]->detached && tuff_dtype_is_float(node->out[k]->dtype))
                w->depends[node->out[k]->id] = true;
        if (node->n_in > widest_in) widest_in = node->n_in;
        if (node->n_out > widest_out) widest_out = node->n_out;
    }
    bool *needs = tuff_arena_array(&g->arena, (size_t)widest_in, sizeof *needs);
    tuff_tensor **d_in = tuff_arena_array(&g->arena, (size_t)widest_in, sizeof *d_in);
    tuff_tensor **d_out = tuff_arena_array(&g->arena, (size_t)widest_out, sizeof *d_out);
    if (!needs || !d_in || !d_out) {
        tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while differentiating a graph");
        return;
    }
    w->grads[loss->id] =
        first ? sum_to_shape(g, first, &loss->shape) : tuff_fill(g, 1.0, loss->shape.rank, loss->shape.dim);
    for (size_t i = n_nodes; i-- > 0 && g->status == TUFF_OK;)
        step_back(w, g->nodes[i], needs, d_out, d_in);
    for (size_t i = 0; i < n && g->status == TUFF_OK; i++)
        if (!w->grads[wrt[i]->id])
            tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                            "the gradient of %s is asked for, but the loss does not depend on it",
                            *wrt[i]->name ? wrt[i]->name : "an unnamed tensor");
    for (size_t i = 0; i < n && g->status == TUFF_OK; i++)
        out_grads[i] = w->grads[wrt[i]->id];
}

void tuff_graph_grad(tuff_graph *g, tuff_tensor *loss, tuff_tensor *const *wrt, size_t n,
                     tuff_tensor **out_grads)
{
    tuff_graph_grad_of(g, loss, NULL, wrt, n, out_grads);
}

void tuff_graph_grad_of(tuff_graph *g, tuff_tensor *loss, tuff_tensor *factor, tuff_tensor *const *wrt,
                        size_t n, tuff_tensor **out_grads)
{
    for (size_t i = 0; i < n && out_grads; i++)
        out_grads[i] = NULL;
    if (!g || (n > 0 && (!wrt || !out_grads))) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "gradients need a graph, tensors and a place for results");
        return;
    }
    if (g->status != TUFF_OK) return;
    if (!loss || loss->dtype != TUFF_F32 || tuff_tensor_count(loss) != 1) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "gradients need a loss of one f32 element, found %s",
                        loss ? tuff_shape_text(&loss->shape) : "none");
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (!wrt[i]) {
            tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "gradient %zu is asked of no tensor", i);
            return;
        }
    bool owned = tuff_graph_owns(g, loss) && (!factor || tuff_graph_owns(g, factor));
    for (size_t i = 0; i < n && owned; i++)
        owned = tuff_graph_owns(g, wrt[i]);
    if (!owned) return;
    walk w = {.g = g, .n = g->n_tensors};
    w.depends = tuff_alloc_array(w.n, sizeof *w.depends);
    w.grads = tuff_alloc_array(w.n, sizeof *w.grads);
    if (w.depends && w.grads)
        run(&w, loss, factor, wrt, n, out_grads);
    else
        tuff_graph_fail(g, TUFF_OUT_OF_MEMORY, "out of host memory while differentiating a graph");
    tuff_free(w.depends);
    tuff_free(w.grads);
}
