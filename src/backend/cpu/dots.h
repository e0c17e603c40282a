/* Products of integers: rows of f32 are rounded to 8 bits, weights stay as they are stored by the block, and
 * what they give is summed as integers. All instruction sets give the same bits.
 *
 * For blocks of 32: a row's 32 elements share a scale, max|x| / 127. Sum l of 16 takes blocks l, l + 16 and
 * so on: scale of weight times scale of row, times the sum of integers, each rounded to f32. Q4_1 and Q5_1
 * add their least times the row's sum, in sums of their own. For blocks of 256: 256 elements share a scale.
 * Sum l of 16 takes of each block all products at places whose number divided by 4 is l modulo 16, times the
 * scales of their groups; what is taken off groups is summed by pairs of groups, in eight sums. At the end
 * sums are added in halves: the second half to the first, and so on.
 */
#ifndef TUFF_BACKEND_CPU_DOTS_H
#define TUFF_BACKEND_CPU_DOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tuff/dtype.h>

#include "base/blocks.h"

enum {
    TUFF_DOTS_ROWS = 4,  /* that a weight meets at a time */
    TUFF_DOTS_SUMS = 16, /* blocks of 32 that are multiplied side by side */
    TUFF_DOTS_SPAN = 32 * TUFF_DOTS_SUMS,
    TUFF_DOTS_GROUP = 16, /* elements of a block of 256 that have one sum */
    TUFF_DOTS_BLOCK = 256,
    TUFF_DOTS_GROUPS = TUFF_DOTS_BLOCK / TUFF_DOTS_GROUP
};

/* 16 blocks of 32 of a row; past the row's end there are zeros. */
typedef struct tuff_dots_span {
    int8_t x[TUFF_DOTS_SPAN];
    float scale[TUFF_DOTS_SUMS];  /* x = scale * number */
    float sum[TUFF_DOTS_SUMS];    /* of the elements */
    int32_t more[TUFF_DOTS_SUMS]; /* 128 times the sum of the numbers */
} tuff_dots_span;

/* 256 elements of a row. */
typedef struct tuff_dots_block {
    int8_t x[TUFF_DOTS_BLOCK];
    int16_t sums[TUFF_DOTS_GROUPS]; /* of the numbers of each group */
    float scale;
    uint32_t rest[3];
} tuff_dots_block;

/* `rows`: so many of K elements, each of tuff_dots_row_bytes(K). `w`: a row of weights, K elements. sums[i]
 * is what it gives with row i. */
typedef void tuff_dots_fn(const uint8_t *w, int64_t K, const char *rows, float *sums);

/* How an instruction set does it: with one row, and with TUFF_DOTS_ROWS of them. */
typedef struct tuff_dots_kernels {
    const char *name;
    tuff_dots_fn *one[TUFF_BLOCK_COUNT], *some[TUFF_BLOCK_COUNT];
} tuff_dots_kernels;

extern const tuff_dots_kernels tuff_dots_plain;
#if defined(__GNUC__) && defined(__x86_64__) && !defined(TUFF_NO_MULTIVERSION)
#define TUFF_DOTS_X86 1
extern const tuff_dots_kernels tuff_dots_avx2, tuff_dots_avx512;
#endif
/* Those that this machine has, the best first; NULL behind them. */
const tuff_dots_kernels *tuff_dots_kernels_of(unsigned i);

/* Bytes of a row of K elements, rounded for weights of a type: a multiple of 64. */
size_t tuff_dots_row_bytes(tuff_block type, int64_t K);
/* Rounds rows x, ldx apart. What is not finite makes all results of its row NaN. */
void tuff_dots_round(tuff_block type, const float *x, int64_t ldx, int64_t rows, int64_t K, char *out);

/* What products with weights of a type, of K elements each and `ldw` apart, have in common. */
typedef struct tuff_dots_shape {
    const tuff_dots_kernels *kernels;
    tuff_block type;
    int64_t K;
    size_t row_bytes, weight_bytes; /* of a row of each */
} tuff_dots_shape;

