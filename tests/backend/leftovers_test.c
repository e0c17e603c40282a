/* After the last destroy nothing of the library's memory is left: no allocation, on any kind of device. */
#include <tuff/generate.h>
#include <tuff/model.h>
#include <tuff/train.h>

#include "kit/kit.h"

static void generate(const tuff_model *model, tuff_device *device)
{
    tuff_generator *generator = NULL;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    params.max_new_tokens = 3;
    params.ignore_eos = true;
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    KIT_OK(tuff_generate(generator, "the", 3, &params, NULL));
    tuff_generator_destroy(&generator);
}

static void train(const tuff_model *model, tuff_device *device)
{
    enum { IDS = 34 };
    int32_t ids[IDS];
    for (int i = 0; i < IDS; i++)
        ids[i] = i % 7;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    params.max_steps = 1;
    params.lora_rank = 2;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &params, &trainer));
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

static void nothing_is_left(const char *name)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = name;
    tuff_device *device = NULL;
    tuff_model *model = NULL;
    if (tuff_device_open(&params, &device) != TUFF_OK) {
        print_message("%s\n", tuff_error_message());
        assert_int_equal(kit_live(), 0);
        skip();
    }
    KIT_OK(tuff_model_load(kit_asset("golden/llama"), &model));
    generate(model, device);
    train(model, device);
    assert_true(kit_live() > 0);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    assert_int_equal(kit_live(), 0);
}

static void nothing_is_left_of_a_list(void **state)
{
    (void)state;
    size_t count = 0;
    KIT_OK(tuff_list_devices(NULL, 0, &count));
    assert_int_equal(kit_live(), 0);
}

static void nothing_is_left_of_the_cpu(void **state)
{
    (void)state;
    nothing_is_left("cpu");
}

static void nothing_is_left_of_lavapipe(void **state)
{
    (void)state;
    nothing_is_left("llvmpipe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_of_a_list),
        cmocka_unit_test(nothing_is_left_of_the_cpu),
        cmocka_unit_test(nothing_is_left_of_lavapipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
