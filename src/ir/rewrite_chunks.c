/* Heads over wide vocabularies: the logits of a batch, and their gradient, are made for some rows at a time,
 * so that those of all rows never exist. The product that makes them, what is done to each row on the way to
 * cross-entropy, and what reads the gradient, are a region of the graph; it is copied once for each chunk of
 * rows. What comes out of it is then put together: rows side by side, sums (the loss, the gradient of the
 * table) added up in the order of the chunks. Where the gradient waits for the losses of all rows, as with
 * preferences, the logits are made twice. */
#include <string.h>

#include "ir/op.h"
#include "ir/rewrite.h"

enum {
    LEAST_ROWS = 128, /* of a chunk: fewer keep no device busy */
    ROUND_ROWS = 64,  /* chunks but the last are multiples of this, as tiles are */
    MOST_INPUTS = 8   /* of a node of the region */
};

/* What a chunk has of a tensor of the region. */
typedef enum part {
    OUTSIDE, /* it is none of it */
    WIDE,    /* a chunk of rows of [rows, classes]: exists in chunks only */
    WIDE_T,  /* the same, transposed */
    NARROW,  /* a chunk of rows, of few elements each */
    SUMMED,  /* a sum over the chunk's rows */
    INNER    /* as NARROW, for the region only */
} part;

typedef struct region {
    tuff_graph *g;
    size_t n_tensors, n_nodes; /* when it was looked for */
    uint8_t *part;             /* by tensor id */
    bool *inside;              /* by node id */
    uint8_t *early;       /* by node id: the stage before which it comes, though the graph has it later */
    tuff_tensor **now;    /* by tensor id: of this chunk */
    tuff_tensor ***parts; /* by tensor id: what is put together, one of each chunk; of sums: all but the
                             last chunk's, and that */
    uint32_t first;       /* node: where the first stage stands */
    uint32_t turn;        /* where the second one does; n_nodes: there is none */
    int64_t rows, classes;
    int64_t size, n_chunks; /* of rows; the last chunk may be smaller */
} region;

static part part_of(const region *r, const tuff_tensor *x)
{
    return x && x->id < r->n_tensors ? (part)r->part[x->id] : OUTSIDE;
}

static bool is_wide(const region *r, const tuff_tensor *x)
{
    part p = part_of(r, x);
    return p == WIDE || p == WIDE_T;
}

static bool is_matrix(const tuff_tensor *x, int64_t rows, int64_t columns)
{
    return x->shape.rank == 2 && x->shape.dim[0] == rows && x->shape.dim[1] == columns;
}

/* ---- which nodes are of the region */

/* The axis along which a chunk takes its part of what is made outside; -1: it takes all of it. */
static int cut_axis(const region *r, const tuff_node *node, int operand)
{
    switch (node->op) {
    case TUFF_OP_matmul:
        if (operand == 1) return part_of(r, node->in[0]) == WIDE_T ? 0 : -1;
        return is_wide(r, node->in[1]) ? 1 : 0;
    case TUFF_OP_cross_entropy:
    case TUFF_OP_cross_entropy_rows:
        return operand == 1 ? 0 : -1; /* the labels */
    case TUFF_OP_cross_entropy_backward:
        return operand == 1 || (operand == 4 && node->in[4]->shape.rank == 1) ? 0 : -1;
    default:
        return -1;
    }
}

static bool set(region *r, const tuff_tensor *x, part p)
{
    if (x->output_name && p != NARROW && p != SUMMED) return false;
    r->part[x->id] = (uint8_t)p;
    return true;
}

static bool add_product(region *r, const tuff_node *node)
{
    const tuff_tensor *a = node->in[0], *b = node->in[1], *y = node->out[0];
    if (y->shape.rank != 2 || a->shape.rank != 2 || b->shape.rank != 2) return false;
    if (node->n_in > 2 && node->in[2]) return false;
    part pa = part_of(r, a), pb = part_of(r, b);
    if (pa == WIDE && pb == OUTSIDE) return set(r, y, NARROW);
    if ((pa == WIDE_T && pb == OUTSIDE) || (pa == OUTSIDE && pb == WIDE)) return set(r, y, SUMMED);
    return false;
}

/* Element by element, with what is the same for all rows. */
static bool add_elementwise(region *r, const tuff_node *node)
{
    if (!is_matrix(node->out[0], r->rows, r->classes)) return false;
    for (int k = 0; k < node->n_in; k++) {
        const tuff_tensor *x = node->in[k];
        if (part_of(r, x) == WIDE) continue;
        bool same = x->shape.rank < 2 || (x->shape.rank == 2 && x->shape.dim[0] == 1);
        if (part_of(r, x) != OUTSIDE || !same) return false;
    }
    return set(r, node->out[0], WIDE);
}

