/* Cases of grouped products. */
#include <math.h>

#include "conform/case.h"
#include "ir/graph.h"

enum { ROWS, N, K, GROUPS, REPEAT, LAYOUT, DTYPE, PATTERN };
/* b as it is; transposed; transposed, the middle of other rows; transposed, an element more for each group */
enum { N_N, N_T, SLICED, GAPS };
enum { MIXED, ONE, OUTSIDE, SPARSE, NONE };
enum { MOST = 9001, MOST_ELEMENTS = 8192 };

/* The groups of row * repeat + j. */
static tuff_tensor *make_order(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    static _Thread_local double groups[MOST];
    const int64_t n = p[GROUPS], places = p[ROWS] * p[REPEAT];
    if (places > MOST) return NULL;
    for (int64_t i = 0; i < places; i++) {
        groups[i] = (double)(p[PATTERN] == ONE      ? n / 2
                             : p[PATTERN] == SPARSE ? i * 7 % n / 3 * 3
                                                    : (i * i * 31 + i * 7919 + 1) % 1009 % n);
        if (p[PATTERN] == NONE || (p[PATTERN] == OUTSIDE && (i % 5 == 1 || i % 7 == 0)))
            groups[i] = i % 2 ? -1 - (double)i : (double)(n + i / 8);
    }
    tuff_tensor *x = tuff_case_data(run, g, TUFF_I32, 2, (int64_t[]){p[ROWS], p[REPEAT]}, groups);
    return tuff_group_rows(g, x, n);
}

static tuff_tensor *make_weights(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const tuff_dtype dtype = (tuff_dtype)p[DTYPE];
    const int64_t E = p[GROUPS], straight[3] = {E, p[K], p[N]}, transposed[3] = {E, p[N], p[K]},
                  more[3] = {E, p[N] + 3, p[K]}, flat[2] = {E, p[N] * p[K] + 1},
                  *dims[] = {straight, transposed, more, flat};
    tuff_tensor *b =
        tuff_case_leaf(run, g, dtype, p[LAYOUT] == GAPS ? 2 : 3, dims[p[LAYOUT]], TUFF_DATA_NORMAL, 1, 0);
    if (dtype == TUFF_F32) tuff_case_grad(run, b);
    if (p[LAYOUT] == SLICED) b = tuff_slice(g, b, 1, 1, p[N]);
    if (p[LAYOUT] == GAPS) b = tuff_reshape(g, tuff_slice(g, b, 1, 0, p[N] * p[K]), 3, transposed);
    return p[LAYOUT] == N_N ? b : tuff_transpose(g, b);
}

static void product(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *a = tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){p[ROWS], p[K]}, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, a);
    /* a sum of K products in f32: a random walk of roundings, five sigma */
    tuff_case_result(run, tuff_matmul_grouped(g, a, make_weights(run, g, p), make_order(run, g, p)), 4,
                     (double)p[K]);
    if (p[PATTERN] != ONE && p[ROWS] < MOST / 2) tuff_case_batch(run, ROWS);
}

/* Operands are rounded to bf16, those of the gradients too. */
static void rounded(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *a = tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){p[ROWS], p[K]}, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, a);
    tuff_tensor *b = make_weights(run, g, p);
    tuff_case_result(run, tuff_matmul_grouped_of(g, a, b, make_order(run, g, p), TUFF_BF16), 4, (double)p[K]);
    tuff_case_batch(run, ROWS);
}

/* Rows of a may be rounded to 8 bits, as in the cases of matmul; the gradient is exact. */
static void quantized(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *a = tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){p[ROWS], p[K]}, TUFF_DATA_NORMAL, 1, 0);
    tuff_graph_set_quantized_activations(g, true);
    tuff_case_grad_bound(run, a, 8, (double)(p[N] * p[REPEAT]));
    tuff_case_result(run, tuff_matmul_grouped(g, a, make_weights(run, g, p), make_order(run, g, p)),
                     0.08 * 0x1p23, 1);
    if (p[ROWS] * p[REPEAT] < MOST / 2) tuff_case_batch(run, ROWS);
}

