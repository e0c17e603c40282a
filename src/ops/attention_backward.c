/* attention_backward(q, k, v, o, lse, d_o, q_start?): d_q, d_k, d_v. Probabilities are computed again from
 * the log-sum-exp (Dao 2023); with p = exp(s - lse), delta = sum(d_o * o): d_s = p * (d_o v^T - delta). */
#include <math.h>
#include <string.h>

#include "ops/attention.h"
#include "ops/support.h"

static tuff_status infer(tuff_graph *g, tuff_node *node)
{
    (void)g;
    TUFF_TRY(tuff_attention_expect(node, TUFF_ATTENTION_BACKWARD_START, false));
    const tuff_shape *q = &node->in[TUFF_ATTENTION_Q]->shape, *k = &node->in[TUFF_ATTENTION_K]->shape;
    tuff_shape lse = tuff_shape_of(3, (int64_t[]){q->dim[0], q->dim[2], q->dim[1]});
    TUFF_TRY(tuff_expect_dense(node, TUFF_ATTENTION_O, "o", q));
    TUFF_TRY(tuff_expect_dense(node, TUFF_ATTENTION_LSE, "lse", &lse));
    TUFF_TRY(tuff_expect_dense(node, TUFF_ATTENTION_D_O, "d_o", q));
    tuff_set_out(node, 0, q, TUFF_F32);
    tuff_set_out(node, 1, k, TUFF_F32);
    tuff_set_out(node, 2, k, TUFF_F32);
    return TUFF_OK;
}

static void reference(const tuff_node *node, const double *const *in, double *const *out)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    const double *start = in[TUFF_ATTENTION_BACKWARD_START];
    double scale = node->attrs.attention.scale;
    int64_t D = p.D, row = p.Hkv * D;
    memset(out[0], 0, (size_t)(p.B * p.Tq * p.Hq * D) * sizeof(double));
    memset(out[1], 0, (size_t)(p.B * p.Tk * row) * sizeof(double));
    memset(out[2], 0, (size_t)(p.B * p.Tk * row) * sizeof(double));
    for (int64_t i = 0; i < p.B * p.Tq * p.Hq; i++) {
        int64_t b = i / (p.Tq * p.Hq), t = i / p.Hq % p.Tq, h = i % p.Hq, begin, end;
        tuff_attention_range(&p, t + (start ? (int64_t)start[b] : 0), &begin, &end);
        const double *q = in[TUFF_ATTENTION_Q] + i * D, *d_o = in[TUFF_ATTENTION_D_O] + i * D;
        double lse = in[TUFF_ATTENTION_LSE][(b * p.Hq + h) * p.Tq + t], delta = 0;
        for (int64_t d = 0; d < D; d++)
            delta += d_o[d] * in[TUFF_ATTENTION_O][i * D + d];
        for (int64_t j = begin; j < end; j++) {
            int64_t at = (b * p.Tk + j) * row + h / p.G * D;
            const double *k = in[TUFF_ATTENTION_K] + at, *v = in[TUFF_ATTENTION_V] + at;
            double score = 0, d_probability = 0;
            for (int64_t d = 0; d < D; d++) {
                score += q[d] * k[d];
                d_probability += d_o[d] * v[d];
            }
            double probability = exp(score * scale - lse);
            double d_score = probability * (d_probability - delta) * scale;
            for (int64_t d = 0; d < D; d++) {
                out[0][i * D + d] += d_score * k[d];
                out[1][at + d] += d_score * q[d];
                out[2][at + d] += probability * d_o[d];
            }
        }
    }
}

static tuff_cost cost(const tuff_node *node)
{
    tuff_attention_problem p = tuff_attention_problem_of(node);
    double bytes = 0;
    for (int i = 0; i < 3; i++)
        bytes += 2.0 * (double)tuff_tensor_bytes(node->in[i]);
    return (tuff_cost){14 * (double)p.D * tuff_attention_pairs(&p), bytes};
}

const tuff_op_info tuff_op_attention_backward = {
    .name = "attention_backward",
    .min_in = 6,
    .max_in = 7,
    .n_out = 3,
    .infer = infer,
    .reference = reference,
    .cpu = tuff_attention_backward_cpu,
    .cpu_scratch = tuff_attention_backward_cpu_scratch,
    .cost = cost,
    .rows = tuff_attention_backward_rows,
    .n_rows = TUFF_ATTENTION_BACKWARD_KERNELS,
};
