/* Devices, buffers and programs: what is refused, what is reported, what is left. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include "cpu_fixture.h"
#include "kit/kit.h"
#include "runtime/program.h"
#include "runtime/store.h"

static void devices_are_listed_and_chosen(void **state)
{
    (void)state;
    size_t n = 0, more = 0;
    tuff_device_info all[32] = {TUFF_DEVICE_INFO_INIT};
    KIT_OK(tuff_list_devices(NULL, 0, &n));
    KIT_OK(tuff_list_devices(all, 32, &more));
    assert_true(n >= 1 && n <= 32 && more == n);
    bool cpu = false;
    for (size_t i = 0; i < n; i++) {
        assert_true(all[i].name[0] && all[i].reason[0]);
        assert_true(i == 0 || all[i - 1].usable || !all[i].usable); /* usable ones first */
        cpu = cpu || all[i].type == TUFF_DEVICE_CPU;
        if (!all[i].usable) continue;
        char names[3][256];
        snprintf(names[0], sizeof names[0], "%zu", i);
        memcpy(names[1], all[i].name, sizeof names[1]);
        memcpy(names[2], all[i].uuid, sizeof all[i].uuid);
        for (char *c = names[2]; *c; c++)
            if (*c >= 'a' && *c <= 'f') *c = (char)(*c - 'a' + 'A');
        for (int k = 0; k < (all[i].uuid[0] ? 3 : 2); k++) {
            tuff_device *found = NULL;
            KIT_OK(tuff_device_open(
                &(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = names[k]}, &found));
            assert_string_equal(tuff_device_get_info(found)->name, all[i].name);
            tuff_device_destroy(&found);
        }
    }
    assert_true(cpu);
    tuff_device *none = NULL;
    static const char *const wrong[] = {"no such device", "999", "99999999999999999999",
                                        "0123456789abcdef0123456789abcdef"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        KIT_FAILS(
            tuff_device_open(
                &(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = wrong[i]}, &none),
            TUFF_NOT_FOUND, "no device matches");
        assert_null(none);
    }
    setenv("TUFF_DEVICE", "toaster", 1);
    KIT_FAILS(tuff_device_open(NULL, &none), TUFF_NOT_FOUND, "TUFF_DEVICE: no device matches \"toaster\"");
    unsetenv("TUFF_DEVICE");
    tuff_device_destroy(&none);
}