/* Rows of the last group and its matrix are not finite, nor is the matrix of the first, which has no rows:
 * the others are exact, small integers, also the gradients. */
static void apart(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    static _Thread_local double a[MOST_ELEMENTS], b[MOST_ELEMENTS];
    static _Thread_local double groups[MOST];
    const double others[] = {NAN, HUGE_VAL, -HUGE_VAL};
    const int64_t E = p[GROUPS], places = p[ROWS];
    if (places * p[K] > MOST_ELEMENTS || E * p[K] * p[N] > MOST_ELEMENTS) return;
    for (int64_t i = 0; i < places; i++)
        groups[i] = (double)(1 + i * 5 % (E - 1));
    for (int64_t i = 0; i < places * p[K]; i++)
        a[i] = groups[i / p[K]] == (double)(E - 1) ? others[i % 3] : (double)(i % 13) - 6;
    for (int64_t i = 0; i < E * p[K] * p[N]; i++) {
        int64_t e = i / (p[K] * p[N]);
        b[i] = e == 0 || e == E - 1 ? others[i % 3] : (double)(i % 11) - 5;
    }
    tuff_tensor *leaves[2] = {tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){places, p[K]}, a),
                              tuff_case_data(run, g, TUFF_F32, 3, (int64_t[]){E, p[K], p[N]}, b)},
                *gradients[2] = {NULL, NULL};
    tuff_tensor *order = tuff_group_rows(g, tuff_case_data(run, g, TUFF_I32, 1, &places, groups), E);
    tuff_tensor *y = tuff_matmul_grouped(g, leaves[0], leaves[1], order);
    tuff_case_aside(run, y, 0, 1);
    tuff_tensor *loss = tuff_sum(g, y, 3, false);
    if (loss == NULL) return;
    tuff_graph_grad(g, loss, leaves, 2, gradients);
    for (int i = 0; i < 2; i++)
        tuff_case_aside(run, gradients[i], 0, 1);
}

