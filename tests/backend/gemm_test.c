/* The host's matrix product against plain loops in double: tiles of all sizes and their edges, all layouts
 * and types; of operands as they are and rounded to bf16; without memory for a thread; with more shapes than
 * are kept. */
#define _DEFAULT_SOURCE /* RLIMIT_DATA */
#include <math.h>
#include <sys/resource.h>

#include "backend/cpu/amx.h"
#include "backend/cpu/host.h"
#include "backend/cpu/kernels.h"
#include "base/half.h"
#include "base/memory.h"
#include "ir/dtype.h"
#include "kit/kit.h"

enum { LARGEST = 1100 * 800 };

static float a[LARGEST], b[LARGEST], c[LARGEST], again[LARGEST], wide[LARGEST];
static uint16_t narrow[LARGEST];
static tuff_dtype operands; /* of the products below */

/* As operands are rounded, by another way than the library's: what is added carries into the bits that stay.
 */
static double operand(float x)
{
    if (operands == TUFF_F32) return x;
    const uint32_t bits = tuff_f32_bits(x), half = bits & 0xffff, low = bits & 0xffff0000;
    const bool up = half > 0x8000 || (half == 0x8000 && (bits >> 16) % 2);
    return tuff_bits_f32(up ? low + 0x10000 : low);
}

