/* The matrix product of builds without oneDNN: blocked, packed, vectorized by the compiler. */
#ifndef TUFF_BACKEND_CPU_GEMM_PLAIN_H
#define TUFF_BACKEND_CPU_GEMM_PLAIN_H

#include <stdint.h>

/* As tuff_gemm. */
void tuff_gemm_plain(int64_t M, int64_t N, int64_t K, float alpha, const float *a, int64_t ars, int64_t acs,
                     const float *b, int64_t brs, int64_t bcs, float beta, float *c, int64_t crs);

#endif
