/* Attention: softmax(q k^T * scale) v, without the matrix of scores. The backward is in attention_backward.c.
 */
#include "ops/attention.h"

#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "ops/support.h"

static tuff_attention_operand operand_of(const tuff_tensor *x)
{
    return (tuff_attention_operand){x->stride[0], x->stride[1], x->stride[2], x->dtype};
}

tuff_attention_problem tuff_attention_problem_of(const tuff_node *node)
{
    const tuff_tensor *q = node->in[TUFF_ATTENTION_Q], *k = node->in[TUFF_ATTENTION_K],
                      *v = node->in[TUFF_ATTENTION_V];
    const tuff_attention_params *attrs = &node->attrs.attention;
    return (tuff_attention_problem){
        .B = q->shape.dim[0],
        .Tq = q->shape.dim[1],
        .Tk = k->shape.dim[1],
        .Hq = q->shape.dim[2],
        .Hkv = k->shape.dim[2],
        .D = q->shape.dim[3],
        .G = q->shape.dim[2] / k->shape.dim[2],
        .q = operand_of(q),
        .k = operand_of(k),
        .v = operand_of(v),
        .scale = (float)attrs->scale,
        .causal = attrs->causal,
        .window = attrs->window,
    };
}

static tuff_status expect_heads(const tuff_node *node, int i, const char *what, bool may_be_half)
{
    const tuff_tensor *x = node->in[i];
    if (x->dtype != TUFF_F32 && !(may_be_half && x->dtype == TUFF_F16))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s must be %s, but is %s", tuff_op_name(node->op), what,
                         may_be_half ? "f32 or f16" : "f32", tuff_dtype_name(x->dtype));
    if (x->shape.rank != 4)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s must be [batch, time, heads, head dim], but is %s",
                         tuff_op_name(node->op), what, tuff_shape_text(&x->shape));
    if (x->shape.dim[3] != 1 && x->stride[3] != 1)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: the last axis of %s, %s, must be contiguous; copy it first",
                         tuff_op_name(node->op), what, tuff_shape_text(&x->shape));
    return TUFF_OK;
}

tuff_status tuff_attention_expect(const tuff_node *node, int start, bool may_be_half)
{
    const tuff_tensor *q = node->in[TUFF_ATTENTION_Q], *k = node->in[TUFF_ATTENTION_K],
                      *v = node->in[TUFF_ATTENTION_V];
    TUFF_TRY(expect_heads(node, TUFF_ATTENTION_Q, "q", false));
    TUFF_TRY(expect_heads(node, TUFF_ATTENTION_K, "k", may_be_half));
    TUFF_TRY(expect_heads(node, TUFF_ATTENTION_V, "v", may_be_half));
    TUFF_TRY(tuff_expect_dtype(node, TUFF_ATTENTION_V, "v, like k,", k->dtype));
    TUFF_TRY(tuff_expect_shape(node, TUFF_ATTENTION_V, "v, like k,", &k->shape));
    const char *name = tuff_op_name(node->op);
    if (q->shape.dim[0] != k->shape.dim[0] || q->shape.dim[3] != k->shape.dim[3])
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: q %s and k %s differ in batch or head dim", name,
                         tuff_shape_text(&q->shape), tuff_shape_text(&k->shape));
    if (q->shape.dim[2] % k->shape.dim[2] != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: the heads of q, %lld, are no multiple of the heads of k and v, %lld", name,
                         (long long)q->shape.dim[2], (long long)v->shape.dim[2]);
    if (q->shape.dim[3] > TUFF_ATTENTION_MAX_DIM)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: head dim %lld is above the limit of %d", name,
                         (long long)q->shape.dim[3], TUFF_ATTENTION_MAX_DIM);
    const tuff_attention_params *attrs = &node->attrs.attention;
    if (!isfinite(attrs->scale) || attrs->window < 0 || (attrs->window > 0 && !attrs->causal))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s: the scale %g must be finite, and the window %lld at least 0 and used with causal", name,
            attrs->scale, (long long)attrs->window);
    if (node->in[start] == NULL) return TUFF_OK;
    tuff_shape slots = tuff_shape_of(1, q->shape.dim);
    TUFF_TRY(tuff_expect_dtype(node, start, "q_start", TUFF_I32));
    TUFF_TRY(tuff_expect_shape(node, start, "q_start", &slots));
    return tuff_expect_contiguous(node, start, "q_start");
}

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(tuff_attention_expect(node, TUFF_ATTENTION_START, true));
    const tuff_shape *q = &node->in[TUFF_ATTENTION_Q]->shape;
    tuff_shape lse = tuff_shape_of(3, (int64_t[]){q->dim[0], q->dim[2], q->dim[1]});
    tuff_set_out(node, 0, q, TUFF_F32);
    tuff_set_out(node, 1, &lse, TUFF_F32);
    return TUFF_OK;
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    if (d_out[1] != NULL || node->in[TUFF_ATTENTION_K]->dtype != TUFF_F32) {
        tuff_graph_fail(g, TUFF_UNSUPPORTED,
                        "attention: only its first result is differentiable, with k and v in f32");
        return;
    }
    tuff_tensor *const *in = node->in;
    tuff_tensor *first = tuff_graph_node(g, TUFF_OP_attention_backward,
                                         (tuff_tensor *[]){in[TUFF_ATTENTION_Q], in[TUFF_ATTENTION_K],
                                                           in[TUFF_ATTENTION_V], node->out[0], node->out[1],
                                                           tuff_dense(g, d_out[0]), in[TUFF_ATTENTION_START]},
                                         7, &node->attrs);
    for (int i = 0; i < 3; i++)
        if (needs[i]) d_in[i] = tuff_output_of(first, i);
}

