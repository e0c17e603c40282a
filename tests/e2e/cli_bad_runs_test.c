/* Texts, prompts, devices and outputs that cannot be: each gives one clear sentence and leaves nothing
 * behind. */
#define _GNU_SOURCE /* memmem */
#include <sys/stat.h>

#include "formats/safetensors.h"
#include "kit/command.h"

static void refused_text(const char *bytes, size_t size, const char *block, const char *part)
{
    const char *path = kit_path("bad.txt"), *model = kit_golden("llama");
    kit_write_file(path, bytes, size);
    KIT_REFUSES(1, part, "train", "--model", model, "--train-file", path, "--output-dir", kit_path("out"),
                "--block-size", block, "--max-steps", "1");
    KIT_REFUSES(1, part, "train", "--model", model, "--train-file", kit_text(), "--validation-file", path,
                "--output-dir", kit_path("out"), "--block-size", block, "--max-steps", "1");
    KIT_REFUSES(1, part, "eval", "--model", model, "--file", path, "--block-size", block);
}

static void test_texts(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *path = kit_path("short.txt");
    refused_text("", 0, "16", "empty");
    refused_text("text\0and more", 13, "16", "NUL byte at offset 4");
    refused_text("caf\xe9 and more", 13, "16", "is not UTF-8: the byte 0xe9 at offset 3");
    refused_text("the river \xe2\x82", 12, "16", "the byte 0xe2 at offset 10");
    refused_text("a", 1, "16", "1 token");
    kit_write_file(path, "the river", 9);
    KIT_REFUSES(1, "fewer than one block", "train", "--model", model, "--train-file", path, "--output-dir",
                kit_path("out"), "--block-size", "64");
    /* learned positions end; rotary ones may be passed */
    KIT_REFUSES(1, "64", "train", "--model", kit_golden("gpt2"), "--train-file", kit_text(), "--output-dir",
                kit_path("out"), "--block-size", "256");
    path = kit_path("none.txt");
    KIT_REFUSES(1, "none.txt", "eval", "--model", model, "--file", path);
    KIT_REFUSES(1, "none.txt", "train", "--model", model, "--train-file", path, "--output-dir",
                kit_path("out"));
    KIT_REFUSES(1, "config.json is JSON by its name", "eval", "--model", model, "--file", model);
}

/* Records are not trained on as if they were text, unless that is asked for. */
static void test_records(void **state)
{
    (void)state;
    static const char lines[] = "\n{\"text\": \"the {river\"}\n{\"text\": \"and\"}\n",
                      array[] = "[\n  {\n    \"text\": \"the \\\"river\"\n  }\n]\n",
                      code[] = "{ the river and the old bridge; }\n[1] the river\n",
                      list[] = "[1] the river and the old bridge of stone";
    refused_text(lines, sizeof lines - 1, "4", "begins with a JSON record");
    refused_text(array, sizeof array - 1, "4", "begins with a JSON record");
    const char *model = kit_golden("llama"),
               *names[] = {kit_path("a.json"), kit_path("a.jsonl"), kit_path("a.csv")};
    for (int i = 0; i < 3; i++) {
        kit_copy_file(kit_text(), names[i]);
        KIT_REFUSES(1, i < 2 ? "is not valid JSON" : "has no column \"text\"", "train", "--model", model,
                    "--train-file", names[i], "--output-dir", kit_path("out"), "--block-size", "16");
        KIT_REFUSES(1, i < 2 ? "--train-file-format text" : "a.csv", "train", "--model", model,
                    "--train-file", kit_text(), "--validation-file", names[i], "--output-dir",
                    kit_path("out"), "--block-size", "16");
        KIT_REFUSES(1, i < 2 ? "--file-format text" : "a.csv", "eval", "--model", model, "--file", names[i]);
        KIT_DO("eval", "--model", model, "--file", names[i], "--file-format", "text");
        KIT_DO("train", "--model", model, "--train-file", names[i], "--validation-file", names[i],
               "--train-file-format", "text", "--output-dir", kit_path("records"), "--overwrite-output-dir",
               "--block-size", "16", "--max-steps", "1");
    }
    /* what stands for another file is no text either */
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    kit_write_file(names[1], pointer, sizeof pointer - 1);
    kit_result r;
    kit_run_tuff(&r, (const char *const[]){"train", "--model", model, "--train-file", names[1],
                                           "--output-dir", kit_path("out"), "--block-size", "16", NULL});
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "Git LFS"));
    assert_null(strstr(r.err.data, "--train-file-format"));
    kit_result_free(&r);
    const char *text = kit_path("code.txt"); /* not all that has braces is JSON */
    kit_write_file(text, code, sizeof code - 1);
    KIT_DO("eval", "--model", model, "--file", text, "--block-size", "4");
    kit_write_file(text, list, sizeof list - 1);
    KIT_DO("eval", "--model", model, "--file", text, "--block-size", "4");
}

