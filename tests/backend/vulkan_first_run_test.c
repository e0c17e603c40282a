/* First runs on a device, what is cut anew, and what is destroyed while a run is on its way. Times are those
 * of a clock made up here: entries of the device's function table are swapped. */
#include "vulkan_kit.h"

#ifdef TUFF_HAVE_VULKAN

enum { GROUPS = 1000, N = 64 * GROUPS, MS = 1000 * 1000 };

static struct VolkDeviceTable real;
static double ns_per_group; /* what the clock says of a workgroup */
static uint32_t recorded;   /* workgroups of the last dispatch that was recorded */
static uint32_t largest, n_pieces;

static void VKAPI_PTR noted_dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z)
{
    recorded = x * y * z;
    real.vkCmdDispatch(commands, x, y, z);
}
static void VKAPI_PTR noted_dispatch_base(VkCommandBuffer commands, uint32_t base_x, uint32_t base_y,
                                          uint32_t base_z, uint32_t x, uint32_t y, uint32_t z)
{
    recorded = x * y * z;
    real.vkCmdDispatchBase(commands, base_x, base_y, base_z, x, y, z);
}
/* Of the piece that was recorded last. */
static VkResult VKAPI_PTR slow_clock(VkDevice device, VkQueryPool pool, uint32_t first, uint32_t n,
                                     size_t size, void *data, VkDeviceSize stride, VkQueryResultFlags flags)
{
    (void)device, (void)pool, (void)first, (void)n, (void)size, (void)stride, (void)flags;
    uint64_t *ticks = data;
    ticks[0] = 5;
    ticks[1] = 5 + (uint64_t)(ns_per_group * recorded);
    n_pieces++;
    if (recorded > largest) largest = recorded;
    return VK_SUCCESS;
}

typedef struct fixture {
    tuff_backend_device *device;
    tuff_vk_device *vk;
    kit_plan p;
    tuff_backend_buffer *x;
    tuff_backend_program *program;
} fixture;

/* One fill of GROUPS workgroups that is guessed to take 10 ms, in a program of its own memory. */
static void begin(fixture *f, tuff_open_params params)
{
    *f = (fixture){.device = kit_vulkan_open(params)};
    f->vk = tuff_vk_device_of(f->device);
    real = f->vk->vk;
    f->vk->vk.vkCmdDispatch = noted_dispatch;
    f->vk->vk.vkCmdDispatchBase = noted_dispatch_base;
    kit_plan_init(&f->p, f->device, 0);
    f->p.plan.n_variables = 0;
    f->p.block = 4 * N;
    tuff_plan_step *step = kit_plan_fill(&f->p, TUFF_MEMORY_ARENA, 0, N, 7, false);
    kit_plan_output(&f->p, TUFF_MEMORY_ARENA, 0, 4 * N);
    while (tuff_vk_estimate_ns(f->vk, step) < 10 * MS)
        step->cost.flops = step->cost.flops * 1.01 + 1e4;
    largest = n_pieces = 0;
}

static void create(fixture *f)
{
    KIT_OK(vulkan->program_create(f->device, &f->p.plan, &f->x, NULL, &f->program));
}

/* How many submits it took. */
static uint64_t run(fixture *f)
{
    const void *results;
    uint64_t before = kit_vulkan_stats(f->device).submits;
    KIT_OK(vulkan->program_run(f->device, f->program));
    KIT_OK(vulkan->program_wait(f->device, f->program, &results));
    for (size_t i = 0; i < N; i++)
        assert_true(((const float *)results)[i] == 7);
    return kit_vulkan_stats(f->device).submits - before;
}

static void end(fixture *f)
{
    f->vk->vk = real;
    vulkan->program_destroy(f->device, &f->program);
    kit_plan_free(&f->p);
    assert_int_equal(kit_vulkan_stats(f->device).bytes, 0);
    kit_vulkan_close(&f->device);
}

static void skip_without_clock(fixture *f)
{
    if (f->vk->probe.timestamp_bits) return;
    end(f);
    skip();
}

/* A device a hundred times slower than guessed, so that the fill takes a second: no piece of the first run
 * takes longer than half a submit, nor a part of the second, which was cut anew in between. */
