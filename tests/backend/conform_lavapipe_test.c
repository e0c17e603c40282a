/* The conformance suite on lavapipe, where it is installed: every kernel row, forward and backward, under the
 * validation layer where that is installed too. */
#include "kit/kit.h"

#include <stdio.h>
#include <tuff/conform.h>
#include <tuff/host.h>

#include "backend/conform_floor.h"

static int errors_logged;

static void count_errors(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    if (level != TUFF_LOG_ERROR) return;
    fprintf(stderr, "%s\n", message);
    errors_logged++;
}

static bool have_lavapipe(void)
{
    tuff_device_info found[32] = {TUFF_DEVICE_INFO_INIT};
    size_t n = 0;
    if (tuff_list_devices(found, 32, &n) != TUFF_OK) return false;
    for (size_t i = 0; i < n && i < 32; i++)
        if (found[i].usable && strstr(found[i].name, "llvmpipe") != NULL) return true;
    return false;
}

/* Without the layer, a run that is to be validated is refused with the package's name, and goes on without.
 */
static tuff_status run_validated(const tuff_conform_params *params, tuff_conform_report **out)
{
    tuff_status status = tuff_conform_run(params, out);
    if (!params->validate || status != TUFF_UNSUPPORTED) return status;
    kit_expect_message("install the package vulkan-validationlayers", "validation", __FILE__, __LINE__);
    print_message("not validated: %s\n", tuff_error_message());
    tuff_conform_params without = *params;
    without.validate = false;
    return tuff_conform_run(&without, out);
}

static void expect_pass(const tuff_conform_params *params, size_t cases, size_t rows, size_t pipelines)
{
    errors_logged = 0;
    tuff_conform_report *report = NULL;
    KIT_OK(run_validated(params, &report));
    const tuff_conform_report *reports[1] = {report};
    char *text = NULL;
    KIT_OK(tuff_conform_text(reports, 1, TUFF_CONFORM_TEXT, &text));
    fputs(text, stdout);
    fflush(stdout);
    tuff_free(text);
    size_t reached = 0;
    for (size_t i = 0; i < report->n_rows; i++)
        reached += report->rows[i]->fits && report->rows[i]->uses > 0;
    assert_true(report->n_cases >= cases);
    assert_true(reached >= rows);
    assert_true(report->pipelines >= pipelines);
    for (size_t i = 0; params->ops == NULL && i < report->n_rows; i++)
        if (report->rows[i]->fits && report->rows[i]->batch_free && report->rows[i]->batches == 0)
            fail_msg("%s/%s: its promise about batches was not put to the test", report->rows[i]->op,
                     report->rows[i]->row);
    assert_true(tuff_conform_passed(report));
    assert_int_equal(errors_logged, 0);
    tuff_conform_report_destroy(&report);
}

static void every_case_holds(void **state)
{
    (void)state;
    expect_pass(&(tuff_conform_params){.struct_size = sizeof(tuff_conform_params),
                                       .device = "llvmpipe",
                                       .validate = true},
                FLOOR_CASES, FLOOR_ROWS, FLOOR_PIPELINES);
}

/* Whole graphs: other memory layouts and orders of steps, dispatches permuted, submits as small as they get.
 */
static void plans_agree(void **state)
{
    (void)state;
    const tuff_conform_params params = {.struct_size = sizeof params,
                                        .device = "llvmpipe",
                                        .ops = "graphs",
                                        .level = TUFF_CONFORM_FULL,
                                        .permute = 3,
                                        .submit_ms = 1};
    expect_pass(&params, 12, 30, 40);
}

static void lesser_devices_are_served(void **state)
{
    (void)state;
    const tuff_conform_params params = {
        .struct_size = sizeof params, .device = "llvmpipe", .forward_only = true, .mask = "floor"};
    expect_pass(&params, FLOOR_CASES, FLOOR_MASKED_ROWS, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_holds),
        cmocka_unit_test(plans_agree),
        cmocka_unit_test(lesser_devices_are_served),
    };
    tuff_set_log(count_errors, TUFF_LOG_WARN, NULL);
    if (!have_lavapipe()) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