static bool add_node(region *r, const tuff_node *node)
{
    const bool rows = part_of(r, node->in[0]) == WIDE;
    switch (node->op) {
    case TUFF_OP_permute:
        return node->out[0]->shape.rank == 2 && node->attrs.permute.axes[0] == 1 &&
               set(r, node->out[0], rows ? WIDE_T : WIDE);
    case TUFF_OP_matmul:
        return add_product(r, node);
    case TUFF_OP_add:
    case TUFF_OP_sub:
    case TUFF_OP_mul:
    case TUFF_OP_scale:
    case TUFF_OP_tanh:
    case TUFF_OP_unary_backward:
        return add_elementwise(r, node);
    case TUFF_OP_sum:
        return rows && node->attrs.sum.axes == 1 && set(r, node->out[0], SUMMED);
    case TUFF_OP_argmax:
        return rows && set(r, node->out[0], NARROW);
    case TUFF_OP_cross_entropy:
        return rows && node->attrs.cross_entropy.sum && set(r, node->out[0], SUMMED) &&
               set(r, node->out[1], INNER) && set(r, node->out[2], INNER);
    case TUFF_OP_cross_entropy_rows:
        return rows && set(r, node->out[0], NARROW) && set(r, node->out[1], INNER);
    case TUFF_OP_cross_entropy_backward:
        return rows && part_of(r, node->in[2]) == INNER && part_of(r, node->in[3]) == OUTSIDE &&
               part_of(r, node->in[4]) == OUTSIDE && set(r, node->out[0], WIDE);
    default:
        return false;
    }
}

/* Marks the products that make wide tensors: those that the logits are, or are made of row by row. */
static bool find_products(region *r, const tuff_tensor *x)
{
    const tuff_node *node = x->producer;
    if (!node || r->inside[node->id]) return node != NULL;
    if (node->op == TUFF_OP_matmul) {
        if (node->in[0]->shape.rank != 2 || node->in[1]->shape.rank != 2) return false;
        if (node->n_in > 2 && node->in[2]) return false;
        r->inside[node->id] = true;
        if (node->id < r->first) r->first = node->id;
        return set(r, x, WIDE);
    }
    bool found = false;
    for (int k = 0; k < node->n_in; k++) {
        if (!node->in[k] || !is_matrix(node->in[k], r->rows, r->classes)) continue;
        if (!find_products(r, node->in[k])) return false;
        found = true;
    }
    return found;
}

/* All nodes that read wide tensors, from the first product on. */
static bool find_nodes(region *r)
{
    for (uint32_t i = r->first; i < r->n_nodes; i++) {
        const tuff_node *node = r->g->nodes[i];
        bool reads_wide = false, reads_inner = false;
        for (int k = 0; k < node->n_in; k++) {
            reads_wide = reads_wide || is_wide(r, node->in[k]);
            reads_inner = reads_inner || part_of(r, node->in[k]) == INNER;
        }
        if (!reads_wide && !reads_inner) continue;
        if (!reads_wide || node->n_in > MOST_INPUTS || !add_node(r, node)) return false;
        r->inside[i] = true;
    }
    return true;
}

/* Whether x is there before node `place`, or can be: views of what is, and single numbers, may come sooner.
 */
static bool comes_early(region *r, const tuff_tensor *x, uint32_t place, uint8_t stage)
{
    const tuff_node *node = x ? x->producer : NULL;
    if (!node || node->id < place || (r->early[node->id] && r->early[node->id] <= stage)) return true;
    const tuff_op_info *info = tuff_op_info_of(node->op);
    if (r->inside[node->id] || !(info->is_view || tuff_tensor_count(x) == 1)) return false;
    for (int o = 0; o < node->n_out; o++)
        if (info->in_place[o]) return false;
    for (int k = 0; k < node->n_in; k++)
        if (!comes_early(r, node->in[k], place, stage)) return false;
    r->early[node->id] = stage;
    return true;
}

/* The same of all that nodes `from` to before `to` of the region take from outside. */
static bool operands_come_early(region *r, uint32_t from, uint32_t to, uint32_t place, uint8_t stage)
{
    for (uint32_t i = from; i < to; i++) {
        const tuff_node *node = r->g->nodes[i];
        for (int k = 0; r->inside[i] && k < node->n_in; k++)
            if (part_of(r, node->in[k]) == OUTSIDE && !comes_early(r, node->in[k], place, stage))
                return false;
    }
    return true;
}

