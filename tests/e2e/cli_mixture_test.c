/* tuff train --mix: files that are mixed by weights, what is said of them, going on from a checkpoint. */
#include <stdlib.h>

#include "kit/command.h"

static const char chat[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"The river and\"}, {\"role\": \"assistant\", \"content\": \"the bridge.\"}]}\n"
    "{\"messages\": [{\"role\": \"user\", \"content\": \"the stone\"}, {\"role\": \"assistant\", \"content\": \"was warm\"}]}\n";

static const char *mix_of(const char *name, const char *weight)
{
    static char texts[8][512];
    static int next;
    char *out = texts[next++ % 8];
    snprintf(out, sizeof texts[0], "%s=%s", kit_path(name), weight);
    return out;
}

static void expect_same(const char *a, const char *b, const char *name)
{
    tuff_buf x = {0}, y = {0};
    kit_read_file(kit_join(a, name), &x);
    kit_read_file(kit_join(b, name), &y);
    if (x.size != y.size || memcmp(x.data, y.data, x.size) != 0) fail_msg("%s differs", name);
    tuff_buf_free(&x);
    tuff_buf_free(&y);
}

#define TRAIN(out)                                                                                         \
    "train", "--model", kit_golden("llama"), "--mix", mix_of("chat.jsonl", "0.7"), "--mix",                \
        mix_of("text.txt", "0.3"), "--chat-template", "zephyr", "--block-size", "16", "--output-dir", out, \
        "--per-device-train-batch-size", "2", "--learning-rate", "1e-3", "--save-steps", "3", "--json"

/* Two epochs of one run, and a run that goes on within its first one, are the same, byte for byte. */
static void mixtures_go_on(void **state)
{
    (void)state;
    static const char text[] =
        "The river was long and the bridge was old. In the morning it rains, and the stone "
        "is warm. She said that it is not the longest road, and so it was.";
    kit_write_file(kit_path("chat.jsonl"), chat, sizeof chat - 1);
    kit_write_file(kit_path("text.txt"), text, sizeof text - 1);
    const char *whole = kit_path("whole"), *parts = kit_path("parts");
    kit_result r = KIT_TUFF(TRAIN(whole), "--max-steps", "12");
    assert_non_null(strstr(r.err.data, "2 conversations (messages)"));
    assert_non_null(strstr(r.err.data, "weight   0.7: "));
    assert_non_null(strstr(r.err.data, "weight   0.3: "));
    cJSON *json = kit_parse(r.out.data, r.out.size);
    const cJSON *mixture = cJSON_GetObjectItem(json, "mixture"), *first = cJSON_GetArrayItem(mixture, 0),
                *second = cJSON_GetArrayItem(mixture, 1);
    assert_int_equal(cJSON_GetArraySize(mixture), 2);
    assert_true(kit_number(first, "examples") == 2 && kit_number(first, "weight") == 0.7);
    assert_true(kit_number(second, "examples_of_epoch") == kit_number(second, "examples"));
    assert_true(kit_number(first, "examples_of_epoch") > 2 * kit_number(second, "examples_of_epoch"));
    cJSON_Delete(json);
    kit_result_free(&r);
    KIT_DO(TRAIN(parts), "--max-steps", "12", "--resume-from-checkpoint", kit_join(whole, "checkpoint-6"));
    expect_same(whole, parts, "model.safetensors");
    expect_same(whole, parts, "checkpoint-12/optimizer.safetensors");
    /* other weights are other data */
    kit_run_tuff(&r, (const char *const[]){"train",
                                           "--model",
                                           kit_golden("llama"),
                                           "--mix",
                                           mix_of("chat.jsonl", "0.5"),
                                           "--mix",
                                           mix_of("text.txt", "0.5"),
                                           "--chat-template",
                                           "zephyr",
                                           "--block-size",
                                           "16",
                                           "--output-dir",
                                           kit_path("other"),
                                           "--per-device-train-batch-size",
                                           "2",
                                           "--max-steps",
                                           "12",
                                           "--resume-from-checkpoint",
                                           kit_join(whole, "checkpoint-6"),
                                           NULL});
    assert_non_null(strstr(r.err.data, "the training data is not the same"));
    kit_result_free(&r);
}

static void refused(const char *part, const char *const arguments[])
{
    kit_result r;
    kit_run_tuff(&r, arguments);
    assert_true(r.exit_code == 1 || r.exit_code == 2);
    if (!strstr(r.err.data, part)) fail_msg("\"%s\" is not in: %s", part, r.err.data);
    kit_result_free(&r);
}
#define REFUSED(part, ...)                                                                       \
    refused(part, (const char *const[]){"train", "--model", kit_golden("llama"), "--output-dir", \
                                        kit_path("never"), __VA_ARGS__, NULL})

static void wrong_mixtures_are_refused(void **state)
{
    (void)state;
    kit_write_file(kit_path("chat.jsonl"), chat, sizeof chat - 1);
    kit_write_file(kit_path("text.txt"), chat, 4);
    REFUSED("give --train-file FILE, or --mix", "--max-steps", "1");
    REFUSED("say what to train on; give one", "--train-file", kit_path("chat.jsonl"), "--mix",
            mix_of("chat.jsonl", "1"));
    REFUSED("no FILE=WEIGHT", "--mix", mix_of("chat.jsonl", "many"));
    REFUSED("no FILE=WEIGHT", "--mix", mix_of("chat.jsonl", "-1"));
    REFUSED("is of --mix", "--train-file", kit_path("chat.jsonl"), "--stopping-strategy", "first_exhausted");
    REFUSED("nowhere.txt", "--mix", mix_of("nowhere.txt", "1"));
    REFUSED("--log-file", "--mix", mix_of("text.txt", "1"), "--mix", mix_of("chat.jsonl", "1"), "--log-file",
            kit_path("chat.jsonl"));
    /* also by a long way */
    char far[2000];
    size_t n = (size_t)snprintf(far, sizeof far, "%s/", kit_temp_directory());
    for (int i = 0; i < 600; i++, n += 2)
        memcpy(far + n, "./", 2);
    snprintf(far + n, sizeof far - n, "chat.jsonl=1");
    REFUSED("--log-file", "--mix", mix_of("text.txt", "1"), "--mix", far, "--log-file",
            kit_path("chat.jsonl"));
}

/* Pairs of texts, and what is held out of each file. */
static void pairs_are_mixed_and_held_out(void **state)
{
    (void)state;
    tuff_buf text = {0};
    for (int i = 0; i < 12; i++)
        tuff_buf_printf(&text, "{\"anchor\": \"the river %d\", \"positive\": \"the bridge %d\"}\n", i, i);
    kit_write_file(kit_path("a.jsonl"), text.data, text.size);
    kit_write_file(kit_path("b.jsonl"), text.data, text.size);
    tuff_buf_free(&text);
    kit_result r = kit_expect_success(
        (const char *const[]){"train", "--model", kit_golden("embedding/bert"), "--task", "embedding",
                              "--mix", mix_of("a.jsonl", "1"), "--mix", mix_of("b.jsonl", "2"),
                              "--validation-split", "0.25", "--per-device-train-batch-size", "4",
                              "--max-steps", "2", "--output-dir", kit_path("pairs"), "--json", NULL});
    cJSON *found = kit_parse(r.out.data, r.out.size);
    const cJSON *mixture = cJSON_GetObjectItem(found, "mixture"),
                *measured = cJSON_GetObjectItem(found, "validation_data");
    assert_int_equal(cJSON_GetArraySize(mixture), 2);
    assert_int_equal(kit_number(cJSON_GetArrayItem(mixture, 0), "examples"), 9);
    assert_int_equal(kit_number(measured, "examples"), 6);
    cJSON_Delete(found);
    kit_result_free(&r);
}

/* Files with scores and without are measured alike; by weights that are far from their sizes, too. */
static void scored_pairs_are_held_out_of_some(void **state)
{
    (void)state;
    tuff_buf scored = {0}, plain = {0};
    tuff_buf_text(&scored, "sentence1,sentence2,score\n");
    tuff_buf_text(&plain, "sentence1,sentence2\n");
    for (int i = 0; i < 40; i++) {
        tuff_buf_printf(&scored, "the river %d,the bridge %d,0.%d\n", i, i, i);
        if (i < 8) tuff_buf_printf(&plain, "the stone %d,the house %d\n", i, i);
    }
    kit_write_file(kit_path("a.csv"), scored.data, scored.size);
    kit_write_file(kit_path("b.csv"), plain.data, plain.size);
    tuff_buf_free(&scored);
    tuff_buf_free(&plain);
    kit_result r = kit_expect_success((const char *const[]){"train",
                                                            "--model",
                                                            kit_golden("embedding/bert"),
                                                            "--task",
                                                            "embedding",
                                                            "--loss",
                                                            "mnrl",
                                                            "--mix",
                                                            mix_of("a.csv", "1"),
                                                            "--mix",
                                                            mix_of("b.csv", "4"),
                                                            "--stopping-strategy",
                                                            "first_exhausted",
                                                            "--validation-split",
                                                            "0.25",
                                                            "--per-device-train-batch-size",
                                                            "4",
                                                            "--max-steps",
                                                            "1",
                                                            "--output-dir",
                                                            kit_path("scored"),
                                                            "--json",
                                                            NULL});
    cJSON *found = kit_parse(r.out.data, r.out.size);
    assert_int_equal(kit_number(cJSON_GetObjectItem(found, "validation_data"), "examples"), 12);
    cJSON_Delete(found);
    kit_result_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixtures_go_on), cmocka_unit_test(pairs_are_mixed_and_held_out),
        cmocka_unit_test(scored_pairs_are_held_out_of_some), cmocka_unit_test(wrong_mixtures_are_refused)};
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
