/* Programs on the Vulkan backend: runs, rings, submits, host steps, failures. */
#include "vulkan_kit.h"

#ifdef TUFF_HAVE_VULKAN

enum { N = 1000, BYTES = 4 * N };

static float *read_all(tuff_backend_device *device, tuff_backend_buffer *x)
{
    float *values = test_malloc(x->bytes);
    KIT_OK(vulkan->buffer_read(device, x, 0, values, x->bytes));
    return values;
}

static void expect_values(const float *values, size_t from, size_t to, float want)
{
    for (size_t i = from; i < to; i++)
        if (values[i] != want) fail_msg("element %zu is %g, not %g", i, (double)values[i], (double)want);
}

/* A device, a plan made by hand, its one variable or none, and its program. */
typedef struct fixture {
    tuff_backend_device *device;
    kit_plan p;
    tuff_backend_buffer *x;
    tuff_backend_program *program;
} fixture;

static void begin(fixture *f, tuff_open_params params, uint64_t variable_bytes)
{
    f->device = kit_vulkan_open(params);
    f->x = NULL;
    f->program = NULL;
    kit_plan_init(&f->p, f->device, variable_bytes);
    if (variable_bytes == 0) f->p.plan.n_variables = 0;
}

static void create(fixture *f)
{
    if (f->p.plan.n_variables) KIT_OK(vulkan->buffer_create(f->device, f->p.variables[0].bytes, "x", &f->x));
    KIT_OK(vulkan->program_create(f->device, &f->p.plan, &f->x, NULL, &f->program));
}

static const float *run(fixture *f)
{
    const void *results;
    KIT_OK(vulkan->program_run(f->device, f->program));
    KIT_OK(vulkan->program_wait(f->device, f->program, &results));
    return results;
}

/* All is given back. */
static void end(fixture *f)
{
    vulkan->program_destroy(f->device, &f->program);
    assert_null(f->program);
    vulkan->buffer_destroy(f->device, &f->x);
    kit_plan_free(&f->p);
    assert_int_equal(kit_vulkan_stats(f->device).bytes, 0);
    kit_vulkan_close(&f->device);
}

static void fills_and_reads_back(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0}, BYTES);
    kit_plan_fill(&f.p, TUFF_MEMORY_VARIABLE, 400, 500, 2.5f, false); /* elements 100 to 599 */
    kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, 256, 300, -7, false);
    kit_plan_output(&f.p, TUFF_MEMORY_ARENA, 256, 1200);
    create(&f);
    expect_values(run(&f), 0, 300, -7);
    float *values = read_all(f.device, f.x);
    expect_values(values, 0, 100, 0);
    expect_values(values, 100, 600, 2.5f);
    expect_values(values, 600, N, 0);
    test_free(values);
    end(&f);
}

/* An op of this test's own: out = 2 * in + input, on the host. */
static void twice_plus(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    const float *x = in[0], *added = in[1];
    float *y = out[0];
    memset(scratch, 1, 1000);
    for (int64_t i = 0; i < node->out[0]->shape.dim[0]; i++)
        y[i] = 2 * x[i] + added[0];
}
static size_t twice_plus_scratch(const tuff_node *node)
{
    (void)node;
    return 1000;
}
static const tuff_op_info twice_plus_op = {
    .name = "twice_plus", .cpu = twice_plus, .cpu_scratch = twice_plus_scratch};

/* Adds a host step to a plan with an input of one float. */
static void add_host_step(kit_plan *p, tuff_location x, tuff_location y, uint64_t elements)
{
    tuff_plan_step *step = kit_plan_step(p, y.kind, y.offset, y.end - y.begin);
    size_t i = p->plan.n_steps - 1;
    static tuff_location in[KIT_STEPS][2];
    in[i][0] = x;
    in[i][1] = (tuff_location){TUFF_MEMORY_INPUT, 0, 0, 0, 4};
    step->in = in[i];
    step->op = &twice_plus_op;
    p->nodes[i].n_in = 2;
    p->tensor.shape = (tuff_shape){1, {(int64_t)elements, 1, 1, 1}};
    step->barrier = true;
}

static void add_input(kit_plan *p)
{
    static tuff_plan_input input;
    input = (tuff_plan_input){&p->tensor, 0, 4};
    p->plan.inputs = &input;
    p->plan.n_inputs = 1;
    p->plan.input_bytes = 64;
}

