/* Training on lavapipe: accumulated gradients against one batch, trainers side by side, blocks past the
 * context, the same losses as on the CPU; one that goes on from a checkpoint gives the same bytes, and on
 * another device says so. */
#include <math.h>
#include <stdio.h>

#include <tuff/checkpoint.h>
#include <tuff/train.h>

#include "kit/kit.h"

enum { IDS = 210, STEPS = 3 };

static tuff_device *lavapipe, *cpu;
static int32_t ids[IDS];

static tuff_model *model_of(const char *name)
{
    char path[64];
    tuff_model *model = NULL;
    snprintf(path, sizeof path, "golden/%s", name);
    KIT_OK(tuff_model_load(kit_asset(path), &model));
    return model;
}

static tuff_trainer *trainer_of(const tuff_model *model, tuff_device *device, const tuff_dataset *data,
                                int64_t batch, int64_t micro, int64_t lora_rank)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = STEPS;
    p.per_device_train_batch_size = batch;
    p.gradient_accumulation_steps = micro;
    p.learning_rate = 1e-3;
    p.lora_rank = lora_rank;
    p.lora_dropout = lora_rank ? 0.1 : 0;
    p.dropout = TUFF_DROPOUT_NONE;
    tuff_trainer *trainer = NULL;
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    return trainer;
}

static void run(tuff_trainer *trainer, double *losses)
{
    for (int i = 0; i < STEPS; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        assert_false(step.skipped);
        losses[i] = step.loss;
    }
}

static void expect_near(const double *a, const double *b)
{
    for (int i = 0; i < STEPS; i++)
        if (!(fabs(a[i] - b[i]) <= 1e-5 * fabs(b[i]))) fail_msg("step %d: %.9g and %.9g", i, a[i], b[i]);
}

static void accumulation_is_a_larger_batch(void **state)
{
    tuff_model *model = model_of(*state);
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
    double whole[STEPS], parts[STEPS], truth[STEPS];
    tuff_trainer *a = trainer_of(model, lavapipe, data, 4, 1, 0);
    run(a, whole);
    tuff_trainer_destroy(&a);
    a = trainer_of(model, lavapipe, data, 1, 4, 0);
    run(a, parts);
    tuff_trainer_destroy(&a);
    a = trainer_of(model, cpu, data, 4, 1, 0);
    run(a, truth);
    tuff_trainer_destroy(&a);
    expect_near(parts, whole);
    expect_near(whole, truth);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

/* Each gets, bit for bit, what one alone gets; dropout and adapters included. */
static void trainers_do_not_disturb_each_other(void **state)
{
    tuff_model *model = model_of(*state);
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
    double alone[STEPS], losses[2][STEPS];
    tuff_trainer *trainers[2];
    trainers[0] = trainer_of(model, lavapipe, data, 2, 2, 4);
    run(trainers[0], alone);
    tuff_trainer_destroy(&trainers[0]);
    for (int k = 0; k < 2; k++)
        trainers[k] = trainer_of(model, lavapipe, data, 2, 2, 4);
    for (int i = 0; i < STEPS; i++)
        for (int k = 0; k < 2; k++) {
            tuff_train_step step = TUFF_TRAIN_STEP_INIT;
            KIT_OK(tuff_trainer_step(trainers[k], &step));
            losses[k][i] = step.loss;
        }
    for (int k = 0; k < 2; k++) {
        assert_memory_equal(losses[k], alone, sizeof alone);
        tuff_trainer_destroy(&trainers[k]);
    }
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

static void blocks_may_be_longer_than_the_context(void **state)
{
    tuff_model *model = model_of(*state);
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 200, &data));
    double losses[STEPS], truth[STEPS];
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT, expected = TUFF_EVAL_RESULT_INIT;
    tuff_trainer *a = trainer_of(model, lavapipe, data, 1, 1, 0), *b = trainer_of(model, cpu, data, 1, 1, 0);
    run(a, losses);
    run(b, truth);
    expect_near(losses, truth);
    KIT_OK(tuff_trainer_evaluate(a, data, &result));
    KIT_OK(tuff_trainer_evaluate(b, data, &expected));
    assert_int_equal(result.tokens, expected.tokens);
    assert_true(fabs(result.loss - expected.loss) < 1e-4);
    tuff_trainer_destroy(&a);
    tuff_trainer_destroy(&b);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

static void a_checkpoint_gives_the_same_bytes(void **state)
{
    tuff_model *model = model_of(*state);
    tuff_dataset *data = NULL;
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 16, &data));
    for (int64_t rank = 0; rank <= 4; rank += 4) {
        char path[64];
        double whole[STEPS], again[STEPS];
        tuff_checkpoint *checkpoint = NULL;
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        char *lines = NULL;
        snprintf(path, sizeof path, "checkpoint-of-rank-%d", (int)rank);
        tuff_trainer *a = trainer_of(model, lavapipe, data, 2, 2, rank);
        KIT_OK(tuff_trainer_step(a, &step));
        KIT_OK(tuff_trainer_save_checkpoint(a, kit_temp_path(path), NULL));
        run(a, whole);
        tuff_trainer_destroy(&a);
        KIT_OK(tuff_checkpoint_open(kit_temp_path(path), NULL, &checkpoint));
        a = trainer_of(model, lavapipe, data, 2, 2, rank);
        KIT_OK(tuff_checkpoint_differences(checkpoint, a, &lines));
        assert_string_equal(lines, "");
        tuff_free(lines);
        KIT_OK(tuff_trainer_resume(a, checkpoint));
        run(a, again);
        assert_memory_equal(again, whole, sizeof whole);
        tuff_trainer_destroy(&a);
        /* on the CPU it goes on too, and not far from there */
        a = trainer_of(model, cpu, data, 2, 2, rank);
        KIT_OK(tuff_checkpoint_differences(checkpoint, a, &lines));
        assert_non_null(strstr(lines, "the device's name was llvmpipe"));
        assert_non_null(strstr(lines, "the device's driver was lavapipe"));
        assert_non_null(strstr(lines, "other kernels compute: "));
        tuff_free(lines);
        KIT_OK(tuff_trainer_resume(a, checkpoint));
        run(a, again);
        expect_near(again, whole);
        tuff_trainer_destroy(&a);
        tuff_checkpoint_destroy(&checkpoint);
    }
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
}

int main(void)
{
    for (int i = 0; i < IDS; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    if (tuff_device_open(&(tuff_device_params){.struct_size = sizeof(tuff_device_params), .name = "lavapipe"},
                         &lavapipe) != TUFF_OK) {
        printf("skipped: %s\n", tuff_error_message());
        return 77;
    }
    cpu = kit_cpu();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(accumulation_is_a_larger_batch, (void *)"llama"),
        cmocka_unit_test_prestate(accumulation_is_a_larger_batch, (void *)"gpt2"),
        cmocka_unit_test_prestate(trainers_do_not_disturb_each_other, (void *)"llama"),
        cmocka_unit_test_prestate(a_checkpoint_gives_the_same_bytes, (void *)"gpt2"),
        cmocka_unit_test_prestate(blocks_may_be_longer_than_the_context, (void *)"llama"),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&lavapipe);
    tuff_device_destroy(&cpu);
    return failed;
}
