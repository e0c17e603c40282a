/* What freezing does to a training: its memory, its plan, its result; what cannot be done. */
#include "formats/safetensors.h"
#include "runtime/device.h"
#include "runtime/program.h"
#include "train/trainer.h"
#include "training_fixture.h"

static int begin(void **state)
{
    return training_begin(state, 160);
}

static tuff_train_params few_steps(void)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = 4;
    p.per_device_train_batch_size = 2;
    p.learning_rate = 1e-3;
    p.no_shuffle = true;
    return p;
}

static tuff_trainer *trainer_of(tuff_train_params p)
{
    return training_of(llama, p);
}

static void what_is_frozen_takes_no_memory(void **state)
{
    (void)state;
    tuff_train_params p = few_steps();
    tuff_trainer *all = trainer_of(p);
    p.freeze = "embed*,layers.0";
    tuff_trainer *some = trainer_of(p);
    p.freeze = NULL;
    p.unfreeze_schedule = "1";
    tuff_trainer *later = trainer_of(p);
    const tuff_train_memory a = tuff_trainer_memory(all), b = tuff_trainer_memory(some),
                            c = tuff_trainer_memory(later);
    assert_int_equal(b.parameters, a.parameters);
    assert_true(b.trained_parameters < a.trained_parameters * 2 / 3);
    assert_int_equal(b.gradients, 4 * b.trained_parameters);
    assert_int_equal(b.optimizer, 8 * b.trained_parameters + 16);
    assert_int_equal(b.weights, a.weights);
    assert_true(b.arena < a.arena && b.total < a.total);
    assert_true(all->update->plan->n_steps > some->update->plan->n_steps + 10);
    /* the head, then the last layer, each with a counter of its own; the rest is not reached */
    assert_int_equal(c.trained_parameters, b.trained_parameters);
    assert_int_equal(c.optimizer, 8 * c.trained_parameters + 32);
    tuff_trainer_destroy(&all);
    tuff_trainer_destroy(&some);
    tuff_trainer_destroy(&later);
}

static bool same_tensor(const tuff_weights *a, const tuff_weights *b, const char *name)
{
    const tuff_weight *x = tuff_weights_find(a, name), *y = tuff_weights_find(b, name);
    assert_non_null(x);
    assert_non_null(y);
    const size_t n = (size_t)tuff_weight_elements(x);
    float *values = tuff_alloc_array(2 * n, sizeof *values);
    assert_non_null(values);
    KIT_OK(tuff_weight_read(x, TUFF_F32, values));
    KIT_OK(tuff_weight_read(y, TUFF_F32, values + n));
    const bool same = memcmp(values, values + n, n * sizeof *values) == 0;
    tuff_free(values);
    return same;
}

/* Tensors that a run of so many steps has changed are those whose names have `part`. */
static void expect_changed(tuff_train_params p, int steps, const char *const parts[2])
{
    static int run;
    char name[32];
    snprintf(name, sizeof name, "saved-%d", run++);
    const char *saved = kit_path(name);
    tuff_trainer *trainer = trainer_of(p);
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_weights *before = NULL, *after = NULL;
    for (int i = 0; i < steps; i++)
        KIT_OK(tuff_trainer_step(trainer, &step));
    KIT_OK(tuff_trainer_save(trainer, saved));
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden("llama"), "model.safetensors"), &before));
    KIT_OK(tuff_safetensors_open(kit_join(saved, "model.safetensors"), &after));
    assert_int_equal(after->count, before->count); /* it is whole */
    for (size_t i = 0; i < before->count; i++) {
        const char *tensor = before->items[i].name;
        const bool changed = strstr(tensor, parts[0]) || strstr(tensor, parts[1]);
        if (same_tensor(before, after, tensor) == changed) fail_msg("%s, %d steps", tensor, steps);
    }
    tuff_weights_destroy(&before);
    tuff_weights_destroy(&after);
    tuff_trainer_destroy(&trainer);
}

static void only_what_is_not_frozen_changes(void **state)
{
    (void)state;
    tuff_train_params p = few_steps();
    p.train_only = "layers.1,lm_head";
    expect_changed(p, 2, (const char *const[]){"layers.1.", "lm_head"});
    p.gradient_accumulation_steps = 2;
    expect_changed(p, 2, (const char *const[]){"layers.1.", "lm_head"});
    p = few_steps();
    p.freeze = "model.norm";
    p.unfreeze_schedule = "1,3";
    expect_changed(p, 1, (const char *const[]){"lm_head", "lm_head"});
    expect_changed(p, 3, (const char *const[]){"layers.1.", "lm_head"});
    expect_changed(p, 4, (const char *const[]){"layers.", "lm_head"});
}

/* Plans of phases are made as they begin, and their memory with them. */
static void evaluation_goes_through_phases(void **state)
{
    (void)state;
    tuff_train_params p = few_steps();
    p.unfreeze_schedule = "1,2,3";
    tuff_trainer *trainer = trainer_of(p);
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    double last = 1e9;
    for (int i = 0; i < 4; i++) {
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        KIT_OK(tuff_trainer_evaluate(trainer, data, &result));
        assert_true(result.loss < last);
        last = result.loss;
    }
    tuff_trainer_destroy(&trainer);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    tuff_trainer *trainer = NULL;
    tuff_train_params p = few_steps();
    p.freeze = "layer.0";
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "freeze has \"layer.0\", which matches no tensor that could be trained; the nearest names are "
              "layers");
    p.freeze = NULL;
    p.lora_rank = 4;
    p.train_only = "embed*";
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT, "lora_A");
    p.train_only = NULL;
    p.unfreeze_top_layers = -1;
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "unfreeze_top_layers is -1");
    p.unfreeze_top_layers = 0;
    p.unfreeze_schedule = "each";
    KIT_FAILS(tuff_trainer_create(llama, device, data, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "expected one-per-epoch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_frozen_takes_no_memory),
        cmocka_unit_test(only_what_is_not_frozen_changes),
        cmocka_unit_test(evaluation_goes_through_phases),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests_name("train_frozen", tests, begin, training_end);
}