/* A step without a kernel runs on the host between two submits; its operands may share memory. */
static void runs_steps_on_the_host(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){.profile = true}, BYTES);
    kit_plan_fill(&f.p, TUFF_MEMORY_VARIABLE, 0, N, 1, false);
    kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, 0, 100, 3, false);
    tuff_location arena = {TUFF_MEMORY_ARENA, 0, 0, 0, 400}, in_x = {TUFF_MEMORY_VARIABLE, 0, 40, 40, 440};
    add_input(&f.p);
    add_host_step(&f.p, arena, in_x, 100); /* x[10..110) = 2 * 3 + input */
    add_host_step(&f.p, in_x, in_x, 100);  /* in place: again */
    kit_plan_fill(&f.p, TUFF_MEMORY_VARIABLE, 0, 5, 9, true);
    kit_plan_output(&f.p, TUFF_MEMORY_VARIABLE, 0, BYTES);
    create(&f);
    run(&f); /* tries its kernel */
    tuff_backend_stats before = kit_vulkan_stats(f.device);
    for (int i = 0; i < 5; i++) {
        void *slot;
        KIT_OK(vulkan->program_slot(f.device, f.program, &slot));
        *(float *)slot = (float)i;
        const float *values = run(&f);
        expect_values(values, 0, 5, 9);
        expect_values(values, 5, 10, 1);
        expect_values(values, 10, 110, (float)(2 * (6 + i) + i));
        expect_values(values, 110, N, 1);
    }
    tuff_backend_stats after = kit_vulkan_stats(f.device);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.recorded, before.recorded);
    assert_int_equal(after.submits - before.submits, 5 * 3);
    const tuff_step_time *times = vulkan->program_times(f.program);
    assert_non_null(times);
    for (size_t i = 0; i < f.p.plan.n_steps; i++) {
        assert_int_equal(times[i].runs, 5); /* not the first */
        assert_true(times[i].last_begin_ns <= times[i].last_end_ns);
        if (i) assert_true(times[i - 1].last_end_ns <= times[i].last_begin_ns);
    }
    end(&f);
}

/* The ring: runs begun without waiting each see their own slot, and results come in order. */
static void keeps_slots_apart(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0}, 0);
    kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, 0, 64, 1, false);
    add_input(&f.p);
    kit_plan_output(&f.p, TUFF_MEMORY_INPUT, 0, 4); /* what the device saw of the slot */
    create(&f);
    for (int round = 0; round < 3; round++) {
        const void *results;
        for (int i = 0; i < 2 + 3 * round; i++) {
            void *slot, *again;
            KIT_OK(vulkan->program_slot(f.device, f.program, &slot));
            KIT_OK(vulkan->program_slot(f.device, f.program, &again));
            assert_ptr_equal(slot, again);
            *(float *)slot = (float)(10 * round + i);
            KIT_OK(vulkan->program_run(f.device, f.program));
        }
        KIT_OK(vulkan->program_wait(f.device, f.program, &results));
        assert_true(*(const float *)results == (float)(10 * round + 1 + 3 * round));
    }
    end(&f);
}

/* After a plan's first run nothing is allocated and nothing recorded. */
static void allocates_nothing_later(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){.submit_ns = UINT64_C(600000000000)},
          0); /* never cut anew, whatever the load */
    for (int i = 0; i < 100; i++)
        kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, (uint64_t)i * 512, 128, (float)i, i % 3 == 0);
    kit_plan_output(&f.p, TUFF_MEMORY_ARENA, 0, 4);
    create(&f);
    run(&f);
    tuff_backend_stats before = kit_vulkan_stats(f.device);
    uint64_t host = kit_allocations();
    for (int i = 0; i < 10; i++)
        run(&f);
    tuff_backend_stats after = kit_vulkan_stats(f.device);
    assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.bytes, before.bytes);
    assert_int_equal(after.recorded, before.recorded);
    assert_int_equal(kit_allocations(), host);
    assert_int_equal(after.dispatches - before.dispatches, 10 * 100);
    end(&f);
}

/* The same work in as many segments as the time per submit asks for, and, where they take what was expected,
 * in as many submits, with the same results. The time is told in steps, as the backend guesses them. */
