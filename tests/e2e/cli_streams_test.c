/* What files, pipes and descriptors the command meets, and what becomes of its output. */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit/command.h"

/* Through a shell: `line` with the command's words as "$@". */
#define SHELL(r, line, ...)                                                                               \
    do {                                                                                                  \
        if (!getenv("TUFF_TEST_TUFF")) skip();                                                            \
        kit_run(                                                                                          \
            (const char *const[]){"sh", "-c", (line), "sh", getenv("TUFF_TEST_TUFF"), __VA_ARGS__, NULL}, \
            (r));                                                                                         \
    } while (0)

#define TRAIN(out, ...)                                                                                \
    "train", "--model", kit_golden("llama"), "--block-size", "16", "--max-steps", "4", "--output-dir", \
        (out), __VA_ARGS__

/* Tables come through a pipe too: they are known by their columns. */
static void test_tables_through_a_pipe(void **state)
{
    (void)state;
    static const char *const tables[] = {"prompt,completion\none, two\nthree,\" four, five\"\n",
                                         "prompt\tcompletion\r\none\t two\r\nthree\t four, five\r\n"};
    for (int i = 0; i < 2; i++) {
        kit_result r;
        char line[600];
        kit_write_file(kit_path("table"), tables[i], strlen(tables[i]));
        snprintf(line, sizeof line, "cat %s | \"$@\"", kit_path("table"));
        SHELL(&r, line, "eval", "--model", kit_golden("llama"), "--task", "sft", "--file", "-", "--json");
        assert_int_equal(r.exit_code, 0);
        cJSON *found = kit_parse(r.out.data, r.out.size);
        const cJSON *data = cJSON_GetObjectItem(found, "data");
        assert_int_equal(kit_number(data, "examples"), 2);
        assert_int_equal(kit_number(data, "malformed"), 0);
        cJSON_Delete(found);
        kit_result_free(&r);
    }
}

static void expect_same(const char *a, const char *b)
{
    tuff_buf x, y;
    kit_read_file(a, &x);
    kit_read_file(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    tuff_buf_free(&x);
    tuff_buf_free(&y);
}

/* Files that are opened do not take the place of descriptors that are closed, and lost output is no success.
 */
static void test_closed_descriptors(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *a = kit_path("a.gguf"), *b = kit_path("b.gguf");
    kit_result r;
    KIT_DO("convert", model, "--to", "gguf", "--output", a);
    SHELL(&r, "exec \"$@\" <&- >&- 2>&-", "convert", model, "--to", "gguf", "--output", b, "--quiet");
    kit_result_free(&r);
    expect_same(a, b);
    SHELL(&r, "exec \"$@\" >&-", "inspect", model);
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "standard output cannot be written"));
    kit_result_free(&r);
    SHELL(&r, "exec \"$@\" 2>&-", TRAIN(kit_path("unheard"), "--train-file", kit_text()));
    assert_int_equal(r.exit_code, 1);
    assert_true(tuff_is_file(kit_path("unheard/model.safetensors")));
    kit_result_free(&r);
    SHELL(&r, "exec \"$@\" 2>&-", TRAIN(kit_path("quiet"), "--train-file", kit_text(), "--quiet"));
    assert_int_equal(r.exit_code, 0);
    kit_result_free(&r);
    SHELL(&r, "exec \"$@\" <&-", "generate", "--model", model, "--prompt-file", "-", "--max-new-tokens", "1");
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "the prompt in - cannot be read"));
    kit_result_free(&r);
}

static void test_text_may_come_through_pipes(void **state)
{
    (void)state;
    kit_result r;
    SHELL(&r, "cat \"$TUFF_TEXT\" | \"$@\"", TRAIN(kit_path("piped"), "--train-file", "/dev/stdin"));
    assert_int_equal(r.exit_code, 0);
    kit_result_free(&r);
    KIT_DO(TRAIN(kit_path("plain"), "--train-file", kit_text()));
    expect_same(kit_path("piped/model.safetensors"), kit_path("plain/model.safetensors"));
    const char *const generate[] = {"generate",         "--model", kit_golden("llama"), "--temperature", "0",
                                    "--max-new-tokens", "4",       "--prompt-file",     "/dev/stdin"};
    SHELL(&r, "(sleep 0.2; printf 'the river') | \"$@\"", generate[0], generate[1], generate[2], generate[3],
          generate[4], generate[5], generate[6], generate[7], generate[8]);
    assert_int_equal(r.exit_code, 0);
    assert_true(tuff_starts_with(r.out.data, "the river"));
    kit_result_free(&r);
    KIT_REFUSES(1, "it is a device", "generate", "--model", kit_golden("llama"), "--prompt-file",
                "/dev/zero");
    KIT_REFUSES(1, "it is a directory", "generate", "--model", kit_golden("llama"), "--prompt-file",
                kit_temp_directory());
    KIT_REFUSES(1, "it is a device", TRAIN(kit_path("none"), "--train-file", "/dev/zero"));
}

