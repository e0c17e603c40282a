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

static void expect_in_file(const char *name, const char *part)
{
    tuff_buf text = {0};
    kit_read_file(kit_path(name), &text);
    if (!says(&text, part)) fail_msg("%s lacks %s: %s", name, part, text.data);
    tuff_buf_free(&text);
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
        r = CONFORM(3, "--op", "softmax", "--require", "vulkan", which[i], "--junit", kit_path("n.xml"),
                    "--json", kit_path("n.json"));
        assert_true(says(&r.err, "No Vulkan device was run"));
        assert_true(says(&r.err, "--require vulkan"));
        kit_result_free(&r);
        expect_in_file("n.xml", "<error type=\"not run\"");
        expect_in_file("n.json", "{\"record\": \"exit\", \"code\": 3, \"verdict\": \"no device\"}\n");
    }
    /* no device at all: the reports are there, and say the same as the exit code */
    r = CONFORM(3, "--op", "softmax", "--device", "vulkan", "--junit", kit_path("v.xml"), "--json",
                kit_path("v.json"), "--report", kit_path("v.html"));
    assert_true(says(&r.err, "no device matches \"vulkan\""));
    kit_result_free(&r);
    expect_in_file("v.xml", "errors=\"1\"");
    expect_in_file("v.json", "{\"record\": \"error\", \"message\": \"no device matches");
    expect_in_file("v.json", "\"code\": 3");
    expect_in_file("v.html", "NOT RUN: no device matches");
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
    } files[] = {{json, "\"cases_failed\": 0"},
                 {junit, "<testsuites name=\"tuff conform\">"},
                 {html, "<!doctype html>"}};
    for (size_t i = 0; i < 3; i++) {
        tuff_buf text = {0};
        kit_read_file(files[i].path, &text);
        assert_true(says(&text, files[i].part));
        tuff_buf_free(&text);
    }
    r = CONFORM(0, "--device", "cpu", "--op", "rope", "--json", "-");
    assert_true(says(&r.out, "{\"record\": \"run\""));
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
/* Reports of records: of a run that was killed, of two runs on one page, of two that are compared. */
static void test_from_records(void **state)
{
    (void)state;
    const char *whole = kit_path("whole.json"), *other = kit_path("other.json"), *html = kit_path("f.html"),
               *junit = kit_path("f.xml");
    kit_result r = CONFORM(0, "--device", "cpu", "--op", "rope", "--json", whole, "--quiet");
    kit_result_free(&r);
    r = CONFORM(0, "--device", "cpu", "--op", "softmax", "--json", other, "--quiet");
    kit_result_free(&r);
    r = CONFORM(0, "--from", whole, "--from", other, "--report", html, "--junit", junit);
    assert_true(says(&r.out, "rope "));
    assert_true(says(&r.out, "softmax "));
    kit_result_free(&r);
    expect_in_file("f.html", "softmax.1");
    expect_in_file("f.xml", "name=\"rope.1x1x2.turn2.at0\"");
    /* what held and is missing is worse, and reports tell it, too */
    const char *older = kit_path("older.json");
    kit_copy_file(whole, older);
    kit_edit_file(older, "\"case\": \"rope.1x1x2.turn2.at0\", \"family\"",
                  "\"case\": \"rope.1x1x2.turn2.at7\", \"family\"");
    r = CONFORM(1, "--from", whole, "--compare", older, "--quiet", "--junit", junit, "--report", html);
    assert_true(says(&r.out, "missing       rope.1x1x2.turn2.at7"));
    kit_result_free(&r);
    expect_in_file("f.html", "missing       rope.1x1x2.turn2.at7");
    expect_in_file("f.xml",
                   "name=\"rope.1x1x2.turn2.at7\" time=\"0\"><failure type=\"missing\" message=\"it held");
    /* what a run was not asked for is not missing in it */
    r = CONFORM(0, "--from", other, "--compare", older, "--quiet", "--junit", junit);
    assert_true(says(&r.out, " 0 missing, ") && says(&r.out, "  not asked for "));
    assert_false(says(&r.out, "missing  "));
    kit_result_free(&r);
    r = CONFORM(1, "--device", "cpu", "--case", "rope.1x1x2.turn2.*", "--compare", older, "--quiet");
    assert_true(says(&r.out, "missing       rope.1x1x2.turn2.at7"));
    kit_result_free(&r);
    r = CONFORM(0, "--device", "cpu", "--case", "rope.1x1x2.turn2.at0", "--compare", older, "--quiet");
    kit_result_free(&r);
    expect_in_file("f.xml", "<system-out>compared with ");
    r = CONFORM(0, "--from", other, "--compare", other, "--quiet");
    assert_false(says(&r.out, "missing  ") || says(&r.out, "another"));
    kit_result_free(&r);
    /* another device is said */
    tuff_buf text = {0};
    const char *third = kit_path("third.json");
    kit_read_file(other, &text);
    kit_write_file(third, text.data, text.size);
    tuff_buf_free(&text);
    kit_edit_file(third, "\"device\": \"CPU", "\"device\": \"GPU");
    r = CONFORM(0, "--from", other, "--compare", third, "--quiet");
    assert_true(says(&r.out, "  another device is CPU"));
    assert_true(says(&r.out, ", was GPU"));
    kit_result_free(&r);
    /* what is asked for by name and by --quiet passes without a word */
    r = CONFORM(0, "--device", "cpu", "--case", "softmax.3x7", "--quiet");
    assert_int_equal(r.out.size + r.err.size, 0);
    kit_result_free(&r);

    /* killed in the middle of a line */
    text = (tuff_buf){0};
    kit_read_file(whole, &text);
    const char *cut = kit_path("cut.json");
    kit_write_file(cut, text.data, text.size * 3 / 4);
    tuff_buf_free(&text);
    r = CONFORM(4, "--from", cut, "--junit", junit);
    assert_true(says(&r.out, "INTERRUPTED after"));
    kit_result_free(&r);
    expect_in_file("f.xml", "name=\"rope.1x1x2.turn2.at0\"");
    expect_in_file("f.xml", "<error type=\"interrupted\"");

    r = CONFORM(2, "--from", html);
    assert_true(says(&r.err, "f.html"));
    kit_result_free(&r);
    kit_write_file(cut, "", 0);
    r = CONFORM(2, "--from", cut);
    assert_true(says(&r.err, "has no line that says what was run"));
    kit_result_free(&r);
    r = CONFORM(2, "--from", whole, "--op", "rope");
    assert_true(says(&r.err, "--from runs nothing"));
    kit_result_free(&r);
}