static void cuts_and_submits(double steps, size_t segments, uint64_t submits)
{
    fixture f;
    begin(&f, (tuff_open_params){0}, 0);
    for (int i = 0; i < 96; i++)
        kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, (uint64_t)i * 512, 128, (float)i, false)->cost.flops = 1e9;
    kit_plan_output(&f.p, TUFF_MEMORY_ARENA, 0, 96 * 512);
    tuff_vk_device *vk = tuff_vk_device_of(f.device);
    vk->params.submit_ns = (uint64_t)(steps * tuff_vk_estimate_ns(vk, &f.p.steps[0]));
    create(&f);
    tuff_vk_program *inside = tuff_vk_program_of(f.program);
    assert_int_equal(inside->cut.n_segments, segments);
    run(&f);
    for (size_t i = 0; i < segments; i++)
        inside->cut.segments[i].measured_ns = inside->cut.segments[i].guess_ns;
    uint64_t before = kit_vulkan_stats(f.device).submits;
    const float *values = run(&f);
    assert_int_equal(kit_vulkan_stats(f.device).submits - before, submits);
    for (size_t i = 0; i < 96; i++)
        expect_values(values, i * 128, i * 128 + 128, (float)i);
    end(&f);
}

static void sizes_submits_by_time(void **state)
{
    (void)state;
    cuts_and_submits(1000, 3, 1);
    cuts_and_submits(48.5, 8, 3); /* segments of 13 steps, three at a time */
    cuts_and_submits(4.5, 48, 24);
    cuts_and_submits(0.1, 192, 192); /* each in two parts, of one workgroup */
}

/* A dispatch that would take longer than half a submit is made of parts, also one whose grid is folded. */
static void split_into_five(uint32_t widest_grid, bool profile)
{
    enum { LARGE = 100000 };
    fixture f;
    begin(&f, (tuff_open_params){.profile = profile}, 4 * (LARGE + 100));
    f.p.plan.caps.max_groups[0] = widest_grid;
    kit_plan_fill(&f.p, TUFF_MEMORY_VARIABLE, 0, 50, 1, false);
    tuff_plan_step *step = kit_plan_fill(&f.p, TUFF_MEMORY_VARIABLE, 200, LARGE, 2, true);
    kit_plan_fill(&f.p, TUFF_MEMORY_VARIABLE, 4 * (LARGE + 40), 60, 3, true);
    kit_plan_output(&f.p, TUFF_MEMORY_VARIABLE, 0, 4 * (LARGE + 100));
    step->cost.flops = 1e10;
    tuff_vk_device *vk = tuff_vk_device_of(f.device);
    vk->params.submit_ns = (uint64_t)(tuff_vk_estimate_ns(vk, step) / 2.25);
    create(&f);
    tuff_vk_program *inside = tuff_vk_program_of(f.program);
    assert_int_equal(inside->cut.n_work, 1 + 5 + 1);
    uint32_t axis = tuff_vk_split_axis(inside->cut.work[1].dispatch), next = 0;
    assert_int_equal(axis, widest_grid < 1000 ? 1 : 0);
    for (int k = 1; k <= 5; k++) {
        assert_int_equal(inside->cut.work[k].base[axis], next);
        assert_int_equal(inside->cut.work[k].barrier, k == 1);
        next += inside->cut.work[k].groups[axis];
    }
    assert_int_equal(next, inside->cut.work[1].dispatch->groups[axis]);
    assert_true(inside->cut.work[6].barrier);
    for (int i = 0; i < 3; i++) {
        const float *values = run(&f);
        expect_values(values, 0, 50, 1);
        expect_values(values, 50, LARGE + 40, 2);
        expect_values(values, LARGE + 40, LARGE + 100, 3);
    }
    if (profile)
        for (int s = 0; s < 3; s++)
            assert_int_equal(vulkan->program_times(f.program)[s].runs, 2); /* not the first */
    end(&f);
}

static void splits_long_dispatches(void **state)
{
    (void)state;
    split_into_five(65535, false);
    split_into_five(65535, true);
    split_into_five(7, false);
}

