/* What host kernels share: threads, matrix products, vector code for the machine at hand. */
#ifndef TUFF_BACKEND_CPU_KERNELS_H
#define TUFF_BACKEND_CPU_KERNELS_H

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

/* Splits 0..n into contiguous ranges of at least `grain` items and runs them on the machine's threads.
 * Results must not depend on the split. */
typedef void (*tuff_range_fn)(int64_t begin, int64_t end, void *context);
void tuff_parallel(int64_t n, int64_t grain, tuff_range_fn fn, void *context);
int tuff_thread_count(void);

/* C[M,N] = alpha * A[M,K] B[K,N] + beta * C, f32. A element (i,k) is at a[i*ars + k*acs], likewise B and C;
 * one of each pair of strides must be 1 (C: ccs is 1). Threaded. oneDNN where built in, else a blocked loop.
 */
void tuff_gemm(int64_t M, int64_t N, int64_t K, float alpha, const float *a, int64_t ars, int64_t acs,
               const float *b, int64_t brs, int64_t bcs, float beta, float *c, int64_t crs);

/* y[N] = sum over k of x[k] * W[n,k], W row-major with row stride `ldw`, stored as dtype (f32, f16, bf16).
 * Threaded, at memory speed. */
void tuff_gemv(int64_t N, int64_t K, const float *x, const void *w, tuff_dtype dtype, int64_t ldw, float *y);

/* exp for vector code: within 2 ulp on the finite range, exact 0 and inf beyond, NaN kept. */
static inline float tuff_expf(float x);

#include "backend/cpu/expf.h"

#endif
