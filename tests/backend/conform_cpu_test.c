/* The conformance suite on the CPU backend, and its reports. */
#include "kit/kit.h"

#include <stdio.h>
#include <tuff/conform.h>

#include "backend/conform_floor.h"

static void every_case_holds(void **state)
{
    (void)state;
    const tuff_conform_params params = {
        .struct_size = sizeof params, .device = "cpu", .level = TUFF_CONFORM_FULL};
    tuff_conform_report *report = NULL;
    KIT_OK(tuff_conform_run(&params, &report));
    const tuff_conform_report *reports[1] = {report};
    char *text = NULL;
    KIT_OK(tuff_conform_text(reports, 1, TUFF_CONFORM_TEXT, &text));
    fputs(text, stdout);
    tuff_free(text);
    assert_true(report->n_cases >= FLOOR_CASES);
    size_t reached = 0;
    for (size_t i = 0; i < report->n_rows; i++) {
        reached += report->rows[i]->uses > 0;
        if (report->rows[i]->batch_free) assert_true(report->rows[i]->batches > 0);
    }
    assert_true(reached >= FLOOR_HOST_KERNELS);
    assert_true(tuff_conform_passed(report));
    tuff_conform_report_destroy(&report);
}

static void bad_parameters_are_named(void **state)
{
    (void)state;
    tuff_conform_report *report = NULL;
    tuff_conform_params params = {.struct_size = sizeof params, .device = "cpu", .ops = "matmul,sqare"};
    KIT_FAILS(tuff_conform_run(&params, &report), TUFF_NOT_FOUND, "sqare");
    params = (tuff_conform_params){
        .struct_size = sizeof(tuff_conform_params), .device = "cpu", .name = "no such case"};
    KIT_FAILS(tuff_conform_run(&params, &report), TUFF_NOT_FOUND, "no such case");
    params = (tuff_conform_params){
        .struct_size = sizeof(tuff_conform_params), .device = "cpu", .mask = "fp16=off,shared=12"};
    KIT_FAILS(tuff_conform_run(&params, &report), TUFF_INVALID_ARGUMENT, "shared=12");
    params = (tuff_conform_params){.struct_size = sizeof(tuff_conform_params),
                                   .device = "a device that nobody has"};
    KIT_FAILS(tuff_conform_run(&params, &report), TUFF_NOT_FOUND, "nobody has");
    assert_null(report);
}

static bool stop(const tuff_conform_case *done, size_t index, size_t count, void *user)
{
    assert_non_null(done->family);
    assert_true(index < count);
    *(size_t *)user = index + 1;
    return false;
}

static void progress_may_stop_it(void **state)
{
    (void)state;
    size_t seen = 0;
    const tuff_conform_params params = {
        .struct_size = sizeof params, .device = "cpu", .ops = "matmul", .progress = stop, .user = &seen};
    tuff_conform_report *report = NULL;
    KIT_FAILS(tuff_conform_run(&params, &report), TUFF_CANCELLED, "1 of");
    assert_int_equal(seen, 1);
}

static void one_case_can_be_run_alone(void **state)
{
    (void)state;
    tuff_conform_params params = {
        .struct_size = sizeof params, .device = "cpu", .ops = "layer_norm_backward"};
    tuff_conform_case **cases = NULL;
    size_t n = 0;
    KIT_OK(tuff_conform_list(&params, &cases, &n));
    assert_true(n > 0);
    params.ops = cases[0]->family;
    params.name = cases[0]->name;
    tuff_conform_report *report = NULL;
    KIT_OK(tuff_conform_run(&params, &report));
    assert_int_equal(report->n_cases, 1);
    assert_string_equal(report->cases[0]->name, cases[0]->name);
    assert_true(tuff_conform_passed(report));

    const tuff_conform_report *twice[2] = {report, report};
    static const struct {
        tuff_conform_format format;
        const char *part;
    } formats[] = {{TUFF_CONFORM_TEXT, "1 of 1 cases held"},
                   {TUFF_CONFORM_JSON, "\"cases_run\": 1"},
                   {TUFF_CONFORM_JUNIT, "<testcase classname="},
                   {TUFF_CONFORM_HTML, "device1-"}};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        char *text = NULL;
        KIT_OK(tuff_conform_text(twice, 2, formats[i].format, &text));
        assert_non_null(strstr(text, formats[i].part));
        assert_non_null(strstr(text, report->cases[0]->family));
        tuff_free(text);
    }
    tuff_conform_report_destroy(&report);
    tuff_free(cases);
}

