/* Cases of embedding lookup and of its gradient. */
#include "conform/case.h"

enum { MOST_IDS = 160, MOST_INDEX = 3 * MOST_IDS + 2 };

/* Ids that repeat, leave rows out and are in no order; with `outside`, some are no rows. */
static bool make_ids(const int64_t *p, int64_t n, bool outside, double *ids, double *index)
{
    int32_t whole[MOST_IDS], list[MOST_INDEX];
    for (int64_t i = 0; i < n; i++) {
        whole[i] = (int32_t)((i * i * 5 + i * 3) % p[0]);
        if (outside && i % 3 == 1) whole[i] = i % 2 ? -1 - (int32_t)i : (int32_t)(p[0] + i);
        ids[i] = whole[i];
    }
    if (tuff_embedding_index(whole, (size_t)n, list) != TUFF_OK) return false;
    for (size_t i = 0; i < tuff_embedding_index_size((size_t)n); i++)
        index[i] = list[i];
    return true;
}

/* p: table rows, columns, ids as [p[2], p[3]], dtype, 1: ids outside the table */
static void lookup(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double ids[MOST_IDS], index[MOST_INDEX];
    int64_t n = p[2] * p[3], size = (int64_t)tuff_embedding_index_size((size_t)n);
    if (!make_ids(p, n, p[5] != 0, ids, index)) return;
    tuff_tensor *table = tuff_case_leaf(run, g, (tuff_dtype)p[4], 2, p, TUFF_DATA_NORMAL, 1, 0);
    bool differentiable = p[4] == TUFF_F32 && p[5] == 0;
    if (differentiable) tuff_case_grad(run, table);
    tuff_tensor *i = tuff_case_data(run, g, TUFF_I32, 2, p + 2, ids);
    tuff_tensor *y = tuff_embedding(g, table, i, tuff_case_data(run, g, TUFF_I32, 1, &size, index));
    if (differentiable)
        tuff_case_result(run, y, 0, 1);
    else
        tuff_case_aside(run, y, 0, 1);
}

/* A table that is also the output matrix: its gradient is the sum of both uses. p[4]: its dtype; where that
 * is not f32 it has none, but what is looked up is changed by something that has. */
static void tied(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double ids[MOST_IDS], index[MOST_INDEX];
    int64_t n = p[2] * p[3], size = (int64_t)tuff_embedding_index_size((size_t)n);
    if (!make_ids(p, n, false, ids, index)) return;
    tuff_tensor *table = tuff_case_leaf(run, g, (tuff_dtype)p[4], 2, p, TUFF_DATA_NORMAL, 1, 0);
    if (p[4] == TUFF_F32) tuff_case_grad(run, table);
    tuff_tensor *x = tuff_embedding(g, table, tuff_case_data(run, g, TUFF_I32, 2, p + 2, ids),
                                    tuff_case_data(run, g, TUFF_I32, 1, &size, index));
    if (p[4] != TUFF_F32) {
        tuff_tensor *factors = tuff_case_leaf(run, g, TUFF_F32, 1, p + 1, TUFF_DATA_NORMAL, 1, 0);
        tuff_case_grad(run, factors);
        x = tuff_mul(g, x, factors);
    }
    tuff_case_result(run, tuff_matmul(g, x, tuff_transpose(g, table)), 4, (double)p[1]);
}

/* Ids outside the table add nothing to its gradient, which is an output here. */
static void gradient(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double ids[MOST_IDS], index[MOST_INDEX];
    int64_t n = p[2] * p[3], size = (int64_t)tuff_embedding_index_size((size_t)n);
    if (!make_ids(p, n, true, ids, index)) return;
    tuff_tensor *table = tuff_case_leaf(run, g, TUFF_F32, 2, p, TUFF_DATA_NORMAL, 1, 0), *d;
    tuff_tensor *y = tuff_embedding(g, table, tuff_case_data(run, g, TUFF_I32, 2, p + 2, ids),
                                    tuff_case_data(run, g, TUFF_I32, 1, &size, index));
    tuff_tensor *loss = tuff_sum(g, y, 7, false);
    tuff_graph_grad(g, loss, &table, 1, &d);
    tuff_case_aside(run, d, 0, 1); /* counts */
}

