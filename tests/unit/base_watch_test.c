#include "base/watch.h"
#include "kit/kit.h"

static bool count_to(const tuff_progress *progress, void *user)
{
    assert_int_equal(progress->phase, TUFF_PHASE_TRAIN);
    assert_int_equal(progress->total, 9);
    *(uint64_t *)user = progress->done;
    return progress->done < 3;
}

static void a_request_ends_the_next_step(void **state)
{
    (void)state;
    tuff_watch watch = TUFF_WATCH_INIT;
    assert_int_equal(tuff_cancel_create(&watch.cancel), TUFF_OK);
    assert_int_equal(tuff_watch_step(&watch, TUFF_PHASE_LOAD, 0, 2), TUFF_OK);
    tuff_cancel_request(watch.cancel);
    assert_true(tuff_cancel_requested(watch.cancel));
    assert_int_equal(tuff_watch_step(&watch, TUFF_PHASE_LOAD, 1, 2), TUFF_CANCELLED);
    assert_string_equal(tuff_error_message(), "cancelled during load");
    tuff_cancel_reset(watch.cancel);
    assert_int_equal(tuff_watch_step(&watch, TUFF_PHASE_LOAD, 1, 2), TUFF_OK);
    tuff_cancel_destroy(&watch.cancel);
    assert_null(watch.cancel);
}

static void a_callback_sees_each_step_and_may_end_it(void **state)
{
    (void)state;
    uint64_t seen = 0;
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = count_to;
    watch.user = &seen;
    assert_int_equal(tuff_watch_step(&watch, TUFF_PHASE_TRAIN, 2, 9), TUFF_OK);
    assert_int_equal(seen, 2);
    assert_int_equal(tuff_watch_step(&watch, TUFF_PHASE_TRAIN, 3, 9), TUFF_CANCELLED);
    assert_int_equal(seen, 3);
}

static void nothing_to_watch_is_fine(void **state)
{
    (void)state;
    assert_int_equal(tuff_watch_step(NULL, TUFF_PHASE_SAVE, 0, 0), TUFF_OK);
    assert_int_equal(tuff_watch_check(NULL), TUFF_OK);
    tuff_cancel_request(NULL);
    tuff_cancel_reset(NULL);
    assert_false(tuff_cancel_requested(NULL));
    tuff_cancel_destroy(NULL);
    assert_int_equal(tuff_cancel_create(NULL), TUFF_INVALID_ARGUMENT);
}

static void a_watch_says_its_size(void **state)
{
    (void)state;
    tuff_watch watch = {0};
    assert_int_equal(tuff_watch_check(&watch), TUFF_INVALID_ARGUMENT);
    assert_non_null(strstr(tuff_error_message(), "TUFF_WATCH_INIT"));
}

/* Of a program made with an older header, which ends there: what lies behind is not its. */
static void what_lies_behind_its_size_is_not_read(void **state)
{
    (void)state;
    uint64_t seen = 0;
    tuff_watch watch = {
        .struct_size = offsetof(tuff_watch, on_progress), .on_progress = count_to, .user = &seen};
    assert_int_equal(tuff_watch_step(&watch, TUFF_PHASE_TRAIN, 2, 9), TUFF_OK);
    assert_int_equal(seen, 0);
}

typedef struct whole {
    uint64_t done, total, calls;
} whole;

static bool only_forward(const tuff_progress *progress, void *user)
{
    whole *w = user;
    assert_int_equal(progress->phase, TUFF_PHASE_TOKENIZE);
    assert_int_equal(progress->total, w->total);
    assert_true(w->calls++ == 0 ? progress->done == 0 : progress->done > w->done);
    w->done = progress->done;
    return progress->done < 9000;
}

static void parts_are_told_as_one(void **state)
{
    (void)state;
    whole w = {.total = 6000};
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = only_forward;
    watch.user = &w;
    tuff_watched_parts parts;
    KIT_OK(tuff_watched_parts_begin(&parts, &watch, TUFF_PHASE_TOKENIZE, 6000));
    for (int i = 0; i < 2000; i++) {
        KIT_OK(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 0, 3));
        KIT_OK(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 3, 3));
        KIT_OK(tuff_watched_parts_next(&parts, 3));
    }
    assert_int_equal(w.done, 6000);
    assert_true(w.calls > 50 && w.calls <= 102);

    /* within a long part; false ends it there */
    w = (whole){.total = 10000};
    KIT_OK(tuff_watched_parts_begin(&parts, &watch, TUFF_PHASE_TOKENIZE, 10000));
    KIT_OK(tuff_watched_parts_next(&parts, 2000));
    KIT_OK(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 5000, 8000));
    assert_int_equal(w.done, 7000);
    KIT_FAILS(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 7500, 8000), TUFF_CANCELLED, "tokenize");

    /* a request is heard by parts that are too small to be told */
    w = (whole){.total = 10000};
    KIT_OK(tuff_cancel_create(&watch.cancel));
    KIT_OK(tuff_watched_parts_begin(&parts, &watch, TUFF_PHASE_TOKENIZE, 10000));
    tuff_cancel_request(watch.cancel);
    KIT_FAILS(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 0, 1), TUFF_CANCELLED, "tokenize");
    tuff_cancel_destroy(&watch.cancel);

    KIT_OK(tuff_watched_parts_begin(&parts, NULL, TUFF_PHASE_TOKENIZE, 0));
    KIT_OK(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 0, 0));
    KIT_OK(tuff_watched_parts_next(&parts, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_ends_the_next_step),
        cmocka_unit_test(a_callback_sees_each_step_and_may_end_it),
        cmocka_unit_test(nothing_to_watch_is_fine),
        cmocka_unit_test(a_watch_says_its_size),
        cmocka_unit_test(what_lies_behind_its_size_is_not_read),
        cmocka_unit_test(parts_are_told_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
