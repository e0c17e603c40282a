/* Sessions: programs by key, one arena for all, nothing left behind when one cannot be made. */
#include <math.h>

#include "failing_device.h"
#include "kit/kit.h"
#include "runtime/program.h"
#include "runtime/session.h"

/* y = w * exp(x) over n elements, in several steps that need memory of their own. */
static tuff_status build(void *user, tuff_graph *g)
{
    const int64_t n = *(const int64_t *)user;
    tuff_tensor *x = tuff_input(g, "x", TUFF_F32, 1, &n);
    tuff_tensor *w = tuff_variable(g, "w", TUFF_F32, 1, (int64_t[]){1});
    tuff_tensor *a = tuff_exp(g, x), *b = tuff_sqrt(g, tuff_mul(g, a, a));
    tuff_output(g, "y", tuff_mul(g, w, b));
    return TUFF_OK;
}

static void check_run(tuff_session *session, int64_t n, float value)
{
    tuff_program *program = NULL;
    KIT_OK(tuff_session_program(session, &n, sizeof n, build, &n, NULL, &program));
    float x[64], y[64];
    for (int64_t i = 0; i < n; i++)
        x[i] = value;
    KIT_OK(tuff_program_input(program, "x", x, (size_t)n * sizeof *x));
    KIT_OK(tuff_program_run(program));
    KIT_OK(tuff_program_output(program, "y", y, (size_t)n * sizeof *y));
    for (int64_t i = 0; i < n; i++)
        assert_true(fabsf(y[i] - 3 * expf(value)) < 1e-5f);
}

static tuff_session *session_of(tuff_device *device)
{
    tuff_session *session = NULL;
    tuff_buffer *w = NULL;
    KIT_OK(tuff_session_create(device, &session));
    KIT_OK(tuff_store_add(tuff_session_store(session), "w", TUFF_F32, 1, (int64_t[]){1}, &w));
    KIT_OK(tuff_buffer_write(w, 0, &(float){3}, 1));
    return session;
}

static void programs_share_one_arena(void **state)
{
    (void)state;
    tuff_device device = failing_device_open();
    tuff_session *session = session_of(&device);
    check_run(session, 64, 0.5f);
    uint64_t arena = tuff_session_arena(session);
    assert_true(arena > 0);
    check_run(session, 8, -1);
    assert_int_equal(tuff_session_arena(session), arena); /* the smaller one needs no more */
    check_run(session, 64, 0.25f);
    check_run(session, 8, 2);
    assert_int_equal(device.live_programs, 2); /* one of each key */
    tuff_session_destroy(&session);
    failing_device_close(&device);

    device = failing_device_open(); /* the larger one after the smaller adds to it */
    session = session_of(&device);
    check_run(session, 8, 1);
    uint64_t small = tuff_session_arena(session);
    check_run(session, 64, 1);
    assert_true(tuff_session_arena(session) > small);
    check_run(session, 8, 1);
    tuff_session_destroy(&session);
    tuff_session_destroy(&session);
    failing_device_close(&device);
}

/* y = exp(x) * sqrt(x), whose factors are alive at once. */
static tuff_status build_product(void *user, tuff_graph *g)
{
    tuff_tensor *x = tuff_input(g, "x", TUFF_F32, 1, user);
    tuff_tensor *a = tuff_exp(g, x), *b = tuff_sqrt(g, x);
    tuff_output(g, "y", tuff_mul(g, a, b));
    return TUFF_OK;
}

/* Where an allocation holds no more than one of them, an arena has several blocks. */
static void blocks_of_a_program_are_apart(void **state)
{
    (void)state;
    tuff_device device = failing_device_open();
    tuff_session *session = NULL;
    tuff_program *program = NULL;
    int64_t n = 64;
    float x[64], y[64];
    device.handle->caps.max_allocation = sizeof x;
    KIT_OK(tuff_session_create(&device, &session));
    KIT_OK(tuff_session_program(session, &n, sizeof n, build_product, &n, NULL, &program));
    assert_true(program->plan->n_blocks > 1);
    for (int i = 0; i < 64; i++)
        x[i] = (float)i / 64;
    KIT_OK(tuff_program_input(program, "x", x, sizeof x));
    KIT_OK(tuff_program_run(program));
    KIT_OK(tuff_program_output(program, "y", y, sizeof y));
    for (int i = 0; i < 64; i++)
        assert_true(fabsf(y[i] - expf(x[i]) * sqrtf(x[i])) < 1e-5f);
    tuff_session_destroy(&session);
    failing_device_close(&device);
}

/* y = x * c, c being one of the caches. */
static tuff_status build_cached(void *user, tuff_graph *g)
{
    (void)user;
    const int64_t one = 1;
    tuff_tensor *x = tuff_input(g, "x", TUFF_F32, 1, &one);
    tuff_output(g, "y", tuff_mul(g, x, tuff_variable(g, "c", TUFF_F32, 1, &one)));
    return TUFF_OK;
}

