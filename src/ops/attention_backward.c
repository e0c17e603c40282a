/* attention_backward(q, k, v, o, lse, d_o, segments, bias?, seed?): d_q, d_k, d_v, and
 * attention_backward_bias of the same: d_bias. Probabilities are computed again from the log-sum-exp (Dao
 * 2023); with p = exp(s - lse), delta = sum(d_o * o): d_s = p * (d_o v^T - delta). With dropout, of which the
 * mask is made again, p that give d_v and d_o v^T are masked and scaled. */
#include <math.h>
#include <string.h>

#include "ops/attention.h"
#include "ops/support.h"

static tuff_status expect(const tuff_node *node)
{
    TUFF_TRY(tuff_attention_expect(node, TUFF_ATTENTION_BACKWARD_SEGMENTS, false));
    const tuff_shape *q = &node->in[TUFF_ATTENTION_Q]->shape;
    tuff_shape lse = tuff_shape_of(2, q->dim);
    TUFF_TRY(tuff_expect_dense(node, TUFF_ATTENTION_O, "o", q));
    TUFF_TRY(tuff_expect_dense(node, TUFF_ATTENTION_LSE, "lse", &lse));
    return tuff_expect_dense(node, TUFF_ATTENTION_D_O, "d_o", q);
}

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect(node));
    for (int i = 0; i < 3; i++)
        tuff_set_out(node, i, &node->in[i]->shape, TUFF_F32);
    return TUFF_OK;
}

static tuff_status infer_bias(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(expect(node));
    if (!node->in[TUFF_ATTENTION_BACKWARD_BIAS])
        return tuff_fail(TUFF_INVALID_ARGUMENT, "attention_backward_bias: there is no bias");
    tuff_set_out(node, 0, &node->in[TUFF_ATTENTION_BACKWARD_BIAS]->shape, TUFF_F32);
    return TUFF_OK;
}

typedef struct truth {
    const tuff_attention_problem *p;
    const tuff_attention_params *attrs;
    const double *const *in;
    double *const *out;
    bool bias;
} truth;

static void add_gradients(const truth *w, const tuff_attention_query *query, int64_t key_at,
                          double probability, double d_score)
{
    int64_t D = w->p->D;
    const double *q = w->in[TUFF_ATTENTION_Q] + query->row * D, *k = w->in[TUFF_ATTENTION_K] + key_at;
    const double *d_o = w->in[TUFF_ATTENTION_D_O] + query->row * D;
    for (int64_t d = 0; d < D; d++) {
        w->out[0][query->row * D + d] += d_score * k[d];
        w->out[1][key_at + d] += d_score * q[d];
        w->out[2][key_at + d] += probability * d_o[d];
    }
}

static void differentiate(const tuff_attention_query *query, void *context)
{
    const truth *w = context;
    const tuff_attention_problem *p = w->p;
    int64_t D = p->D;
    const double *q = w->in[TUFF_ATTENTION_Q] + query->row * D, *o = w->in[TUFF_ATTENTION_O] + query->row * D;
    const double *d_o = w->in[TUFF_ATTENTION_D_O] + query->row * D;
    double delta = 0;
    for (int64_t d = 0; d < D; d++)
        delta += d_o[d] * o[d];
    for (int64_t j = query->begin; j < query->end; j++) {
        int64_t at = ((query->kv_begin + j) * p->Hkv + query->head / p->s.G) * D;
        double product = 0, d_probability = 0, slope;
        for (int64_t d = 0; d < D; d++) {
            product += q[d] * w->in[TUFF_ATTENTION_K][at + d];
            d_probability += d_o[d] * w->in[TUFF_ATTENTION_V][at + d];
        }
        double score = tuff_attention_score(p, w->attrs, w->in[TUFF_ATTENTION_BACKWARD_BIAS], query->head,
                                            j - query->position, product, &slope);
        double probability = exp(score - w->in[TUFF_ATTENTION_LSE][query->row]);
        double kept = tuff_attention_kept(&p->drop, 1 / (1 - w->attrs->dropout), query->row, j);
        double d_score = probability * (kept * d_probability - delta);
        int64_t column = j - query->position + p->zero;
        if (w->bias)
            w->out[0][query->head * p->R + (column < 0 ? 0 : column < p->R ? column : p->R - 1)] += d_score;
        else
            add_gradients(w, query, at, probability * kept, d_score * slope * w->attrs->scale);
    }
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    tuff_attention_take_seed(&p, in[TUFF_ATTENTION_BACKWARD_SEED]);
    truth w = {&p, &node->attrs.attention, in, out, node->op == TUFF_OP_attention_backward_bias};
    for (int o = 0; o < node->n_out; o++)
        memset(out[o], 0, (size_t)tuff_tensor_count(node->out[o]) * sizeof(double));
    tuff_attention_each(&p, in[TUFF_ATTENTION_BACKWARD_SEGMENTS], differentiate, &w);
}

static tuff_cost cost(const tuff_node *node)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    double bytes = 0;
    for (int i = 0; i < 3; i++)
        bytes += 2.0 * (double)tuff_tensor_bytes(node->in[i]);
    return (tuff_cost){14 * (double)p.D * tuff_attention_pairs(&p), bytes};
}

static tuff_cost cost_bias(const tuff_node *node)
{
    tuff_cost c = cost(node);
    return (tuff_cost){c.flops * 4 / 14, c.bytes / 2};
}

const tuff_op_info tuff_op_attention_backward = {
    .name = "attention_backward",
    .min_in = 7,
    .max_in = 9,
    .n_out = 3,
    .infer = infer,
    .reference = reference,
    .cpu = tuff_attention_backward_cpu,
    .cpu_scratch = tuff_attention_backward_cpu_scratch,
    .cost = cost,
    .rows = tuff_attention_backward_rows,
    .n_rows = TUFF_ATTENTION_BACKWARD_KERNELS,
};

const tuff_op_info tuff_op_attention_backward_bias = {
    .name = "attention_backward_bias",
    .min_in = 8,
    .max_in = 9,
    .n_out = 1,
    .infer = infer_bias,
    .reference = reference,
    .cpu = tuff_attention_bias_cpu,
    .cpu_scratch = tuff_attention_bias_cpu_scratch,
    .cost = cost_bias,
    .rows = tuff_attention_bias_rows,
    .n_rows = 1,
};
