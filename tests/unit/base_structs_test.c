/* Structs that grow at their end: programs made with older and newer headers. */
#include "base/structs.h"

#include "tests/kit/kit.h"

/* The same struct in three versions of the library. */
typedef struct first_version {
    size_t struct_size;
    int32_t a, b;
} first_version;
typedef struct second_version {
    size_t struct_size;
    int32_t a, b, c, d;
} second_version;
typedef struct third_version {
    size_t struct_size;
    int32_t a, b, c, d;
    double e;
} third_version;
#define SECOND_INIT                        \
    {                                      \
        sizeof(second_version), 1, 2, 3, 4 \
    }

static tuff_status take(second_version *out, const void *given)
{
    *out = (second_version)SECOND_INIT;
    return TUFF_TAKE(out, (const second_version *)given, SECOND_INIT, b);
}

static void null_means_the_defaults(void **state)
{
    (void)state;
    second_version out;
    KIT_OK(take(&out, NULL));
    assert_int_equal(out.a, 1);
    assert_int_equal(out.d, 4);
}

static void an_older_program_gets_the_defaults_of_what_it_lacks(void **state)
{
    (void)state;
    second_version out;
    KIT_OK(take(&out, &(first_version){sizeof(first_version), 10, 20}));
    assert_int_equal(out.struct_size, sizeof out);
    assert_int_equal(out.a, 10);
    assert_int_equal(out.b, 20);
    assert_int_equal(out.c, 3);
    assert_int_equal(out.d, 4);
}

static void a_newer_program_is_heard_if_it_asks_for_nothing_new(void **state)
{
    (void)state;
    second_version out;
    third_version newer = {.struct_size = sizeof newer, .a = 10, .d = 40};
    KIT_OK(take(&out, &newer));
    assert_int_equal(out.struct_size, sizeof out);
    assert_int_equal(out.a, 10);
    assert_int_equal(out.c, 0);
    assert_int_equal(out.d, 40);
    newer.e = 0.5;
    KIT_FAILS(take(&out, &newer), TUFF_INVALID_ARGUMENT,
              "the struct made by SECOND_INIT sets a field that came with a later version");
}

static void a_size_that_was_never_set_is_refused(void **state)
{
    (void)state;
    second_version out, given = SECOND_INIT;
    static const size_t sizes[] = {
        0, 1, sizeof(size_t), sizeof(first_version) - 1, SIZE_MAX, (size_t)1 << 40};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        given.struct_size = sizes[i];
        KIT_FAILS(take(&out, &given), TUFF_INVALID_ARGUMENT, "begin with SECOND_INIT, which sets it");
        assert_int_equal(strstr(tuff_error_message(), "expected at least") != NULL, i < 4);
        KIT_FAILS(TUFF_CHECK_OUT(&given, SECOND_INIT, b), TUFF_INVALID_ARGUMENT,
                  "begin with SECOND_INIT, which sets it");
    }
    KIT_FAILS(TUFF_CHECK_OUT((second_version *)NULL, SECOND_INIT, b), TUFF_INVALID_ARGUMENT, "is NULL");
}

static void a_result_fills_what_there_is_room_for(void **state)
{
    (void)state;
    const second_version result = {sizeof result, 10, 20, 30, 40};
    struct {
        first_version older;
        int32_t behind;
    } small = {{sizeof(first_version), 0, 0}, 7};
    KIT_OK(TUFF_GIVE((second_version *)(void *)&small, &result, SECOND_INIT, b));
    assert_int_equal(small.older.struct_size, sizeof small.older);
    assert_int_equal(small.older.b, 20);
    assert_int_equal(small.behind, 7);

    third_version newer = {.struct_size = sizeof newer, .e = 3};
    KIT_OK(TUFF_GIVE((second_version *)(void *)&newer, &result, SECOND_INIT, b));
    assert_int_equal(newer.struct_size, sizeof newer);
    assert_int_equal(newer.d, 40);
    assert_true(newer.e == 0);
}

/* An array's entries lie as far apart as its maker's struct is large. */
static void entries_are_taken_at_their_makers_stride(void **state)
{
    (void)state;
    second_version out = SECOND_INIT;
    const first_version older[] = {{sizeof *older, 10, 20}, {0, 11, 21}};
    const second_version *array = (const second_version *)(const void *)older;
    KIT_OK(TUFF_CHECK_ARRAY(array, second_version, SECOND_INIT, b));
    KIT_OK(TUFF_TAKE_ENTRY(&out, array, 1, SECOND_INIT));
    assert_int_equal(out.a, 11);
    assert_int_equal(out.b, 21);
    assert_int_equal(out.c, 3);
    third_version newer[] = {{.struct_size = sizeof *newer, .a = 10}, {.a = 11}};
    array = (const second_version *)(const void *)newer;
    KIT_OK(TUFF_TAKE_ENTRY(&out, array, 1, SECOND_INIT));
    assert_int_equal(out.a, 11);
    newer[1].e = 1;
    KIT_FAILS(TUFF_TAKE_ENTRY(&out, array, 1, SECOND_INIT), TUFF_INVALID_ARGUMENT, "a later version");
    const second_version odd = {.struct_size = sizeof odd + 1};
    KIT_FAILS(TUFF_CHECK_ARRAY(&odd, second_version, SECOND_INIT, b), TUFF_INVALID_ARGUMENT,
              "a multiple of 8");
    KIT_FAILS(TUFF_CHECK_ARRAY(NULL, second_version, SECOND_INIT, b), TUFF_INVALID_ARGUMENT, "is NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_means_the_defaults),
        cmocka_unit_test(an_older_program_gets_the_defaults_of_what_it_lacks),
        cmocka_unit_test(a_newer_program_is_heard_if_it_asks_for_nothing_new),
        cmocka_unit_test(a_size_that_was_never_set_is_refused),
        cmocka_unit_test(a_result_fills_what_there_is_room_for),
        cmocka_unit_test(entries_are_taken_at_their_makers_stride),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
