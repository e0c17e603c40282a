#include "ir/graph.h"

#include <stdio.h>
#include <string.h>

#include "ir/dtype.h"
#include "ir/op.h"

/* of a tensor, so that its bytes and what kernels compute of them never overflow */
static const int64_t most_elements = (int64_t)1 << 56;
/* 512 rows of GPT-2's logits: each chunk adds to the table's gradient, which is read and written for it */
static const int64_t wide_bytes = (int64_t)128 << 20;

tuff_status tuff_graph_create(tuff_graph **out_graph)
{
    TUFF_NEED(out_graph);
    *out_graph = tuff_alloc(sizeof(tuff_graph));
    if (!*out_graph) return tuff_fail_memory("a graph");
    (*out_graph)->wide_bytes = wide_bytes;
    return TUFF_OK;
}

void tuff_graph_destroy(tuff_graph **graph)
{
    if (!graph) return;
    tuff_graph *g = *graph;
    if (!g) return;
    tuff_arena_free(&g->arena);
    tuff_free(g->tensors);
    tuff_free(g->nodes);
    tuff_map_free(&g->leaves);
    tuff_free(g);
    *graph = NULL;
}

/* Keeps the thread's present error as the graph's, unless it has one. */
static tuff_tensor *remember(tuff_graph *g, tuff_status status)
{
    if (g->status == TUFF_OK) {
        g->status = status;
        g->message = tuff_arena_strdup(&g->arena, tuff_error_message());
    }
    return NULL;
}

tuff_tensor *tuff_graph_fail(tuff_graph *g, tuff_status status, const char *format, ...)
{
    if (g && g->status != TUFF_OK) return NULL;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    status = tuff_fail(status, "%s", text);
    return g ? remember(g, status) : NULL;
}

/* Whether builders do anything: there is a graph, and it has not failed. */
static bool is_open(tuff_graph *g)
{
    if (!g) tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "a builder was called without a graph");
    return g && g->status == TUFF_OK;
}

bool tuff_graph_owns(tuff_graph *g, const tuff_tensor *x)
{
    if (x->id < g->n_tensors && g->tensors[x->id] == x) return true;
    tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                    "a tensor of shape %s belongs to another graph than the one that it is used in",
                    tuff_shape_text(&x->shape));
    return false;
}

tuff_status tuff_graph_status(const tuff_graph *g)
{
    TUFF_NEED(g);
    if (g->status == TUFF_OK) return TUFF_OK;
    return tuff_fail(g->status, "%s", g->message ? g->message : "out of memory while building a graph");
}

static tuff_tensor *new_tensor(tuff_graph *g, tuff_tensor_kind kind)
{
    tuff_tensor *x = tuff_arena_alloc(&g->arena, sizeof *x);
    if (!x || !tuff_grow((void **)&g->tensors, g->n_tensors, &g->tensors_capacity, sizeof *g->tensors))
        return remember(g, tuff_fail_memory("a tensor of a graph"));
    x->kind = kind;
    x->storage = x;
    x->name = "";
    x->shape = tuff_shape_of(0, NULL);
    x->id = (uint32_t)g->n_tensors;
    g->tensors[g->n_tensors++] = x;
    return x;
}

tuff_tensor *tuff_graph_leaf(const tuff_graph *g, const char *name)
{
    uint32_t i;
    return tuff_map_get(&g->leaves, name, strlen(name), &i) ? g->tensors[i] : NULL;
}

