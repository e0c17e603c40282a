/* Cases of matrix products. */
#include <math.h>

#include "conform/case.h"
#include "ir/graph.h"

enum { N_N = 0, T_N = 1, N_T = 2, T_T = 3 };

/* A leaf [batch..., rows, cols], transposed in memory when asked; batch is 0 (none), n, or 100 * n + m (two
 * axes). */
static tuff_tensor *operand(tuff_case_run *run, tuff_graph *g, tuff_dtype dtype, int64_t batch, int64_t rows,
                            int64_t cols, bool transposed, bool grad)
{
    int64_t dims[4] = {batch / 100, batch % 100, transposed ? cols : rows, transposed ? rows : cols};
    int rank = batch == 0 ? 2 : batch < 100 ? 3 : 4;
    tuff_tensor *x = tuff_case_leaf(run, g, dtype, rank, dims + 4 - rank, TUFF_DATA_NORMAL, 1, 0);
    if (grad) tuff_case_grad(run, x);
    return transposed ? tuff_transpose(g, x) : x;
}

/* p: M, N, K, which are transposed in memory, dtype of b, batch of a, batch of b */
static void product(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_dtype dtype = (tuff_dtype)p[4];
    tuff_tensor *a = operand(run, g, TUFF_F32, p[5], p[0], p[2], (p[3] & 1) != 0, true);
    tuff_tensor *b = operand(run, g, dtype, p[6], p[2], p[1], (p[3] & 2) != 0, dtype == TUFF_F32);
    /* a sum of K products in f32: a random walk of roundings, five sigma */
    tuff_case_result(run, tuff_matmul(g, a, b), 4, (double)p[2]);
    if (p[5] == 0 && p[6] == 0 && (p[3] & 1) == 0) tuff_case_batch(run, 0);
}

/* p: M, N, K, which are transposed in memory, dtype of b, how many such products: so many that large tiles
 * give all units of a device something to do. */
static void many(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_dtype dtype = (tuff_dtype)p[4];
    tuff_tensor *a = operand(run, g, TUFF_F32, p[5], p[0], p[2], (p[3] & 1) != 0, true);
    tuff_tensor *b = operand(run, g, dtype, p[5], p[2], p[1], (p[3] & 2) != 0, dtype == TUFF_F32);
    tuff_case_result(run, tuff_matmul(g, a, b), 4, (double)p[2]);
}

/* p: M, N, K, which are transposed in memory, dtype of b, elements left out at the start of the memory rows
 * of a and of b, elements more at their ends: what begins at, and lies apart by, multiples of four elements,
 * or not. */
static void apart(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const bool a_turned = (p[3] & 1) != 0, b_turned = (p[3] & 2) != 0;
    int64_t a_cols = a_turned ? p[0] : p[2], b_cols = b_turned ? p[2] : p[1];
    tuff_tensor *a = operand(run, g, TUFF_F32, 0, a_turned ? p[2] : p[0], a_cols + p[5] + p[7], false, true);
    tuff_tensor *b = operand(run, g, (tuff_dtype)p[4], 0, b_turned ? p[1] : p[2], b_cols + p[6] + p[8], false,
                             p[4] == TUFF_F32);
    a = tuff_slice(g, a, 1, p[5], a_cols);
    b = tuff_slice(g, b, 1, p[6], b_cols);
    if (a_turned) a = tuff_transpose(g, a);
    tuff_case_result(run, tuff_matmul(g, a, b_turned ? tuff_transpose(g, b) : b), 4, (double)p[2]);
}

/* p: M, N, K, 1: b transposed, dtype of b, elements left out at the start of the memory rows of a and of b,
 * elements more at the ends of b's: rows with gaps, odd starts, even and odd strides. */
static void sliced(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    bool transposed = p[3] != 0;
    int64_t rows = transposed ? p[1] : p[2], cols = transposed ? p[2] : p[1];
    tuff_tensor *a = operand(run, g, TUFF_F32, 0, p[0], p[2] + p[5] + 3, false, true);
    tuff_tensor *b =
        operand(run, g, (tuff_dtype)p[4], 0, rows, cols + p[6] + 2 + p[7], false, p[4] == TUFF_F32);
    a = tuff_slice(g, a, 1, p[5], p[2]);
    b = tuff_slice(g, b, 1, p[6], cols);
    tuff_case_result(run, tuff_matmul(g, a, transposed ? tuff_transpose(g, b) : b), 4, (double)p[2]);
    tuff_case_batch(run, 0);
}

