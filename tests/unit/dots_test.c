/* Products of integers on the CPU: each instruction set that this machine has gives the bits of the plain
 * loops, and these give what the rounded rows say, in double. */
#include <math.h>
#include <string.h>

#include "backend/cpu/dots.h"
#include "backend/cpu/kernels.h"
#include "base/rng.h"
#include "base/text.h"
#include "conform/runner.h"
#include "cpu_fixture.h"
#include "ir/dtype.h"
#include "kit/kit.h"

enum { ROWS = 6, WEIGHTS = 5, MOST = 1024 };

typedef struct problem {
    tuff_block type;
    int64_t K;
    size_t row_bytes, weight_bytes;
    float x[ROWS][MOST];
    double w[WEIGHTS][MOST];
    uint8_t stored[WEIGHTS * MOST * 4];
    char *rows;
} problem;

/* Rows of very different sizes, in which one element stands out here and there. */
static void make(problem *p, tuff_block type, int64_t K)
{
    const tuff_dtype dtype = tuff_dtype_of_block(type);
    static double values[WEIGHTS * MOST];
    p->type = type;
    p->K = K;
    p->row_bytes = tuff_dots_row_bytes(type, K);
    p->weight_bytes = (size_t)tuff_dtype_bytes(dtype, K);
    for (int m = 0; m < ROWS; m++)
        for (int64_t k = 0; k < K; k++) {
            double x = tuff_rng_uniform(1, (uint64_t)(m * MOST + k), (uint32_t)type, 0) - 0.5;
            p->x[m][k] = (float)(x * (k % 37 == 5 ? 4 : 1) * ldexp(1, 5 * m - 10));
        }
    tuff_data_blocks(dtype, WEIGHTS * K, 7, (uint32_t)type, p->stored, values);
    for (int n = 0; n < WEIGHTS; n++)
        memcpy(p->w[n], values + n * K, (size_t)K * sizeof *values);
    p->rows = tuff_alloc_aligned(ROWS * p->row_bytes, 64);
    assert_non_null(p->rows);
    tuff_dots_round(type, &p->x[0][0], MOST, ROWS, K, p->rows);
}

/* Element k of a rounded row. */
static double rounded(const problem *p, int m, int64_t k)
{
    const char *row = p->rows + (size_t)m * p->row_bytes;
    if (tuff_block_get(p->type)->elements == 32) {
        const tuff_dots_span *span = (const tuff_dots_span *)(const void *)row + k / TUFF_DOTS_SPAN;
        return (double)span->scale[k % TUFF_DOTS_SPAN / 32] * span->x[k % TUFF_DOTS_SPAN];
    }
    const tuff_dots_block *block = (const tuff_dots_block *)(const void *)row + k / 256;
    return (double)block->scale * block->x[k % 256];
}

static void rows_are_rounded(const problem *p)
{
    const int64_t shared = tuff_block_get(p->type)->elements;
    for (int m = 0; m < ROWS; m++)
        for (int64_t k = 0; k < p->K; k++) {
            double most = 0;
            for (int64_t i = k / shared * shared; i < (k / shared + 1) * shared; i++)
                most = fmax(most, fabs((double)p->x[m][i]));
            const double off = fabs(rounded(p, m, k) - (double)p->x[m][k]);
            if (off > most / 127 * 0.5001)
                fail_msg("%s: element %lld of row %d is off by %g", tuff_block_get(p->type)->name,
                         (long long)k, m, off);
        }
}

static void plain_is_right(const problem *p)
{
    for (int n = 0; n < WEIGHTS; n++)
        for (int m = 0; m < ROWS; m++) {
            double want = 0, size = 0;
            float got;
            for (int64_t k = 0; k < p->K; k++) {
                want += rounded(p, m, k) * p->w[n][k];
                size += fabs(rounded(p, m, k) * p->w[n][k]);
            }
            tuff_dots_plain.one[p->type](p->stored + (size_t)n * p->weight_bytes, p->K,
                                         p->rows + (size_t)m * p->row_bytes, &got);
            /* what is taken off groups may be several times as large as what is left */
            if (fabs((double)got - want) > 1e-6 * size)
                fail_msg("%s, K %lld: %.9g, not %.9g", tuff_block_get(p->type)->name, (long long)p->K,
                         (double)got, want);
        }
}

