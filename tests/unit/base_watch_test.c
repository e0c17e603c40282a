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
    assert_string_equal(tuff_error_message(), "cancelled while loading, after 1 of 2 bytes");
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
    assert_true(w.calls > 50 && w.calls <= 200);

    /* within a long part; false ends it there */
    w = (whole){.total = 10000};
    KIT_OK(tuff_watched_parts_begin(&parts, &watch, TUFF_PHASE_TOKENIZE, 10000));
    KIT_OK(tuff_watched_parts_next(&parts, 2000));
    KIT_OK(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 5000, 8000));
    assert_int_equal(w.done, 7000);
    KIT_FAILS(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 7500, 8000), TUFF_CANCELLED,
              "cancelled while tokenizing, after 9,500 of 10,000 bytes"); /* of all, not of the part */

    /* a request is heard by parts that are too small to be told */
    w = (whole){.total = 10000};
    KIT_OK(tuff_cancel_create(&watch.cancel));
    KIT_OK(tuff_watched_parts_begin(&parts, &watch, TUFF_PHASE_TOKENIZE, 10000));
    tuff_cancel_request(watch.cancel);
    KIT_FAILS(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 0, 1), TUFF_CANCELLED, "0 of 10,000 bytes");
    tuff_cancel_destroy(&watch.cancel);

    KIT_OK(tuff_watched_parts_begin(&parts, NULL, TUFF_PHASE_TOKENIZE, 0));
    KIT_OK(tuff_watch_step(&parts.each, TUFF_PHASE_TOKENIZE, 0, 0));
    KIT_OK(tuff_watched_parts_next(&parts, 0));
}

/* How often it was told, how far it was the last time; ends it from `end` on. */
typedef struct heard {
    int calls;
    tuff_progress last;
    uint64_t end;
} heard;

static bool hear(const tuff_progress *progress, void *user)
{
    heard *h = user;
    h->calls++;
    h->last = *progress;
    return progress->done < h->end;
}

static void within_a_part_the_clock_decides(void **state)
{
    (void)state;
    heard h = {.end = UINT64_MAX};
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = hear;
    watch.user = &h;
    tuff_watched work = {
        .watch = &watch, .phase = TUFF_PHASE_EMBED, .done = 4096, .total = 132000, .part = 4096};
    for (uint64_t i = 0; i < 1000; i++)
        KIT_OK(tuff_watched_within(&work, i, 1000));
    assert_true(h.calls < 100); /* none, but on a machine that stalls */
    h.calls = 0;
    work.told_ns = 1; /* long ago */
    KIT_OK(tuff_watched_within(&work, 50, 100));
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.last.done, 4096 + 2048);
    assert_int_equal(h.last.total, 132000);
    work.told_ns = 1;
    KIT_OK(tuff_watched_within(&work, 100, 100));
    assert_int_equal(h.last.done, 8192);

    work.told_ns = 1;
    h.end = 8192;
    KIT_FAILS(tuff_watched_within(&work, 100, 100), TUFF_CANCELLED,
              "cancelled while embedding, after 8,192 of 132,000 tokens");
    /* a request needs no clock, and no callback */
    watch = (tuff_watch)TUFF_WATCH_INIT;
    KIT_OK(tuff_cancel_create(&watch.cancel));
    KIT_OK(tuff_watched_within(&work, 0, 100));
    tuff_cancel_request(watch.cancel);
    KIT_FAILS(tuff_watched_within(&work, 0, 100), TUFF_CANCELLED, "after 4,096 of 132,000 tokens");
    assert_false(tuff_watched_wait(&work));
    work = (tuff_watched){.watch = &watch, .phase = TUFF_PHASE_GENERATE, .done = 1234567};
    KIT_FAILS(tuff_watched_within(&work, 0, 0), TUFF_CANCELLED, "while generating, after 1,234,567 tokens");
    work = (tuff_watched){.watch = &watch, .phase = TUFF_PHASE_UPLOAD};
    KIT_FAILS(tuff_watched_tell(&work), TUFF_CANCELLED, "cancelled while weights were put on the device");
    tuff_cancel_destroy(&watch.cancel);

    assert_true(tuff_watched_wait(NULL));
    KIT_OK(tuff_watched_within(NULL, 0, 0));
    work.watch = NULL;
    KIT_OK(tuff_watched_within(&work, 0, 0));
    KIT_OK(tuff_watched_tell(&work));
}

/* Bytes of a file, of which tokens are embedded: what the call tells is told as the file's. */
static void a_call_is_told_as_its_part(void **state)
{
    (void)state;
    heard h = {.end = UINT64_MAX};
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = hear;
    watch.user = &h;
    KIT_OK(tuff_cancel_create(&watch.cancel));
    tuff_watched work = {.watch = &watch,
                         .phase = TUFF_PHASE_EMBED,
                         .unit = "bytes",
                         .done = 1000,
                         .total = 9000,
                         .part = 4000};
    tuff_watched_call call;
    tuff_watched_call_begin(&call, &work);
    work.told_ns = 1;
    KIT_OK(tuff_watch_step(&call.each, TUFF_PHASE_TOKENIZE, 5, 10)); /* takes part in no share */
    assert_int_equal(h.last.phase, TUFF_PHASE_EMBED);
    assert_int_equal(h.last.done, 1000);
    KIT_OK(tuff_watch_step(&call.each, TUFF_PHASE_EMBED, 30, 40));
    assert_int_equal(h.calls, 2);
    assert_int_equal(h.last.done, 4000);
    assert_int_equal(h.last.total, 9000);
    h.end = 5000;
    KIT_FAILS(tuff_watch_step(&call.each, TUFF_PHASE_EMBED, 40, 40), TUFF_CANCELLED,
              "cancelled while embedding, after 5,000 of 9,000 bytes");
    tuff_cancel_request(watch.cancel);
    KIT_FAILS(tuff_watch_step(&call.each, TUFF_PHASE_EMBED, 10, 40), TUFF_CANCELLED,
              "cancelled while embedding, after 2,000 of 9,000 bytes");
    assert_int_equal(h.calls, 3);
    tuff_cancel_destroy(&watch.cancel);

    work.watch = NULL; /* of nobody */
    tuff_watched_call_begin(&call, &work);
    KIT_OK(tuff_watch_step(&call.each, TUFF_PHASE_EMBED, 10, 40));
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
        cmocka_unit_test(within_a_part_the_clock_decides),
        cmocka_unit_test(a_call_is_told_as_its_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