static tuff_tensor *leaf(tuff_graph *g, tuff_tensor_kind kind, const char *name, tuff_dtype dtype, int rank,
                         const int64_t *dims)
{
    if (!is_open(g)) return NULL;
    if (!name || !*name) return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "a leaf of a graph needs a name");
    if (rank < 0 || rank > TUFF_MAX_RANK || (unsigned)dtype >= TUFF_DTYPE_COUNT)
        return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "%s: rank %d or dtype %d is out of range", name,
                               rank, (int)dtype);
    if (!dims && rank > 0)
        return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "%s: dims is NULL, and the rank is %d", name, rank);
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 1 || __builtin_mul_overflow(count, dims[i], &count) || count > most_elements)
            return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                                   "%s: axis %d has length %lld, expected at least 1 and a "
                                   "tensor that fits memory",
                                   name, i, (long long)dims[i]);
    if (tuff_dtype_is_block(dtype) && kind != TUFF_TENSOR_VARIABLE)
        return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "%s: inputs are no %s; only variables are", name,
                               tuff_dtype_name(dtype));
    if (rank == 0 ? tuff_dtype_is_block(dtype) : dims[rank - 1] % tuff_dtype_block(dtype) != 0)
        return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT,
                               "%s: rows of %s are whole blocks of %u elements, but they have %lld", name,
                               tuff_dtype_name(dtype), tuff_dtype_block(dtype),
                               rank == 0 ? 1LL : (long long)dims[rank - 1]);
    if (tuff_graph_leaf(g, name))
        return tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "two leaves of a graph are called \"%s\"", name);
    tuff_tensor *x = new_tensor(g, kind);
    if (!x) return NULL;
    x->dtype = dtype;
    x->shape = tuff_shape_of(rank, dims);
    tuff_contiguous_strides(&x->shape, x->stride);
    x->name = tuff_arena_strdup(&g->arena, name);
    if (!x->name || !tuff_map_put(&g->leaves, name, strlen(name), x->id))
        return remember(g, tuff_fail_memory("a tensor's name"));
    return x;
}

tuff_tensor *tuff_input(tuff_graph *g, const char *name, tuff_dtype dtype, int rank, const int64_t *dims)
{
    return leaf(g, TUFF_TENSOR_INPUT, name, dtype, rank, dims);
}

tuff_tensor *tuff_variable(tuff_graph *g, const char *name, tuff_dtype dtype, int rank, const int64_t *dims)
{
    return leaf(g, TUFF_TENSOR_VARIABLE, name, dtype, rank, dims);
}

void tuff_output(tuff_graph *g, const char *name, tuff_tensor *x)
{
    if (!is_open(g)) return;
    if (!x || !name || !*name) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "an output needs a tensor and a name");
        return;
    }
    if (!tuff_graph_owns(g, x)) return;
    for (size_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i]->output_name && strcmp(g->tensors[i]->output_name, name) == 0) {
            tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "two outputs of a graph are called \"%s\"", name);
            return;
        }
    /* the readback copies whole storages of one name: leaves, views, in-place results and what has a name
     * already get one of their own */
    if (x->storage != x || x->kind != TUFF_TENSOR_RESULT || x->output_name) x = tuff_copy(g, x, x->dtype);
    if (!x) return;
    x->output_name = tuff_arena_strdup(&g->arena, name);
    if (!x->output_name) remember(g, tuff_fail_memory("an output's name"));
}

void tuff_set_name(tuff_graph *g, tuff_tensor *x, const char *name)
{
    if (!is_open(g)) return;
    if (!x || !name) {
        tuff_graph_fail(g, TUFF_INVALID_ARGUMENT, "a name needs a tensor and a text");
        return;
    }
    if (!tuff_graph_owns(g, x) || x->kind != TUFF_TENSOR_RESULT) return;
    x->name = tuff_arena_strdup(&g->arena, name);
    if (!x->name) {
        x->name = "";
        remember(g, tuff_fail_memory("a tensor's name"));
    }
}

static void make_in_place(tuff_tensor *out, tuff_tensor *in)
{
    out->dtype = in->dtype;
    out->shape = in->shape;
    memcpy(out->stride, in->stride, sizeof out->stride);
    out->offset = in->offset;
    out->storage = in->storage;
}

