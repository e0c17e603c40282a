/* Trainings and evaluations that are watched: what a cancelled step leaves, how soon it ends, what is told,
 * and what a callback must not do. */
#define _POSIX_C_SOURCE 200809L
#include <tuff/train.h>

#include "base/file.h"
#include "base/os.h"
#include "model_fixture.h"
#include "request_later.h"
#include "runtime/program.h"
#include "train/trainer.h"

enum { IDS = 40000 };

static tuff_device *device;
static tuff_model *llama;
static tuff_cancel *stop;
static tuff_dataset *small, *large;

static int begin(void **state)
{
    (void)state;
    static int32_t ids[IDS];
    for (int i = 0; i < IDS; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    device = kit_cpu();
    llama = model_open("llama");
    KIT_OK(tuff_cancel_create(&stop));
    KIT_OK(tuff_dataset_from_ids(ids, 200, 16, &small));
    KIT_OK(tuff_dataset_from_ids(ids, IDS, 128, &large));
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_dataset_destroy(&small);
    tuff_dataset_destroy(&large);
    tuff_cancel_destroy(&stop);
    tuff_model_destroy(&llama);
    tuff_device_destroy(&device);
    return 0;
}

static tuff_trainer *trainer_of(const tuff_dataset *data, int64_t batch, int64_t micro, int64_t lora_rank,
                                const tuff_watch *watch)
{
    tuff_trainer *trainer = NULL;
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.max_steps = 4;
    p.per_device_train_batch_size = batch;
    p.gradient_accumulation_steps = micro;
    p.learning_rate = 1e-3;
    p.lora_rank = lora_rank;
    p.watch = watch;
    KIT_OK(tuff_trainer_create(llama, device, data, &p, &trainer));
    return trainer;
}

/* ---- a request that comes at one step of a plan, by an operation that makes it */

static const tuff_op_info *real;

static void request_and_run(const tuff_node *node, const void *const *in, void *const *out, void *scratch)
{
    tuff_cancel_request(stop);
    real->cpu(node, in, out, scratch);
}

/* Runs a step of the trainer in which `program` hears the request before its step k + 1. */
static tuff_status step_cancelled_at(tuff_trainer *trainer, tuff_program *program, size_t k)
{
    tuff_op_info asking;
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_plan_step *at = &program->plan->steps[k];
    real = at->op;
    asking = *real;
    asking.cpu = request_and_run;
    at->op = &asking;
    tuff_status status = tuff_trainer_step(trainer, &step);
    at->op = real;
    tuff_cancel_reset(stop);
    return status;
}

/* Every value that a step changes, one after the other. */
static void read_state(const tuff_trainer *trainer, tuff_buf *out)
{
    *out = (tuff_buf){0};
    for (size_t i = 0; i < tuff_store_count(trainer->store); i++) {
        const char *name;
        tuff_buffer *buffer = tuff_store_at(trainer->store, i, &name);
        if (tuff_starts_with(name, "grad.")) continue;
        size_t bytes = (size_t)tuff_buffer_count(buffer) * tuff_dtype_size(tuff_buffer_dtype(buffer));
        void *values = tuff_alloc(bytes);
        assert_non_null(values);
        KIT_OK(tuff_buffer_read(buffer, 0, values, tuff_buffer_count(buffer)));
        tuff_buf_bytes(out, values, bytes);
        tuff_free(values);
    }
}

static void expect_same_state(const tuff_trainer *a, const tuff_trainer *b)
{
    tuff_buf x, y;
    read_state(a, &x);
    read_state(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    tuff_buf_free(&x);
    tuff_buf_free(&y);
}

/* Wherever in a step the request comes, the step happens whole or not at all, and what follows is as if
 * nobody had asked. */
static void a_cancelled_step_changes_nothing(void **state)
{
    (void)state;
    const tuff_watch watch = {.struct_size = sizeof watch, .cancel = stop};
    for (int kind = 0; kind < 4; kind++) {
        int64_t micro = kind % 2 ? 3 : 1, rank = kind / 2 ? 4 : 0;
        tuff_trainer *plain = trainer_of(small, 2, micro, rank, NULL),
                     *asked = trainer_of(small, 2, micro, rank, &watch);
        tuff_train_step a = TUFF_TRAIN_STEP_INIT, b = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(plain, &a));
        KIT_OK(tuff_trainer_step(asked, &b));
        tuff_program *const programs[] = {asked->update, asked->accumulate};
        size_t cancelled = 0, whole = 0;
        for (int p = 0; p < 2 && programs[p]; p++)
            for (size_t k = 0; k < programs[p]->plan->n_steps; k++) {
                int64_t before = asked->step;
                tuff_status status = step_cancelled_at(asked, programs[p], k);
                if (status == TUFF_OK) {
                    assert_int_equal(asked->step, before + 1);
                    KIT_OK(tuff_trainer_step(plain, &a));
                    whole++;
                } else {
                    assert_int_equal(status, TUFF_CANCELLED);
                    assert_int_equal(asked->step, before);
                    cancelled++;
                }
                expect_same_state(plain, asked);
            }
        assert_true(cancelled > 20 && whole > 0);
        KIT_OK(tuff_trainer_step(plain, &a));
        KIT_OK(tuff_trainer_step(asked, &b));
        assert_true(a.loss == b.loss && a.grad_norm == b.grad_norm);
        expect_same_state(plain, asked);
        tuff_trainer_destroy(&plain);
        tuff_trainer_destroy(&asked);
    }
}

/* ---- another thread */

/* Runs fn with a request after some milliseconds; it must be heard, and soon. A sanitizer makes everything
 * slower; the whole of each call takes far longer than this bound in any build. */
static void expect_soon(tuff_status (*fn)(void *user), void *user, int milliseconds)
{
    later request = {.cancel = stop, .milliseconds = milliseconds};
    request_begin(&request);
    request_was_heard(&request, fn(user), "a cancelled call");
}

static tuff_status one_step(void *user)
{
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    return tuff_trainer_step(user, &step);
}

static tuff_status one_evaluation(void *user)
{
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    return tuff_trainer_evaluate(user, large, &result);
}

static tuff_status own_evaluation(void *user)
{
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    return tuff_evaluate(llama, device, large,
                         &(tuff_eval_params){.struct_size = sizeof(tuff_eval_params), .watch = user},
                         &result);
}

static tuff_status logits(void *user)
{
    return tuff_save_logits(llama, device, large, NULL, user, kit_temp_path("logits"));
}

static void calls_end_soon(void **state)
{
    (void)state;
    const tuff_watch watch = {.struct_size = sizeof watch, .cancel = stop};
    tuff_trainer *trainer = trainer_of(large, 64, 400, 0, &watch); /* minutes */
    expect_soon(one_step, trainer, 300);
    expect_soon(one_evaluation, trainer, 20);
    tuff_trainer_destroy(&trainer);
    trainer = trainer_of(large, 256, 1, 0, &watch); /* one long run */
    expect_soon(one_step, trainer, 100);
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_trainer_destroy(&trainer);
    trainer = trainer_of(small, 2, 1, 0, &watch);
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    expect_soon(own_evaluation, (void *)(uintptr_t)&watch, 20);
    tuff_cancel_request(stop);
    KIT_FAILS(logits((void *)(uintptr_t)&watch), TUFF_CANCELLED, "cancelled");
    tuff_cancel_reset(stop);
    assert_int_equal(kit_count_entries(kit_temp_directory()), 0);
}

/* An evaluation that was cancelled can be done again, with the result that it had had. */
static void an_evaluation_can_be_repeated(void **state)
{
    (void)state;
    const tuff_watch watch = {.struct_size = sizeof watch, .cancel = stop};
    tuff_trainer *trainer = trainer_of(small, 2, 1, 0, &watch);
    tuff_eval_result first = TUFF_EVAL_RESULT_INIT, again = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_trainer_evaluate(trainer, small, &first));
    tuff_cancel_request(stop);
    KIT_FAILS(tuff_trainer_evaluate(trainer, small, &again), TUFF_CANCELLED, "cancelled while evaluating");
    tuff_cancel_reset(stop);
    KIT_OK(tuff_trainer_evaluate(trainer, small, &again));
    assert_true(first.loss == again.loss && first.tokens == again.tokens);
    tuff_trainer_destroy(&trainer);
}

