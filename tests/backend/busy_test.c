/* Beside busy processes, one for each processor, a small model generates with all threads about as fast as
 * with one: nobody waits for a thread that the machine does not let run. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tuff/generate.h>

#include "base/os.h"
#include "base/thread.h"
#include "kit/kit.h"

enum { MOST_BUSY = 64, ROUNDS = 6, TOKENS = 120 };

static pid_t busy[MOST_BUSY];
static unsigned n_busy;

static void begin_noise(void)
{
    n_busy = tuff_processors() < MOST_BUSY ? tuff_processors() : MOST_BUSY;
    for (unsigned i = 0; i < n_busy; i++) {
        busy[i] = fork();
        assert_true(busy[i] >= 0);
        if (busy[i] == 0) {
            alarm(120);
            for (volatile unsigned k = 0;; k++)
                ;
        }
    }
}

static void end_noise(void)
{
    for (unsigned i = 0; i < n_busy; i++) {
        kill(busy[i], SIGKILL);
        waitpid(busy[i], NULL, 0);
    }
}

/* Tokens per second. */
static double rate(const tuff_model *model, uint32_t threads)
{
    tuff_device *device = NULL;
    tuff_generator *generator = NULL;
    tuff_device_params cpu = TUFF_DEVICE_PARAMS_INIT;
    cpu.name = "cpu";
    cpu.threads = threads;
    KIT_OK(tuff_device_open(&cpu, &device));
    KIT_OK(tuff_generator_create(model, device, NULL, &generator));
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    params.max_new_tokens = TOKENS;
    params.ignore_eos = true;
    uint64_t begin = tuff_now_ns();
    KIT_OK(tuff_generate(generator, "Once", 4, &params, NULL));
    double seconds = (double)(tuff_now_ns() - begin) * 1e-9;
    tuff_generator_destroy(&generator);
    tuff_device_destroy(&device);
    return TOKENS / seconds;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void all_threads_keep_up_with_one(void **state)
{
    (void)state;
    tuff_model *model = NULL;
    KIT_OK(tuff_model_load(kit_asset("model"), &model));
    double one[ROUNDS], all[ROUNDS];
    begin_noise();
    for (int i = 0; i < ROUNDS; i++) {
        one[i] = rate(model, 1);
        all[i] = rate(model, 0);
    }
    end_noise();
    qsort(one, ROUNDS, sizeof *one, ascending);
    qsort(all, ROUNDS, sizeof *all, ascending);
    double alone = one[ROUNDS / 2], together = all[ROUNDS / 2];
    print_message("beside %u busy processes: %.0f tokens/s with one thread, %.0f with all\n", n_busy, alone,
                  together);
    assert_true(together > 0.4 * alone);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_threads_keep_up_with_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
