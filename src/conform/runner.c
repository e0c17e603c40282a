/* Building a case: leaves and their data, the loss over its results, gradients, and what is to be compared.
 */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "conform/runner.h"
#include "ir/dtype.h"
#include "ir/op.h"

/* Guard elements before and after each packed leaf. */
#define PACK_GAP 64

uint64_t tuff_case_seed(uint64_t seed, const char *family, const char *name)
{
    uint64_t names[3] = {seed, tuff_fnv1a(family, strlen(family)), tuff_fnv1a(name, strlen(name))};
    return tuff_fnv1a(names, sizeof names);
}

static void fail_memory(tuff_case_run *run)
{
    if (run->status == TUFF_OK) run->status = tuff_fail_memory("a conformance case");
}

/* Starts of packed leaves cycle through the element alignments 1, 2, 3 (mod 4), or as many blocks. */
static int64_t pack_start(tuff_dtype dtype, int64_t used, size_t leaf)
{
    const int64_t block = tuff_dtype_block(dtype), line = block > 64 ? block : 64;
    return (used + PACK_GAP + line - 1) / line * line + block * (1 + (int64_t)(leaf % 3));
}

static tuff_tensor *leaf_tensor(tuff_case_run *run, tuff_graph *g, tuff_dtype dtype, int rank,
                                const int64_t *dims)
{
    const tuff_packing *packing = run->options->packing;
    size_t index = run->n_leaves;
    if (packing == NULL || index >= packing->n_leaves || packing->own[index] || packing->count[dtype] == 0) {
        char name[32];
        snprintf(name, sizeof name, "leaf%zu", index);
        return tuff_variable(g, name, dtype, rank, dims);
    }
    if (run->pool[dtype] == NULL) {
        char name[32];
        snprintf(name, sizeof name, "pool_%s", tuff_dtype_name(dtype));
        run->pool[dtype] = tuff_variable(g, name, dtype, 1, &packing->count[dtype]);
    }
    tuff_shape shape = tuff_shape_of(rank, dims);
    int64_t n = tuff_shape_count(&shape), start = pack_start(dtype, run->pool_used[dtype], index);
    run->pool_used[dtype] = start + n;
    return tuff_reshape(g, tuff_slice(g, run->pool[dtype], 0, start, n), rank, dims);
}

/* Gives a leaf room for its values. */
static tuff_tensor *new_leaf(tuff_case_run *run, tuff_tensor *x)
{
    if (x == NULL) return NULL;
    if (!tuff_grow((void **)&run->leaves, run->n_leaves, &run->leaves_capacity, sizeof *run->leaves)) {
        fail_memory(run);
        return NULL;
    }
    double *values = tuff_arena_array(&run->arena, (size_t)tuff_tensor_count(x), sizeof *values);
    if (values == NULL) {
        fail_memory(run);
        return NULL;
    }
    uint8_t *blocks = NULL;
    if (tuff_dtype_is_block(x->dtype) && !(blocks = tuff_arena_alloc(&run->arena, tuff_tensor_bytes(x)))) {
        fail_memory(run);
        return NULL;
    }
    run->leaves[run->n_leaves++] = (tuff_case_leaf_info){.tensor = x, .values = values, .blocks = blocks};
    return x;
}

tuff_tensor *tuff_case_leaf(tuff_case_run *run, tuff_graph *g, tuff_dtype dtype, int rank,
                            const int64_t *dims, tuff_data data, double a, double b)
{
    uint32_t stream = TUFF_STREAM_CONFORM + (uint32_t)run->n_leaves;
    tuff_tensor *x = new_leaf(run, leaf_tensor(run, g, dtype, rank, dims));
    if (x == NULL || run->options->no_data) return x;
    tuff_case_leaf_info *leaf = &run->leaves[run->n_leaves - 1];
    if (leaf->blocks != NULL)
        tuff_data_blocks(dtype, tuff_tensor_count(x), run->seed, stream, leaf->blocks, leaf->values);
    else
        tuff_data_fill(leaf->values, tuff_tensor_count(x), dtype, data, a, b, run->seed, stream);
    return x;
}

/* The last leaf made gets these values. */
static tuff_tensor *given(tuff_case_run *run, tuff_tensor *x, const double *data)
{
    if (x == NULL) return NULL;
    double *values = run->leaves[run->n_leaves - 1].values;
    for (int64_t i = 0; i < tuff_tensor_count(x); i++)
        values[i] = tuff_data_round(x->dtype, data[i]);
    return x;
}

tuff_tensor *tuff_case_data(tuff_case_run *run, tuff_graph *g, tuff_dtype dtype, int rank,
                            const int64_t *dims, const double *data)
{
    return given(run, new_leaf(run, leaf_tensor(run, g, dtype, rank, dims)), data);
}

