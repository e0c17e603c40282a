/* Products of integers: rows are rounded, instruction sets chosen, results cut up for threads. */
#include "backend/cpu/dots.h"

#include <math.h>

#include "backend/cpu/kernels.h"
#include "base/half.h"
#include "ir/dtype.h"

enum { TILE = TUFF_DOTS_TILE };

#ifdef TUFF_DOTS_X86
static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#endif

const tuff_dots_kernels *tuff_dots_kernels_of(unsigned i)
{
    const tuff_dots_kernels *all[3];
    unsigned n = 0;
#ifdef TUFF_DOTS_X86
    if (has_avx512()) all[n++] = &tuff_dots_avx512;
    if (has_avx2()) all[n++] = &tuff_dots_avx2;
#endif
    all[n++] = &tuff_dots_plain;
    return i < n ? all[i] : NULL;
}

static bool is_large(tuff_block type)
{
    return tuff_block_get(type)->elements == TUFF_DOTS_BLOCK;
}

size_t tuff_dots_row_bytes(tuff_block type, int64_t K)
{
    const size_t bytes = is_large(type)
                             ? (size_t)K / TUFF_DOTS_BLOCK * sizeof(tuff_dots_block)
                             : ((size_t)K + TUFF_DOTS_SPAN - 1) / TUFF_DOTS_SPAN * sizeof(tuff_dots_span);
    return (bytes + 63) / 64 * 64;
}

/* Rounds n elements, a multiple of 16, to nearest even; their scale. One that is not finite makes it NaN.
 * What is far below all that f32 is used for becomes 0. */
static TUFF_KERNEL float round_block(const float *restrict x, int n, int8_t *restrict out)
{
    uint32_t most = 0;
    for (int i = 0; i < n; i++) {
        const uint32_t bits = tuff_f32_bits(x[i]) & 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    const float largest = tuff_bits_f32(most);
    const bool finite = most < 0x7f800000u;
    const float times = finite && largest > 0x1p-100f ? 127 / largest : 0;
    const float shift = 0x1.8p23f; /* added, it leaves no bits below one */
    for (int i = 0; i < n; i++)
        out[i] = (int8_t)((finite ? x[i] : 0) * times + shift - shift);
    return finite ? (times > 0 ? largest / 127 : 0) : tuff_bits_f32(0x7fc00000u);
}

static void round_spans(const float *x, int64_t K, tuff_dots_span *out)
{
    for (int64_t at = 0; at < K; at += TUFF_DOTS_SPAN, out++) {
        if (K - at < TUFF_DOTS_SPAN) memset(out, 0, sizeof *out);
        for (int b = 0; b < TUFF_DOTS_SUMS && at + 32 * b < K; b++) {
            int8_t *numbers = out->x + 32 * b;
            int sum = 0;
            out->scale[b] = round_block(x + at + 32 * b, 32, numbers);
            for (int i = 0; i < 32; i++)
                sum += numbers[i];
            out->sum[b] = out->scale[b] * (float)sum;
            out->more[b] = 128 * sum;
        }
    }
}

static void round_blocks(const float *x, int64_t K, tuff_dots_block *out)
{
    for (int64_t at = 0; at < K; at += TUFF_DOTS_BLOCK, out++) {
        out->scale = round_block(x + at, TUFF_DOTS_BLOCK, out->x);
        for (int g = 0; g < TUFF_DOTS_GROUPS; g++) {
            int sum = 0;
            for (int i = 0; i < TUFF_DOTS_GROUP; i++)
                sum += out->x[TUFF_DOTS_GROUP * g + i];
            out->sums[g] = (int16_t)sum;
        }
        memset(out->rest, 0, sizeof out->rest);
    }
}

void tuff_dots_round(tuff_block type, const float *x, int64_t ldx, int64_t rows, int64_t K, char *out)
{
    const size_t bytes = tuff_dots_row_bytes(type, K);
    for (int64_t i = 0; i < rows; i++)
        if (is_large(type))
            round_blocks(x + i * ldx, K, (tuff_dots_block *)(out + (size_t)i * bytes));
        else
            round_spans(x + i * ldx, K, (tuff_dots_span *)(out + (size_t)i * bytes));
}

tuff_dots_shape tuff_dots_shape_of(tuff_dtype w_dtype, int64_t ldw, int64_t K)
{
    const tuff_block type = tuff_block_of(w_dtype);
    return (tuff_dots_shape){.kernels = tuff_dots_kernels_of(0),
                             .type = type,
                             .K = K,
                             .row_bytes = tuff_dots_row_bytes(type, K),
                             .weight_bytes = (size_t)tuff_dtype_bytes(w_dtype, ldw)};
}

void tuff_dots_multiply(const tuff_dots_shape *s, const char *rows, int64_t count, const void *w,
                        int64_t begin, int64_t end, float *const *y)
{
    for (int64_t n = begin; n < end; n++) {
        const uint8_t *weight = (const uint8_t *)w + (size_t)n * s->weight_bytes;
        float sums[TUFF_DOTS_ROWS];
        if (count == TUFF_DOTS_ROWS)
            s->kernels->some[s->type](weight, s->K, rows, sums);
        else
            for (int64_t i = 0; i < count; i++)
                s->kernels->one[s->type](weight, s->K, rows + (size_t)i * s->row_bytes, &sums[i]);
        for (int64_t i = 0; i < count; i++)
            y[i][n] = sums[i];
    }
}

typedef struct job {
    const tuff_dots_problem *p;
    tuff_dots_shape shape;
    char *rows;
} job;

static void round_range(int64_t begin, int64_t end, void *context)
{
    const job *j = context;
    tuff_dots_round(j->shape.type, j->p->x + begin * j->p->ldx, j->p->ldx, end - begin, j->p->K,
                    j->rows + (size_t)begin * j->shape.row_bytes);
}

/* Rows first to first + count of x, at most TUFF_DOTS_ROWS, with weights begin to end. */
static void multiply(const job *j, int64_t first, int64_t count, int64_t begin, int64_t end)
{
    float *y[TUFF_DOTS_ROWS];
    for (int64_t i = 0; i < count; i++)
        y[i] = j->p->y + (first + i) * j->p->ldy;
    tuff_dots_multiply(&j->shape, j->rows + (size_t)first * j->shape.row_bytes, count, j->p->w, begin, end,
                       y);
}

static void tile_range(int64_t begin, int64_t end, void *context)
{
    const job *j = context;
    const int64_t M = j->p->M, N = j->p->N;
    for (int64_t n = begin * TILE; n < end * TILE && n < N; n += TILE)
        for (int64_t m = 0; m < M; m += TUFF_DOTS_ROWS)
            multiply(j, m, M - m < TUFF_DOTS_ROWS ? M - m : TUFF_DOTS_ROWS, n, N - n < TILE ? N : n + TILE);
}

void tuff_dots(const tuff_dots_problem *p, void *scratch)
{
    job j = {p, tuff_dots_shape_of(p->w_dtype, p->ldw, p->K), scratch};
    tuff_parallel(p->M, 1 + TUFF_DOTS_ROUND_PIECE / p->K, round_range, &j);
    tuff_parallel((p->N + TILE - 1) / TILE, 1 + TUFF_DOTS_PIECE / (TILE * p->M * p->K), tile_range, &j);
}

size_t tuff_dots_scratch(tuff_dtype w_dtype, int64_t M, int64_t K)
{
    return (size_t)M * tuff_dots_row_bytes(tuff_block_of(w_dtype), K);
}
