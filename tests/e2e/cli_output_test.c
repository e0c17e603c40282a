/* Output directories: changed whole or not at all, by one run at a time. */
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kit/command.h"

#define TRAIN(out, ...)                                                                        \
    "train", "--model", kit_golden("llama"), "--train-file", kit_text(), "--block-size", "16", \
        "--output-dir", (out), __VA_ARGS__

static pid_t running;
static void end_running(void) /* also when a check failed before the test did */
{
    if (running > 0) kill(running, SIGKILL);
}

/* Starts a training that only ends when it is told to; it has begun its steps when its log is there. */
static pid_t start_long_training(const char *out, const char *log)
{
    const char *const argv[] = {getenv("TUFF_TEST_TUFF"), TRAIN(out, "--num-train-epochs", "1e6", "--quiet"),
                                NULL};
    if (!argv[0]) skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    running = child;
    for (int i = 0; i < 6000 && !tuff_is_file(log); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_true(tuff_is_file(log));
    return child;
}

static int end(pid_t child, int with)
{
    int status;
    kill(child, with);
    running = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_second_run_is_refused(void **state)
{
    (void)state;
    const char *there = kit_path("there"), *new = kit_path("new");
    assert_int_equal(mkdir(there, 0755), 0);
    pid_t first = start_long_training(there, kit_path("there/.tuff-stage/train_log.jsonl"));
    KIT_REFUSES(1, "another process is writing to", TRAIN(there, "--max-steps", "1"));
    KIT_REFUSES(1, "another process is writing to", "convert", kit_golden("llama"), "--to", "hf", "--output",
                there, "--overwrite");
    assert_int_equal(end(first, SIGTERM), 1); /* interrupted, and saved */
    assert_true(tuff_is_file(kit_join(there, "model.safetensors")));
    assert_true(tuff_is_file(kit_join(there, "train_log.jsonl")));
    assert_false(tuff_is_directory(kit_join(there, ".tuff-stage")));

    first = start_long_training(new, kit_path(".new.tuff-stage/train_log.jsonl"));
    KIT_REFUSES(1, "another process is writing to", TRAIN(new, "--max-steps", "1"));
    assert_int_equal(end(first, SIGTERM), 1);
    assert_true(tuff_is_file(kit_join(new, "model.safetensors")));
}

/* What a killed run leaves is cleared away by the next one. */
static void test_killed_run_leaves_nothing_for_long(void **state)
{
    (void)state;
    const char *out = kit_path("killed");
    int entries = kit_count_entries(kit_temp_directory());
    assert_int_equal(end(start_long_training(out, kit_path(".killed.tuff-stage/train_log.jsonl")), SIGKILL),
                     128 + SIGKILL);
    assert_false(tuff_is_directory(out));
    KIT_DO(TRAIN(out, "--max-steps", "1"));
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries + 1);
    KIT_DO("eval", "--model", out, "--file", kit_text());
}

/* Each way to read a directory completes a commit that was cut short. */
static void test_readers_complete_a_commit(void **state)
{
    (void)state;
    static const char record[] = "tuff commit 1\nput 12 marked.txt\nend\n";
    const char *model = kit_copy_model(kit_golden("llama"), "cut"), *adapter = kit_path("adapter");
    KIT_DO(TRAIN(adapter, "--max-steps", "0", "--lora-rank", "2"));
    const char *const file = kit_join(model, "model.safetensors");
    const char *const readers[][8] = {
        {"inspect", model},
        {"inspect", file},
        {"eval", "--model", model, "--file", kit_text()},
        {"eval", "--model", kit_golden("llama"), "--adapter", adapter, "--file", kit_text()},
        {"convert", file, "--to", "gguf", "--output", kit_path("cut.gguf")}};
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        const char *directory = i == 3 ? adapter : model, *stage = kit_join(directory, ".tuff-stage");
        assert_int_equal(mkdir(stage, 0755), 0);
        kit_write_file(kit_join(stage, ".tuff-commit"), record, sizeof record - 1);
        kit_write_file(kit_join(stage, "marked.txt"), "not yet here", 12);
        kit_result r = kit_expect_success(readers[i]);
        kit_result_free(&r);
        assert_true(tuff_is_file(kit_join(directory, "marked.txt")));
        assert_false(tuff_is_directory(stage));
        assert_int_equal(remove(kit_join(directory, "marked.txt")), 0);
    }
}

