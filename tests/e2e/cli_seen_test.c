/* What one sees of a training: what the model says now, its page, the event files. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <tuff/train.h>

#include "base/hash.h"
#include "kit/command.h"

#define TRAIN_ARGUMENTS(out)                                                                  \
    "train", "--model", kit_golden("llama"), "--train-file", kit_text(), "--output-dir", out, \
        "--block-size", "32", "--per-device-train-batch-size", "2", "--learning-rate", "1e-2"
#define TRAIN(out, ...) KIT_TUFF(TRAIN_ARGUMENTS(out), __VA_ARGS__)

/* The lines of a log; those with samples apart. */
static void read_log(const char *directory, tuff_buf *out_plain, tuff_buf *out_samples)
{
    tuff_buf log;
    *out_plain = *out_samples = (tuff_buf){0};
    kit_read_file(kit_join(directory, "train_log.jsonl"), &log);
    for (char *line = log.data; *line;) {
        size_t size = strcspn(line, "\n");
        cJSON *json = kit_parse(line, size);
        tuff_buf_bytes(cJSON_HasObjectItem(json, "sample") ? out_samples : out_plain, line, size + 1);
        cJSON_Delete(json);
        line += size + 1;
    }
    tuff_buf_free(&log);
    assert_false(out_plain->failed || out_samples->failed);
}

static int lines_of(const tuff_buf *text)
{
    int n = 0;
    for (size_t i = 0; i < text->size; i++)
        n += text->data[i] == '\n';
    return n;
}

static void expect_same_file(const char *a, const char *b, const char *name)
{
    tuff_buf x, y;
    kit_read_file(kit_join(a, name), &x);
    kit_read_file(kit_join(b, name), &y);
    if (x.size != y.size || memcmp(x.data, y.data, x.size) != 0) fail_msg("%s: %s and %s", name, a, b);
    tuff_buf_free(&x);
    tuff_buf_free(&y);
}

/* With samples each step is the same, and the last sample is what the result says. */
static void test_samples(void **state)
{
    (void)state;
    static const char *const ways[][3] = {{"--lora-rank", "0", "model.safetensors"},
                                          {"--lora-rank", "4", "adapter_model.safetensors"}};
    for (int i = 0; i < 2; i++) {
        const char *with = kit_path(i ? "with-1" : "with-0"),
                   *without = kit_path(i ? "without-1" : "without-0");
        kit_result r = TRAIN(with, ways[i][0], ways[i][1], "--max-steps", "6", "--sample-prompt", "the river",
                             "--sample-prompt", "and\nthe", "--sample-tokens", "9", "--sample-steps", "4",
                             "--gradient-accumulation-steps", "2");
        assert_non_null(strstr(r.err.data, "\nsample   the river | "));
        assert_non_null(strstr(r.err.data, "\nsample   and the | "));
        kit_result_free(&r);
        KIT_DO(TRAIN_ARGUMENTS(without), ways[i][0], ways[i][1], "--max-steps", "6",
               "--gradient-accumulation-steps", "2");
        tuff_buf plain, samples, all, none;
        read_log(with, &plain, &samples);
        read_log(without, &all, &none);
        assert_string_equal(plain.data, all.data);
        assert_int_equal(none.size, 0);
        assert_int_equal(lines_of(&samples), 6); /* before the first step, after 4, after 6 */
        assert_memory_equal(samples.data, "{\"step\": 0, \"prompt\": \"the river\", \"sample\": \"", 44);
        expect_same_file(with, without, ways[i][2]);
        const char *last = strstr(samples.data, "{\"step\": 6, \"prompt\": \"the river\"");
        assert_non_null(last);
        cJSON *json = kit_parse(last, strcspn(last, "\n"));
        r = i ? KIT_TUFF("generate", "--model", kit_golden("llama"), "--adapter", with, "--prompt",
                         "the river", "--max-new-tokens", "9", "--json")
              : KIT_TUFF("generate", "--model", with, "--prompt", "the river", "--max-new-tokens", "9",
                         "--json");
        cJSON *said = kit_parse(r.out.data, r.out.size);
        assert_string_equal(kit_string(json, "sample"), kit_string(said, "text"));
        cJSON_Delete(json);
        cJSON_Delete(said);
        kit_result_free(&r);
        tuff_buf_free(&plain);
        tuff_buf_free(&samples);
        tuff_buf_free(&all);
        tuff_buf_free(&none);
    }
}

