#define _DEFAULT_SOURCE /* setenv, RLIMIT_DATA */
/* Texts that are larger than the memory that a process may have; what is said of those that cannot be. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model_fixture.h"
#include "train/dataset.h"

static tuff_model *model;

enum { BLOCK = 32, ROOM = 8 << 20, ENDLESS = 260000, CHILD_FAILED = 1, CHILD_NO_MEMORY = 3 };

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

static tuff_data_params params(void)
{
    tuff_data_params p = TUFF_DATA_PARAMS_INIT;
    p.block_size = BLOCK;
    return p;
}

/* What the error is to say where there is too little memory. */
static const char *reason = "out of memory";

static tuff_status train_steps(const tuff_dataset *data, tuff_device *cpu, const char *out)
{
    tuff_train_params p = TUFF_TRAIN_PARAMS_INIT;
    tuff_trainer *trainer = NULL;
    p.max_steps = 8;
    p.per_device_train_batch_size = 2;
    tuff_status status = tuff_trainer_create(model, cpu, data, &p, &trainer);
    for (int i = 0; i < 8 && status == TUFF_OK; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        status = tuff_trainer_step(trainer, &step);
    }
    if (status == TUFF_OK) status = tuff_trainer_save(trainer, out);
    tuff_trainer_destroy(&trainer);
    return status;
}

/* Trains in a process that may have `room` more bytes than it begins with; 0: as many as it wants. Where
 * they are too few, the error is to have this reason. */
static int train_in(size_t room, const char *path, bool no_cache, const char *out)
{
    int ended;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tuff_device *cpu = NULL;
        tuff_dataset *data = NULL;
        tuff_device_params one = TUFF_DEVICE_PARAMS_INIT;
        tuff_data_params p = params();
        one.name = "cpu";
        one.threads = p.threads = 1;
        p.no_cache = no_cache;
        tuff_status status = tuff_device_open(&one, &cpu);
        /* once without a limit, so that what any training takes is there */
        if (status == TUFF_OK) status = tuff_dataset_load(model, kit_path("short.txt"), &p, &data);
        if (status == TUFF_OK) status = train_steps(data, cpu, kit_path("first"));
        tuff_dataset_destroy(&data);
        const rlim_t most = data_size() + room;
        if (room && setrlimit(RLIMIT_DATA, &(struct rlimit){most, most}) != 0) _exit(CHILD_FAILED);
        if (status == TUFF_OK) status = tuff_dataset_load(model, path, &p, &data);
        if (status == TUFF_OK) status = train_steps(data, cpu, out);
        if (status != TUFF_OK) printf("%s\n", tuff_error_message());
        fflush(stdout);
        if (status != TUFF_OUT_OF_MEMORY) _exit(status == TUFF_OK ? 0 : CHILD_FAILED);
        _exit(strstr(tuff_error_message(), reason) ? CHILD_NO_MEMORY : CHILD_FAILED);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended));
    return WEXITSTATUS(ended);
}

static bool can_limit(void)
{
    const char *sanitizer = getenv("TUFF_TEST_SANITIZE"); /* its memory is its own matter */
    return data_size() && !(sanitizer && *sanitizer);
}

/* More than the room: sentences in lines, or all in one line. */
static const char *write_endless(const char *name, bool lines)
{
    const char *path = kit_path(name);
    tuff_buf text;
    kit_write_sentences(path, ENDLESS);
    kit_read_file(path, &text);
    assert_true(text.size > ROOM);
    for (size_t i = 0; i < text.size && !lines; i++)
        if (text.data[i] == '\n') text.data[i] = ' ';
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    return path;
}

static void expect_same_weights(const char *name)
{
    tuff_buf one = {0}, other = {0};
    kit_read_file(kit_join(kit_path("unlimited"), "model.safetensors"), &one);
    kit_read_file(kit_join(kit_path(name), "model.safetensors"), &other);
    assert_int_equal(one.size, other.size);
    assert_memory_equal(one.data, other.data, one.size);
    tuff_buf_free(&one);
    tuff_buf_free(&other);
}

static void a_text_may_be_larger_than_the_memory(void **state)
{
    (void)state;
    if (!can_limit()) skip();
    for (int lines = 0; lines < 2; lines++) {
        const char *path = write_endless(lines ? "lines.txt" : "line.txt", lines);
        assert_int_equal(train_in(ROOM, path, true, kit_path("none")), CHILD_NO_MEMORY);
        assert_int_equal(train_in(ROOM, path, false, kit_path("made")), 0);
        assert_int_equal(train_in(ROOM, path, false, kit_path("found")), 0);
        assert_int_equal(train_in(0, path, true, kit_path("unlimited")), 0);
        expect_same_weights("made");
        expect_same_weights("found");
    }
}

/* ---- texts that cannot be cut */

static char said[1024];
static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == TUFF_LOG_INFO) snprintf(said, sizeof said, "%s", message);
}

static void a_word_larger_than_the_memory_is_said(void **state)
{
    (void)state;
    if (!can_limit()) skip();
    const char *path = kit_path("word.txt");
    tuff_buf text = {0};
    while (text.size < ROOM)
        tuff_buf_text(&text, "theriverandthebridge");
    assert_false(text.failed);
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    reason = "bytes of it at once, as they have no space or line end between words";
    assert_int_equal(train_in(ROOM, path, false, kit_path("none")), CHILD_NO_MEMORY);
    reason = "out of memory";
}

/* A tokenizer whose words are whole texts. */
static void texts_that_are_encoded_whole_are_said_to_be(void **state)
{
    (void)state;
    const char *directory = kit_copy_model(kit_golden("gpt2"), "whole"), *path = kit_path("long.txt");
    tuff_model *usual = model;
    tuff_dataset *data;
    kit_edit_file(kit_join(directory, "tokenizer.json"), "\"use_regex\": true", "\"use_regex\": false");
    model = model_open(directory);
    kit_write_sentences(path, 40000);
    tuff_data_params p = params();
    p.no_cache = true;
    tuff_set_log(hear, TUFF_LOG_INFO, NULL);
    KIT_OK(tuff_dataset_load(model, path, &p, &data));
    tuff_set_log(NULL, TUFF_LOG_WARN, NULL);
    assert_non_null(strstr(
        said, "is encoded as a whole, in memory, as this tokenizer's texts cannot be cut: its words may "
              "go over spaces and line ends"));
    tuff_dataset_destroy(&data);
    reason = "bytes at once, as this tokenizer's texts are not cut";
    if (can_limit()) assert_int_equal(train_in(ROOM, path, true, kit_path("none")), CHILD_NO_MEMORY);
    reason = "out of memory";
    tuff_model_destroy(&model);
    model = usual;
}

static int begin(void **state)
{
    (void)state;
    model = model_open("llama");
    setenv("TUFF_CACHE_DIR", kit_temp_path("cache"), 1);
    kit_write_sentences(kit_path("short.txt"), 20);
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
        cmocka_unit_test(a_text_may_be_larger_than_the_memory),
        cmocka_unit_test(a_word_larger_than_the_memory_is_said),
        cmocka_unit_test(texts_that_are_encoded_whole_are_said_to_be),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