/* Rounds differ in their seeds, add up, and take in the larger graphs. */
static void soak_goes_on_with_other_seeds(void **state)
{
    (void)state;
    tuff_conform_params params = {.struct_size = sizeof params,
                                  .device = "cpu",
                                  .ops = "softmax,large_graphs",
                                  .level = TUFF_CONFORM_SOAK,
                                  .seed = 7,
                                  .rounds = 3};
    tuff_conform_report *report = NULL, *one = NULL;
    KIT_OK(tuff_conform_run(&params, &report));
    assert_true(tuff_conform_passed(report));
    assert_int_equal(report->rounds, 3);
    assert_int_equal(report->seed, 7);
    params.rounds = 1;
    KIT_OK(tuff_conform_run(&params, &one));
    assert_int_equal(one->n_cases, report->n_cases);
    assert_true(report->plans > 2 * one->plans);
    bool graphs = false, worse = false;
    for (size_t i = 0; i < one->n_cases; i++) {
        graphs = graphs || strcmp(one->cases[i]->family, "large_graphs") == 0;
        assert_true(report->cases[i]->worst >= one->cases[i]->worst);
        worse = worse || report->cases[i]->worst > one->cases[i]->worst;
    }
    assert_true(graphs && worse);
    tuff_conform_report_destroy(&one);
    tuff_conform_report_destroy(&report);
}

static bool stop_in_second_round(const tuff_conform_case *done, size_t index, size_t count, void *user)
{
    (void)done, (void)index, (void)count;
    return ++*(int *)user < 14;
}

static void soak_may_be_stopped(void **state)
{
    (void)state;
    int calls = 0;
    const tuff_conform_params params = {.struct_size = sizeof params,
                                        .device = "cpu",
                                        .ops = "softmax",
                                        .level = TUFF_CONFORM_SOAK,
                                        .progress = stop_in_second_round,
                                        .user = &calls};
    tuff_conform_report *report = NULL;
    KIT_OK(tuff_conform_run(&params, &report));
    assert_int_equal(calls, 14);
    assert_int_equal(report->rounds, 2);
    assert_true(tuff_conform_passed(report));
    tuff_conform_report_destroy(&report);
}

/* Where every case has failed, no round is left, whatever the time. */
static void soak_ends_where_nothing_holds(void **state)
{
    (void)state;
    const tuff_conform_params params = {.struct_size = sizeof params,
                                        .device = "cpu",
                                        .ops = "matmul",
                                        .name = "matmul.nt.f32.m8n96k2100",
                                        .mask = "memory=1M",
                                        .level = TUFF_CONFORM_SOAK,
                                        .minutes = 1};
    tuff_conform_report *report = NULL;
    KIT_OK(tuff_conform_run(&params, &report));
    assert_int_equal(report->n_failed, 1);
    assert_int_equal(report->rounds, 1);
    assert_true(report->seconds < 40);
    tuff_conform_report_destroy(&report);
}

static tuff_status run_one(void *user)
{
    const tuff_conform_params *params = user;
    tuff_conform_report *report = NULL;
    char *text = NULL;
    tuff_status status = tuff_conform_run(params, &report);
    const tuff_conform_report *reports[1] = {report};
    for (int format = TUFF_CONFORM_TEXT; format <= TUFF_CONFORM_HTML && status == TUFF_OK; format++) {
        status = tuff_conform_text(reports, 1, (tuff_conform_format)format, &text);
        tuff_free(text);
    }
    tuff_conform_report_destroy(&report);
    return status;
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    tuff_conform_params params = {.struct_size = sizeof params,
                                  .device = "cpu",
                                  .ops = "softmax",
                                  .name = "softmax.3x7",
                                  .level = TUFF_CONFORM_FULL};
    assert_true(kit_for_each_allocation_failure(run_one, &params) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_holds),
        cmocka_unit_test(bad_parameters_are_named),
        cmocka_unit_test(progress_may_stop_it),
        cmocka_unit_test(one_case_can_be_run_alone),
        cmocka_unit_test(soak_goes_on_with_other_seeds),
        cmocka_unit_test(soak_may_be_stopped),
        cmocka_unit_test(soak_ends_where_nothing_holds),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