tuff_tensor *tuff_case_input(tuff_case_run *run, tuff_graph *g, tuff_dtype dtype, int rank,
                             const int64_t *dims, const double *data)
{
    char name[32];
    snprintf(name, sizeof name, "leaf%zu", run->n_leaves);
    return given(run, new_leaf(run, tuff_input(g, name, dtype, rank, dims)), data);
}

void tuff_case_slack(tuff_case_run *run, double times)
{
    run->slack = times;
}

void tuff_case_batch(tuff_case_run *run, int param)
{
    run->batch_param = param;
}

uint64_t tuff_case_seed_of(const tuff_case_run *run)
{
    return run->seed;
}

static tuff_case_leaf_info *find_leaf(tuff_case_run *run, const tuff_tensor *x)
{
    for (size_t i = 0; x != NULL && i < run->n_leaves; i++)
        if (run->leaves[i].tensor == x) return &run->leaves[i];
    return NULL;
}

void tuff_case_grad_bound(tuff_case_run *run, tuff_tensor *leaf, double c, double k)
{
    tuff_case_leaf_info *info = find_leaf(run, leaf);
    if (info == NULL) {
        if (leaf != NULL && run->status == TUFF_OK)
            run->status = tuff_fail(TUFF_INTERNAL,
                                    "the case asks for the gradient of a tensor that is none of its leaves");
        return;
    }
    info->grad = true;
    info->grad_c = c;
    info->grad_k = k;
}

void tuff_case_grad(tuff_case_run *run, tuff_tensor *leaf)
{
    tuff_case_grad_bound(run, leaf, 0, 0);
}

void tuff_case_grad_scale(tuff_case_run *run, tuff_tensor *leaf, double scale)
{
    tuff_case_leaf_info *info = find_leaf(run, leaf);
    if (info != NULL) info->grad_scale = scale;
}

static void add_check(tuff_case_run *run, tuff_case_check check)
{
    if (check.tensor == NULL) return; /* the graph has failed and says why */
    if (!tuff_grow((void **)&run->checks, run->n_checks, &run->checks_capacity, sizeof *run->checks)) {
        fail_memory(run);
        return;
    }
    run->checks[run->n_checks++] = check;
}

void tuff_case_result(tuff_case_run *run, tuff_tensor *y, double c, double k)
{
    add_check(run, (tuff_case_check){.tensor = y, .c = c, .k = k, .leaf = -1, .in_loss = true});
}

void tuff_case_aside(tuff_case_run *run, tuff_tensor *y, double c, double k)
{
    add_check(run, (tuff_case_check){.tensor = y, .c = c, .k = k, .leaf = -1});
}

/* The sum over all results of sum(result * weights), the weights random and fixed. */
static tuff_tensor *build_loss(tuff_case_run *run, tuff_graph *g)
{
    tuff_tensor *loss = NULL;
    for (size_t i = 0; i < run->n_results; i++) {
        if (!run->checks[i].in_loss) continue;
        tuff_tensor *y = run->checks[i].tensor;
        if (y->dtype != TUFF_F32) y = tuff_copy(g, y, TUFF_F32);
        if (y == NULL) return NULL;
        tuff_tensor *w =
            tuff_case_leaf(run, g, TUFF_F32, y->shape.rank, y->shape.dim, TUFF_DATA_NORMAL, 1, 0);
        tuff_tensor *term = tuff_mul(g, y, w);
        if (term != NULL && term->shape.rank > 0)
            term = tuff_sum(g, term, (1u << term->shape.rank) - 1, false);
        loss = loss == NULL ? term : tuff_add(g, loss, term);
        if (loss == NULL) return NULL;
    }
    return loss;
}

static void build_gradients(tuff_case_run *run, tuff_graph *g)
{
    size_t n = 0;
    double c = 4, k = 1, elements = 0;
    for (size_t i = 0; i < run->n_leaves; i++)
        n += run->leaves[i].grad;
    for (size_t i = 0; i < run->n_results; i++) {
        const tuff_case_check *check = &run->checks[i];
        if (!check->in_loss) continue;
        if (check->c > c) c = check->c;
        if (check->k > k) k = check->k;
        elements += (double)tuff_tensor_count(check->tensor);
    }
    if (n == 0) return;
    run->loss = build_loss(run, g);
    run->n_forward = g->n_nodes;
    if (run->loss == NULL) {
        if (run->status == TUFF_OK && tuff_graph_status(g) == TUFF_OK)
            run->status =
                tuff_fail(TUFF_INTERNAL, "the case asks for gradients but has no result to differentiate");
        return;
    }
    tuff_tensor **wrt = tuff_alloc_array(n, sizeof(tuff_tensor *)),
                **grads = tuff_alloc_array(n, sizeof(tuff_tensor *));
    if (wrt == NULL || grads == NULL) {
        fail_memory(run);
    } else {
        size_t at = 0;
        for (size_t i = 0; i < run->n_leaves; i++)
            if (run->leaves[i].grad) wrt[at++] = run->leaves[i].tensor;
        tuff_graph_grad(g, run->loss, wrt, n, grads);
        at = 0;
        for (size_t i = 0; i < run->n_leaves; i++) {
            const tuff_case_leaf_info *leaf = &run->leaves[i];
            if (!leaf->grad) continue;
            double products = k * elements / (double)tuff_tensor_count(leaf->tensor);
            bool own = leaf->grad_c > 0;
            add_check(run, (tuff_case_check){.tensor = grads[at++],
                                             .leaf = (int)i,
                                             .scale = leaf->grad_scale,
                                             .c = own ? leaf->grad_c : 2 * c,
                                             .k = own            ? leaf->grad_k
                                                  : products > k ? products
                                                                 : k});
        }
    }
    tuff_free(wrt);
    tuff_free(grads);
}

