/* Tiles of a matrix product: a loop of our own, and the packing that makes tiles from any layout. */
#ifndef TUFF_BACKEND_CPU_GEMM_TILE_H
#define TUFF_BACKEND_CPU_GEMM_TILE_H

#include <stdbool.h>
#include <stdint.h>
#include <tuff/dtype.h>

/* c[m,n] = a[m,k] b[k,n]: row-major, rows without gaps; where `turned`, b by columns without gaps. */
typedef struct tuff_tile_shape {
    int64_t m, n, k;
    bool turned;
} tuff_tile_shape;

/* `shape` is not turned. Each element is one sum in the order of k, so it depends neither on m nor on n. */
void tuff_tile_plain(const tuff_tile_shape *shape, const float *a, const float *b, float *c);

/* out[i,j] = x[i,j] as f32, rows without gaps; element (i,j) of x is at i*rs + j*cs, and rs or cs is 1. */
void tuff_pack(const void *x, tuff_dtype dtype, int64_t rs, int64_t cs, int64_t rows, int64_t columns,
               float *out);

/* c[i,j] = tile[i,j], or c += where `add`; c has its rows ldc apart. */
void tuff_unpack(const float *tile, int64_t rows, int64_t columns, bool add, float *c, int64_t ldc);

#endif
