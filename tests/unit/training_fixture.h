/* Trainings on the CPU: a small model and a text in blocks, which all tests of a group share. */
#ifndef TUFF_TESTS_TRAINING_FIXTURE_H
#define TUFF_TESTS_TRAINING_FIXTURE_H

#include <tuff/checkpoint.h>
#include <tuff/train.h>

#include "cpu_fixture.h"
#include "model_fixture.h"

static tuff_model *llama;
static tuff_dataset *data;

/* A text that says something else at each place. */
static inline void training_ids(int32_t *ids, int count)
{
    for (int i = 0; i < count; i++)
        ids[i] = (i * 37 + i / 7) % 250;
}

/* Blocks of 16 of so many tokens. */
static inline int training_begin(void **state, int tokens)
{
    int32_t *ids = tuff_alloc_array((size_t)tokens, sizeof *ids);
    assert_non_null(ids);
    training_ids(ids, tokens);
    open_device(state);
    llama = model_open("llama");
    KIT_OK(tuff_dataset_from_ids(ids, (size_t)tokens, 16, &data));
    tuff_free(ids);
    return 0;
}

static inline int training_end(void **state)
{
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&llama);
    return close_device(state);
}

static inline tuff_trainer *training_of(const tuff_model *model, tuff_train_params p)
{
    tuff_trainer *trainer = NULL;
    KIT_OK(tuff_trainer_create(model, device, data, &p, &trainer));
    return trainer;
}

/* The loss of the last one. */
static inline double training_steps(tuff_trainer *trainer, int count)
{
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    for (int i = 0; i < count; i++)
        KIT_OK(tuff_trainer_step(trainer, &step));
    return step.loss;
}

static inline tuff_checkpoint *training_checkpoint(const char *directory)
{
    tuff_checkpoint *checkpoint = NULL;
    KIT_OK(tuff_checkpoint_open(directory, NULL, &checkpoint));
    return checkpoint;
}

static inline void expect_same_file(const char *a, const char *b, const char *name)
{
    tuff_buf x = {0}, y = {0};
    kit_read_file(kit_join(a, name), &x);
    kit_read_file(kit_join(b, name), &y);
    if (x.size != y.size || memcmp(x.data, y.data, x.size) != 0)
        fail_msg("%s of %s and %s are not the same", name, a, b);
    tuff_buf_free(&x);
    tuff_buf_free(&y);
}

#endif
