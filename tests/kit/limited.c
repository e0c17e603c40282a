#define _DEFAULT_SOURCE /* RLIMIT_DATA */
#include "kit/limited.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/files.h"

/* Bytes of data that this process has; 0: unknown. */
static size_t data_size(void)
{
    char line[256];
    unsigned long kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmData: %lu kB", &kilobytes) == 1) break;
    if (status) fclose(status);
    return (size_t)kilobytes * 1024;
}

bool kit_can_limit(void)
{
    const char *sanitizer = getenv("TUFF_TEST_SANITIZE");
    return data_size() && !(sanitizer && *sanitizer);
}

static tuff_status train(const kit_limited *how, const char *path, tuff_device *cpu, const char *out)
{
    tuff_data_params params = how->params;
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    params.threads = 1;
    p.max_steps = 8;
    p.per_device_train_batch_size = 2;
    tuff_status status = tuff_dataset_load(how->model, path, &params, &data);
    if (status == TUFF_OK) status = tuff_trainer_create(how->model, cpu, data, &p, &trainer);
    for (int i = 0; i < 8 && status == TUFF_OK; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        status = tuff_trainer_step(trainer, &step);
    }
    if (status == TUFF_OK) status = tuff_trainer_save(trainer, out);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    return status;
}

static int train_limited(const kit_limited *how, size_t room, const char *path, const char *out)
{
    tuff_device *cpu = NULL;
    tuff_device_params one = TUFF_DEVICE_PARAMS_INIT;
    one.name = "cpu";
    one.threads = 1;
    tuff_status status = tuff_device_open(&one, &cpu);
    if (status == TUFF_OK) status = train(how, how->first, cpu, kit_path("first"));
    const rlim_t most = data_size() + room;
    if (room && setrlimit(RLIMIT_DATA, &(struct rlimit){most, most}) != 0) return KIT_TRAINING_FAILED;
    if (status == TUFF_OK) status = train(how, path, cpu, out);
    if (status == TUFF_OK) return KIT_TRAINED;
    printf("%s\n", tuff_error_message());
    fflush(stdout);
    return status == TUFF_OUT_OF_MEMORY && strstr(tuff_error_message(), how->reason) ? KIT_NO_MEMORY
                                                                                     : KIT_TRAINING_FAILED;
}

int kit_train_in(const kit_limited *how, size_t room, const char *path, const char *out)
{
    int ended;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(train_limited(how, room, path, out));
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended));
    return WEXITSTATUS(ended);
}

void kit_expect_same_weights(const char *one, const char *other)
{
    tuff_buf a = {0}, b = {0};
    kit_read_file(kit_join(one, "model.safetensors"), &a);
    kit_read_file(kit_join(other, "model.safetensors"), &b);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    tuff_buf_free(&a);
    tuff_buf_free(&b);
}