static void test_windows_lines(void **state)
{
    (void)state;
    static const char windows[] = "the river\r\nand the old\r\nstone bridge\n",
                      turned[] = "the river\nand the old\nstone bridge\n";
    const char *path = kit_path("windows.txt");
    kit_write_file(path, windows, sizeof windows - 1);
    kit_result r = KIT_TUFF("eval", "--model", kit_golden("llama"), "--file", path, "--block-size", "8");
    assert_non_null(strstr(r.err.data, "2 lines end as on Windows"));
    kit_write_file(path, turned, sizeof turned - 1);
    kit_result other = KIT_TUFF("eval", "--model", kit_golden("llama"), "--file", path, "--block-size", "8");
    assert_null(strstr(other.err.data, "Windows"));
    assert_string_equal(r.out.data, other.out.data); /* the same figures */
    kit_result_free(&r);
    kit_result_free(&other);
}

static void test_prompts(void **state)
{
    (void)state;
    const char *model = kit_golden("gpt2"), *file = kit_path("prompt.txt");
    char longer[1001];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    KIT_REFUSES(1, "leaves no room", "generate", "--model", model, "--prompt", longer);
    KIT_REFUSES(1, "leaves no room", "generate", "--model", model, "--prompt", "it isn't", "--context-length",
                "2");
    KIT_REFUSES(1, "learned only 64", "generate", "--model", model, "--prompt", "it", "--context-length",
                "65");
    const char *without = kit_copy_model(model, "without-begin");
    kit_edit_file(kit_join(without, "config.json"), "\"bos_token_id\": 287", "\"bos_token_id\": null");
    KIT_REFUSES(1, "prompt is empty", "generate", "--model", without, "--prompt", "");
    kit_write_file(file, "\n", 1);
    KIT_REFUSES(1, "prompt is empty", "generate", "--model", without, "--prompt-file", file);
    KIT_REFUSES(1, "none.txt", "generate", "--model", model, "--prompt-file", kit_path("none.txt"));
    KIT_REFUSES(1, "cannot be read", "generate", "--model", model, "--prompt-file", kit_temp_directory());
    KIT_REFUSES(1, "stop", "generate", "--model", model, "--prompt", "it", "--stop", "");
}

static void test_devices(void **state)
{
    (void)state;
    const char *model = kit_golden("llama");
    KIT_REFUSES(1, "no device matches \"abacus\"", "generate", "--model", model, "--prompt", "the",
                "--device", "abacus");
    KIT_REFUSES(1, "abacus", "train", "--model", model, "--train-file", kit_text(), "--block-size", "16",
                "--output-dir", kit_path("out"), "--device", "abacus");
    KIT_REFUSES(1, "99", "eval", "--model", model, "--file", kit_text(), "--device", "99");
}