/* With each evaluation; drawn by the seed; each once in the log of a training that goes on. */
static void test_samples_of_a_resumed_run(void **state)
{
    (void)state;
#define SAMPLED                                                                                    \
    "--max-steps", "8", "--save-steps", "4", "--validation-file", kit_text(), "--eval-steps", "2", \
        "--sample-prompt", "the", "--sample-temperature", "1", "--sample-tokens", "8"
    const char *whole = kit_path("sampled"), *again = kit_path("sampled-again"),
               *half = kit_path("sampled-half");
    KIT_DO(TRAIN_ARGUMENTS(whole), SAMPLED);
    KIT_DO(TRAIN_ARGUMENTS(again), SAMPLED, "--quiet");
    expect_same_file(whole, again, "train_log.jsonl");
    KIT_DO(TRAIN_ARGUMENTS(half), SAMPLED, "--resume-from-checkpoint", kit_join(whole, "checkpoint-4"));
    expect_same_file(whole, half, "train_log.jsonl");
    KIT_DO(TRAIN_ARGUMENTS(half), SAMPLED, "--resume-from-checkpoint", "last");
    expect_same_file(whole, half, "train_log.jsonl");
    tuff_buf plain, samples;
    read_log(whole, &plain, &samples);
    assert_int_equal(lines_of(&samples), 5);
    tuff_buf_free(&plain);
    tuff_buf_free(&samples);
    kit_result r = TRAIN(kit_path("sampled-quiet"), "--max-steps", "1", "--sample-prompt", "the", "--quiet");
    assert_int_equal(r.err.size, 0);
    kit_result_free(&r);
}

static void test_samples_that_cannot_be(void **state)
{
    (void)state;
    const char *labels = kit_path("labels.jsonl"), *out = kit_path("out");
    static const char records[] = "{\"text\": \"the river\", \"label\": \"a\"}\n"
                                  "{\"text\": \"and the\", \"label\": \"b\"}\n";
    kit_write_file(labels, records, sizeof records - 1);
    KIT_REFUSES(2, "need --sample-prompt", TRAIN_ARGUMENTS(out), "--sample-steps", "4");
    KIT_REFUSES(1, "a language model is needed", "train", "--task", "classification", "--model",
                kit_golden("llama"), "--train-file", labels, "--output-dir", out, "--max-steps", "1",
                "--sample-prompt", "the", "--quiet");
    /* learned positions end */
    char longer[300];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    for (int i = 0; i < 2; i++) /* and nothing is left, no events either */
        KIT_REFUSES(1, "leaves no room", "train", "--model", kit_golden("gpt2"), "--train-file", kit_text(),
                    "--output-dir", out, "--block-size", "32", "--max-steps", "1", "--sample-prompt", longer,
                    "--quiet", "--report-to", i ? "all" : "html");
}

static void expect_part(const tuff_buf *text, const char *part)
{
    if (!strstr(text->data, part)) fail_msg("no \"%s\" in %.4000s", part, text->data);
}

/* Over what was learned and measured stands which file it was of. */
static void test_titles(void **state)
{
    (void)state;
    const char *out = kit_path("titles"), *other = kit_path("other.txt");
    char title[8200];
    tuff_buf page;
    kit_result r = TRAIN(out, "--max-steps", "1", "--validation-split", "0.2");
    kit_result_free(&r);
    kit_read_file(kit_join(out, "report.html"), &page);
    snprintf(title, sizeof title, ">Validation, held out of: %s<", kit_text());
    expect_part(&page, title);
    snprintf(title, sizeof title, ">Training: %s<", kit_text());
    expect_part(&page, title);
    tuff_buf_free(&page);
    tuff_buf text;
    kit_read_file(kit_text(), &text);
    kit_write_file(other, text.data, text.size);
    tuff_buf_free(&text);
    char mixed[2][4200];
    snprintf(mixed[0], sizeof mixed[0], "%s=0.7", kit_text());
    snprintf(mixed[1], sizeof mixed[1], "%s=0.3", other);
    KIT_DO("train", "--model", kit_golden("llama"), "--mix", mixed[0], "--mix", mixed[1], "--output-dir",
           kit_path("mixed"), "--block-size", "32", "--max-steps", "1");
    kit_read_file(kit_path("mixed/report.html"), &page);
    snprintf(title, sizeof title, ">Training: %s, %s<", kit_text(), other);
    expect_part(&page, title);
    tuff_buf_free(&page);
}

