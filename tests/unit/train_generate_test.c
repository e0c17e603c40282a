/* What a model says while it is trained: what it says once it is saved, and no bit of its training is another
 * for it. */
#include <tuff/generate.h>
#include <tuff/train.h>

#include "model_fixture.h"

enum { IDS = 210, STEPS = 3, NEW_TOKENS = 12 };

static tuff_device *device;
static int32_t ids[IDS];

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < IDS; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    device = kit_cpu();
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_device_destroy(&device);
    return 0;
}

static bool take(const char *text, size_t size, void *user)
{
    tuff_buf_bytes(user, text, size);
    return true;
}

static tuff_generate_params drawn(tuff_sampling *sampling, tuff_buf *out)
{
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    *sampling = (tuff_sampling)TUFF_SAMPLING_INIT;
    sampling->temperature = 1;
    sampling->seed = 7;
    p.sampling = sampling;
    p.max_new_tokens = NEW_TOKENS;
    p.ignore_eos = true;
    p.on_text = take;
    p.user = out;
    return p;
}

static void say(tuff_trainer *trainer, tuff_buf *out)
{
    tuff_sampling sampling;
    const tuff_generate_params p = drawn(&sampling, out);
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    tuff_buf_clear(out);
    KIT_OK(tuff_trainer_generate(trainer, "the river", 9, &p, &result));
    assert_int_equal(result.new_tokens, NEW_TOKENS);
    assert_int_equal(result.finish, TUFF_FINISH_LENGTH);
}

/* What the saved model says, or the saved adapter on `base`. */
static void say_saved(const char *base, const char *adapter, tuff_buf *out)
{
    tuff_sampling sampling;
    const tuff_generate_params p = drawn(&sampling, out);
    tuff_generator_params own = TUFF_GENERATOR_PARAMS_INIT;
    tuff_generator *generator = NULL;
    tuff_model *model = model_open(base);
    own.adapter = adapter;
    tuff_buf_clear(out);
    KIT_OK(tuff_generator_create(model, device, &own, &generator));
    KIT_OK(tuff_generate(generator, "the river", 9, &p, NULL));
    tuff_generator_destroy(&generator);
    tuff_model_destroy(&model);
}

static void steps_of(tuff_trainer *trainer, bool speaks, double *losses, tuff_buf *first, tuff_buf *last)
{
    if (speaks) say(trainer, first);
    for (int i = 0; i < STEPS; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        losses[i] = step.loss;
        if (speaks) say(trainer, last);
    }
}

static const struct {
    const char *model, *peft_type;
    int64_t micro;
} cases[] = {
    {"llama", NULL, 1},        {"llama", "lora", 2}, {"llama", "prompt_tuning", 1},
    {"gpt2", NULL, 2},         {"gpt2", "lora", 1},  {"gemma3_text", NULL, 1},
    {"gemma3_text", "ia3", 1}, {"bloom", NULL, 1},   {"phi3-long", "lora", 1},
};

static void it_says_what_it_will_say_when_saved(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].model);
        tuff_dataset *data = NULL;
        tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
        tuff_buf first = {0}, last = {0}, saved = {0};
        double losses[2][STEPS];
        char name[32];
        const char *base = kit_golden(cases[i].model);
        p.max_steps = STEPS;
        p.per_device_train_batch_size = 2;
        p.gradient_accumulation_steps = cases[i].micro;
        p.learning_rate = cases[i].peft_type ? 3e-1 : 1e-2;
        p.peft_type = cases[i].peft_type;
        p.lora_dropout = cases[i].peft_type && strcmp(cases[i].peft_type, "lora") == 0 ? 0.1 : 0;
        KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
        for (int speaks = 0; speaks < 2; speaks++) {
            tuff_trainer *trainer = NULL;
            KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
            steps_of(trainer, speaks, losses[speaks], &first, &last);
            snprintf(name, sizeof name, "saved-%zu-%d", i, speaks);
            KIT_OK(tuff_trainer_save(trainer, kit_path(name)));
            tuff_trainer_destroy(&trainer);
        }
        assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
        say_saved(cases[i].peft_type ? base : kit_path(name), cases[i].peft_type ? kit_path(name) : NULL,
                  &saved);
        if (strcmp(last.data, saved.data) != 0)
            fail_msg("%s, %s: \"%s\" while it is trained, \"%s\" when it is saved", cases[i].model,
                     cases[i].peft_type ? cases[i].peft_type : "full", last.data, saved.data);
        if (strcmp(first.data, last.data) == 0)
            fail_msg("%s, %s: the training changes nothing", cases[i].model,
                     cases[i].peft_type ? cases[i].peft_type : "full");
        say_saved(base, NULL, &saved);
        if (!cases[i].peft_type || strcmp(cases[i].peft_type, "lora") == 0)
            assert_string_equal(first.data, saved.data);
        tuff_buf_free(&first);
        tuff_buf_free(&last);
        tuff_buf_free(&saved);
        tuff_dataset_destroy(&data);
        tuff_model_destroy(&model);
    }
}

/* With averages it is these that speak, as they are saved; without them the same training says something
 * else. */
