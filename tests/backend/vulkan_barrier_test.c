/* The order of memory accesses. The validation layer does not see accesses through buffer addresses, and
 * lavapipe runs dispatches in order and hides a missing barrier. So the commands that the backend records are
 * captured, and between every two that conflict there must be a barrier; with any one barrier taken out, some
 * pair must have none. Timestamps are captured as well: each is reset, written once, and then copied by
 * a command that waits for it. */
#include "vulkan_capture.h"

#ifdef TUFF_HAVE_VULKAN

enum { MAX_PARTS = 256 };

/* ---- the proof ---- */

enum { NONE, WRITE_FIRST, READ_FIRST };

/* Whether two events touch the same bytes, and one of them writes: does the first one write? */
static int conflict(const event *a, const event *b)
{
    int found = NONE;
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < b->n; k++) {
            const access_t *x = &a->accesses[i], *y = &b->accesses[k];
            if (x->buffer != y->buffer || x->end <= y->begin || y->end <= x->begin) continue;
            if (x->write) return WRITE_FIRST;
            if (y->write) found = READ_FIRST;
        }
    return found;
}

static VkAccessFlags access_of(VkPipelineStageFlags stage, bool write)
{
    if (stage == VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT)
        return write ? VK_ACCESS_SHADER_WRITE_BIT : VK_ACCESS_SHADER_READ_BIT;
    if (stage == VK_PIPELINE_STAGE_TRANSFER_BIT)
        return write ? VK_ACCESS_TRANSFER_WRITE_BIT : VK_ACCESS_TRANSFER_READ_BIT;
    return write ? VK_ACCESS_HOST_WRITE_BIT : VK_ACCESS_HOST_READ_BIT;
}

static bool orders(const event *barrier_event, const event *a, const event *b, int how)
{
    const event *x = barrier_event;
    if (!(x->from & a->stage) || !(x->to & b->stage)) return false;
    if (how == READ_FIRST) return true; /* write after read: being later is enough */
    VkAccessFlags read = access_of(b->stage, false), write = access_of(b->stage, true);
    bool writes = false;
    for (int i = 0; i < b->n; i++)
        writes = writes || b->accesses[i].write;
    return (x->from_access & access_of(a->stage, true)) && (x->to_access & read) &&
           (!writes || (x->to_access & write));
}

/* Dispatches of one step may overlap unless the later one says that it comes after; parts of one dispatch
 * may. */
static bool free_within_step(const event *a, const event *b, size_t from, size_t to)
{
    if (a->step < 0 || a->step != b->step) return false;
    for (size_t i = from + 1; i <= to; i++) {
        const event *e = &executed[i];
        if (e->is_dispatch && e->dispatch != a->dispatch && e->dispatch->after) return false;
    }
    for (size_t i = from + 1; i < to; i++)
        if (executed[i].step != a->step && executed[i].kind == ACCESSES) return false; /* of another run */
    return true;
}

/* How many barriers order two events; *out_last is one of them. */
static unsigned orderings(size_t a, size_t b, int how, size_t *out_last)
{
    unsigned n = 0;
    for (size_t i = a + 1; i < b; i++)
        if (executed[i].kind == BARRIER && orders(&executed[i], &executed[a], &executed[b], how)) {
            *out_last = i;
            n++;
        }
    return n;
}

/* Looks at every pair that conflicts. False: one has no barrier between (*out_a, *out_b). needed[i]: without
 * the barrier at event i some pair would have none. */
static bool all_ordered(bool *needed, size_t *out_a, size_t *out_b)
{
    memset(needed, 0, n_executed);
    for (size_t b = 0; b < n_executed; b++) {
        if (executed[b].kind != ACCESSES || executed[b].is_past) continue;
        for (size_t a = b; a-- > 0;) {
            /* what the host did before a submit comes before it */
            if (executed[a].kind != ACCESSES || executed[a].stage == VK_PIPELINE_STAGE_HOST_BIT) continue;
            int how = conflict(&executed[a], &executed[b]);
            if (how == NONE || free_within_step(&executed[a], &executed[b], a, b)) continue;
            size_t last = 0;
            unsigned n = orderings(a, b, how, &last);
            if (n == 1) needed[last] = true;
            if (n) continue;
            *out_a = a;
            *out_b = b;
            return false;
        }
    }
    return true;
}

