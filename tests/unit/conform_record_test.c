/* Patterns of case names, and the record of a conformance run: read again whole, cut off, wrong, out of
 * memory. */
#include "kit/kit.h"

#include <stdio.h>
#include <string.h>
#include <tuff/conform.h>

#include "base/status.h"
#include "conform/ledger.h"
#include "conform/patterns.h"

static void patterns_match_whole_names(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } table[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"*", "", true},
        {"*", "a.b", true},
        {"a*", "a", true},
        {"a*", "ba", false},
        {"*b", "a.bb", true},
        {"*.b", "a.bb", false},
        {"a*c*e", "abcde", true},
        {"a*c*e", "abcd", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"[abc]x", "bx", true},
        {"[!abc]x", "bx", false},
        {"[!abc]x", "dx", true},
        {"m[0-9]*", "m17n3", true},
        {"m[0-9]n", "mxn", false},
        {"[]]", "]", true},
        {"[a", "[a", true},
        {"*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (tuff_glob(table[i].pattern, strlen(table[i].pattern), table[i].text) != table[i].matches)
            fail_msg("%s on %s", table[i].pattern, table[i].text);
    assert_true(tuff_patterns_match(" # all\n a*, b ,\n\nc\r\n", "c"));
    assert_true(tuff_patterns_match("a*, b", "b"));
    assert_false(tuff_patterns_match("#b\n", "b"));
    static const char remarks[] = "a # slow, c\nb\t#, e\nd#1, f #\n";
    static const char *const named[] = {"a", "b", "d#1", "f"}, *const not [] = {"c", "e", "slow", "#", "d"};
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        assert_true(tuff_patterns_match(remarks, named[i]));
    for (size_t i = 0; i < sizeof not / sizeof not [0]; i++)
        assert_false(tuff_patterns_match(remarks, not [i]));
    assert_false(tuff_patterns_match("", ""));
    assert_false(tuff_patterns_match(NULL, "a"));
}

static tuff_buf record;

static void keep(const char *line, void *user)
{
    (void)user;
    tuff_buf_text(&record, line);
    tuff_buf_char(&record, '\n');
}

static tuff_conform_report *run(void)
{
    tuff_conform_params params = TUFF_CONFORM_PARAMS_INIT;
    params.device = "cpu";
    params.name = "softmax.3x7,softmax.1,graphs.seed9*,matmul.nt.f32.m8*";
    params.mask = "memory=1M"; /* the last one fails */
    params.record = keep;
    tuff_conform_report *report = NULL;
    tuff_buf_clear(&record);
    KIT_OK(tuff_conform_run(&params, &report));
    return report;
}

static void free_reports(tuff_conform_report **reports, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tuff_conform_report_destroy(&reports[i]);
    tuff_free(reports);
}

/* What is read is what was found: all formats say the same of both. */
static void a_record_is_read_as_it_was(void **state)
{
    (void)state;
    tuff_conform_report *report = run(), **again = NULL;
    size_t n = 0;
    KIT_OK(tuff_conform_read(record.data, record.size, &again, &n));
    assert_int_equal(n, 1);
    for (int format = TUFF_CONFORM_TEXT; format <= TUFF_CONFORM_END; format++) {
        char *a = NULL, *b = NULL;
        KIT_OK(tuff_conform_text((const tuff_conform_report *const *)&report, 1, (tuff_conform_format)format,
                                 &a));
        KIT_OK(
            tuff_conform_text((const tuff_conform_report *const *)again, 1, (tuff_conform_format)format, &b));
        assert_string_equal(a, b);
        tuff_free(a);
        tuff_free(b);
    }
    assert_int_equal(report->verdict, TUFF_CONFORM_FAILED);
    free_reports(again, n);
    tuff_conform_report_destroy(&report);
}

/* Every byte of the line from `first` to `begun`, few of the others. */
static size_t next_cut(size_t size, size_t first, size_t begun)
{
    if (size < first) return size + 101 < first ? size + 101 : first;
    return size <= begun ? size + 1 : size + 53;
}

/* Wherever it is cut, what is before is told, the case that ran is named, and nothing passed. */
static void a_record_may_be_cut_anywhere(void **state)
{
    (void)state;
    tuff_conform_report *report = run();
    tuff_conform_report_destroy(&report);
    size_t first = strcspn(record.data, "\n") + 1, begun = first + strcspn(record.data + first, "\n"),
           end = (size_t)(strstr(record.data, "{\"record\": \"end\"") - record.data);
    for (size_t size = 0; size < record.size; size = next_cut(size, first, begun)) {
        tuff_conform_report **reports = NULL;
        size_t n = 0;
        if (size < first) {
            KIT_FAILS(tuff_conform_read(record.data, size, &reports, &n), TUFF_BAD_FORMAT,
                      "no line that says what was run");
            assert_null(reports);
            continue;
        }
        KIT_OK(tuff_conform_read(record.data, size, &reports, &n));
        assert_int_equal(n, 1);
        if (size <= end) assert_int_equal(reports[0]->verdict, TUFF_CONFORM_INTERRUPTED);
        if (size > begun && reports[0]->n_cases == 0) assert_true(reports[0]->running[0] != 0);
        free_reports(reports, n);
    }
}