static void test_contradictions(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *what;
    } wrong[] = {
        {"--all-devices", "--device=cpu", "give one"},
        {"--backward", "--forward-only", "give one"},
        {"--minutes=1", "--level=full", "--level soak"},
        {"--rounds=2", "--quiet", "--level soak"},
        {"--json=-", "--report=-", "standard output"},
        {"--timeout=3", "--quiet", "of --isolate"},
        {"--shard=3/2", "--quiet", "is no part"},
        {"--shard=1", "--quiet", "is no part"},
        {"--case=fill.nothing*", "--quiet", "no case"},
        {"--exclude=fil.*", "--quiet", "no case is called"},
        {"--seed=9007199254740993", "--quiet", "from 0 to 9000000000000000"},
        {"--permute=9007199254740993", "--quiet", "from 0 to 9000000000000000"},
        {"--case-list=gone", "--quiet", "cannot be read"},
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
    r = CONFORM(0, "--list", "--case", "large_*");
    assert_true(says(&r.out, "large_graphs."));
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
    setenv("OMP_DYNAMIC", "it's so", 1);
    setenv("VK_LOADER_DEBUG", "none", 1);
    kit_result r = CONFORM(0, "--device", "cpu", "--op", "matmul", "--case", "matmul.nt.f32.m63n129k65",
                           "--mask", "memory=1M", "--seed", "5", "--budget", "7ms", "--level", "full");
    kit_result_free(&r);
    r = CONFORM(1, "--device", "cpu", "--op", "matmul", "--case", "matmul.nt.f32.m8n96k2100", "--mask",
                "memory=1M", "--seed", "5", "--budget", "7", "--level", "full");
    /* what the environment has for GPUs is none of the CPU's */
    const char *want = "tuff conform --device 'cpu' --case matmul.nt.f32.m8n96k2100 --seed 5 --level full "
                       "--mask memory=1M --budget 7ms\n";
    if (!says(&r.out, want)) fail_msg("%s", r.out.data);
    assert_true(says(&r.out, " OMP_DYNAMIC='it'\\''s so' "));
    assert_false(says(&r.out, "VK_LOADER_DEBUG"));
    assert_true(says(&r.out, "out of memory"));
    kit_result_free(&r);
    unsetenv("OMP_DYNAMIC");
    unsetenv("VK_LOADER_DEBUG");
}