/* What is written beside the result is never put in the place of what is read, nor of the result. */
static void test_inputs_are_not_written_over(void **state)
{
    (void)state;
    const char *model = kit_copy_model(kit_golden("llama"), "base"), *text = kit_path("own.txt");
    const char *weights = kit_join(model, "model.safetensors"), *alias = kit_path("alias"),
               *gguf = kit_path("base.gguf"), *out = kit_path("over");
    kit_copy_file(kit_text(), text);
    KIT_DO("convert", model, "--to", "gguf", "--output", gguf);
    KIT_DO(TRAIN(out, "--max-steps", "0"));
    assert_int_equal(link(gguf, alias), 0);
    static const char *const options[] = {"--log-file", "--dump-batches", "--profile"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const char *const files[] = {gguf,
                                     alias,
                                     text,
                                     kit_join(out, "config.json"),
                                     kit_join(out, "model.safetensors"),
                                     kit_join(out, "run.json"),
                                     kit_join(out, "trainer_state.json"),
                                     kit_join(out, "generation_config.json")};
        for (size_t k = 0; k < sizeof files / sizeof files[0]; k++)
            KIT_REFUSES(1, "would replace", "train", "--model", gguf, "--train-file", text, "--output-dir",
                        out, "--overwrite-output-dir", "--max-steps", "1", options[i], files[k]);
        KIT_REFUSES(1, "is a directory", "train", "--model", gguf, "--train-file", text, "--output-dir",
                    kit_path("unmade"), options[i], model);
    }
    KIT_REFUSES(1, "would replace", "train", "--model", gguf, "--train-file", text, "--print-plan",
                "--dump-batches", gguf);
    KIT_REFUSES(1, "would replace", "generate", "--model", model, "--prompt", "x", "--profile", weights);
    KIT_REFUSES(1, "would replace", "generate", "--model", model, "--prompt-file", text, "--profile", text);
    KIT_REFUSES(1, "would replace", "eval", "--model", model, "--file", text, "--dump-logits", weights);
    KIT_REFUSES(1, "would replace", "embed", "--model", model, "--file", text, "--output", text);
    KIT_REFUSES(1, "would replace", "embed", "--model", model, "--file", text, "--output", weights);
    KIT_REFUSES(1, "would replace", "eval", "--model", gguf, "--file", text, "--dump-logits", gguf);
    KIT_DO("eval", "--model", gguf, "--file", text);
    KIT_DO("eval", "--model", model, "--file", text);
}

/* All files of a model are read, also shards, by whatever names, and what lies beside weights that are named.
 */
