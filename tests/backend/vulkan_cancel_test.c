/* Runs on the Vulkan backend that are cancelled between two submits: no work follows, no result is spoiled,
 * and from the first write of a variable on they go to their end. */
#include "vulkan_kit.h"

#ifdef TUFF_HAVE_VULKAN

enum { STEPS = 96, EACH = 128, WRITE = 48 };

static tuff_cancel *stop;
static tuff_watch watch = TUFF_WATCH_INIT;
static tuff_watched work; /* of which a run is a part */
static PFN_vkQueueSubmit real_submit;
static int submits, stop_at; /* stop_at: the submit that makes the request */

static VkResult counted_submit(VkQueue queue, uint32_t n, const VkSubmitInfo *infos, VkFence fence)
{
    if (++submits == stop_at) tuff_cancel_request(stop);
    return real_submit(queue, n, infos, fence);
}

typedef struct fixture {
    tuff_backend_device *device;
    kit_plan p;
    tuff_backend_buffer *x;
    tuff_backend_program *program;
} fixture;

/* Many fills, a few to a submit. Step WRITE writes the variable, the others the arena. */
static void begin(fixture *f)
{
    *f = (fixture){.device = kit_vulkan_open((tuff_open_params){0})};
    kit_plan_init(&f->p, f->device, EACH * 4);
    for (int i = 0; i < STEPS; i++)
        kit_plan_fill(&f->p, i == WRITE ? TUFF_MEMORY_VARIABLE : TUFF_MEMORY_ARENA,
                      i == WRITE ? 0 : (uint64_t)i * EACH * 4, EACH, (float)i, false)
            ->cost.flops = 1e9;
    kit_plan_output(&f->p, TUFF_MEMORY_ARENA, 0, STEPS * EACH * 4);
    tuff_vk_device *vk = tuff_vk_device_of(f->device);
    vk->params.submit_ns = (uint64_t)(4.5 * tuff_vk_estimate_ns(vk, &f->p.steps[0]));
    work = (tuff_watched){.watch = &watch, .phase = TUFF_PHASE_TRAIN, .total = STEPS, .part = STEPS};
    real_submit = vk->vk.vkQueueSubmit;
    vk->vk.vkQueueSubmit = counted_submit;
    KIT_OK(vulkan->buffer_create(f->device, EACH * 4, "x", &f->x));
    KIT_OK(vulkan->program_create(f->device, &f->p.plan, &f->x, NULL, &f->program));
    const void *results;
    KIT_OK(vulkan->program_run(f->device, f->program)); /* tries its kernel */
    KIT_OK(vulkan->program_wait(f->device, f->program, &results));
    tuff_vk_program_of(f->program)->recuts = UINT32_MAX; /* it stays as it is cut */
    vk->params.submit_ns = 1;                            /* each segment by itself, whatever is measured */
}

static void end(fixture *f)
{
    tuff_vk_device_of(f->device)->vk.vkQueueSubmit = real_submit;
    vulkan->program_destroy(f->device, &f->program);
    vulkan->buffer_destroy(f->device, &f->x);
    kit_plan_free(&f->p);
    assert_int_equal(kit_vulkan_stats(f->device).bytes, 0);
    kit_vulkan_close(&f->device);
}

static tuff_status run(fixture *f, int at)
{
    submits = 0;
    stop_at = at;
    tuff_status status = vulkan->program_run(f->device, f->program);
    tuff_cancel_reset(stop);
    return status;
}

static void expect_results(fixture *f)
{
    const void *results;
    KIT_OK(vulkan->program_wait(f->device, f->program, &results));
    const float *values = results;
    for (int i = 0; i < STEPS; i++)
        for (int k = 0; i != WRITE && k < EACH; k++)
            assert_true(values[i * EACH + k] == (float)i);
}

static float variable(fixture *f)
{
    float value;
    KIT_OK(vulkan->buffer_read(f->device, f->x, 0, &value, sizeof value));
    return value;
}

