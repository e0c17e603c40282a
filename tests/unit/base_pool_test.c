/* The pool: each item once, whoever asks and however many at a time; who waits sleeps. */
#define _GNU_SOURCE /* pthread_setattr_default_np */
#include <pthread.h>
#include <time.h>

#include "base/cgroup.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/pool.h"
#include "base/thread.h"
#include "kit/kit.h"

enum { ITEMS = 1000, CALLERS = 6, ROUNDS = 300 };

typedef struct tally {
    tuff_pool *pool;
    unsigned times[ITEMS];
    unsigned ranges;
    bool wrong;
} tally;

static void count(int64_t begin, int64_t end, void *context)
{
    tally *t = context;
    __atomic_fetch_add(&t->ranges, 1, __ATOMIC_RELAXED);
    for (int64_t i = begin; i < end; i++)
        t->times[i]++; /* a range is one thread's */
}

static void check(tally *t, int64_t n, int64_t grain)
{
    memset(t->times, 0, sizeof t->times);
    t->ranges = 0;
    tuff_pool_run(t->pool, n, grain, count, t);
    for (int64_t i = 0; i < ITEMS; i++)
        if (t->times[i] != (i < n)) t->wrong = true;
    if (n > 0 && (int64_t)t->ranges > (n + grain - 1) / grain) t->wrong = true;
}

static void each_item_is_done_once(void **state)
{
    (void)state;
    static const unsigned threads[] = {1, 2, 3, 8, 70};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        tally t = {.pool = tuff_pool_create(threads[i])};
        assert_non_null(t.pool);
        assert_int_equal(tuff_pool_threads(t.pool), threads[i]);
        for (int64_t n = 0; n <= ITEMS; n += n < 10 ? 1 : 99)
            for (int64_t grain = 1; grain < 600; grain *= 5)
                check(&t, n, grain);
        assert_false(t.wrong);
        tuff_pool_destroy(&t.pool);
        assert_null(t.pool);
    }
}

static void use_stack(int64_t begin, int64_t end, void *context)
{
    volatile char block[512 * 1024];
    for (size_t i = 0; i < sizeof block; i += 512)
        block[i] = (char)begin;
    if (block[1024] == (char)begin) __atomic_fetch_add((int64_t *)context, end - begin, __ATOMIC_RELAXED);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* so that all threads take part */
}

/* Where the user's limit makes stacks small, the pool's threads have enough for kernels all the same. */
static void stacks_are_large_enough(void **state)
{
    (void)state;
    pthread_attr_t before, small;
    int64_t done = 0;
    assert_int_equal(pthread_getattr_default_np(&before), 0);
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, 64 * 1024), 0);
    assert_int_equal(pthread_setattr_default_np(&small), 0);
    tuff_pool *pool = tuff_pool_create(3);
    assert_non_null(pool);
    tuff_pool_run(pool, 30, 1, use_stack, &done);
    assert_int_equal(pthread_setattr_default_np(&before), 0);
    assert_int_equal(done, 30);
    tuff_pool_destroy(&pool);
    pthread_attr_destroy(&small);
    pthread_attr_destroy(&before);
}

static void *call(void *user)
{
    tally t = {.pool = user};
    for (int i = 0; i < ROUNDS; i++)
        check(&t, 1 + i * 37 % ITEMS, 1 + i % 20);
    return t.wrong ? user : NULL;
}

static void many_may_ask_at_once(void **state)
{
    (void)state;
    for (unsigned n = 2; n <= 4; n += 2) {
        tuff_pool *pool = tuff_pool_create(n);
        pthread_t callers[CALLERS];
        for (int i = 0; i < CALLERS; i++)
            assert_int_equal(pthread_create(&callers[i], NULL, call, pool), 0);
        for (int i = 0; i < CALLERS; i++) {
            void *wrong;
            pthread_join(callers[i], &wrong);
            assert_null(wrong);
        }
        tuff_pool_destroy(&pool);
    }
}

static void nest(int64_t begin, int64_t end, void *context)
{
    for (int64_t i = begin; i < end; i++) {
        tally t = {.pool = context};
        check(&t, 100, 1);
        assert_int_equal(t.ranges, 1); /* on this thread alone */
        assert_false(t.wrong);
    }
}

static void work_within_work_stays_on_its_thread(void **state)
{
    (void)state;
    tuff_pool *pool = tuff_pool_create(4);
    tuff_pool_run(pool, 50, 1, nest, pool);
    tuff_pool_destroy(&pool);
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A thread looks for work for less than a millisecond. */
static void who_waits_sleeps(void **state)
{
    (void)state;
    enum { THREADS = 8, TIMES = 20 };
    tally t = {.pool = tuff_pool_create(THREADS)};
    double begin = processor_seconds();
    for (int i = 0; i < TIMES; i++) {
        check(&t, ITEMS, 1);
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
    double used = processor_seconds() - begin;
    if (used > TIMES * THREADS * 0.001) fail_msg("%g s of processor time for nothing", used);
    tuff_pool_destroy(&t.pool);
}

static tuff_status make_and_use(void *user)
{
    (void)user;
    tally t = {.pool = tuff_pool_create(3)};
    if (!t.pool) return TUFF_OUT_OF_MEMORY;
    check(&t, 100, 1);
    tuff_pool_destroy(&t.pool);
    return t.wrong ? TUFF_INTERNAL : TUFF_OK;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(make_and_use, NULL) > 20);
}

static unsigned quota(const char *text)
{
    return tuff_cgroup_quota(text, strlen(text));
}

static void processors_are_counted(void **state)
{
    (void)state;
    assert_true(tuff_processors() >= 1);
    assert_int_equal(quota("max 100000\n"), 0);
    assert_int_equal(quota("200000 100000\n"), 2);
    assert_int_equal(quota("250000 100000\n"), 3);
    assert_int_equal(quota("1000 100000\n"), 1);
    assert_int_equal(quota("-1 100000"), 0);
    assert_int_equal(quota("0 100000"), 0);
    assert_int_equal(quota("100000 0"), 0);
    assert_int_equal(quota("100000"), 0);
    assert_int_equal(quota(""), 0);
    assert_int_equal(tuff_cgroup_processors(kit_temp_path("absent"), kit_temp_directory()), 0);
    /* at the root of the tree, as in a container */
    kit_write_file(kit_temp_path("group"), "0::/a/b\n", 8);
    kit_write_file(kit_temp_path("cpu.max"), "300000 100000\n", 14);
    assert_int_equal(tuff_cgroup_processors(kit_temp_path("group"), kit_temp_directory()), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_are_large_enough), cmocka_unit_test(each_item_is_done_once),
        cmocka_unit_test(many_may_ask_at_once),    cmocka_unit_test(work_within_work_stays_on_its_thread),
        cmocka_unit_test(who_waits_sleeps),        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(processors_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