/* The number of a pool among those seen. */
static size_t number_of(VkQueryPool pool, VkQueryPool *seen, size_t *n)
{
    size_t i = 0;
    while (i < *n && seen[i] != pool)
        i++;
    assert_true(i < MAX_POOLS);
    if (i == *n) seen[(*n)++] = pool;
    return i;
}

/* The first event that a timestamp is not ready for; n_executed: there is none. */
static size_t unready_query(void)
{
    static int last[MAX_POOLS][MAX_EVENTS]; /* by query: what was done with it */
    VkQueryPool pools[MAX_POOLS];
    size_t n_pools = 0;
    memset(last, 0, sizeof last);
    for (size_t i = 0; i < n_executed; i++) {
        const event *e = &executed[i];
        assert_true(e->first_query + e->n_queries <= MAX_EVENTS);
        int *of_pool = last[e->query == NO_QUERY ? 0 : number_of(e->pool, pools, &n_pools)];
        for (uint32_t q = e->first_query; q < e->first_query + e->n_queries; q++) {
            if (e->query == STAMP && of_pool[q] != RESET) return i;
            if (e->query == FETCH && (of_pool[q] != STAMP || !e->waits)) return i;
            of_pool[q] = e->query;
        }
    }
    return n_executed;
}

static void prove(const tuff_plan *plan, const char *family, const char *name)
{
    static bool needed[MAX_EVENTS];
    size_t a, b;
    if (!all_ordered(needed, &a, &b))
        fail_msg("%s %s: events %zu (step %d) and %zu (step %d) of %zu conflict without a barrier", family,
                 name, a, executed[a].step, b, executed[b].step, n_executed);
    for (size_t i = 0; i < n_executed; i++)
        if (executed[i].kind == BARRIER && !needed[i])
            fail_msg("%s %s: without the barrier at event %zu of %zu (%zu steps) nothing changes", family,
                     name, i, n_executed, plan->n_steps);
    if (unready_query() != n_executed)
        fail_msg("%s %s: a timestamp is not ready for event %zu of %zu", family, name, unready_query(),
                 n_executed);
}

/* How many dispatches it is when all are cut into as many parts as can be. */
static uint64_t most_parts(const tuff_plan *plan)
{
    uint64_t n = 0;
    for (size_t s = 0; s < plan->n_steps; s++)
        for (size_t i = 0; i < plan->steps[s].launch->n; i++) {
            const tuff_dispatch *d = plan->steps[s].launch->dispatches[i];
            n += d->groups[tuff_vk_split_axis(d)];
        }
    return n;
}

/* What was submitted is what the device counts. */
static void expect_counted(const tuff_backend_stats *before, const tuff_backend_stats *after)
{
    uint64_t dispatches = 0, barriers = 0;
    for (size_t i = 0; i < n_executed; i++) {
        dispatches += executed[i].is_dispatch;
        barriers += executed[i].kind == BARRIER;
    }
    assert_int_equal(after->dispatches - before->dispatches, dispatches);
    assert_int_equal(after->barriers - before->barriers, barriers);
}

static void run_captured(tuff_backend_device *device, tuff_backend_program *program)
{
    const void *results;
    add_past(tuff_vk_program_of(program));
    KIT_OK(vulkan->program_run(device, program));
    KIT_OK(vulkan->program_wait(device, program, &results));
    add_host(tuff_vk_program_of(program));
}

/* Three runs in a row, so that a later one's hazards with an earlier one are seen as well: the first goes
 * piece by piece. */
static void prove_program(tuff_backend_device *device, kit_case *x, const char *family, const char *name)
{
    tuff_backend_program *program;
    n_recorded = 0;
    KIT_OK(vulkan->program_create(device, x->plan, x->variables, NULL, &program));
    tuff_vk_program *inside = tuff_vk_program_of(program);
    attach_plan(inside);
    inside->recuts = UINT32_MAX; /* it stays as it is cut */
    forget_kernels(tuff_vk_device_of(device));
    n_executed = 0;
    tuff_backend_stats before = kit_vulkan_stats(device), after;
    tried = inside;
    tried_task = tried_groups = 0;
    run_captured(device, program);
    assert_int_equal(tried_task, inside->n_tasks);
    tried = NULL;
    run_captured(device, program);
    after = kit_vulkan_stats(device);
    expect_counted(&before, &after);
    prove(x->plan, family, name);
    before = after;
    n_executed = 0;
    run_captured(device, program);
    run_captured(device, program);
    after = kit_vulkan_stats(device);
    expect_counted(&before, &after);
    prove(x->plan, family, name);
    vulkan->program_destroy(device, &program);
}