enum {
    TUFF_DOTS_TILE = 64,         /* rows of weights that stay in a cache while rows go by */
    TUFF_DOTS_PIECE = 1 << 18,   /* multiply-adds that are worth a thread */
    TUFF_DOTS_ROUND_PIECE = 8192 /* elements to round that are worth a thread */
};

tuff_dots_shape tuff_dots_shape_of(tuff_dtype w_dtype, int64_t ldw, int64_t K);
/* y[i][n] for rounded rows [count], at most TUFF_DOTS_ROWS, and weights begin to end of w. */
void tuff_dots_multiply(const tuff_dots_shape *shape, const char *rows, int64_t count, const void *w,
                        int64_t begin, int64_t end, float *const *y);

/* ---- for the instruction sets: all follow from a type that the compiler knows */

/* Whether elements have something added to the scaled number (blocks of 256: taken off it). */
static inline bool tuff_dots_has_least(tuff_block type)
{
    return type == TUFF_BLOCK_Q4_1 || type == TUFF_BLOCK_Q5_1 || type == TUFF_BLOCK_Q2_K ||
           type == TUFF_BLOCK_Q4_K || type == TUFF_BLOCK_Q5_K;
}

/* Blocks of 256: by how much stored numbers are more than they are, as a power of two; 0: not at all. */
static inline int tuff_dots_zero_bits(tuff_block type)
{
    return type == TUFF_BLOCK_Q3_K ? 2 : type == TUFF_BLOCK_Q6_K ? 5 : 0;
}

/* Blocks of 256: where the scale is; the least's is behind it. */
static inline int tuff_dots_step_at(tuff_block type)
{
    return type == TUFF_BLOCK_Q2_K ? 80 : type == TUFF_BLOCK_Q3_K ? 108 : type == TUFF_BLOCK_Q6_K ? 208 : 0;
}

/* Asks for weights that come next, while those at hand are multiplied: the processor alone does not look far
 * enough ahead. */
static inline void tuff_dots_ask(const uint8_t *w, size_t bytes)
{
    enum { AHEAD = 2048, LINE = 64 };
    for (size_t i = 0; i < bytes; i += LINE)
        __builtin_prefetch(w + AHEAD + i, 0, 2);
}

static inline uint32_t tuff_dots_word(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/* Q4_K's and Q5_K's 12 bytes of scales and leasts, 6 bits each: 8 bytes of scales, 8 of leasts. */
static inline void tuff_dots_scales_of_8(const uint8_t *in, uint32_t out[4])
{
    const uint32_t a = tuff_dots_word(in), b = tuff_dots_word(in + 4), c = tuff_dots_word(in + 8);
    out[0] = a & 0x3f3f3f3f;
    out[1] = (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030);
    out[2] = b & 0x3f3f3f3f;
    out[3] = (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030);
}

/* Q3_K's 12 bytes: 16 bytes of scales, 32 more than they are. */
static inline void tuff_dots_scales_q3_k(const uint8_t *in, uint32_t out[4])
{
    const uint32_t a = tuff_dots_word(in), b = tuff_dots_word(in + 4), c = tuff_dots_word(in + 8);
    out[0] = (a & 0x0f0f0f0f) | (c << 4 & 0x30303030);
    out[1] = (b & 0x0f0f0f0f) | (c << 2 & 0x30303030);
    out[2] = (a >> 4 & 0x0f0f0f0f) | (c & 0x30303030);
    out[3] = (b >> 4 & 0x0f0f0f0f) | (c >> 2 & 0x30303030);
}

enum { TUFF_DOTS_MOST_BYTES = 34 }; /* of a block of 32 */

/* 16 blocks at w, or, where fewer are left, a copy of them before zeros. */
static inline const uint8_t *tuff_dots_whole_span(const uint8_t *w, int64_t left, size_t bytes, uint8_t *copy)
{
    if (left >= TUFF_DOTS_SUMS) return w;
    memset(copy, 0, TUFF_DOTS_SUMS * bytes);
    return memcpy(copy, w, (size_t)left * bytes);
}

#endif