/* The page is there unless nobody wants it; its figures are those of the log. */
static void test_page(void **state)
{
    (void)state;
    const char *out = kit_path("page"), *none = kit_path("no-page");
    kit_result r = TRAIN(out, "--max-steps", "6", "--validation-file", kit_text(), "--eval-steps", "3",
                         "--sample-prompt", "the <river>", "--sample-tokens", "5");
    expect_part(&r.err, "report.html (until it is saved)");
    assert_null(strstr(r.err.data, "events "));
    kit_result_free(&r);
    tuff_buf page, log;
    kit_read_file(kit_join(out, "report.html"), &page);
    kit_read_file(kit_join(out, "train_log.jsonl"), &log);
    expect_part(&page, "done: step 6 of 6");
    expect_part(&page, "the &lt;river&gt;");
    expect_part(&page, "<dt>learning-rate</dt><dd>0.01</dd>");
    expect_part(&page, "<dt>validation-file</dt>");
    assert_null(strstr(page.data, "<dt>eval-file</dt>")); /* which is the same */
    expect_part(&page, "<dt>steps</dt><dd>6 of 64 tokens");
    char expected[64];
    const char *last = strstr(log.data, "{\"step\": 6, \"epoch\"");
    assert_non_null(last);
    cJSON *json = kit_parse(last, strcspn(last, "\n"));
    snprintf(expected, sizeof expected, "training: ");
    expect_part(&page, expected);
    snprintf(expected, sizeof expected, "%.4g at step 6", kit_number(json, "loss"));
    expect_part(&page, expected);
    cJSON_Delete(json);
    tuff_buf_free(&page);
    tuff_buf_free(&log);
    assert_false(tuff_is_directory(kit_join(out, "runs")));
    KIT_DO(TRAIN_ARGUMENTS(none), "--max-steps", "1", "--report-to", "none");
    assert_false(tuff_is_file(kit_join(none, "report.html")));
}

/* It goes on where the training does, and says how one ended that saved nothing. */
static void test_page_of_other_ends(void **state)
{
    (void)state;
    const char *out = kit_path("goes-on"), *bad = kit_path("diverged");
    KIT_DO(TRAIN_ARGUMENTS(out), "--max-steps", "4", "--save-steps", "2", "--sample-prompt", "the");
    KIT_DO(TRAIN_ARGUMENTS(out), "--max-steps", "4", "--save-steps", "2", "--sample-prompt", "the",
           "--overwrite-output-dir", "--resume-from-checkpoint", kit_join(out, "checkpoint-2"));
    tuff_buf page;
    kit_read_file(kit_join(out, "report.html"), &page);
    expect_part(&page, "done: step 4 of 4");
    expect_part(&page, " at step 1, ");
    expect_part(&page, "<dt>tokens</dt><dd>256</dd>");
    tuff_buf_free(&page);
    kit_result r;
    kit_run_tuff(&r, (const char *const[]){"train",
                                           "--model",
                                           kit_golden("gpt2"),
                                           "--train-file",
                                           kit_text(),
                                           "--output-dir",
                                           bad,
                                           "--block-size",
                                           "24",
                                           "--max-steps",
                                           "20",
                                           "--max-grad-norm",
                                           "0",
                                           "--optim",
                                           "sgd",
                                           "--learning-rate",
                                           "1e6",
                                           "--max-nonfinite",
                                           "3",
                                           NULL});
    assert_int_equal(r.exit_code, 1);
    expect_part(&r.err, "the report of the training is ");
    kit_result_free(&r);
    assert_false(tuff_is_directory(bad));
    kit_read_file(kit_path("diverged.report.html"), &page);
    expect_part(&page, "the training has diverged");
    expect_part(&page, "Skipped steps");
    tuff_buf_free(&page);
}

/* Every step and evaluation, at once, in files that one training adds to. */
static void test_events(void **state)
{
    (void)state;
    const char *out = kit_path("events"), *elsewhere = kit_path("logs");
    KIT_DO(TRAIN_ARGUMENTS(out), "--max-steps", "4", "--save-steps", "2", "--report-to", "tensorboard",
           "--validation-file", kit_text(), "--eval-steps", "2");
    assert_int_equal(kit_count_entries(kit_join(out, "runs")), 1);
    assert_false(tuff_is_file(kit_join(out, "report.html")));
    char *name = tuff_first_name(kit_join(out, "runs"), ".tuff");
    assert_non_null(name);
    tuff_buf file;
    kit_read_file(kit_join(kit_join(out, "runs"), name), &file);
    tuff_free(name);
    static const char *const tags[] = {"train/loss",  "train/learning_rate", "train/grad_norm",
                                       "train/epoch", "eval/loss",           "eval/perplexity"};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        int n = 0;
        for (size_t at = 0; at + strlen(tags[i]) <= file.size; at++)
            n += memcmp(file.data + at, tags[i], strlen(tags[i])) == 0;
        assert_int_equal(n, i < 4 ? 4 : 2);
    }
    tuff_buf_free(&file);
    KIT_DO(TRAIN_ARGUMENTS(out), "--max-steps", "4", "--save-steps", "2", "--report-to", "tensorboard,html",
           "--overwrite-output-dir", "--resume-from-checkpoint", kit_join(out, "checkpoint-2"));
    assert_int_equal(kit_count_entries(kit_join(out, "runs")), 2);
    KIT_DO(TRAIN_ARGUMENTS(kit_path("events2")), "--max-steps", "1", "--logging-dir", elsewhere);
    assert_int_equal(kit_count_entries(elsewhere), 1);
    assert_true(tuff_is_file(kit_path("events2/report.html")));
}