/* p: M, N, K, 1: b transposed, dtype of b, elements of a block: rows of b in the middle of others, and blocks
 * of them between others; the third part of a fused weight. */
static void blocks_sliced(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    bool transposed = p[3] != 0;
    int64_t rows = transposed ? p[1] : p[2], cols = transposed ? p[2] : p[1];
    tuff_tensor *a = operand(run, g, TUFF_F32, 0, p[0], p[2], false, true);
    tuff_tensor *b = operand(run, g, (tuff_dtype)p[4], 0, rows + 3, cols + 3 * p[5], false, false);
    b = tuff_slice(g, tuff_slice(g, b, 0, 1, rows), 1, p[5], cols);
    tuff_case_result(run, tuff_matmul(g, a, transposed ? tuff_transpose(g, b) : b), 4, (double)p[2]);
    tuff_case_batch(run, 0);
}

/* p: M, N, K, dtype of b, elements of a block: as many of those stand before the rows of b, unless 0. Rows of
 * a may be rounded to 8 bits. An element is then off by up to half a step, evenly: by step / sqrt(12) (one
 * sigma), where a step is the largest of its 32 or 256 elements divided by 127. For normal elements that is 2
 * to 3.5 sigma of theirs, so a result is off by up to 3.5 / (127 * sqrt(12)) = 0.8 % of the results' size:
 * five sigma are 4 %. Rows of b may be twice as large as b is on average: 8 %. What is off by less is for
 * tests/unit/dots_test.c. */
static void quantized(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *a = tuff_case_leaf(run, g, TUFF_F32, 2, (int64_t[]){p[0], p[2]}, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *b = operand(run, g, (tuff_dtype)p[3], 0, p[1], p[2] + p[4], false, false);
    if (p[4]) b = tuff_slice(g, b, 1, p[4], p[2]);
    tuff_graph_set_quantized_activations(g, true);
    tuff_case_grad_bound(run, a, 8, (double)p[1]); /* is exact: its sum goes across b's blocks */
    tuff_case_result(run, tuff_matmul(g, a, tuff_transpose(g, b)), 0.08 * 0x1p23, 1);
    tuff_case_batch(run, 0);
}

/* p: M, N, K, which are transposed in memory, dtype of b, batch of both. Operands are rounded to bf16, those
 * of the gradients too: normal elements, 255 in 256 of which that changes. */
static void rounded(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_dtype dtype = (tuff_dtype)p[4];
    tuff_tensor *a = operand(run, g, TUFF_F32, p[5], p[0], p[2], (p[3] & 1) != 0, true);
    tuff_tensor *b = operand(run, g, dtype, p[5], p[2], p[1], (p[3] & 2) != 0, dtype == TUFF_F32);
    tuff_case_result(run, tuff_matmul_of(g, a, b, TUFF_BF16), 4, (double)p[2]);
    if (p[5] == 0 && (p[3] & 1) == 0) tuff_case_batch(run, 0);
}

/* p: how often the values come, how many rows or columns of ones they meet: kernels of few and of many.
 * Halfway cases of both operands, either sign, and what is not finite: one term each, so results are exact.
 * What rounds to bf16's largest number and what rounds to infinity are there as well. */
static void halfway(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    static const double values[] = {1 + 0x1p-8,
                                    1 + 0x3p-8,
                                    1 + 0x1.01p-8,
                                    -1 - 0x1p-8,
                                    -1 - 0x3p-8,
                                    1 + 0x1.fffffp-9,
                                    NAN,
                                    INFINITY,
                                    -INFINITY,
                                    0,
                                    0x1.fe7fp127,
                                    -0x1.ffp127,
                                    0x1.8p-20 + 0x1p-28,
                                    3};
    enum { VALUES = sizeof values / sizeof values[0] };
    double x[3 * VALUES], ones[3 * VALUES];
    for (int i = 0; i < 3 * VALUES; i++) {
        x[i] = values[i % VALUES];
        ones[i] = 1;
    }
    const int64_t many = p[0] * VALUES, few = p[1];
    tuff_tensor *column = tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){many, 1}, x);
    tuff_tensor *row = tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){1, many}, x);
    tuff_tensor *across = tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){1, few}, ones);
    tuff_tensor *down = tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){few, 1}, ones);
    tuff_case_aside(run, tuff_matmul_of(g, column, across, TUFF_BF16), 0, 1);
    tuff_case_aside(run, tuff_matmul_of(g, down, row, TUFF_BF16), 0, 1);
}

