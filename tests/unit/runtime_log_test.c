/* Messages that concern a device go to its own receiver, all others to that of the process. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>

#include <tuff/generate.h>
#include <tuff/program.h>
#include <tuff/train.h>

#include "kit/kit.h"
#include "runtime/device.h"

/* What one receiver was told. */
typedef struct heard {
    int count;
    tuff_log_level level;
    char last[1024];
} heard;

static heard everyones, first, second;

static void hear(tuff_log_level level, const char *message, void *user)
{
    heard *to = user;
    to->count++;
    to->level = level;
    snprintf(to->last, sizeof to->last, "%s", message);
}

static int forget(void **state)
{
    (void)state;
    everyones = first = second = (heard){0};
    tuff_set_log(hear, TUFF_LOG_DEBUG, &everyones);
    return 0;
}

static tuff_device_params hearing(const char *name, tuff_log_level level, heard *to)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = name;
    params.log = to ? hear : NULL;
    params.log_level = level;
    params.log_user = to;
    return params;
}

static tuff_device *open_cpu(tuff_log_level level, heard *to)
{
    const tuff_device_params params = hearing("cpu", level, to);
    tuff_device *device = NULL;
    KIT_OK(tuff_device_open(&params, &device));
    return device;
}

/* Destroys the device while a buffer lives on it, so that it still has something to say. */
static void destroy_and_say(tuff_device **device)
{
    static const int64_t one = 1;
    tuff_buffer *buffer = NULL;
    const tuff_device *kept = *device;
    KIT_OK(tuff_buffer_create(*device, "b", TUFF_F32, 1, &one, &buffer));
    tuff_device_destroy(device);
    tuff_log_to(&kept->log, TUFF_LOG_ERROR, "said of %s", kept->info.name);
    tuff_buffer_destroy(&buffer);
}

static void each_device_has_its_receiver(void **state)
{
    (void)state;
    tuff_device *a = open_cpu(TUFF_LOG_ERROR, &first), *b = open_cpu(TUFF_LOG_ERROR, &second);
    tuff_device *c = open_cpu(TUFF_LOG_ERROR, NULL);
    destroy_and_say(&a);
    assert_int_equal(first.count, 1);
    assert_non_null(strstr(first.last, "said of CPU"));
    assert_int_equal(first.level, TUFF_LOG_ERROR);
    assert_int_equal(second.count + everyones.count, 0);
    destroy_and_say(&b);
    assert_int_equal(second.count, 1);
    assert_int_equal(first.count + everyones.count, 1);
    destroy_and_say(&c);
    assert_int_equal(everyones.count, 1);
    assert_int_equal(first.count + second.count, 2);
}

static bool destroy_it(const char *text, size_t size, void *user)
{
    (void)text, (void)size;
    tuff_generator *copy = *(tuff_generator **)user;
    tuff_generator_destroy(&copy);
    return false;
}

static void generators_speak_to_their_device(void **state)
{
    (void)state;
    tuff_device *device = open_cpu(TUFF_LOG_ERROR, &first);
    tuff_model *model = NULL;
    tuff_generator *generator = NULL;
    KIT_OK(tuff_model_load(kit_asset("golden/llama"), &model));
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    params.max_new_tokens = 8;
    params.ignore_eos = true;
    params.on_text = destroy_it;
    params.user = &generator;
    KIT_OK(tuff_generate(generator, "the", 3, &params, NULL));
    assert_int_equal(first.count, 1);
    assert_non_null(strstr(first.last, "generator that is in use"));
    assert_int_equal(everyones.count, 0);
    tuff_generator_destroy(&generator);
    tuff_model_destroy(&model);
    tuff_device_destroy(&device);
}

/* Blocks longer than the model's context are worth a warning. */
static void train_long_blocks(const tuff_model *model, tuff_log_level level, heard *to)
{
    tuff_device *device = open_cpu(level, to);
    tuff_model_info info = TUFF_MODEL_INFO_INIT;
    KIT_OK(tuff_model_get_info(model, &info));
    const int64_t block = info.context_length + 8;
    int32_t *ids = calloc((size_t)block * 2 + 2, sizeof *ids);
    assert_non_null(ids);
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    params.max_steps = 1;
    KIT_OK(tuff_dataset_from_ids(ids, (size_t)block * 2 + 2, block, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &params, &trainer));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_device_destroy(&device);
    free(ids);
}

static void the_level_is_the_receivers(void **state)
{
    (void)state;
    tuff_model *model = NULL;
    KIT_OK(tuff_model_load(kit_asset("golden/llama"), &model));
    everyones.count = 0; /* of loading */
    train_long_blocks(model, TUFF_LOG_WARN, &first);
    assert_int_equal(first.count, 1);
    assert_int_equal(first.level, TUFF_LOG_WARN);
    assert_non_null(strstr(first.last, "are longer than"));
    train_long_blocks(model, TUFF_LOG_ERROR, &second);
    assert_int_equal(second.count, 0);
    assert_int_equal(everyones.count, 0);

    setenv("TUFF_LOG", "error", 1);
    train_long_blocks(model, TUFF_LOG_DEBUG, &second);
    setenv("TUFF_LOG", "warn", 1);
    assert_int_equal(second.count, 0);
    train_long_blocks(model, TUFF_LOG_ERROR, &second);
    assert_int_equal(second.count, 1);
    unsetenv("TUFF_LOG");
    tuff_model_destroy(&model);
}

/* What is said of the validation layer, be it that there is none, is said to each device that asks for it. */
static void validated_devices_do_not_share_messages(void **state)
{
    (void)state;
    const tuff_device_params one = hearing("llvmpipe", TUFF_LOG_WARN, &first);
    tuff_device_params other = hearing("llvmpipe", TUFF_LOG_WARN, &second);
    tuff_device_params validated = one;
    validated.validate = other.validate = true;
    tuff_device *a = NULL, *b = NULL;
    if (tuff_device_open(&one, &a) != TUFF_OK) skip();
    tuff_device_destroy(&a);
    everyones = first = (heard){0};
    KIT_OK(tuff_device_open(&validated, &a));
    KIT_OK(tuff_device_open(&other, &b));
    assert_int_equal(first.count, second.count);
    assert_int_equal(everyones.count, 0);
    print_message("each heard %d messages: %s\n", first.count, first.last);
    tuff_device_destroy(&a);
    destroy_and_say(&b);
    assert_int_equal(everyones.count, 0);
    assert_int_equal(second.count, first.count + 1);
    assert_non_null(strstr(second.last, "said of llvmpipe"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_device_has_its_receiver, forget),
        cmocka_unit_test_setup(generators_speak_to_their_device, forget),
        cmocka_unit_test_setup(the_level_is_the_receivers, forget),
        cmocka_unit_test_setup(validated_devices_do_not_share_messages, forget),
    };
    unsetenv("TUFF_LOG");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
