/* Trainings that go on with other tensors frozen, or unfrozen at other steps, than their checkpoint had. */
#include "train/trainer.h"
#include "training_fixture.h"

enum { STEPS = 6 };

static int begin(void **state)
{
    return training_begin(state, 210);
}

static tuff_train_params few_steps(void)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = STEPS;
    p.per_device_train_batch_size = 2;
    p.learning_rate = 1e-3;
    return p;
}

/* A checkpoint of a training that froze other tensors is told, and its weights are taken, frozen ones, too.
 */
static void what_is_frozen_may_change(void **state)
{
    (void)state;
    const char *directory = kit_path("thawed"), *now = kit_path("frozen-now");
    tuff_trainer *trainer = training_of(llama, few_steps());
    training_steps(trainer, 3);
    KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL));
    tuff_trainer_destroy(&trainer);
    tuff_train_params p = few_steps();
    p.freeze = "embed*";
    p.unfreeze_top_layers = 1;
    trainer = training_of(llama, p);
    tuff_checkpoint *checkpoint = training_checkpoint(directory);
    char *lines = NULL;
    KIT_OK(tuff_checkpoint_differences(checkpoint, trainer, &lines));
    assert_non_null(strstr(lines, "freeze was none, is embed*\n"));
    assert_non_null(strstr(lines, "unfreeze_top_layers was 0, is 1\n"));
    KIT_OK(tuff_trainer_resume(trainer, checkpoint));
    KIT_OK(tuff_trainer_save(trainer, now));
    expect_same_file(directory, now, "model.safetensors");
    training_steps(trainer, 1);
    tuff_free(lines);
    tuff_checkpoint_destroy(&checkpoint);
    tuff_trainer_destroy(&trainer);
}

static tuff_train_params phased_steps(const char *freeze, const char *schedule)
{
    tuff_train_params p = few_steps();
    p.freeze = freeze;
    p.unfreeze_schedule = schedule;
    return p;
}

static const char *checkpoint_of(tuff_train_params p, const char *name)
{
    const char *directory = kit_path(name);
    tuff_trainer *trainer = training_of(llama, p);
    training_steps(trainer, 3);
    KIT_OK(tuff_trainer_save_checkpoint(trainer, directory, NULL));
    tuff_trainer_destroy(&trainer);
    return directory;
}

/* Moments of three steps go on with a count of three steps, in whatever phase they are now. */
static void counts_of_steps_follow_their_moments(void **state)
{
    (void)state;
    tuff_checkpoint *checkpoint = training_checkpoint(checkpoint_of(few_steps(), "in-one-phase"));
    const tuff_train_params frozen = phased_steps("embed*", NULL), phased = phased_steps(NULL, "1,2");
    tuff_trainer *want = training_of(llama, frozen), *got = training_of(llama, phased);
    KIT_OK(tuff_trainer_resume(want, checkpoint));
    KIT_OK(tuff_trainer_resume(got, checkpoint));
    for (int i = 3; i < STEPS; i++)
        assert_true(training_steps(want, 1) == training_steps(got, 1));
    tuff_checkpoint_destroy(&checkpoint);
    tuff_trainer_destroy(&want);
    tuff_trainer_destroy(&got);
}

/* Counts that differ cannot become one, unless the optimizer has no use for them. */
static void counts_that_differ_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *name, *freeze, *schedule, *part;
    } cases[] = {{"phases-then", NULL, "1,2", "was trained for "},
                 {"frozen-then", "layers.0", NULL, "was trained for 0 steps and "}};
    for (int i = 0; i < 4; i++) {
        tuff_train_params then = phased_steps(cases[i / 2].freeze, cases[i / 2].schedule),
                          now = phased_steps("embed*", NULL);
        char name[32], *lines = NULL;
        snprintf(name, sizeof name, "%s-%d", cases[i / 2].name, i);
        then.optim = now.optim = i % 2 ? "sgd" : NULL;
        then.momentum = now.momentum = i % 2 ? 0.9 : 0;
        tuff_checkpoint *checkpoint = training_checkpoint(checkpoint_of(then, name));
        tuff_trainer *trainer = training_of(llama, now);
        if (i % 2) {
            KIT_OK(tuff_checkpoint_differences(checkpoint, trainer, &lines));
            KIT_OK(tuff_trainer_resume(trainer, checkpoint));
            tuff_free(lines);
        } else {
            KIT_FAILS(tuff_checkpoint_differences(checkpoint, trainer, &lines), TUFF_INVALID_ARGUMENT,
                      cases[i / 2].part);
            KIT_FAILS(tuff_trainer_resume(trainer, checkpoint), TUFF_INVALID_ARGUMENT,
                      "adamw counts the steps of both as one");
        }
        training_steps(trainer, 1); /* refused before anything was changed */
        tuff_checkpoint_destroy(&checkpoint);
        tuff_trainer_destroy(&trainer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_frozen_may_change),
        cmocka_unit_test(counts_of_steps_follow_their_moments),
        cmocka_unit_test(counts_that_differ_are_refused),
    };
    return cmocka_run_group_tests(tests, begin, training_end);
}