static double dot(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    const double *start = in[TUFF_ATTENTION_START];
    double scale = node->attrs.attention.scale;
    int64_t row = p.Hkv * p.D;
    for (int64_t i = 0; i < p.B * p.Tq * p.Hq; i++) {
        int64_t b = i / (p.Tq * p.Hq), t = i / p.Hq % p.Tq, h = i % p.Hq, begin, end;
        tuff_attention_range(&p, t + (start ? (int64_t)start[b] : 0), &begin, &end);
        const double *q = in[0] + i * p.D;
        const double *k = in[1] + b * p.Tk * row + h / p.G * p.D, *v = in[2] + b * p.Tk * row + h / p.G * p.D;
        double *o = out[0] + i * p.D, max = -INFINITY, sum = 0;
        memset(o, 0, (size_t)p.D * sizeof *o);
        for (int64_t j = begin; j < end; j++) {
            double score = dot(q, k + j * row, p.D) * scale;
            max = score > max ? score : max;
        }
        for (int64_t j = begin; j < end; j++) {
            double e = exp(dot(q, k + j * row, p.D) * scale - max);
            sum += e;
            for (int64_t d = 0; d < p.D; d++)
                o[d] += e * v[j * row + d];
        }
        for (int64_t d = 0; d < p.D && begin < end; d++)
            o[d] /= sum;
        out[1][(b * p.Hq + h) * p.Tq + t] = begin < end ? max + log(sum) : -INFINITY;
    }
}

/* Query-key pairs, each costing 2 * D multiply-adds forward; causal ones are about half when all queries are
 * there. */
double tuff_attention_pairs(const tuff_attention_problem *p)
{
    double keys = (double)p->Tk;
    if (p->causal && p->Tq == p->Tk) keys /= 2;
    if (p->causal && p->window > 0 && (double)p->window < keys) keys = (double)p->window;
    return (double)(p->B * p->Hq * p->Tq) * keys;
}

static tuff_cost cost(const tuff_node *node)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    double bytes = 0;
    for (int i = 0; i < 3; i++)
        bytes += (double)tuff_tensor_bytes(node->in[i]);
    return (tuff_cost){4 * (double)p.D * tuff_attention_pairs(&p),
                       bytes + (double)tuff_tensor_bytes(node->out[0])};
}

const tuff_op_info tuff_op_attention = {
    .name = "attention",
    .min_in = 3,
    .max_in = 4,
    .n_out = 2,
    .infer = infer,
    .backward = backward,
    .reference = reference,
    .cpu = tuff_attention_cpu,
    .cpu_scratch = tuff_attention_cpu_scratch,
    .cost = cost,
    .rows = tuff_attention_rows,
    .n_rows = TUFF_ATTENTION_KERNELS,
    .batch_free = TUFF_BATCH_FREE_ROWS,
};

static tuff_tensor *unit_stride(tuff_graph *g, tuff_tensor *x)
{
    bool fits = !x || x->shape.rank != 4 || x->shape.dim[3] == 1 || x->stride[3] == 1;
    return fits ? x : tuff_copy(g, x, x->dtype);
}

tuff_tensor *tuff_attention(tuff_graph *g, tuff_tensor *q, tuff_tensor *k, tuff_tensor *v,
                            tuff_tensor *q_start, const tuff_attention_params *params)
{
    tuff_attrs attrs = {.attention = TUFF_ATTENTION_PARAMS_INIT};
    tuff_status status = TUFF_TAKE(&attrs.attention, params, TUFF_ATTENTION_PARAMS_INIT, window);
    if (status != TUFF_OK) return tuff_graph_fail(g, status, "attention: %s", tuff_error_message());
    if (q && q->shape.rank == 4 && attrs.attention.scale == 0)
        attrs.attention.scale = 1 / sqrt((double)q->shape.dim[3]);
    tuff_tensor *in[4] = {unit_stride(g, q), unit_stride(g, k), unit_stride(g, v), q_start};
    return tuff_graph_node(g, TUFF_OP_attention, in, 4, &attrs);
}
