/* Tiles of a matrix product: a loop of our own, and the packing that makes tiles from any layout. */
#ifndef TUFF_BACKEND_CPU_GEMM_TILE_H
#define TUFF_BACKEND_CPU_GEMM_TILE_H

#include <stdbool.h>
#include <stdint.h>
#include <tuff/dtype.h>

/* A strip: so many columns of b, without gaps; its rows, as many as there are terms, are rounded up to whole
 * TUFF_STRIP_ROWS. What the last strip has beyond b is zero. It is oneDNN's BA16a64b. */
enum { TUFF_STRIP = 64, TUFF_STRIP_ROWS = 16 };

static inline int64_t tuff_strip_rows(int64_t k)
{
    return (k + TUFF_STRIP_ROWS - 1) / TUFF_STRIP_ROWS * TUFF_STRIP_ROWS;
}

static inline int64_t tuff_strips(int64_t n)
{
    return (n + TUFF_STRIP - 1) / TUFF_STRIP;
}

/* c[m,n] = a[m,k] b[k,n], or c += where `add`: row-major, rows without gaps; a by columns where `transposed`,
 * b in strips where `strips`. */
typedef struct tuff_tile_shape {
    int64_t m, n, k;
    bool transposed, strips, add;
} tuff_tile_shape;

/* Element (i,p) of a is at i*ars + p*acs, whatever `transposed` says. Each element is one sum in the order of
 * k, so it depends neither on m nor on n. */
void tuff_tile_plain(const tuff_tile_shape *shape, const float *a, int64_t ars, int64_t acs, const float *b,
                     float *c);

/* A part of a matrix: element (i,j) is element at + i*rs + j*cs of storage x, and rs or cs is 1. */
typedef struct tuff_part_of {
    const void *x;
    tuff_dtype dtype;
    int64_t at, rs, cs;
    tuff_dtype operands; /* TUFF_BF16: elements are rounded to it */
} tuff_part_of;

/* out[i*ld + j] = (i,j) as f32. */
void tuff_pack(const tuff_part_of *from, int64_t rows, int64_t columns, float *out, int64_t ld);
/* The same as strips. */
void tuff_pack_strips(const tuff_part_of *from, int64_t rows, int64_t columns, float *out);

/* c[i,j] = tile[i,j], or c += where `add`; c has its rows ldc apart. */
void tuff_unpack(const float *tile, int64_t rows, int64_t columns, bool add, float *c, int64_t ldc);

#endif
