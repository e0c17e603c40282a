#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <tuff/host.h>

#include "base/cgroup.h"
#include "base/file.h"
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

/* A thread that gives its turn away and takes it again comes after the one that waited. */
static tuff_turn *turn;
static int waiters_turns;

static void *wait_for_turns(void *unused)
{
    for (int i = 0; i < THREADS; i++) {
        tuff_turn_take(turn);
        waiters_turns++;
        tuff_turn_give(turn);
    }
    return unused;
}

static void turns_come_in_order(void **state)
{
    (void)state;
    pthread_t waiter;
    turn = tuff_turn_create();
    tuff_turn_take(turn);
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_turns, NULL), 0);
    for (int had = 0; had < THREADS;) {
        const bool awaited = tuff_turn_give(turn);
        tuff_turn_take(turn);
        if (awaited) assert_int_not_equal(waiters_turns, had);
        had = waiters_turns;
    }
    assert_false(tuff_turn_give(turn));
    pthread_join(waiter, NULL);
    tuff_turn_destroy(&turn);
    assert_null(turn);
    tuff_turn_destroy(&turn);
    kit_fail_allocation(1);
    assert_null(tuff_turn_create());
    kit_fail_allocation(0);
}

static bool not_to_go_on(void *user)
{
    ++*(int *)user;
    return false;
}

static bool go_on(void *user)
{
    return __atomic_add_fetch((int *)user, 1, __ATOMIC_SEQ_CST) < 1000;
}

static void *wait_asking(void *asked)
{
    assert_true(tuff_turn_wait(turn, go_on, asked));
    waiters_turns++;
    tuff_turn_give(turn);
    return NULL;
}

