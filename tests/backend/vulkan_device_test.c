/* Devices of the Vulkan backend: listing, machines without Vulkan, the pipeline cache on disk, many threads.
 */
#define _POSIX_C_SOURCE 200809L
#include "vulkan_kit.h"

#ifdef TUFF_HAVE_VULKAN

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <tuff/device.h>
#include <tuff/kernels.h>

#include "base/file.h"

static void describes_what_it_lists(void **state)
{
    (void)state;
    tuff_device_description found[16], again[1];
    size_t n = 0, n_again = 0;
    char reason[256];
    KIT_OK(vulkan->list(found, 16, &n, reason));
    assert_true(n > 0);
    for (size_t i = 0; i < n && i < 16; i++) {
        assert_true(found[i].name[0] != 0);
        assert_true(found[i].memory_bytes > 0);
        assert_int_equal(found[i].usable, found[i].reason[0] == 0);
        if (strstr(found[i].name, "llvmpipe") == NULL) continue;
        assert_int_equal(found[i].kind, TUFF_KIND_SOFTWARE);
        assert_non_null(strstr(found[i].driver, "lavapipe, Mesa "));
    }
    KIT_OK(vulkan->list(again, 1, &n_again, reason)); /* the count is told also where the room ends */
    assert_int_equal(n_again, n);
    assert_string_equal(again[0].name, found[0].name);
    tuff_backend_device *device;
    tuff_open_params params = {0};
    KIT_FAILS(vulkan->open(n, &params, &device), TUFF_NOT_FOUND, "there is no Vulkan device");
    assert_null(device);
}

static VKAPI_ATTR void VKAPI_CALL no_memory(VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties *out)
{
    (void)physical;
    *out = (VkPhysicalDeviceMemoryProperties){.memoryHeapCount = 1};
    out->memoryHeaps[0].flags = VK_MEMORY_HEAP_DEVICE_LOCAL_BIT;
}

/* RADV's "Null hardware", say: it would be the default in front of the CPU. */
static void hardware_that_is_not_there_is_not_used(void **state)
{
    (void)state;
    tuff_device_info found[16] = {TUFF_DEVICE_INFO_INIT};
    size_t n = 0;
    KIT_OK(tuff_list_devices(found, 16, &n)); /* the loader's functions are there from now on */
    PFN_vkGetPhysicalDeviceMemoryProperties real = vkGetPhysicalDeviceMemoryProperties;
    vkGetPhysicalDeviceMemoryProperties = no_memory;
    KIT_OK(tuff_list_devices(found, 16, &n));
    tuff_device *device = NULL;
    const tuff_device_params params = {.struct_size = sizeof params, .name = "vulkan"};
    tuff_status status = tuff_device_open(&params, &device);
    tuff_device_destroy(&device);
    tuff_status named = tuff_device_open_to_compile(&params, &device); /* which needs no memory */
    tuff_device_destroy(&device);
    tuff_status unnamed = tuff_device_open_to_compile(NULL, &device);
    tuff_device_info chosen = unnamed == TUFF_OK ? *tuff_device_get_info(device) : found[0];
    tuff_device_destroy(&device);
    vkGetPhysicalDeviceMemoryProperties = real;
    assert_int_equal(status, TUFF_UNSUPPORTED);
    assert_int_equal(named, TUFF_OK);
    assert_int_equal(unnamed, TUFF_OK);
    assert_string_equal(chosen.backend, "cpu");
    assert_true(n > 1);
    for (size_t i = 0; i < n && i < 16; i++) {
        if (strcmp(found[i].backend, "vulkan") != 0) continue;
        assert_false(found[i].usable);
        assert_non_null(strstr(found[i].reason, "0 bytes of memory"));
    }
    assert_string_equal(found[0].backend, "cpu");
}

static void fills_the_caps(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    const tuff_caps *caps = &device->caps;
    assert_true(caps->shared_bytes >= 16 << 10);
    assert_true(caps->max_workgroup >= 128);
    assert_true(caps->subgroup_size >= 1 && caps->subgroup_size <= 128);
    for (int i = 0; i < 3; i++)
        assert_true(caps->max_groups[i] >= 65535);
    assert_true(caps->max_allocation >= 1 << 30);
    assert_true(caps->memory_bytes > 0);
    kit_vulkan_close(&device);
}