static void same_bits(const problem *p, const tuff_dots_kernels *kernels)
{
    for (int n = 0; n < WEIGHTS; n++) {
        const uint8_t *w = p->stored + (size_t)n * p->weight_bytes;
        float want[ROWS], one[ROWS], some[ROWS];
        for (int m = 0; m < ROWS; m++) {
            const char *row = p->rows + (size_t)m * p->row_bytes;
            tuff_dots_plain.one[p->type](w, p->K, row, &want[m]);
            kernels->one[p->type](w, p->K, row, &one[m]);
        }
        kernels->some[p->type](w, p->K, p->rows, some);
        kernels->some[p->type](w, p->K, p->rows + (ROWS - TUFF_DOTS_ROWS) * p->row_bytes,
                               some + ROWS - TUFF_DOTS_ROWS);
        if (memcmp(one, want, sizeof want) || memcmp(some, want, sizeof want))
            fail_msg("%s, %s, K %lld: not the bits of the plain loops", kernels->name,
                     tuff_block_get(p->type)->name, (long long)p->K);
    }
}

static void every_type(void **state)
{
    (void)state;
    static const int64_t lengths[] = {32, 96, 160, 512, 992, 256, 768, 1024};
    static problem p;
    for (int t = 0; t < TUFF_BLOCK_COUNT; t++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            if (lengths[i] % tuff_block_get((tuff_block)t)->elements) continue;
            make(&p, (tuff_block)t, lengths[i]);
            rows_are_rounded(&p);
            plain_is_right(&p);
            for (unsigned k = 0; tuff_dots_kernels_of(k); k++)
                same_bits(&p, tuff_dots_kernels_of(k));
            tuff_free_aligned(p.rows);
        }
}

/* What is not finite is not laundered, nor what is near the ends of f32's range. */
static void odd_rows(void **state)
{
    (void)state;
    static const tuff_block types[] = {TUFF_BLOCK_Q8_0, TUFF_BLOCK_Q4_1, TUFF_BLOCK_Q4_K, TUFF_BLOCK_Q6_K};
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, 1e-42f};
    static problem p;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        make(&p, types[t], 256);
        for (int m = 0; m < 5; m++)
            p.x[m][77] = odd[m];
        memset(p.x[4], 0, sizeof p.x[4]);
        p.x[4][77] = odd[4];
        memset(p.x[5], 0, sizeof p.x[5]);
        tuff_dots_round(p.type, &p.x[0][0], MOST, ROWS, p.K, p.rows);
        for (unsigned k = 0; tuff_dots_kernels_of(k); k++)
            for (int m = 0; m < ROWS; m++) {
                float got;
                tuff_dots_kernels_of(k)->one[p.type](p.stored, p.K, p.rows + (size_t)m * p.row_bytes, &got);
                if (m < 3)
                    assert_true(isnan(got));
                else if (m == 3)
                    assert_false(fabs((double)got) < fabs(p.w[0][77]) * 2.9e38);
                else
                    assert_true(got == 0);
            }
        tuff_free_aligned(p.rows);
    }
}