static void a_slow_device_is_found_in_time(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0});
    skip_without_clock(&f);
    f.vk->vk.vkGetQueryPoolResults = slow_clock;
    ns_per_group = 1 * MS;
    create(&f);
    tuff_vk_program *inside = tuff_vk_program_of(f.program);
    assert_int_equal(inside->cut.n_work, 1);
    uint64_t submits = run(&f);
    assert_int_equal(submits, n_pieces + 2); /* what begins it, pieces, what ends it */
    if (n_pieces < 20 || n_pieces > 30) fail_msg("%u pieces", n_pieces);
    assert_true(largest <= 50);
    assert_true(inside->too_long);
    n_pieces = 0;
    submits = run(&f);
    assert_int_equal(n_pieces, 0);
    assert_int_equal(inside->recuts, 1);
    assert_true(inside->cut.n_work >= 20 && inside->cut.n_work <= 22);
    for (size_t i = 0; i < inside->cut.n_work; i++)
        assert_true(inside->cut.work[i].groups[0] <= 50);
    assert_int_equal(submits, inside->cut.n_segments); /* each alone, until it was measured */
    assert_int_equal(inside->cut.n_segments, inside->cut.n_work);
    end(&f);
}

/* Pieces grow while times allow it; the kernel is known then, on this and on all that is not much more. */
static void a_known_kernel_is_not_tried(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0});
    skip_without_clock(&f);
    f.vk->vk.vkGetQueryPoolResults = slow_clock;
    ns_per_group = 10 * 1000; /* as guessed */
    create(&f);
    tuff_vk_program *inside = tuff_vk_program_of(f.program);
    run(&f);
    assert_int_equal(n_pieces, 4); /* 9 groups, 72, 576, the rest */
    assert_int_equal(largest, 576);
    assert_false(inside->too_long);
    assert_true(inside->cut.segments[0].measured_ns > 9 * MS &&
                inside->cut.segments[0].measured_ns < 11 * MS);
    assert_int_equal(run(&f), 1);
    for (int more = 0; more < 2; more++) {
        vulkan->program_destroy(f.device, &f.program);
        if (more) f.p.steps[0].cost.flops *= 100;
        n_pieces = 0;
        f.vk->pace = 1; /* which whole runs have set by the real clock */
        create(&f);
        run(&f);
        assert_int_equal(n_pieces > 0, more);
    }
    end(&f);
}

/* Several steps in several segments: what was not measured goes alone. The second run is one submit. */
static void what_was_measured_is_joined(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0});
    skip_without_clock(&f);
    f.vk->vk.vkGetQueryPoolResults = slow_clock;
    ns_per_group = 10 * 1000; /* as guessed */
    for (int i = 1; i < 100; i++)
        kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, 4 * N - 256, 64, 7, true);
    create(&f);
    tuff_vk_program *inside = tuff_vk_program_of(f.program);
    size_t n = inside->cut.n_segments;
    assert_true(n >= 4);
    assert_true(run(&f) >= n);
    for (size_t i = 0; i < n; i++)
        assert_true(inside->cut.segments[i].measured_ns > 0);
    for (size_t i = 0; i < n; i++) /* as a machine at rest would show it */
        inside->cut.segments[i].measured_ns = 1 * MS;
    inside->too_long = false;
    assert_int_equal(run(&f), 1);
    vulkan->program_destroy(f.device, &f.program);
    create(&f);
    inside = tuff_vk_program_of(f.program);
    assert_int_equal(run(&f), inside->cut.n_segments); /* known kernels, but a program that never ran */
    end(&f);
}

/* Where a device has no timestamps the host's clock must do. */
static void works_without_timestamps(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0});
    f.vk->probe.timestamp_bits = 0;
    f.vk->vk.vkGetQueryPoolResults = slow_clock; /* is not asked */
    create(&f);
    for (int i = 0; i < 3; i++)
        run(&f);
    assert_int_equal(n_pieces, 0);
    assert_true(f.vk->pipelines[0].speed.measured > 0);
    end(&f);
}

static tuff_status run_cut_anew(void *user)
{
    fixture *f = user;
    const void *results;
    tuff_status status = TUFF_OK;
    TUFF_GO(vulkan->program_create(f->device, &f->p.plan, &f->x, NULL, &f->program));
    for (int i = 0; i < 3; i++) {
        if (i == 1) tuff_vk_program_of(f->program)->too_long = true;
        TUFF_GO(vulkan->program_run(f->device, f->program));
        TUFF_GO(vulkan->program_wait(f->device, f->program, &results));
    }
    assert_int_equal(tuff_vk_program_of(f->program)->recuts, 1);
done:
    if (status != TUFF_OK && f->program) { /* it was not harmed */
        KIT_OK(vulkan->program_run(f->device, f->program));
        KIT_OK(vulkan->program_wait(f->device, f->program, &results));
        assert_true(*(const float *)results == 7);
    }
    vulkan->program_destroy(f->device, &f->program);
    tuff_vk_memory_trim(f->vk);
    return status;
}