/* Every case that has at most `most` parts; returns of how many cases some dispatch was cut. */
static unsigned prove_all(tuff_open_params params, uint64_t most, unsigned at_least)
{
    tuff_backend_device *device = kit_vulkan_open(params);
    capture(tuff_vk_device_of(device));
    unsigned n_proven = 0, n_cut = 0;
    for (size_t f = 0; tuff_case_families[f]; f++) {
        const tuff_case_family *family = tuff_case_families[f];
        for (size_t i = 0; i < family->n_cases; i++) {
            kit_case x;
            if (kit_case_plan(&x, &family->cases[i], device) && most_parts(x.plan) <= most) {
                kit_case_load(&x, device);
                prove_program(device, &x, family->name, family->cases[i].name);
                n_proven++;
                bool cut = false;
                for (size_t e = 0; e < n_executed; e++)
                    cut = cut || executed[e].base[0] || executed[e].base[1] || executed[e].base[2];
                n_cut += cut;
            }
            kit_case_free(&x, device);
        }
    }
    if (n_proven < at_least) fail_msg("%u cases were looked at, not %u", n_proven, at_least);
    kit_vulkan_close(&device);
    return n_cut;
}

static void every_hazard_has_a_barrier(void **state)
{
    (void)state;
    prove_all((tuff_open_params){0}, UINT64_MAX, 250);
}

static void every_hazard_has_a_barrier_in_parts(void **state)
{
    (void)state;
    unsigned n_cut = prove_all((tuff_open_params){.submit_ns = 1}, MAX_PARTS, 150);
    if (n_cut < 100) fail_msg("only %u cases had a dispatch in parts", n_cut);
}

/* ---- order at random ---- */

/* One program, run by run, on two devices: as planned, and with the dispatches between barriers in a random
 * order and each cut into as many parts as its grid allows. */
static void compare_permuted(tuff_backend_device **devices, const tuff_case *c, unsigned *n_compared)
{
    enum { RUNS = 3 };
    kit_case x[2];
    tuff_backend_program *program[2];
    bool both = true;
    for (int i = 0; i < 2; i++)
        both = kit_case_plan(&x[i], c, devices[i]) && both;
    for (int i = 0; i < 2 && both; i++) {
        kit_case_load(&x[i], devices[i]);
        KIT_OK(vulkan->program_create(devices[i], x[i].plan, x[i].variables, NULL, &program[i]));
    }
    for (int r = 0; r < RUNS && both; r++) {
        const void *results[2];
        for (int i = 0; i < 2; i++) {
            KIT_OK(vulkan->program_run(devices[i], program[i]));
            KIT_OK(vulkan->program_wait(devices[i], program[i], &results[i]));
        }
        for (size_t o = 0; o < x[0].plan->n_outputs; o++) {
            const tuff_plan_output *output = &x[0].plan->outputs[o];
            assert_memory_equal((const uint8_t *)results[0] + output->offset,
                                (const uint8_t *)results[1] + output->offset, output->bytes);
        }
        for (size_t v = 0; v < x[0].plan->n_variables; v++) {
            uint64_t size = x[0].plan->variables[v].bytes;
            uint8_t *bytes[2];
            for (int i = 0; i < 2; i++) {
                bytes[i] = test_malloc(size);
                KIT_OK(vulkan->buffer_read(devices[i], x[i].variables[v], 0, bytes[i], size));
            }
            assert_memory_equal(bytes[0], bytes[1], size);
            test_free(bytes[0]);
            test_free(bytes[1]);
        }
    }
    for (int i = 0; i < 2; i++) {
        if (both) vulkan->program_destroy(devices[i], &program[i]);
        kit_case_free(&x[i], devices[i]);
    }
    *n_compared += both;
}

static void any_order_gives_the_same_bits(void **state)
{
    (void)state;
    tuff_backend_device *devices[2] = {kit_vulkan_open((tuff_open_params){0}),
                                       kit_vulkan_open((tuff_open_params){.permute = 11, .submit_ns = 1})};
    unsigned n_compared = 0;
    for (size_t f = 0; tuff_case_families[f]; f++)
        for (size_t i = 0; i < tuff_case_families[f]->n_cases; i++)
            compare_permuted(devices, &tuff_case_families[f]->cases[i], &n_compared);
    assert_true(n_compared > 250);
    assert_true(kit_vulkan_stats(devices[1]).dispatches > 3 * kit_vulkan_stats(devices[0]).dispatches);
    kit_vulkan_close(&devices[0]);
    kit_vulkan_close(&devices[1]);
}

