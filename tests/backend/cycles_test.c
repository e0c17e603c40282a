/* ctest: slow
 * A program that opens and closes devices and models again and again does not grow. */
#include <stdio.h>

#include <tuff/generate.h>
#include <tuff/model.h>

#include "kit/kit.h"

/* Bytes that the process has in memory; 0: not known. */
static long resident(void)
{
    long kilobytes = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %ld", &kilobytes) == 1) break;
    if (file) fclose(file);
    return kilobytes * 1024;
}

static void cycle(const char *name, bool run)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = name;
    tuff_device *device = NULL;
    tuff_model *model = NULL;
    KIT_OK(tuff_device_open(&params, &device));
    KIT_OK(tuff_model_load(kit_asset("golden/llama"), &model));
    if (run) {
        tuff_generator *generator = NULL;
        tuff_generate_params generate = TUFF_GENERATE_PARAMS_INIT;
        generate.max_new_tokens = 2;
        generate.ignore_eos = true;
        KIT_OK(tuff_generator_create(model, device, NULL, &generator));
        KIT_OK(tuff_generate(generator, "the", 3, &generate, NULL));
        tuff_generator_destroy(&generator);
    }
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
    assert_int_equal(kit_live(), 0);
}

/* The first cycles fill what the C library, drivers and oneDNN keep: how many that takes does not depend on
 * how many follow. What is lost in a cycle is lost in every round of them; what the heaps of a driver's
 * threads happen to take is not. */
enum { WARM_UP = 40, ROUNDS = 4 };
static void expect_no_growth(const char *name, int cycles, bool run, long bound)
{
    const char *sanitizer = getenv("TUFF_TEST_SANITIZE");
    if ((sanitizer && *sanitizer) || !resident()) {
        print_message("not with sanitizers, which keep freed memory, nor without /proc\n");
        skip();
    }
    for (int i = 0; i < WARM_UP; i++)
        cycle(name, run);
    long growth = bound + 1;
    for (int round = 0; round < ROUNDS && growth > bound; round++) {
        const long before = resident();
        for (int i = 0; i < cycles; i++)
            cycle(name, run);
        growth = resident() - before;
        print_message("%d cycles on %s: %ld KiB more\n", cycles, name, growth / 1024);
    }
    if (growth > bound)
        fail_msg("the process grew by %ld bytes in each of %d rounds, at most %ld are expected", growth,
                 ROUNDS, bound);
}

static void opening_the_cpu_does_not_grow(void **state)
{
    (void)state;
    expect_no_growth("cpu", 1000, false, 1 << 20);
}

static void generating_on_the_cpu_does_not_grow(void **state)
{
    (void)state;
    expect_no_growth("cpu", 300, true, 1 << 20);
}

static void opening_lavapipe_does_not_grow(void **state)
{
    (void)state;
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = "llvmpipe";
    tuff_device *device = NULL;
    if (tuff_device_open(&params, &device) != TUFF_OK) skip();
    tuff_device_destroy(&device);
    expect_no_growth("llvmpipe", 50, false, 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_the_cpu_does_not_grow),
        cmocka_unit_test(generating_on_the_cpu_does_not_grow),
        cmocka_unit_test(opening_lavapipe_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
