/* The order of memory accesses. The validation layer does not see accesses through buffer addresses, and
 * lavapipe runs dispatches in order and hides a missing barrier. So the commands that the backend records are
 * captured by swapping entries of the device's function table, what each of them reads and writes is taken
 * from the plan, and between every two that conflict there must be a barrier; with any one barrier taken out,
 * some pair must have none. */
#include "vulkan_case.h"

#ifdef TUFF_HAVE_VULKAN

enum { MAX_EVENTS = 4096, MAX_BUFFERS = 512, MAX_ACCESSES = 64 };

typedef struct access {
    VkBuffer buffer;
    uint64_t begin, end;
    bool write;
} access_t;

/* Something that happens on the device: a barrier, or accesses in one pipeline stage. */
typedef struct event {
    VkCommandBuffer commands;
    enum { BARRIER, ACCESSES } kind;
    VkPipelineStageFlags stage, from, to; /* of accesses; of a barrier */
    VkAccessFlags from_access, to_access; /* of a barrier */
    bool dispatch;
    access_t accesses[MAX_ACCESSES];
    int n;
    int step; /* of a dispatch; -1 */
    bool after;
} event;

static event *recorded, *executed; /* by command buffer; in order of submission */
static size_t n_recorded, n_executed;

/* ---- capture ---- */

static struct VolkDeviceTable real;

static event *record(VkCommandBuffer commands, int kind)
{
    assert_true(n_recorded < MAX_EVENTS);
    event *e = &recorded[n_recorded++];
    *e = (event){.commands = commands, .step = -1};
    e->kind = kind;
    return e;
}

static void add_access(event *e, VkBuffer buffer, uint64_t begin, uint64_t end, bool write)
{
    assert_true(e->n < MAX_ACCESSES);
    e->accesses[e->n++] = (access_t){buffer, begin, end, write};
}

static VkResult VKAPI_PTR begin_commands(VkCommandBuffer commands, const VkCommandBufferBeginInfo *info)
{
    for (size_t i = 0; i < n_recorded;) /* what was recorded before is gone */
        if (recorded[i].commands == commands)
            memmove(&recorded[i], &recorded[i + 1], (--n_recorded - i) * sizeof *recorded);
        else
            i++;
    return real.vkBeginCommandBuffer(commands, info);
}

static void VKAPI_PTR dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z)
{
    event *e = record(commands, ACCESSES);
    e->stage = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    e->dispatch = true;
    real.vkCmdDispatch(commands, x, y, z);
}

static void VKAPI_PTR barrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkPipelineStageFlags to,
                              VkDependencyFlags flags, uint32_t n, const VkMemoryBarrier *barriers,
                              uint32_t n_buffer, const VkBufferMemoryBarrier *buffer, uint32_t n_image,
                              const VkImageMemoryBarrier *image)
{
    assert_int_equal(n, 1);
    event *e = record(commands, BARRIER);
    e->from = from;
    e->to = to;
    e->from_access = barriers->srcAccessMask;
    e->to_access = barriers->dstAccessMask;
    real.vkCmdPipelineBarrier(commands, from, to, flags, n, barriers, n_buffer, buffer, n_image, image);
}

static void VKAPI_PTR copy(VkCommandBuffer commands, VkBuffer from, VkBuffer to, uint32_t n,
                           const VkBufferCopy *regions)
{
    event *e = record(commands, ACCESSES);
    e->stage = VK_PIPELINE_STAGE_TRANSFER_BIT;
    for (uint32_t i = 0; i < n; i++) {
        add_access(e, from, regions[i].srcOffset, regions[i].srcOffset + regions[i].size, false);
        add_access(e, to, regions[i].dstOffset, regions[i].dstOffset + regions[i].size, true);
    }
    real.vkCmdCopyBuffer(commands, from, to, n, regions);
}

static VkResult VKAPI_PTR submit(VkQueue queue, uint32_t n, const VkSubmitInfo *infos, VkFence fence)
{
    for (uint32_t s = 0; s < n; s++)
        for (uint32_t c = 0; c < infos[s].commandBufferCount; c++)
            for (size_t i = 0; i < n_recorded; i++)
                if (recorded[i].commands == infos[s].pCommandBuffers[c]) {
                    assert_true(n_executed < MAX_EVENTS);
                    executed[n_executed++] = recorded[i];
                }
    return real.vkQueueSubmit(queue, n, infos, fence);
}

static void capture(tuff_vk_device *device)
{
    real = device->vk;
    device->vk.vkBeginCommandBuffer = begin_commands;
    device->vk.vkCmdDispatch = dispatch;
    device->vk.vkCmdPipelineBarrier = barrier;
    device->vk.vkCmdCopyBuffer = copy;
    device->vk.vkQueueSubmit = submit;
    n_recorded = n_executed = 0;
}

/* ---- what dispatches touch, from the plan ---- */

