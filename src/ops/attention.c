/* Attention over tokens and segments: softmax(score) v, without the matrix of scores. The backwards are in
 * attention_backward.c. */
#include "ops/attention.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/structs.h"
#include "ops/support.h"

static tuff_attention_operand operand_of(const tuff_tensor *x)
{
    return (tuff_attention_operand){x->stride[0], x->stride[1], x->dtype};
}

static int segments_input(const tuff_node *node)
{
    return node->op == TUFF_OP_attention ? TUFF_ATTENTION_SEGMENTS : TUFF_ATTENTION_BACKWARD_SEGMENTS;
}

int tuff_attention_seed_input(const tuff_node *node)
{
    return node->op == TUFF_OP_attention ? TUFF_ATTENTION_SEED : TUFF_ATTENTION_BACKWARD_SEED;
}

static tuff_attention_drop drop_of(const tuff_attention_params *attrs)
{
    if (attrs->dropout == 0) return (tuff_attention_drop){0};
    return (tuff_attention_drop){.factor = (float)(1 / (1 - attrs->dropout)),
                                 .threshold = (uint32_t)(attrs->dropout * 4294967296.0),
                                 .stream = attrs->dropout_stream};
}

tuff_attention_problem tuff_attention_problem_of(const tuff_node *node)
{
    const tuff_tensor *q = node->in[TUFF_ATTENTION_Q], *k = node->in[TUFF_ATTENTION_K],
                      *v = node->in[TUFF_ATTENTION_V];
    const tuff_tensor *segments = node->in[segments_input(node)], *bias = node->in[segments_input(node) + 1];
    const tuff_attention_params *attrs = &node->attrs.attention;
    return (tuff_attention_problem){
        .s = {.S = segments->shape.dim[0],
              .N = q->shape.dim[0],
              .M = k->shape.dim[0],
              .G = q->shape.dim[1] / k->shape.dim[1],
              .left = attrs->left,
              .right = attrs->right,
              /* a training has no cache, and the way of few queries no dropout */
              .cached = k->storage->kind == TUFF_TENSOR_VARIABLE && attrs->dropout == 0},
        .Hq = q->shape.dim[1],
        .Hkv = k->shape.dim[1],
        .D = q->shape.dim[2],
        .q = operand_of(q),
        .k = operand_of(k),
        .v = operand_of(v),
        .scale = (float)attrs->scale,
        .softcap = (float)attrs->softcap,
        .R = bias ? bias->shape.dim[1] : 0,
        .zero = attrs->zero,
        .drop = drop_of(attrs),
    };
}

static tuff_status expect_heads(const tuff_node *node, int i, const char *what, bool may_be_half)
{
    const tuff_tensor *x = node->in[i];
    if (x->dtype != TUFF_F32 && !(may_be_half && x->dtype == TUFF_F16))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s must be %s, but is %s", tuff_op_name(node->op), what,
                         may_be_half ? "f32 or f16" : "f32", tuff_dtype_name(x->dtype));
    if (x->shape.rank != 3)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %s must be [tokens, heads, head dim], but is %s",
                         tuff_op_name(node->op), what, tuff_shape_text(&x->shape));
    if (x->shape.dim[2] != 1 && x->stride[2] != 1)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: the last axis of %s, %s, must be contiguous; copy it first",
                         tuff_op_name(node->op), what, tuff_shape_text(&x->shape));
    return TUFF_OK;
}

static tuff_status expect_operands(const tuff_node *node, bool may_be_half)
{
    const tuff_tensor *q = node->in[TUFF_ATTENTION_Q], *k = node->in[TUFF_ATTENTION_K];
    TUFF_TRY(expect_heads(node, TUFF_ATTENTION_Q, "q", false));
    TUFF_TRY(expect_heads(node, TUFF_ATTENTION_K, "k", may_be_half));
    TUFF_TRY(expect_heads(node, TUFF_ATTENTION_V, "v", may_be_half));
    TUFF_TRY(tuff_expect_dtype(node, TUFF_ATTENTION_V, "v, like k,", k->dtype));
    TUFF_TRY(tuff_expect_shape(node, TUFF_ATTENTION_V, "v, like k,", &k->shape));
    const char *name = tuff_op_name(node->op);
    if (q->shape.dim[2] != k->shape.dim[2])
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: q %s and k %s differ in head dim", name,
                         tuff_shape_text(&q->shape), tuff_shape_text(&k->shape));
    if (q->shape.dim[1] % k->shape.dim[1] != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: the heads of q, %lld, are no multiple of the heads of k and v, %lld", name,
                         (long long)q->shape.dim[1], (long long)k->shape.dim[1]);
    if (q->shape.dim[2] > TUFF_ATTENTION_MAX_DIM)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: head dim %lld is above the limit of %d", name,
                         (long long)q->shape.dim[2], TUFF_ATTENTION_MAX_DIM);
    return TUFF_OK;
}

