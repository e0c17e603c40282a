/* Files of settings: what is taken from them, what is said of wrong ones, and the one that a training writes.
 */
#define _POSIX_C_SOURCE 200809L
#include <unistd.h>

#include "kit/command.h"

static const char *settings(const char *text)
{
    const char *path = kit_path("settings.json");
    kit_write_file(path, text, strlen(text));
    return path;
}

static void expect_same_file(const char *a, const char *b, const char *name)
{
    tuff_buf one, other;
    kit_read_file(kit_join(a, name), &one);
    kit_read_file(kit_join(b, name), &other);
    if (one.size != other.size || memcmp(one.data, other.data, one.size) != 0)
        fail_msg("%s differs in %s and %s", name, a, b);
    tuff_buf_free(&one);
    tuff_buf_free(&other);
}

static const char *training(char text[2048], const char *more)
{
    snprintf(text, 2048,
             "{\n  \"model_name_or_path\": \"%s\",\n  \"train-file\": \"%s\", \"block_size\": 32,\n"
             "  \"per_device_train_batch_size\": 2, \"learning_rate\": 1e-3, \"max_steps\": 3%s\n}\n",
             kit_golden("llama"), kit_text(), more);
    return settings(text);
}

/* A training that is run again from what it wrote makes the same bytes; all kinds of settings are in it. */
static void test_run_again(void **state)
{
    (void)state;
    char text[2048];
    const char *first = kit_path("first"), *again = kit_path("again");
    static const char *const files[] = {"adapter_model.safetensors", "adapter_config.json", "train_log.jsonl",
                                        "run.json"};
    KIT_DO(
        "train", "--config",
        training(text,
                 ", \"lora_r\": 4, \"lora_target_modules\": [\"q_proj\", \"v_proj\"], \"no_shuffle\": true,\n"
                 "  \"lr_scheduler_type\": \"polynomial\", \"lr_scheduler_kwargs\": {\"power\": 2.5},\n"
                 "  \"weight_decay\": 0.1, \"lora_dropout\": null, \"log_file\": null"),
        "--output-dir", first, "--seed", "9007199254740991", "--quiet");
    KIT_DO("train", "--config", kit_join(first, "run.json"), "--output-dir", again, "--quiet");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        expect_same_file(first, again, files[i]);

    tuff_buf run;
    kit_read_file(kit_join(first, "run.json"), &run);
    cJSON *json = kit_parse(run.data, run.size);
    assert_string_equal(kit_string(json, "target_modules"), "q_proj,v_proj");
    assert_string_equal(kit_string(json, "lr_scheduler_kwargs"), "{\"power\": 2.5}");
    assert_true(kit_number(json, "seed") == 9007199254740991.0);
    assert_true(kit_number(json, "learning_rate") == 1e-3);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "no_shuffle")));
    assert_null(cJSON_GetObjectItem(json, "output_dir"));
    assert_null(cJSON_GetObjectItem(json, "quiet"));
    assert_null(cJSON_GetObjectItem(json, "lora_dropout"));
    cJSON_Delete(json);
    tuff_buf_free(&run);
}

/* What is given comes before what the file says: numbers, switches, lists. */
static void test_given_comes_first(void **state)
{
    (void)state;
    char text[2048];
    const char *out = kit_path("given");
    KIT_DO("train", "--config", training(text, ", \"no_shuffle\": true, \"lora_rank\": 4"), "--output-dir",
           out, "--max-steps", "1", "--no-shuffle=false", "--lora_r", "2", "--quiet");
    tuff_buf run;
    kit_read_file(kit_join(out, "run.json"), &run);
    cJSON *json = kit_parse(run.data, run.size);
    assert_true(kit_number(json, "max_steps") == 1);
    assert_true(kit_number(json, "lora_rank") == 2);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "no_shuffle")));
    cJSON_Delete(json);
    tuff_buf_free(&run);

    /* of lists, too: the file's stop texts end the text at once, the given one never comes */
    snprintf(text, sizeof text,
             "{\"model\": \"%s\", \"prompt\": \"the\", \"max_new_tokens\": 4, \"json\": true,\n"
             " \"stop\": [\"a\", \"e\", \" \", \"t\", \"o\"], \"device\": \"cpu\"}",
             kit_golden("llama"));
    kit_result by_file = KIT_TUFF("generate", "--config", settings(text)),
               given = KIT_TUFF("generate", "--config", settings(text), "--stop", "never said");
    cJSON *one = kit_parse(by_file.out.data, by_file.out.size),
          *other = kit_parse(given.out.data, given.out.size);
    assert_string_equal(kit_string(other, "finish"), "length");
    assert_true(kit_number(other, "new_tokens") == 4);
    assert_string_equal(kit_string(one, "prompt"), "the");
    cJSON_Delete(one);
    cJSON_Delete(other);
    kit_result_free(&by_file);
    kit_result_free(&given);
}

/* A checkpoint has the settings too. */
static void test_checkpoint(void **state)
{
    (void)state;
    char text[2048];
    const char *out = kit_path("checkpoints"), *again = kit_path("resumed");
    KIT_DO("train", "--config", training(text, ""), "--output-dir", out, "--save-steps", "2", "--quiet");
    expect_same_file(out, kit_join(out, "checkpoint-2"), "run.json");
    KIT_DO("train", "--config", kit_join(out, "checkpoint-2/run.json"), "--resume-from-checkpoint",
           kit_join(out, "checkpoint-2"), "--output-dir", again, "--quiet");
    expect_same_file(out, again, "model.safetensors");
}