static void add_location(event *e, const tuff_vk_program *program, const tuff_location *location, bool write)
{
    const tuff_vk_memory *memory = tuff_vk_memory_of(program, location);
    if (memory)
        add_access(e, memory->block->buffer, memory->offset + location->begin, memory->offset + location->end,
                   write);
}

/* Gives the recorded dispatches their accesses: they are the plan's, in its order. */
static void attach_plan(const tuff_vk_program *program)
{
    const tuff_plan *plan = program->base.plan;
    size_t s = 0, d = 0;
    for (size_t i = 0; i < n_recorded; i++) {
        event *e = &recorded[i];
        if (!e->dispatch) continue;
        while (s < plan->n_steps && d == plan->steps[s].launch->n)
            s++, d = 0;
        assert_true(s < plan->n_steps);
        const tuff_plan_step *step = &plan->steps[s];
        e->step = (int)s;
        e->after = step->launch->dispatches[d++]->after;
        for (int k = 0; k < step->node->n_in; k++)
            add_location(e, program, &step->in[k], false);
        for (int k = 0; k < step->node->n_out; k++)
            add_location(e, program, &step->out[k], true);
        add_location(e, program, &step->scratch, true);
    }
    assert_int_equal(s + 1, plan->n_steps);
}

/* The host reads the results after a run, and variables that were written. */
static void add_host(const tuff_vk_program *program)
{
    const tuff_plan *plan = program->base.plan;
    event *e = &executed[n_executed++];
    *e = (event){.kind = ACCESSES, .stage = VK_PIPELINE_STAGE_HOST_BIT, .step = -1};
    const tuff_vk_memory *results = &program->results;
    uint64_t at = results->offset + program->last * program->result_stride;
    if (plan->output_bytes) add_access(e, results->block->buffer, at, at + plan->output_bytes, false);
    for (size_t i = 0; i < plan->n_variables; i++) {
        const tuff_vk_memory *memory = program->variables[i];
        if (plan->variables[i].written)
            add_access(e, memory->block->buffer, memory->offset, memory->offset + plan->variables[i].bytes,
                       false);
    }
}

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

/* Dispatches of one step may overlap unless the later one says that it comes after. */
static bool free_within_step(const event *a, const event *b, size_t from, size_t to)
{
    if (a->step < 0 || a->step != b->step) return false;
    for (size_t i = from + 1; i <= to; i++)
        if (executed[i].dispatch && executed[i].after) return false;
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
        if (executed[b].kind != ACCESSES) continue;
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

static void prove(const tuff_plan *plan, const char *family, const char *name)
{
    static bool needed[MAX_EVENTS];
    size_t a, b;
    if (!all_ordered(needed, &a, &b))
        fail_msg("%s %s: events %zu (step %d) and %zu (step %d) of %zu conflict without a barrier", family,
                 name, a, executed[a].step, b, executed[b].step, n_executed);
    for (size_t i = 1; i < n_executed; i++) /* the first one is for runs of the past */
        if (executed[i].kind == BARRIER && !needed[i])
            fail_msg("%s %s: without the barrier at event %zu of %zu (%zu steps) nothing changes", family,
                     name, i, n_executed, plan->n_steps);
}

/* Two runs in a row, so that the second one's hazards with the first are seen as well. */
static void prove_case(tuff_backend_device *device, const char *family, const tuff_case *c,
                       unsigned *n_proven)
{
    kit_case x;
    if (kit_case_plan(&x, c, device)) {
        tuff_backend_program *program;
        kit_case_load(&x, device);
        n_recorded = n_executed = 0;
        KIT_OK(vulkan->program_create(device, x.plan, x.variables, &program));
        attach_plan(tuff_vk_program_of(program));
        const void *results;
        n_executed = 0;
        for (int i = 0; i < 2; i++) {
            KIT_OK(vulkan->program_run(device, program));
            KIT_OK(vulkan->program_wait(device, program, &results));
            add_host(tuff_vk_program_of(program));
        }
        prove(x.plan, family, c->name);
        vulkan->program_destroy(device, &program);
        ++*n_proven;
    }
    kit_case_free(&x, device);
}

static void every_hazard_has_a_barrier(void **state)
{
    (void)state;
    tuff_backend_device *device = kit_vulkan_open((tuff_open_params){0});
    capture(tuff_vk_device_of(device));
    unsigned n_proven = 0;
    for (size_t f = 0; tuff_case_families[f]; f++) {
        const tuff_case_family *family = tuff_case_families[f];
        for (size_t i = 0; i < family->n_cases; i++)
            prove_case(device, family->name, &family->cases[i], &n_proven);
    }
    assert_true(n_proven > 250);
    kit_vulkan_close(&device);
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
        KIT_OK(vulkan->program_create(devices[i], x[i].plan, x[i].variables, &program[i]));
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
        KIT_OK(vulkan->program_create(device, &p.plan, &none, &program));
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
        VkCommandBuffer segment = tuff_vk_program_of(program)->segments[0].commands;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hazard_has_a_barrier),
        cmocka_unit_test(any_order_gives_the_same_bits),
        cmocka_unit_test(a_missing_barrier_shows),
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
