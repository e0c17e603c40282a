#define _DEFAULT_SOURCE /* setenv, RLIMIT_DATA */
/* Records that are more than the memory that a process may have; memory that runs out. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tuff/cache.h>
#include <unistd.h>

#include "base/column.h"
#include "model_fixture.h"
#include "train/dataset.h"
#include "train/record_cache.h"

static tuff_model *model;

static const char *write_records(const char *name, int count)
{
    const char *path = kit_path(name);
    tuff_buf text = {0};
    for (int i = 0; i < count; i++)
        tuff_buf_printf(
            &text,
            "{\"prompt\": \"what is to be said of %d and of %d\", \"completion\": \" they are numbers, "
            "of which %d is the one that comes last\"}\n",
            i, i * 7919 % 1000, i);
    assert_false(text.failed);
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return path;
}

static tuff_data_params params(void)
{
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.task = "sft";
    p.training = true;
    p.max_length = 64;
    return p;
}

enum { ROOM = 8 << 20, MANY = 60000, CHILD_FAILED = 1, CHILD_NO_MEMORY = 3 };

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

static tuff_status train(const char *path, const tuff_data_params *p, tuff_device *cpu, const char *out)
{
    tuff_dataset *data = NULL;
    tuff_trainer *trainer = NULL;
    tuff_train_params t = TUFF_TRAIN_PARAMS_INIT;
    t.max_steps = 8;
    t.per_device_train_batch_size = 2;
    tuff_status status = tuff_dataset_load(model, path, p, &data);
    if (status == TUFF_OK) status = tuff_trainer_create(model, cpu, data, &t, &trainer);
    for (int i = 0; i < 8 && status == TUFF_OK; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        status = tuff_trainer_step(trainer, &step);
    }
    if (status == TUFF_OK) status = tuff_trainer_save(trainer, out);
    tuff_trainer_destroy(&trainer);
    tuff_dataset_destroy(&data);
    return status;
}

/* Trains in a process that may have `room` more bytes than it begins with; 0: as many as it wants. */
static int train_in(size_t room, const char *path, bool no_cache, const char *out)
{
    int ended;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tuff_device *cpu = NULL;
        tuff_device_params one = TUFF_DEVICE_PARAMS_INIT;
        tuff_data_params p = params();
        one.name = "cpu";
        one.threads = p.threads = 1;
        p.no_cache = no_cache;
        tuff_status status = tuff_device_open(&one, &cpu);
        /* once without a limit, so that what any training takes is there */
        if (status == TUFF_OK) status = train(kit_path("few.jsonl"), &p, cpu, kit_path("first"));
        const rlim_t most = data_size() + room;
        if (room && setrlimit(RLIMIT_DATA, &(struct rlimit){most, most}) != 0) _exit(CHILD_FAILED);
        if (status == TUFF_OK) status = train(path, &p, cpu, out);
        if (status != TUFF_OK) printf("%s\n", tuff_error_message());
        fflush(stdout);
        _exit(status == TUFF_OK ? 0 : status == TUFF_OUT_OF_MEMORY ? CHILD_NO_MEMORY : CHILD_FAILED);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended));
    return WEXITSTATUS(ended);
}

static void records_may_be_larger_than_the_memory(void **state)
{
    (void)state;
    const char *sanitizer = getenv("TUFF_TEST_SANITIZE");
    if (!data_size() || (sanitizer && *sanitizer)) skip(); /* whose memory is its own matter */
    setenv("TUFF_CACHE_DIR", kit_temp_path("cache-larger"), 1);
    write_records("few.jsonl", 40);
    char path[512];
    snprintf(path, sizeof path, "%s", write_records("many.jsonl", MANY));
    tuff_buf one = {0}, other = {0};
    tuff_column_limit = 1 << 18;
    assert_int_equal(train_in(ROOM, path, true, kit_path("none")), CHILD_NO_MEMORY);
    assert_int_equal(train_in(ROOM, path, false, kit_path("limited")), 0);  /* makes what is kept */
    assert_int_equal(train_in(ROOM, path, false, kit_path("limited2")), 0); /* finds it */
    assert_int_equal(train_in(0, path, true, kit_path("unlimited")), 0);
    tuff_column_limit = 1 << 24;
    kit_read_file(kit_join(kit_path("unlimited"), "model.safetensors"), &one);
    for (int i = 0; i < 2; i++) {
        kit_read_file(kit_join(kit_path(i ? "limited2" : "limited"), "model.safetensors"), &other);
        assert_int_equal(one.size, other.size);
        assert_memory_equal(one.data, other.data, one.size);
        tuff_buf_free(&other);
    }
    tuff_buf_free(&one);
}

static tuff_status load_and_leave(void *user)
{
    tuff_data_params p = params();
    tuff_dataset *data = NULL;
    p.threads = 3;
    tuff_status status = tuff_dataset_load(model, user, &p, &data);
    if (status == TUFF_OK) {
        tuff_dataset_destroy(&data);
        status = tuff_dataset_load(model, user, &p, &data); /* what is kept */
    }
    tuff_dataset_destroy(&data);
    KIT_OK(tuff_cache_remove_texts());
    return status;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    setenv("TUFF_CACHE_DIR", kit_temp_path("cache-failing"), 1);
    tuff_records_many = 1 << 12;
    tuff_column_limit = 1 << 12;
    model_fail_some_allocations(load_and_leave, (void *)(uintptr_t)write_records("some.jsonl", 60));
    tuff_records_many = 1 << 20;
    tuff_column_limit = 1 << 24;
}

static int begin(void **state)
{
    (void)state;
    model = model_open("llama");
    return 0;
}

static int end(void **state)
{
    (void)state;
    tuff_model_destroy(&model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_may_be_larger_than_the_memory),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
