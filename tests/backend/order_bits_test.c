/* The order of a plan's steps changes no number: training gives the same bits as the graph has the steps, by
 * levels, and by levels with what stands between two barriers in any order. Passes that rewrite graphs change
 * roundings at most. On the CPU and on lavapipe, with dropout, adapters, and gradients that are added up. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tuff/train.h>

#include "ir/rewrite.h"
#include "kit/kit.h"
#include "runtime/device.h"

enum { IDS = 16 * 36, STEPS = 3, ORDERS = 3, FEW = 2, MANY = 12 /* for chunks of 128 rows */ };

static int32_t ids[IDS];

typedef struct result {
    double losses[STEPS], norms[STEPS];
    bool by_levels;
    uint32_t rewritten; /* a bit per pass that changed the plan */
} result;

static tuff_device *open_device(const char *name, int order, uint32_t without_passes)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    tuff_device *device = NULL;
    params.name = name;
    const tuff_device_test_params test = {.order = order == 0 ? TUFF_ORDER_GRAPH : TUFF_ORDER_LEVELS,
                                          .permute = order == 2 ? 7 : 0,
                                          .without_passes = without_passes,
                                          .wide_bytes = 1};
    return tuff_device_open_for_test(&params, &test, &device) == TUFF_OK ? device : NULL;
}

static result train(tuff_device *device, const char *name, int64_t rank, int64_t micro, int64_t batch)
{
    char path[64];
    result r;
    tuff_model *model = NULL;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    memset(&r, 0, sizeof r);
    snprintf(path, sizeof path, "golden/%s", name);
    p.max_steps = STEPS;
    p.per_device_train_batch_size = batch;
    p.gradient_accumulation_steps = micro;
    p.learning_rate = 1e-2;
    p.lora_rank = rank;
    p.lora_target = rank ? "all-linear" : NULL;
    p.lora_dropout = rank ? 0.1 : 0;
    p.dropout = rank ? TUFF_DROPOUT_NONE : 0.1;
    KIT_OK(tuff_model_load(kit_asset(path), &model));
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    for (int i = 0; i < STEPS; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        assert_false(step.skipped);
        r.losses[i] = step.loss;
        r.norms[i] = step.grad_norm;
    }
    char *text = tuff_program_text(tuff_trainer_program(trainer));
    r.by_levels = strstr(text, "order: by levels") != NULL;
    for (int pass = 0; pass < TUFF_PASS_COUNT; pass++) {
        char none[64];
        snprintf(none, sizeof none, " %s 0", tuff_pass_name((tuff_pass)pass));
        const char *end = strstr(text, "order:"), *at = strstr(text, none);
        if (!at || at > end) r.rewritten |= 1u << pass;
    }
    tuff_free(text);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    return r;
}

static void compare(tuff_device *const *devices, int n, const char *name, int64_t rank, int64_t micro)
{
    result first = train(devices[0], name, rank, micro, FEW);
    assert_false(first.by_levels);
    for (int i = 1; i < n; i++) {
        result other = train(devices[i], name, rank, micro, FEW);
        assert_true(other.by_levels);
        assert_memory_equal(other.losses, first.losses, sizeof first.losses);
        assert_memory_equal(other.norms, first.norms, sizeof first.norms);
    }
}

static void training_gives_the_same_bits(void **state)
{
    tuff_device *devices[ORDERS];
    const int n = strcmp(*state, "cpu") == 0 ? 2 : ORDERS; /* the CPU runs steps one by one */
    for (int i = 0; i < n; i++) {
        devices[i] = open_device(*state, i, 0);
        if (!devices[i]) {
            printf("skipped: %s\n", tuff_error_message());
            assert_int_equal(i, 0);
            skip();
        }
    }
    compare(devices, n, "gpt2", 0, 1);
    compare(devices, n, "llama", 4, 1);
    compare(devices, n, "llama", 0, 2);
    for (int i = 0; i < n; i++)
        tuff_device_destroy(&devices[i]);
}

static void compare_without(const char *device, const char *name, int64_t batch, int64_t micro,
                            uint32_t *seen)
{
    tuff_device *with = open_device(device, 0, 0);
    const result whole = train(with, name, 0, micro, batch);
    tuff_device_destroy(&with);
    *seen |= whole.rewritten;
    for (int pass = 0; pass < TUFF_PASS_COUNT; pass++) {
        tuff_device *without = open_device(device, 0, 1u << pass);
        const result r = train(without, name, 0, micro, batch);
        assert_int_equal(r.rewritten & 1u << pass, 0);
        for (int i = 0; i < STEPS; i++) {
            assert_true(fabs(r.losses[i] - whole.losses[i]) <= 1e-5 * whole.losses[i]);
            assert_true(fabs(r.norms[i] - whole.norms[i]) <= 1e-4 * whole.norms[i]);
        }
        tuff_device_destroy(&without);
    }
}

static void passes_change_roundings_at_most(void **state)
{
    uint32_t seen = 0;
    tuff_device *device = open_device(*state, 0, 0);
    if (!device) {
        printf("skipped: %s\n", tuff_error_message());
        skip();
    }
    tuff_device_destroy(&device);
    compare_without(*state, "gpt2", MANY, 1, &seen);
    compare_without(*state, "llama", FEW, 2, &seen);
    seen |= 1u << TUFF_PASS_precision; /* has to be asked for, and changes more than roundings */
    assert_int_equal(seen, (1u << TUFF_PASS_COUNT) - 1); /* each has something to do in these */
}

int main(void)
{
    for (int i = 0; i < IDS; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(training_gives_the_same_bits, (void *)"cpu"),
        cmocka_unit_test_prestate(training_gives_the_same_bits, (void *)"lavapipe"),
        cmocka_unit_test_prestate(passes_change_roundings_at_most, (void *)"cpu"),
        cmocka_unit_test_prestate(passes_change_roundings_at_most, (void *)"lavapipe"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
