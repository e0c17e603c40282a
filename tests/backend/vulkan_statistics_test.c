/* What a Vulkan driver tells of kernels: a function table that tells all there is to tell, in ways that
 * drivers have and in some that none should have. */
#include <stdio.h>

#include "vulkan_kit.h"

#ifdef TUFF_HAVE_VULKAN

#include "runtime/figures.h"

/* ---- a driver that tells ---- */

enum { EXECUTABLES = 2, STATISTICS = 8 };

typedef struct told {
    VkPipelineExecutablePropertiesKHR executables[EXECUTABLES];
    VkPipelineExecutableStatisticKHR statistics[EXECUTABLES][STATISTICS];
    uint32_t n_executables, n_statistics[EXECUTABLES];
    VkResult executables_result, statistics_result; /* of the calls that fill */
    int captured, made;
    PFN_vkCreateComputePipelines create;
} told;
static told driver;

/* The device was opened without the extension, so the real driver must not see the flag. */
static VKAPI_ATTR VkResult VKAPI_CALL create(VkDevice device, VkPipelineCache cache, uint32_t n,
                                             const VkComputePipelineCreateInfo *info,
                                             const VkAllocationCallbacks *allocator, VkPipeline *out)
{
    VkComputePipelineCreateInfo without = *info;
    assert_int_equal(n, 1);
    assert_true(cache == VK_NULL_HANDLE);
    without.flags &= ~(VkPipelineCreateFlags)VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
    driver.captured += without.flags != info->flags;
    driver.made++;
    return driver.create(device, cache, n, &without, allocator, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL tell_executables(VkDevice device, const VkPipelineInfoKHR *info,
                                                       uint32_t *n, VkPipelineExecutablePropertiesKHR *out)
{
    (void)device;
    assert_int_equal(info->sType, VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR);
    assert_true(info->pipeline != VK_NULL_HANDLE);
    if (!out) {
        *n = driver.n_executables;
        return VK_SUCCESS;
    }
    assert_int_equal(*n, driver.n_executables);
    for (uint32_t i = 0; i < *n; i++) {
        assert_int_equal(out[i].sType, VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR);
        out[i] = driver.executables[i];
    }
    return driver.executables_result;
}

static VKAPI_ATTR VkResult VKAPI_CALL tell_statistics(VkDevice device,
                                                      const VkPipelineExecutableInfoKHR *info, uint32_t *n,
                                                      VkPipelineExecutableStatisticKHR *out)
{
    (void)device;
    assert_int_equal(info->sType, VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR);
    assert_true(info->executableIndex < driver.n_executables);
    if (!out) {
        *n = driver.n_statistics[info->executableIndex];
        return VK_SUCCESS;
    }
    for (uint32_t i = 0; i < *n; i++) {
        assert_int_equal(out[i].sType, VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR);
        out[i] = driver.statistics[info->executableIndex][i];
    }
    if (driver.statistics_result == VK_INCOMPLETE) --*n;
    return driver.statistics_result;
}

static VkPipelineExecutableStatisticKHR *add(uint32_t executable, const char *name, const char *description,
                                             VkPipelineExecutableStatisticFormatKHR format)
{
    uint32_t i = driver.n_statistics[executable]++;
    assert_true(i < STATISTICS);
    VkPipelineExecutableStatisticKHR *s = &driver.statistics[executable][i];
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->description, sizeof s->description, "%s", description);
    s->format = format;
    return s;
}

static void add_count(uint32_t executable, const char *name, const char *description, uint64_t value)
{
    add(executable, name, description, VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR)->value.u64 = value;
}

static void add_executable(const char *name, uint32_t subgroup_size)
{
    VkPipelineExecutablePropertiesKHR *e = &driver.executables[driver.n_executables++];
    snprintf(e->name, sizeof e->name, "%s", name);
    e->subgroupSize = subgroup_size;
}

/* ---- a device of it, and a kernel ---- */

static tuff_backend_device *open_telling(void)
{
    tuff_backend_device *base = kit_vulkan_open((tuff_open_params){.compile_only = true});
    tuff_vk_device *device = tuff_vk_device_of(base);
    driver = (told){.create = device->vk.vkCreateComputePipelines};
    device->captures = true;
    device->vk.vkCreateComputePipelines = create;
    device->vk.vkGetPipelineExecutablePropertiesKHR = tell_executables;
    device->vk.vkGetPipelineExecutableStatisticsKHR = tell_statistics;
    return base;
}

static const tuff_dispatch *a_dispatch(kit_plan *p, const tuff_backend_device *device)
{
    kit_plan_init(p, device, 1024);
    return kit_plan_fill(p, TUFF_MEMORY_VARIABLE, 0, 256, 1, false)->launch->dispatches[0];
}

static tuff_status compile(tuff_backend_device *device, tuff_arena *arena, tuff_kernel *out)
{
    kit_plan p;
    tuff_status status = vulkan->compile(device, a_dispatch(&p, device), arena, out);
    if (status == TUFF_OK) tuff_figures_assign(out);
    kit_plan_free(&p);
    return status;
}

static void assert_figure(const tuff_kernel *kernel, tuff_kernel_figure figure, double expected)
{
    double amount = -1;
    assert_true(tuff_kernel_get_figure(kernel, figure, &amount));
    assert_true(amount == expected);
}

/* ---- the tests ---- */

static void tells_every_format_and_any_name(void **state)
{
    (void)state;
    tuff_backend_device *device = open_telling();
    tuff_arena arena = {0};
    tuff_kernel kernel;
    add_executable("a \"compute\" shader", 16);
    add(0, "", "no name", VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR)->value.b32 = VK_TRUE;
    add(0, "Spills", "a truth value is no figure", VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR)
        ->value.b32 = VK_TRUE;
    add(0, "below \x01 zero", "", VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR)->value.i64 = INT64_MIN;
    add(0, "all", "", VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR)->value.u64 = UINT64_MAX;
    add(0, "Cycles", "", VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR)->value.f64 = 0.25;
    add(0, "a format of tomorrow", "", (VkPipelineExecutableStatisticFormatKHR)77)->value.u64 = 5;
    memset(add(0, "", "", VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR)->name, 'x',
           VK_MAX_DESCRIPTION_SIZE);
    KIT_OK(compile(device, &arena, &kernel));
    assert_string_equal(kernel.shader, "fill");
    assert_int_equal(kernel.n_constants, 0);
    assert_true(kernel.workgroup[0] > 1 && kernel.workgroup[1] == 1 && kernel.workgroup[2] == 1);
    assert_true(kernel.spirv_bytes > 500 && kernel.spirv_bytes % 4 == 0);
    assert_int_equal(kernel.subgroup_size, device->caps.subgroup_size);
    assert_null(kernel.silence);
    assert_int_equal(kernel.n_executables, 1);
    const tuff_kernel_executable *e = kernel.executables;
    assert_string_equal(e->name, "a \"compute\" shader");
    assert_int_equal(e->subgroup_size, 16);
    assert_int_equal(e->n_statistics, 7);
    const tuff_kernel_statistic *s = e->statistics;
    assert_true(s[0].format == TUFF_KERNEL_BOOL && s[0].value.boolean && s[0].name[0] == 0);
    assert_string_equal(s[0].description, "no name");
    assert_true(s[1].format == TUFF_KERNEL_BOOL && s[1].figure == TUFF_KERNEL_OTHER);
    assert_true(s[2].format == TUFF_KERNEL_INT64 && s[2].value.int64 == INT64_MIN);
    assert_string_equal(s[2].name, "below \x01 zero");
    assert_true(s[3].format == TUFF_KERNEL_UINT64 && s[3].value.uint64 == UINT64_MAX);
    assert_true(s[4].format == TUFF_KERNEL_FLOAT64 && s[4].value.float64 == 0.25 && s[4].amount == 0.25);
    assert_true(s[5].format == TUFF_KERNEL_UINT64 && s[5].value.uint64 == 5);
    assert_int_equal(strlen(s[6].name), VK_MAX_DESCRIPTION_SIZE);
    for (int figure = TUFF_KERNEL_OTHER; figure <= TUFF_KERNEL_INSTRUCTIONS; figure++) {
        double amount = -1;
        assert_false(tuff_kernel_get_figure(&kernel, (tuff_kernel_figure)figure, &amount));
        assert_true(amount == 0);
    }
    assert_true(driver.made == 1 && driver.captured == 1);
    tuff_arena_free(&arena);
    kit_vulkan_close(&device);
}

static void figures_are_known_by_their_names(void **state)
{
    (void)state;
    tuff_backend_device *device = open_telling();
    tuff_arena arena = {0};
    tuff_kernel kernel;
    /* in one executable they add up; of two the worse counts, which is less where more is better */
    add_executable("of 8", 8);
    add_count(0, "vgprs", "in other letters", 24);
    add_count(0, "Spilled SGPRs", "", 3);
    add_count(0, "Spilled VGPRs", "", 4);
    add_count(0, "Subgroups per SIMD", "", 8);
    add_count(0, "Code size", "Code size in bytes", 100);
    add_count(0, "VGPRsX", "no such name", 1000);
    add_executable("of 16", 16);
    add_count(1, "VGPRs", "", 48);
    add_count(1, "Spilled VGPRs", "", 5);
    add_count(1, "Subgroups per SIMD", "", 6);
    add_count(1, "Code size", "Total number of dwords", 50);
    KIT_OK(compile(device, &arena, &kernel));
    assert_int_equal(kernel.n_executables, 2);
    assert_int_equal(kernel.executables[1].subgroup_size, 16);
    assert_figure(&kernel, TUFF_KERNEL_REGISTERS, 48);
    assert_figure(&kernel, TUFF_KERNEL_SPILLS, 7);
    assert_figure(&kernel, TUFF_KERNEL_OCCUPANCY, 6);
    assert_figure(&kernel, TUFF_KERNEL_CODE, 200);
    double amount;
    assert_false(tuff_kernel_get_figure(&kernel, TUFF_KERNEL_SCRATCH, &amount));
    tuff_arena_free(&arena);
    kit_vulkan_close(&device);
}

/* A driver without the extension, one that has it and says nothing, and a pipeline of no executables. */
static void silence_has_a_reason(void **state)
{
    (void)state;
    tuff_backend_device *device = open_telling();
    tuff_arena arena = {0};
    tuff_kernel kernel;
    KIT_OK(compile(device, &arena, &kernel));
    assert_int_equal(kernel.n_executables, 0);
    assert_non_null(strstr(kernel.silence, "told nothing by it"));
    add_executable("silent", 0);
    KIT_OK(compile(device, &arena, &kernel));
    assert_int_equal(kernel.n_executables, 1);
    assert_non_null(strstr(kernel.silence, "told nothing by it"));
    tuff_vk_device_of(device)->captures = false;
    add_count(0, "VGPRs", "", 1);
    KIT_OK(compile(device, &arena, &kernel));
    assert_int_equal(kernel.n_executables, 0);
    assert_non_null(strstr(kernel.silence, "does not have VK_KHR_pipeline_executable_properties"));
    assert_int_equal(driver.made, 1); /* compiled once */
    tuff_arena_free(&arena);
    kit_vulkan_close(&device);
}

static void drivers_may_fail(void **state)
{
    (void)state;
    tuff_backend_device *device = open_telling();
    tuff_arena arena = {0};
    tuff_kernel kernel;
    add_executable("one", 8);
    add_count(0, "VGPRs", "", 1);
    add_count(0, "SGPRs", "", 2);
    driver.statistics_result = VK_INCOMPLETE; /* one fewer than were counted */
    KIT_OK(compile(device, &arena, &kernel));
    assert_int_equal(kernel.executables[0].n_statistics, 1);
    driver.statistics_result = VK_ERROR_OUT_OF_HOST_MEMORY;
    KIT_FAILS(compile(device, &arena, &kernel), TUFF_OUT_OF_MEMORY, "reading what it tells of a kernel");
    driver.executables_result = VK_ERROR_UNKNOWN;
    KIT_FAILS(compile(device, &arena, &kernel), TUFF_INTERNAL, "fill: ");
    tuff_arena_free(&arena);
    kit_vulkan_close(&device);
}

typedef struct again {
    tuff_backend_device *device;
    const tuff_dispatch *dispatch;
} again;

static tuff_status compile_again(void *user)
{
    const again *a = user;
    tuff_arena arena = {0};
    tuff_kernel kernel;
    tuff_status status = vulkan->compile(a->device, a->dispatch, &arena, &kernel);
    tuff_arena_free(&arena);
    return status;
}

static void memory_may_end(void **state)
{
    (void)state;
    kit_plan p;
    again a = {.device = open_telling()};
    a.dispatch = a_dispatch(&p, a.device);
    add_executable("one", 8);
    add_count(0, "VGPRs", "", 1);
    assert_true(kit_for_each_allocation_failure(compile_again, &a) >= 2);
    kit_plan_free(&p);
    kit_vulkan_close(&a.device);
}

/* Where things run the flag would cost a driver its caches. */
static void other_devices_capture_nothing(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    assert_false(tuff_vk_device_of(device)->captures);
    assert_true(tuff_vk_device_of(device)->cache != VK_NULL_HANDLE);
    kit_vulkan_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_every_format_and_any_name),
        cmocka_unit_test(figures_are_known_by_their_names),
        cmocka_unit_test(silence_has_a_reason),
        cmocka_unit_test(drivers_may_fail),
        cmocka_unit_test(memory_may_end),
        cmocka_unit_test(other_devices_capture_nothing),
    };
    if (kit_vulkan_index() < 0) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    return 77;
}
#endif