static tuff_status make_outputs(tuff_graph *g, tuff_node *node, int n)
{
    node->out = tuff_arena_array(&g->arena, (size_t)n, sizeof *node->out);
    if (!node->out) return tuff_fail_memory("a node of a graph");
    node->n_out = n;
    for (int i = 0; i < n; i++) {
        tuff_tensor *x = new_tensor(g, TUFF_TENSOR_RESULT);
        if (!x) return TUFF_OUT_OF_MEMORY;
        x->producer = node;
        x->output_index = i;
        node->out[i] = x;
    }
    return TUFF_OK;
}

tuff_status tuff_infer_in_place(tuff_graph *g, tuff_node *node, const int *in_place_of, int n)
{
    TUFF_TRY(make_outputs(g, node, n));
    for (int i = 0; i < n; i++)
        make_in_place(node->out[i], node->in[in_place_of[i]]);
    return TUFF_OK;
}

/* Views of small tensors can be of any size (strides of 0), so shapes are held to what can be counted. */
static tuff_status check_sizes(const tuff_node *node)
{
    for (int o = 0; o < node->n_out; o++) {
        const tuff_shape *shape = &node->out[o]->shape;
        int64_t count = 1;
        for (int i = 0; i < shape->rank; i++)
            if (__builtin_mul_overflow(count, shape->dim[i], &count) || count > most_elements)
                return tuff_fail(TUFF_INVALID_ARGUMENT,
                                 "%s: a result of shape %s is too large for any memory",
                                 tuff_op_name(node->op), tuff_shape_text(shape));
    }
    return TUFF_OK;
}

static tuff_status build(tuff_graph *g, tuff_op op, tuff_tensor *const *in, int n_in, const tuff_attrs *attrs,
                         tuff_node **out_node)
{
    const tuff_op_info *info = tuff_op_info_of(op);
    bool variadic = info->max_in == TUFF_VARIADIC;
    if (n_in < info->min_in || n_in > info->max_in)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %d inputs given, expected at least %d", info->name, n_in,
                         info->min_in);
    for (int i = 0; i < n_in; i++)
        if (!in[i] && (i < info->min_in || variadic))
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: input %d is missing", info->name, i);
    for (int i = 0; i < n_in; i++)
        if (in[i] && !tuff_graph_owns(g, in[i])) return tuff_note(g->status, "%s", info->name);

    tuff_node *node = tuff_arena_alloc(&g->arena, sizeof *node);
    int slots = variadic ? n_in : info->max_in;
    if (node) node->in = tuff_arena_array(&g->arena, (size_t)(slots ? slots : 1), sizeof *node->in);
    if (!node || !node->in ||
        !tuff_grow((void **)&g->nodes, g->n_nodes, &g->nodes_capacity, sizeof *g->nodes))
        return tuff_fail_memory("a node of a graph");
    node->op = op;
    node->n_in = slots;
    for (int i = 0; i < n_in; i++)
        node->in[i] = in[i];
    if (attrs) node->attrs = *attrs;

    TUFF_TRY(make_outputs(g, node, info->n_out));
    for (int i = 0; i < info->n_out; i++)
        if (info->in_place[i]) make_in_place(node->out[i], node->in[info->in_place[i] - 1]);
    TUFF_TRY(info->infer(g, node));
    TUFF_TRY(check_sizes(node));
    for (int i = 0; i < node->n_out; i++)
        if (!info->is_view && node->out[i]->storage == node->out[i])
            tuff_contiguous_strides(&node->out[i]->shape, node->out[i]->stride);
    node->id = (uint32_t)g->n_nodes;
    g->nodes[g->n_nodes++] = node;
    *out_node = node;
    return TUFF_OK;
}

tuff_tensor *tuff_graph_node(tuff_graph *g, tuff_op op, tuff_tensor *const *in, int n_in,
                             const tuff_attrs *attrs)
{
    if (!is_open(g)) return NULL;
    tuff_node *node = NULL;
    tuff_status status = build(g, op, in, n_in, attrs, &node);
    return status == TUFF_OK ? node->out[0] : remember(g, status);
}