static void fill(float *x, uint32_t seed)
{
    for (int i = 0; i < LARGEST; i++)
        x[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1;
}

static void run(tuff_gemm_problem *g, float *out)
{
    void *scratch = tuff_alloc_aligned(tuff_gemm_scratch(g), 64);
    assert_non_null(scratch);
    memset(out, 0xff, sizeof c);
    g->c = out;
    tuff_gemm(g, scratch);
    tuff_free_aligned(scratch);
}

/* Some elements of each row and column, so that no tile is left out. */
static void check(const tuff_gemm_problem *g, const float *factors)
{
    for (int64_t i = 0; i < g->M; i++)
        for (int64_t j = i % 7; j < g->N; j += 7) {
            double sum = 0, size = 0;
            for (int64_t k = 0; k < g->K; k++) {
                double term =
                    operand(g->a[i * g->ars + k * g->acs]) * operand(factors[k * g->brs + j * g->bcs]);
                sum += term;
                size += fabs(term);
            }
            double found = g->c[i * g->crs + j];
            if (!(fabs(found - sum) <= 4e-6 * size))
                fail_msg("%ldx%ldx%ld, element %ld, %ld: %g, expected %g", (long)g->M, (long)g->N, (long)g->K,
                         (long)i, (long)j, found, sum);
        }
}

typedef struct size {
    int64_t M, N, K;
} size;

static const size sizes[] = {
    {1, 1, 1},      {5, 7, 3},      {64, 64, 768},    {65, 63, 769},   {17, 900, 800},  {900, 17, 800},
    {1, 300, 2000}, {300, 1, 2000}, {200, 200, 790},  {1090, 770, 33}, {770, 1090, 20}, {1030, 40, 800},
    {1090, 8, 300}, {130, 5, 9},    {800, 790, 1060}, {8, 700, 1100},  {60, 20, 2100}};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static tuff_gemm_problem problem_of(size s, int layout)
{
    bool ta = layout & 1, tb = layout & 2;
    return (tuff_gemm_problem){.M = s.M,
                               .N = s.N,
                               .K = s.K,
                               .a = a,
                               .ars = ta ? 1 : s.K,
                               .acs = ta ? s.M : 1,
                               .b = b,
                               .b_dtype = TUFF_F32,
                               .brs = tb ? 1 : s.N,
                               .bcs = tb ? s.K : 1,
                               .crs = s.N,
                               .operands = operands};
}

static void products_are_right(void **state)
{
    (void)state;
    tuff_host *host = NULL;
    KIT_OK(tuff_host_create(0, &host));
    fill(a, 1);
    fill(b, 2);
    for (int i = 0; i < SIZES; i++)
        for (int layout = 0; layout < 4; layout++) {
            tuff_gemm_problem g = problem_of(sizes[i], layout);
            tuff_host *before = tuff_host_swap(host);
            run(&g, c);
            check(&g, b);
            g.b_dtype = layout & 1 ? TUFF_BF16 : TUFF_F16;
            tuff_dtype_from_f32(g.b_dtype, b, narrow, LARGEST);
            tuff_dtype_to_f32(g.b_dtype, narrow, wide, LARGEST);
            g.b = narrow;
            run(&g, c);
            check(&g, wide);
            tuff_host_swap(before);
        }
    tuff_host_destroy(&host);
}

/* A thread that gets no memory uses its stack. */
static void products_do_without_memory(void **state)
{
    (void)state;
    for (int i = 0; i < SIZES; i++) {
        tuff_gemm_problem g = problem_of(sizes[i], i % 4);
        void *scratch = tuff_alloc_aligned(tuff_gemm_scratch(&g), 64);
        g.c = c;
        kit_fail_allocation(1);
        tuff_gemm(&g, scratch); /* outside a device, each share is to be allocated */
        assert_true(kit_allocation_failed() || g.operands == TUFF_BF16); /* which AMX needs none for */
        kit_fail_allocation(0);
        check(&g, b);
        tuff_free_aligned(scratch);
    }
}

/* A row's result is the same bit by bit whatever the number of rows, and so however the product is cut up. */
static void rows_do_not_depend_on_their_number(void **state)
{
    (void)state;
    static const int64_t numbers[] = {6, 63, 64, 300};
    static const size shapes[] = {{1100, 40, 800}, {1100, 190, 780}, {700, 900, 970}, {780, 20, 1100}};
    tuff_host *host = NULL;
    KIT_OK(tuff_host_create(0, &host));
    tuff_host *before = tuff_host_swap(host);
    for (int i = 0; i < 4; i++)
        for (int layout = 0; layout < 4; layout += 2) {
            tuff_gemm_problem g = problem_of(shapes[i], layout);
            run(&g, c);
            for (int m = 0; m < 4; m++) {
                g.M = numbers[m];
                run(&g, again);
                assert_memory_equal(c, again, (size_t)(g.M * g.N) * sizeof *c);
            }
        }
    tuff_host_swap(before);
    tuff_host_destroy(&host);
}

/* Nor does any result depend on the number of threads. */
static void results_do_not_depend_on_threads(void **state)
{
    (void)state;
    tuff_host *hosts[2] = {NULL};
    KIT_OK(tuff_host_create(1, &hosts[0]));
    KIT_OK(tuff_host_create(3, &hosts[1]));
    for (int i = 0; i < SIZES; i++)
        for (int layout = 0; layout < 4; layout++) {
            tuff_gemm_problem g = problem_of(sizes[i], layout);
            tuff_host *before = tuff_host_swap(hosts[0]);
            run(&g, c);
            tuff_host_swap(hosts[1]);
            run(&g, again);
            tuff_host_swap(before);
            assert_memory_equal(c, again, (size_t)(g.M * g.N) * sizeof *c);
        }
    tuff_host_destroy(&hosts[0]);
    tuff_host_destroy(&hosts[1]);
}

/* Panels of rows for which oneDNN gets no memory are computed by our own loop. */
static void panels_do_without_memory(void **state)
{
    (void)state;
    tuff_host *host = NULL;
    KIT_OK(tuff_host_create(0, &host));
    tuff_host *before = tuff_host_swap(host);
    tuff_gemm_problem g = problem_of((size){1030, 40, 800}, 2);
    void *scratch = tuff_alloc_aligned(tuff_gemm_scratch(&g), 64);
    g.c = c;
    memset(c, 0xff, sizeof c);
    kit_fail_allocation(1);
    tuff_gemm(&g, scratch);
#ifdef TUFF_HAVE_ONEDNN
    assert_true(kit_allocation_failed());
#endif
    kit_fail_allocation(0);
    check(&g, b);
    tuff_free_aligned(scratch);
    tuff_host_swap(before);
    tuff_host_destroy(&host);
}

/* All of the C library's heap, as a list; each piece begins with the address of the next. */
static void **take_heap(void)
{
    void **taken = NULL;
    for (size_t bytes = 1 << 16; bytes >= sizeof(void *); bytes /= 2)
        for (void **piece; (piece = malloc(bytes)) != NULL; taken = piece)
            *piece = (void *)taken;
    return taken;
}

static void give_heap(void **taken)
{
    for (void **next; taken; taken = next) {
        next = *taken;
        free((void *)taken);
    }
}

/* So is what the system has no memory for, which oneDNN would not notice. */
static void products_do_without_the_system(void **state)
{
    (void)state;
    const char *sanitizer = getenv("TUFF_TEST_SANITIZE");
    if (sanitizer && *sanitizer && strcmp(sanitizer, "OFF") != 0) skip(); /* they need memory of their own */
    static float rooms[2][1 << 20];
    struct rlimit was;
    tuff_host *host = NULL;
    KIT_OK(tuff_host_create(2, &host));
    tuff_host *before = tuff_host_swap(host);
    void *scratch = rooms;
    assert_int_equal(getrlimit(RLIMIT_DATA, &was), 0);
    for (int i = 0; i < SIZES; i++) {
        tuff_gemm_problem g = problem_of(sizes[i], i % 4);
        assert_true(tuff_gemm_scratch(&g) <= sizeof rooms);
        g.c = c;
        memset(c, 0xff, sizeof c);
        assert_int_equal(setrlimit(RLIMIT_DATA, &(struct rlimit){1, was.rlim_max}), 0);
        void **heap = i % 2 ? take_heap() : NULL;
        tuff_gemm(&g, scratch);
        give_heap(heap);
        assert_int_equal(setrlimit(RLIMIT_DATA, &was), 0);
        check(&g, b);
    }
    assert_true(tuff_products_count(tuff_host_products(host)) <= 1); /* that by which it was tried */
    tuff_host_swap(before);
    tuff_host_destroy(&host);
}

/* What is kept is bounded, and what is made anew gives the same. */
static void kept_products_are_bounded(void **state)
{
    (void)state;
    tuff_host *host = NULL;
    uint64_t live = kit_live();
    KIT_OK(tuff_host_create(0, &host));
    tuff_host *before = tuff_host_swap(host);
    tuff_gemm_problem first = problem_of((size){20, 30, 40}, 0);
    run(&first, c);
    for (int i = 0; i < 2 * TUFF_MOST_PRODUCTS; i++) {
        tuff_gemm_problem g = problem_of((size){1 + i % 60, 30, 2 + i / 60}, 0);
        run(&g, again);
        assert_true(tuff_products_count(tuff_host_products(host)) <= TUFF_MOST_PRODUCTS);
    }
    run(&first, again);
    assert_memory_equal(c, again, 20 * 30 * sizeof *c);
    tuff_host_swap(before);
    tuff_host_destroy(&host);
    assert_true(kit_live() == live);
}

/* Added to itself a product is twice as much. */
static void products_are_added(void **state)
{
    (void)state;
    tuff_host *host = NULL;
    KIT_OK(tuff_host_create(0, &host));
    tuff_host *before = tuff_host_swap(host);
    for (int i = 0; i < SIZES; i++)
        for (int layout = 0; layout < 4; layout++) {
            tuff_gemm_problem g = problem_of(sizes[i], layout);
            run(&g, again);
            void *scratch = tuff_alloc_aligned(tuff_gemm_scratch(&g), 64);
            memcpy(c, again, sizeof c);
            g.c = c;
            g.add = true;
            tuff_gemm(&g, scratch);
            for (int64_t e = 0; e < g.M * g.N; e++)
                if (!(fabsf(c[e] - 2 * again[e]) <= 1e-4f))
                    fail_msg("%ldx%ldx%ld, layout %d, element %ld: %g, expected %g", (long)g.M, (long)g.N,
                             (long)g.K, layout, (long)e, (double)c[e], (double)(2 * again[e]));
            tuff_free_aligned(scratch);
        }
    tuff_host_swap(before);
    tuff_host_destroy(&host);
}

/* Memory for the most rows, or terms, is enough for fewer. */
static void fewer_need_no_more_memory(void **state)
{
    (void)state;
    for (int i = 0; i < SIZES; i++)
        for (int layout = 0; layout < 4; layout++) {
            const tuff_gemm_problem g = problem_of(sizes[i], layout);
            const size_t most = tuff_gemm_scratch_most(&g);
            tuff_gemm_problem fewer = g;
            for (fewer.K = 1; fewer.K <= g.K; fewer.K++)
                assert_true(tuff_gemm_scratch(&fewer) <= most);
            fewer.K = g.K;
            for (fewer.M = 1; fewer.M <= g.M; fewer.M++)
                assert_true(tuff_gemm_scratch(&fewer) <= most);
        }
}

/* Both ways of rounded operands: by AMX, where there is it, and in f32. */
static int of_bf16(void **state)
{
    (void)state;
    operands = TUFF_BF16;
    return 0;
}

static int of_bf16_in_f32(void **state)
{
    tuff_amx_hide(true);
    return of_bf16(state);
}

static int of_f32(void **state)
{
    (void)state;
    operands = TUFF_F32;
    tuff_amx_hide(false);
    return 0;
}

/* What lies halfway goes to the even neighbour, what is not finite stays, and the rest of a tile adds nothing
 * to it. */
static void rounding_is_to_nearest_even(void **state)
{
    (void)state;
    static const struct {
        float from, to;
    } pairs[] = {{1 + 0x1p-8f, 1},        {1 + 0x3p-8f, 1 + 0x1p-6f},   {1 + 0x1.01p-8f, 1 + 0x1p-7f},
                 {-1 - 0x1p-8f, -1},      {-1 - 0x3p-8f, -1 - 0x1p-6f}, {0x1.fep127f, 0x1.fep127f},
                 {0x1.ffp127f, INFINITY}, {-INFINITY, -INFINITY},       {NAN, NAN}};
    enum { PAIRS = sizeof pairs / sizeof pairs[0] };
    for (int side = 0; side < 2; side++) {
        memset(a, 0, sizeof a);
        memset(b, 0, sizeof b);
        a[0] = b[0] = 1;
        for (int i = 0; i < PAIRS; i++)
            (side ? b : a)[i] = pairs[i].from;
        tuff_gemm_problem g = problem_of(side ? (size){1, PAIRS, 1} : (size){PAIRS, 1, 1}, 0);
        run(&g, c);
        for (int i = 0; i < PAIRS; i++)
            if (!(c[i] == pairs[i].to || (isnan(c[i]) && isnan(pairs[i].to))))
                fail_msg("side %d: %a became %a, expected %a", side, (double)pairs[i].from, (double)c[i],
                         (double)pairs[i].to);
    }
}

#define ALL_WAYS(test)                                                       \
    cmocka_unit_test(test), {#test " of bf16", test, of_bf16, of_f32, NULL}, \
    {                                                                        \
#test " of bf16 in f32", test, of_bf16_in_f32, of_f32, NULL          \
    }
#define BOTH_OF_BF16(test)                                  \
    {#test " by AMX", test, of_bf16, of_f32, NULL},         \
    {                                                       \
#test " in f32", test, of_bf16_in_f32, of_f32, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALL_WAYS(products_are_right),
        ALL_WAYS(rows_do_not_depend_on_their_number),
        ALL_WAYS(results_do_not_depend_on_threads),
        ALL_WAYS(products_do_without_memory),
        ALL_WAYS(products_are_added),
        ALL_WAYS(fewer_need_no_more_memory),
        cmocka_unit_test(panels_do_without_memory),
        cmocka_unit_test(products_do_without_the_system),
        cmocka_unit_test(kept_products_are_bounded),
        BOTH_OF_BF16(rounding_is_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
