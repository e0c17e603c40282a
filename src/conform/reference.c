/* The truth: a graph evaluated in double by its ops' references.
 *
 * Each version of a storage has memory of its own: a leaf, a fresh result, and an in-place result, which
 * starts as a copy of the version it updates. Views share the memory of their input, so a view taken before
 * an in-place write still sees the old values, as the graph says. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "conform/runner.h"
#include "ir/op.h"

struct tuff_truth {
    const tuff_graph *graph;
    double **memory; /* by tensor id: the version it lies in */
    bool *owned;     /* by tensor id: memory is this tensor's own */
    const tuff_tensor *
        *last;        /* by tensor id of a variable: the last tensor whose version is of its storage */
    double **scratch; /* dense copies of operands */
    size_t scratch_count;
    tuff_load load; /* as last loaded: results are shaken as leaves are */
    uint64_t seed;
};

/* Visits the elements of x in row-major order of its shape. */
static void gather(const tuff_tensor *x, const double *memory, double *out)
{
    tuff_dims4 d = tuff_tensor_dims4(x);
    for (int64_t a = 0; a < d.dim[0]; a++)
        for (int64_t b = 0; b < d.dim[1]; b++)
            for (int64_t c = 0; c < d.dim[2]; c++) {
                const double *from = memory + x->offset + a * d.stride[0] + b * d.stride[1] + c * d.stride[2];
                for (int64_t e = 0; e < d.dim[3]; e++)
                    *out++ = from[e * d.stride[3]];
            }
}

static void scatter(const tuff_tensor *x, double *memory, const double *in, bool stored)
{
    tuff_dims4 d = tuff_tensor_dims4(x);
    for (int64_t a = 0; a < d.dim[0]; a++)
        for (int64_t b = 0; b < d.dim[1]; b++)
            for (int64_t c = 0; c < d.dim[2]; c++) {
                double *to = memory + x->offset + a * d.stride[0] + b * d.stride[1] + c * d.stride[2];
                for (int64_t e = 0; e < d.dim[3]; e++) {
                    double v = *in++;
                    if (stored && x->dtype != TUFF_F32)
                        v = tuff_data_round(x->dtype, v);
                    else if (stored && fabs(v) > 0x1.ffffffp127)
                        v = isnan(v) ? v : copysign(HUGE_VAL, v);
                    to[e * d.stride[3]] = v;
                }
            }
}

static bool shaken(tuff_load load)
{
    return load == TUFF_LOAD_SHAKEN || load == TUFF_LOAD_SHAKEN_AGAIN;
}

/* Off by eps(f32), up or down. */
static double shake(double value, uint64_t seed, int64_t element, tuff_load load, uint32_t stream)
{
    bool up = tuff_philox4x32(seed, (uint64_t)element, load, stream).v[0] & 1u;
    return value * (up ? 1 + 0x1p-23 : 1 - 0x1p-23);
}

static int64_t storage_count(const tuff_tensor *x)
{
    return tuff_tensor_count(x->storage);
}

void tuff_truth_destroy(tuff_truth **truth)
{
    tuff_truth *t = *truth;
    if (t == NULL) return;
    for (size_t i = 0; t->memory != NULL && t->owned != NULL && i < t->graph->n_tensors; i++)
        if (t->owned[i]) tuff_free(t->memory[i]);
    for (size_t i = 0; t->scratch != NULL && i < t->scratch_count; i++)
        tuff_free(t->scratch[i]);
    tuff_free(t->memory);
    tuff_free(t->owned);
    tuff_free(t->last);
    tuff_free(t->scratch);
    tuff_free(t);
    *truth = NULL;
}

static bool own(tuff_truth *t, const tuff_tensor *x)
{
    t->memory[x->id] = tuff_alloc_array((size_t)storage_count(x), sizeof(double));
    t->owned[x->id] = t->memory[x->id] != NULL;
    return t->owned[x->id];
}

tuff_status tuff_truth_create(const tuff_graph *graph, tuff_truth **out_truth)
{
    *out_truth = NULL;
    tuff_truth *t = tuff_alloc(sizeof *t);
    if (t == NULL) return tuff_fail_memory("the truth of a case");
    t->graph = graph;
    t->memory = tuff_alloc_array(graph->n_tensors, sizeof *t->memory);
    t->owned = tuff_alloc_array(graph->n_tensors, sizeof *t->owned);
    t->last = tuff_alloc_array(graph->n_tensors, sizeof *t->last);
    bool ok = t->memory != NULL && t->owned != NULL && t->last != NULL;
    for (size_t i = 0; ok && i < graph->n_tensors; i++) {
        const tuff_tensor *x = graph->tensors[i];
        if (x->kind != TUFF_TENSOR_RESULT) {
            ok = own(t, x);
            t->last[x->id] = x;
        }
    }
    for (size_t i = 0; ok && i < graph->n_nodes; i++) {
        const tuff_node *node = graph->nodes[i];
        bool view = tuff_op_info_of(node->op)->is_view;
        size_t operands = (size_t)node->n_in + (size_t)node->n_out;
        if (operands > t->scratch_count) t->scratch_count = operands;
        for (int o = 0; ok && o < node->n_out; o++) {
            if (view)
                t->memory[node->out[o]->id] = t->memory[node->in[0]->id];
            else
                ok = own(t, node->out[o]);
            if (ok && node->out[o]->storage != node->out[o] && !view)
                t->last[node->out[o]->storage->id] = node->out[o];
        }
    }
    if (ok) {
        t->scratch = tuff_alloc_array(t->scratch_count, sizeof *t->scratch);
        ok = t->scratch != NULL;
    }
    if (!ok) {
        tuff_truth_destroy(&t);
        return tuff_fail_memory("the truth of a case");
    }
    *out_truth = t;
    return TUFF_OK;
}