static void nothing_follows_a_request(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    KIT_OK(run(&f, 0)); /* nobody asks */
    expect_results(&f);
    int all = submits;
    assert_true(all >= 20);
    f.program->work = &work;
    f.program->last_cancel = SIZE_MAX;
    KIT_OK(run(&f, 0));
    expect_results(&f);
    for (int at = 1; at < all; at += 3) {
        KIT_FAILS(run(&f, at), TUFF_CANCELLED, "cancelled while training, after ");
        assert_int_equal(submits, at);
        KIT_OK(run(&f, 0));
        expect_results(&f);
    }
    tuff_cancel_request(stop); /* before it begins */
    KIT_FAILS(run(&f, 0), TUFF_CANCELLED, "after 0 of 96 batches");
    assert_int_equal(submits, 0);
    end(&f);
}

static void a_write_is_followed_by_all_others(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    f.program->work = &work;
    f.program->last_cancel = WRITE;
    KIT_OK(run(&f, 0));
    int all = submits, cancelled = 0;
    for (int at = 1; at <= all; at++) {
        const float none[EACH] = {0};
        KIT_OK(vulkan->buffer_write(f.device, f.x, 0, none, sizeof none));
        tuff_status status = run(&f, at);
        if (status == TUFF_OK) {
            expect_results(&f);
            assert_true(variable(&f) == WRITE);
            continue;
        }
        kit_expect_status(status, TUFF_CANCELLED, "a run", __FILE__, __LINE__);
        assert_true(variable(&f) == 0);
        cancelled++;
    }
    assert_true(cancelled > all / 4 && cancelled < all * 3 / 4);
    end(&f);
}

/* The first run, which tries each piece, can be cancelled before any of them. */
static void a_first_run_is_cancelled(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    tuff_vk_device *vk = tuff_vk_device_of(f.device);
    vulkan->program_destroy(f.device, &f.program);
    for (int at = 1; at < 200; at += 7) {
        for (size_t i = 0; i < vk->n_pipelines; i++)
            vk->pipelines[i].speed = (tuff_vk_speed){0};
        KIT_OK(vulkan->program_create(f.device, &f.p.plan, &f.x, NULL, &f.program));
        f.program->work = &work;
        f.program->last_cancel = SIZE_MAX;
        tuff_status status = run(&f, at);
        if (status == TUFF_CANCELLED) assert_int_equal(submits, at);
        if (status == TUFF_CANCELLED) KIT_OK(run(&f, 0));
        expect_results(&f);
        assert_true(at > 80 || status == TUFF_CANCELLED); /* 96 steps are tried */
        vulkan->program_destroy(f.device, &f.program);
    }
    end(&f);
}

/* How far a run was when it was told of, which is each time that could be. */
static bool take_place(const tuff_progress *progress, void *user)
{
    uint64_t *last = user;
    assert_true(progress->done >= *last && progress->total == STEPS);
    *last = progress->done;
    work.told_ns = 1; /* long ago */
    return true;
}

static bool end_late(const tuff_progress *progress, void *user)
{
    (void)user;
    work.told_ns = 1;
    return progress->done < WRITE;
}

static void a_run_is_told_of(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    uint64_t last = 0;
    watch = (tuff_watch)TUFF_WATCH_INIT;
    watch.on_progress = take_place;
    watch.user = &last;
    work.told_ns = 1;
    f.program->work = &work;
    f.program->last_cancel = SIZE_MAX;
    KIT_OK(run(&f, 0));
    expect_results(&f);
    assert_true(last >= STEPS - 8 && last < STEPS);
    last = 0;
    f.program->last_cancel = WRITE; /* nobody is asked from there on */
    KIT_OK(run(&f, 0));
    assert_true(last >= WRITE - 8 && last <= WRITE);
    watch.on_progress = end_late;
    work.told_ns = 1;
    f.program->last_cancel = SIZE_MAX;
    KIT_FAILS(run(&f, 0), TUFF_CANCELLED, "of 96 batches of a step");
    watch = (tuff_watch){.struct_size = sizeof watch, .cancel = stop};
    KIT_OK(run(&f, 0)); /* as if there had been none */
    expect_results(&f);
    end(&f);
}

int main(void)
{
    if (kit_vulkan_index() < 0) return 77;
    KIT_OK(tuff_cancel_create(&stop));
    watch.cancel = stop;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_follows_a_request),
        cmocka_unit_test(a_write_is_followed_by_all_others),
        cmocka_unit_test(a_first_run_is_cancelled),
        cmocka_unit_test(a_run_is_told_of),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_cancel_destroy(&stop);
    return failed;
}
#else
int main(void)
{
    return 77;
}
#endif