/* The caches are replaced as a whole: programs are made anew and read the new ones; the arena stays. */
static void caches_are_replaced(void **state)
{
    (void)state;
    tuff_device device = failing_device_open();
    tuff_session *session = session_of(&device);
    assert_null(tuff_session_caches(session));
    check_run(session, 64, 1);
    uint64_t arena = tuff_session_arena(session);
    for (float c = 2; c < 5; c++) {
        tuff_store *caches = NULL;
        tuff_buffer *buffer = NULL;
        tuff_program *program = NULL;
        float y = 0;
        KIT_OK(tuff_store_create(&device, &caches));
        KIT_OK(tuff_store_add(caches, "c", TUFF_F32, 1, (int64_t[]){1}, &buffer));
        KIT_OK(tuff_buffer_write(buffer, 0, &c, 1));
        tuff_session_set_caches(session, &caches);
        assert_null(caches);
        assert_int_equal(device.live_programs, 0);
        assert_int_equal(device.live_buffers, 2); /* w and this c: the one before is gone */
        KIT_OK(tuff_session_program(session, "cached", 6, build_cached, NULL, NULL, &program));
        KIT_OK(tuff_program_input(program, "x", &(float){10}, sizeof(float)));
        KIT_OK(tuff_program_run(program));
        KIT_OK(tuff_program_output(program, "y", &y, sizeof y));
        assert_true(y == 10 * c);
        check_run(session, 64, 0.5f);
        assert_int_equal(device.live_programs, 2);
    }
    assert_int_equal(tuff_session_arena(session), arena);
    tuff_session_destroy(&session);
    failing_device_close(&device);
}

/* A plan takes nothing on the device, not even its variables need be there; what it will take is known. */
static void planned_programs_take_nothing(void **state)
{
    (void)state;
    tuff_device device = failing_device_open();
    tuff_session *session = NULL;
    tuff_program *planned = NULL, *program = NULL;
    tuff_buffer *w = NULL;
    int64_t large = 64, small = 8;
    KIT_OK(tuff_session_create(&device, &session));
    uint64_t before = kit_device_stats(&device).bytes;
    KIT_OK(tuff_session_plan(session, &small, sizeof small, build, &small, NULL, &planned));
    KIT_OK(tuff_session_plan(session, &large, sizeof large, build, &large, NULL, &planned));
    assert_int_equal(kit_device_stats(&device).bytes, before);
    assert_int_equal(tuff_session_arena(session), 0);
    uint64_t arena = tuff_session_arena_planned(session);
    assert_true(arena > 0);
    KIT_OK(tuff_store_add(tuff_session_store(session), "w", TUFF_F32, 1, (int64_t[]){1}, &w));
    KIT_OK(tuff_buffer_write(w, 0, &(float){3}, 1));
    KIT_OK(tuff_session_ready(session));
    KIT_OK(tuff_session_program(session, &large, sizeof large, build, &large, NULL, &program));
    assert_ptr_equal(program, planned);
    assert_int_equal(tuff_session_arena(session), arena);
    check_run(session, large, 1);
    check_run(session, small, 2);
    assert_int_equal(tuff_session_arena(session), arena);
    assert_int_equal(device.live_programs, 2);
    tuff_session_destroy(&session);
    failing_device_close(&device);
}

/* What a service asks for that sees ever new sizes. */
enum { KEYS = 400 };
static void run_size(tuff_session *session, int64_t n, float *y, tuff_program **out_program)
{
    static float x[KEYS];
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i - n / 2) / 100;
    KIT_OK(tuff_session_program(session, &n, sizeof n, build, &n, NULL, out_program));
    KIT_OK(tuff_program_input(*out_program, "x", x, (size_t)n * sizeof *x));
    KIT_OK(tuff_program_run(*out_program));
    KIT_OK(tuff_program_output(*out_program, "y", y, (size_t)n * sizeof *y));
}

static void programs_are_few(void **state)
{
    (void)state;
    static float first[KEYS + 1][KEYS], again[KEYS];
    tuff_device device = failing_device_open();
    tuff_session *session = session_of(&device);
    tuff_program *kept = NULL, *recent[KEYS + 1] = {NULL}, *program = NULL;
    int64_t one = 1;
    run_size(session, one, first[1], &kept);
    tuff_session_keep(session, kept);
    uint64_t live = 0, bytes = 0;
    for (int64_t n = 2; n <= KEYS; n++) {
        run_size(session, n, first[n], &recent[n]);
        if (n == TUFF_SESSION_PROGRAMS) live = kit_live();
        if (n == TUFF_SESSION_PROGRAMS) assert_int_equal(device.live_programs, TUFF_SESSION_PROGRAMS);
        /* the last ones stay where they are */
        for (int64_t back = n - 1; back > 1 && back > n - TUFF_SESSION_RECENT; back--) {
            KIT_OK(tuff_session_program(session, &back, sizeof back, build, &back, NULL, &program));
            assert_ptr_equal(program, recent[back]);
        }
    }
    assert_int_equal(device.live_programs, TUFF_SESSION_PROGRAMS);
    assert_true(kit_live() <= live + 8);
    bytes = kit_device_stats(&device).bytes;
    /* back from the first on, in which none is there any more but the one that is kept */
    for (int64_t n = 2; n <= KEYS; n++) {
        run_size(session, n, again, &program);
        assert_memory_equal(again, first[n], (size_t)n * sizeof *again);
    }
    assert_int_equal(device.live_programs, TUFF_SESSION_PROGRAMS);
    assert_true(kit_live() <= live + 8 && kit_device_stats(&device).bytes <= 2 * bytes);
    run_size(session, one, again, &program);
    assert_ptr_equal(program, kept);
    assert_memory_equal(again, first[1], sizeof *again);
    tuff_session_destroy(&session);
    assert_int_equal(device.live_programs, 0);
    failing_device_close(&device);
}