static tuff_status expect_dropout(const tuff_node *node)
{
    const double p = node->attrs.attention.dropout;
    const int seed = tuff_attention_seed_input(node);
    const tuff_shape shape = {1, {3, 1, 1, 1}};
    if (!(p >= 0 && p < 1))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: dropout must be at least 0 and less than 1, but is %g",
                         tuff_op_name(node->op), p);
    if (p == 0) return TUFF_OK;
    if (!node->in[seed])
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: dropout is %g, but there is no dropout_seed",
                         tuff_op_name(node->op), p);
    TUFF_TRY(tuff_expect_dtype(node, seed, "dropout_seed", TUFF_U32));
    TUFF_TRY(tuff_expect_shape(node, seed, "dropout_seed", &shape));
    return tuff_expect_contiguous(node, seed, "dropout_seed");
}

static tuff_status expect_params(const tuff_node *node, const tuff_tensor *bias)
{
    const tuff_attention_params *attrs = &node->attrs.attention;
    const char *name = tuff_op_name(node->op);
    if (!isfinite(attrs->scale) || !isfinite(attrs->softcap) || attrs->softcap < 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: the scale %g and the softcap %g must be finite, the latter 0 or above", name,
                         attrs->scale, attrs->softcap);
    if (attrs->left < -1 || attrs->right < -1)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: left %lld and right %lld must be distances, or -1 for no limit", name,
                         (long long)attrs->left, (long long)attrs->right);
    if (bias && (attrs->zero < 0 || attrs->zero >= bias->shape.dim[1]))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: zero is %lld, but the bias %s has columns 0 to %lld",
                         name, (long long)attrs->zero, tuff_shape_text(&bias->shape),
                         (long long)bias->shape.dim[1] - 1);
    return TUFF_OK;
}

tuff_status tuff_attention_expect(const tuff_node *node, int segments, bool may_be_half)
{
    TUFF_TRY(expect_operands(node, may_be_half));
    const tuff_tensor *table = node->in[segments], *bias = node->in[segments + 1];
    const char *name = tuff_op_name(node->op);
    TUFF_TRY(tuff_expect_dtype(node, segments, "segments", TUFF_I32));
    if (table->shape.rank != 2 || table->shape.dim[1] != 4)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: segments must be [S, 4] = {q_begin, q_len, kv_begin, kv_len}, but is %s", name,
                         tuff_shape_text(&table->shape));
    if (table->kind != TUFF_TENSOR_INPUT || table->storage != table)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: segments must be made by tuff_input: the host makes work lists of them", name);
    if (bias) {
        tuff_shape shape =
            tuff_shape_of(2, (int64_t[]){node->in[TUFF_ATTENTION_Q]->shape.dim[1], bias->shape.dim[1]});
        TUFF_TRY(tuff_expect_dense(node, segments + 1, "bias [heads of q, distances]", &shape));
    }
    TUFF_TRY(expect_params(node, bias));
    return expect_dropout(node);
}

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(tuff_attention_expect(node, TUFF_ATTENTION_SEGMENTS, true));
    const tuff_shape *q = &node->in[TUFF_ATTENTION_Q]->shape;
    tuff_shape lse = tuff_shape_of(2, q->dim), heads = tuff_shape_of(1, &q->dim[1]);
    if (node->in[TUFF_ATTENTION_SINKS])
        TUFF_TRY(tuff_expect_dense(node, TUFF_ATTENTION_SINKS, "sinks [heads of q]", &heads));
    tuff_set_out(node, 0, q, TUFF_F32);
    tuff_set_out(node, 1, &lse, TUFF_F32);
    return TUFF_OK;
}

/* A sink has the probability exp(sink - lse) and no value: d_sink = -sum(probability * sum(d_o * o)). */
static tuff_tensor *sinks_gradient(tuff_graph *g, const tuff_node *node, tuff_tensor *d_o)
{
    tuff_tensor *delta = tuff_sum(g, tuff_mul(g, node->out[0], d_o), 1u << 2, false);
    tuff_tensor *probability = tuff_exp(g, tuff_sub(g, node->in[TUFF_ATTENTION_SINKS], node->out[1]));
    return tuff_scale(g, tuff_sum(g, tuff_mul(g, probability, delta), 1u << 0, false), -1);
}