/* Whether all can be made chunk by chunk; else, where the gradient waits for the losses of all rows, it and
 * once more what leads to it are a second stage. */
static bool find_stages(region *r)
{
    const uint32_t end = (uint32_t)r->n_nodes;
    r->turn = end;
    if (operands_come_early(r, r->first, end, r->first, 1)) return true;
    memset(r->early, 0, r->n_nodes);
    for (uint32_t i = end; i-- > r->first;)
        if (r->inside[i] && r->g->nodes[i]->op == TUFF_OP_cross_entropy_backward) r->turn = i;
    return operands_come_early(r, r->first, r->turn, r->first, 1) &&
           operands_come_early(r, r->turn, end, r->turn, 2);
}

/* ---- cutting */

static tuff_tensor *operand_of(region *r, const tuff_node *node, int k, int64_t at, int64_t n)
{
    tuff_tensor *x = node->in[k];
    if (!x) return NULL;
    if (part_of(r, x) != OUTSIDE) return r->now[x->id];
    int axis = cut_axis(r, node, k);
    return axis < 0 ? x : tuff_slice(r->g, x, axis, at, n);
}

/* Keeps what a chunk adds to a result. */
static bool keep(region *r, const tuff_tensor *x, tuff_tensor *y, int64_t chunk)
{
    part p = part_of(r, x);
    if (p != NARROW && p != SUMMED) return true;
    tuff_tensor ***parts = &r->parts[x->id];
    if (!*parts) *parts = tuff_arena_array(&r->g->arena, (size_t)r->n_chunks, sizeof **parts);
    if (!*parts) return false;
    const bool last = chunk == r->n_chunks - 1; /* what adds it is the graph's own node */
    if (p == NARROW)
        (*parts)[chunk] = y;
    else if (chunk == 0 || last)
        (*parts)[last] = y;
    else
        (*parts)[0] = tuff_add(r->g, (*parts)[0], y);
    return true;
}

/* A chunk of the nodes up to before `to`; of those from `from` on its results are kept. */
static bool copy_for(region *r, int64_t chunk, uint32_t from, uint32_t to)
{
    const int64_t at = chunk * r->size, n = r->rows - at < r->size ? r->rows - at : r->size;
    for (uint32_t i = r->first; i < to && r->g->status == TUFF_OK; i++) {
        if (!r->inside[i]) continue;
        const tuff_node *node = r->g->nodes[i];
        tuff_tensor *in[MOST_INPUTS];
        for (int k = 0; k < node->n_in; k++)
            in[k] = operand_of(r, node, k, at, n);
        tuff_tensor *y = tuff_graph_node(r->g, node->op, in, node->n_in, &node->attrs);
        for (int o = 0; y && o < node->n_out; o++) {
            r->now[node->out[o]->id] = y->producer->out[o];
            if (i >= from && !keep(r, node->out[o], y->producer->out[o], chunk)) return false;
        }
    }
    return true;
}

/* One chunk after the other: side by side they would take as much memory as the whole. */
static bool copy_chunks(region *r, uint32_t from, uint32_t to)
{
    tuff_graph *g = r->g;
    g->turns++; /* none stands behind what comes before the first */
    for (int64_t chunk = 0; chunk < r->n_chunks; chunk++) {
        size_t first = g->n_nodes;
        if (!copy_for(r, chunk, from, to)) return false;
        g->turns++;
        for (size_t i = first; i < g->n_nodes; i++)
            g->nodes[i]->turn = g->turns;
    }
    return true;
}

/* The node becomes the one that puts the chunks' parts together. False: nothing needs it any more. */
static bool put_together(region *r, tuff_node *node)
{
    const tuff_tensor *y = node->out[0];
    part p = part_of(r, y);
    if (p != NARROW && p != SUMMED) return false;
    node->op = p == NARROW ? TUFF_OP_concat : TUFF_OP_add;
    node->attrs = (tuff_attrs){.concat = {.axis = 0}};
    node->in = r->parts[y->id];
    node->n_in = p == NARROW ? (int)r->n_chunks : 2;
    node->n_out = 1;
    return true;
}

/* The nodes of a stage in their new order: what comes early, the chunks, which are nodes `copies` to before
 * `end`, what puts them together, the rest of those from `from` to before `to`. */