static void buffers_have_bounds(void **state)
{
    (void)state;
    tuff_buffer *b = NULL;
    const int64_t six[] = {2, 3};
    KIT_FAILS(tuff_buffer_create(device, "b", TUFF_F32, 2, (int64_t[]){2, 0}, &b), TUFF_INVALID_ARGUMENT,
              "[2, 0]");
    KIT_FAILS(tuff_buffer_create(device, "b", TUFF_F32, 5, six, &b), TUFF_INVALID_ARGUMENT, "rank 5");
    KIT_FAILS(tuff_buffer_create(device, "b", (tuff_dtype)77, 2, six, &b), TUFF_INVALID_ARGUMENT, "dtype 77");
    KIT_FAILS(tuff_buffer_create(device, NULL, TUFF_F32, 2, (int64_t[]){INT64_MAX, 3}, &b),
              TUFF_INVALID_ARGUMENT, "does not fit memory");
    KIT_FAILS(tuff_buffer_create(device, "large", TUFF_F32, 1, (int64_t[]){(int64_t)1 << 50}, &b),
              TUFF_OUT_OF_MEMORY, "large needs");
    assert_null(b);
    KIT_OK(tuff_buffer_create(device, NULL, TUFF_F32, 2, six, &b));
    assert_int_equal(tuff_buffer_count(b), 6);
    float x[6] = {1, 2, 3, 4, 5, 6}, y[6] = {9, 9, 9, 9, 9, 9};
    KIT_OK(tuff_buffer_read(b, 0, y, 6));
    for (int i = 0; i < 6; i++)
        assert_true(y[i] == 0); /* zeroed at first */
    KIT_OK(tuff_buffer_write(b, 2, x, 4));
    KIT_OK(tuff_buffer_read(b, 0, y, 6));
    assert_true(y[1] == 0 && y[2] == 1 && y[5] == 4);
    KIT_OK(tuff_buffer_write(b, 6, x, 0));
    static const int64_t wrong[][2] = {{-1, 1}, {0, 7}, {6, 1}, {1, INT64_MAX}, {INT64_MAX, INT64_MAX},
                                       {0, -1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        KIT_FAILS(tuff_buffer_write(b, wrong[i][0], x, wrong[i][1]), TUFF_INVALID_ARGUMENT, "it has 6");
        KIT_FAILS(tuff_buffer_read(b, wrong[i][0], x, wrong[i][1]), TUFF_INVALID_ARGUMENT, "it has 6");
    }
    tuff_buffer_destroy(&b);
    assert_null(b);
    tuff_buffer_destroy(&b);
}

/* y = 2 v + in */
static tuff_program *make(tuff_device *on)
{
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    const int64_t three[] = {3};
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *v = tuff_variable(g, "v", TUFF_F32, 1, three), *in = tuff_input(g, "in", TUFF_F32, 1, three);
    tuff_output(g, "y", tuff_add(g, tuff_scale(g, v, 2), in));
    KIT_OK(tuff_program_create(on, &g, &program));
    assert_null(g);
    return program;
}

static void programs_say_what_is_missing(void **state)
{
    (void)state;
    const float in[3] = {1, 2, 3}, v[3] = {10, 20, 30};
    float y[3];
    tuff_buffer *good = NULL, *wide = NULL, *half = NULL, *elsewhere = NULL;
    tuff_device *other = NULL;
    tuff_program *p = make(device);
    KIT_FAILS(tuff_program_run(p), TUFF_INVALID_ARGUMENT, "variable v of the program is not bound");
    KIT_FAILS(tuff_program_output(p, "y", y, sizeof y), TUFF_INVALID_ARGUMENT, "before the program has run");
    other = kit_cpu();
    KIT_OK(tuff_buffer_create(device, "v", TUFF_F32, 2, (int64_t[]){1, 3}, &good)); /* the count must agree */
    KIT_OK(tuff_buffer_create(device, "v", TUFF_F32, 1, (int64_t[]){4}, &wide));
    KIT_OK(tuff_buffer_create(device, "v", TUFF_F16, 1, (int64_t[]){3}, &half));
    KIT_OK(tuff_buffer_create(other, "v", TUFF_F32, 1, (int64_t[]){3}, &elsewhere));
    KIT_FAILS(tuff_program_bind(p, "v", wide), TUFF_INVALID_ARGUMENT, "f32 [4], the program expects f32 [3]");
    KIT_FAILS(tuff_program_bind(p, "v", half), TUFF_INVALID_ARGUMENT, "f16 [3]");
    KIT_FAILS(tuff_program_bind(p, "v", elsewhere), TUFF_INVALID_ARGUMENT, "lives on");
    KIT_OK(tuff_program_bind(p, "unused", good));
    KIT_OK(tuff_program_bind(p, "v", good));
    KIT_OK(tuff_buffer_write(good, 0, v, 3));
    KIT_OK(tuff_program_run(p)); /* inputs are zeros at first */
    KIT_OK(tuff_program_output(p, "y", y, sizeof y));
    assert_true(y[0] == 20 && y[2] == 60);
    KIT_FAILS(tuff_program_bind(p, "v", good), TUFF_INVALID_ARGUMENT, "cannot be bound anew");
    KIT_FAILS(tuff_program_input(p, "in", in, 8), TUFF_INVALID_ARGUMENT, "8 bytes given, f32 [3] needs 12");
    KIT_OK(tuff_program_input(p, "unused", in, 8));
    KIT_OK(tuff_program_input(p, "in", in, sizeof in));
    KIT_OK(tuff_program_run(p));
    KIT_FAILS(tuff_program_output(p, "y", y, 8), TUFF_INVALID_ARGUMENT, "8 bytes asked for");
    KIT_FAILS(tuff_program_output(p, "z", y, sizeof y), TUFF_NOT_FOUND, "no output called \"z\"");
    KIT_OK(tuff_program_output(p, "y", y, sizeof y));
    assert_true(y[0] == 21 && y[1] == 42 && y[2] == 63);
    assert_null(tuff_program_profile_text(p)); /* the device was opened without */
    tuff_program_destroy(&p);
    tuff_buffer_destroy(&good);
    tuff_buffer_destroy(&wide);
    tuff_buffer_destroy(&half);
    tuff_buffer_destroy(&elsewhere);
    tuff_device_destroy(&other);
}

/* What a program only reads may be one buffer under two names; what it writes may not. */
static void what_is_written_lies_apart(void **state)
{
    (void)state;
    const int64_t three[] = {3};
    tuff_buffer *b = NULL, *own = NULL;
    KIT_OK(tuff_buffer_create(device, "b", TUFF_F32, 1, three, &b));
    KIT_OK(tuff_buffer_create(device, "own", TUFF_F32, 1, three, &own));
    for (int writes = 0; writes < 2; writes++) {
        tuff_graph *g = NULL;
        tuff_program *p = NULL;
        KIT_OK(tuff_graph_create(&g));
        tuff_tensor *v = tuff_variable(g, "v", TUFF_F32, 1, three),
                    *w = tuff_variable(g, "w", TUFF_F32, 1, three);
        tuff_output(g, "y", tuff_add(g, v, w));
        if (writes) tuff_assign(g, w, 5);
        KIT_OK(tuff_program_create(device, &g, &p));
        KIT_OK(tuff_program_bind(p, "v", b));
        KIT_OK(tuff_program_bind(p, "w", b));
        if (writes) {
            KIT_FAILS(tuff_program_run(p), TUFF_INVALID_ARGUMENT,
                      "variables w and v are bound to one buffer, and the program writes w");
            KIT_OK(tuff_program_bind(p, "w", own));
        }
        KIT_OK(tuff_program_run(p));
        tuff_program_destroy(&p);
    }
    tuff_buffer_destroy(&b);
    tuff_buffer_destroy(&own);
}

static void profiles_name_operations(void **state)
{
    (void)state;
    tuff_device *timed = NULL;
    tuff_buffer *v = NULL;
    KIT_OK(tuff_device_open(
        &(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = "cpu", .profile = true},
        &timed));
    tuff_program *p = make(timed);
    KIT_OK(tuff_buffer_create(timed, "v", TUFF_F32, 1, (int64_t[]){3}, &v));
    KIT_OK(tuff_program_bind(p, "v", v));
    assert_null(tuff_program_profile_text(p)); /* nothing ran */
    KIT_OK(tuff_program_run(p));
    char *text = tuff_program_profile_text(p), *trace = tuff_program_profile_trace(p);
    assert_non_null(strstr(text, "scale"));
    assert_non_null(strstr(trace, "\"name\":\"add\""));
    assert_non_null(
        strstr(text, "time of 1 run; the first of all, in which kernels may be compiled, is one of them"));
    tuff_free(text);
    KIT_OK(tuff_program_run(p));
    KIT_OK(tuff_program_run(p));
    text = tuff_program_profile_text(p);
    assert_non_null(
        strstr(text, "time of 2 runs; the first of all, in which kernels may be compiled, is left out"));
    tuff_free(text);
    tuff_free(trace);
    tuff_program_destroy(&p);
    tuff_buffer_destroy(&v);
    tuff_device_destroy(&timed);
}

static void stores_hold_each_name_once(void **state)
{
    (void)state;
    tuff_store *store = NULL;
    tuff_buffer *b = NULL;
    uint64_t before = kit_device_stats(device).bytes;
    KIT_OK(tuff_store_create(device, &store));
    KIT_OK(tuff_store_add(store, "a", TUFF_F16, 1, (int64_t[]){5}, &b));
    KIT_FAILS(tuff_store_add(store, "a", TUFF_F32, 1, (int64_t[]){5}, &b), TUFF_INVALID_ARGUMENT,
              "two buffers are called \"a\"");
    assert_null(b);
    KIT_OK(tuff_store_add(store, "b", TUFF_F32, 0, NULL, NULL));
    assert_int_equal(tuff_store_count(store), 2);
    assert_int_equal(kit_device_stats(device).bytes - before, 14);
    assert_null(tuff_store_find(store, "c"));
    tuff_store_destroy(&store);
    assert_int_equal(kit_device_stats(device).bytes, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_listed_and_chosen), cmocka_unit_test(buffers_have_bounds),
        cmocka_unit_test(programs_say_what_is_missing),  cmocka_unit_test(profiles_name_operations),
        cmocka_unit_test(stores_hold_each_name_once),    cmocka_unit_test(what_is_written_lies_apart),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