/* Zeros, as many as the key says, that are given to the host. */
static tuff_status build_large(void *user, tuff_graph *g)
{
    tuff_output(g, "y", tuff_fill(g, 0, 1, user));
    return TUFF_OK;
}

/* Programs that hold much are fewer, but not so few that work by turns would make them again and again. */
static void large_programs_are_fewer(void **state)
{
    (void)state;
    tuff_device device = failing_device_open();
    tuff_session *session = NULL;
    tuff_program *program = NULL;
    KIT_OK(tuff_session_create(&device, &session));
    for (int64_t n = 1 << 20; n < (1 << 20) + 60; n++) /* 12 MB each */
        KIT_OK(tuff_session_plan(session, &n, sizeof n, build_large, &n, NULL, &program));
    uint64_t each = tuff_program_memory_of(program).staging;
    assert_int_equal(device.live_programs, TUFF_SESSION_STAGING / each);
    for (int64_t n = 8 << 20; n < (8 << 20) + 40; n++)
        KIT_OK(tuff_session_plan(session, &n, sizeof n, build_large, &n, NULL, &program));
    assert_int_equal(device.live_programs, TUFF_SESSION_RECENT);
    tuff_session_destroy(&session);
    failing_device_close(&device);
}

/* Larger batches one after the other share what the largest has: not a block each. */
static void the_arena_grows_in_few_steps(void **state)
{
    (void)state;
    tuff_device device = failing_device_open();
    tuff_session *session = session_of(&device);
    static float y[KEYS];
    tuff_program *program = NULL;
    uint64_t most = 0;
    for (int64_t n = 8; n <= KEYS; n += 8) {
        run_size(session, n, y, &program);
        if (program->plan->arena_bytes > most) most = program->plan->arena_bytes;
    }
    assert_true(most > 0 && tuff_session_arena(session) <= 4 * most);
    tuff_session_destroy(&session);
    failing_device_close(&device);
}

static tuff_status refuse(void *user, tuff_graph *g)
{
    (void)user, (void)g;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "no such graph");
}

static void what_cannot_be_made_leaves_nothing(void **state)
{
    (void)state;
    tuff_device device = failing_device_open();
    tuff_session *session = session_of(&device);
    tuff_program *program = NULL;
    int64_t n = 64;
    KIT_FAILS(tuff_session_program(session, &n, sizeof n, refuse, NULL, NULL, &program),
              TUFF_INVALID_ARGUMENT, "no such graph");
    assert_null(program);
    failing_buffers = 1;
    KIT_FAILS(tuff_session_program(session, &n, sizeof n, build, &n, NULL, &program), TUFF_OUT_OF_MEMORY,
              "a session's arena");
    assert_null(program);
    assert_int_equal(tuff_session_arena(session), 0);
    check_run(session, n, 1); /* and it can be had afterwards */
    assert_int_equal(device.live_programs, 1);
    tuff_session_destroy(&session);
    failing_device_close(&device);
}

/* Every allocation of the host fails in turn. */
static tuff_status make_one(void *user)
{
    tuff_session *session = NULL;
    tuff_program *program = NULL;
    int64_t n = 8;
    tuff_status status = tuff_session_create(user, &session);
    if (status == TUFF_OK)
        status = tuff_store_add(tuff_session_store(session), "w", TUFF_F32, 1, (int64_t[]){1}, NULL);
    if (status == TUFF_OK) status = tuff_session_program(session, &n, sizeof n, build, &n, NULL, &program);
    tuff_session_destroy(&session);
    return status;
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    tuff_device device = failing_device_open();
    assert_true(kit_for_each_allocation_failure(make_one, &device) > 10);
    failing_device_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_share_one_arena),
        cmocka_unit_test(blocks_of_a_program_are_apart),
        cmocka_unit_test(caches_are_replaced),
        cmocka_unit_test(planned_programs_take_nothing),
        cmocka_unit_test(programs_are_few),
        cmocka_unit_test(large_programs_are_fewer),
        cmocka_unit_test(the_arena_grows_in_few_steps),
        cmocka_unit_test(what_cannot_be_made_leaves_nothing),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