/* ---- what is told */

typedef struct listener {
    tuff_trainer *trainer;
    uint64_t done, total, told[TUFF_PHASE_SAVE + 1];
    tuff_phase refuse; /* ends the call in this phase; TUFF_PHASE_SAVE: never */
} listener;

static bool listen(const tuff_progress *progress, void *user)
{
    listener *l = user;
    assert_true(progress->done <= progress->total);
    if (l->told[progress->phase]++ && progress->done) assert_true(progress->done >= l->done);
    l->done = progress->done;
    l->total = progress->total;
    if (l->trainer) { /* none of this may be done from here */
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
        int32_t ids[32];
        tuff_trainer *same = l->trainer;
        KIT_FAILS(tuff_trainer_step(same, &step), TUFF_INVALID_ARGUMENT, "in use by another call");
        KIT_FAILS(tuff_trainer_evaluate(same, small, &result), TUFF_INVALID_ARGUMENT, "in use");
        KIT_FAILS(tuff_trainer_plan_evaluation(same, small), TUFF_INVALID_ARGUMENT, "in use");
        KIT_FAILS(tuff_trainer_save(same, kit_temp_path("never")), TUFF_INVALID_ARGUMENT, "in use");
        KIT_FAILS(tuff_trainer_next_batch(same, ids, 32), TUFF_INVALID_ARGUMENT, "in use");
        KIT_FAILS(tuff_trainer_dump_batches(same, kit_temp_path("never")), TUFF_INVALID_ARGUMENT, "in use");
        tuff_trainer_destroy(&same);
        assert_ptr_equal(same, l->trainer);
    }
    return progress->phase != l->refuse;
}