/* That the two tests above can fail: a barrier that is missing shows in both. */
static void a_missing_barrier_shows(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){.permute = 5});
    capture(tuff_vk_device_of(device));
    for (int barriers = 0; barriers < 2; barriers++) {
        tuff_backend_program *program;
        tuff_backend_buffer *none = NULL;
        kit_plan p;
        kit_plan_init(&p, device, 0);
        p.plan.n_variables = 0;
        for (int i = 0; i < 3; i++)
            kit_plan_fill(&p, TUFF_MEMORY_ARENA, 64 * (uint64_t)i, 32, (float)i, barriers);
        kit_plan_output(&p, TUFF_MEMORY_ARENA, 0, 256);
        n_recorded = 0;
        KIT_OK(vulkan->program_create(device, &p.plan, &none, NULL, &program));
        unsigned changed = 0;
        static bool needed[MAX_EVENTS];
        size_t a, b;
        for (int i = 0; i < 16; i++) {
            const void *results;
            n_executed = 0;
            KIT_OK(vulkan->program_run(device, program));
            KIT_OK(vulkan->program_wait(device, program, &results));
            const float *y = results;
            if (y[0] != 0 || y[16] != 1 || y[32] != 2) changed++;
        }
        attach_plan(tuff_vk_program_of(program)); /* whichever is which: all three conflict */
        VkCommandBuffer segment = tuff_vk_program_of(program)->cut.segments[0].commands;
        n_executed = 0;
        for (size_t i = 0; i < n_recorded; i++)
            if (recorded[i].commands == segment) executed[n_executed++] = recorded[i];
        assert_int_equal(changed > 0, !barriers);
        assert_int_equal(all_ordered(needed, &a, &b), barriers);
        vulkan->program_destroy(device, &program);
        kit_plan_free(&p);
    }
    kit_vulkan_close(&device);
}

/* That timestamps are looked at: a program with no output writes nothing else that the host reads. */
static void a_timestamp_out_of_order_shows(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    if (!tuff_vk_device_of(device)->probe.timestamp_bits) {
        kit_vulkan_close(&device);
        skip();
    }
    capture(tuff_vk_device_of(device));
    tuff_backend_program *program;
    tuff_backend_buffer *none = NULL;
    const void *results;
    kit_plan p;
    kit_plan_init(&p, device, 0);
    p.plan.n_variables = 0;
    kit_plan_fill(&p, TUFF_MEMORY_ARENA, 0, 32, 1, false);
    KIT_OK(vulkan->program_create(device, &p.plan, &none, NULL, &program));
    attach_plan(tuff_vk_program_of(program));
    KIT_OK(vulkan->program_run(device, program)); /* tries the kernel */
    KIT_OK(vulkan->program_wait(device, program, &results));
    n_executed = 0;
    for (int i = 0; i < 2; i++)
        run_captured(device, program);
    prove(&p.plan, "timestamps", "of a fill"); /* among others, that the barrier to the host is needed */
    unsigned n_seen = 0;
    for (size_t i = 0; i < n_executed; i++) {
        event *e = &executed[i], whole = *e;
        if (e->query == NO_QUERY) continue;
        n_seen++;
        if (e->query == FETCH)
            e->waits = false;
        else
            e->query = NO_QUERY, e->n_queries = 0;
        assert_true(unready_query() < n_executed);
        *e = whole;
    }
    assert_true(n_seen >= 8); /* two runs: a reset, two timestamps, a copy */
    vulkan->program_destroy(device, &program);
    kit_plan_free(&p);
    kit_vulkan_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hazard_has_a_barrier),
        cmocka_unit_test(every_hazard_has_a_barrier_in_parts),
        cmocka_unit_test(any_order_gives_the_same_bits),
        cmocka_unit_test(a_missing_barrier_shows),
        cmocka_unit_test(a_timestamp_out_of_order_shows),
    };
    if (kit_vulkan_index() < 0) return 77;
    recorded = calloc(MAX_EVENTS, sizeof *recorded);
    executed = calloc(MAX_EVENTS, sizeof *executed);
    if (!recorded || !executed) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(recorded);
    free(executed);
    return failed;
}

#else

int main(void)
{
    return 77;
}

#endif