static void cutting_anew_survives_failed_allocations(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0});
    assert_true(kit_for_each_allocation_failure(run_cut_anew, &f) > 5);
    end(&f);
}

/* ---- what is destroyed ---- */

static uint64_t reached; /* what the device says it has come to */
static unsigned waits;
static VkResult VKAPI_PTR told_value(VkDevice device, VkSemaphore semaphore, uint64_t *out)
{
    (void)device, (void)semaphore;
    *out = reached;
    return VK_SUCCESS;
}
static VkResult VKAPI_PTR counted_wait(VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t timeout)
{
    waits++;
    return real.vkWaitSemaphores(device, info, timeout);
}
static VkResult VKAPI_PTR counted_idle(VkDevice device)
{
    waits++;
    return real.vkDeviceWaitIdle(device);
}

/* All is done, and the device says so. */
static void finish(const fixture *f)
{
    real.vkDeviceWaitIdle(f->vk->handle);
    reached = f->vk->submitted;
}

/* A program goes once its own last run is done, whatever else is on its way; a buffer once all that was
 * submitted is. Until then its memory stays. Nobody waits. */
static void destroying_does_not_wait(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0});
    tuff_backend_program *other = NULL;
    create(&f);
    run(&f);
    uint64_t bytes = kit_vulkan_stats(f.device).bytes;
    KIT_OK(vulkan->program_create(f.device, &f.p.plan, &f.x, NULL, &other));
    KIT_OK(vulkan->buffer_create(f.device, 4 << 20, "x", &f.x));
    uint64_t mine = f.vk->submitted;
    f.vk->vk.vkGetSemaphoreCounterValue = told_value;
    f.vk->vk.vkWaitSemaphores = counted_wait;
    f.vk->vk.vkDeviceWaitIdle = counted_idle;
    reached = mine;
    KIT_OK(vulkan->program_run(f.device, other)); /* on its way, as far as anybody knows */
    assert_true(f.vk->submitted > mine);
    waits = 0;
    vulkan->buffer_destroy(f.device, &f.x);
    vulkan->program_destroy(f.device, &f.program); /* its last run is done */
    assert_non_null(f.vk->retired);                /* the buffer */
    assert_null(f.vk->retired->next);
    vulkan->program_destroy(f.device, &other);
    assert_non_null(f.vk->retired->next);
    assert_int_equal(waits, 0);
    assert_true(kit_vulkan_stats(f.device).bytes > 0);

    reached = f.vk->submitted - 1; /* not yet */
    create(&f);
    assert_non_null(f.vk->retired);
    finish(&f);
    vulkan->program_destroy(f.device, &f.program);
    assert_null(f.vk->retired);
    assert_true(bytes > 0);
    end(&f);
}

/* Memory that is only waiting to go is had by who needs it. */
static void memory_is_reclaimed(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0});
    create(&f);
    run(&f);
    f.vk->vk.vkGetSemaphoreCounterValue = told_value;
    f.vk->vk.vkWaitSemaphores = counted_wait;
    reached = 0;
    waits = 0;
    vulkan->program_destroy(f.device, &f.program);
    assert_non_null(f.vk->retired);
    assert_int_equal(waits, 0);
    finish(&f);
    assert_true(tuff_vk_reclaim(f.vk));
    assert_int_equal(waits, 1);
    assert_null(f.vk->retired);
    assert_false(tuff_vk_reclaim(f.vk));
    end(&f);
}

/* What is still retired when the device is closed goes with it. */
static void closing_ends_what_is_retired(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0});
    create(&f);
    f.vk->vk.vkGetSemaphoreCounterValue = told_value;
    reached = 0;
    KIT_OK(vulkan->program_run(f.device, f.program));
    vulkan->program_destroy(f.device, &f.program);
    assert_non_null(f.vk->retired);
    const uint64_t live = kit_live();
    kit_plan_free(&f.p);
    kit_vulkan_close(&f.device);
    assert_true(kit_live() < live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_device_is_found_in_time),
        cmocka_unit_test(a_known_kernel_is_not_tried),
        cmocka_unit_test(what_was_measured_is_joined),
        cmocka_unit_test(works_without_timestamps),
        cmocka_unit_test(cutting_anew_survives_failed_allocations),
        cmocka_unit_test(destroying_does_not_wait),
        cmocka_unit_test(memory_is_reclaimed),
        cmocka_unit_test(closing_ends_what_is_retired),
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
