/* The largest batches that fit: chosen by the plan's memory, the same training as with these batches. */
#include <math.h>

#include "train/trainer.h"
#include "training_fixture.h"

enum { IDS = 400, EXAMPLES = 12 };

static int begin(void **state)
{
    return training_begin(state, IDS);
}

static tuff_train_params params_of(int64_t batch, int64_t accumulation)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = 3;
    p.per_device_train_batch_size = batch;
    p.gradient_accumulation_steps = accumulation;
    p.learning_rate = 1e-3;
    return p;
}

static tuff_trainer *trainer_of(int64_t batch)
{
    const tuff_train_params p = params_of(batch, EXAMPLES / batch);
    return training_of(llama, p);
}

static uint64_t memory_of(tuff_trainer *trainer)
{
    tuff_train_memory memory = TUFF_TRAIN_MEMORY_INIT;
    KIT_OK(tuff_trainer_get_memory(trainer, &memory));
    return memory.total;
}

/* With the memory that a batch takes, and one byte less. */
static void the_largest_divisor_that_fits(void **state)
{
    (void)state;
    static const int64_t divisors[] = {12, 6, 4, 3, 2, 1};
    enum { DIVISORS = 6 };
    uint64_t memory[DIVISORS];
    const tuff_train_params p = params_of(4, 3);
    for (int i = 0; i < DIVISORS; i++) {
        tuff_trainer *trainer = trainer_of(divisors[i]);
        memory[i] = memory_of(trainer);
        tuff_trainer_destroy(&trainer);
    }
    for (int i = 0; i < 2 * DIVISORS; i++) {
        const uint64_t room = memory[i / 2] - (uint64_t)(i % 2);
        int64_t expected = 0, batch = 0, accumulation = 0;
        for (int k = DIVISORS - 1; k >= 0; k--)
            if (memory[k] <= room) expected = divisors[k];
        tuff_trainer *trainer = NULL;
        const tuff_status status = tuff_trainer_create_fitting(llama, device, data, &p, room, &trainer);
        if (expected == 0) {
            assert_int_equal(status, TUFF_OUT_OF_MEMORY);
            assert_non_null(strstr(tuff_error_message(), "with one example at a time"));
            assert_null(trainer);
            continue;
        }
        assert_int_equal(status, TUFF_OK);
        KIT_OK(tuff_trainer_get_batch(trainer, &batch, &accumulation));
        if (batch != expected)
            fail_msg("%llu bytes: batches of %lld, expected %lld", (unsigned long long)room, (long long)batch,
                     (long long)expected);
        assert_int_equal(batch * accumulation, EXAMPLES);
        assert_true(memory_of(trainer) <= room);
        tuff_trainer_destroy(&trainer);
    }
}

static void it_trains_as_with_that_batch(void **state)
{
    (void)state;
    const tuff_train_params p = params_of(1, EXAMPLES);
    tuff_trainer *chosen = NULL, *given = trainer_of(4), *whole = NULL;
    int64_t batch;
    KIT_OK(tuff_trainer_create_fitting(llama, device, data, &p, memory_of(given), &chosen));
    KIT_OK(tuff_trainer_get_batch(chosen, &batch, NULL));
    assert_int_equal(batch, 4);
    for (int i = 0; i < 3; i++) {
        tuff_train_step a = TUFF_TRAIN_STEP_INIT, b = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(chosen, &a));
        KIT_OK(tuff_trainer_step(given, &b));
        assert_true(isfinite(a.loss) && a.loss == b.loss && a.grad_norm == b.grad_norm);
    }
    /* the device's own memory is enough for all of this */
    KIT_OK(tuff_trainer_create_fitting(llama, device, data, &p, 0, &whole));
    KIT_OK(tuff_trainer_get_batch(whole, &batch, NULL));
    assert_int_equal(batch, EXAMPLES);
    tuff_trainer_destroy(&chosen);
    tuff_trainer_destroy(&given);
    tuff_trainer_destroy(&whole);
}

/* Vectors are trained to be unlike the others of their batch: another batch is another training. */
static void batches_that_are_compared_stay(void **state)
{
    (void)state;
    static const char rows[] = "anchor,positive\na cat,a kitten\na dog,a puppy\n";
    const char *path = kit_temp_path("pairs.csv");
    tuff_dataset *pairs = NULL;
    tuff_trainer *trainer = NULL;
    const tuff_train_params p = params_of(2, 1);
    kit_write_file(path, rows, sizeof rows - 1);
    KIT_OK(tuff_dataset_load_pairs(llama, path, NULL, &pairs));
    KIT_FAILS(tuff_trainer_create_fitting(llama, device, pairs, &p, 0, &trainer), TUFF_UNSUPPORTED,
              "compares the examples of a batch");
    tuff_dataset_destroy(&pairs);
}

/* The loss that keeps routers from always choosing the same experts is of what runs at once. */
static void balanced_experts_stay(void **state)
{
    (void)state;
    static const char *const names[] = {"mixtral-balanced", "mixtral"};
    const tuff_train_params p = params_of(2, 2);
    for (int i = 0; i < 2; i++) {
        tuff_model *experts = model_open(names[i]);
        tuff_trainer *trainer = NULL;
        const tuff_status status = tuff_trainer_create_fitting(experts, device, data, &p, 0, &trainer);
        assert_int_equal(status, i ? TUFF_OK : TUFF_UNSUPPORTED);
        if (!i) assert_non_null(strstr(tuff_error_message(), "asks for the loss of its routers"));
        assert_true((trainer != NULL) == (i == 1));
        tuff_trainer_destroy(&trainer);
        tuff_model_destroy(&experts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_divisor_that_fits),
        cmocka_unit_test(it_trains_as_with_that_batch),
        cmocka_unit_test(batches_that_are_compared_stay),
        cmocka_unit_test(balanced_experts_stay),
    };
    return cmocka_run_group_tests(tests, begin, training_end);
}