double *tuff_truth_leaf(tuff_truth *truth, const tuff_tensor *leaf)
{
    return truth->memory[leaf->storage->id];
}

static bool dense(const tuff_tensor *x)
{
    return x->offset == 0 && tuff_tensor_contiguous(x);
}

/* The input that an in-place output updates. */
static const tuff_tensor *version_before(const tuff_node *node, const tuff_tensor *out)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] != NULL && node->in[i]->storage == out->storage) return node->in[i];
    return NULL;
}

static tuff_status evaluate(tuff_truth *t, const tuff_node *node, bool stored)
{
    const tuff_op_info *op = tuff_op_info_of(node->op);
    if (op->is_view) return TUFF_OK;
    if (op->reference == NULL) return tuff_fail(TUFF_INTERNAL, "%s has no reference in double", op->name);
    double **operands = tuff_alloc_array((size_t)node->n_in + (size_t)node->n_out, sizeof *operands);
    if (operands == NULL) return tuff_fail_memory("operands of a reference");
    double **in = operands, **out = operands + node->n_in;
    tuff_status status = TUFF_OK;
    size_t used = 0;
    for (int i = 0; i < node->n_in; i++) {
        const tuff_tensor *x = node->in[i];
        if (x == NULL) continue;
        if (dense(x)) {
            in[i] = t->memory[x->id];
            continue;
        }
        t->scratch[used] = tuff_alloc_array((size_t)tuff_tensor_count(x), sizeof(double));
        if ((in[i] = t->scratch[used]) == NULL) goto memory;
        used++;
        gather(x, t->memory[x->id], in[i]);
    }
    for (int o = 0; o < node->n_out; o++) {
        const tuff_tensor *x = node->out[o];
        if (x->storage != x) {
            const tuff_tensor *before = version_before(node, x);
            if (before != NULL)
                memcpy(t->memory[x->id], t->memory[before->id], (size_t)storage_count(x) * sizeof(double));
        }
        t->scratch[used] = tuff_alloc_array((size_t)tuff_tensor_count(x), sizeof(double));
        if ((out[o] = t->scratch[used]) == NULL) goto memory;
        used++;
    }
    op->reference(node, (const double *const *)in, out);
    for (int o = 0; o < node->n_out; o++) {
        const tuff_tensor *x = node->out[o];
        for (int64_t e = 0; shaken(t->load) && tuff_dtype_is_float(x->dtype) && e < tuff_tensor_count(x); e++)
            out[o][e] = shake(out[o][e], t->seed, e, t->load, TUFF_STREAM_CONFORM + x->id);
        scatter(x, t->memory[x->id], out[o], stored);
    }
done:
    for (size_t i = 0; i < used; i++) {
        tuff_free(t->scratch[i]);
        t->scratch[i] = NULL;
    }
    tuff_free(operands);
    return status;
memory:
    status = tuff_fail_memory("operands of a reference");
    goto done;
}

tuff_status tuff_truth_run(tuff_truth *truth, size_t n_nodes, bool stored)
{
    for (size_t i = 0; i < n_nodes; i++)
        TUFF_TRY(evaluate(truth, truth->graph->nodes[i], stored));
    return TUFF_OK;
}

void tuff_truth_read(const tuff_truth *truth, const tuff_tensor *tensor, double *out)
{
    gather(tensor, truth->memory[tensor->id], out);
}

void tuff_truth_read_final(const tuff_truth *truth, const tuff_tensor *variable, double *out)
{
    const tuff_tensor *last = truth->last[variable->storage->id];
    gather(variable, truth->memory[last->id], out);
}

void tuff_truth_load(tuff_truth *truth, const tuff_case_run *run, tuff_load load)
{
    truth->load = load;
    truth->seed = run->seed;
    for (size_t i = 0; i < run->n_leaves; i++) {
        const tuff_tensor *x = run->leaves[i].tensor;
        double *to = tuff_truth_leaf(truth, x) + x->offset;
        double least = tuff_data_min_normal(x->dtype);
        bool changes = load != TUFF_LOAD_EXACT && tuff_dtype_is_float(x->dtype);
        uint32_t stream = TUFF_STREAM_CONFORM + (uint32_t)i;
        int64_t n = tuff_tensor_count(x);
        for (int64_t e = 0; e < n; e++) {
            to[e] = run->leaves[i].values[e];
            if (!changes) continue;
            if (load == TUFF_LOAD_FLUSHED)
                to[e] = fabs(to[e]) < least ? 0.0 : to[e];
            else
                to[e] = shake(to[e], run->seed, e, load, stream);
        }
    }
}
