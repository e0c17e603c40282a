/* The command's face: help, versions, and what is said to wrong options. */
#define _POSIX_C_SOURCE 200809L
#include <sys/stat.h>
#include <unistd.h>

#include "kit/command.h"

static const char *const verbs[] = {"devices", "inspect", "convert",   "generate", "chat",
                                    "embed",   "search",  "fill-mask", "classify", "answer",
                                    "train",   "eval",    "conform",   "bench"};
enum { VERBS = sizeof verbs / sizeof verbs[0] };

/* There are some at the end, of this verb, with options that the page has. */
static void check_examples(const char *verb, char *page)
{
    char *examples = strstr(page, "\nExamples:\n  "), own[64], option[64];
    int commands = 0;
    if (!examples) fail_msg("tuff help %s has no examples", verb);
    *examples++ = 0;
    snprintf(own, sizeof own, "tuff %s ", verb);
    for (const char *at = strchr(examples, '\n'); at && at[1]; at = strchr(at + 1, '\n')) {
        if (strncmp(at + 1, "      ", 6) == 0) continue; /* the line before goes on */
        const size_t size = strcspn(at + 1, "\n");
        const char *command = strstr(at, "tuff ");
        if (!command || command > at + size ||
            (strncmp(command, own, strlen(own)) != 0 && command[strlen(own) - 1] != '\n'))
            fail_msg("tuff help %s: an example of another kind: %.*s", verb, (int)size, at + 1);
        commands++;
    }
    assert_true(commands > 0);
    for (const char *at = examples; (at = strstr(at, " --")) != NULL; at++) {
        snprintf(option, sizeof option, "\n  %.*s", (int)strcspn(at + 1, " =\n"), at + 1);
        if (!strstr(page, option))
            fail_msg("tuff help %s: an example has%s, which it has not", verb, option + 2);
    }
}

static void test_help(void **state)
{
    (void)state;
    kit_result all = KIT_TUFF("--help"), again = KIT_TUFF("help");
    assert_string_equal(all.out.data, again.out.data);
    for (size_t i = 0; i < VERBS; i++) {
        kit_result by_verb = KIT_TUFF("help", verbs[i]), by_option = KIT_TUFF(verbs[i], "--help");
        assert_string_equal(by_verb.out.data, by_option.out.data);
        assert_true(strstr(by_verb.out.data, "Usage: tuff ") == by_verb.out.data);
        assert_non_null(strstr(by_verb.out.data, verbs[i]));
        assert_non_null(strstr(all.out.data, verbs[i]));
        for (const char *line = by_verb.out.data; *line; line += strcspn(line, "\n") + 1) {
            size_t size = strcspn(line, "\n");
            if (size > 120 || (size && line[size - 1] == ' '))
                fail_msg("tuff help %s: a line of %zu bytes: %.*s", verbs[i], size, (int)size, line);
        }
        assert_int_equal(by_verb.err.size, 0);
        check_examples(verbs[i], by_verb.out.data);
        kit_result_free(&by_verb);
        kit_result_free(&by_option);
    }
    kit_result_free(&all);
    kit_result_free(&again);
}

/* Every option of the project's first issue, spelled as there. */
static void test_all_options_are_there(void **state)
{
    (void)state;
    static const char *const train[] = {"--train-file",
                                        "--validation-file",
                                        "--output-dir",
                                        "--max-steps",
                                        "--num-train-epochs",
                                        "--per-device-train-batch-size",
                                        "--gradient-accumulation-steps",
                                        "--block-size",
                                        "--learning-rate",
                                        "--lr-scheduler-type",
                                        "--lr-scheduler-kwargs",
                                        "--warmup-steps",
                                        "--warmup-ratio",
                                        "--weight-decay",
                                        "--adam-beta1",
                                        "--adam-beta2",
                                        "--adam-epsilon",
                                        "--max-grad-norm",
                                        "--eval-steps",
                                        "--logging-steps",
                                        "--seed",
                                        "--device",
                                        "--optim",
                                        "--peft-type",
                                        "--target-modules",
                                        "--num-virtual-tokens",
                                        "--momentum",
                                        "--nesterov",
                                        "--lora-rank",
                                        "--lora-alpha",
                                        "--lora-dropout",
                                        "--lora-target",
                                        "--dump-batches",
                                        "--model"};
    static const char *const generate[] = {"--model",
                                           "--prompt",
                                           "--temperature",
                                           "--top-k",
                                           "--top-p",
                                           "--min-p",
                                           "--typical-p",
                                           "--min-tokens-to-keep",
                                           "--repetition-penalty",
                                           "--frequency-penalty",
                                           "--presence-penalty",
                                           "--no-repeat-ngram-size",
                                           "--logit-bias",
                                           "--bad-words",
                                           "--seed",
                                           "--max-new-tokens",
                                           "--min-new-tokens",
                                           "--eos-token-id",
                                           "--stop",
                                           "--logprobs",
                                           "--context-length",
                                           "--device"};
    kit_result r = KIT_TUFF("help", "train");
    for (size_t i = 0; i < sizeof train / sizeof train[0]; i++)
        assert_non_null(strstr(r.out.data, train[i]));
    kit_result_free(&r);
    r = KIT_TUFF("help", "generate");
    for (size_t i = 0; i < sizeof generate / sizeof generate[0]; i++)
        assert_non_null(strstr(r.out.data, generate[i]));
    kit_result_free(&r);
}

