/* tuff conform from the outside: reports, machines without Vulkan, commands that rerun a case, masks. */
#define _POSIX_C_SOURCE 200809L
#include "kit/command.h"

#include <stdlib.h>

static kit_result conform(int code, const char *const *arguments)
{
    kit_result r;
    kit_run_tuff(&r, arguments);
    if (r.exit_code != code)
        fail_msg("exit %d, expected %d: %s", r.exit_code, code, r.err.data ? r.err.data : "");
    return r;
}
#define CONFORM(code, ...) conform((code), (const char *const[]){"conform", __VA_ARGS__, NULL})

static bool says(const tuff_buf *text, const char *part)
{
    return text->data != NULL && strstr(text->data, part) != NULL;
}

/* Without any driver, the table is the CPU's, one line says so, and only --require vulkan makes that a
 * failure. */
static void test_no_vulkan(void **state)
{
    (void)state;
    setenv("VK_ICD_FILENAMES", kit_path("none"), 1);
    setenv("VK_DRIVER_FILES", kit_path("none"), 1);
    kit_result r = CONFORM(0, "--op", "softmax");
    assert_true(says(&r.out, "CPU ("));
    assert_true(says(&r.out, "cases held"));
    assert_string_equal(r.err.data, "No Vulkan device was run: the kernels for GPUs are not covered by this "
                                    "result.\n");
    kit_result_free(&r);
    static const char *const which[] = {"--quiet", "--all-devices"};
    for (size_t i = 0; i < 2; i++) {
        r = CONFORM(1, "--op", "softmax", "--require", "vulkan", which[i]);
        assert_true(says(&r.err, "No Vulkan device was run"));
        assert_true(says(&r.err, "--require vulkan"));
        kit_result_free(&r);
    }
    unsetenv("VK_ICD_FILENAMES");
    unsetenv("VK_DRIVER_FILES");
}

static void test_reports(void **state)
{
    (void)state;
    const char *json = kit_path("r.json"), *junit = kit_path("r.xml"), *html = kit_path("r.html");
    kit_result r =
        CONFORM(0, "--device", "cpu", "--op", "rope", "--json", json, "--junit", junit, "--report", html);
    assert_true(says(&r.out, "cases held"));
    kit_result_free(&r);
    const struct {
        const char *path, *part;
    } files[] = {{json, "\"cases_failed\": 0"}, {junit, "<testsuites>"}, {html, "<!doctype html>"}};
    for (size_t i = 0; i < 3; i++) {
        tuff_buf text = {0};
        kit_read_file(files[i].path, &text);
        assert_true(says(&text, files[i].part));
        tuff_buf_free(&text);
    }
    r = CONFORM(0, "--device", "cpu", "--op", "rope", "--json", "-");
    assert_int_equal(r.out.data[0], '[');
    assert_false(says(&r.out, "cases held"));
    kit_result_free(&r);
    /* found out before the run */
    r = CONFORM(1, "--device", "cpu", "--op", "rope", "--json", kit_path("none/r.json"));
    assert_true(says(&r.err, "none/r.json cannot be made: the directory "));
    assert_true(says(&r.err, "none is not there"));
    assert_false(says(&r.out, "cases held"));
    kit_result_free(&r);
    r = CONFORM(1, "--device", "cpu", "--op", "fill", "--json", "/dev/full", "--quiet");
    assert_true(says(&r.err, "/dev/full cannot be written: No space left on device"));
    kit_result_free(&r);
}

/* Options that would be ignored are wrong usage. */
static void test_contradictions(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *what;
    } wrong[] = {
        {"--all-devices", "--device=cpu", "give one"},   {"--backward", "--forward-only", "give one"},
        {"--minutes=1", "--level=full", "--level soak"}, {"--rounds=2", "--quiet", "--level soak"},
        {"--json=-", "--report=-", "standard output"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kit_result r = CONFORM(2, wrong[i].a, wrong[i].b, "--op", "fill");
        assert_true(says(&r.err, wrong[i].what));
        assert_int_equal(r.out.size, 0);
        kit_result_free(&r);
    }
}

static void test_list(void **state)
{
    (void)state;
    kit_result r = CONFORM(0, "--list", "--op", "softmax");
    assert_true(says(&r.out, "softmax.3x7\n"));
    kit_result_free(&r);
    r = CONFORM(0, "--list", "--op", "softmax", "--json", "-");
    assert_true(says(&r.out, "  {\"family\": \"softmax\", \"case\": \"softmax.3x7\"},\n"));
    assert_false(says(&r.out, "\nsoftmax."));
    kit_result_free(&r);
    /* the larger graphs are soak's, or are named */
    r = CONFORM(0, "--list");
    assert_false(says(&r.out, "large_graphs"));
    kit_result_free(&r);
    r = CONFORM(0, "--list", "--level", "soak");
    assert_true(says(&r.out, "large_graphs."));
    kit_result_free(&r);
}

/* With too little memory one case fails and another does not; the command that is printed names all that it
 * ran with. */
static void test_rerun(void **state)
{
    (void)state;
    kit_result r = CONFORM(0, "--device", "cpu", "--op", "matmul", "--case", "matmul.nt.f32.m63n129k65",
                           "--mask", "memory=1M", "--seed", "5", "--budget", "7ms", "--level", "full");
    kit_result_free(&r);
    r = CONFORM(1, "--device", "cpu", "--op", "matmul", "--case", "matmul.nt.bf16.m7n300k1100", "--mask",
                "memory=1M", "--seed", "5", "--budget", "7", "--level", "full");
    const char *command = strstr(r.out.data, "    tuff conform --device");
    assert_non_null(command);
    const char *want =
        "    tuff conform --device 'cpu' --case matmul.nt.bf16.m7n300k1100 --seed 5 --level full "
        "--mask memory=1M --budget 7ms\n";
    assert_memory_equal(command, want, strlen(want));
    assert_true(says(&r.out, "out of memory"));
    kit_result_free(&r);
}

static void test_budgets(void **state)
{
    (void)state;
    static const char *const good[] = {"1", "100ms", "2s"}, *const bad[] = {"0",  "ms",   "5m",
                                                                            "-3", "101s", "1e3"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        kit_result r = CONFORM(0, "--list", "--op", "rope", "--budget", good[i]);
        kit_result_free(&r);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        kit_result r = CONFORM(2, "--list", "--op", "rope", "--budget", bad[i]);
        assert_true(says(&r.err, bad[i]));
        kit_result_free(&r);
    }
}

static void test_masks_are_explained(void **state)
{
    (void)state;
    kit_result r = CONFORM(0, "--help");
    static const char *const names[] = {"phone",    "phone-narrow", "old-intel",
                                        "moltenvk", "raspberry-pi", "floor"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "\n  %s ", names[i]);
        assert_true(says(&r.out, line));
    }
    kit_result_free(&r);
    r = CONFORM(1, "--device", "cpu", "--op", "rope", "--mask", "toaster");
    assert_true(says(&r.err, "mask \"toaster\" is not understood"));
    kit_result_free(&r);
    /* what the device lacks anyhow may be named */
    r = CONFORM(0, "--device", "cpu", "--op", "rope", "--mask", "phone,coopmat=off");
    kit_result_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_vulkan),
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_rerun),
        cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_masks_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