static void averages_speak(void **state)
{
    (void)state;
    tuff_model *model = model_open("llama");
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
    for (int lora = 0; lora < 2; lora++) {
        tuff_buf first = {0}, last[2] = {{0}, {0}}, saved = {0};
        double losses[2][STEPS];
        const char *out = kit_path(lora ? "averaged-adapter" : "averaged-model");
        for (int averaged = 0; averaged < 2; averaged++) {
            tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
            tuff_trainer *trainer = NULL;
            p.max_steps = STEPS;
            p.per_device_train_batch_size = 2;
            p.learning_rate = lora ? 3e-1 : 3e-2;
            p.lora_rank = lora ? 4 : 0;
            p.ema_decay = averaged ? 0.9 : 0;
            KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
            steps_of(trainer, true, losses[averaged], &first, &last[averaged]);
            if (averaged) KIT_OK(tuff_trainer_save(trainer, out));
            tuff_trainer_destroy(&trainer);
        }
        assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
        say_saved(lora ? kit_golden("llama") : out, lora ? out : NULL, &saved);
        assert_string_equal(last[1].data, saved.data);
        assert_string_not_equal(last[1].data, last[0].data);
        tuff_buf_free(&first);
        tuff_buf_free(&last[0]);
        tuff_buf_free(&last[1]);
        tuff_buf_free(&saved);
    }
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

static void encoder_decoders_answer(void **state)
{
    (void)state;
    static const char records[] = "{\"source\": \"the river\", \"target\": \"the old bridge\"}\n"
                                  "{\"source\": \"and the\", \"target\": \"stone\"}\n";
    const char *path = kit_path("pairs.jsonl"), *out = kit_path("answers");
    kit_write_file(path, records, sizeof records - 1);
    tuff_model *model = model_open("t5");
    tuff_data_params wanted = TUFF_DATA_PARAMS_INIT;
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_buf first = {0}, last = {0}, saved = {0};
    double losses[STEPS];
    wanted.task = "seq2seq";
    wanted.training = true;
    p.max_steps = STEPS;
    p.per_device_train_batch_size = 2;
    p.learning_rate = 1e-1;
    KIT_OK(tuff_dataset_load(model, path, &wanted, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    steps_of(trainer, true, losses, &first, &last);
    KIT_OK(tuff_trainer_save(trainer, out));
    say_saved(out, NULL, &saved);
    assert_string_equal(last.data, saved.data);
    assert_string_not_equal(last.data, first.data);
    tuff_buf_free(&first);
    tuff_buf_free(&last);
    tuff_buf_free(&saved);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

/* One that writes no text, settings that are none, and calls from within. */
static bool calls_back(const char *text, size_t size, void *user)
{
    tuff_trainer *const *trainer = user;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    (void)text, (void)size;
    KIT_FAILS(tuff_trainer_step(*trainer, &step), TUFF_INVALID_ARGUMENT, "in use");
    KIT_FAILS(tuff_trainer_generate(*trainer, "a", 1, NULL, NULL), TUFF_INVALID_ARGUMENT, "in use");
    return false;
}

static void what_cannot_be_is_said(void **state)
{
    (void)state;
    static const char records[] = "{\"text\": \"the river\", \"label\": \"a\"}\n"
                                  "{\"text\": \"and the\", \"label\": \"b\"}\n";
    const char *path = kit_path("labels.jsonl");
    kit_write_file(path, records, sizeof records - 1);
    tuff_model *llama = model_open("llama");
    tuff_data_params wanted = TUFF_DATA_PARAMS_INIT;
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    tuff_dataset *data = NULL, *blocks = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    wanted.task = "classification";
    wanted.training = true;
    KIT_OK(tuff_dataset_load(llama, path, &wanted, &data));
    KIT_OK(tuff_trainer_create(llama, device, data, NULL, &trainer));
    KIT_FAILS(tuff_trainer_generate(trainer, "the", 3, NULL, NULL), TUFF_UNSUPPORTED,
              "a language model is needed");
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &blocks));
    KIT_OK(tuff_trainer_create(llama, device, blocks, NULL, &trainer));
    p.num_beams = -1;
    KIT_FAILS(tuff_trainer_generate(trainer, "the", 3, &p, NULL), TUFF_INVALID_ARGUMENT, "num_beams");
    p.num_beams = 0;
    p.on_text = calls_back;
    p.user = &trainer;
    KIT_OK(tuff_trainer_generate(trainer, "the", 3, &p, &result));
    assert_int_equal(result.finish, TUFF_FINISH_CANCELLED);
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_dataset_destroy(&blocks);
    tuff_model_destroy(&llama);
}

static tuff_status speak(void *user)
{
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    p.max_new_tokens = 2;
    return tuff_trainer_generate(user, "the river", 9, &p, NULL);
}

/* It gives all its memory back, and the training goes on after one that failed. */
static void memory_may_fail(void **state)
{
    (void)state;
    tuff_model *model = model_open("gpt2");
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
    KIT_OK(tuff_trainer_create(model, device, data, NULL, &trainer));
    KIT_OK(tuff_trainer_step(trainer, &step));
    model_fail_some_allocations(speak, trainer);
    const uint64_t live = kit_live(), bytes = kit_device_stats(device).bytes;
    KIT_OK(speak(trainer));
    assert_int_equal(kit_live(), live);
    assert_int_equal(kit_device_stats(device).bytes, bytes);
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_it_will_say_when_saved),
        cmocka_unit_test(averages_speak),
        cmocka_unit_test(encoder_decoders_answer),
        cmocka_unit_test(what_cannot_be_is_said),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