/* What --auto-batch chose is in run.json, and stays when a training goes on. */
static void test_auto_batch(void **state)
{
    (void)state;
    char text[2048];
    const char *whole = kit_path("auto"), *parts = kit_path("auto-parts"), *again = kit_path("auto-again");
    KIT_DO("train", "--config", training(text, ", \"gradient_accumulation_steps\": 16"), "--output-dir",
           whole, "--auto_find_batch_size", "True", "--max-memory", "2", "--quiet");
    tuff_buf run;
    kit_read_file(kit_join(whole, "run.json"), &run);
    cJSON *json = kit_parse(run.data, run.size);
    const double batch = kit_number(json, "per_device_train_batch_size");
    assert_true(batch > 2 && batch < 32);
    assert_true(batch * kit_number(json, "gradient_accumulation_steps") == 32);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "auto_batch")));
    assert_null(cJSON_GetObjectItem(json, "max_memory"));
    cJSON_Delete(json);
    tuff_buf_free(&run);
    KIT_DO("train", "--config", kit_join(whole, "run.json"), "--output-dir", again, "--quiet");
    expect_same_file(whole, again, "model.safetensors");
    expect_same_file(whole, again, "run.json");

    KIT_DO("train", "--config", training(text, ", \"gradient_accumulation_steps\": 16"), "--output-dir",
           parts, "--auto-batch", "--max-memory", "2", "--save-steps", "2", "--quiet");
    kit_result r = KIT_TUFF("train", "--config", training(text, ", \"gradient_accumulation_steps\": 16"),
                            "--output-dir", kit_path("auto-resumed"), "--auto-batch", "--max-memory", "500",
                            "--resume-from-checkpoint", kit_join(parts, "checkpoint-2"));
    expect_same_file(whole, kit_path("auto-resumed"), "model.safetensors");
    assert_null(strstr(r.err.data, "per_device_train_batch_size"));
    kit_result_free(&r);
    KIT_REFUSES(2, "--max-memory is of --auto-batch", "train", "--config", training(text, ""), "--output-dir",
                whole, "--max-memory", "5");
}

static void test_wrong(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "settings.json:1: the file ends, but '{' is expected"},
        {"[1]", "settings.json:1: \"[1]\" is not JSON: '{' is expected"},
        {"{\"model\": \"x\"", "the file ends, but '}' is expected"},
        {"{\"model\": \"x}\n", "settings.json:1: a text has no end"},
        {"{\"seed\": 1,}", "'\"' is expected before a text"},
        {"{\"seed\": 1} x", "something stands behind the settings: \"x\""},
        {"{\"model\": \"\\ud800\"}", "half of a character (\\ud800) stands alone"},
        {"{\"model\": \"\\u0000\"}", "\\u0000 cannot be in a setting"},
        {"{\"model\": \"\\u12\"}", "four hexadecimal digits"},
        {"{\"model\": \"\\q\"}", "\"\\q\" means nothing"},
        {"{\"model\": yes}", "\"yes\" is not JSON"},
        {"{\"optim_args\": {\"a\": 1}", "'}' is expected"},
        {"{\"optim_args\": {\"a\": 1", "an object has no end"},
        {"{\"lora_target\": [[1]]}", "a list in a list is no setting"},
        {"{\n\n\"modle\": 1}", "settings.json:3: train has no option modle; did you mean model?"},
        {"{\"fp16\": true}", "settings.json:1: train has no option fp16: train's mixed precision is --bf16"},
        {"{\n\"max_steps\": \"ten\"}", "settings.json:2: max_steps is the text \"ten\", expected a number"},
        {"{\"max_steps\": 1.5}", "max_steps is \"1.5\", expected a whole number"},
        {"{\"learning_rate\": true}", "learning_rate is true, expected a number"},
        {"{\"learning_rate\": -1}", "learning_rate is \"-1\", expected a number from 0"},
        {"{\"no_shuffle\": 1}", "no_shuffle is a number, expected true or false"},
        {"{\"task\": \"chess\"}", "task is \"chess\", expected one of causal-lm"},
        {"{\"task\": {}}", "task is an object, expected one of causal-lm"},
        {"{\"model\": [\"a\"]}", "model is a list, expected a text"},
        {"{\"lora_target\": [\"a\", 1]}", "lora_target is a number, expected a text or a list"},
        {"{\"config\": \"x\"}", "config cannot be in a file of settings"},
        {"{\"model\": \"a\",\n\"model_name_or_path\": \"b\"}",
         "settings.json:2: model is given twice, as \"a\" and as \"b\""},
        {"{\"sample_prompt\": [\"a\"],\n\"sample_prompt\": [\"b\"]}",
         "settings.json:2: sample_prompt is given twice; put all of it into one list"},
        {"{\"max_memory\": 100000000000000}", "max_memory is \"100000000000000\", expected a whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        KIT_REFUSES(2, cases[i][1], "train", "--config", settings(cases[i][0]));
    KIT_REFUSES(2, "nowhere.json cannot be read", "train", "--config", "nowhere.json");
    KIT_REFUSES(2, "--config is given twice", "train", "--config", settings("{}"), "--config", "b");
    KIT_REFUSES(2, "give --train-file FILE, or --mix", "train", "--config",
                settings("{\"model\": \"\\u00e4\\ud83d\\ude00\"}"));
    KIT_REFUSES(1, "would replace", "train", "--config", settings("{\"train_file\": \"y\"}"), "--model",
                kit_golden("llama"), "--output-dir", kit_path("out"), "--log-file",
                kit_path("settings.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_again),  cmocka_unit_test(test_given_comes_first),
        cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_auto_batch),
        cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
