/* Cases of products of integers reject wrong kernels: the right one on bytes that were misread. */
#include <string.h>

#include "backend/backend.h"
#include "conform/runner.h"
#include "ir/dtype.h"
#include "ir/op.h"
#include "kit/kit.h"

static const tuff_op_info *right;
static tuff_op_info wrong;

/* How a block, or a row of a, is misread. */
typedef struct mutant {
    const char *what, *name; /* of the case */
    void (*block)(uint8_t *w);
    void (*row)(float *x, int64_t K);
    bool lost; /* the last row of the result is another's */
} mutant;

static void halves_exchanged(uint8_t *w)
{
    for (int i = 2; i < 18; i++)
        w[i] = (uint8_t)(w[i] << 4 | w[i] >> 4);
}
static void least_forgotten(uint8_t *w)
{
    w[2] = w[3] = 0;
}
static void fifth_bits_exchanged(uint8_t *w)
{
    uint8_t x[4] = {w[4], w[5], w[2], w[3]};
    memcpy(w + 2, x, 4);
}
static void sign_forgotten(uint8_t *w)
{
    for (int i = 2; i < 34; i++)
        w[i] &= 0x7f;
}
static void least_of_q2_k_forgotten(uint8_t *w)
{
    w[82] = w[83] = 0;
}
static void third_bits_forgotten(uint8_t *w)
{
    memset(w, 0, 32);
}
static void scales_by_turns(uint8_t *w)
{
    uint8_t first = w[4];
    memmove(w + 4, w + 5, 3);
    w[7] = first;
}
static void high_bits_forgotten(uint8_t *w)
{
    memset(w + 16, 0, 32);
}
static void scales_without_sign(uint8_t *w)
{
    for (int i = 192; i < 208; i++)
        w[i] &= 0x7f;
}
static void exponent_off(uint8_t *w)
{
    w[0]++;
}
static void last_terms_lost(float *x, int64_t K)
{
    memset(x + K - 32, 0, 32 * sizeof *x);
}
static void largest_cut(float *x, int64_t K)
{
    for (int64_t k = 0; k < K; k++)
        x[k] = x[k] > 1 ? 1 : x[k] < -1 ? -1 : x[k];
}

static const mutant mutants[] = {
    {"Q4_0, halves of bytes exchanged", "matmul.quantized.q4_0.m1n70k96", .block = halves_exchanged},
    {"Q4_1, without the least", "matmul.quantized.q4_1.m3n37k96", .block = least_forgotten},
    {"Q5_0, fifth bits of the other half", "matmul.quantized.q5_0.m9n37k64", .block = fifth_bits_exchanged},
    {"Q5_1, without the least", "matmul.quantized.q5_1.m4n37k160", .block = least_forgotten},
    {"Q8_0, without the sign", "matmul.quantized.q8_0.m1n37k96", .block = sign_forgotten},
    {"Q2_K, nothing taken off", "matmul.quantized.q2_k.m2n37k512", .block = least_of_q2_k_forgotten},
    {"Q3_K, without third bits", "matmul.quantized.q3_k.m5n37k256", .block = third_bits_forgotten},
    {"Q4_K, nothing taken off", "matmul.quantized.q4_k.m1n70k512", .block = least_forgotten},
    {"Q4_K, scales of other groups", "matmul.quantized.q4_k.m7n300k1280", .block = scales_by_turns},
    {"Q5_K, without fifth bits", "matmul.quantized.q5_k.m6n37k256", .block = high_bits_forgotten},
    {"Q6_K, scales without a sign", "matmul.quantized.q6_k.m66n9k512", .block = scales_without_sign},
    {"IQ4_NL, halves of bytes exchanged", "matmul.quantized.iq4_nl.m3n37k96", .block = halves_exchanged},
    {"MXFP4, exponents one off", "matmul.quantized.mxfp4.m4n37k96", .block = exponent_off},
    {"the last terms are lost", "matmul.quantized.q8_0.m1n37k96", .row = last_terms_lost},
    {"the largest elements are cut", "matmul.quantized.q8_0.m70n65k1120", .row = largest_cut},
    {"the last row is another's", "matmul.quantized.q4_k.m7n300k1280", .lost = true},
};
static const mutant *now;

static void kernel(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    const tuff_tensor *a = node->in[0], *b = node->in[1];
    const tuff_block_info *block = tuff_block_get(tuff_block_of(b->dtype));
    const int64_t M = a->shape.dim[0], K = a->shape.dim[1], N = node->out[0]->shape.dim[1];
    const size_t bytes = (size_t)tuff_dtype_bytes(b->dtype, K * N);
    float *x = malloc((size_t)(M * K) * sizeof *x), *y = out[0];
    uint8_t *w = malloc(bytes);
    assert_true(x && w);
    memcpy(x, in[0], (size_t)(M * K) * sizeof *x);
    memcpy(w, in[1], bytes);
    for (size_t at = 0; now->block && at < bytes; at += block->bytes)
        now->block(w + at);
    for (int64_t m = 0; now->row && m < M; m++)
        now->row(x + m * K, K);
    right->cpu(node, (const void *[]){x, w, in[2]}, out, scratch);
    if (now->lost) memcpy(y + (M - 1) * N, y + (M - 2) * N, (size_t)N * sizeof *y);
    free(x), free(w);
}

static void replace(tuff_plan *plan, void *context)
{
    (void)context;
    for (size_t s = 0; s < plan->n_steps; s++)
        if (plan->steps[s].node->op == TUFF_OP_matmul && plan->steps[s].node->attrs.matmul.quantized &&
            tuff_dtype_is_block(plan->steps[s].node->in[1]->dtype))
            plan->steps[s].op = &wrong;
}

static tuff_verdict verdict_of(const mutant *m, bool mutate)
{
    static const tuff_open_params params;
    extern const tuff_case_family tuff_family_matmul;
    tuff_backend_device *device = NULL;
    const tuff_case *c = NULL;
    for (size_t i = 0; i < tuff_family_matmul.n_cases; i++)
        if (strcmp(tuff_family_matmul.cases[i].name, m->name) == 0) c = &tuff_family_matmul.cases[i];
    assert_non_null(c);
    assert_int_equal(tuff_backend_cpu.open(0, &params, &device), TUFF_OK);
    now = m;
    tuff_suite suite = {.device = device, .hook = mutate ? replace : NULL};
    tuff_outcome outcome;
    tuff_suite_case(&suite, &tuff_family_matmul, c, &outcome);
    const tuff_verdict verdict = outcome.verdict;
    tuff_outcome_free(&outcome);
    tuff_backend_cpu.close(&device);
    return verdict;
}

static void wrong_kernels_are_caught(void **state)
{
    (void)state;
    right = tuff_op_info_of(TUFF_OP_matmul);
    wrong = *right;
    wrong.cpu = kernel;
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        assert_int_equal(verdict_of(&mutants[i], false), TUFF_VERDICT_HELD);
        if (verdict_of(&mutants[i], true) != TUFF_VERDICT_VALUE)
            fail_msg("%s was not caught", mutants[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wrong_kernels_are_caught)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