static const tuff_case cases[] = {
    {"grouped.nn.f32.m1n1k1.e1", product, {1, 1, 1, 1, 1}},
    {"grouped.nn.f32.m9n5k7.e3", product, {9, 5, 7, 3, 1}},
    {"grouped.nt.f32.m9n5k7.e3", product, {9, 5, 7, 3, 1, N_T}},
    {"grouped.nt.f32.m1n70k37.e8.each2", product, {1, 70, 37, 8, 2, N_T}},
    {"grouped.nt.f32.m1n20k130.e16.each8", product, {1, 20, 130, 16, 8, N_T}},
    {"grouped.nn.f32.m1n33k40.e16.each8", product, {1, 33, 40, 16, 8}},
    {"grouped.nt.f32.m5n9k20.e128.each8", product, {5, 9, 20, 128, 8, N_T}},
    {"grouped.nt.f32.m40n65k33.e4.each2", product, {40, 65, 33, 4, 2, N_T}},
    {"grouped.nn.f32.m40n65k33.e4.each2", product, {40, 65, 33, 4, 2}},
    {"grouped.nt.f32.m100n33k20.e2", product, {100, 33, 20, 2, 1, N_T}},
    {"grouped.nt.f32.m70n130k67.e3.one", product, {70, 130, 67, 3, 1, N_T, TUFF_F32, ONE}},
    {"grouped.nn.f32.m130n36k70.e5.one", product, {130, 36, 70, 5, 1, N_N, TUFF_F32, ONE}},
    {"grouped.nt.f32.m3n20k16.e5.one", product, {3, 20, 16, 5, 1, N_T, TUFF_F32, ONE}},
    {"grouped.nt.f32.m30n20k16.e8.one", product, {30, 20, 16, 8, 1, N_T, TUFF_F32, ONE}},
    {"grouped.nt.f32.m50n37k20.e12.outside", product, {50, 37, 20, 12, 1, N_T, TUFF_F32, OUTSIDE}},
    {"grouped.nn.f32.m9n37k20.e12.each4.outside", product, {9, 37, 20, 12, 4, N_N, TUFF_F32, OUTSIDE}},
    {"grouped.nt.f32.m200n17k12.e3.each2.outside", product, {200, 17, 12, 3, 2, N_T, TUFF_F32, OUTSIDE}},
    {"grouped.nt.f32.m30n20k24.e40.sparse", product, {30, 20, 24, 40, 1, N_T, TUFF_F32, SPARSE}},
    {"grouped.nn.f32.m90n20k24.e9.sparse", product, {90, 20, 24, 9, 1, N_N, TUFF_F32, SPARSE}},
    {"grouped.nt.f32.m12n20k24.e4.none", product, {12, 20, 24, 4, 1, N_T, TUFF_F32, NONE}},
    {"grouped.nt.f32.m33n21k20.e4.sliced", product, {33, 21, 20, 4, 1, SLICED}},
    {"grouped.nt.f32.m2n9k1100.e2.each2", product, {2, 9, 1100, 2, 2, N_T}},
    {"grouped.nt.f32.m9001n7k5.e3.outside", product, {9001, 7, 5, 3, 1, N_T, TUFF_F32, OUTSIDE}},
    /* low-rank factors: to few columns and back */
    {"grouped.nt.f32.m40n2k96.e5.each2", product, {40, 2, 96, 5, 2, N_T}},
    {"grouped.nt.f32.m80n96k2.e5", product, {80, 96, 2, 5, 1, N_T}},
    {"grouped.nt.f32.m1n8k64.e16.each4", product, {1, 8, 64, 16, 4, N_T}},
    {"grouped.nt.f32.m4n64k8.e16", product, {4, 64, 8, 16, 1, N_T}},
    {"grouped.nt.f16.m6n40k63.e5.each2", product, {6, 40, 63, 5, 2, N_T, TUFF_F16}},
    {"grouped.nt.f16.m3n5k6.e4.gaps", product, {3, 5, 6, 4, 1, GAPS, TUFF_F16}},
    {"grouped.nt.f32.m20n5k7.e4.gaps", product, {20, 5, 7, 4, 1, GAPS}},
    {"grouped.nt.f16.m66n33k34.e2", product, {66, 33, 34, 2, 1, N_T, TUFF_F16}},
    {"grouped.nn.f16.m30n33k7.e3", product, {30, 33, 7, 3, 1, N_N, TUFF_F16}},
    {"grouped.nt.bf16.m6n41k64.e5.each2", product, {6, 41, 64, 5, 2, N_T, TUFF_BF16}},
    {"grouped.nt.bf16.m66n33k35.e2.sliced", product, {66, 33, 35, 2, 1, SLICED, TUFF_BF16}},
    {"grouped.nn.bf16.m30n65k9.e3", product, {30, 65, 9, 3, 1, N_N, TUFF_BF16}},
#define BLOCKS(TYPE, name, k)                                                                   \
    {"grouped.nt." name ".m3n20k" #k ".e6.each2", product, {3, 20, k, 6, 2, N_T, TUFF_##TYPE}}, \
        {"grouped.nt." name ".m70n33k" #k ".e3", product, {70, 33, k, 3, 1, N_T, TUFF_##TYPE}}, \
    {                                                                                           \
        "grouped.nn." name ".m20n" #k "k9.e3", product,                                         \
        {                                                                                       \
            20, k, 9, 3, 1, N_N, TUFF_##TYPE                                                    \
        }                                                                                       \
    }
    BLOCKS(Q4_0, "q4_0", 64),
    BLOCKS(Q4_1, "q4_1", 64),
    BLOCKS(Q5_0, "q5_0", 64),
    BLOCKS(Q5_1, "q5_1", 64),
    BLOCKS(Q8_0, "q8_0", 96),
    BLOCKS(Q2_K, "q2_k", 256),
    BLOCKS(Q3_K, "q3_k", 256),
    BLOCKS(Q4_K, "q4_k", 256),
    BLOCKS(Q5_K, "q5_k", 256),
    BLOCKS(Q6_K, "q6_k", 256),
    BLOCKS(IQ4_NL, "iq4_nl", 64),
    BLOCKS(MXFP4, "mxfp4", 64),
    {"grouped.nt.q5_0.m12n21k32.e3.sliced", product, {12, 21, 32, 3, 1, SLICED, TUFF_Q5_0}},
    {"grouped.nt.mxfp4.m40n21k96.e2.sliced", product, {40, 21, 96, 2, 1, SLICED, TUFF_MXFP4}},
    {"grouped.quantized.q4_0.m1n70k96.e8.each2", quantized, {1, 70, 96, 8, 2, N_T, TUFF_Q4_0}},
    {"grouped.quantized.q4_1.m3n37k96.e6.each2", quantized, {3, 37, 96, 6, 2, N_T, TUFF_Q4_1}},
    {"grouped.quantized.q5_0.m9n37k64.e3", quantized, {9, 37, 64, 3, 1, N_T, TUFF_Q5_0}},
    {"grouped.quantized.q5_1.m20n9k160.e40.each4", quantized, {20, 9, 160, 40, 4, N_T, TUFF_Q5_1}},
    {"grouped.quantized.q8_0.m70n65k96.e5.one", quantized, {70, 65, 96, 5, 1, N_T, TUFF_Q8_0, ONE}},
    {"grouped.quantized.q8_0.m700n5k32.e100.each8", quantized, {700, 5, 32, 100, 8, N_T, TUFF_Q8_0}},
    {"grouped.quantized.q8_0.m150n9k64.e2", quantized, {150, 9, 64, 2, 1, N_T, TUFF_Q8_0}},
    {"grouped.quantized.q2_k.m2n37k512.e4.each2", quantized, {2, 37, 512, 4, 2, N_T, TUFF_Q2_K}},
    {"grouped.quantized.q3_k.m5n37k256.e3", quantized, {5, 37, 256, 3, 1, N_T, TUFF_Q3_K}},
    {"grouped.quantized.q4_k.m1n130k512.e8.each2", quantized, {1, 130, 512, 8, 2, N_T, TUFF_Q4_K}},
    {"grouped.quantized.q5_k.m30n20k256.e40.sparse", quantized, {30, 20, 256, 40, 1, N_T, TUFF_Q5_K, SPARSE}},
    {"grouped.quantized.q6_k.m33n21k256.e4.sliced", quantized, {33, 21, 256, 4, 1, SLICED, TUFF_Q6_K}},
    {"grouped.quantized.iq4_nl.m50n37k64.e12.outside",
     quantized,
     {50, 37, 64, 12, 1, N_T, TUFF_IQ4_NL, OUTSIDE}},
    {"grouped.quantized.mxfp4.m4n70k96.e32.each4", quantized, {4, 70, 96, 32, 4, N_T, TUFF_MXFP4}},
    {"grouped.quantized.mxfp4.m12n20k64.e4.none", quantized, {12, 20, 64, 4, 1, N_T, TUFF_MXFP4, NONE}},
    {"grouped.apart.m9n6k20.e4", apart, {9, 6, 20, 4}},
    {"grouped.apart.m90n20k9.e3", apart, {90, 20, 9, 3}},
    {"grouped.to_bf16.f32.m9n33k20.e3.each2", rounded, {9, 33, 20, 3, 2, N_T}},
    {"grouped.to_bf16.f32.m70n36k68.e2", rounded, {70, 36, 68, 2, 1, N_N}},
    {"grouped.to_bf16.q8_0.m5n9k32.e8", rounded, {5, 9, 32, 8, 1, N_T, TUFF_Q8_0}},
};

const tuff_case_family tuff_family_grouped = {"grouped", cases, sizeof cases / sizeof cases[0]};