static void test_version(void **state)
{
    (void)state;
    kit_result r = KIT_TUFF("--version");
    assert_true(tuff_starts_with(r.out.data, "tuff 0."));
    kit_result_free(&r);
}

static void test_wrong_usage(void **state)
{
    (void)state;
    kit_result nothing;
    kit_run_tuff(&nothing, (const char *const[]){NULL});
    assert_int_equal(nothing.exit_code, 2);
    assert_int_equal(nothing.out.size, 0);
    kit_result_free(&nothing);

    KIT_REFUSES(2, "did you mean train?", "trian");
    KIT_REFUSES(2, "there is no verb \"frobnicate\"", "frobnicate");
    KIT_REFUSES(2, "there is no verb", "help", "frobnicate");
    KIT_REFUSES(2, "has no option --temprature; did you mean --temperature?", "generate", "--temprature",
                "1");
    KIT_REFUSES(2, "did you mean --per-device-train-batch-size?", "train", "--batch-size", "3");
    KIT_REFUSES(2, "has no option --zzzzzz", "eval", "--zzzzzz=1");
    KIT_REFUSES(2, "options begin with --", "train", "-x");
    KIT_REFUSES(2, "does not know what to do with \"surplus\"", "devices", "surplus");
    KIT_REFUSES(2, "needs MODEL", "inspect");
    KIT_REFUSES(2, "needs --model", "eval", "--file", "x");
    KIT_REFUSES(2, "--seed needs a value", "generate", "--seed");
    KIT_REFUSES(2, "write --prompt=--model", "generate", "--prompt", "--model");
    KIT_REFUSES(2, "--json takes no value", "devices", "--json=yes");
    KIT_REFUSES(2, "one of --prompt, --prompt-file, --file and --messages", "generate", "--model", "x");
    KIT_REFUSES(2, "needs --output-dir", "train", "--model", "x", "--train-file", "y");
    KIT_REFUSES(2, "--eval-steps needs --validation-file", "train", "--model", "x", "--train-file", "y",
                "--output-dir", "z", "--eval-steps", "5");
    KIT_REFUSES(2, "--dropout is config, none, or a number from 0 to less than 1", "train", "--model", "x",
                "--train-file", "y", "--output-dir", "z", "--dropout", "1");
    KIT_REFUSES(2, "--nesterov needs --momentum", "train", "--model", "x", "--train-file", "y",
                "--output-dir", "z", "--nesterov");
    KIT_REFUSES(2, "--feedforward-modules needs --peft-type ia3", "train", "--model", "x", "--train-file",
                "y", "--output-dir", "z", "--lora-rank", "4", "--feedforward-modules", "c_fc");
    KIT_REFUSES(2, "--num-virtual-tokens needs --method prompt or prefix", "train", "--model", "x",
                "--train-file", "y", "--output-dir", "z", "--num-virtual-tokens", "4");
    KIT_REFUSES(2, "are of LoRA", "train", "--model", "x", "--train-file", "y", "--output-dir", "z",
                "--peft-type", "ia3", "--lora-rank", "4");
    KIT_REFUSES(2, "need --lora-rank", "train", "--model", "x", "--train-file", "y", "--output-dir", "z",
                "--lora-alpha", "5");
}

static void test_wrong_values(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"generate", "--temperature", "hot"},
                                           {"generate", "--temperature", "nan"},
                                           {"generate", "--top-p", "1.5"},
                                           {"generate", "--top-k", "-1"},
                                           {"generate", "--typical-p", "-0.5"},
                                           {"generate", "--logprobs", "1001"},
                                           {"generate", "--min-new-tokens", "-1"},
                                           {"generate", "--frequency-penalty", "101"},
                                           {"generate", "--presence-penalty", "x"},
                                           {"generate", "--no-repeat-ngram-size", "-1"},
                                           {"generate", "--min-tokens-to-keep", "0"},
                                           {"generate", "--seed", "9007199254740993"},
                                           {"generate", "--seed", "1e3"},
                                           {"generate", "--seed", ""},
                                           {"train", "--max-steps", "ten"},
                                           {"train", "--max-steps", "99999999999999999999999"},
                                           {"train", "--block-size", "1"},
                                           {"train", "--lr-scheduler-type", "step"},
                                           {"train", "--learning-rate", "1e-3x"},
                                           {"train", "--warmup-ratio", "2"},
                                           {"convert", "--dtype", "f8"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        KIT_REFUSES(2, cases[i][1], cases[i][0], cases[i][1], cases[i][2]);
}