/* A plan guessed too cheap is cut finer once its time is known; what it computes stays. */
static void learns_from_timestamps(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){.submit_ns = 1000 * 1000}, 0);
    f.p.block = 2 << 20;
    for (int i = 0; i < 120; i++)
        kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, 0, 400000, 1, true);
    kit_plan_output(&f.p, TUFF_MEMORY_ARENA, 0, 4);
    create(&f);
    tuff_vk_program *inside = tuff_vk_program_of(f.program);
    assert_true(inside->cut.n_segments > 2);
    inside->recuts = UINT32_MAX; /* it stays as it is cut */
    for (int i = 0; i < 3; i++)
        run(&f);
    for (size_t i = 0; i < inside->cut.n_segments; i++)
        assert_true(inside->cut.segments[i].measured_ns > 0);
    inside->too_long = false; /* a busy machine may have been slow */
    for (size_t i = 0; i < inside->cut.n_segments; i++)
        inside->cut.segments[i].measured_ns = 400 * 1000;
    uint64_t before = kit_vulkan_stats(f.device).submits;
    run(&f);
    assert_int_equal(kit_vulkan_stats(f.device).submits - before, (inside->cut.n_segments + 1) / 2);
    end(&f);
}

/* ---- failures ---- */

static void says_what_is_wrong_with_a_dispatch(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0}, 0);
    tuff_plan_step *step = kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, 0, 64, 1, false);
    tuff_dispatch *d = step->launch->dispatches[0], good = *d;
    d->args_size = 24;
    KIT_FAILS(vulkan->program_create(f.device, &f.p.plan, &f.x, NULL, &f.program), TUFF_INTERNAL,
              "size differs");
    *d = good;
    d->groups[1] = 0;
    KIT_FAILS(vulkan->program_create(f.device, &f.p.plan, &f.x, NULL, &f.program), TUFF_INTERNAL, "grid");
    *d = good;
    d->relocs[0].at = 8;
    KIT_FAILS(vulkan->program_create(f.device, &f.p.plan, &f.x, NULL, &f.program), TUFF_INTERNAL,
              "an address is written");
    assert_null(f.program);
    end(&f);
}

static void demands_its_variables(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0}, BYTES);
    kit_plan_fill(&f.p, TUFF_MEMORY_VARIABLE, 0, N, 1, false);
    KIT_FAILS(vulkan->program_create(f.device, &f.p.plan, &f.x, NULL, &f.program), TUFF_INVALID_ARGUMENT,
              "\"x\" needs a buffer");
    KIT_OK(vulkan->buffer_create(f.device, BYTES - 4, "x", &f.x));
    KIT_FAILS(vulkan->program_create(f.device, &f.p.plan, &f.x, NULL, &f.program), TUFF_INVALID_ARGUMENT,
              "of 4000 bytes");
    end(&f);
}

static VkResult VKAPI_PTR lost_wait(VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t timeout)
{
    (void)device, (void)info, (void)timeout;
    return VK_ERROR_DEVICE_LOST;
}

static void a_lost_device_ends_runs(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){0}, 0);
    tuff_vk_device *vk = tuff_vk_device_of(f.device);
    kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, 0, 64, 1, false);
    create(&f);
    const void *results;
    void *slot;
    KIT_FAILS(vulkan->program_wait(f.device, f.program, &results), TUFF_INVALID_ARGUMENT, "never ran");
    run(&f);
    vk->vk.vkDeviceWaitIdle(
        vk->handle); /* the driver is not really lost, and must be done before it is told so */
    PFN_vkWaitSemaphores real = vk->vk.vkWaitSemaphores;
    vk->vk.vkWaitSemaphores = lost_wait;
    KIT_FAILS(vulkan->program_wait(f.device, f.program, &results), TUFF_DEVICE_LOST,
              "while waiting for work");
    vk->vk.vkWaitSemaphores = real;
    KIT_FAILS(vulkan->program_run(f.device, f.program), TUFF_DEVICE_LOST, "reopen the device");
    KIT_FAILS(vulkan->program_slot(f.device, f.program, &slot), TUFF_DEVICE_LOST, "reopen the device");
    end(&f);
}