/* Results as a whole: rows of 1 to 9, weights that are no multiple of what a thread takes at a time. */
static void problems(void **state)
{
    (void)state;
    enum { N = 200, K = 256, M = 9 };
    static float x[M * K], y[M * (N + 3)];
    static double values[N * (K + 256)];
    static uint8_t stored[N * (K + 256) * 2];
    for (int i = 0; i < M * K; i++)
        x[i] = (float)tuff_rng_uniform(3, (uint64_t)i, 0, 0) - 0.5f;
    tuff_data_blocks(TUFF_Q4_K, N * (K + 256), 9, 0, stored, values);
    for (int rows = 1; rows <= M; rows++) {
        void *scratch = tuff_alloc_aligned(tuff_dots_scratch(TUFF_Q4_K, rows, K), 64);
        assert_non_null(scratch);
        for (int i = 0; i < M * (N + 3); i++)
            y[i] = -77;
        tuff_dots(&(tuff_dots_problem){rows, N, K, x, K, stored, TUFF_Q4_K, K + 256, y, N + 3}, scratch);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N + 3; n++) {
                double want = 0, squares = 0;
                for (int k = 0; n < N && k < K; k++) {
                    want += (double)x[m * K + k] * values[n * (K + 256) + k];
                    squares += values[n * (K + 256) + k] * values[n * (K + 256) + k];
                }
                const double got = (double)y[m * (N + 3) + n];
                if (m >= rows || n >= N)
                    assert_true(got == -77);
                else if (fabs(got - want) > 0.02 * sqrt(squares))
                    fail_msg("row %d of %d, weight %d: %g, not %g", m, rows, n, got, want);
            }
        tuff_free_aligned(scratch);
    }
}

/* A row's bits are those that it has with its matrix alone, also where more rows come than are rounded at a
 * time; rows of no group are left alone. */
static void groups(void **state)
{
    (void)state;
    enum { N = 70, K = 64, GROUPS = 5, REPEAT = 3, X = 1500, PLACES = X * REPEAT, GAP = 32 };
    static float x[X * K], y[PLACES * N], want[N];
    static double values[GROUPS * N * (K + GAP)];
    static uint8_t stored[GROUPS * N * (K + GAP) * 2];
    static int32_t rows[PLACES];
    const int32_t starts[GROUPS + 1] = {0, 7, 7, 4201, 4202, PLACES - 9};
    const int64_t matrix = tuff_dtype_bytes(TUFF_MXFP4, N * (K + GAP));
    for (int i = 0; i < X * K; i++)
        x[i] = (float)tuff_rng_uniform(4, (uint64_t)i, 0, 0) - 0.5f;
    tuff_data_blocks(TUFF_MXFP4, GROUPS * N * (K + GAP), 9, 0, stored, values);
    for (int t = 0; t < PLACES; t++)
        rows[t] = (int32_t)((int64_t)t * 1999 % PLACES);
    for (int i = 0; i < PLACES * N; i++)
        y[i] = -77;
    void *scratch = tuff_alloc_aligned(tuff_dots_grouped_scratch(TUFF_MXFP4, PLACES, K), 64);
    void *one = tuff_alloc_aligned(tuff_dots_scratch(TUFF_MXFP4, 1, K), 64);
    assert_true(scratch && one);
    tuff_dots_grouped(&(tuff_dots_groups){GROUPS, PLACES, REPEAT, N, K, starts, rows, x, stored, TUFF_MXFP4,
                                          K + GAP, N * (K + GAP), y},
                      scratch);
    for (int e = 0, t = 0; t < PLACES; t++) {
        while (e < GROUPS && t == starts[e + 1])
            e++;
        const float *row = x + rows[t] / REPEAT * K, *got = y + (int64_t)rows[t] * N;
        for (int n = 0; n < N; n++)
            want[n] = -77;
        if (e < GROUPS)
            tuff_dots(
                &(tuff_dots_problem){1, N, K, row, K, stored + e * matrix, TUFF_MXFP4, K + GAP, want, N},
                one);
        if (memcmp(got, want, sizeof want)) fail_msg("row %d, number %d, of group %d", rows[t], t, e);
    }
    tuff_free_aligned(scratch);
    tuff_free_aligned(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_type), cmocka_unit_test(odd_rows),
                                       cmocka_unit_test(problems), cmocka_unit_test(groups)};
    return cmocka_run_group_tests(tests, open_device, close_device);
}