static void who_waits_for_a_turn_may_leave(void **state)
{
    (void)state;
    pthread_t waiter;
    int asked = 0, leaving = 0;
    waiters_turns = 0;
    turn = tuff_turn_create();
    assert_true(tuff_turn_wait(turn, not_to_go_on, &leaving)); /* nobody has it: nothing is asked */
    assert_int_equal(leaving, 0);
    assert_false(tuff_turn_wait(turn, not_to_go_on, &leaving));
    assert_int_equal(leaving, 1);
    assert_int_equal(pthread_create(&waiter, NULL, wait_asking, &asked), 0);
    while (__atomic_load_n(&asked, __ATOMIC_SEQ_CST) < 2) /* it waits */
        assert_false(tuff_turn_wait(turn, not_to_go_on, &leaving));
    assert_int_equal(waiters_turns, 0);
    assert_true(tuff_turn_give(turn));
    pthread_join(waiter, NULL);
    assert_int_equal(waiters_turns, 1);
    tuff_turn_take(turn);
    assert_false(tuff_turn_give(turn)); /* those that left are not waited for */
    tuff_turn_destroy(&turn);
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
    tuff_host_stats before = TUFF_HOST_STATS_INIT, after = TUFF_HOST_STATS_INIT;
    KIT_OK(tuff_get_host_stats(&before));
    in_threads(allocate);
    KIT_OK(tuff_get_host_stats(&after));
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

static bool group_of(const char *text, int version, const char *expected)
{
    char path[16];
    bool found = tuff_cgroup_path(text, strlen(text), version, path, sizeof path);
    return found ? expected && strcmp(path, expected) == 0 : !expected;
}

static void control_group_files_are_read(void **state)
{
    (void)state;
    static const char mixed[] = "9:name=systemd:/s\n4:cpu,memory:/a/b\n1:cpu:/c\n0::/new\n";
    assert_true(group_of(mixed, 1, "/a/b"));
    assert_true(group_of(mixed, 2, "/new"));
    assert_true(group_of("0::/", 2, "/"));
    assert_true(group_of("0::/", 1, NULL));
    assert_true(group_of("4:memory_x:/a\n4:xmemory,cpu:/b\n", 1, NULL));
    assert_true(group_of("4:memory", 1, NULL));
    assert_true(group_of("4:memory:", 1, NULL));
    assert_true(group_of("\n\n::\n:::\n", 1, NULL));
    assert_true(group_of("0::/123456789012345678\n4:memory:/123456789012345\n", 2, NULL)); /* does not fit */
    assert_true(group_of("", 2, NULL));

#define NUMBER(text) tuff_cgroup_number(text, strlen(text))
    assert_true(NUMBER("536870912\n") == 536870912);
    assert_true(NUMBER("0") == 0);
    assert_true(NUMBER("max\n") == UINT64_MAX);
    assert_true(NUMBER("9223372036854771712\n") == UINT64_MAX);
    assert_true(NUMBER("99999999999999999999999") == UINT64_MAX);
    assert_true(NUMBER("") == UINT64_MAX);
    assert_true(tuff_cgroup_number("1234", 2) == 12);

    static const char stat[] = "anon 5\ninactive_file 4096\ninactive_filed 7\nfile x\nlast 9";
#define STAT(key) tuff_cgroup_stat(stat, sizeof stat - 1, key)
    assert_true(STAT("inactive_file") == 4096);
    assert_true(STAT("anon") == 5);
    assert_true(STAT("last") == 9);
    assert_true(STAT("file") == 0);
    assert_true(STAT("inactive") == 0);
    assert_true(tuff_cgroup_stat(stat, 18, "inactive_file") == 0);
}

/* Writes a file below a folder that is made if it is not there. */
static void put(const char *folder, const char *name, const char *text)
{
    char path[512];
    KIT_OK(tuff_make_directories(folder));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    kit_write_file(path, text, strlen(text));
}

static void control_groups_limit_memory(void **state)
{
    (void)state;
    const char *root = kit_temp_path("cgroup"), *file = kit_temp_path("self"), *none = kit_temp_path("none");
    tuff_memory_limit m = tuff_cgroup_limit(none, root);
    assert_true(m.limit == UINT64_MAX && m.available == UINT64_MAX);

    /* version 2: the group has no limit of its own, the one above it has */
    kit_write_file(file, "0::/pod/box\n", 12);
    put(kit_temp_path("cgroup/pod/box"), "memory.max", "max\n");
    put(kit_temp_path("cgroup/pod"), "memory.max", "1000000\n");
    put(kit_temp_path("cgroup/pod"), "memory.current", "700000\n");
    put(kit_temp_path("cgroup/pod"), "memory.stat", "anon 1\nactive_file 50000\ninactive_file 150000\n");
    m = tuff_cgroup_limit(file, root);
    assert_true(m.limit == 1000000 && m.available == 500000);
    put(kit_temp_path("cgroup/pod/box"), "memory.max", "2000\n");
    put(kit_temp_path("cgroup/pod/box"), "memory.current", "3000\n");
    m = tuff_cgroup_limit(file, root);
    assert_true(m.limit == 2000 &&
                m.available == 1); /* over its limit: nothing is free, which is not 0, unknown */

    /* version 1, in a container that sees its own group as the root and the host's path */
    kit_write_file(file, "4:memory:/docker/123\n", 21);
    put(kit_temp_path("cgroup/memory"), "memory.limit_in_bytes", "5000\n");
    put(kit_temp_path("cgroup/memory"), "memory.usage_in_bytes", "4000\n");
    put(kit_temp_path("cgroup/memory"), "memory.stat",
        "inactive_file 9\ntotal_inactive_file 700\ntotal_active_file 300\n");
    m = tuff_cgroup_limit(file, root);
    assert_true(m.limit == 5000 && m.available == 2000);
    put(kit_temp_path("cgroup/memory"), "memory.limit_in_bytes", "9223372036854771712\n");
    m = tuff_cgroup_limit(file, root);
    assert_true(m.limit == UINT64_MAX && m.available == UINT64_MAX);
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
        cmocka_unit_test(turns_come_in_order),
        cmocka_unit_test(who_waits_for_a_turn_may_leave),
        cmocka_unit_test(once_runs_once_and_nests),
        cmocka_unit_test(host_counters_are_exact_across_threads),
        cmocka_unit_test(log_reaches_the_host),
        cmocka_unit_test(clock_and_memory_make_sense),
        cmocka_unit_test(control_group_files_are_read),
        cmocka_unit_test(control_groups_limit_memory),
        cmocka_unit_test(environment_ignores_the_empty),
        cmocka_unit_test(libraries_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
