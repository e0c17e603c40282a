/* The conformance suite on lavapipe, where it is installed: every kernel row, forward and backward. */
#include "kit/kit.h"

#include <stdio.h>
#include <tuff/conform.h>

#define CASES_FLOOR 1

static bool have_lavapipe(void)
{
    tuff_device_info found[32];
    size_t n = 0;
    KIT_OK(tuff_list_devices(found, 32, &n));
    for (size_t i = 0; i < n && i < 32; i++)
        if (found[i].usable && strstr(found[i].name, "llvmpipe") != NULL) return true;
    return false;
}

static void every_case_holds(void **state)
{
    (void)state;
    const tuff_conform_params params = {.device = "llvmpipe", .validate = true};
    tuff_conform_report *report = NULL;
    KIT_OK(tuff_conform_run(&params, &report));
    const tuff_conform_report *reports[1] = {report};
    char *text = NULL;
    KIT_OK(tuff_conform_text(reports, 1, TUFF_CONFORM_TEXT, &text));
    print_message("%s", text);
    tuff_conform_text_free(&text);
    assert_true(report->n_cases >= CASES_FLOOR);
    assert_true(tuff_conform_passed(report));
    tuff_conform_report_destroy(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_holds)};
    if (!have_lavapipe()) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
