/* What is measured of a device: every row once, its figures those of its work; what is asked for wrongly, and
 * an end before the end. */
#include "kit/kit.h"

#include <stdio.h>
#include <string.h>
#include <tuff/bench.h>

#include "bench/case.h"
#include "ops/fma_chain.h"

typedef struct seen {
    size_t count;
    char names[64][64];
    double rates[64];
} seen;

static void see(const tuff_bench_row *row, void *user)
{
    seen *s = user;
    assert_true(s->count < 64);
    assert_non_null(strstr("GFLOP/s GB/s", row->unit));
    assert_true(row->rate > 0 && row->share > 0 && row->seconds > 0 && row->spread >= 0 && row->rounds >= 5);
    assert_true(strlen(row->what) > 5);
    assert_int_equal(row->is_peak, s->count < 3); /* they come first */
    s->rates[s->count] = row->rate;
    snprintf(s->names[s->count++], 64, "%s", row->name);
}

static tuff_device *open_cpu(void)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    tuff_device *device = NULL;
    params.name = "cpu";
    KIT_OK(tuff_device_open(&params, &device));
    return device;
}

/* Rows that are small: the peaks come before them whatever is asked for, and shares are of them. */
static void test_rows_and_peaks(void **state)
{
    (void)state;
    tuff_device *device = open_cpu();
    tuff_bench_params params = TUFF_BENCH_PARAMS_INIT;
    tuff_bench_peak peak = TUFF_BENCH_PEAK_INIT;
    seen s = {.count = 0};
    params.seconds = 1e-3;
    params.only = "1024x16x768";
    params.on_row = see;
    params.user = &s;
    KIT_OK(tuff_bench_run(device, &params, &peak));
    assert_int_equal(s.count, 4);
    assert_string_equal(s.names[0], "copy");
    assert_string_equal(s.names[1], "read");
    assert_string_equal(s.names[2], "fma_f32");
    assert_string_equal(s.names[3], "gemm_f32_1024x16x768");
    assert_true(peak.copy_gbps == s.rates[0] && peak.read_gbps == s.rates[1] &&
                peak.f32_gflops == s.rates[2]);
    tuff_device_destroy(&device);
}

/* The work that a rate is of, by each case's graph: nothing of it is left out of the plan. */
static void test_work_of_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < tuff_bench_case_count; i++) {
        const tuff_bench_case *c = &tuff_bench_cases[i];
        assert_string_equal(tuff_bench_name(i), c->name);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(c->name, tuff_bench_cases[k].name);
        if (strncmp(c->name, "gemm_", 5) == 0)
            assert_true(c->flops == 0 || c->flops == 2.0 * (double)(c->p[0] * c->p[1] * c->p[2]));
    }
    assert_null(tuff_bench_name(tuff_bench_case_count));
    for (size_t i = 0; i < tuff_bench_case_count; i++) {
        assert_int_equal(tuff_bench_cases[i].is_peak, i <= TUFF_BENCH_F32);
        if (i <= TUFF_BENCH_F32) assert_int_equal(tuff_bench_cases[i].bound, i);
    }
}

static void test_medians(void **state)
{
    (void)state;
    double odd[] = {5, 1, 3, 2, 4}, even[] = {4, 1, 2, 3}, one[] = {7}, spread = -1;
    assert_true(tuff_bench_median(odd, 5, &spread) == 3 && spread == 2.0 / 3);
    assert_true(odd[0] == 1 && odd[4] == 5);
    assert_true(tuff_bench_median(even, 4, &spread) == 2.5 && spread == 1 / 2.5);
    assert_true(tuff_bench_median(one, 1, NULL) == 7);
    assert_true(tuff_bench_median(one, 0, &spread) == 0 && spread == 0);
}

static bool stop(const tuff_progress *progress, void *user)
{
    assert_int_equal(progress->phase, TUFF_PHASE_MEASURE);
    *(uint64_t *)user = progress->done;
    return progress->done < 2;
}

static void test_refusals_and_cancelling(void **state)
{
    (void)state;
    tuff_device *device = open_cpu();
    tuff_bench_params params = TUFF_BENCH_PARAMS_INIT;
    tuff_bench_peak peak = TUFF_BENCH_PEAK_INIT;
    params.only = "no such row";
    KIT_FAILS(tuff_bench_run(device, &params, &peak), TUFF_INVALID_ARGUMENT, "\"no such row\"");
    params.only = "gemm";
    params.seconds = 61;
    KIT_FAILS(tuff_bench_run(device, &params, &peak), TUFF_INVALID_ARGUMENT, "60 seconds");
    params.seconds = -1;
    KIT_FAILS(tuff_bench_run(device, &params, &peak), TUFF_INVALID_ARGUMENT, "60 seconds");
    uint64_t done = 0;
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = stop;
    watch.user = &done;
    params.seconds = 1e-3;
    params.watch = &watch;
    KIT_FAILS(tuff_bench_run(device, &params, &peak), TUFF_CANCELLED, "2 of");
    assert_true(done == 2 && peak.f32_gflops == 0);
    tuff_device_destroy(&device);
}

static void test_chains_without_end(void **state)
{
    (void)state;
    const int64_t dims[1] = {4}, rounds[] = {0, -1, (1 << 20) + 1};
    for (size_t i = 0; i < sizeof rounds / sizeof *rounds; i++) {
        tuff_graph *g = NULL;
        KIT_OK(tuff_graph_create(&g));
        assert_null(tuff_fma_chain(g, tuff_variable(g, "x", TUFF_F32, 1, dims), rounds[i]));
        KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, "rounds must be 1 to 1048576");
        tuff_graph_destroy(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_peaks),
        cmocka_unit_test(test_work_of_cases),
        cmocka_unit_test(test_medians),
        cmocka_unit_test(test_refusals_and_cancelling),
        cmocka_unit_test(test_chains_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