static void what_is_no_record_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"[]\n", "hello\n", "{\"record\": 3}\n", "{}\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        tuff_conform_report **reports = NULL;
        size_t n;
        KIT_FAILS(tuff_conform_read(wrong[i], strlen(wrong[i]), &reports, &n), TUFF_BAD_FORMAT,
                  "line 1 of the record");
        assert_null(reports);
    }
    /* fields of a wrong kind are as if they were not there */
    static const char odd[] =
        "{\"record\": \"run\", \"device\": 3, \"seed\": \"x\", \"level\": \"none\", \"kernels\": 7}\n"
        "{\"record\": \"case\", \"case\": [], \"launches\": [1, {}], \"used\": {\"a\": 1}, "
        "\"pipelines\": [2], \"worst\": -1e999}\n{\"record\": \"later\"}\n";
    tuff_conform_report **reports = NULL;
    size_t n = 0;
    KIT_OK(tuff_conform_read(odd, sizeof odd - 1, &reports, &n));
    assert_int_equal(reports[0]->n_cases, 1);
    free_reports(reports, n);
}

static tuff_status read_and_compare(void *user)
{
    (void)user;
    tuff_conform_report **reports = NULL;
    size_t n = 0, worse;
    char *text = NULL;
    tuff_status status = tuff_conform_read(record.data, record.size, &reports, &n);
    if (status == TUFF_OK) status = tuff_conform_compare(reports[0], reports[0], &text, &worse);
    tuff_free(text);
    const tuff_conform_report *const *all = (const tuff_conform_report *const *)reports;
    if (status == TUFF_OK) status = tuff_conform_text_compared(all, all, 1, TUFF_CONFORM_JUNIT, &text);
    if (status == TUFF_OK) tuff_free(text);
    free_reports(reports, n);
    return status;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    tuff_conform_report *report = run();
    tuff_conform_report_destroy(&report);
    assert_true(kit_for_each_allocation_failure(read_and_compare, NULL) > 20);
}

/* A case that cannot be looked at is no case that was not asked for. */
static tuff_status list_by_operation(void *user)
{
    tuff_conform_params params = TUFF_CONFORM_PARAMS_INIT;
    params.ops = "softmax_backward";
    params.name = "softmax.3x7,softmax.1,softmax.70x1";
    params.backward_only = true;
    tuff_conform_case **cases = NULL;
    size_t n = 0;
    tuff_status status = tuff_conform_list(&params, &cases, &n);
    if (status == TUFF_OK) *(size_t *)user = n;
    if (status == TUFF_OK && n != 3) status = TUFF_INTERNAL;
    tuff_free(cases);
    return status;
}

static void memory_may_run_out_while_cases_are_chosen(void **state)
{
    (void)state;
    size_t n = 0;
    assert_true(kit_for_each_allocation_failure(list_by_operation, &n) > 20);
    assert_int_equal(n, 3);
}

static tuff_status run_many_rounds(void *user)
{
    tuff_ledger *ledger;
    tuff_kernel_use uses[2] = {{.kernel = "softmax/softmax", .uses = 2, .worst = 0.1},
                               {.kernel = "add/add", .uses = 1}};
    uint64_t pipelines[2] = {7, 8};
    tuff_finding f = {.seen = {.family = "softmax", .name = "softmax.1", .verdict = "held", .held = true},
                      .uses = uses,
                      .n_uses = 1,
                      .pipelines = pipelines,
                      .n_pipelines = 1,
                      .plans = 3};
    f.seen.message = f.seen.blame = f.seen.dump = "";
    TUFF_TRY(tuff_ledger_create(&ledger));
    tuff_status status = TUFF_OK;
    for (size_t round = 0; round < 10000 && status == TUFF_OK; round++) {
        f.seen.worst = round == 5000 ? 0.5 : 0.25;
        f.n_uses = f.n_pipelines = 1 + (round == 2);
        f.seen.milliseconds = 2;
        status = tuff_ledger_add(ledger, &f);
    }
    if (status == TUFF_OK) *(tuff_finding *)user = *(tuff_finding *)ledger->cases[0];
    tuff_conform_report *report = &ledger->report;
    tuff_conform_report_destroy(&report);
    return status;
}

/* Soak may run for days. */
static void rounds_take_no_memory(void **state)
{
    (void)state;
    tuff_finding sum = {0};
    assert_true(kit_for_each_allocation_failure(run_many_rounds, &sum) < 20);
    assert_int_equal(sum.n_uses, 2);
    assert_int_equal(sum.n_pipelines, 2);
    assert_int_equal(sum.plans, 30000);
    assert_true(sum.seen.worst == 0.5 && sum.seen.milliseconds == 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_whole_names),
        cmocka_unit_test(a_record_is_read_as_it_was),
        cmocka_unit_test(a_record_may_be_cut_anywhere),
        cmocka_unit_test(what_is_no_record_is_refused),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(rounds_take_no_memory),
        cmocka_unit_test(memory_may_run_out_while_cases_are_chosen),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_buf_free(&record);
    return failed;
}