/* Both axes of both operands have gaps: the builder copies. */
static void gaps(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *a = tuff_case_leaf(run, g, TUFF_F32, 3, (int64_t[]){p[0], p[2], 3}, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *b = tuff_case_leaf(run, g, TUFF_F32, 3, (int64_t[]){p[2], p[1], 2}, TUFF_DATA_NORMAL, 1, 0);
    a = tuff_reshape(g, tuff_slice(g, a, 2, 1, 1), 2, (int64_t[]){p[0], p[2]});
    b = tuff_reshape(g, tuff_slice(g, b, 2, 1, 1), 2, (int64_t[]){p[2], p[1]});
    tuff_case_result(run, tuff_matmul(g, a, b), 4, (double)p[2]);
}

/* p: M, N, K, which are transposed in memory, dtype of b, how it ends: 1 a row is added, 2 a tensor, 3 a
 * tensor that nothing else needs, 4 a row of one axis more, 5 another product; 8: times a factor first. */
static void ended(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_dtype dtype = (tuff_dtype)p[4];
    tuff_tensor *a = operand(run, g, TUFF_F32, 0, p[0], p[2], (p[3] & 1) != 0, true);
    tuff_tensor *b = operand(run, g, dtype, 0, p[2], p[1], (p[3] & 2) != 0, dtype == TUFF_F32);
    const int64_t with = p[5] & 7;
    tuff_tensor *addend;
    if (with == 5) {
        addend = tuff_matmul(g, a, operand(run, g, TUFF_F32, 0, p[2], p[1], false, true));
    } else {
        const bool row = with == 1 || with == 4;
        const int rank = with == 1 ? 1 : 2;
        const int64_t shape[2] = {row ? 1 : p[0], p[1]};
        addend = tuff_case_leaf(run, g, TUFF_F32, rank, shape + 2 - rank, TUFF_DATA_NORMAL, 1, 0);
        tuff_case_grad(run, addend);
        if (with == 3) addend = tuff_scale(g, addend, 0.5);
    }
    tuff_tensor *y = tuff_matmul(g, a, b);
    if (p[5] & 8) y = tuff_scale(g, y, 0.375);
    tuff_case_result(run, tuff_add(g, addend, y), 4, (double)(with == 5 ? 2 : 1) * (double)p[2] + 1);
}

/* p: M, N, K, which are transposed in memory: two products, added up in memory that they share. */
static void accumulated(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *sum = NULL;
    for (int i = 0; i < 2; i++) {
        tuff_tensor *a = operand(run, g, TUFF_F32, 0, p[0], p[2], (p[3] & 1) != 0, false);
        tuff_tensor *b = operand(run, g, TUFF_F32, 0, p[2], p[1], (p[3] & 2) != 0, false);
        tuff_tensor *y = tuff_matmul(g, a, b);
        sum = i == 0 ? tuff_copy(g, y, TUFF_F32) : tuff_accumulate(g, sum, y);
    }
    tuff_case_result(run, sum, 4, 2 * (double)p[2]);
}

/* A batch of heads cut from rows [B, T, H * D]: q k^T per head, strided in every axis but the last. */
static void heads(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int axes[4] = {0, 2, 1, 3};
    tuff_tensor *x[2];
    for (int i = 0; i < 2; i++) {
        x[i] = tuff_case_leaf(run, g, TUFF_F32, 4, p, TUFF_DATA_NORMAL, 1, 0);
        tuff_case_grad(run, x[i]);
        x[i] = tuff_permute(g, x[i], axes);
    }
    tuff_case_result(run, tuff_matmul(g, x[0], tuff_transpose(g, x[1])), 4, (double)p[3]);
}

/* NaN and Inf go through, also against zeros. */
static void special(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    double a[70 * 70], b[70 * 66];
    for (int64_t i = 0; i < p[0] * p[2]; i++)
        a[i] = i % 7 == 0 ? 0 : (double)(i % 13) - 6;
    for (int64_t i = 0; i < p[2] * p[1]; i++)
        b[i] = (double)(i % 11) - 5;
    a[p[2] + 1] = NAN;
    b[3 * p[1]] = INFINITY;
    b[(p[2] - 1) * p[1] + 2] = -INFINITY;
    /* where a kernel's last tile of terms is not full, nothing past the end may meet it */
    if (p[0] > 2) a[3 * p[2] - 1] = INFINITY;
    tuff_tensor *x = tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){p[0], p[2]}, a);
    tuff_tensor *y = tuff_case_data(run, g, TUFF_F32, 2, (int64_t[]){p[2], p[1]}, b);
    tuff_case_aside(run, tuff_matmul(g, x, y), 0, 1); /* small integers: exact */
}

