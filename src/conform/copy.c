/* Cases of copies and casts. */
#include "conform/case.h"

/* p: dtype from, dtype to, dims[2], 1 to transpose, 1 to start a row and a column later, data */
static void cast(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    bool whole = p[0] == TUFF_I32 || p[0] == TUFF_U32;
    tuff_data data = whole ? TUFF_DATA_INTEGER : (tuff_data)p[6];
    tuff_tensor *x =
        tuff_case_leaf(run, g, (tuff_dtype)p[0], 2, p + 2, data, whole ? 0 : 1, whole ? 1 << 24 : 0);
    if (p[5]) x = tuff_slice(g, tuff_slice(g, x, 0, 1, p[2] - 1), 1, 1, p[3] - 1);
    if (p[4]) x = tuff_transpose(g, x);
    tuff_case_aside(run, tuff_copy(g, x, (tuff_dtype)p[1]), 0, 1);
}

/* p: dims[4], axes[4]: a copy of halves in another order, and on to f32. */
static void halves(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    const int axes[4] = {(int)p[4], (int)p[5], (int)p[6], (int)p[7]};
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F16, 4, p, TUFF_DATA_NORMAL, 1, 0);
    tuff_tensor *y = tuff_copy(g, tuff_permute(g, x, axes), TUFF_F16);
    tuff_case_aside(run, y, 0, 1);
    tuff_case_aside(run, tuff_copy(g, tuff_permute(g, y, axes), TUFF_F32), 0, 1);
}

/* p: dims[2]: gradients pass through casts; results of half precision lose what they cannot hold. */
static void through(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    tuff_tensor *x = tuff_case_leaf(run, g, TUFF_F32, 2, p, TUFF_DATA_NORMAL, 1, 0);
    tuff_case_grad(run, x);
    tuff_case_result(run, tuff_copy(g, tuff_copy(g, tuff_transpose(g, x), TUFF_BF16), TUFF_F32), 0, 1);
}

/* p: dtype to: values midway between two neighbours of that dtype, which go to the even one. */
static void ties(tuff_case_run *run, tuff_graph *g, const int64_t *p)
{
    enum { COUNT = 130 };
    const double half_step = p[0] == TUFF_F16 ? 1.0 / 2048 : 1.0 / 256;
    double data[COUNT];
    for (int i = 0; i < COUNT; i++)
        data[i] =
            (i % 2 == 0 ? 1 : -1) * (1 + (double)(2 * (i / 2) + 1) * half_step) * (i % 3 == 0 ? 4 : 0.5);
    tuff_tensor *x = tuff_case_data(run, g, TUFF_F32, 1, (int64_t[]){COUNT}, data);
    tuff_case_aside(run, tuff_copy(g, x, (tuff_dtype)p[0]), 0, 1);
}

