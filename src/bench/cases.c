/* THE list of what `tuff bench` measures on a device. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "bench/case.h"
#include "ir/dtype.h"
#include "ops/fma_chain.h"

/* Numbers like a model's, from -1 to 1; of what is stored by the block bytes that make scales below 1. A
 * buffer of zeros would be faster than what models hold, for it warms a device less, and one of tiny numbers
 * slower on some processors. */
static tuff_status fill(tuff_buffer *buffer, uint32_t seed)
{
    enum { PART = 1 << 15 }; /* elements: a whole number of blocks of any type */
    const tuff_dtype dtype = tuff_buffer_dtype(buffer);
    const int64_t n = tuff_buffer_count(buffer);
    float *values = tuff_alloc_array(PART, sizeof *values);
    uint32_t *stored = tuff_alloc_array(PART, sizeof *stored);
    tuff_status status = values && stored ? TUFF_OK : tuff_fail_memory("numbers to measure with");
    for (int64_t i = 0; i < PART && status == TUFF_OK; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)seed * 0x1p-31f;
        stored[i] = seed >> 2 & 0x3b3b3b3bu;
    }
    if (status == TUFF_OK && !tuff_dtype_is_block(dtype)) tuff_dtype_from_f32(dtype, values, stored, PART);
    for (int64_t at = 0; at < n && status == TUFF_OK; at += PART)
        status = tuff_buffer_write(buffer, at, stored, n - at < PART ? n - at : PART);
    tuff_free(values);
    tuff_free(stored);
    return status;
}

/* A variable with such numbers. */
static tuff_tensor *leaf(tuff_bench_work *w, tuff_dtype dtype, int rank, const int64_t *dims)
{
    const size_t i = w->n_leaves++;
    snprintf(w->leaves[i].name, sizeof w->leaves[i].name, "x%zu", i);
    tuff_status status =
        tuff_buffer_create(w->device, w->leaves[i].name, dtype, rank, dims, &w->leaves[i].buffer);
    if (status == TUFF_OK) status = fill(w->leaves[i].buffer, (uint32_t)i + 1);
    if (w->status == TUFF_OK) w->status = status;
    return tuff_variable(w->graph, w->leaves[i].name, dtype, rank, dims);
}

static double bytes_of(tuff_dtype dtype, int64_t n)
{
    return (double)tuff_dtype_bytes(dtype, n);
}

/* p: elements */
static tuff_tensor *copied(tuff_bench_work *w, const int64_t *p)
{
    w->bytes = 2 * bytes_of(TUFF_F32, p[0]);
    return tuff_copy(w->graph, leaf(w, TUFF_F32, 1, p), TUFF_F32);
}

/* p: elements */
static tuff_tensor *read(tuff_bench_work *w, const int64_t *p)
{
    w->bytes = bytes_of(TUFF_F32, p[0]);
    return tuff_sum(w->graph, leaf(w, TUFF_F32, 1, p), 1, true);
}

/* p: elements, rounds */
static tuff_tensor *chained(tuff_bench_work *w, const int64_t *p)
{
    tuff_tensor *x = tuff_scale(w->graph, leaf(w, TUFF_F32, 1, p), 0.5);
    return tuff_fma_chain(w->graph, x, p[1]);
}

/* p: elements */
static tuff_tensor *added(tuff_bench_work *w, const int64_t *p)
{
    w->bytes = 3 * bytes_of(TUFF_F32, p[0]);
    tuff_tensor *a = leaf(w, TUFF_F32, 1, p), *b = leaf(w, TUFF_F32, 1, p);
    return tuff_add(w->graph, a, b);
}

/* p: rows, columns */
static tuff_tensor *normed(tuff_bench_work *w, const int64_t *p)
{
    w->bytes = 2 * bytes_of(TUFF_F32, p[0] * p[1]);
    tuff_tensor *x = leaf(w, TUFF_F32, 2, p), *weight = leaf(w, TUFF_F32, 1, p + 1);
    return tuff_rms_norm(w->graph, x, weight, 1e-5);
}

/* p: M, N, K, type of the weights, 1: the weights are [K, N], else [N, K], as in Linear */
static tuff_tensor *multiplied(tuff_bench_work *w, const int64_t *p)
{
    const tuff_dtype dtype = (tuff_dtype)p[3];
    const int64_t a[2] = {p[0], p[2]}, plain[2] = {p[2], p[1]}, linear[2] = {p[1], p[2]};
    tuff_tensor *x = leaf(w, TUFF_F32, 2, a), *weights = leaf(w, dtype, 2, p[4] ? plain : linear);
    w->bytes = bytes_of(dtype, p[1] * p[2]) + bytes_of(TUFF_F32, p[0] * (p[1] + p[2]));
    tuff_graph_set_quantized_activations(w->graph, true);
    return tuff_matmul(w->graph, x, p[4] ? weights : tuff_transpose(w->graph, weights));
}