static void backward(tuff_graph *g, const tuff_node *node, tuff_tensor *const *d_out, const bool *needs,
                     tuff_tensor **d_in)
{
    if (d_out[1] != NULL || node->in[TUFF_ATTENTION_K]->dtype != TUFF_F32) {
        tuff_graph_fail(g, TUFF_UNSUPPORTED,
                        "attention: only its first result is differentiable, with k and v in f32");
        return;
    }
    tuff_tensor *const *in = node->in, *d_o = tuff_dense(g, d_out[0]);
    tuff_tensor *operands[9] = {in[TUFF_ATTENTION_Q],
                                in[TUFF_ATTENTION_K],
                                in[TUFF_ATTENTION_V],
                                node->out[0],
                                node->out[1],
                                d_o,
                                in[TUFF_ATTENTION_SEGMENTS],
                                in[TUFF_ATTENTION_BIAS],
                                in[TUFF_ATTENTION_SEED]};
    if (needs[0] || needs[1] || needs[2]) {
        tuff_tensor *first = tuff_graph_node(g, TUFF_OP_attention_backward, operands, 9, &node->attrs);
        for (int i = 0; i < 3; i++)
            if (needs[i]) d_in[i] = tuff_output_of(first, i);
    }
    if (in[TUFF_ATTENTION_BIAS] && needs[TUFF_ATTENTION_BIAS])
        d_in[TUFF_ATTENTION_BIAS] =
            tuff_graph_node(g, TUFF_OP_attention_backward_bias, operands, 9, &node->attrs);
    if (in[TUFF_ATTENTION_SINKS] && needs[TUFF_ATTENTION_SINKS])
        d_in[TUFF_ATTENTION_SINKS] = sinks_gradient(g, node, d_o);
}

/* ---- the truth ---- */

double tuff_attention_score(const tuff_attention_problem *p, const tuff_attention_params *attrs,
                            const double *bias, int64_t head, int64_t distance, double product,
                            double *out_slope)
{
    double score = product * attrs->scale, slope = 1;
    if (attrs->softcap > 0) {
        double t = tanh(score / attrs->softcap);
        score = attrs->softcap * t;
        slope = 1 - t * t;
    }
    if (out_slope) *out_slope = slope;
    if (!bias) return score;
    int64_t column = distance + p->zero;
    return score + bias[head * p->R + (column < 0 ? 0 : column < p->R ? column : p->R - 1)];
}

double tuff_attention_kept(const tuff_attention_drop *drop, double factor, int64_t row, int64_t key)
{
    if (drop->factor == 0) return 1;
    const uint64_t seed = drop->seed[0] | (uint64_t)drop->seed[1] << 32,
                   position = (uint64_t)key / 4 | (uint64_t)row << 32;
    const tuff_philox r = tuff_philox4x32(seed, position, drop->seed[2], drop->stream);
    return r.v[key % 4] < drop->threshold ? 0 : factor;
}

void tuff_attention_take_seed(tuff_attention_problem *p, const double *seed)
{
    for (int i = 0; i < 3 && p->drop.factor != 0; i++)
        p->drop.seed[i] = (uint32_t)seed[i];
}

/* References read no more than this many; the suite's cases have fewer. */
enum { MOST_SEGMENTS = 1024 };

void tuff_attention_each(const tuff_attention_problem *p, const double *segments,
                         void (*fn)(const tuff_attention_query *query, void *context), void *context)
{
    tuff_segment table[MOST_SEGMENTS];
    int32_t used[MOST_SEGMENTS], by_keys[MOST_SEGMENTS];
    TUFF_ASSERT(p->s.S <= MOST_SEGMENTS);
    for (int64_t i = 0; i < p->s.S; i++)
        table[i] = (tuff_segment){(int32_t)segments[4 * i], (int32_t)segments[4 * i + 1],
                                  (int32_t)segments[4 * i + 2], (int32_t)segments[4 * i + 3]};
    int64_t with_keys, n = tuff_segments_used(&p->s, table, used, by_keys, &with_keys);
    for (int64_t i = 0; i < n; i++) {
        const tuff_segment *s = &table[used[i]];
        for (int64_t r = 0; r < s->q_len * p->Hq; r++) {
            int64_t t = r / p->Hq, h = r % p->Hq;
            tuff_attention_query query = {.token = s->q_begin + t,
                                          .head = h,
                                          .row = (s->q_begin + t) * p->Hq + h,
                                          .position = s->kv_len - s->q_len + t,
                                          .kv_begin = s->kv_begin};
            tuff_segments_keys(&p->s, s->kv_len, query.position, &query.begin, &query.end);
            fn(&query, context);
        }
    }
}

typedef struct truth {
    const tuff_attention_problem *p;
    const tuff_attention_params *attrs;
    const double *const *in;
    double *const *out;
} truth;

