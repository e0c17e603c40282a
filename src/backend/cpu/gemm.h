/* The ways to cut a matrix product up. Each follows from the product's shape and, for its terms at a time,
 * from what oneDNN serves here; never from the number of threads. */
#ifndef TUFF_BACKEND_CPU_GEMM_H
#define TUFF_BACKEND_CPU_GEMM_H

#include <stdbool.h>

#include "backend/cpu/host.h"
#include "backend/cpu/kernels.h"

enum {
    TUFF_GEMM_LINE = 16,           /* floats in a cache line */
    TUFF_GEMM_LATE = 192 * 1024,   /* elements that a thread packs for itself at a time */
    TUFF_GEMM_TILE = 192,          /* most rows or columns of a tile */
    TUFF_GEMM_SMALL_WORK = 1 << 18 /* multiply-adds that are worth a thread */
};

/* What a thread needs of its own. */
typedef struct tuff_gemm_memory {
    float late[TUFF_GEMM_LATE], result[TUFF_GEMM_TILE * TUFF_GEMM_TILE];
    char scratch[TUFF_PRODUCT_SCRATCH];
} tuff_gemm_memory;

static inline int64_t tuff_gemm_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t tuff_gemm_parts(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

/* Cuts n terms evenly in parts of at most `most`. */
static inline int64_t tuff_gemm_cut(int64_t n, int64_t most)
{
    if (n <= most) return n;
    return tuff_gemm_parts(tuff_gemm_parts(n, tuff_gemm_parts(n, most)), TUFF_GEMM_LINE) * TUFF_GEMM_LINE;
}

/* Terms at a time. It is the same for all numbers of rows, so that a row's result does not depend on them. */
int64_t tuff_gemm_terms(const tuff_gemm_problem *g, bool strips);

/* Of operands rounded to bf16, by AMX. */
size_t tuff_gemm_bf16_scratch(const tuff_gemm_problem *g);
size_t tuff_gemm_bf16_most(const tuff_gemm_problem *g); /* also with fewer rows or terms */
void tuff_gemm_bf16(const tuff_gemm_problem *g, void *scratch);

/* Panels of rows of c, by a b that was packed whole, or as it lies. */
bool tuff_gemm_by_panels(const tuff_gemm_problem *g);
size_t tuff_gemm_panels_scratch(const tuff_gemm_problem *g);
size_t tuff_gemm_panels_most(const tuff_gemm_problem *g); /* also with fewer rows or terms */
void tuff_gemm_panels(const tuff_gemm_problem *g, float *scratch);

/* A few sums over some of the terms each, with both operands as they lie, that are added up: for a small c of
 * many terms. */
bool tuff_gemm_by_chains(const tuff_gemm_problem *g);
size_t tuff_gemm_chains_scratch(const tuff_gemm_problem *g);
size_t tuff_gemm_chains_most(const tuff_gemm_problem *g); /* also with fewer rows or terms */
void tuff_gemm_chains(const tuff_gemm_problem *g, float *scratch);

#endif
