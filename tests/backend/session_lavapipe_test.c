/* A session on a device that is behind: programs are let go while it still works on them. */
#include "kit/truth.h"
#include "runtime/program.h"
#include "runtime/session.h"

enum { KEYS = TUFF_SESSION_PROGRAMS + 40, COUNT = 4096 };

/* w += key + key, through memory of the arena. */
static tuff_status build(void *user, tuff_graph *g)
{
    const int64_t n = COUNT, one = 1;
    const int key = *(const int *)user;
    tuff_tensor *x = tuff_input(g, "x", TUFF_F32, 1, &one);
    tuff_tensor *all = tuff_mul(g, tuff_fill(g, key, 1, &n), x);
    tuff_accumulate(g, tuff_variable(g, "w", TUFF_F32, 1, &n), tuff_add(g, all, all));
    return TUFF_OK;
}

static void what_is_let_go_ends_its_work(void **state)
{
    (void)state;
    const int64_t n = COUNT;
    static float w[COUNT];
    tuff_session *session = NULL;
    tuff_buffer *buffer = NULL;
    KIT_OK(tuff_session_create(device, &session));
    KIT_OK(tuff_store_add(tuff_session_store(session), "w", TUFF_F32, 1, &n, &buffer));
    KIT_OK(tuff_buffer_write(buffer, 0, w, n));
    for (int round = 0; round < 2; round++)
        for (int key = 1; key <= KEYS; key++) {
            tuff_program *program = NULL;
            KIT_OK(tuff_session_program(session, &key, sizeof key, build, &key, NULL, &program));
            KIT_OK(tuff_program_input(program, "x", &(float){1}, sizeof(float)));
            KIT_OK(tuff_program_run(program)); /* nobody waits for it */
        }
    assert_int_equal(device->live_programs, TUFF_SESSION_PROGRAMS);
    KIT_OK(tuff_buffer_read(buffer, 0, w, n));
    for (int i = 0; i < COUNT; i++)
        assert_true(w[i] == 2.0F * KEYS * (KEYS + 1));
    tuff_session_destroy(&session);
    assert_int_equal(device->live_programs, 0);
}

int main(void)
{
    if (!open_device("lavapipe")) return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_let_go_ends_its_work)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
