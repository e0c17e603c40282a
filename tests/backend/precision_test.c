/* Training with operands of products rounded to bf16: near f32 and not the same, by AMX and without, the same
 * bits by seed and for any number of threads, and on lavapipe nearly the same; under signals, too. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <signal.h>
#include <sys/time.h>

#include <tuff/generate.h>
#include <tuff/train.h>

#include "backend/cpu/amx.h"
#include "kit/kit.h"

enum { STEPS = 5, BLOCK = 48, BATCH = 4 };

typedef struct setting {
    const char *device;
    uint32_t threads;
    bool bf16, hide_amx;
    int64_t lora_rank;
    const char *optim;
    double learning_rate;
} setting;

typedef struct outcome {
    double losses[STEPS], measured;
} outcome;

static void train(const setting *s, outcome *out)
{
    int32_t ids[BATCH * BLOCK * STEPS];
    for (int i = 0; i < BATCH * BLOCK * STEPS; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_device_params where = TUFF_DEVICE_PARAMS_INIT;
    where.name = s->device ? s->device : "cpu";
    where.threads = s->threads;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    params.max_steps = STEPS;
    params.per_device_train_batch_size = BATCH;
    params.learning_rate = s->learning_rate;
    params.bf16 = s->bf16;
    params.lora_rank = s->lora_rank;
    params.optim = s->optim;
    tuff_amx_hide(s->hide_amx);
    KIT_OK(tuff_model_load(kit_asset("model"), &model));
    KIT_OK(tuff_device_open(&where, &device));
    KIT_OK(tuff_dataset_from_ids(ids, BATCH * BLOCK * STEPS, BLOCK, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &params, &trainer));
    for (int i = 0; i < STEPS; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        out->losses[i] = step.loss;
    }
    tuff_eval_result measured = TUFF_EVAL_RESULT_INIT;
    KIT_OK(tuff_trainer_evaluate(trainer, data, &measured));
    out->measured = measured.loss;
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    tuff_amx_hide(false);
}

/* The largest relative difference of a loss. */
static double apart(const outcome *a, const outcome *b)
{
    double most = fabs(a->measured / b->measured - 1);
    for (int i = 0; i < STEPS; i++)
        most = fmax(most, fabs(a->losses[i] / b->losses[i] - 1));
    return most;
}

static void losses_are_near_those_of_f32(void **state)
{
    (void)state;
    /* With LoRA only its small matrices move. Of a whole model whose file has bf16, as here, a step of less
     * than half an ulp of that does not show in what is multiplied, so that one learns later, with autocast
     * as well. */
    static const struct {
        setting s;
        double bound;
    } kinds[] = {{{.threads = 2, .lora_rank = 4, .learning_rate = 1e-3}, 2e-3},
                 {{.threads = 2, .learning_rate = 1e-3}, 1e-2},
                 {{.threads = 2, .optim = "muon", .learning_rate = 1e-3}, 5e-2}};
    for (int i = 0; i < 3; i++) {
        setting s = kinds[i].s;
        outcome exact, rounded, plain;
        train(&s, &exact);
        s.bf16 = true;
        train(&s, &rounded);
        s.hide_amx = true;
        train(&s, &plain);
        const double first = fabs(rounded.losses[0] / exact.losses[0] - 1);
        if (!(first > 1e-6 && first < 2e-4 && apart(&rounded, &exact) < kinds[i].bound &&
              apart(&rounded, &plain) < 1e-3))
            fail_msg(
                "training %d: the first loss is off by %g, the others by up to %g; with AMX and without they "
                "differ by %g",
                i, first, apart(&rounded, &exact), apart(&rounded, &plain));
    }
}

static void bits_are_those_of_the_seed(void **state)
{
    (void)state;
    for (int hide = 0; hide < 2; hide++) {
        const setting one = {.threads = 1, .bf16 = true, .hide_amx = hide, .learning_rate = 1e-3},
                      two = {.threads = 3, .bf16 = true, .hide_amx = hide, .learning_rate = 1e-3};
        outcome a, b, c;
        train(&two, &a);
        train(&two, &b);
        train(&one, &c);
        assert_memory_equal(&a, &b, sizeof a);
        assert_memory_equal(&a, &c, sizeof a);
    }
}

static void lavapipe_agrees(void **state)
{
    (void)state;
    tuff_device *device = NULL;
    tuff_device_params where = TUFF_DEVICE_PARAMS_INIT;
    where.name = "llvmpipe";
    if (tuff_device_open(&where, &device) != TUFF_OK) skip();
    tuff_device_destroy(&device);
    const setting cpu = {.bf16 = true, .learning_rate = 1e-4},
                  vulkan = {.device = "llvmpipe", .bf16 = true, .learning_rate = 1e-4};
    outcome a, b;
    train(&cpu, &a);
    train(&vulkan, &b);
    assert_true(apart(&a, &b) < 5e-4);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms = alarms + 1;
}

/* On the threads' own stacks; the tiles are part of what the system saves. */
static void signals_change_nothing(void **state)
{
    (void)state;
    const setting s = {.threads = 2, .bf16 = true, .learning_rate = 1e-3};
    const struct itimerval off = {{0, 0}, {0, 0}}, on = {{0, 150}, {0, 150}};
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    outcome quiet, rung;
    train(&s, &quiet);
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &on, NULL), 0);
    for (int i = 0; i < 3; i++) {
        train(&s, &rung);
        assert_memory_equal(&quiet, &rung, sizeof quiet);
    }
    assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
    assert_true(alarms > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_near_those_of_f32),
        cmocka_unit_test(bits_are_those_of_the_seed),
        cmocka_unit_test(signals_change_nothing),
        cmocka_unit_test(lavapipe_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