static void test_lora_targets(void **state)
{
    (void)state;
    const char *model = kit_golden("llama");
    KIT_REFUSES(1, "no_such_layer", "train", "--model", model, "--train-file", kit_text(), "--block-size",
                "16", "--output-dir", kit_path("out"), "--lora-rank", "4", "--lora-target", "no_such_layer");
}

static void test_frozen_names(void **state)
{
    (void)state;
    const char *model = kit_golden("llama");
    KIT_REFUSES(1, "freeze has \"layer.0\", which matches no tensor that could be trained; the nearest names",
                "train", "--model", model, "--train-file", kit_text(), "--block-size", "16", "--output-dir",
                kit_path("out"), "--freeze", "layer.0");
    KIT_REFUSES(1, "everything is frozen", "train", "--model", model, "--train-file", kit_text(),
                "--block-size", "16", "--output-dir", kit_path("out"), "--freeze", "*");
}

/* Said before the training, not after. */
static void test_unwritable_outputs(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *file = kit_path("a-file");
    kit_write_file(file, "x", 1);
#define TRAIN(part, output)                                                                           \
    KIT_REFUSES(1, part, "train", "--model", model, "--train-file", kit_text(), "--block-size", "16", \
                "--max-steps", "1", "--output-dir", output)
    TRAIN("no directory", file);
    TRAIN("no directory", kit_join(file, "below"));
    TRAIN("/proc", "/proc/tuff-out");
    TRAIN("no path", "");
    const char *mode = kit_path("read-only");
    assert_int_equal(mkdir(mode, 0500), 0);
    kit_result r;
    kit_run_tuff(&r, (const char *const[]){"train", "--model", model, "--train-file", kit_text(),
                                           "--block-size", "16", "--max-steps", "1", "--output-dir",
                                           kit_join(mode, "out"), NULL});
    if (r.exit_code != 0) { /* root may write there */
        assert_int_equal(r.exit_code, 1);
        assert_non_null(strstr(r.err.data, "Permission denied"));
        assert_int_equal(kit_count_entries(mode), 0);
    }
    kit_result_free(&r);
    KIT_REFUSES(1, "is not there", "train", "--model", model, "--train-file", kit_text(), "--block-size",
                "16", "--output-dir", kit_path("out"), "--log-file", kit_path("out/log.jsonl"));
    KIT_REFUSES(1, "/proc", "convert", model, "--to", "hf", "--output", "/proc/tuff-out");
    KIT_REFUSES(1, "/proc", "convert", model, "--to", "gguf", "--output", "/proc/tuff.gguf");
    KIT_REFUSES(1, "/proc", "train", "--model", model, "--train-file", kit_text(), "--block-size", "16",
                "--max-steps", "1", "--output-dir", kit_path("out"), "--dump-batches", "/proc/b.npy");
    KIT_REFUSES(1, "/proc", "train", "--model", model, "--train-file", kit_text(), "--block-size", "16",
                "--max-steps", "1", "--output-dir", kit_path("out"), "--log-file", "/proc/log");
}

static void test_unwritable_extras(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *nowhere = kit_path("none/file");
    KIT_REFUSES(1, "none is not there", "train", "--model", model, "--train-file", kit_text(), "--block-size",
                "16", "--output-dir", kit_path("out"), "--profile", nowhere);
    KIT_REFUSES(1, "none is not there", "generate", "--model", model, "--prompt", "it", "--profile", nowhere);
    KIT_REFUSES(1, "none is not there", "eval", "--model", model, "--file", kit_text(), "--dump-logits",
                nowhere);
    KIT_REFUSES(1, "/proc", "eval", "--model", model, "--file", kit_text(), "--dump-logits", "/proc/logits");
}