/* "--a=b", and underscores as Python programs write them. */
static void test_spellings(void **state)
{
    (void)state;
    KIT_REFUSES(1, "nowhere", "eval", "--model=nowhere", "--file=x", "--block_size=8", "--batch-size", "2");
    KIT_REFUSES(1, "nowhere", "inspect", "--", "nowhere");
    /* names of Hugging Face's programs that mean the same, and switches as Python has them */
    KIT_REFUSES(1, "nowhere", "train", "--model_name_or_path", "nowhere", "--train_file", "x", "--output_dir",
                "y", "--per_device_train_batch_size=4", "--lora_r", "8", "--lora_target_modules", "q_proj",
                "--evaluation_strategy", "epoch", "--eval_file", "z", "--overwrite_output_dir", "True",
                "--load_best_model_at_end=false");
    KIT_REFUSES(2, "has no option --model-name-or-path: the model's path stands alone", "inspect",
                "--model_name_or_path", "x");
}

/* One value, given twice: neither is taken. Lists and flags may come again. */
static void test_repeated(void **state)
{
    (void)state;
    const char *model = kit_golden("llama");
    KIT_REFUSES(2, "--seed is given twice, as \"1\" and as \"2\"; it takes one value", "generate", "--model",
                model, "--prompt", "x", "--seed", "1", "--seed=2");
    KIT_REFUSES(2, "--model is given twice", "train", "--model", model, "--model", model, "--train-file", "x",
                "--output-dir", "y");
    KIT_REFUSES(2, "--train-file is given twice, as \"a\" and as \"b\"", "train", "--model", model,
                "--train-file", "a", "--train_file", "b", "--output-dir", "y");
    KIT_REFUSES(2, "--validation-file is given twice, as \"a\" and as \"b\"", "train", "--model", model,
                "--train-file", "x", "--validation-file", "a", "--eval-file", "b", "--output-dir", "y");
    KIT_REFUSES(2, "--quiet is given twice, as \"true\" and as \"false\"", "devices", "--quiet",
                "--quiet=false");
    KIT_REFUSES(2, "--profile is given twice, without a value and as \"z\"", "train", "--model", model,
                "--train-file", "x", "--output-dir", "y", "--profile", "--profile", "z");
    KIT_REFUSES(2, "--to is given twice", "convert", model, "--to", "hf", "--to", "hf", "--output", "y");
    KIT_DO("generate", "--model", model, "--prompt", "the", "--max-new-tokens", "1", "--stop", "a", "--stop",
           "b", "--quiet", "--quiet");
}

/* Options of other programs: what Tuff has instead, or why not. */
static void test_hints(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"train", "--fp16=1", "mixed precision is --bf16"},
        {"train", "--torch-dtype", "mixed precision is --bf16"},
        {"train", "--gradient_checkpointing", "--gradient-accumulation-steps"},
        {"train", "--load-in-4bit", "quantized .gguf"},
        {"train", "--max_seq_length", "write --block-size"},
        {"generate", "--do_sample", "--temperature above 0"},
        {"generate", "--n-predict", "write --max-new-tokens"},
        {"generate", "Once upon", "a prompt as --prompt TEXT"},
        {"eval", "text.txt", "a text as --file FILE"},
        {"eval", "--train-file", "write --file FILE"},
        {"convert", "--model", "stands alone"},
        {"inspect", "--adapter", "and to convert, which merges them"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        KIT_REFUSES(2, cases[i][2], cases[i][0], cases[i][1], "x");
}