/* The cases that a selection lists, as one text. */
static kit_result listed(const char *const *arguments)
{
    const char *argv[KIT_ARGUMENTS] = {"conform", "--list"};
    size_t n = 2;
    for (; arguments[n - 2] != NULL; n++)
        argv[n] = arguments[n - 2];
    return conform(0, argv);
}
#define LISTED(...) listed((const char *const[]){__VA_ARGS__, NULL})

static size_t lines_of(const tuff_buf *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->size; i++)
        n += text->data[i] == '\n';
    return n;
}

static void test_patterns(void **state)
{
    (void)state;
    kit_result r = LISTED("--case", "softmax.3x*,fill.assign.1");
    assert_string_equal(r.out.data, "fill.assign.1\nsoftmax.3x7\nsoftmax.3x257\n");
    kit_result_free(&r);
    r = LISTED("--op", "soft*", "--exclude", "*.special, *[5-9]");
    assert_string_equal(r.out.data, "softmax.1\nsoftmax.2x5x33\nsoftmax.70x1\nsoftmax.5x127.wide\n"
                                    "softmax.1x5003\nsoftmax.2x9000.constant\nsoftmax.9x30.transposed\n");
    kit_result_free(&r);
    const char *list = kit_path("cases.txt");
    static const char text[] = "# ours\nsoftmax.3x?\r\n\n  fill.fill.255  \n";
    kit_write_file(list, text, sizeof text - 1);
    r = LISTED("--case-list", list);
    assert_string_equal(r.out.data, "fill.fill.255\nsoftmax.3x7\n");
    kit_result_free(&r);
    r = LISTED("--case-list", list, "--case", "softmax.1");
    assert_string_equal(r.out.data, "fill.fill.255\nsoftmax.1\nsoftmax.3x7\n");
    kit_result_free(&r);
}

/* Each case is in exactly one part, and a case's part depends on nothing but its name. */
static void test_shards(void **state)
{
    (void)state;
    static const char *const shards[] = {"1/3", "2/3", "3/3"};
    kit_result all = LISTED("--level", "quick");
    size_t n = 0;
    for (size_t i = 0; i < 3; i++) {
        kit_result part = LISTED("--shard", shards[i]),
                   softmax = LISTED("--shard", shards[i], "--op", "softmax");
        assert_true(lines_of(&part.out) > lines_of(&all.out) / 5);
        n += lines_of(&part.out);
        for (char *at = softmax.out.data; at != NULL && *at != 0;) {
            char name[96];
            snprintf(name, sizeof name, "%.*s\n", (int)strcspn(at, "\n"), at);
            assert_true(says(&part.out, name));
            at += strcspn(at, "\n") + 1;
        }
        kit_result_free(&softmax);
        kit_result_free(&part);
    }
    assert_int_equal(n, lines_of(&all.out));
    kit_result_free(&all);
    kit_result r =
        CONFORM(0, "--device", "cpu", "--op", "softmax", "--shard", "77/1000"); /* an empty part holds */
    assert_true(says(&r.out, "PASSED: 0 cases held"));
    kit_result_free(&r);
}

