/* Objects are destroyed in any order: what uses a device, a model or a data set works on, and the last to go
 * takes them with it. */
#include <string.h>
#include <tuff/embed.h>
#include <tuff/generate.h>
#include <tuff/predict.h>
#include <tuff/train.h>

#include "base/thread.h"
#include "model_fixture.h"

enum { DIMENSIONS = 32 };

static void users_go_after_what_they_use(void **state)
{
    (void)state;
    const uint64_t live = kit_live();
    tuff_device *device = kit_cpu();
    tuff_model *model = model_open("llama");
    tuff_embedder *embedder = NULL;
    tuff_generator *generator = NULL;
    const char *const text = "the ship";
    float before[DIMENSIONS], after[DIMENSIONS];
    KIT_OK(tuff_embedder_create(model, device, NULL, &embedder));
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    KIT_OK(tuff_embed(embedder, &text, NULL, 1, NULL, before, NULL));
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    assert_null(device);
    assert_null(model);

    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    params.max_new_tokens = 3;
    KIT_OK(tuff_generate(generator, "the", 3, &params, &result));
    tuff_generator_destroy(&generator);
    KIT_OK(tuff_embed(embedder, &text, NULL, 1, NULL, after, NULL));
    assert_memory_equal(before, after, sizeof before);
    tuff_embedder_destroy(&embedder);
    assert_int_equal(kit_live(), live);
}

static void a_trainer_keeps_its_data(void **state)
{
    (void)state;
    const uint64_t live = kit_live();
    tuff_device *device = kit_cpu();
    tuff_model *model = model_open("llama");
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    int32_t ids[64];
    for (int i = 0; i < 64; i++)
        ids[i] = 3 + i;
    params.max_steps = 2;
    params.per_device_train_batch_size = 2;
    KIT_OK(tuff_dataset_from_ids(ids, 64, 8, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &params, &trainer));
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
    assert_null(data);
    KIT_OK(tuff_trainer_step(trainer, &step));
    assert_true(step.loss > 0);
    tuff_trainer_destroy(&trainer);
    assert_int_equal(kit_live(), live);
}

/* One that failed on its way leaves nothing behind, and an object without users goes at once. */
static void nothing_is_kept_by_failures(void **state)
{
    (void)state;
    const uint64_t live = kit_live();
    tuff_device *device = kit_cpu();
    tuff_model *model = model_open("llama");
    tuff_embedder_params params = TUFF_EMBEDDER_PARAMS_INIT;
    tuff_embedder *embedder = NULL;
    tuff_predictor *predictor = NULL;
    params.adapter = kit_path("nowhere");
    assert_int_not_equal(tuff_embedder_create(model, device, &params, &embedder), TUFF_OK);
    assert_int_not_equal(tuff_predictor_create(model, device, NULL, &predictor), TUFF_OK);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    assert_int_equal(kit_live(), live);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
}

/* ---- threads ---- */

typedef struct share {
    tuff_embedder *embedder;
    float vector[DIMENSIONS];
} share;

static void embed_and_destroy(void *user)
{
    share *s = user;
    const char *const text = "the ship";
    KIT_OK(tuff_embed(s->embedder, &text, NULL, 1, NULL, s->vector, NULL));
    tuff_embedder_destroy(&s->embedder);
}

static void the_last_of_several_threads_frees(void **state)
{
    (void)state;
    const uint64_t live = kit_live();
    enum { THREADS = 4 };
    share shares[THREADS];
    tuff_thread *threads[THREADS];
    tuff_device *device = kit_cpu();
    tuff_model *model = model_open("llama");
    for (int i = 0; i < THREADS; i++)
        KIT_OK(tuff_embedder_create(model, device, NULL, &shares[i].embedder));
    for (int i = 0; i < THREADS; i++)
        assert_non_null(threads[i] = tuff_thread_start(embed_and_destroy, &shares[i]));
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
    for (int i = 0; i < THREADS; i++)
        tuff_thread_join(&threads[i]);
    for (int i = 1; i < THREADS; i++)
        assert_memory_equal(shares[i].vector, shares[0].vector, sizeof shares[0].vector);
    assert_int_equal(kit_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_go_after_what_they_use),
        cmocka_unit_test(a_trainer_keeps_its_data),
        cmocka_unit_test(nothing_is_kept_by_failures),
        cmocka_unit_test(the_last_of_several_threads_frees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
