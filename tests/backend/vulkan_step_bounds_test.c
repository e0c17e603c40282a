/* How many dispatches and barriers a step of a real model takes on lavapipe: each costs time on a GPU
 * whatever it computes, and no other test sees their number grow. The table holds what is found today; a
 * change that needs more says so by raising a number here, one that needs fewer lowers it. */
#include <inttypes.h>
#include <stdio.h>

#include <tuff/generate.h>
#include <tuff/train.h>

#include "kit/kit.h"

enum { IDS = 210, FEW = 4, MORE = 12 };

typedef enum work { TRAIN, TRAIN_LORA, ACCUMULATE, DECODE, DECODE_F16 } work;

static const char *const work_names[] = {
    [TRAIN] = "a training step",
    [TRAIN_LORA] = "a training step of a LoRA adapter",
    [ACCUMULATE] = "a training step of two batches",
    [DECODE] = "a new token",
    [DECODE_F16] = "a new token with keys and values as f16",
};

/* Both models have two layers. */
static const struct ceiling {
    const char *model;
    work work;
    uint64_t dispatches, barriers;
} ceilings[] = {
    /* clang-format off */
    {"gpt2", TRAIN, 95, 72},
    {"gpt2", TRAIN_LORA, 85, 79},
    {"gpt2", ACCUMULATE, 269, 188},
    {"gpt2", DECODE, 40, 40},
    {"gpt2", DECODE_F16, 40, 40},
    {"llama", TRAIN, 106, 73},
    {"llama", TRAIN_LORA, 211, 154},
    {"llama", ACCUMULATE, 270, 166},
    {"llama", DECODE, 40, 33},
    {"llama", DECODE_F16, 40, 33},
    /* clang-format on */
};

static tuff_device *device;

static tuff_device_stats stats(void)
{
    tuff_device_stats s = TUFF_DEVICE_STATS_INIT;
    KIT_OK(tuff_device_get_stats(device, &s));
    return s;
}

/* What one call of tuff_trainer_step submits. */
static void count_training(const tuff_model *model, work kind, struct ceiling *found)
{
    int32_t ids[IDS];
    for (int i = 0; i < IDS; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = 3;
    p.per_device_train_batch_size = 2;
    p.gradient_accumulation_steps = kind == ACCUMULATE ? 2 : 1;
    p.lora_rank = kind == TRAIN_LORA ? 4 : 0;
    p.dropout = TUFF_DROPOUT_NONE;
    tuff_trainer *trainer = NULL;
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    tuff_device_stats before = stats(), after = before;
    for (int i = 0; i < 3; i++) { /* the first steps put the weights on the device and test kernels */
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        before = stats();
        KIT_OK(tuff_trainer_step(trainer, &step));
        after = stats();
    }
    found->dispatches = after.dispatches - before.dispatches;
    found->barriers = after.barriers - before.barriers;
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

static tuff_device_stats generate(tuff_generator *generator, int64_t n)
{
    tuff_generate_params p = TUFF_GENERATE_PARAMS_INIT;
    tuff_generate_result result = TUFF_GENERATE_RESULT_INIT;
    p.max_new_tokens = n;
    p.ignore_eos = true;
    tuff_device_stats before = stats();
    KIT_OK(tuff_generate(generator, "the", 3, &p, &result));
    assert_int_equal(result.new_tokens, n);
    tuff_device_stats after = stats();
    after.dispatches -= before.dispatches;
    after.barriers -= before.barriers;
    return after;
}

/* What a longer text submits more than a shorter one from the same prompt, by token. */
static void count_decoding(const tuff_model *model, work kind, struct ceiling *found)
{
    tuff_generator_params p = TUFF_GENERATOR_PARAMS_INIT;
    p.context_length = 64;
    p.cache_f16 = kind == DECODE_F16;
    tuff_generator *generator = NULL;
    KIT_OK(tuff_generator_create(model, device, &p, &generator));
    generate(generator, MORE); /* tests kernels and makes room in the cache */
    tuff_device_stats few = generate(generator, FEW), more = generate(generator, MORE);
    assert_int_equal((more.dispatches - few.dispatches) % (MORE - FEW), 0);
    assert_int_equal((more.barriers - few.barriers) % (MORE - FEW), 0);
    found->dispatches = (more.dispatches - few.dispatches) / (MORE - FEW);
    found->barriers = (more.barriers - few.barriers) / (MORE - FEW);
    tuff_generator_destroy(&generator);
}

static void steps_stay_within_their_bounds(void **state)
{
    (void)state;
    unsigned n_grown = 0;
    for (size_t i = 0; i < sizeof ceilings / sizeof *ceilings; i++) {
        const struct ceiling *c = &ceilings[i];
        struct ceiling found = *c;
        char path[64];
        tuff_model *model = NULL;
        snprintf(path, sizeof path, "golden/%s", c->model);
        KIT_OK(tuff_model_load(kit_asset(path), &model));
        if (c->work == DECODE || c->work == DECODE_F16)
            count_decoding(model, c->work, &found);
        else
            count_training(model, c->work, &found);
        tuff_model_destroy(&model);
        assert_true(found.dispatches > 0 && found.barriers > 0);
        bool grown = found.dispatches > c->dispatches || found.barriers > c->barriers;
        bool less = found.dispatches < c->dispatches || found.barriers < c->barriers;
        if (grown || less)
            print_message("%s, %s: found %" PRIu64 " dispatches and %" PRIu64
                          " barriers, expected at most %" PRIu64 " and %" PRIu64 "%s\n",
                          c->model, work_names[c->work], found.dispatches, found.barriers, c->dispatches,
                          c->barriers, grown ? "" : ": lower the numbers of this test's table");
        n_grown += grown;
    }
    if (n_grown) fail_msg("%u steps take more than the table of this test allows", n_grown);
}

int main(void)
{
    tuff_device_params p = TUFF_DEVICE_PARAMS_INIT;
    p.name = "lavapipe";
    p.submit_ms = 60 * 1000; /* on a busy machine too no dispatch is cut into parts */
    if (tuff_device_open(&p, &device) != TUFF_OK) {
        printf("skipped: %s\n", tuff_error_message());
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_stay_within_their_bounds)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