static const tuff_case cases[] = {
    {"embedding.lookup.f32.v1d1.b1n1", lookup, {1, 1, 1, 1}},
    {"embedding.lookup.f32.v7d5.b1n9", lookup, {7, 5, 1, 9}},
    {"embedding.lookup.f32.v50d33.b4n40", lookup, {50, 33, 4, 40}},
    {"embedding.lookup.f32.v9d300.b3n7", lookup, {9, 300, 3, 7}},
    {"embedding.lookup.f32.v3d64.b2n64", lookup, {3, 64, 2, 64}},
    {"embedding.lookup.f16.v11d10.b2n9", lookup, {11, 10, 2, 9, TUFF_F16}},
    {"embedding.lookup.f16.v11d7.b2n9", lookup, {11, 7, 2, 9, TUFF_F16}},
    {"embedding.lookup.bf16.v11d64.b2n9", lookup, {11, 64, 2, 9, TUFF_BF16}},
    {"embedding.lookup.bf16.v5d1.b1n9", lookup, {5, 1, 1, 9, TUFF_BF16}},
    {"embedding.lookup.f32.v7d5.b3n9.outside", lookup, {7, 5, 3, 9, TUFF_F32, 1}},
    {"embedding.lookup.bf16.v7d6.b3n9.outside", lookup, {7, 6, 3, 9, TUFF_BF16, 1}},
    {"embedding.lookup.q4_0.v11d32.b2n9", lookup, {11, 32, 2, 9, TUFF_Q4_0}},
    {"embedding.lookup.q4_1.v11d32.b2n9", lookup, {11, 32, 2, 9, TUFF_Q4_1}},
    {"embedding.lookup.q5_0.v11d32.b2n9", lookup, {11, 32, 2, 9, TUFF_Q5_0}},
    {"embedding.lookup.q5_1.v11d32.b2n9", lookup, {11, 32, 2, 9, TUFF_Q5_1}},
    {"embedding.lookup.q8_0.v11d32.b2n9", lookup, {11, 32, 2, 9, TUFF_Q8_0}},
    {"embedding.lookup.q2_k.v11d256.b2n9", lookup, {11, 256, 2, 9, TUFF_Q2_K}},
    {"embedding.lookup.q3_k.v11d256.b2n9", lookup, {11, 256, 2, 9, TUFF_Q3_K}},
    {"embedding.lookup.q4_k.v11d256.b2n9", lookup, {11, 256, 2, 9, TUFF_Q4_K}},
    {"embedding.lookup.q5_k.v11d256.b2n9", lookup, {11, 256, 2, 9, TUFF_Q5_K}},
    {"embedding.lookup.q6_k.v11d256.b2n9", lookup, {11, 256, 2, 9, TUFF_Q6_K}},
    {"embedding.lookup.iq4_nl.v11d32.b2n9", lookup, {11, 32, 2, 9, TUFF_IQ4_NL}},
    {"embedding.lookup.mxfp4.v11d32.b2n9", lookup, {11, 32, 2, 9, TUFF_MXFP4}},
    {"embedding.lookup.q6_k.v7d256.b3n9.outside", lookup, {7, 256, 3, 9, TUFF_Q6_K, 1}},
    {"embedding.tied.q6_k.v20d256.b2n9", tied, {20, 256, 2, 9, TUFF_Q6_K}},
    {"embedding.tied.f32.v20d16.b2n9", tied, {20, 16, 2, 9}},
    {"embedding.gradient.f32.v7d5.b3n9.outside", gradient, {7, 5, 3, 9}},
};

const tuff_case_family tuff_family_embedding = {"embedding", cases, sizeof cases / sizeof cases[0]};
