/* Devices that are lost, at each run of a program: on another one the training goes on from its checkpoint,
 * or begins anew, and ends with the same bytes. */
#include "base/disk.h"
#include "failing_device.h"
#include "kit/killed.h"
#include "training_fixture.h"

enum { STEPS = 4, SAVED = 2 };

static int begin(void **state)
{
    tuff_disk_hook = kit_never_sync;
    return training_begin(state, 210);
}

typedef struct training {
    const char *name, *optim, *schedule, *file;
    int64_t rank, micro;
    double ema;
} training;

static const training trainings[] = {
    {"full", NULL, NULL, "model.safetensors", 0, 1, 0},
    {"lora", NULL, NULL, "adapter_model.safetensors", 4, 2, 0},
    {"8bit", "adamw_8bit", "2", "model.safetensors", 0, 2, 0.9},
};

static tuff_trainer *open_trainer(const training *k, tuff_device *on)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    p.max_steps = STEPS;
    p.per_device_train_batch_size = 2;
    p.gradient_accumulation_steps = k->micro;
    p.learning_rate = 1e-3;
    p.optim = k->optim;
    p.unfreeze_schedule = k->schedule;
    p.lora_rank = k->rank;
    p.lora_dropout = k->rank ? 0.1 : 0;
    p.ema_decay = k->ema;
    KIT_OK(tuff_trainer_create(llama, on, data, &p, &trainer));
    return trainer;
}

/* Until the end, or the device is lost; with a checkpoint on its way. */
static tuff_status train(tuff_trainer *trainer, int64_t from, const char *checkpoint, const char *result,
                         bool *out_saved)
{
    for (int64_t i = from; i < STEPS; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        TUFF_TRY(tuff_trainer_step(trainer, &step));
        if (step.step != SAVED) continue;
        TUFF_TRY(tuff_trainer_save_checkpoint(trainer, checkpoint, NULL));
        *out_saved = true;
    }
    return tuff_trainer_save(trainer, result);
}

/* False: there were fewer runs. */
static bool lost_at(const training *k, int n, const char *checkpoint, const char *result)
{
    bool saved = false;
    tuff_device first = failing_device_open();
    tuff_trainer *trainer = open_trainer(k, &first);
    failing_runs = n;
    const tuff_status status = train(trainer, 0, checkpoint, result, &saved);
    if (status != TUFF_OK) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        assert_int_equal(status, TUFF_DEVICE_LOST);
        KIT_FAILS(tuff_trainer_step(trainer, &step), TUFF_INVALID_ARGUMENT, "go on from a checkpoint");
    }
    tuff_trainer_destroy(&trainer);
    failing_device_close(&first);
    if (status == TUFF_OK) return false;
    tuff_device second = failing_device_open();
    trainer = open_trainer(k, &second);
    if (saved) {
        tuff_checkpoint *c = training_checkpoint(checkpoint);
        KIT_OK(tuff_trainer_resume(trainer, c));
        tuff_checkpoint_destroy(&c);
    }
    KIT_OK(train(trainer, saved ? SAVED : 0, checkpoint, result, &saved));
    tuff_trainer_destroy(&trainer);
    failing_device_close(&second);
    return true;
}

static void it_ends_with_the_same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        const training *k = &trainings[i];
        bool saved = false;
        int runs = 1;
        char names[4][48];
        snprintf(names[0], sizeof names[0], "%s-whole", k->name);
        snprintf(names[1], sizeof names[1], "%s-whole-checkpoint", k->name);
        const char *whole = kit_path(names[0]);
        tuff_trainer *trainer = open_trainer(k, device);
        KIT_OK(train(trainer, 0, kit_path(names[1]), whole, &saved));
        tuff_trainer_destroy(&trainer);
        for (bool lost = true; lost; runs++) {
            snprintf(names[2], sizeof names[2], "%s-lost-%d", k->name, runs);
            snprintf(names[3], sizeof names[3], "%s-checkpoint-%d", k->name, runs);
            lost = lost_at(k, runs, kit_path(names[3]), kit_path(names[2]));
            expect_same_file(whole, kit_path(names[2]), k->file);
        }
        assert_true(runs > STEPS * k->micro);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_with_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, begin, training_end);
}
