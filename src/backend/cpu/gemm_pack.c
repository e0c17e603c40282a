/* Packing: a part of a matrix of any layout and type becomes dense rows of f32. */
#include <string.h>

#include "backend/cpu/gemm_tile.h"
#include "backend/cpu/kernels.h"
#include "base/half.h"
#include "ir/dtype.h"

enum { SIDE = 16, PIECE = 256, ROWS = 32 };

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAVE_SHUFFLE 1
#endif
#endif

#ifdef HAVE_SHUFFLE
typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));

#define LOW(a, b)   __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(a, b)  __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define EVEN(a, b)  __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define ODD(a, b)   __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define FRONT(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define BACK(a, b)  __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)

/* out[i,j] = x[j,i] for 8 x 8 elements */
static inline __attribute__((always_inline)) void transpose8(const float *x, int64_t ldx, float *out,
                                                             int64_t ld)
{
    vec r[8], s[8];
    for (int i = 0; i < 8; i++)
        r[i] = *(const vec *)(x + i * ldx);
    for (int i = 0; i < 8; i += 2) {
        s[i] = LOW(r[i], r[i + 1]);
        s[i + 1] = HIGH(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int k = 0; k < 2; k++) {
            r[i + 2 * k] = EVEN(s[i + k], s[i + k + 2]);
            r[i + 2 * k + 1] = ODD(s[i + k], s[i + k + 2]);
        }
    for (int i = 0; i < 4; i++) {
        *(vec *)(out + i * ld) = FRONT(r[i], r[i + 4]);
        *(vec *)(out + (i + 4) * ld) = BACK(r[i], r[i + 4]);
    }
}

/* out[i,j] = x[j,i] for SIDE x SIDE elements */
static TUFF_KERNEL void transpose(const float *x, int64_t ldx, float *out, int64_t ld)
{
    for (int i = 0; i < SIDE; i += 8)
        for (int j = 0; j < SIDE; j += 8)
            transpose8(x + j * ldx + i, ldx, out + i * ld + j, ld);
}
#else
static TUFF_KERNEL void transpose(const float *x, int64_t ldx, float *restrict out, int64_t ld)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            out[i * ld + j] = x[j * ldx + i];
}
#endif

static void transpose_part(const float *x, int64_t ldx, int64_t rows, int64_t columns, float *out, int64_t ld)
{
    if (rows == SIDE && columns == SIDE) {
        transpose(x, ldx, out, ld);
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            out[i * ld + j] = x[j * ldx + i];
}

/* Stored by columns: SIDE columns at a time, in pieces of rows that are f32 or made so. */
static void pack_transposed(const tuff_part_of *from, int64_t rows, int64_t columns, float *out, int64_t ld)
{
    float converted[SIDE * PIECE];
    for (int64_t j = 0; j < columns; j += SIDE) {
        int64_t nj = columns - j < SIDE ? columns - j : SIDE;
        for (int64_t p = 0; p < rows; p += PIECE) {
            int64_t np = rows - p < PIECE ? rows - p : PIECE, x_ld = PIECE;
            const float *x = converted;
            if (from->dtype == TUFF_F32) {
                x = (const float *)from->x + from->at + j * from->cs + p;
                x_ld = from->cs;
            }
            for (int64_t c = 0; c < nj && x == converted; c++)
                tuff_load_f32(from->x, from->dtype, from->at + (j + c) * from->cs + p, np,
                              converted + c * PIECE);
            for (int64_t i = 0; i < np; i += SIDE)
                transpose_part(x + i, x_ld, np - i < SIDE ? np - i : SIDE, nj, out + (p + i) * ld + j, ld);
        }
    }
}

/* Rows of a strip. */
static TUFF_KERNEL void copy_strip(const float *restrict x, int64_t rs, int64_t rows, float *restrict out)
{
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < TUFF_STRIP; j++)
            out[i * TUFF_STRIP + j] = x[i * rs + j];
}

static TUFF_KERNEL void round_row(float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = tuff_round_bf16(x[i]);
}

void tuff_pack(const tuff_part_of *from, int64_t rows, int64_t columns, float *out, int64_t ld)
{
    if (from->cs != 1 && columns > 1)
        pack_transposed(from, rows, columns, out, ld);
    else if (from->dtype == TUFF_F32 && columns == TUFF_STRIP && ld == TUFF_STRIP)
        copy_strip((const float *)from->x + from->at, from->rs, rows, out);
    else
        for (int64_t i = 0; i < rows; i++)
            tuff_load_f32(from->x, from->dtype, from->at + i * from->rs, columns, out + i * ld);
    for (int64_t i = 0; i < rows && from->operands == TUFF_BF16; i++)
        round_row(out + i * ld, columns);
}

/* What a strip has beyond its columns and rows. */
static void clear_rest(float *strip, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows && columns < TUFF_STRIP; i++)
        memset(strip + i * TUFF_STRIP + columns, 0, (size_t)(TUFF_STRIP - columns) * sizeof *strip);
    memset(strip + rows * TUFF_STRIP, 0,
           (size_t)((tuff_strip_rows(rows) - rows) * TUFF_STRIP) * sizeof *strip);
}

/* Where x lies by rows, they are read some at a time for all strips: a page holds parts of many strips. */
void tuff_pack_strips(const tuff_part_of *from, int64_t rows, int64_t columns, float *out)
{
    int64_t size = tuff_strip_rows(rows) * TUFF_STRIP, step = from->cs == 1 ? ROWS : rows;
    for (int64_t i = 0; i < rows; i += step)
        for (int64_t j = 0; j < columns; j += TUFF_STRIP) {
            tuff_part_of part = *from;
            part.at += i * from->rs + j * from->cs;
            tuff_pack(&part, rows - i < step ? rows - i : step,
                      columns - j < TUFF_STRIP ? columns - j : TUFF_STRIP,
                      out + j / TUFF_STRIP * size + i * TUFF_STRIP, TUFF_STRIP);
        }
    for (int64_t j = 0; j < columns; j += TUFF_STRIP)
        clear_rest(out + j / TUFF_STRIP * size, rows, columns - j < TUFF_STRIP ? columns - j : TUFF_STRIP);
}

static TUFF_KERNEL void add_row(const float *restrict x, int64_t n, float *restrict c)
{
    for (int64_t j = 0; j < n; j++)
        c[j] += x[j];
}

void tuff_unpack(const float *tile, int64_t rows, int64_t columns, bool add, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < rows; i++)
        if (add)
            add_row(tile + i * columns, columns, c + i * ldc);
        else
            memcpy(c + i * ldc, tile + i * columns, (size_t)columns * sizeof *c);
}