static void test_files_of_a_model_are_not_written_over(void **state)
{
    (void)state;
    const char *model = kit_copy_model(kit_golden("llama"), "whole"), *text = kit_path("own.txt"),
               *out = kit_path("fresh"), *weights = kit_join(model, "model.safetensors"),
               *log = kit_join(model, "train.jsonl");
    const char *const files[] = {kit_join(model, "shard-2-of-3.safetensors"),
                                 kit_join(model, "1_Pooling/config.json"), kit_join(model, "other.model"),
                                 kit_path("alias-of-shard"), kit_join(model, "tokenizer.json")};
    kit_copy_file(kit_text(), text);
    assert_int_equal(mkdir(kit_join(model, "1_Pooling"), 0755), 0);
    for (size_t i = 0; i < 3; i++)
        kit_write_file(files[i], "{}", 2);
    assert_int_equal(symlink(files[0], files[3]), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        KIT_REFUSES(1, "would replace a file of ", "train", "--model", model, "--train-file", text,
                    "--output-dir", out, "--max-steps", "0", "--log-file", files[i]);
    for (int i = 0; i < 2; i++)
        KIT_REFUSES(1, "would replace a file of ", "train", "--model", weights, "--train-file", text,
                    "--output-dir", out, "--max-steps", "0", "--dump-batches", files[i ? 4 : 0]);
    KIT_REFUSES(1, "--profile and --log-file are both ", "train", "--model", model, "--train-file", text,
                "--output-dir", out, "--max-steps", "0", "--log-file", log, "--profile", log);
    KIT_DO("train", "--model", model, "--train-file", text, "--output-dir", out, "--max-steps", "0",
           "--log-file", log);
    KIT_DO("train", "--model", weights, "--train-file", text, "--output-dir", out, "--max-steps", "0",
           "--log-file", log, "--overwrite-output-dir", "--dump-batches", kit_join(model, "model-batches"));
}

/* A directory that is written is not the one that is read, and has no file that is. */
static void test_results_do_not_replace_inputs(void **state)
{
    (void)state;
    const char *model = kit_copy_model(kit_golden("llama"), "own-model"), *text = kit_path("own.txt"),
               *out = kit_path("own-out"), *gguf = kit_path("own.gguf"), *run = kit_join(out, "run.json"),
               *template = kit_join(out, "chat_template.jinja"), *logits = kit_path("config.json");
    static const char settings[] = "{\"max_steps\": 2, \"block_size\": 32, \"save_steps\": 1}";
    kit_copy_file(kit_text(), text);
    assert_int_equal(mkdir(out, 0755), 0);
    kit_write_file(run, settings, sizeof settings - 1);
    kit_write_file(template, "{{ messages }}", 14);
    KIT_REFUSES(1, "would replace", "train", "--config", run, "--model", model, "--train-file", text,
                "--output-dir", out);
    KIT_REFUSES(1, "which is given as --model; choose another directory", "train", "--model", model,
                "--train-file", text, "--max-steps", "0", "--output-dir", model, "--overwrite-output-dir");
    KIT_REFUSES(1, "which is given as --model", "train", "--model", kit_join(model, "model.safetensors"),
                "--train-file", text, "--max-steps", "0", "--output-dir", model, "--overwrite-output-dir");
    KIT_REFUSES(1, "which is read; choose another directory", "convert", model, "--to", "hf", "--output",
                model, "--overwrite");
    KIT_REFUSES(1, "which is given as --chat-template", "train", "--model", model, "--train-file", text,
                "--max-steps", "0", "--chat-template", template, "--task", "sft", "--output-dir", out);
    KIT_DO("convert", model, "--to", "gguf", "--output", gguf);
    KIT_REFUSES(1, "which is read; choose another file", "convert", gguf, "--to", "gguf", "--dtype", "q8_0",
                "--output", gguf, "--overwrite");
    kit_write_file(logits, "{}", 2);
    KIT_REFUSES(1, "which is given as --config", "eval", "--config", logits, "--model", model, "--file", text,
                "--dump-logits", logits);
    KIT_REFUSES(1, "which is given as --chat-template", "generate", "--model", model, "--messages", text,
                "--chat-template", template, "--profile", template);

    /* what a run goes on from is its own */
    assert_int_equal(rename(run, kit_path("settings.json")), 0);
    assert_int_equal(remove(template), 0);
    KIT_DO("train", "--config", kit_path("settings.json"), "--model", model, "--train-file", text,
           "--output-dir", out, "--device", "cpu");
    KIT_DO("train", "--config", run, "--resume-from-checkpoint", "last", "--output-dir", out, "--max-steps",
           "3", "--device", "cpu");
}

/* Beside a GGUF only other parts of it are read: what else is there may be written anew. */
static void test_what_lies_beside_a_gguf_is_written_anew(void **state)
{
    (void)state;
    const char *text = kit_path("beside.txt"), *model = kit_path("beside.gguf"),
               *part = kit_path("beside-00002-of-00002.gguf"), *logits = kit_path("beside.safetensors");
    kit_copy_file(kit_text(), text);
    kit_write_file(part, "{}", 2);
    KIT_DO("convert", kit_golden("llama"), "--to", "gguf", "--output", model);
    for (int i = 0; i < 2; i++)
        KIT_DO("eval", "--model", model, "--file", text, "--block-size", "16", "--dump-logits", logits);
    KIT_REFUSES(1, "would replace a file of ", "eval", "--model", model, "--file", text, "--dump-logits",
                part);
}

/* A link where the log goes is not written through. */
static void test_log_follows_no_link(void **state)
{
    (void)state;
    const char *out = kit_path("linked"), *victim = kit_path("victim");
    assert_int_equal(mkdir(out, 0755), 0);
    kit_write_file(victim, "precious", 8);
    assert_int_equal(symlink(victim, kit_join(out, "train_log.jsonl")), 0);
    KIT_DO(TRAIN(out, "--max-steps", "1"));
    tuff_buf text;
    kit_read_file(victim, &text);
    assert_string_equal(text.data, "precious");
    tuff_buf_free(&text);
    struct stat info;
    assert_true(lstat(kit_join(out, "train_log.jsonl"), &info) == 0 && S_ISREG(info.st_mode));
}

/* A failed run leaves an existing directory's model and log alone. */
static void test_failed_run_keeps_the_old_model(void **state)
{
    (void)state;
    const char *tuff = getenv("TUFF_TEST_TUFF"), *out = kit_path("kept");
    if (!tuff) skip();
    KIT_DO(TRAIN(out, "--max-steps", "1"));
    tuff_buf before, after;
    kit_read_file(kit_join(out, "train_log.jsonl"), &before);
    kit_result r;
    kit_run((const char *const[]){"sh", "-c", "ulimit -f 16; exec \"$@\"", "sh", tuff,
                                  TRAIN(out, "--max-steps", "2", "--overwrite-output-dir"), NULL},
            &r);
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "kept/model.safetensors: File too large"));
    assert_null(strstr(r.err.data, ".tuff-stage/model"));
    assert_non_null(strstr(r.err.data, "kept/train_log.failed.jsonl"));
    kit_result_free(&r);
    kit_read_file(kit_join(out, "train_log.jsonl"), &after);
    assert_string_equal(before.data, after.data);
    tuff_buf_free(&before);
    tuff_buf_free(&after);
    assert_false(tuff_is_directory(kit_join(out, ".tuff-stage")));
    assert_true(tuff_is_file(kit_join(out, "train_log.failed.jsonl")));
    KIT_DO("eval", "--model", out, "--file", kit_text());
}