static void test_outputs_in_the_way(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *copy = kit_copy_model(model, "there");
    TRAIN("already holds a model", copy);
    /* what loads a directory would take the one for the other, or both together */
    KIT_REFUSES(1, "holds a model, and an adapter is to be written", "train", "--model", model,
                "--train-file", kit_text(), "--block-size", "16", "--lora-rank", "2", "--output-dir", copy,
                "--overwrite-output-dir");
    const char *adapter = kit_path("there/lora");
    KIT_OK(tuff_make_directories(adapter));
    kit_copy_file(kit_golden("llama/lora/adapter_config.json"), kit_join(adapter, "adapter_config.json"));
    TRAIN("holds an adapter, and a model is to be written", adapter);
    KIT_REFUSES(1, "holds an adapter", "convert", model, "--to", "hf", "--output", adapter, "--overwrite");
    KIT_REFUSES(1, "already holds an adapter", "train", "--model", model, "--train-file", kit_text(),
                "--block-size", "16", "--lora-rank", "2", "--output-dir", adapter);
    KIT_REFUSES(1, "exists", "convert", model, "--to", "hf", "--output", copy);
    KIT_REFUSES(1, "exists", "convert", model, "--to", "gguf", "--output", kit_text());
    const char *empty = kit_path("empty"); /* nothing there is lost */
    KIT_OK(tuff_make_directories(empty));
    KIT_REFUSES(1, "exists", "convert", model, "--to", "gguf", "--output", empty);
    KIT_DO("convert", model, "--to", "hf", "--output", empty);
    KIT_REFUSES(1, "exists", "convert", model, "--to", "hf", "--output", empty);
}

/* A disk that is full in the middle of a save: a limit on the size of files gives the same refusal of a
 * write. */
static void full(const char *part, const char *const *arguments)
{
    const char *tuff = getenv("TUFF_TEST_TUFF");
    if (!tuff) skip();
    const char *argv[KIT_ARGUMENTS] = {"sh", "-c", "ulimit -f 16; exec \"$@\"", "sh", tuff};
    for (int i = 0; arguments[i]; i++)
        argv[5 + i] = arguments[i];
    int entries = kit_count_entries(kit_temp_directory());
    kit_result r;
    kit_run(argv, &r);
    if (r.exit_code != 1 || r.out.size || !strstr(r.err.data, part) || !strstr(r.err.data, "File too large"))
        fail_msg("%s on a full disk: exit code %d: %s", arguments[0], r.exit_code, r.err.data);
    kit_result_free(&r);
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries);
}
#define FULL(part, ...) full((part), (const char *const[]){__VA_ARGS__, NULL})

static void test_full_disk(void **state)
{
    (void)state;
    const char *model = kit_golden("llama");
    FULL("model.safetensors", "train", "--model", model, "--train-file", kit_text(), "--block-size", "16",
         "--max-steps", "0", "--output-dir", kit_path("out"), "--quiet");
    FULL("model.safetensors", "convert", model, "--to", "hf", "--output", kit_path("out"));
    FULL("out.gguf", "convert", model, "--to", "gguf", "--output", kit_path("out.gguf"));
    FULL("b.npy", "train", "--model", model, "--train-file", kit_text(), "--block-size", "16", "--max-steps",
         "1000", "--output-dir", kit_path("out"), "--dump-batches", kit_path("b.npy"), "--quiet");
    kit_result r;
    kit_run((const char *const[]){"sh", "-c", "exec \"$@\" >/dev/full", "sh", getenv("TUFF_TEST_TUFF"),
                                  "inspect", model, NULL},
            &r);
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "standard output cannot be written"));
    kit_result_free(&r);
}

/* A run whose save fails keeps the log of its steps and the page, says where, and nothing else. */
static void test_failed_save_keeps_the_log(void **state)
{
    (void)state;
    const char *tuff = getenv("TUFF_TEST_TUFF"), *out = kit_path("unsaved");
    if (!tuff) skip();
    kit_result r;
    int entries = kit_count_entries(kit_temp_directory());
    kit_run((const char *const[]){"sh", "-c", "ulimit -f 16; exec \"$@\"", "sh", tuff, "train", "--model",
                                  kit_golden("llama"), "--train-file", kit_text(), "--block-size", "16",
                                  "--max-steps", "1", "--output-dir", out, NULL},
            &r);
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "unsaved.train_log.jsonl"));
    assert_non_null(strstr(r.err.data, "unsaved.report.html"));
    assert_false(tuff_is_directory(out));
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries + 2);
    kit_result_free(&r);
}