static void progress_is_told_and_can_end_calls(void **state)
{
    (void)state;
    listener l = {.refuse = TUFF_PHASE_SAVE};
    const tuff_watch watch = {.struct_size = sizeof watch, .on_progress = listen, .user = &l};
    tuff_trainer *trainer = trainer_of(small, 2, 3, 0, &watch);
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    l.trainer = trainer;
    KIT_OK(tuff_trainer_step(trainer, &step));
    assert_true(l.told[TUFF_PHASE_UPLOAD] > 3);
    assert_true(l.told[TUFF_PHASE_TRAIN] >= 3); /* more where a step takes long */
    l.refuse = TUFF_PHASE_TRAIN;
    KIT_FAILS(tuff_trainer_step(trainer, &step), TUFF_CANCELLED, "cancelled while training");
    KIT_OK(tuff_trainer_evaluate(trainer, small, &result));
    assert_true(l.told[TUFF_PHASE_EVALUATE] >= 7);
    l.refuse = TUFF_PHASE_EVALUATE;
    KIT_FAILS(tuff_trainer_evaluate(trainer, small, &result), TUFF_CANCELLED, "cancelled while evaluating");
    l.refuse = TUFF_PHASE_SAVE;
    KIT_OK(tuff_trainer_step(trainer, &step));
    assert_int_equal(step.step, 2);
    tuff_trainer_destroy(&trainer);
    /* the upload of a first step; and then it goes on */
    l = (listener){.refuse = TUFF_PHASE_UPLOAD};
    trainer = trainer_of(small, 2, 1, 0, &watch);
    KIT_FAILS(tuff_trainer_step(trainer, &step), TUFF_CANCELLED,
              "cancelled while weights were put on the device");
    l.refuse = TUFF_PHASE_SAVE;
    KIT_OK(tuff_trainer_step(trainer, &step));
    tuff_trainer_destroy(&trainer);
    const tuff_watch bad = {0};
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    p.watch = &bad;
    KIT_FAILS(tuff_trainer_create(llama, device, small, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "TUFF_WATCH_INIT");
    KIT_FAILS(tuff_evaluate(llama, device, small,
                            &(tuff_eval_params){.struct_size = sizeof(tuff_eval_params), .watch = &bad},
                            &result),
              TUFF_INVALID_ARGUMENT, "TUFF_WATCH_INIT");
}

/* Of a LoRA, too; and nothing is left of what was cut. */
static void saving_is_told_and_can_end(void **state)
{
    (void)state;
    listener l = {.refuse = TUFF_PHASE_SAVE};
    const tuff_watch watch = {.struct_size = sizeof watch, .on_progress = listen, .user = &l};
    for (int64_t rank = 0; rank <= 2; rank += 2) {
        tuff_trainer *trainer = trainer_of(small, 2, 1, rank, NULL);
        const char *path = kit_temp_path(rank ? "adapter" : "whole");
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        tuff_stage *stage = NULL;
        l = (listener){.refuse = TUFF_PHASE_SAVE};
        KIT_OK(tuff_trainer_step(trainer, &step));
        KIT_OK(tuff_stage_open(path, &stage));
        KIT_FAILS(tuff_trainer_save_into(trainer, stage, &watch), TUFF_CANCELLED, "cancelled while saving");
        tuff_stage_abort(&stage);
        assert_false(tuff_is_directory(path));
        l = (listener){.refuse = TUFF_PHASE_LOAD};
        KIT_OK(tuff_stage_open(path, &stage));
        KIT_OK(tuff_trainer_save_into(trainer, stage, &watch));
        KIT_OK(tuff_stage_commit(&stage));
        assert_true(l.told[TUFF_PHASE_SAVE] > 3);
        assert_true(l.done == l.total && l.total > 0);
        tuff_trainer_destroy(&trainer);
    }
}

/* Weights that overflow: every step is skipped, and the third in a row is an error; the trainer can go on. */
static void a_diverged_training_fails(void **state)
{
    (void)state;
    static const float huge[2] = {3e38f, 3e38f}; /* of the last norm */
    const char *path = kit_copy_model(kit_golden("llama"), "wild");
    kit_poke_file(kit_join(path, "model.safetensors"), -8, huge, sizeof huge);
    tuff_model *wild = model_open(path);
    tuff_trainer *trainer = NULL;
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    assert_int_equal(p.max_nonfinite, 10);
    p.max_nonfinite = 3;
    p.per_device_train_batch_size = 2;
    KIT_OK(tuff_trainer_create(wild, device, small, &p, &trainer));
    for (int i = 1; i <= 6; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        if (i % 3)
            KIT_OK(tuff_trainer_step(trainer, &step));
        else
            KIT_FAILS(tuff_trainer_step(trainer, &step), TUFF_NOT_FINITE, "3 steps in a row");
        assert_int_equal(step.step, i);
        assert_true(step.skipped);
    }
    KIT_OK(tuff_trainer_save(trainer, kit_temp_path("ruined")));
    tuff_trainer_destroy(&trainer);
    p.max_nonfinite = -1;
    KIT_FAILS(tuff_trainer_create(wild, device, small, &p, &trainer), TUFF_INVALID_ARGUMENT,
              "max_nonfinite is -1");
    p.max_nonfinite = 0;
    KIT_OK(tuff_trainer_create(wild, device, small, &p, &trainer));
    for (int i = 1; i <= 12; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
    }
    tuff_trainer_destroy(&trainer);
    tuff_model_destroy(&wild);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancelled_step_changes_nothing),
        cmocka_unit_test(calls_end_soon),
        cmocka_unit_test(an_evaluation_can_be_repeated),
        cmocka_unit_test(progress_is_told_and_can_end_calls),
        cmocka_unit_test(saving_is_told_and_can_end),
        cmocka_unit_test(a_diverged_training_fails),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