static bool written_in_place(const tuff_graph *g, const tuff_tensor *leaf)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        for (int o = 0; o < g->nodes[i]->n_out && !tuff_op_info_of(g->nodes[i]->op)->is_view; o++)
            if (g->nodes[i]->out[o]->storage == leaf) return true;
    return false;
}

static void mark_outputs(tuff_case_run *run, tuff_graph *g)
{
    for (size_t i = 0; i < run->n_checks; i++) {
        tuff_case_check *check = &run->checks[i];
        if (check->leaf < 0 && find_leaf(run, check->tensor) != NULL && written_in_place(g, check->tensor))
            continue;
        /* One tensor may be the gradient of several leaves. */
        check->output = check->tensor->output_name;
        if (check->output != NULL) continue;
        check->output = tuff_arena_printf(&run->arena, "%s %zu", check->leaf < 0 ? "result" : "gradient", i);
        if (check->output == NULL)
            fail_memory(run);
        else
            tuff_output(g, check->output, check->tensor);
    }
}

/* A leaf without memory leaves its operation without an input: the first cause is what counts. */
static tuff_status build_status(const tuff_case_run *run)
{
    if (run->status == TUFF_OUT_OF_MEMORY) return tuff_fail_memory("a conformance case");
    TUFF_TRY(tuff_graph_status(run->graph));
    return run->status;
}

tuff_status tuff_case_build(const tuff_case *c, const tuff_build_options *options, tuff_case_run **out_run)
{
    *out_run = NULL;
    tuff_case_run *run = tuff_alloc(sizeof *run);
    if (run == NULL) return tuff_fail_memory("a conformance case");
    *out_run = run;
    run->options = options;
    run->seed = options->seed;
    run->batch_param = -1;
    run->slack = 2;
    TUFF_TRY(tuff_graph_create(&run->graph));
    tuff_graph *g = run->graph;
    c->build(run, g, c->p);
    TUFF_TRY(build_status(run));
    run->n_results = run->n_checks;
    if (run->n_results == 0) return tuff_fail(TUFF_INTERNAL, "the case has no result");
    run->n_forward = g->n_nodes;
    if (options->backward) build_gradients(run, g);
    TUFF_TRY(build_status(run));
    mark_outputs(run, g);
    return build_status(run);
}

void tuff_case_destroy(tuff_case_run **run)
{
    if (*run == NULL) return;
    tuff_graph_destroy(&(*run)->graph);
    tuff_free((*run)->leaves);
    tuff_free((*run)->checks);
    tuff_arena_free(&(*run)->arena);
    tuff_free(*run);
    *run = NULL;
}

void tuff_case_leaf_bytes(const tuff_case_leaf_info *leaf, void *bytes)
{
    const tuff_tensor *x = leaf->tensor;
    if (leaf->blocks != NULL)
        memcpy(bytes, leaf->blocks, tuff_tensor_bytes(x));
    else
        tuff_data_encode(x->dtype, leaf->values, bytes, tuff_tensor_count(x));
}

tuff_status tuff_case_pack(const tuff_case_run *run, tuff_packing *out)
{
    *out = (tuff_packing){.n_leaves = run->n_leaves};
    out->own = tuff_alloc_array(run->n_leaves, sizeof *out->own);
    if (out->own == NULL) return tuff_fail_memory("a conformance case");
    for (size_t i = 0; i < run->n_leaves; i++) {
        const tuff_tensor *leaf = run->leaves[i].tensor;
        /* Operations in place need a variable, and final contents are read from it. */
        out->own[i] = leaf->kind == TUFF_TENSOR_INPUT || written_in_place(run->graph, leaf);
        if (!out->own[i])
            out->count[leaf->dtype] =
                pack_start(leaf->dtype, out->count[leaf->dtype], i) + tuff_tensor_count(leaf);
    }
    for (int d = 0; d < TUFF_DTYPE_COUNT; d++)
        if (out->count[d] > 0)
            out->count[d] +=
                PACK_GAP > tuff_dtype_block((tuff_dtype)d) ? PACK_GAP : tuff_dtype_block((tuff_dtype)d);
    return TUFF_OK;
}
