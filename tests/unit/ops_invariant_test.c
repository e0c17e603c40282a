/* Products that were asked to be invariant: a row's bits do not depend on how many rows there are. On the
 * CPU; the conformance suite's cases do the same on every device. */
#include <string.h>

#include "base/rng.h"
#include "conform/runner.h"
#include "cpu_fixture.h"
#include "ir/dtype.h"
#include "kit/kit.h"
#include "runtime/program.h"

enum { MOST_ROWS = 700 };

/* The first M rows of a times b, or, `transposed`, b's transpose. */
static void multiply(const float *a, int64_t M, int64_t N, int64_t K, bool transposed, tuff_buffer *b,
                     float *c)
{
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_graph_set_invariant(g, true);
    tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 2, (int64_t[]){M, K});
    tuff_tensor *w =
        tuff_variable(g, "b", tuff_buffer_dtype(b), 2, transposed ? (int64_t[]){N, K} : (int64_t[]){K, N});
    tuff_output(g, "c", tuff_matmul(g, x, transposed ? tuff_transpose(g, w) : w));
    KIT_OK(tuff_program_create(device, &g, &program));
    KIT_OK(tuff_program_bind(program, "b", b));
    KIT_OK(tuff_program_input(program, "a", a, (size_t)(M * K) * sizeof *a));
    KIT_OK(tuff_program_run(program));
    KIT_OK(tuff_program_output(program, "c", c, (size_t)(M * N) * sizeof *c));
    tuff_program_destroy(&program);
}

static void check(int64_t N, int64_t K, bool transposed, tuff_dtype dtype)
{
    static const int64_t rows[] = {1,  2,  3,  4,   5,   7,   8,   15,  16,  17,  31,  33,
                                   63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 400, 513};
    float *a = malloc(MOST_ROWS * (size_t)K * sizeof *a), *w = malloc((size_t)(N * K) * sizeof *w);
    float *truth = malloc(MOST_ROWS * (size_t)N * sizeof *truth),
          *c = malloc(MOST_ROWS * (size_t)N * sizeof *c);
    void *stored = malloc((size_t)(N * K) * sizeof *w);
    for (int64_t i = 0; i < MOST_ROWS * K; i++)
        a[i] = (float)tuff_rng_uniform(1, (uint64_t)i, 0, 0) - 0.5f;
    for (int64_t i = 0; i < N * K; i++)
        w[i] = (float)tuff_rng_uniform(2, (uint64_t)i, 0, 0) - 0.5f;
    tuff_buffer *b = NULL;
    KIT_OK(tuff_buffer_create(device, "b", dtype, 2, transposed ? (int64_t[]){N, K} : (int64_t[]){K, N}, &b));
    if (tuff_dtype_is_block(dtype)) {
        double *values = malloc((size_t)(N * K) * sizeof *values);
        tuff_data_blocks(dtype, N * K, 2, 0, stored, values);
        free(values);
    } else if (dtype != TUFF_F32) {
        tuff_dtype_from_f32(dtype, w, stored, (size_t)(N * K));
    }
    KIT_OK(tuff_buffer_write(b, 0, dtype == TUFF_F32 ? w : stored, N * K));
    multiply(a, MOST_ROWS, N, K, transposed, b, truth);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        multiply(a, rows[i], N, K, transposed, b, c);
        for (int64_t k = 0; k < rows[i] * N; k++)
            if (memcmp(&c[k], &truth[k], sizeof *c) != 0)
                fail_msg("N %lld, K %lld, %s, b%s: with %lld rows row %lld differs from that of %d rows",
                         (long long)N, (long long)K, tuff_dtype_name(dtype), transposed ? " transposed" : "",
                         (long long)rows[i], (long long)(k / N), MOST_ROWS);
    }
    tuff_buffer_destroy(&b);
    free(a), free(w), free(truth), free(c), free(stored);
}

static void rows_do_not_know_of_each_other(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{384, 384},  {1536, 384}, {384, 1536}, {1, 64},   {33, 70},
                                       {300, 3100}, {64, 1},     {1000, 129}, {768, 768}};
#ifdef __SANITIZE_THREAD__
    enum {
        DTYPES = 1
    }; /* which way a product goes is no matter of threads, and all ways take a quarter of an hour */
#else
    enum { DTYPES = 3 };
#endif
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int transposed = 0; transposed < 2; transposed++)
            for (int d = 0; d < DTYPES; d++)
                check(sizes[s][0], sizes[s][1], transposed, (tuff_dtype[]){TUFF_F32, TUFF_F16, TUFF_BF16}[d]);
    for (int transposed = 0; transposed < 2 && DTYPES > 1; transposed++) {
        check(384, 1536, transposed, TUFF_Q8_0);
        check(768, 768, transposed, TUFF_Q4_K);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_do_not_know_of_each_other)};
    return cmocka_run_group_tests(tests, open_device, close_device);
}