static double score_of(const truth *w, const tuff_attention_query *query, int64_t key)
{
    const tuff_attention_problem *p = w->p;
    const double *q = w->in[TUFF_ATTENTION_Q] + query->row * p->D, *bias = w->in[TUFF_ATTENTION_BIAS];
    const double *k =
        w->in[TUFF_ATTENTION_K] + ((query->kv_begin + key) * p->Hkv + query->head / p->s.G) * p->D;
    double sum = 0;
    for (int64_t d = 0; d < p->D; d++)
        sum += q[d] * k[d];
    return tuff_attention_score(p, w->attrs, bias, query->head, key - query->position, sum, NULL);
}

static void attend(const tuff_attention_query *query, void *context)
{
    const truth *w = context;
    int64_t D = w->p->D;
    const double *sinks = w->in[TUFF_ATTENTION_SINKS];
    double *o = w->out[0] + query->row * D;
    double max = sinks ? sinks[query->head] : -INFINITY, sum = 0;
    if (query->begin >= query->end && !sinks) return;
    for (int64_t j = query->begin; j < query->end; j++) {
        double score = score_of(w, query, j);
        max = score > max ? score : max;
    }
    if (sinks) sum = exp(sinks[query->head] - max);
    for (int64_t j = query->begin; j < query->end; j++) {
        const double *v =
            w->in[TUFF_ATTENTION_V] + ((query->kv_begin + j) * w->p->Hkv + query->head / w->p->s.G) * D;
        double e = exp(score_of(w, query, j) - max);
        sum += e;
        e *= tuff_attention_kept(&w->p->drop, 1 / (1 - w->attrs->dropout), query->row, j);
        for (int64_t d = 0; d < D; d++)
            o[d] += e * v[d];
    }
    for (int64_t d = 0; d < D; d++)
        o[d] /= sum;
    w->out[1][query->row] = max + log(sum);
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_attention_take_seed(&p, in[TUFF_ATTENTION_SEED]);
    truth w = {&p, &node->attrs.attention, in, out};
    memset(out[0], 0, (size_t)(p.s.N * p.Hq * p.D) * sizeof(double));
    for (int64_t i = 0; i < p.s.N * p.Hq; i++)
        out[1][i] = INFINITY;
    tuff_attention_each(&p, in[TUFF_ATTENTION_SEGMENTS], attend, &w);
}

/* ---- cost ---- */

/* Each pair costs 2 * D multiply-adds forward; causal ones are about half when all queries are there. */
double tuff_attention_pairs(const tuff_attention_problem *p)
{
    double keys = (double)p->s.M / (double)(p->s.S < p->s.M ? p->s.S : p->s.M);
    bool whole = p->s.N == p->s.M;
    double seen = whole && p->s.right == 0 ? keys / 2 : keys;
    if (p->s.left >= 0 && p->s.right >= 0 && (double)(p->s.left + p->s.right + 1) < seen)
        seen = (double)(p->s.left + p->s.right + 1);
    return (double)(p->Hq * p->s.N) * seen;
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
    .min_in = 4,
    .max_in = 7,
    .n_out = 2,
    .infer = infer,
    .backward = backward,
    .reference = reference,
    .cpu = tuff_attention_cpu,
    .cpu_scratch = tuff_attention_cpu_scratch,
    .cost = cost,
    .rows = tuff_attention_rows,
    .n_rows = TUFF_ATTENTION_KERNELS,
    .batch_free = TUFF_BATCH_FREE_ROWS | TUFF_BATCH_FREE_HOST,
};

static tuff_tensor *unit_stride(tuff_graph *g, tuff_tensor *x)
{
    bool fits = !x || x->shape.rank != 3 || x->shape.dim[2] == 1 || x->stride[2] == 1;
    return fits ? x : tuff_copy(g, x, x->dtype);
}

tuff_tensor *tuff_attention(tuff_graph *g, tuff_tensor *q, tuff_tensor *k, tuff_tensor *v,
                            tuff_tensor *segments, tuff_tensor *bias, tuff_tensor *sinks,
                            const tuff_attention_params *params)
{
    tuff_attrs attrs = {.attention = TUFF_ATTENTION_PARAMS_INIT};
    tuff_status status = TUFF_TAKE(&attrs.attention, params, TUFF_ATTENTION_PARAMS_INIT, zero);
    if (status != TUFF_OK) return tuff_graph_fail(g, status, "attention: %s", tuff_error_message());
    if (q && q->shape.rank == 3 && attrs.attention.scale == 0)
        attrs.attention.scale = 1 / sqrt((double)q->shape.dim[2]);
    tuff_tensor *in[7] = {unit_stride(g, q),
                          unit_stride(g, k),
                          unit_stride(g, v),
                          segments,
                          tuff_dense(g, bias),
                          tuff_dense(g, sinks),
                          attrs.attention.dropout == 0 ? NULL : attrs.attention.dropout_seed};
    attrs.attention.dropout_seed = NULL;
    return tuff_graph_node(g, TUFF_OP_attention, in, 7, &attrs);
}