/* This program again as a child, in another environment: see main. */
static void child(const char *environment, kit_result *out)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) skip();
    self[n] = 0;
    kit_run((const char *const[]){"env", environment, self, "list", NULL}, out);
}

static void lives_without_drivers(void **state)
{
    (void)state;
    kit_result result;
    char drivers[4096];
    snprintf(drivers, sizeof drivers, "VK_DRIVER_FILES=%s", kit_temp_path("none"));
    child(drivers, &result);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.out.data, "0 devices: the Vulkan loader found no driver"));
    kit_result_free(&result);
}

static tuff_status list(void *user)
{
    (void)user;
    tuff_device_description found[4];
    size_t n;
    char reason[256];
    return vulkan->list(found, 4, &n, reason);
}

static void listing_survives_failed_allocations(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(list, NULL) > 2);
}

/* ---- the pipeline cache ---- */

static void use_a_pipeline(void)
{
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    tuff_backend_program *program;
    tuff_backend_buffer *none = NULL;
    kit_plan p;
    kit_plan_init(&p, device, 0);
    p.plan.n_variables = 0;
    kit_plan_fill(&p, TUFF_MEMORY_ARENA, 0, 64, 1, false);
    kit_plan_output(&p, TUFF_MEMORY_ARENA, 0, 256);
    KIT_OK(vulkan->program_create(device, &p.plan, &none, NULL, &program));
    const void *results;
    KIT_OK(vulkan->program_run(device, program));
    KIT_OK(vulkan->program_wait(device, program, &results));
    assert_true(*(const float *)results == 1);
    vulkan->program_destroy(device, &program);
    kit_plan_free(&p);
    kit_vulkan_close(&device);
}

/* Overwrites every file of the cache by a command that gets its name as $1. */
static void damage(const char *directory, const char *command)
{
    char script[8192];
    kit_result result;
    snprintf(script, sizeof script, "set -e; for f in '%s'/*.bin; do set -- \"$f\"; %s; done", directory,
             command);
    kit_run((const char *const[]){"sh", "-c", script, NULL}, &result);
    if (result.exit_code) fail_msg("%s", result.err.data);
    kit_result_free(&result);
}

static void keeps_pipelines_on_disk(void **state)
{
    (void)state;
    char directory[4096];
    setenv("TUFF_CACHE_DIR", kit_temp_path("cache"), 1);
    snprintf(directory, sizeof directory, "%s/pipelines", kit_temp_path("cache"));
    use_a_pipeline();
    assert_int_equal(kit_count_entries(directory), 1);
    use_a_pipeline();
    assert_int_equal(kit_count_entries(directory), 1);
    /* what the disk gives back is not believed */
    static const char *const commands[] = {
        ": > \"$1\"",                                             /* empty */
        "printf short > \"$1\"",                                  /* */
        "head -c 70 \"$1\" > \"$1.x\"; mv \"$1.x\" \"$1\"",       /* cut in the driver's header */
        "printf x | dd of=\"$1\" bs=1 seek=80 conv=notrunc 2>&1", /* a byte of the data */
        "head -c 100000 /dev/zero > \"$1\"",                      /* */
        "rm \"$1\"; mkdir \"$1\"", /* no file at all: nothing can be saved either */
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        damage(directory, commands[i]);
        use_a_pipeline();
    }
}

/* ---- threads ---- */

enum { THREADS = 3, RUNS = 30 };
typedef struct worker {
    pthread_t thread;
    tuff_backend_device *device;
    float value;
    tuff_status status;
    unsigned wrong;
} worker;

