#include <pthread.h>

#include "base/status.h"
#include "base/text.h"
#include "kit/kit.h"

static void fail_sets_text_and_returns_status(void **state)
{
    (void)state;
    assert_int_equal(tuff_fail(TUFF_IO, "cannot read %s at byte %d", "x.gguf", 12), TUFF_IO);
    assert_string_equal(tuff_error_message(), "cannot read x.gguf at byte 12");
    assert_int_equal(tuff_fail_memory("a graph"), TUFF_OUT_OF_MEMORY);
    assert_string_equal(tuff_error_message(), "out of memory while allocating a graph");
}

static void note_goes_before(void **state)
{
    (void)state;
    tuff_status status = tuff_fail(TUFF_BAD_FORMAT, "inner");
    assert_int_equal(tuff_note(status, "file %s", "a"), TUFF_BAD_FORMAT);
    assert_string_equal(tuff_error_message(), "file a: inner");
    assert_int_equal(tuff_note(TUFF_OK, "nothing"), TUFF_OK);
    assert_string_equal(tuff_error_message(), "file a: inner");
}

static void an_argument_may_be_the_present_text(void **state)
{
    (void)state;
    (void)tuff_fail(TUFF_IO, "first");
    (void)tuff_fail(TUFF_IO, "%s, then %s", tuff_error_message(), tuff_error_message());
    assert_string_equal(tuff_error_message(), "first, then first");
}

static void hostile_bytes_do_not_reach_the_terminal(void **state)
{
    (void)state;
    (void)tuff_fail(TUFF_BAD_FORMAT, "tensor \"%s\"",
                    "a\x1b[2J\xff\x7f\xc2\x9b"
                    "b\xc3\xa4");
    assert_string_equal(tuff_error_message(), "tensor \"a?[2J????b\xc3\xa4\"");
}

static void long_text_is_cut_between_code_points(void **state)
{
    (void)state;
    char text[5000];
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = i % 2 ? '\xa4' : '\xc3';
    text[sizeof text - 1] = 0;
    for (int shift = 0; shift < 3; shift++) {
        (void)tuff_fail(TUFF_IO, "%.*s%s", shift, "xyz", text);
        const char *message = tuff_error_message();
        assert_true(strlen(message) > 2000 && strlen(message) < 2048);
        assert_true(tuff_utf8_valid(message, strlen(message)));
        assert_true(tuff_ends_with(message, "\xa4..."));
        (void)tuff_note(TUFF_IO, "%s", message);
        assert_true(strlen(tuff_error_message()) < 2048);
    }
}

static void *other_thread(void *seen)
{
    *(bool *)seen = tuff_error_message()[0] != 0;
    (void)tuff_fail(TUFF_IO, "of the other thread");
    return NULL;
}

static void each_thread_has_its_own_text(void **state)
{
    (void)state;
    (void)tuff_fail(TUFF_IO, "mine");
    bool seen = true;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &seen), 0);
    pthread_join(thread, NULL);
    assert_false(seen);
    assert_string_equal(tuff_error_message(), "mine");
}

static tuff_status third_fails(int *reached)
{
    TUFF_TRY(TUFF_OK);
    *reached = 1;
    TUFF_TRY(tuff_fail(TUFF_NOT_FINITE, "x"));
    *reached = 2;
    return TUFF_OK;
}

static tuff_status goes_to_done(int *cleaned)
{
    tuff_status status;
    TUFF_GO(TUFF_OK);
    TUFF_GO(tuff_fail(TUFF_CANCELLED, "x"));
    *cleaned = 100;
done:
    *cleaned += 1;
    return status;
}

static void macros_propagate(void **state)
{
    (void)state;
    int reached = 0, cleaned = 0;
    assert_int_equal(third_fails(&reached), TUFF_NOT_FINITE);
    assert_int_equal(reached, 1);
    assert_int_equal(goes_to_done(&cleaned), TUFF_CANCELLED);
    assert_int_equal(cleaned, 1);
}

static void every_status_has_its_name(void **state)
{
    (void)state;
    for (int a = TUFF_OK; a <= TUFF_INTERNAL; a++) {
        assert_string_not_equal(tuff_status_name((tuff_status)a), "unknown status");
        for (int b = TUFF_OK; b < a; b++)
            assert_string_not_equal(tuff_status_name((tuff_status)a), tuff_status_name((tuff_status)b));
    }
    assert_string_equal(tuff_status_name((tuff_status)99), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_sets_text_and_returns_status),
        cmocka_unit_test(note_goes_before),
        cmocka_unit_test(an_argument_may_be_the_present_text),
        cmocka_unit_test(hostile_bytes_do_not_reach_the_terminal),
        cmocka_unit_test(long_text_is_cut_between_code_points),
        cmocka_unit_test(each_thread_has_its_own_text),
        cmocka_unit_test(macros_propagate),
        cmocka_unit_test(every_status_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