/* Lets `submits_left` submits through; the values waited for are noted. */
static unsigned submits_left;
static uint64_t waited_for;
static PFN_vkQueueSubmit real_submit;
static PFN_vkWaitSemaphores real_wait;
static VkResult VKAPI_PTR few_submits(VkQueue queue, uint32_t n, const VkSubmitInfo *infos, VkFence fence)
{
    if (submits_left == 0) return VK_ERROR_OUT_OF_HOST_MEMORY;
    submits_left--;
    return real_submit(queue, n, infos, fence);
}
static VkResult VKAPI_PTR noted_wait(VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t timeout)
{
    waited_for = info->pValues[0];
    return real_wait(device, info, timeout);
}

/* A run of which only the first submits were accepted still uses its slot: nobody gets it before they are
 * done, and the next run is whole. */
static void waits_for_half_a_run(void **state)
{
    (void)state;
    fixture f;
    begin(&f, (tuff_open_params){.submit_ns = 1}, 0);
    tuff_vk_device *vk = tuff_vk_device_of(f.device);
    for (int i = 0; i < 8; i++)
        kit_plan_fill(&f.p, TUFF_MEMORY_ARENA, (uint64_t)i * 512, 128, (float)i, false)->cost.flops = 1e9;
    kit_plan_output(&f.p, TUFF_MEMORY_ARENA, 7 * 512, 512);
    create(&f);
    real_submit = vk->vk.vkQueueSubmit;
    real_wait = vk->vk.vkWaitSemaphores;
    vk->vk.vkQueueSubmit = few_submits;
    vk->vk.vkWaitSemaphores = noted_wait;
    submits_left = 2;
    void *slot;
    KIT_FAILS(vulkan->program_run(f.device, f.program), TUFF_OUT_OF_MEMORY, "while submitting work");
    waited_for = 0;
    KIT_OK(vulkan->program_slot(f.device, f.program, &slot));
    assert_int_equal(waited_for, vk->submitted);
    submits_left = 100;
    expect_values(run(&f), 0, 128, 7);
    end(&f);
}

static tuff_status create_and_run(void *user)
{
    tuff_backend_device *device = user;
    tuff_backend_program *program = NULL;
    tuff_backend_buffer *none = NULL;
    kit_plan p;
    kit_plan_init(&p, device, 0);
    p.plan.n_variables = 0;
    tuff_launch spare = {.arena = &p.arena};
    tuff_fill_args args = {0, 64, 1};
    tuff_reloc reloc = {0, TUFF_OPERAND_OUT, 0, 0};
    tuff_dispatch d = {.shader = TUFF_SHADER_fill,
                       .groups = {1, 1, 1},
                       .spec = {32},
                       .n_spec = 1,
                       .args = (uint8_t *)&args,
                       .args_size = sizeof args,
                       .relocs = &reloc,
                       .n_relocs = 1};
    tuff_dispatch *list = &d;
    spare.dispatches = &list;
    spare.n = 1;
    tuff_plan_step *step = kit_plan_step(&p, TUFF_MEMORY_ARENA, 0, 256);
    step->launch = &spare;
    add_input(&p);
    add_host_step(&p, p.out[0], p.out[0], 64);
    const void *results;
    tuff_status status = TUFF_OK;
    TUFF_GO(vulkan->program_create(device, &p.plan, &none, NULL, &program));
    TUFF_GO(vulkan->program_run(device, program));
    TUFF_GO(vulkan->program_wait(device, program, &results));
done:
    vulkan->program_destroy(device, &program);
    tuff_vk_memory_trim(tuff_vk_device_of(device)); /* each time all blocks are made anew */
    return status;
}

static void survives_failed_allocations(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){.profile = true, .permute = 1});
    assert_true(kit_for_each_allocation_failure(create_and_run, device) > 5);
    assert_int_equal(kit_vulkan_stats(device).bytes, 0);
    kit_vulkan_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_reads_back),   cmocka_unit_test(runs_steps_on_the_host),
        cmocka_unit_test(keeps_slots_apart),      cmocka_unit_test(allocates_nothing_later),
        cmocka_unit_test(sizes_submits_by_time),  cmocka_unit_test(splits_long_dispatches),
        cmocka_unit_test(learns_from_timestamps), cmocka_unit_test(says_what_is_wrong_with_a_dispatch),
        cmocka_unit_test(demands_its_variables),  cmocka_unit_test(a_lost_device_ends_runs),
        cmocka_unit_test(waits_for_half_a_run),   cmocka_unit_test(survives_failed_allocations),
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