static size_t arrange(region *r, uint8_t stage, size_t copies, size_t end, tuff_node **nodes)
{
    tuff_node **all = r->g->nodes;
    const uint32_t from = stage == 1 ? r->first : r->turn, to = stage == 1 ? r->turn : (uint32_t)r->n_nodes;
    size_t n = 0;
    for (uint32_t i = from; i < r->n_nodes; i++)
        if (r->early[i] == stage) nodes[n++] = all[i];
    for (size_t i = copies; i < end; i++)
        nodes[n++] = all[i];
    for (uint32_t i = from; i < to; i++)
        if (r->inside[i] && put_together(r, all[i])) nodes[n++] = all[i];
    for (uint32_t i = from; i < to; i++)
        if (!r->inside[i] && !r->early[i]) nodes[n++] = all[i];
    return n;
}

static void arrange_all(region *r, size_t second, tuff_node **nodes)
{
    tuff_graph *g = r->g;
    memcpy(nodes, g->nodes, r->first * sizeof *nodes);
    size_t n = r->first;
    n += arrange(r, 1, r->n_nodes, second, nodes + n);
    n += arrange(r, 2, second, g->n_nodes, nodes + n);
    memcpy(g->nodes, nodes, n * sizeof *nodes);
    g->n_nodes = n;
    for (size_t i = 0; i < n; i++)
        g->nodes[i]->id = (uint32_t)i;
}

static tuff_status cut(region *r)
{
    tuff_graph *g = r->g;
    const uint32_t end = (uint32_t)r->n_nodes;
    r->now = tuff_arena_array(&g->arena, r->n_tensors, sizeof *r->now);
    r->parts = tuff_arena_array(&g->arena, r->n_tensors, sizeof *r->parts);
    bool ok = r->now && r->parts && copy_chunks(r, r->first, r->turn);
    const size_t second = g->n_nodes;
    if (ok && r->turn < end) ok = copy_chunks(r, r->turn, end);
    if (!ok) return tuff_fail_memory("rewriting a graph");
    TUFF_TRY(tuff_graph_status(g));
    tuff_node **nodes = tuff_alloc_array(g->n_nodes, sizeof *nodes);
    if (!nodes) return tuff_fail_memory("rewriting a graph");
    arrange_all(r, second, nodes);
    tuff_free(nodes);
    return TUFF_OK;
}

/* How many rows a chunk has: as many as fit, in chunks of about the same size. */
static bool sizes(region *r, const tuff_tensor *logits)
{
    r->rows = logits->shape.dim[0];
    r->classes = logits->shape.dim[1];
    int64_t most = r->g->wide_bytes / (r->classes * (int64_t)sizeof(float));
    if (r->rows <= most || r->rows <= LEAST_ROWS) return false;
    most = most < LEAST_ROWS ? LEAST_ROWS : most / ROUND_ROWS * ROUND_ROWS;
    r->n_chunks = (r->rows + most - 1) / most;
    r->size = (r->rows + r->n_chunks - 1) / r->n_chunks;
    r->size = (r->size + ROUND_ROWS - 1) / ROUND_ROWS * ROUND_ROWS;
    r->n_chunks = (r->rows + r->size - 1) / r->size;
    return r->n_chunks > 1;
}

static tuff_status cut_head(tuff_graph *g, const tuff_node *loss, size_t *changes)
{
    region r = {.g = g, .n_tensors = g->n_tensors, .n_nodes = g->n_nodes, .first = UINT32_MAX};
    if (!sizes(&r, loss->in[0])) return TUFF_OK;
    r.part = tuff_alloc_array(r.n_tensors, sizeof *r.part);
    r.inside = tuff_alloc_array(r.n_nodes, sizeof *r.inside);
    r.early = tuff_alloc_array(r.n_nodes, sizeof *r.early);
    tuff_status status = TUFF_OK;
    if (!r.part || !r.inside || !r.early)
        status = tuff_fail_memory("rewriting a graph");
    else if (find_products(&r, loss->in[0]) && find_nodes(&r) && find_stages(&r)) {
        status = cut(&r);
        ++*changes;
    }
    tuff_free(r.part);
    tuff_free(r.inside);
    tuff_free(r.early);
    return status;
}

tuff_status tuff_pass_chunk(tuff_graph *g, size_t *changes)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const tuff_node *node = g->nodes[i];
        if (node->op == TUFF_OP_cross_entropy || node->op == TUFF_OP_cross_entropy_rows)
            TUFF_TRY(cut_head(g, node, changes));
    }
    return TUFF_OK;
}
