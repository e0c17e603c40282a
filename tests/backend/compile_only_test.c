/* Devices that plan and compile and run nothing: what they give back, and which kernels they saw. */
#include "kit/kit.h"

#include <stdio.h>
#include <string.h>
#include <tuff/graph.h>
#include <tuff/kernels.h>
#include <tuff/program.h>

#include "runtime/compile.h"
#include "runtime/device.h"

/* y = a a, or a + a */
static tuff_program *make(tuff_device *device, tuff_buffer *a, bool is_sum)
{
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    const int64_t dims[] = {64, 64};
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_variable(g, "a", TUFF_F32, 2, dims);
    tuff_output(g, "y", is_sum ? tuff_add(g, x, x) : tuff_matmul(g, x, x));
    KIT_OK(tuff_program_create(device, &g, &program));
    KIT_OK(tuff_program_bind(program, "a", a));
    return program;
}

typedef struct seen {
    size_t n, products, sums;
    char last[128];
} seen;

static void see(const tuff_kernel *kernel, void *user)
{
    seen *s = user;
    assert_true(strcmp(s->last, kernel->shader) <= 0);
    snprintf(s->last, sizeof s->last, "%s", kernel->shader);
    assert_true(kernel->workgroup[0] > 0 && kernel->spirv_bytes > 0);
    assert_true((kernel->silence == NULL) ==
                (kernel->n_executables > 0 && kernel->executables[0].n_statistics > 0));
    s->products += strncmp(kernel->name, "matmul ", 7) == 0;
    s->sums += strncmp(kernel->name, "add ", 4) == 0;
    s->n++;
}

static tuff_device *open_to_compile(const char *name)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    tuff_device *device = NULL;
    params.name = name;
    return tuff_device_open_to_compile(&params, &device) == TUFF_OK ? device : NULL;
}

static void use(tuff_device *device, seen *out)
{
    float ones[64 * 64], y[64 * 64];
    tuff_buffer *a = NULL;
    for (size_t i = 0; i < 64 * 64; i++)
        ones[i] = y[i] = 1;
    KIT_OK(tuff_buffer_create(device, "a", TUFF_F32, 2, (const int64_t[]){64, 64}, &a));
    KIT_OK(tuff_buffer_write(a, 0, ones, 64 * 64));
    for (int i = 0; i < 3; i++) {
        tuff_program *program = make(device, a, i == 2);
        KIT_OK(tuff_program_run(program));
        KIT_OK(tuff_program_output(program, "y", y, sizeof y));
        tuff_program_destroy(&program);
        assert_true(y[0] == 0 && y[64 * 64 - 1] == 0);
    }
    KIT_OK(tuff_buffer_read(a, 0, ones, 64 * 64));
    assert_true(ones[0] == 0);
    tuff_buffer_destroy(&a);
    KIT_OK(tuff_device_kernels(device, see, out));
}

static void kernels_are_seen_once_and_nothing_runs(void **state)
{
    (void)state;
    tuff_device *device = open_to_compile("vulkan");
    if (!device) skip();
    seen s = {.n = 0}, again = {.n = 0};
    tuff_device_stats stats = TUFF_DEVICE_STATS_INIT;
    assert_string_equal(tuff_device_get_info(device)->backend, "vulkan");
    use(device, &s);
    assert_true(s.products >= 1 && s.sums == 1);
    use(device, &again);
    assert_int_equal(again.n, s.n);
    KIT_OK(tuff_device_get_stats(device, &stats));
    assert_true(stats.allocations == 0 && stats.submits == 0);
    tuff_device_destroy(&device);
}

static void cpus_have_none(void **state)
{
    (void)state;
    tuff_device *device = open_to_compile("cpu");
    seen s = {.n = 0};
    assert_non_null(device);
    use(device, &s);
    assert_int_equal(s.n, 0);
    tuff_device_destroy(&device);
    device = kit_cpu();
    KIT_OK(tuff_device_kernels(device, see, &s));
    assert_int_equal(s.n, 0);
    tuff_device_destroy(&device);
}

/* A backend that compiles anything, without memory of its own. */
static tuff_status say_fill(tuff_backend_device *device, const tuff_dispatch *dispatch, tuff_arena *arena,
                            tuff_kernel *out)
{
    (void)device, (void)dispatch, (void)arena;
    *out = (tuff_kernel){.shader = "x", .workgroup = {64, 1, 1}, .spirv_bytes = 4, .silence = "it is none"};
    return TUFF_OK;
}

static tuff_status compile_something(void *user)
{
    tuff_backend *backend = user;
    const tuff_open_params params = {0};
    tuff_device device = {.compiles_only = true};
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    seen s = {.n = 0};
    const int64_t dims[] = {64, 64};
    TUFF_TRY(backend->open(0, &params, &device.handle));
    device.handle->backend = backend;
    TUFF_TRY(tuff_compile_only(&device.handle));
    device.backend = device.handle->backend;
    tuff_status status = tuff_graph_create(&g);
    if (status == TUFF_OK) {
        tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 2, dims);
        tuff_output(g, "y", tuff_add(g, x, tuff_add(g, x, x)));
        status = tuff_program_create(&device, &g, &program);
    }
    if (status == TUFF_OK) status = tuff_program_run(program);
    if (status == TUFF_OK) status = tuff_device_kernels(&device, see, &s);
    if (status == TUFF_OK) assert_true(s.n == 1 && s.sums == 1);
    tuff_program_destroy(&program);
    device.backend->close(&device.handle);
    return status;
}

static void memory_may_end(void **state)
{
    (void)state;
    tuff_backend backend = tuff_backend_null;
    backend.compile = say_fill;
    assert_true(kit_for_each_allocation_failure(compile_something, &backend) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_are_seen_once_and_nothing_runs),
        cmocka_unit_test(cpus_have_none),
        cmocka_unit_test(memory_may_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