/* A model in which the token "#" has a number that overflows when it is multiplied. */
static const char *model_without_sign(void)
{
    const char *model = kit_copy_model(kit_golden("llama"), "signless"),
               *path = kit_join(model, "model.safetensors");
    cJSON *tokenizer = NULL;
    tuff_weights *weights = NULL;
    tuff_buf file = {0};
    kit_edit_file(kit_join(model, "config.json"), "\"model_type\": \"llama\"",
                  "\"model_type\": \"granite\", \"embedding_multiplier\": 3.0");
    KIT_OK(tuff_json_read(kit_join(model, "tokenizer.json"), &tokenizer));
    const cJSON *words = cJSON_GetObjectItemCaseSensitive(
                    cJSON_GetObjectItemCaseSensitive(tokenizer, "model"), "vocab"),
                *sign = cJSON_GetObjectItemCaseSensitive(words, "#");
    assert_true(cJSON_IsNumber(sign));
    KIT_OK(tuff_safetensors_open(path, &weights));
    const tuff_weight *table = tuff_weights_find(weights, "model.embed_tokens.weight");
    assert_non_null(table);
    kit_read_file(path, &file);
    char *at = memmem(file.data, file.size, kit_stored(table), table->bytes);
    assert_non_null(at);
    const float huge = 3e38F;
    memcpy(at + sign->valueint * table->shape[1] * 4, &huge, sizeof huge);
    tuff_weights_destroy(&weights);
    kit_write_file(path, file.data, file.size);
    tuff_buf_free(&file);
    cJSON_Delete(tokenizer);
    return model;
}

/* What ends with a loss that is no number has failed, however few of its steps were skipped. */
static void test_losses_that_are_none(void **state)
{
    (void)state;
    const char *model = model_without_sign(), *good = kit_path("good.txt"), *late = kit_path("late.txt"),
               *signs = kit_path("signs.txt"), *out = kit_path("none");
    static const char ten[] = "# # # # # # # # # #\n";
    tuff_buf text = {0};
    kit_result r;
    kit_write_file(signs, ten, sizeof ten - 1);
    for (int i = 0; i < 40; i++)
        tuff_buf_text(&text, "the river and the bridge\n");
    kit_write_file(good, text.data, text.size);
    for (int i = 0; i < 3; i++)
        tuff_buf_text(&text, ten);
    kit_write_file(late, text.data, text.size);
    tuff_buf_free(&text);
    kit_run_tuff(&r, (const char *const[]){"train", "--model", model, "--train-file", late, "--output-dir",
                                           out, "--block-size", "16", "--per-device-train-batch-size", "1",
                                           "--num-train-epochs", "1", "--no-shuffle", NULL});
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "the training failed: the loss of its last step is not finite"));
    assert_null(strstr(r.err.data, "steps were skipped, because"));
    assert_false(tuff_is_directory(out));
    kit_result_free(&r);
    kit_run_tuff(&r, (const char *const[]){"train", "--model", model, "--train-file", good,
                                           "--validation-file", signs, "--output-dir", out, "--block-size",
                                           "16", "--max-steps", "2", NULL});
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "the validation loss of its result is not finite"));
    assert_non_null(strstr(r.err.data, "nothing is saved"));
    assert_false(tuff_is_directory(out));
    kit_result_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_windows_lines),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_lora_targets),
        cmocka_unit_test(test_frozen_names),
        cmocka_unit_test(test_unwritable_outputs),
        cmocka_unit_test(test_unwritable_extras),
        cmocka_unit_test(test_outputs_in_the_way),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_failed_save_keeps_the_log),
        cmocka_unit_test(test_losses_that_are_none),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
