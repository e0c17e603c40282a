/* Moving averages of what is trained: what they are, what is measured, saved and gone on from. */
#include <math.h>

#include "runtime/device.h"
#include "train/trainer.h"
#include "training_fixture.h"

enum { STEPS = 6 };

static int begin(void **state)
{
    return training_begin(state, 160);
}

static tuff_trainer *trainer_of(double decay, int64_t rank)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    p.max_steps = STEPS;
    p.per_device_train_batch_size = 2;
    p.learning_rate = 5e-3;
    p.lora_rank = rank;
    p.ema_decay = decay;
    KIT_OK(tuff_trainer_create(llama, device, data, &p, &trainer));
    return trainer;
}

static double step_of(tuff_trainer *trainer)
{
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    KIT_OK(tuff_trainer_step(trainer, &step));
    return step.loss;
}

static double measure(tuff_trainer *trainer)
{
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_trainer_evaluate(trainer, data, &result));
    return result.loss;
}

static float *values_of(tuff_trainer *trainer, const char *prefix, const char *name, size_t *out_n)
{
    char full[320];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    tuff_buffer *buffer = tuff_store_find(trainer->store, full);
    assert_non_null(buffer);
    *out_n = (size_t)tuff_buffer_count(buffer);
    float *values = tuff_alloc_array(*out_n, sizeof *values);
    assert_non_null(values);
    KIT_OK(tuff_buffer_read(buffer, 0, values, (int64_t)*out_n));
    return values;
}

/* By hand, in double: after the first step the weights, then less and less of them. */
static void averages_move_as_they_should(void **state)
{
    (void)state;
    const char *name = "model.layers.1.mlp.up_proj.weight";
    tuff_trainer *trainer = trainer_of(0.3, 0);
    size_t n = 0;
    double *want = NULL;
    const double begin_loss = measure(trainer); /* of the weights, before any step */
    for (int step = 0; step < STEPS; step++) {
        const double keep = step == 0 ? 0 : fmin(0.3, (1.0 + step) / (10.0 + step));
        step_of(trainer);
        float *weights = values_of(trainer, "", name, &n), *got = values_of(trainer, "ema.", name, &n);
        if (!want) want = tuff_alloc_array(n, sizeof *want);
        assert_non_null(want);
        for (size_t i = 0; i < n; i++) {
            want[i] += (1 - keep) * ((double)weights[i] - want[i]);
            assert_true(fabs(want[i] - (double)got[i]) < 1e-6);
        }
        tuff_free(weights);
        tuff_free(got);
    }
    tuff_free(want);
    assert_true(measure(trainer) < begin_loss);
    tuff_trainer_destroy(&trainer);
}

/* What is measured is what is saved, and the training is as it would be without. */
static void the_result_is_the_average(void **state)
{
    (void)state;
    for (int64_t rank = 0; rank <= 4; rank += 4) {
        const char *saved = kit_path(rank ? "averaged-adapter" : "averaged-model");
        tuff_trainer *plain = trainer_of(0, rank), *averaged = trainer_of(0.9, rank);
        for (int i = 0; i < 4; i++)
            assert_true(step_of(plain) == step_of(averaged));
        const double loss = measure(averaged);
        assert_true(loss != measure(plain));
        KIT_OK(tuff_trainer_save(averaged, saved));
        assert_true(step_of(plain) == step_of(averaged)); /* saving leaves the training alone */
        tuff_eval_params params = TUFF_EVAL_PARAMS_INIT;
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        tuff_model *model = rank ? llama : model_open(saved);
        params.adapter = rank ? saved : NULL;
        params.batch_size = 2;
        KIT_OK(tuff_evaluate(model, device, data, &params, &result));
        assert_true(fabs(result.loss - loss) < 1e-6 * loss);
        if (!rank) tuff_model_destroy(&model);
        const tuff_train_memory a = tuff_trainer_memory(plain), b = tuff_trainer_memory(averaged);
        assert_int_equal(b.optimizer, a.optimizer + 4 * (uint64_t)a.trained_parameters);
        assert_int_equal(b.weights, a.weights);
        tuff_trainer_destroy(&plain);
        tuff_trainer_destroy(&averaged);
    }
}

/* A training without averages that gets some begins them as the weights are. */
static void averages_may_begin_later(void **state)
{
    (void)state;
    const char *directory = kit_path("unaveraged"), *saved = kit_path("averaged-later");
    tuff_trainer *trainer = trainer_of(0, 0);
    tuff_checkpoint *checkpoint = NULL;
    char *lines = NULL;
    step_of(trainer);
    const double loss = measure(trainer);
    KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL));
    tuff_trainer_destroy(&trainer);
    trainer = trainer_of(0.5, 0);
    KIT_OK(tuff_checkpoint_open(directory, NULL, &checkpoint));
    KIT_OK(tuff_checkpoint_differences(checkpoint, trainer, &lines));
    assert_non_null(strstr(lines, "ema_decay was 0, is 0.5\n"));
    KIT_OK(tuff_trainer_resume(trainer, checkpoint));
    assert_true(measure(trainer) == loss);
    KIT_OK(tuff_trainer_save(trainer, saved));
    step_of(trainer);
    assert_true(measure(trainer) < loss);
    tuff_free(lines);
    tuff_checkpoint_destroy(&checkpoint);
    tuff_trainer_destroy(&trainer);
}

static void a_decay_out_of_range_is_refused(void **state)
{
    (void)state;
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    p.ema_decay = 1;
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "ema_decay is 1");
}

static tuff_status train(void *user)
{
    const tuff_train_params *p = user;
    tuff_trainer *trainer = NULL;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    tuff_status status = tuff_trainer_create(llama, device, data, p, &trainer);
    if (status == TUFF_OK) status = tuff_trainer_step(trainer, &step);
    if (status == TUFF_OK) status = tuff_trainer_evaluate(trainer, data, &result);
    tuff_trainer_destroy(&trainer);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = 4;
    p.per_device_train_batch_size = 1;
    p.ema_decay = 0.5;
    p.unfreeze_schedule = "1";
    p.neftune_noise_alpha = 5;
    p.label_smoothing_factor = 0.1;
    assert_true(kit_for_each_allocation_failure(train, &p) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_move_as_they_should), cmocka_unit_test(the_result_is_the_average),
        cmocka_unit_test(averages_may_begin_later),     cmocka_unit_test(a_decay_out_of_range_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("train_average", tests, begin, training_end);
}