static const tuff_case cases[] = {
    {"matmul.nn.f32.m1n1k1", product, {1, 1, 1}},
    {"matmul.nn.f32.m3n5k7", product, {3, 5, 7}},
    {"matmul.nt.f32.m3n5k7", product, {3, 5, 7, N_T}},
    {"matmul.tn.f32.m3n5k7", product, {3, 5, 7, T_N}},
    {"matmul.tt.f32.m3n5k7", product, {3, 5, 7, T_T}},
    {"matmul.nn.f32.m16n16k16", product, {16, 16, 16}},
    {"matmul.nt.f32.m17n15k33", product, {17, 15, 33, N_T}},
    {"matmul.tn.f32.m33n17k15", product, {33, 17, 15, T_N}},
    {"matmul.nn.f32.m64n64k64", product, {64, 64, 64}},
    {"matmul.nt.f32.m64n64k64", product, {64, 64, 64, N_T}},
    {"matmul.tn.f32.m64n64k64", product, {64, 64, 64, T_N}},
    {"matmul.tt.f32.m64n64k64", product, {64, 64, 64, T_T}},
    {"matmul.nn.f32.m65n63k67", product, {65, 63, 67}},
    {"matmul.nt.f32.m63n129k65", product, {63, 129, 65, N_T}},
    {"matmul.tn.f32.m129n65k63", product, {129, 65, 63, T_N}},
    {"matmul.nt.f32.m100n36k4", product, {100, 36, 4, N_T}},
    {"matmul.nn.f32.m5n300k1", product, {5, 300, 1}},
    {"matmul.nt.f32.m128n1k96", product, {128, 1, 96, N_T}},
    {"matmul.nt.f32.m1n257k129", product, {1, 257, 129, N_T}},
    {"matmul.nt.f32.m1n64k256", product, {1, 64, 256, N_T}},
    {"matmul.nt.f32.m2n70k37", product, {2, 70, 37, N_T}},
    {"matmul.nt.f32.m3n33k1000", product, {3, 33, 1000, N_T}},
    {"matmul.nt.f32.m4n130k64", product, {4, 130, 64, N_T}},
    {"matmul.nn.f32.m4n130k64", product, {4, 130, 64, N_N}},
    {"matmul.nn.f32.m1n33k257", product, {1, 33, 257}},
    {"matmul.nt.f32.m8n96k2100", product, {8, 96, 2100, N_T}},
    {"matmul.nt.f16.m1n65k130", product, {1, 65, 130, N_T, TUFF_F16}},
    {"matmul.nt.f16.m3n40k63", product, {3, 40, 63, N_T, TUFF_F16}},
    {"matmul.nt.f16.m65n70k66", product, {65, 70, 66, N_T, TUFF_F16}},
    {"matmul.nn.f16.m65n70k66", product, {65, 70, 66, N_N, TUFF_F16}},
    {"matmul.nn.f16.m9n33k7", product, {9, 33, 7, N_N, TUFF_F16}},
    {"matmul.nt.bf16.m1n65k128", product, {1, 65, 128, N_T, TUFF_BF16}},
    {"matmul.nt.bf16.m2n41k63", product, {2, 41, 63, N_T, TUFF_BF16}},
    {"matmul.nt.bf16.m64n128k64", product, {64, 128, 64, N_T, TUFF_BF16}},
    {"matmul.nt.bf16.m7n300k1100", product, {7, 300, 1100, N_T, TUFF_BF16}},
    {"matmul.nn.bf16.m66n65k129", product, {66, 65, 129, N_N, TUFF_BF16}},
    {"matmul.nn.bf16.m5n1100k300", product, {5, 1100, 300, N_N, TUFF_BF16}},
    {"matmul.nt.q4_0.m1n37k96", product, {1, 37, 96, N_T, TUFF_Q4_0}},
    {"matmul.nt.q4_0.m66n70k64", product, {66, 70, 64, N_T, TUFF_Q4_0}},
    {"matmul.nn.q4_0.m9n96k33", product, {9, 96, 33, N_N, TUFF_Q4_0}},
    {"matmul.nt.q4_1.m2n37k96", product, {2, 37, 96, N_T, TUFF_Q4_1}},
    {"matmul.nt.q4_1.m66n70k64", product, {66, 70, 64, N_T, TUFF_Q4_1}},
    {"matmul.nn.q4_1.m9n96k33", product, {9, 96, 33, N_N, TUFF_Q4_1}},
    {"matmul.nt.q5_0.m3n37k96", product, {3, 37, 96, N_T, TUFF_Q5_0}},
    {"matmul.nt.q5_0.m66n70k64", product, {66, 70, 64, N_T, TUFF_Q5_0}},
    {"matmul.nn.q5_0.m9n96k33", product, {9, 96, 33, N_N, TUFF_Q5_0}},
    {"matmul.nt.q5_1.m4n37k96", product, {4, 37, 96, N_T, TUFF_Q5_1}},
    {"matmul.nt.q5_1.m66n70k64", product, {66, 70, 64, N_T, TUFF_Q5_1}},
    {"matmul.nn.q5_1.m9n96k33", product, {9, 96, 33, N_N, TUFF_Q5_1}},
    {"matmul.nt.q8_0.m1n37k96", product, {1, 37, 96, N_T, TUFF_Q8_0}},
    {"matmul.nt.q8_0.m66n70k64", product, {66, 70, 64, N_T, TUFF_Q8_0}},
    {"matmul.nn.q8_0.m9n96k33", product, {9, 96, 33, N_N, TUFF_Q8_0}},
    {"matmul.nt.q2_k.m2n37k512", product, {2, 37, 512, N_T, TUFF_Q2_K}},
    {"matmul.nt.q2_k.m66n70k256", product, {66, 70, 256, N_T, TUFF_Q2_K}},
    {"matmul.nn.q2_k.m9n256k33", product, {9, 256, 33, N_N, TUFF_Q2_K}},
    {"matmul.nt.q3_k.m3n37k512", product, {3, 37, 512, N_T, TUFF_Q3_K}},
    {"matmul.nt.q3_k.m66n70k256", product, {66, 70, 256, N_T, TUFF_Q3_K}},
    {"matmul.nn.q3_k.m9n256k33", product, {9, 256, 33, N_N, TUFF_Q3_K}},
    {"matmul.nt.q4_k.m4n37k512", product, {4, 37, 512, N_T, TUFF_Q4_K}},
    {"matmul.nt.q4_k.m66n70k256", product, {66, 70, 256, N_T, TUFF_Q4_K}},
    {"matmul.nn.q4_k.m9n256k33", product, {9, 256, 33, N_N, TUFF_Q4_K}},
    {"matmul.nt.q5_k.m1n37k512", product, {1, 37, 512, N_T, TUFF_Q5_K}},
    {"matmul.nt.q5_k.m66n70k256", product, {66, 70, 256, N_T, TUFF_Q5_K}},
    {"matmul.nn.q5_k.m9n256k33", product, {9, 256, 33, N_N, TUFF_Q5_K}},
    {"matmul.nt.q6_k.m2n37k512", product, {2, 37, 512, N_T, TUFF_Q6_K}},
    {"matmul.nt.q6_k.m66n70k256", product, {66, 70, 256, N_T, TUFF_Q6_K}},
    {"matmul.nn.q6_k.m9n256k33", product, {9, 256, 33, N_N, TUFF_Q6_K}},
    {"matmul.nt.iq4_nl.m3n37k96", product, {3, 37, 96, N_T, TUFF_IQ4_NL}},
    {"matmul.nt.iq4_nl.m66n70k64", product, {66, 70, 64, N_T, TUFF_IQ4_NL}},
    {"matmul.nn.iq4_nl.m9n96k33", product, {9, 96, 33, N_N, TUFF_IQ4_NL}},
    {"matmul.nt.mxfp4.m4n37k96", product, {4, 37, 96, N_T, TUFF_MXFP4}},
    {"matmul.nt.mxfp4.m66n70k64", product, {66, 70, 64, N_T, TUFF_MXFP4}},
    {"matmul.nn.mxfp4.m9n96k33", product, {9, 96, 33, N_N, TUFF_MXFP4}},
    {"matmul.nt.q4_k.m7n300k1280", product, {7, 300, 1280, N_T, TUFF_Q4_K}},
    {"matmul.nt.q8_0.m70n65k1120", product, {70, 65, 1120, N_T, TUFF_Q8_0}},
    {"matmul.nn.q6_k.m5n1280k70", product, {5, 1280, 70, N_N, TUFF_Q6_K}},
    {"matmul.nn.q5_0.m66n96k1100", product, {66, 96, 1100, N_N, TUFF_Q5_0}},
    {"matmul.nt.mxfp4.m3n1k64", product, {3, 1, 64, N_T, TUFF_MXFP4}},
    {"matmul.nt.q4_0.m9n33k64.batch3", product, {9, 33, 64, N_T, TUFF_Q4_0, 3, 3}},
    {"matmul.nt.q8_0.m3n33k96.rows2x3", product, {3, 33, 96, N_T, TUFF_Q8_0, 203}},
    {"matmul.nt.q5_0.m3n33k96.sliced", blocks_sliced, {3, 33, 96, N_T, TUFF_Q5_0, 32}},
    {"matmul.nt.mxfp4.m70n40k96.sliced", blocks_sliced, {70, 40, 96, N_T, TUFF_MXFP4, 32}},
    {"matmul.nt.q6_k.m66n9k512.sliced", blocks_sliced, {66, 9, 512, N_T, TUFF_Q6_K, 256}},
    {"matmul.nn.q3_k.m5n256k21.sliced", blocks_sliced, {5, 256, 21, N_N, TUFF_Q3_K, 256}},
    {"matmul.quantized.q4_0.m1n70k96", quantized, {1, 70, 96, TUFF_Q4_0}},
    {"matmul.quantized.q4_1.m3n37k96", quantized, {3, 37, 96, TUFF_Q4_1}},
    {"matmul.quantized.q5_0.m9n37k64", quantized, {9, 37, 64, TUFF_Q5_0}},
    {"matmul.quantized.q5_1.m4n37k160", quantized, {4, 37, 160, TUFF_Q5_1}},
    {"matmul.quantized.q8_0.m1n37k96", quantized, {1, 37, 96, TUFF_Q8_0}},
    {"matmul.quantized.q8_0.m70n65k1120", quantized, {70, 65, 1120, TUFF_Q8_0}},
    {"matmul.quantized.q2_k.m2n37k512", quantized, {2, 37, 512, TUFF_Q2_K}},
    {"matmul.quantized.q3_k.m5n37k256", quantized, {5, 37, 256, TUFF_Q3_K}},
    {"matmul.quantized.q4_k.m1n70k512", quantized, {1, 70, 512, TUFF_Q4_K}},
    {"matmul.quantized.q4_k.m7n300k1280", quantized, {7, 300, 1280, TUFF_Q4_K}},
    {"matmul.quantized.q5_k.m6n37k256", quantized, {6, 37, 256, TUFF_Q5_K}},
    {"matmul.quantized.q6_k.m66n9k512", quantized, {66, 9, 512, TUFF_Q6_K}},
    {"matmul.quantized.iq4_nl.m3n37k96", quantized, {3, 37, 96, TUFF_IQ4_NL}},
    {"matmul.quantized.mxfp4.m4n37k96", quantized, {4, 37, 96, TUFF_MXFP4}},
    {"matmul.quantized.q5_0.m3n33k96.sliced", quantized, {3, 33, 96, TUFF_Q5_0, 32}},
    {"matmul.quantized.q6_k.m2n33k256.sliced", quantized, {2, 33, 256, TUFF_Q6_K, 256}},
    {"matmul.nt.f32.m9n33k20.rows2", product, {9, 33, 20, N_T, TUFF_F32, 2}},
    {"matmul.nt.f32.m1n33k20.rows3", product, {1, 33, 20, N_T, TUFF_F32, 3}},
    {"matmul.nn.f32.m5n17k12.rows2x3", product, {5, 17, 12, N_N, TUFF_F32, 203}},
    {"matmul.nt.bf16.m9n33k20.rows2", product, {9, 33, 20, N_T, TUFF_BF16, 2}},
    {"matmul.nn.f32.m10n12k14.batch3", product, {10, 12, 14, N_N, TUFF_F32, 3, 3}},
    {"matmul.nt.f32.m17n20k33.batch3", product, {17, 20, 33, N_T, TUFF_F32, 3, 3}},
    {"matmul.tn.f32.m17n20k33.batch2x3", product, {17, 20, 33, T_N, TUFF_F32, 203, 203}},
    {"matmul.nn.f32.m7n9k5.batch2x3_by_3", product, {7, 9, 5, N_N, TUFF_F32, 203, 3}},
    {"matmul.nt.f32.m7n9k5.batch2x3_by_2x1", product, {7, 9, 5, N_T, TUFF_F32, 203, 201}},
    {"matmul.nn.f32.m7n9k5.batch_one_by_4", product, {7, 9, 5, N_N, TUFF_F32, 0, 4}},
    {"matmul.tt.f32.m7n9k5.batch4_by_one", product, {7, 9, 5, T_T, TUFF_F32, 4, 0}},
    {"matmul.nn.f32.m20n30k40.sliced.offset1_1", sliced, {20, 30, 40, N_N, TUFF_F32, 1, 1}},
    {"matmul.nn.f32.m70n66k65.sliced.offset4_2", sliced, {70, 66, 65, N_N, TUFF_F32, 4, 2}},
    {"matmul.nt.f32.m3n40k31.sliced.offset0_1", sliced, {3, 40, 31, N_T, TUFF_F32, 0, 1}},
    {"matmul.nn.f16.m9n30k20.sliced.offset1_1", sliced, {9, 30, 20, N_N, TUFF_F16, 1, 1}},
    {"matmul.nt.bf16.m1n30k21.sliced.offset0_1", sliced, {1, 30, 21, N_T, TUFF_BF16, 0, 1}},
    {"matmul.nt.bf16.m64n65k64.sliced.offset0_3", sliced, {64, 65, 64, N_T, TUFF_BF16, 0, 3}},
    {"matmul.nt.bf16.m2n30k21.sliced.offset0_0.even_rows", sliced, {2, 30, 21, N_T, TUFF_BF16, 0, 0, 1}},
    {"matmul.nt.f16.m4n9k64.sliced.offset0_2.even_rows", sliced, {4, 9, 64, N_T, TUFF_F16, 0, 2, 0}},
    {"matmul.gaps.m6n7k8", gaps, {6, 7, 8}},
    {"matmul.heads.b2n9h3d8", heads, {2, 9, 3, 8}},
    {"matmul.special.m6n66k70", special, {6, 66, 70}},
    {"matmul.special.m2n66k70", special, {2, 66, 70}},
    {"matmul.special.m40n66k70", special, {40, 66, 70}},
    {"matmul.special.m70n9k69", special, {70, 9, 69}},
    {"matmul.nn.f32.m66n68k5.many64", many, {66, 68, 5, N_N, TUFF_F32, 64}},
    {"matmul.nn.f32.m130n132k20.batch2", product, {130, 132, 20, N_N, TUFF_F32, 2, 2}},
    {"matmul.nt.f32.m129n131k36", product, {129, 131, 36, N_T}},
    {"matmul.tn.f32.m132n129k17.batch2", product, {132, 129, 17, T_N, TUFF_F32, 2, 2}},
    {"matmul.tt.f32.m66n257k15", product, {66, 257, 15, T_T}},
    {"matmul.nt.f16.m130n72k36", product, {130, 72, 36, N_T, TUFF_F16}},
    {"matmul.nn.bf16.m70n132k21", product, {70, 132, 21, N_N, TUFF_BF16}},
    {"matmul.nt.f32.m68n76k44", product, {68, 76, 44, N_T}},
    {"matmul.tn.f32.m72n68k21", product, {72, 68, 21, T_N}},
    {"matmul.tt.f32.m68n72k24", product, {68, 72, 24, T_T}},
    {"matmul.nt.bf16.m66n68k36", product, {66, 68, 36, N_T, TUFF_BF16}},
    {"matmul.nt.q4_k.m129n130k256", product, {129, 130, 256, N_T, TUFF_Q4_K}},
    {"matmul.nn.q8_0.m130n160k21", product, {130, 160, 21, N_N, TUFF_Q8_0}},
    {"matmul.nn.f32.m68n72k28.apart.offset4_8.more4_4", apart, {68, 72, 28, N_N, TUFF_F32, 4, 8, 4, 4}},
    {"matmul.nt.f32.m66n70k30.apart.offset0_4.more2_2", apart, {66, 70, 30, N_T, TUFF_F32, 0, 4, 2, 2}},
    {"matmul.tn.f32.m70n66k33.apart.offset4_4.more2_6", apart, {70, 66, 33, T_N, TUFF_F32, 4, 4, 2, 6}},
    {"matmul.nn.f16.m65n72k19.apart.offset2_4.more0_4", apart, {65, 72, 19, N_N, TUFF_F16, 2, 4, 0, 4}},
    {"matmul.nt.f16.m66n65k68.apart.offset0_8.more0_4", apart, {66, 65, 68, N_T, TUFF_F16, 0, 8, 0, 4}},
    {"matmul.nt.bf16.m65n66k68.apart.offset1_2.more3_2", apart, {65, 66, 68, N_T, TUFF_BF16, 1, 2, 3, 2}},
    {"matmul.nt.f32.m140n8k60", product, {140, 8, 60, N_T}},
    {"matmul.tn.f32.m131n32k20", product, {131, 32, 20, T_N}},
    {"matmul.nn.bf16.m129n17k44", product, {129, 17, 44, N_N, TUFF_BF16}},
    {"matmul.nt.q6_k.m130n9k256", product, {130, 9, 256, N_T, TUFF_Q6_K}},
    {"matmul.tn.f32.m8n260k63", product, {8, 260, 63, T_N}},
    {"matmul.nn.f32.m32n132k36", product, {32, 132, 36}},
    {"matmul.nt.f16.m31n129k60", product, {31, 129, 60, N_T, TUFF_F16}},
    {"matmul.tn.f32.m8n132k400", product, {8, 132, 400, T_N}},
    {"matmul.nt.f32.m130n8k401", product, {130, 8, 401, N_T}},
    {"matmul.tn.f32.m70n68k1000", product, {70, 68, 1000, T_N}},
    {"matmul.nt.f32.m1n37k65.row", ended, {1, 37, 65, N_T, TUFF_F32, 1}},
    {"matmul.nt.f32.m3n37k65.whole", ended, {3, 37, 65, N_T, TUFF_F32, 2}},
    {"matmul.nt.q8_0.m4n37k96.row", ended, {4, 37, 96, N_T, TUFF_Q8_0, 1 + 8}},
    {"matmul.nt.f16.m2n40k64.taken_over", ended, {2, 40, 64, N_T, TUFF_F16, 3}},
    {"matmul.nn.f32.m66n70k30.row", ended, {66, 70, 30, N_N, TUFF_F32, 1}},
    {"matmul.nn.f32.m66n72k30.row", ended, {66, 72, 30, N_N, TUFF_F32, 4 + 8}},
    {"matmul.nt.f32.m66n70k36.whole", ended, {66, 70, 36, N_T, TUFF_F32, 2 + 8}},
    {"matmul.nt.f32.m66n72k36.whole", ended, {66, 72, 36, N_T, TUFF_F32, 2}},
    {"matmul.nn.f32.m130n132k20.taken_over", ended, {130, 132, 20, N_N, TUFF_F32, 3}},
    {"matmul.nt.f32.m66n72k8.two", ended, {66, 72, 8, N_T, TUFF_F32, 5}},
    {"matmul.tn.f32.m70n68k1000.row", ended, {70, 68, 1000, T_N, TUFF_F32, 1}},
    {"matmul.tn.f32.m70n68k1000.whole", ended, {70, 68, 1000, T_N, TUFF_F32, 2 + 8}},
    {"matmul.tn.f32.m66n72k40.accumulated", accumulated, {66, 72, 40, T_N}},
    {"matmul.nn.f32.m9n7k5.accumulated", accumulated, {9, 7, 5, N_N}},
    {"matmul.tn.f32.m70n68k1000.accumulated", accumulated, {70, 68, 1000, T_N}},
    {"matmul.nn.f32.m40n36k200.batch3", product, {40, 36, 200, N_N, TUFF_F32, 3, 3}},
    {"matmul.to_bf16.nn.f32.m1n1k1", rounded, {1, 1, 1}},
    {"matmul.to_bf16.nt.f32.m3n33k100", rounded, {3, 33, 100, N_T}},
    {"matmul.to_bf16.nn.f32.m65n63k67", rounded, {65, 63, 67}},
    {"matmul.to_bf16.tn.f32.m72n68k21", rounded, {72, 68, 21, T_N}},
    {"matmul.to_bf16.tt.f32.m66n257k15", rounded, {66, 257, 15, T_T}},
    {"matmul.to_bf16.nn.f32.m130n132k20.batch2", rounded, {130, 132, 20, N_N, TUFF_F32, 2}},
    {"matmul.to_bf16.nt.f32.m140n8k60", rounded, {140, 8, 60, N_T}},
    {"matmul.to_bf16.tn.f32.m8n132k600", rounded, {8, 132, 600, T_N}},
    {"matmul.to_bf16.nt.f16.m3n40k63", rounded, {3, 40, 63, N_T, TUFF_F16}},
    {"matmul.to_bf16.nt.bf16.m66n68k36", rounded, {66, 68, 36, N_T, TUFF_BF16}},
    {"matmul.to_bf16.nt.q8_0.m2n37k96", rounded, {2, 37, 96, N_T, TUFF_Q8_0}},
    {"matmul.to_bf16.nt.q4_k.m66n70k256", rounded, {66, 70, 256, N_T, TUFF_Q4_K}},
    {"matmul.to_bf16.halfway.few2", halfway, {1, 2}},
    {"matmul.to_bf16.halfway.few40", halfway, {3, 40}},
};

const tuff_case_family tuff_family_matmul = {"matmul", cases, sizeof cases / sizeof cases[0]};