/* What was trained is kept where it cannot go where it was to go. */
static void test_result_that_cannot_be_put_in_place(void **state)
{
    (void)state;
    const char *out = kit_path("taken"), *kept = kit_path("taken.unsaved");
    pid_t run = start_long_training(out, kit_path(".taken.tuff-stage/train_log.jsonl"));
    kit_write_file(out, "a file now", 10);
    assert_int_equal(end(run, SIGTERM), 1);
    assert_true(tuff_is_file(out));
    assert_true(tuff_is_file(kit_join(kept, "train_log.jsonl")));
    KIT_DO("eval", "--model", kept, "--file", kit_text());
}

int main(void)
{
    atexit(end_running);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_run_is_refused),
        cmocka_unit_test(test_killed_run_leaves_nothing_for_long),
        cmocka_unit_test(test_readers_complete_a_commit),
        cmocka_unit_test(test_inputs_are_not_written_over),
        cmocka_unit_test(test_files_of_a_model_are_not_written_over),
        cmocka_unit_test(test_results_do_not_replace_inputs),
        cmocka_unit_test(test_what_lies_beside_a_gguf_is_written_anew),
        cmocka_unit_test(test_log_follows_no_link),
        cmocka_unit_test(test_failed_run_keeps_the_old_model),
        cmocka_unit_test(test_result_that_cannot_be_put_in_place),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