/* A case that is listed may fail, and may not hold. */
static void test_expected_failures(void **state)
{
    (void)state;
    static const char big[] = "matmul.nt.f32.m8n96k2100\n", both[] = "matmul.nt.f32.m8*\nfill.fill.255\n";
    const char *list = kit_path("fails.txt"), *junit = kit_path("e.xml");
    kit_write_file(list, big, sizeof big - 1);
#define SOME \
    "--device", "cpu", "--mask", "memory=1M", "--case", "matmul.nt.f32.m8*,fill.fill.255", "--junit", junit
    kit_result r = CONFORM(1, SOME);
    kit_result_free(&r);
    r = CONFORM(0, SOME, "--expect-fail", list, "--json", kit_path("e.json"));
    assert_true(says(&r.out, "PASSED: 1 case held, 1 failed as expected"));
    kit_result_free(&r);
    expect_in_file("e.xml", "failures=\"0\" errors=\"0\" skipped=\"1\"");
    kit_write_file(list, both, sizeof both - 1);
    r = CONFORM(1, SOME, "--expect-fail", list);
    assert_true(says(&r.out, "fill.fill.255 ... HELD, but is listed as failing"));
    assert_true(says(&r.out, "FAILED: 1 of 2 cases"));
    kit_result_free(&r);
    expect_in_file("e.xml", "<failure type=\"held, not as expected\"");
    /* what was recorded is what a later run is compared with */
    r = CONFORM(1, "--device", "cpu", "--mask", "memory=1M", "--case", "matmul.nt.f32.m8*", "--compare",
                kit_path("e.json"));
    assert_true(says(&r.out, "1 new failure, 0 mended, 0 new, 0 missing, 0 slower"));
    assert_true(says(&r.out, "  NEW FAILURE   matmul.nt.f32.m8n96k2100: "));
    assert_true(says(&r.out, "  not asked for 1 case of that run\n"));
    kit_result_free(&r);
}

/* A line before each case and one after, as far as a reader of a pipe can tell; reports tell where they are
 * from. */
static void test_lines_and_facts(void **state)
{
    (void)state;
    setenv("VK_TEST_OF_REPORTS", "a<b", 1);
    kit_result r = CONFORM(0, "--device", "cpu", "--case", "softmax.3x7", "--json", kit_path("l.json"),
                           "--junit", kit_path("l.xml"), "--report", kit_path("l.html"));
    unsetenv("VK_TEST_OF_REPORTS");
    assert_true(says(&r.out, "softmax.3x7 ... held at 0."));
    assert_true(says(&r.out, "\nPASSED: 1 case held\n"));
    kit_result_free(&r);
    static const char *const in_json[] = {
        "\"version\": \"",        "\"commit\": \"",
        "\"date\": \"20",         "\"host\": \"",
        "VK_TEST_OF_REPORTS=a<b", "{\"record\": \"begin\", \"case\": \"softmax.3x7\"}\n",
        "\"milliseconds\": ",     "{\"kernel\": \"softmax/host\", \"uses\": "};
    for (size_t i = 0; i < sizeof in_json / sizeof in_json[0]; i++)
        expect_in_file("l.json", in_json[i]);
    expect_in_file("l.xml", "VK_TEST_OF_REPORTS=a&lt;b");
    expect_in_file("l.html", "VK_TEST_OF_REPORTS=a&lt;b");
    expect_in_file("l.html", "prefers-color-scheme:dark");
    expect_in_file("l.html", "\xe2\x9c\x93 CPU (");
}

/* What would not be validated is not run. */
static void test_validate(void **state)
{
    (void)state;
    kit_result r = CONFORM(3, "--device", "cpu", "--validate", "--op", "fill", "--junit", kit_path("w.xml"));
    assert_true(says(&r.err, "is no Vulkan device: there is nothing for the validation layer to look at"));
    kit_result_free(&r);
    expect_in_file("w.xml", "nothing for the validation layer");
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
    r = CONFORM(2, "--device", "cpu", "--op", "rope", "--mask", "toaster");
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
        cmocka_unit_test(test_from_records),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_rerun),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_expected_failures),
        cmocka_unit_test(test_lines_and_facts),
        cmocka_unit_test(test_validate),
        cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_masks_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
