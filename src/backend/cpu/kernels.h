/* What host kernels share: threads, matrix products, vector code for the machine at hand. */
#ifndef TUFF_BACKEND_CPU_KERNELS_H
#define TUFF_BACKEND_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/dtype.h>

/* On a kernel's hot loop function: compiled for several instruction sets, chosen at load. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) && \
    !defined(TUFF_NO_MULTIVERSION)
#define TUFF_KERNEL __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4"), noinline))
#else
#define TUFF_KERNEL
#endif

/* Splits 0..n into contiguous ranges of at least `grain` items and runs them on the threads of
 * the device that the calling thread works for.
 * Results must not depend on the split. */
typedef void (*tuff_range_fn)(int64_t begin, int64_t end, void *context);
void tuff_parallel(int64_t n, int64_t grain, tuff_range_fn fn, void *context);
int tuff_thread_count(void);

/* Elements at to at + n of storage x as f32: of f32, f16, bf16, or stored by the block. */
void tuff_load_f32(const void *x, tuff_dtype dtype, int64_t at, int64_t n, float *out);

/* C[M,N] = A[M,K] B[K,N]. Element (i,k) of A is at a[i*ars + k*acs], likewise B's; one of each pair of
 * strides is 1. B is f32, f16, bf16 or of a block type, its blocks along the axis of stride 1; C has its rows
 * crs apart. M, N and K are at least 1. */
typedef struct tuff_gemm_problem {
    int64_t M, N, K;
    const float *a;
    int64_t ars, acs;
    const void *b;
    tuff_dtype b_dtype;
    int64_t brs, bcs;
    float *c;
    int64_t crs;
    bool add;            /* C += instead */
    tuff_dtype operands; /* TUFF_BF16: elements of A and of B are rounded to it as they are read; else f32 */
} tuff_gemm_problem;

/* Threaded. By oneDNN where built in, else by loops; of bf16 by AMX where the processor has it. `scratch` has
 * tuff_gemm_scratch bytes, which depend on all but the pointers, and is aligned to 64. */
void tuff_gemm(const tuff_gemm_problem *problem, void *scratch);
size_t tuff_gemm_scratch(const tuff_gemm_problem *problem);
/* Enough for this problem and those that differ from it by fewer rows or terms, M or K. */
size_t tuff_gemm_scratch_most(const tuff_gemm_problem *problem);

/* y[N] = sum over k of x[k] * W[n,k], W row-major with row stride `ldw`, stored as dtype (f32, f16, bf16).
 * Threaded, at memory speed. */
void tuff_gemv(int64_t N, int64_t K, const float *x, const void *w, tuff_dtype dtype, int64_t ldw, float *y);
/* y[m,n] = sum over k of x[m,k] * W[n,k] for up to TUFF_GEMV_ROWS rows, W of a block type; rows of x, W and y
 * are ldx, ldw and ldy apart. */
enum { TUFF_GEMV_ROWS = 4 };
void tuff_gemv_blocks(int64_t M, int64_t N, int64_t K, const float *x, int64_t ldx, const void *w,
                      tuff_dtype dtype, int64_t ldw, float *y, int64_t ldy);

/* y[m,n] = sum over k of x[m,k] * W[n,k], W of a block type, with x rounded to 8 bits: the sums are of
 * integers, so that a row's bits depend neither on other rows, nor on threads, nor on the instruction set.
 * Rows of x, W and y are ldx, ldw and ldy apart. */
typedef struct tuff_dots_problem {
    int64_t M, N, K;
    const float *x;
    int64_t ldx;
    const void *w;
    tuff_dtype w_dtype;
    int64_t ldw;
    float *y;
    int64_t ldy;
} tuff_dots_problem;
/* Threaded. `scratch` has tuff_dots_scratch bytes and is aligned to 64. */
void tuff_dots(const tuff_dots_problem *problem, void *scratch);
size_t tuff_dots_scratch(tuff_dtype w_dtype, int64_t M, int64_t K);

/* The same, where rows have the matrix of their group: row rows[t] of y, which is row rows[t] / repeat of x,
 * that of group e where starts[e] <= t < starts[e + 1]. x and y are dense, `places` rows of y; rows of W are
 * ldw apart, matrices w_group. */
typedef struct tuff_dots_groups {
    int64_t groups, places, repeat, N, K;
    const int32_t *starts, *rows;
    const float *x;
    const void *w;
    tuff_dtype w_dtype;
    int64_t ldw, w_group;
    float *y;
} tuff_dots_groups;
/* Threaded. `scratch` has tuff_dots_grouped_scratch bytes and is aligned to 64. */
void tuff_dots_grouped(const tuff_dots_groups *problem, void *scratch);
size_t tuff_dots_grouped_scratch(tuff_dtype w_dtype, int64_t places, int64_t K);

/* exp for vector code: within 2 ulp on the finite range, exact 0 and inf beyond, NaN kept. */
static inline float tuff_expf(float x);

#include "backend/cpu/expf.h"

#endif
