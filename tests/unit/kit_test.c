/* The test kit itself: a kit that cannot see a failure proves nothing. */
#include <math.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "kit/kit.h"

static void children_are_captured(void **state)
{
    (void)state;
    kit_result result;
    kit_run((const char *const[]){"sh", "-c", "echo out; echo err >&2; exit 3", NULL}, &result);
    assert_int_equal(result.exit_code, 3);
    assert_string_equal(result.out.data, "out\n");
    assert_string_equal(result.err.data, "err\n");
    kit_result_free(&result);
    kit_run((const char *const[]){"sh", "-c", "kill -9 $$", NULL}, &result);
    assert_int_equal(result.exit_code, 128 + 9);
    assert_string_equal(result.out.data, "");
    kit_result_free(&result);
    kit_run((const char *const[]){kit_temp_path("none/such"), NULL}, &result);
    assert_int_equal(result.exit_code, 127);
    kit_result_free(&result);
    /* More than a pipe holds. */
    kit_run(
        (const char *const[]){"sh", "-c", "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2", NULL},
        &result);
    assert_int_equal(result.out.size, 1000000);
    assert_int_equal(result.err.size, 1000000);
    kit_result_free(&result);
}

static void exactly_the_nth_allocation_fails(void **state)
{
    (void)state;
    kit_fail_allocation(3);
    for (int i = 1; i <= 5; i++) {
        void *pointer = tuff_alloc(1);
        assert_int_equal(pointer == NULL, i == 3);
        assert_int_equal(kit_allocation_failed(), i >= 3);
        tuff_free(pointer);
    }
    kit_fail_allocation(0);
}

static int runs;
static tuff_status two_allocations(void *user)
{
    (void)user;
    runs++;
    void *a = tuff_alloc(1);
    if (!a) return TUFF_OUT_OF_MEMORY;
    void *b = tuff_alloc(1);
    tuff_free(a);
    if (!b) return TUFF_OUT_OF_MEMORY;
    tuff_free(b);
    return TUFF_OK;
}

static void every_allocation_is_failed_once(void **state)
{
    (void)state;
    assert_int_equal(kit_for_each_allocation_failure(two_allocations, NULL), 2);
    assert_int_equal(runs, 4); /* without failures, the first, the second, past the last */
}

static void directories_are_counted(void **state)
{
    (void)state;
    assert_int_equal(kit_count_entries(kit_temp_path("none")), -1);
    KIT_OK(tuff_make_directories(kit_temp_path("dir/sub")));
    kit_write_file(kit_temp_path("dir/.hidden"), "x", 1);
    assert_int_equal(kit_count_entries(kit_temp_path("dir")), 2);
}

/* Of what is not a number no bound holds, wherever it stands among others. */
static void distances_do_not_lose_nan(void **state)
{
    (void)state;
    static const double a[] = {1, NAN, 3, 4};
    double most = 0;
    for (int i = 0; i < 4; i++)
        most = kit_farther(most, a[i], i == 2 ? 5 : a[i]);
    assert_true(isnan(most));
    most = kit_farther(kit_farther(0, 1, 4), 1, 2);
    assert_true(most == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_are_captured),           cmocka_unit_test(exactly_the_nth_allocation_fails),
        cmocka_unit_test(every_allocation_is_failed_once), cmocka_unit_test(directories_are_counted),
        cmocka_unit_test(distances_do_not_lose_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