static const tuff_case cases[] = {
    {"copy.f32.1x1", cast, {TUFF_F32, TUFF_F32, 1, 1}},
    {"copy.f32.257x3.special", cast, {TUFF_F32, TUFF_F32, 257, 3, 0, 0, TUFF_DATA_SPECIAL}},
    {"copy.f32.3x257.transposed", cast, {TUFF_F32, TUFF_F32, 3, 257, 1}},
    {"copy.f32.67x35.transposed.offset", cast, {TUFF_F32, TUFF_F32, 67, 35, 1, 1}},
    {"copy.f32.1031x17.offset", cast, {TUFF_F32, TUFF_F32, 1031, 17, 0, 1}},
    {"copy.i32.31x9.offset", cast, {TUFF_I32, TUFF_I32, 31, 9, 0, 1}},
    {"copy.u32.5x5.transposed", cast, {TUFF_U32, TUFF_U32, 5, 5, 1}},
    {"copy.f32_to_f16.1x1", cast, {TUFF_F32, TUFF_F16, 1, 1}},
    {"copy.f32_to_f16.33x65.special", cast, {TUFF_F32, TUFF_F16, 33, 65, 0, 0, TUFF_DATA_SPECIAL}},
    {"copy.f32_to_f16.7x9.transposed.offset", cast, {TUFF_F32, TUFF_F16, 7, 9, 1, 1}},
    {"copy.f32_to_bf16.33x65.special", cast, {TUFF_F32, TUFF_BF16, 33, 65, 0, 0, TUFF_DATA_SPECIAL}},
    {"copy.f32_to_bf16.1x3", cast, {TUFF_F32, TUFF_BF16, 1, 3}},
    {"copy.f16_to_f32.33x65.special", cast, {TUFF_F16, TUFF_F32, 33, 65, 0, 0, TUFF_DATA_SPECIAL}},
    {"copy.f16_to_f32.9x11.offset", cast, {TUFF_F16, TUFF_F32, 9, 11, 0, 1}},
    {"copy.bf16_to_f32.33x65.special", cast, {TUFF_BF16, TUFF_F32, 33, 65, 0, 0, TUFF_DATA_SPECIAL}},
    {"copy.bf16_to_f32.12x5.transposed.offset", cast, {TUFF_BF16, TUFF_F32, 12, 5, 1, 1}},
    {"copy.bf16_to_f16.5x7.offset", cast, {TUFF_BF16, TUFF_F16, 5, 7, 0, 1}},
    {"copy.f16_to_bf16.5x8", cast, {TUFF_F16, TUFF_BF16, 5, 8}},
    {"copy.f16.3x5.offset.special", cast, {TUFF_F16, TUFF_F16, 3, 5, 0, 1, TUFF_DATA_SPECIAL}},
    {"copy.bf16.64x64", cast, {TUFF_BF16, TUFF_BF16, 64, 64}},
    {"copy.f16.2x3x5x7.permuted2031", halves, {2, 3, 5, 7, 2, 0, 3, 1}},
    {"copy.f16.1x8x3x2.permuted0213", halves, {1, 8, 3, 2, 0, 2, 1, 3}},
    {"copy.q4_0_to_f32.3x64", cast, {TUFF_Q4_0, TUFF_F32, 3, 64}},
    {"copy.q4_1_to_f32.3x64", cast, {TUFF_Q4_1, TUFF_F32, 3, 64}},
    {"copy.q5_0_to_f32.3x64", cast, {TUFF_Q5_0, TUFF_F32, 3, 64}},
    {"copy.q5_1_to_f32.3x64", cast, {TUFF_Q5_1, TUFF_F32, 3, 64}},
    {"copy.q8_0_to_f32.3x64", cast, {TUFF_Q8_0, TUFF_F32, 3, 64}},
    {"copy.q2_k_to_f32.3x512", cast, {TUFF_Q2_K, TUFF_F32, 3, 512}},
    {"copy.q3_k_to_f32.3x512", cast, {TUFF_Q3_K, TUFF_F32, 3, 512}},
    {"copy.q4_k_to_f32.3x512", cast, {TUFF_Q4_K, TUFF_F32, 3, 512}},
    {"copy.q5_k_to_f32.3x512", cast, {TUFF_Q5_K, TUFF_F32, 3, 512}},
    {"copy.q6_k_to_f32.3x512", cast, {TUFF_Q6_K, TUFF_F32, 3, 512}},
    {"copy.iq4_nl_to_f32.3x64", cast, {TUFF_IQ4_NL, TUFF_F32, 3, 64}},
    {"copy.mxfp4_to_f32.3x64", cast, {TUFF_MXFP4, TUFF_F32, 3, 64}},
    {"copy.q5_0_to_f32.5x96.transposed", cast, {TUFF_Q5_0, TUFF_F32, 5, 96, 1}},
    {"copy.q6_k_to_f16.3x256.transposed", cast, {TUFF_Q6_K, TUFF_F16, 3, 256, 1}},
    {"copy.q8_0_to_bf16.3x64", cast, {TUFF_Q8_0, TUFF_BF16, 3, 64}},
    {"copy.f32_to_f16.ties", ties, {TUFF_F16}},
    {"copy.f32_to_bf16.ties", ties, {TUFF_BF16}},
    {"copy.gradient_through_bf16.5x7", through, {5, 7}},
};

const tuff_case_family tuff_family_copy = {"copy", cases, sizeof cases / sizeof cases[0]};