static tuff_status work(worker *w)
{
    tuff_backend_program *program = NULL;
    tuff_backend_buffer *x = NULL;
    kit_plan p;
    float got[64];
    kit_plan_init(&p, w->device, 256);
    for (int i = 0; i < 8; i++) {
        kit_plan_fill(&p, TUFF_MEMORY_ARENA, (uint64_t)i * 64, 16, w->value, false);
        kit_plan_fill(&p, TUFF_MEMORY_VARIABLE, 0, 64, w->value + (float)i, i > 0);
    }
    kit_plan_output(&p, TUFF_MEMORY_ARENA, 0, 512);
    tuff_status status = TUFF_OK;
    for (int r = 0; r < RUNS; r++) {
        const void *results;
        if (r % 10 == 0) {
            vulkan->program_destroy(w->device, &program);
            vulkan->buffer_destroy(w->device, &x);
            TUFF_GO(vulkan->buffer_create(w->device, 256, "x", &x));
            TUFF_GO(vulkan->program_create(w->device, &p.plan, &x, NULL, &program));
        }
        TUFF_GO(vulkan->program_run(w->device, program));
        TUFF_GO(vulkan->program_wait(w->device, program, &results));
        TUFF_GO(vulkan->buffer_read(w->device, x, 0, got, sizeof got));
        for (int i = 0; i < 128; i++)
            w->wrong += ((const float *)results)[i] != w->value;
        for (int i = 0; i < 64; i++)
            w->wrong += got[i] != w->value + 7;
        TUFF_GO(vulkan->buffer_write(w->device, x, 0, results, 256));
    }
done:
    vulkan->program_destroy(w->device, &program);
    vulkan->buffer_destroy(w->device, &x);
    kit_plan_free(&p);
    return status;
}

static void *start(void *user)
{
    worker *w = user;
    w->status = work(w);
    return NULL;
}

static void serves_threads(bool direct)
{
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    if (!direct) tuff_vk_device_of(device)->direct_write = tuff_vk_device_of(device)->direct_read = false;
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.device = device, .value = (float)(100 * i)};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, start, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(workers[i].status, TUFF_OK);
        assert_int_equal(workers[i].wrong, 0);
    }
    kit_vulkan_close(&device);
}

static void serves_threads_directly(void **state)
{
    (void)state;
    serves_threads(true);
}

static void serves_threads_through_staging(void **state)
{
    (void)state;
    serves_threads(false);
}

/* Several devices open at once, with and without validation: each has its own function table. */
static void opens_several_devices(void **state)
{
    (void)state;
    tuff_backend_device *a = kit_vulkan_open((tuff_open_params){0}), *b = NULL;
    tuff_open_params params = {0};
    KIT_OK(vulkan->open((size_t)kit_vulkan_index(), &params, &b));
    assert_ptr_not_equal(a, b);
    kit_vulkan_close(&a);
    tuff_backend_buffer *x;
    KIT_OK(vulkan->buffer_create(b, 64, "x", &x));
    vulkan->buffer_destroy(b, &x);
    kit_vulkan_close(&b);
}

static PFN_vkGetPhysicalDeviceProperties properties;
static char renamed[64];

static void VKAPI_CALL rename_device(VkPhysicalDevice device, VkPhysicalDeviceProperties *out)
{
    properties(device, out);
    snprintf(out->deviceName, sizeof out->deviceName, "%s", renamed);
}

/* A device whose whole name is a part of a better one's can be named all the same: drivers append to what the
 * card is called. */
static void whole_names_come_first(void **state)
{
    (void)state;
    tuff_device *device = kit_cpu();
    snprintf(renamed, sizeof renamed, "%.5s", tuff_device_get_info(device)->name);
    tuff_device_destroy(&device);
    properties = vkGetPhysicalDeviceProperties;
    vkGetPhysicalDeviceProperties = rename_device;
    tuff_status status = tuff_device_open(
        &(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = renamed}, &device);
    vkGetPhysicalDeviceProperties = properties;
    KIT_OK(status);
    assert_string_equal(tuff_device_get_info(device)->name, renamed);
    assert_string_equal(tuff_device_get_info(device)->backend, "vulkan");
    tuff_device_destroy(&device);
}

static int print_list(void)
{
    tuff_device_description found[16];
    size_t n;
    char reason[256];
    if (vulkan->list(found, 16, &n, reason) != TUFF_OK) return 1;
    printf("%zu devices: %s\n", n, reason);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(describes_what_it_lists),
        cmocka_unit_test(hardware_that_is_not_there_is_not_used),
        cmocka_unit_test(fills_the_caps),
        cmocka_unit_test(lives_without_drivers),
        cmocka_unit_test(listing_survives_failed_allocations),
        cmocka_unit_test(keeps_pipelines_on_disk),
        cmocka_unit_test(serves_threads_directly),
        cmocka_unit_test(serves_threads_through_staging),
        cmocka_unit_test(opens_several_devices),
        cmocka_unit_test(whole_names_come_first),
    };
    if (argc > 1 && strcmp(argv[1], "list") == 0) return print_list();
    if (kit_vulkan_index() < 0) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 77;
}

#endif