/* Puts a text in the place of a checkpoint's log, as if it had been written with it. */
static void replace_log(const char *checkpoint, const char *text)
{
    char sum[65], *path = strdup(kit_join(checkpoint, "trainer_state.json"));
    tuff_buf state;
    kit_write_file(kit_join(checkpoint, "train_log.jsonl"), text, strlen(text));
    kit_read_file(path, &state);
    char *entry = strstr(state.data, "\"train_log.jsonl\": {\"bytes\": ");
    assert_non_null(entry);
    char *number = strstr(entry, "bytes\": ") + strlen("bytes\": "), *hash = strstr(entry, "\"sha256\": \"");
    assert_int_equal(strspn(number, "0123456789"), 3); /* as many digits as that of the text */
    tuff_sha256_hex_of(text, strlen(text), sum);
    char digits[8];
    assert_int_equal(snprintf(digits, sizeof digits, "%zu", strlen(text)), 3);
    memcpy(number, digits, 3);
    memcpy(hash + strlen("\"sha256\": \""), sum, 64);
    kit_write_file(path, state.data, state.size);
    tuff_buf_free(&state);
    free(path);
}

/* A log that is no log is no reason to lose a training: page and log begin anew, and it is kept. */
static void test_damaged_log(void **state)
{
    (void)state;
    static const char bad[] =
        "{\"step\": 1, \"epoch\": 0.1, \"loss\": 4.75, \"learning_rate\": 0.001, \"grad_norm\": 2, \"tokens\": 64}\n"
        "this line is of somebody else\n";
    const char *out = kit_path("damaged"), *checkpoint = kit_join(out, "checkpoint-2");
    KIT_DO(TRAIN_ARGUMENTS(out), "--max-steps", "3", "--save-steps", "2");
    replace_log(checkpoint, bad);
    kit_result r = TRAIN(out, "--max-steps", "3", "--save-steps", "2", "--overwrite-output-dir",
                         "--resume-from-checkpoint", checkpoint, "--report-to", "all");
    expect_part(&r.err, "the log of the steps before is damaged (");
    expect_part(&r.err, "the report and the log begin at step 2");
    expect_part(&r.err, "the damaged log is kept as ");
    kit_result_free(&r);
    tuff_buf plain, samples, kept;
    kit_read_file(kit_join(out, "train_log.damaged.jsonl"), &kept);
    assert_string_equal(kept.data, bad);
    tuff_buf_free(&kept);
    read_log(out, &plain, &samples);
    assert_int_equal(lines_of(&plain), 1);
    assert_memory_equal(plain.data, "{\"step\": 3,", 11);
    tuff_buf_free(&plain);
    tuff_buf_free(&samples);
    assert_true(tuff_is_file(kit_join(out, "report.html")));
    assert_int_equal(kit_count_entries(kit_join(out, "runs")), 1);
}

static void test_reports_that_cannot_be(void **state)
{
    (void)state;
    const char *file = kit_path("a-file"), *out = kit_path("out");
    kit_write_file(file, "x", 1);
    KIT_REFUSES(2, "--report-to is \"wandb\", expected html", TRAIN_ARGUMENTS(out), "--report-to", "wandb");
    KIT_REFUSES(2, "expected html", TRAIN_ARGUMENTS(out), "--report-to", "");
    KIT_REFUSES(2, "--logging-dir is of", TRAIN_ARGUMENTS(out), "--report-to", "html", "--logging-dir", out);
    KIT_REFUSES(1, "/proc", TRAIN_ARGUMENTS(out), "--logging-dir", "/proc/tuff-events");
    KIT_REFUSES(1, "is no directory", TRAIN_ARGUMENTS(out), "--logging-dir", file);
    KIT_REFUSES(1, "is no directory", TRAIN_ARGUMENTS(out), "--logging-dir", kit_join(file, "below"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_samples_of_a_resumed_run),
        cmocka_unit_test(test_samples_that_cannot_be),
        cmocka_unit_test(test_titles),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_page_of_other_ends),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_damaged_log),
        cmocka_unit_test(test_reports_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