/* A segment of all p[0] tokens. */
static tuff_tensor *one_segment(tuff_bench_work *w, int64_t tokens)
{
    const size_t i = w->n_leaves++;
    snprintf(w->leaves[i].name, sizeof w->leaves[i].name, "x%zu", i);
    w->leaves[i].segment[1] = w->leaves[i].segment[3] = (int32_t)tokens;
    return tuff_input(w->graph, w->leaves[i].name, TUFF_I32, 2, (const int64_t[]){1, 4});
}

/* p: tokens, heads, head_dim, 1: with the gradients of q, k and v. Causal. */
static tuff_tensor *attended(tuff_bench_work *w, const int64_t *p)
{
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    tuff_tensor *qkv[3], *gradients[3];
    params.right = 0;
    for (int i = 0; i < 3; i++)
        qkv[i] = leaf(w, TUFF_F32, 3, p);
    tuff_tensor *y =
        tuff_attention(w->graph, qkv[0], qkv[1], qkv[2], one_segment(w, p[0]), NULL, NULL, &params);
    if (!p[3]) return y;
    tuff_tensor *loss = tuff_sum(w->graph, tuff_mul(w->graph, y, leaf(w, TUFF_F32, 3, p)), 7, false);
    tuff_graph_grad(w->graph, loss, qkv, 3, gradients);
    return tuff_concat(w->graph, gradients, 3, 0);
}

#define MI *(INT64_C(1) << 20)
#define GEMM(suffix, what, M, N, K, type, plain)                                         \
    {                                                                                    \
        "gemm_" suffix, what, TUFF_BENCH_F32, multiplied, {M, N, K, TUFF_##type, plain}, \
            (M) >= 4096 ? 2.0 * (M) * (N) * (K) : 0, false                               \
    }
#define GEMV(suffix, what, type)                                                                   \
    {                                                                                              \
        "gemv_" suffix, what, TUFF_BENCH_READ, multiplied, {1, 16384, 4096, TUFF_##type}, 0, false \
    }
#define ATTENTION(name, what, dim, gradient)                                                   \
    {                                                                                          \
        "attention_" name, what, TUFF_BENCH_F32, attended, {1024, 12, dim, gradient}, 0, false \
    }
const tuff_bench_case tuff_bench_cases[] = {
    {"copy", "a copy of memory", TUFF_BENCH_COPY, copied, {64 MI}, 0, true},
    {"read", "the sum of a long vector", TUFF_BENCH_READ, read, {128 MI}, 0, true},
    {"fma_f32", "multiply and add in registers", TUFF_BENCH_F32, chained, {1 MI, 512}, 0, true},
    {"add", "two tensors, element by element", TUFF_BENCH_COPY, added, {32 MI}, 0, false},
    {"rms_norm", "RMSNorm of rows of 1024", TUFF_BENCH_COPY, normed, {32768, 1024}, 0, false},
    GEMM("f32_1024", "1024 x 1024 x 1024 (M, N, K)", 1024, 1024, 1024, F32, 1),
    GEMM("f32_1024x3072x768", "GPT-2's first feed-forward product, 1024 tokens", 1024, 3072, 768, F32, 1),
    GEMM("f32_1024x768x3072", "its second one, weights as Linear has them", 1024, 768, 3072, F32, 0),
    GEMM("f32_1024x16x768", "LoRA's first product, rank 16", 1024, 16, 768, F32, 0),
    GEMM("f32_4096", "4096 x 4096 x 4096", 4096, 4096, 4096, F32, 1),
    GEMM("f32_8192", "8192 x 8192 x 8192", 8192, 8192, 8192, F32, 1),
    GEMM("f16_1024", "1024 x 1024 x 1024, weights f16", 1024, 1024, 1024, F16, 0),
    GEMM("bf16_1024", "the same, weights bf16", 1024, 1024, 1024, BF16, 0),
    GEMM("q8_0_1024", "the same, weights Q8_0", 1024, 1024, 1024, Q8_0, 0),
    GEMM("q4_k_1024", "the same, weights Q4_K", 1024, 1024, 1024, Q4_K, 0),
    GEMV("f32", "a row times 16384 x 4096 weights, f32", F32),
    GEMV("f16", "the same, f16", F16),
    GEMV("q8_0", "the same, Q8_0", Q8_0),
    GEMV("q4_k", "the same, Q4_K", Q4_K),
    ATTENTION("d64", "causal, 1024 tokens, 12 heads of 64", 64, 0),
    ATTENTION("d128", "the same, heads of 128", 128, 0),
    ATTENTION("train_d64", "forward and backward, heads of 64", 64, 1),
    ATTENTION("train_d128", "forward and backward, heads of 128", 128, 1),
};
const size_t tuff_bench_case_count = sizeof tuff_bench_cases / sizeof tuff_bench_cases[0];
