/* One model and one device shared by threads, each with a generator and a trainer of its own: every thread
 * gets the results that one thread alone gets. Under ThreadSanitizer this also shows that nothing shared is
 * written unguarded. */
#include <pthread.h>
#include <stdio.h>

#include <tuff/generate.h>
#include <tuff/program.h>
#include <tuff/train.h>

#include "kit/kit.h"

enum { THREADS = 4, TEXT = 512 };

static tuff_model *model;
static tuff_device *device;
static tuff_dataset *data;

typedef struct outcome {
    tuff_status status;
    char error[256], text[TEXT];
    size_t size;
    double losses[3];
} outcome;

static bool collect(const char *text, size_t size, void *user)
{
    outcome *out = user;
    for (size_t i = 0; i < size && out->size + 1 < TEXT; i++)
        out->text[out->size++] = text[i];
    return true;
}

static tuff_status generate(outcome *out)
{
    tuff_generator *generator = NULL;
    tuff_generate_params params = {.struct_size = sizeof params,
                                   .max_new_tokens = 24,
                                   .on_text = collect,
                                   .user = out,
                                   .ignore_eos = true};
    tuff_status status = tuff_generator_create(model, device, NULL, &generator);
    if (status == TUFF_OK) status = tuff_generate(generator, "The river", 9, &params, NULL);
    tuff_generator_destroy(&generator);
    return status;
}

static tuff_status train(outcome *out)
{
    tuff_trainer *trainer = NULL;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    params.max_steps = 3;
    params.per_device_train_batch_size = 2;
    params.learning_rate = 1e-3;
    params.lora_rank = 4;
    params.lora_dropout = 0.1;
    tuff_status status = tuff_trainer_create(model, device, data, &params, &trainer);
    for (int i = 0; i < 3 && status == TUFF_OK; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        status = tuff_trainer_step(trainer, &step);
        out->losses[i] = step.loss;
    }
    tuff_trainer_destroy(&trainer);
    return status;
}

static void *work(void *user)
{
    outcome *out = user;
    out->status = generate(out);
    if (out->status == TUFF_OK) out->status = train(out);
    snprintf(out->error, sizeof out->error, "%s", out->status == TUFF_OK ? "" : tuff_error_message());
    return NULL;
}

static void threads_agree_with_one_thread_alone(void **state)
{
    int32_t ids[200];
    for (int i = 0; i < 200; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    if (tuff_device_open(&(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = *state},
                         &device) != TUFF_OK) {
        print_message("%s\n", tuff_error_message());
        skip();
    }
    KIT_OK(tuff_model_load(kit_asset("golden/llama"), &model));
    KIT_OK(tuff_dataset_from_ids(ids, 200, 16, &data));
    static outcome alone, shared[THREADS];
    memset(&alone, 0, sizeof alone);
    memset(shared, 0, sizeof shared);
    work(&alone);
    if (alone.status != TUFF_OK) fail_msg("%s", alone.error);
    assert_true(alone.size > 0 && alone.losses[2] > 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &shared[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        if (shared[i].status != TUFF_OK) fail_msg("thread %d: %s", i, shared[i].error);
        assert_string_equal(shared[i].text, alone.text);
        for (int k = 0; k < 3; k++)
            assert_true(shared[i].losses[k] == alone.losses[k]);
    }
    tuff_dataset_destroy(&data);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
}

/* Each thread opens a device of its own, lists those there are, and closes it, over and over. */
static void *open_and_close(void *name)
{
    for (int i = 0; i < 5; i++) {
        tuff_device *own = NULL;
        tuff_buffer *x = NULL;
        tuff_device_info listed[8] = {TUFF_DEVICE_INFO_INIT};
        float out[3] = {1, 1, 1};
        size_t n = 0;
        tuff_status status = tuff_device_open(
            &(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = name}, &own);
        if (status == TUFF_OK) status = tuff_buffer_create(own, "x", TUFF_F32, 1, (const int64_t[]){3}, &x);
        if (status == TUFF_OK) status = tuff_buffer_read(x, 0, out, 3);
        if (status == TUFF_OK) status = tuff_list_devices(listed, 8, &n);
        tuff_buffer_destroy(&x);
        tuff_device_destroy(&own);
        if (status != TUFF_OK || n == 0 || out[0] != 0) return (void *)1;
    }
    return NULL;
}

static void threads_open_devices(void **state)
{
    tuff_device *there = NULL;
    if (tuff_device_open(&(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = *state},
                         &there) != TUFF_OK) {
        print_message("%s\n", tuff_error_message());
        skip();
    }
    tuff_device_destroy(&there);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, *state), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

/* The error text belongs to the thread that failed. */
static void *fail_elsewhere(void *user)
{
    (void)user;
    tuff_model *none = NULL;
    return tuff_model_load(kit_temp_path("none/of/this/thread"), &none) == TUFF_OK ? NULL : (void *)1;
}

static void error_texts_belong_to_their_thread(void **state)
{
    (void)state;
    tuff_model *none = NULL;
    pthread_t thread;
    void *failed = NULL;
    KIT_FAILS(tuff_model_load(kit_temp_path("none/of/main"), &none), TUFF_NOT_FOUND, "none/of/main");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, &failed);
    assert_non_null(failed);
    assert_non_null(strstr(tuff_error_message(), "none/of/main"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(threads_agree_with_one_thread_alone, (void *)"cpu"),
        cmocka_unit_test_prestate(threads_agree_with_one_thread_alone, (void *)"lavapipe"),
        cmocka_unit_test_prestate(threads_open_devices, (void *)"cpu"),
        cmocka_unit_test_prestate(threads_open_devices, (void *)"lavapipe"),
        cmocka_unit_test(error_texts_belong_to_their_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
