#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdlib.h>
#include <tuff/host.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "kit/kit.h"

enum { THREADS = 8, ROUNDS = 20000 };

static tuff_mutex *mutex;
static uint64_t counter;

static void *count_up(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        tuff_mutex_lock(mutex);
        counter++;
        tuff_mutex_unlock(mutex);
    }
    return unused;
}

static void in_threads(void *(*fn)(void *))
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fn, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void mutex_excludes(void **state)
{
    (void)state;
    mutex = tuff_mutex_create();
    in_threads(count_up);
    tuff_mutex_destroy(&mutex);
    assert_null(mutex);
    tuff_mutex_destroy(&mutex);
    assert_true(counter == (uint64_t)THREADS * ROUNDS);
    kit_fail_allocation(1);
    assert_null(tuff_mutex_create());
    kit_fail_allocation(0);
}

static int inner_runs, outer_runs;
static tuff_once inner = TUFF_ONCE_INIT, outer = TUFF_ONCE_INIT;
static void run_inner(void)
{
    inner_runs++;
}
static void run_outer(void)
{
    tuff_call_once(&inner, run_inner);
    outer_runs++;
}
static int seen_early;
static void *call_outer(void *unused)
{
    tuff_call_once(&outer, run_outer);
    /* Whoever returns sees what the one run did. */
    if (outer_runs != 1 || inner_runs != 1) __atomic_store_n(&seen_early, 1, __ATOMIC_RELAXED);
    return unused;
}

static void once_runs_once_and_nests(void **state)
{
    (void)state;
    in_threads(call_outer);
    assert_int_equal(outer_runs, 1);
    assert_int_equal(inner_runs, 1);
    assert_int_equal(seen_early, 0);
}

static void *allocate(void *unused)
{
    for (int i = 0; i < ROUNDS; i++)
        tuff_free(tuff_alloc(16));
    return unused;
}

static void host_counters_are_exact_across_threads(void **state)
{
    (void)state;
    tuff_host_stats before = tuff_get_host_stats();
    in_threads(allocate);
    tuff_host_stats after = tuff_get_host_stats();
    assert_true(after.allocations - before.allocations == (uint64_t)THREADS * ROUNDS);
    assert_true(after.live == before.live);
}

static struct {
    int lines, inside, overlaps;
    tuff_log_level level;
    char last[64];
} heard;

static void listen(tuff_log_level level, const char *message, void *user)
{
    assert_ptr_equal(user, &heard);
    if (heard.inside++) heard.overlaps++;
    heard.lines++;
    heard.level = level;
    strncpy(heard.last, message, sizeof heard.last - 1);
    tuff_log(TUFF_LOG_ERROR, "a receiver that logs");
    heard.inside--;
}

static void *talk(void *unused)
{
    for (int i = 0; i < 1000; i++)
        tuff_log(TUFF_LOG_INFO, "line %d", i);
    return unused;
}

static void log_reaches_the_host(void **state)
{
    (void)state;
    unsetenv("TUFF_LOG");
    tuff_log(TUFF_LOG_ERROR, "nobody listens");
    tuff_set_log(listen, TUFF_LOG_WARN, &heard);
    tuff_log(TUFF_LOG_WARN, "two\nlines %d", 2);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, TUFF_LOG_WARN);
    assert_string_equal(heard.last, "two lines 2");
    tuff_log(TUFF_LOG_INFO, "too fine");
    assert_int_equal(heard.lines, 1);
    setenv("TUFF_LOG", "info", 1);
    tuff_set_log(listen, TUFF_LOG_WARN, &heard);
    in_threads(talk);
    assert_int_equal(heard.lines, 1 + THREADS * 1000);
    assert_int_equal(heard.overlaps, 0);
    setenv("TUFF_LOG", "error", 1);
    tuff_set_log(listen, TUFF_LOG_DEBUG, &heard);
    tuff_log(TUFF_LOG_WARN, "too fine");
    assert_int_equal(heard.lines, 1 + THREADS * 1000);
    tuff_set_log(NULL, TUFF_LOG_DEBUG, NULL);
}

static void clock_and_memory_make_sense(void **state)
{
    (void)state;
    uint64_t a = tuff_now_ns(), b = tuff_now_ns();
    assert_true(a > 0 && b >= a && b - a < UINT64_C(10000000000));
    uint64_t total = tuff_total_memory(), available = tuff_available_memory(), peak = tuff_peak_memory();
    assert_true(total > (64u << 20) && available > 0 && available <= total);
    assert_true(peak > (100u << 10) && peak < total);
    /* Touching 64 MiB raises the peak by about that. */
    enum { SIZE = 64 << 20 };
    char *block = tuff_alloc(SIZE);
    memset(block, 1, SIZE);
    assert_true(tuff_peak_memory() >= peak + SIZE / 2);
    tuff_free(block);
}

static void environment_ignores_the_empty(void **state)
{
    (void)state;
    setenv("TUFF_DEVICE", "", 1);
    assert_null(tuff_environment("TUFF_DEVICE"));
    setenv("TUFF_DEVICE", "cpu", 1);
    assert_string_equal(tuff_environment("TUFF_DEVICE"), "cpu");
    unsetenv("TUFF_DEVICE");
    assert_null(tuff_environment("TUFF_DEVICE"));
}

static void libraries_open(void **state)
{
    (void)state;
    assert_null(tuff_library_open("libtuff-does-not-exist.so.9"));
    void *library = tuff_library_open("libc.so.6");
    if (!library) skip();
    assert_non_null(tuff_library_symbol(library, "strlen"));
    assert_null(tuff_library_symbol(library, "tuff_no_such_symbol"));
    tuff_library_close(library);
    tuff_library_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutex_excludes),
        cmocka_unit_test(once_runs_once_and_nests),
        cmocka_unit_test(host_counters_are_exact_across_threads),
        cmocka_unit_test(log_reaches_the_host),
        cmocka_unit_test(clock_and_memory_make_sense),
        cmocka_unit_test(environment_ignores_the_empty),
        cmocka_unit_test(libraries_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
