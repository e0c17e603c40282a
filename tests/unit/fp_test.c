#define _GNU_SOURCE
/* A program's floating-point environment changes no number, traps nothing in the library, and is as it was
 * behind each call and in callbacks. */
#include <fenv.h>
#include <string.h>
#include <tuff/embed.h>
#include <tuff/generate.h>

#include "base/fp.h"
#include "base/thread.h"
#include "base/watch.h"
#include "embed/array.h"
#include "model_fixture.h"

enum { DIMENSIONS = 32, TEXTS = 40, TRAPS = FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW };

static void enter(void)
{
#ifdef __GLIBC__
    assert_int_not_equal(feenableexcept(TRAPS), -1);
#endif
    assert_int_equal(fesetround(FE_UPWARD), 0);
}

static void expect_unchanged(void)
{
    assert_int_equal(fegetround(), FE_UPWARD);
#ifdef __GLIBC__
    assert_int_equal(fegetexcept() & TRAPS, TRAPS);
#endif
}

static void leave(void)
{
    assert_int_equal(fesetenv(FE_DFL_ENV), 0);
}

static tuff_device *two_threads(void)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    tuff_device *device = NULL;
    params.name = "cpu";
    params.threads = 2;
    KIT_OK(tuff_device_open(&params, &device));
    return device;
}

/* Each on a device of its own, whose threads start in the first run. */
static void embed(const tuff_model *model, float *vectors, bool odd)
{
    tuff_device *device = two_threads();
    tuff_embedder *embedder = NULL;
    const char *texts[TEXTS];
    for (int i = 0; i < TEXTS; i++)
        texts[i] = i % 2 ? "the ship" : "an old island, and a sea";
    KIT_OK(tuff_embedder_create(model, device, NULL, &embedder));
    if (odd) enter();
    KIT_OK(tuff_embed(embedder, texts, NULL, TEXTS, NULL, vectors, NULL));
    if (odd) expect_unchanged();
    if (odd) leave();
    tuff_embedder_destroy(&embedder);
    tuff_device_destroy(&device);
}

static void vectors_are_the_same(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    static float plain[TEXTS * DIMENSIONS], odd[TEXTS * DIMENSIONS];
    embed(model, plain, false);
    embed(model, odd, true);
    assert_memory_equal(plain, odd, sizeof plain);
    tuff_model_destroy(&model);
}

/* An overflow in a kernel, which the program would trap. */
static void what_is_not_finite_traps_nothing(void **state)
{
    (void)state;
    tuff_device *device = two_threads();
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    enum { N = 4096 };
    static float values[N], results[N];
    for (int i = 0; i < N; i++)
        values[i] = i % 2 ? 3e38F : -1;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_input(g, "x", TUFF_F32, 1, (int64_t[]){N});
    tuff_output(g, "y", tuff_mul(g, tuff_ln(g, x), tuff_mul(g, x, x)));
    KIT_OK(tuff_program_create(device, &g, &program));
    enter();
    KIT_OK(tuff_program_input(program, "x", values, sizeof values));
    KIT_OK(tuff_program_run(program));
    KIT_OK(tuff_program_output(program, "y", results, sizeof results));
    expect_unchanged();
    leave();
    assert_true(results[0] != results[0]);
    assert_true(results[1] > 3e38F);
    tuff_program_destroy(&program);
    tuff_device_destroy(&device);
}

static bool see(const tuff_progress *progress, void *user)
{
    (void)progress;
    expect_unchanged();
    ++*(int *)user;
    return true;
}

/* Also in a callback that comes from within a run. */
static void callbacks_have_the_programs(void **state)
{
    (void)state;
    tuff_device *device = two_threads();
    tuff_model *model = model_open("llama");
    tuff_generator *generator = NULL;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_sampling sampling = TUFF_SAMPLING_INIT;
    int seen = 0;
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    watch.on_progress = see;
    watch.user = &seen;
    params.watch = &watch;
    params.max_new_tokens = 5;
    sampling.temperature = 1;
    params.sampling = &sampling;
    enter();
    KIT_OK(tuff_generate(generator, "the ship", 8, &params, &result));
    expect_unchanged();
    leave();
    assert_true(seen >= 5);
    tuff_generator_destroy(&generator);
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
}

static void stored_vectors_are_the_same(void **state)
{
    (void)state;
    float vector[DIMENSIONS];
    int8_t plain[DIMENSIONS], odd[DIMENSIONS];
    for (int i = 0; i < DIMENSIONS; i++)
        vector[i] = 0.01F * (float)(i * 7 % DIMENSIONS) - 0.1F;
    tuff_vector_convert(TUFF_VECTOR_INT8, vector, 1, DIMENSIONS, plain);
    enter();
    tuff_vector_convert(TUFF_VECTOR_INT8, vector, 1, DIMENSIONS, odd);
    expect_unchanged();
    leave();
    assert_memory_equal(plain, odd, sizeof plain);
}

static void look(void *user)
{
    *(int *)user = fegetround();
}

static void threads_begin_with_the_usual_one(void **state)
{
    (void)state;
    int found = -1;
    enter();
    tuff_thread *thread = tuff_thread_start(look, &found);
    leave();
    assert_non_null(thread);
    tuff_thread_join(&thread);
    assert_int_equal(found, FE_TONEAREST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_the_same),
        cmocka_unit_test(what_is_not_finite_traps_nothing),
        cmocka_unit_test(callbacks_have_the_programs),
        cmocka_unit_test(stored_vectors_are_the_same),
        cmocka_unit_test(threads_begin_with_the_usual_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