/* A name of the hub is not taken for a path that is missing. */
static void test_hub_names(void **state)
{
    (void)state;
#define HUB "hf download Qwen/Qwen2-0.5B --local-dir Qwen2-0.5B"
    static const char name[] = "Qwen/Qwen2-0.5B";
    KIT_REFUSES(1, HUB, "generate", "--model", name, "--prompt", "x");
    KIT_REFUSES(1, HUB, "train", "--model", name, "--train-file", kit_text(), "--output-dir",
                kit_path("out"));
    KIT_REFUSES(1, HUB, "eval", "--model", name, "--file", kit_text());
    KIT_REFUSES(1, HUB, "inspect", name);
    KIT_REFUSES(1, HUB, "convert", name, "--to", "gguf", "--output", kit_path("out.gguf"));
    KIT_REFUSES(1, "cannot open ./Qwen", "inspect", "./Qwen/Qwen2-0.5B");
    KIT_REFUSES(1, "if that is a name of the Hugging Face hub, get its files with `hf download gpt2",
                "inspect", "gpt2");
    KIT_REFUSES(1, "does not download adapters: get its files with `hf download me/lora --local-dir lora`",
                "eval", "--model", kit_golden("llama"), "--adapter", "me/lora", "--file", kit_text());
}

/* What the hub's programs have in their cache is found by its name there, and by the directory that they
 * made. */
static void test_hub_cache(void **state)
{
    (void)state;
    const char *commit = "0123456789abcdef0123456789abcdef01234567", *cache = kit_path("hub"),
               *root = kit_join(cache, "models--me--tiny"), *refs = kit_join(root, "refs"),
               *snapshots = kit_join(root, "snapshots"), *out = kit_path("of-hub");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(mkdir(((const char *[]){cache, root, refs, snapshots})[i], 0777), 0);
    assert_int_equal(symlink(kit_golden("llama"), kit_join(snapshots, commit)), 0);
    setenv("HF_HUB_CACHE", cache, 1);
    KIT_REFUSES(1, "hf download me/tiny", "inspect", "me/tiny"); /* no revision is named */
    kit_write_file(kit_join(refs, "main"), "../../x", 7);
    KIT_REFUSES(1, "hf download me/tiny", "inspect", "me/tiny");
    kit_write_file(kit_join(refs, "main"), commit, strlen(commit));
    KIT_REFUSES(1, "hf download me/large", "inspect", "me/large");
    kit_result r = KIT_TUFF("generate", "--model", "me/tiny", "--prompt", "x", "--max-new-tokens", "2");
    assert_non_null(strstr(r.err.data, "me/tiny, of the Hugging Face hub's cache: "));
    assert_non_null(strstr(r.err.data, commit));
    kit_result_free(&r);
    KIT_DO("inspect", root);
    KIT_DO("train", "--model", "me/tiny", "--train-file", kit_text(), "--output-dir", out, "--max-steps", "1",
           "--block-size", "16", "--lora-rank", "2");
    tuff_buf config;
    kit_read_file(kit_join(out, "adapter_config.json"), &config);
    assert_non_null(strstr(config.data, "\"base_model_name_or_path\": \"me/tiny\""));
    tuff_buf_free(&config);
    KIT_DO("eval", "--model", root, "--adapter", out, "--file", kit_text(), "--block-size", "16");
    /* a directory of somebody that is called nearly so has no name of the hub */
    const char *of_user = kit_join(cache, "models--v2"), *named = kit_join(of_user, "llama"),
               *versions = kit_join(named, "snapshots"), *best = kit_join(versions, "best");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(mkdir(((const char *[]){of_user, named, versions})[i], 0777), 0);
    assert_int_equal(symlink(kit_golden("llama"), best), 0);
    KIT_DO("train", "--model", best, "--train-file", kit_text(), "--output-dir", kit_path("of-user"),
           "--max-steps", "1", "--block-size", "16", "--lora-rank", "2");
    kit_read_file(kit_join(kit_path("of-user"), "adapter_config.json"), &config);
    assert_non_null(strstr(config.data, "models--v2/llama/snapshots/best\""));
    tuff_buf_free(&config);
    /* the other ways to say where the cache is */
    unsetenv("HF_HUB_CACHE");
    KIT_REFUSES(1, "hf download me/tiny", "inspect", "me/tiny");
    setenv("HF_HOME", kit_temp_directory(), 1); /* with "hub" in it */
    KIT_DO("inspect", "me/tiny");
    unsetenv("HF_HOME");
}

static void test_devices(void **state)
{
    (void)state;
    kit_result table = KIT_TUFF("devices"), json = KIT_TUFF("devices", "--json");
    assert_non_null(strstr(table.out.data, "CPU"));
    assert_non_null(strstr(table.out.data, "* the default"));
    assert_non_null(strstr(json.out.data, "\"backend\": \"cpu\""));
    assert_non_null(strstr(json.out.data, "\"default\": true"));
    kit_result_free(&table);
    kit_result_free(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),         cmocka_unit_test(test_all_options_are_there),
        cmocka_unit_test(test_version),      cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test(test_wrong_values), cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_hub_cache),    cmocka_unit_test(test_devices),
        cmocka_unit_test(test_repeated),     cmocka_unit_test(test_hints),
        cmocka_unit_test(test_hub_names),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
