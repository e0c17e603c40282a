/* Signals of the program that uses the library: a handler on the threads' own stacks, called every 150 us,
 * changes no byte of a product, of a training or of a generation. The argument is the number of runs, with
 * one and with two threads each. */
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#include <tuff/generate.h>
#include <tuff/graph.h>
#include <tuff/program.h>
#include <tuff/train.h>

#include "kit/kit.h"

static volatile sig_atomic_t alarms;
static int runs = 2;

static void on_alarm(int number)
{
    (void)number;
    alarms = alarms + 1;
}

static void ring(bool on)
{
    const suseconds_t period = on ? 150 : 0;
    struct itimerval timer = {{0, period}, {0, period}};
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
    alarms = 0;
}

/* ---- one product ---- */

enum { M = 256, N = 352, K = 128, SIGNALS = 5000 };

static float a[M * K], b[N * K], quiet[M * N], loud[M * N];

/* Once, and again until that many signals have come. */
static void multiply(tuff_device *device, int signals, float *out)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    tuff_tensor *x = tuff_input(g, "a", TUFF_F32, 2, (const int64_t[]){M, K});
    tuff_tensor *w = tuff_input(g, "b", TUFF_F32, 2, (const int64_t[]){N, K});
    tuff_output(g, "c", tuff_matmul(g, x, tuff_transpose(g, w)));
    tuff_program *program = NULL;
    KIT_OK(tuff_program_create(device, &g, &program));
    KIT_OK(tuff_program_input(program, "a", a, sizeof a));
    KIT_OK(tuff_program_input(program, "b", b, sizeof b));
    do {
        KIT_OK(tuff_program_run(program));
        KIT_OK(tuff_program_output(program, "c", out, sizeof quiet));
    } while (alarms < signals);
    tuff_program_destroy(&program);
}

static void products_survive(void **state)
{
    (void)state;
    tuff_device *device = kit_cpu();
    for (int i = 0; i < M * K; i++)
        a[i] = (float)(i * 7919 % 2001 - 1000) / 1000;
    for (int i = 0; i < N * K; i++)
        b[i] = (float)(i * 4271 % 2001 - 1000) / 1000;
    multiply(device, 0, quiet);
    ring(true);
    multiply(device, SIGNALS, loud);
    ring(false);
    assert_memory_equal(quiet, loud, sizeof quiet);
    tuff_device_destroy(&device);
}

/* ---- a training and a generation ---- */

enum { STEPS = 6, BLOCK = 64, TOKENS = 40 };

typedef struct outcome {
    double losses[STEPS];
    char text[1024];
    size_t size;
} outcome;

static bool collect(const char *text, size_t size, void *user)
{
    outcome *out = user;
    for (size_t i = 0; i < size && out->size + 1 < sizeof out->text; i++)
        out->text[out->size++] = text[i];
    return true;
}

static void train(const tuff_model *model, tuff_device *device, outcome *out)
{
    int32_t ids[4 * BLOCK * STEPS];
    for (int i = 0; i < 4 * BLOCK * STEPS; i++)
        ids[i] = (i * 37 + i / 7) % 250;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    params.max_steps = STEPS;
    params.per_device_train_batch_size = 4;
    params.learning_rate = 1e-3;
    KIT_OK(tuff_dataset_from_ids(ids, 4 * BLOCK * STEPS, BLOCK, &data));
    KIT_OK(tuff_trainer_create(model, device, data, &params, &trainer));
    for (int i = 0; i < STEPS; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        KIT_OK(tuff_trainer_step(trainer, &step));
        out->losses[i] = step.loss;
    }
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
}

static void work(const tuff_model *model, uint32_t threads, outcome *out)
{
    tuff_device *device = NULL;
    tuff_device_params cpu = TUFF_DEVICE_PARAMS_INIT;
    cpu.name = "cpu";
    cpu.threads = threads;
    KIT_OK(tuff_device_open(&cpu, &device));
    train(model, device, out);
    tuff_generator *generator = NULL;
    tuff_generate_params params = {.struct_size = sizeof params,
                                   .max_new_tokens = TOKENS,
                                   .on_text = collect,
                                   .user = out,
                                   .ignore_eos = true};
    static const char prompt[] = "Once upon a time there was a girl who had a red ball and a very old dog";
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    KIT_OK(tuff_generate(generator, prompt, sizeof prompt - 1, &params, NULL));
    tuff_generator_destroy(&generator);
    tuff_device_destroy(&device);
}

static void work_survives(void **state)
{
    (void)state;
    static outcome alone, rung;
    tuff_model *model = NULL;
    KIT_OK(tuff_model_load(kit_asset("model"), &model));
    work(model, 0, &alone);
    assert_true(alone.size > TOKENS / 2 && alone.losses[STEPS - 1] > 0);
    for (int i = 0; i < 2 * runs; i++) {
        memset(&rung, 0, sizeof rung);
        ring(true);
        work(model, 1 + (uint32_t)i % 2, &rung);
        assert_true(alarms > 10);
        ring(false);
        assert_memory_equal(&alone, &rung, sizeof alone);
    }
    tuff_model_destroy(&model);
}

int main(int argc, char **argv)
{
    const char *sanitizer = getenv("TUFF_TEST_SANITIZE");
    if (sanitizer != NULL && strcmp(sanitizer, "thread") == 0) {
        puts("the thread sanitizer holds signals back until a call where they do no harm");
        return 77;
    }
    if (argc > 1) runs = atoi(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_survive),
        cmocka_unit_test(work_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