/* In a model's place they are refused at once: nobody waits for a writer that never comes. */
static void test_no_files_in_a_model(void **state)
{
    (void)state;
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json", "generation_config.json"};
    const char *model = kit_copy_model(kit_golden("llama"), "strange");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *path = kit_join(model, names[i]), *kept = kit_join(model, "kept");
        bool there = rename(path, kept) == 0;
        assert_int_equal(mkfifo(path, 0600), 0);
        KIT_REFUSES(1, "it is a pipe, not a file", "eval", "--model", model, "--file", kit_text());
        assert_int_equal(remove(path), 0);
        assert_int_equal(symlink("/dev/zero", path), 0);
        KIT_REFUSES(1, "it is a device, not a file", "eval", "--model", model, "--file", kit_text());
        assert_int_equal(remove(path), 0);
        if (there) assert_int_equal(rename(kept, path), 0);
    }
    const char *circle = kit_path("circle");
    assert_int_equal(symlink(circle, circle), 0);
    KIT_REFUSES(1, "symbolic links", "inspect", circle);
    KIT_REFUSES(1, "/dev/zero: it is a device", "inspect", "/dev/zero");
    KIT_REFUSES(1, "symbolic links", "convert", model, "--to", "gguf", "--output", circle, "--overwrite");
    KIT_REFUSES(1, "symbolic links", "train", "--model", model, "--train-file", circle, "--output-dir",
                kit_path("none"));
}

/* "-" is standard input for texts and for records, once; run.json keeps it, and no copy stays. */
static void test_standard_input(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *piped = kit_path("piped-in"), *plain = kit_path("plain-in");
    const char *records = kit_path("records.jsonl"), *copies = kit_path("copies");
    static const char lines[] = "{\"text\": \"the river\", \"label\": \"a\"}\n"
                                "{\"text\": \"and the\", \"label\": \"b\"}\n";
    kit_result r;
    kit_write_file(records, lines, sizeof lines - 1);
    assert_int_equal(mkdir(copies, 0755), 0);
    setenv("TMPDIR", copies, 1);
    KIT_DO(TRAIN(plain, "--train-file", kit_text()));
    SHELL(&r, "cat \"$TUFF_TEXT\" | \"$@\"", TRAIN(piped, "--train-file", "-"));
    assert_int_equal(r.exit_code, 0);
    kit_result_free(&r);
    expect_same(kit_join(plain, "model.safetensors"), kit_join(piped, "model.safetensors"));
    tuff_buf run;
    kit_read_file(kit_join(piped, "run.json"), &run);
    assert_non_null(strstr(run.data, "\"train_file\": \"-\""));
    tuff_buf_free(&run);
    setenv("TUFF_RECORDS", records, 1);
    SHELL(&r, "cat \"$TUFF_RECORDS\" | \"$@\"", "train", "--task", "classification", "--model", model,
          "--train-file", "-", "--max-steps", "1", "--output-dir", kit_path("piped-records"));
    assert_int_equal(r.exit_code, 0);
    kit_result_free(&r);
    SHELL(&r, "echo a | \"$@\"", TRAIN(kit_path("none"), "--train-file", "-", "--validation-file", "-"));
    assert_int_equal(r.exit_code, 2);
    assert_non_null(strstr(r.err.data, "--train-file and --validation-file are both -"));
    kit_result_free(&r);
    assert_int_equal(kit_count_entries(copies), 0);
    unsetenv("TMPDIR");
}

/* A reader of the messages that goes away does not take the training with it. */
static void test_training_outlives_its_reader(void **state)
{
    (void)state;
    const char *out = kit_path("alone");
    kit_result r;
    SHELL(&r, "{ \"$@\"; echo $? >\"$TUFF_CODE\"; } 2>&1 >/dev/null | true",
          TRAIN(out, "--train-file", kit_text(), "--logging-steps", "1"));
    kit_result_free(&r);
    assert_true(tuff_is_file(kit_join(out, "model.safetensors")));
    tuff_buf code;
    kit_read_file(getenv("TUFF_CODE"), &code);
    assert_string_equal(code.data, "1\n");
    tuff_buf_free(&code);
}

static int setup(void **state)
{
    int result = kit_command_setup(state);
    setenv("TUFF_TEXT", kit_text(), 1);
    setenv("TUFF_CODE", kit_path("code"), 1);
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_through_a_pipe),
        cmocka_unit_test(test_closed_descriptors),
        cmocka_unit_test(test_text_may_come_through_pipes),
        cmocka_unit_test(test_no_files_in_a_model),
        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_training_outlives_its_reader),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
