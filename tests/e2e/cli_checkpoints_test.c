/* Checkpoints of `tuff train`: when they are written and removed, the best one, going on, and what is
 * refused. */
#define _POSIX_C_SOURCE 200809L
#include "kit/command.h"

#define TRAIN_ARGUMENTS(out)                                                                  \
    "train", "--model", kit_golden("llama"), "--train-file", kit_text(), "--output-dir", out, \
        "--block-size", "32", "--per-device-train-batch-size", "2", "--learning-rate", "1e-3"
#define TRAIN(out, ...)               KIT_TUFF(TRAIN_ARGUMENTS(out), __VA_ARGS__)
#define REFUSED(code, part, out, ...) KIT_REFUSES(code, part, TRAIN_ARGUMENTS(out), __VA_ARGS__)
#define VALIDATED                     "--validation-file", kit_text()

/* "3 6 8": the checkpoints of a directory by their steps. */
static void expect_checkpoints(const char *out, const char *expected)
{
    char found[128] = "";
    for (int step = 0; step <= 20; step++) {
        char name[32];
        snprintf(name, sizeof name, "checkpoint-%d", step);
        if (!tuff_is_directory(kit_join(out, name))) continue;
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%d", *found ? " " : "", step);
    }
    assert_string_equal(found, expected);
}

static void expect_same(const char *a, const char *b, const char *name)
{
    tuff_buf x = {0}, y = {0};
    kit_read_file(kit_join(a, name), &x);
    kit_read_file(kit_join(b, name), &y);
    if (x.size != y.size || memcmp(x.data, y.data, x.size) != 0) fail_msg("%s: %s and %s", name, a, b);
    tuff_buf_free(&x);
    tuff_buf_free(&y);
}

static void test_strategies(void **state)
{
    (void)state;
    const char *out = kit_path("steps");
    kit_result r = TRAIN(out, "--max-steps", "8", "--save-steps", "3");
    expect_checkpoints(out, "3 6 8");
    assert_non_null(strstr(r.err.data, "checkpoint-3"));
    kit_result_free(&r);
    kit_result again =
        TRAIN(kit_path("limit"), "--max-steps", "8", "--save-steps", "2", "--save-total-limit", "2");
    expect_checkpoints(kit_path("limit"), "6 8");
    kit_result_free(&again);
    /* another training there takes them away */
    KIT_DO(TRAIN_ARGUMENTS(kit_path("limit")), "--max-steps", "3", "--save-steps", "3",
           "--overwrite-output-dir");
    expect_checkpoints(kit_path("limit"), "3");
    /* 4 steps are an epoch */
    kit_write_file(kit_path("short.jsonl"), "", 0);
    tuff_buf lines = {0};
    for (int i = 0; i < 8; i++)
        tuff_buf_printf(&lines, "{\"text\": \"the river is a road\", \"label\": \"%s\"}\n",
                        i % 2 ? "yes" : "no");
    kit_write_file(kit_path("short.jsonl"), lines.data, lines.size);
    tuff_buf_free(&lines);
    KIT_DO("train", "--task", "classification", "--model", kit_golden("llama"), "--train-file",
           kit_path("short.jsonl"), "--output-dir", kit_path("epochs"), "--per-device-train-batch-size", "2",
           "--num-train-epochs", "3", "--save-strategy", "epoch");
    expect_checkpoints(kit_path("epochs"), "4 8 12");
    /* without saving there are none */
    KIT_DO(TRAIN_ARGUMENTS(kit_path("none")), "--max-steps", "4");
    expect_checkpoints(kit_path("none"), "");
}

static void test_going_on(void **state)
{
    (void)state;
    const char *whole = kit_path("whole"), *half = kit_path("half");
    KIT_DO(TRAIN_ARGUMENTS(whole), "--max-steps", "8", "--save-steps", "3", VALIDATED, "--eval-steps", "2");
    kit_result r = TRAIN(half, "--max-steps", "8", "--save-steps", "3", VALIDATED, "--eval-steps", "2");
    kit_result_free(&r);
    /* as if it had been killed after step 6 */
    KIT_REFUSES(1, "has checkpoints already", TRAIN_ARGUMENTS(half), "--max-steps", "8", "--save-steps", "3");
    KIT_REFUSES(1, "which is newer than", TRAIN_ARGUMENTS(half), "--max-steps", "8", "--save-steps", "3",
                "--resume-from-checkpoint", kit_join(half, "checkpoint-3"));
    r = TRAIN(half, "--max-steps", "8", "--save-steps", "3", VALIDATED, "--eval-steps", "2",
              "--overwrite-output-dir", "--resume-from-checkpoint", kit_join(half, "checkpoint-3"), "--json");
    assert_null(strstr(r.err.data, "unlike"));
    assert_non_null(strstr(r.err.data, "after step 3 of 8"));
    assert_non_null(strstr(r.out.data, "\"steps\": 8"));
    kit_result_free(&r);
    expect_checkpoints(half, "3 6 8");
    expect_same(whole, half, "model.safetensors");
    expect_same(whole, half, "train_log.jsonl");
    expect_same(whole, half, "checkpoint-8/optimizer.safetensors");
    /* nothing is left to be done: the result is written again */
    assert_int_equal(remove(kit_join(half, "model.safetensors")), 0);
    KIT_DO(TRAIN_ARGUMENTS(half), "--max-steps", "8", VALIDATED, "--resume-from-checkpoint", "last");
    expect_same(whole, half, "model.safetensors");
    /* elsewhere, from an output directory, with other settings */
    const char *longer = kit_path("longer");
    r = TRAIN(longer, "--max-steps", "10", "--save-steps", "5", "--resume-from-checkpoint", half);
    assert_non_null(strstr(r.err.data, "checkpoint-8: total_steps was 8, is 10\n"));
    kit_result_free(&r);
    expect_checkpoints(longer, "10");
}

/* A checkpoint has the settings: nothing else needs to be said, and what is said comes first. */
static void test_settings_of_checkpoints(void **state)
{
    (void)state;
    const char *whole = kit_path("said"), *out = kit_path("unsaid"), *elsewhere = kit_path("elsewhere");
    KIT_DO(TRAIN_ARGUMENTS(whole), "--max-steps", "6", "--save-steps", "2");
    KIT_DO(TRAIN_ARGUMENTS(out), "--max-steps", "6", "--save-steps", "2");
    kit_cut_file(kit_join(out, "checkpoint-6/optimizer.safetensors"), 100);
    assert_int_equal(remove(kit_join(out, "model.safetensors")), 0);
    kit_result r = KIT_TUFF("train", "--resume-from-checkpoint", out);
    assert_non_null(strstr(r.err.data, "checkpoint-4/run.json\n"));
    assert_non_null(strstr(r.err.data, "after step 4 of 6"));
    assert_null(strstr(r.err.data, "unlike"));
    kit_result_free(&r);
    expect_same(whole, out, "model.safetensors");
    expect_same(whole, out, "run.json");
    KIT_DO("train", "--output_dir", out, "--resume_from_checkpoint=last");
    expect_same(whole, out, "model.safetensors");
    r = KIT_TUFF("train", "--resume-from-checkpoint", kit_join(whole, "checkpoint-2/"), "--output-dir",
                 elsewhere, "--max-steps", "7");
    assert_non_null(strstr(r.err.data, "after step 2 of 7"));
    kit_result_free(&r);
    expect_checkpoints(elsewhere, "4 6 7");
    KIT_REFUSES(2, "there is no such directory", "train", "--resume-from-checkpoint", kit_path("nowhere"));
    KIT_REFUSES(2, "there is no whole checkpoint in it", "train", "--resume-from-checkpoint",
                kit_golden("llama"));
    KIT_REFUSES(2, "train needs --model", "train", "--resume-from-checkpoint", "last");
    /* one that does not know its settings */
    assert_int_equal(remove(kit_join(elsewhere, "checkpoint-7/run.json")), 0);
    KIT_REFUSES(2, "train needs --model", "train", "--resume-from-checkpoint",
                kit_join(elsewhere, "checkpoint-7"));
}

/* Where nothing is said, the end of each epoch is when it is seen whether a training gets better. */
static void test_patience_by_epochs(void **state)
{
    (void)state;
    kit_result r =
        TRAIN(kit_path("patient"), "--max-steps", "6", VALIDATED, "--early-stopping-patience", "3");
    tuff_buf log;
    kit_read_file(kit_path("patient/train_log.jsonl"), &log);
    assert_non_null(strstr(log.data, "eval_loss"));
    tuff_buf_free(&log);
    kit_result_free(&r);
}

static void test_damage(void **state)
{
    (void)state;
    const char *out = kit_path("damage");
    KIT_DO(TRAIN_ARGUMENTS(out), "--max-steps", "6", "--save-steps", "2", "--lora-rank", "4");
    kit_cut_file(kit_join(out, "checkpoint-6/optimizer.safetensors"), 100);
    kit_result r;
    kit_run_tuff(&r, (const char *const[]){TRAIN_ARGUMENTS(out), "--max-steps", "6", "--lora-rank", "4",
                                           "--resume-from-checkpoint", kit_join(out, "checkpoint-6"), NULL});
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "checkpoint-6 is damaged: optimizer.safetensors has 100 bytes"));
    assert_non_null(strstr(r.err.data, "the one before it is whole: --resume-from-checkpoint "));
    assert_non_null(strstr(r.err.data, "checkpoint-4\n"));
    kit_result_free(&r);
    /* the newest whole one */
    r = TRAIN(out, "--max-steps", "6", "--save-steps", "2", "--lora-rank", "4", "--resume-from-checkpoint",
              "last");
    assert_non_null(strstr(r.err.data, "warning"));
    assert_non_null(strstr(r.err.data, "after step 4 of 6"));
    kit_result_free(&r);
    expect_checkpoints(out, "2 4 6");
    KIT_DO(TRAIN_ARGUMENTS(kit_path("mended")), "--max-steps", "6", "--lora-rank", "4",
           "--resume-from-checkpoint", kit_join(out, "checkpoint-6"));
    REFUSED(1, "is of a training of LORA, this one is of all parameters", kit_path("n1"), "--quiet",
            "--resume-from-checkpoint", kit_join(out, "checkpoint-6"));
    REFUSED(1, "there is no whole checkpoint in it", kit_path("n2"), "--resume-from-checkpoint",
            kit_path("mended"));
    REFUSED(1, "there is no such directory", kit_path("n3"), "--resume-from-checkpoint", kit_path("nowhere"));
}

/* Taken the wrong way round the first evaluation is the best. */
static void test_best(void **state)
{
    (void)state;
    const char *out = kit_path("best");
    kit_result r =
        TRAIN(out, "--max-steps", "20", VALIDATED, "--eval-steps", "2", "--save-steps", "2",
              "--save-total-limit", "1", "--load-best-model-at-end", "--early-stopping-patience", "3",
              "--greater-is-better", "true", "--metric-for-best-model", "eval_perplexity", "--json");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    assert_true(kit_number(json, "best_step") == 2 && kit_number(json, "steps") == 8);
    assert_true(kit_number(json, "best_metric") == kit_number(json, "eval_perplexity"));
    assert_non_null(
        strstr(r.err.data, "stopped early after step 8: the last 3 evaluations had no better perplexity"));
    cJSON_Delete(json);
    kit_result_free(&r);
    expect_checkpoints(out, "2 8");
    expect_same(kit_join(out, "checkpoint-2"), out, "model.safetensors");
    r = TRAIN(kit_path("one"), "--max-steps", "20", VALIDATED, "--eval-steps", "2",
              "--early-stopping-patience", "1", "--greater-is-better", "true", "--metric-for-best-model",
              "eval_perplexity");
    assert_non_null(
        strstr(r.err.data, "stopped early after step 4: the last evaluation had no better perplexity"));
    char said[4200];
    snprintf(said, sizeof said, "eval     %s: ", kit_text());
    const char *data = strstr(r.err.data, said); /* before training */
    assert_true(data && strstr(data, " blocks of ") && strstr(data, "stopped early"));
    kit_result_free(&r);
}

/* What was best, and for how long nothing was better, is known again after a resume. */
static void test_best_after_going_on(void **state)
{
    (void)state;
    const char *whole = kit_path("best-whole"), *parts = kit_path("best-parts");
    const char *const more[] = {VALIDATED,
                                "--eval-steps",
                                "2",
                                "--save-steps",
                                "2",
                                "--load-best-model-at-end",
                                "--greater-is-better",
                                "true",
                                "--early-stopping-patience",
                                "4",
                                "--max-steps"};
    const char *arguments[KIT_ARGUMENTS] = {TRAIN_ARGUMENTS(whole)};
    int n = 0;
    while (arguments[n])
        n++;
    const int begin = n;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        arguments[n++] = more[i];
    arguments[n] = "16";
    kit_result r =
        kit_expect_success(arguments); /* the loss falls: the first is the best, the fifth ends it */
    assert_non_null(strstr(r.err.data, "stopped early after step 10"));
    kit_result_free(&r);
    expect_checkpoints(whole, "2 4 6 8 10");
    for (int i = 0; i < begin; i++)
        if (arguments[i] == whole) arguments[i] = parts;
    r = kit_expect_success(arguments);
    kit_result_free(&r);
    arguments[n + 1] = "--resume-from-checkpoint";
    arguments[n + 2] = kit_join(parts, "checkpoint-6");
    arguments[n + 3] = "--overwrite-output-dir";
    r = kit_expect_success(arguments);
    assert_non_null(strstr(r.err.data, "stopped early after step 10"));
    assert_non_null(strstr(r.err.data, "the best is that of step 2"));
    kit_result_free(&r);
    expect_same(whole, parts, "model.safetensors");
    expect_same(whole, parts, "train_log.jsonl");
    /* the last one is where it was stopped */
    assert_int_equal(remove(kit_join(parts, "model.safetensors")), 0);
    arguments[n + 2] = "last";
    r = kit_expect_success(arguments);
    assert_null(strstr(r.err.data, "step 11"));
    kit_result_free(&r);
    expect_checkpoints(parts, "2 4 6 8 10");
    expect_same(whole, parts, "model.safetensors");
    expect_same(whole, parts, "train_log.jsonl");
}

/* Files of more than 200 kB cannot be written: no checkpoint, whose optimizer is larger, but the result. */
static void test_full_disk(void **state)
{
    (void)state;
    const char *out = kit_path("full"), *tuff = getenv("TUFF_TEST_TUFF");
    if (!tuff) skip();
    kit_result r;
    kit_run((const char *const[]){"sh", "-c", "ulimit -f 400; exec \"$@\"", "sh", tuff, TRAIN_ARGUMENTS(out),
                                  "--max-steps", "4", "--save-steps", "2", NULL},
            &r);
    if (r.exit_code) fail_msg("%s", r.err.data);
    assert_non_null(strstr(r.err.data, "checkpoint-2 could not be written: cannot write"));
    assert_non_null(strstr(r.err.data, "optimizer.safetensors: File too large"));
    assert_non_null(strstr(r.err.data, "checkpoint-4 could not be written"));
    assert_non_null(strstr(r.err.data, "saved to"));
    kit_result_free(&r);
    expect_checkpoints(out, "");
    KIT_DO("inspect", out);
}

static void test_contradictions(void **state)
{
    (void)state;
    const char *out = kit_path("wrong");
    REFUSED(2, "--save-steps is of --save-strategy steps", out, "--save-strategy", "epoch", "--save-steps",
            "3");
    REFUSED(2, "--eval-strategy needs --validation-file", out, "--eval-strategy", "epoch");
    REFUSED(2, "--eval-steps is of --eval-strategy steps", out, VALIDATED, "--eval-strategy", "no",
            "--eval-steps", "3");
    REFUSED(2, "--save-total-limit needs", out, "--save-total-limit", "3");
    REFUSED(2, "to be the same", out, VALIDATED, "--load-best-model-at-end", "--save-steps", "3");
    REFUSED(2, "a multiple of --eval-steps", out, VALIDATED, "--load-best-model-at-end", "--save-steps", "3",
            "--eval-steps", "2");
    REFUSED(2, "--early-stopping-patience needs --eval-strategy", out, VALIDATED, "--early-stopping-patience",
            "2", "--eval-strategy", "no");
    REFUSED(2, "--early-stopping-patience needs --validation-file", out, "--early-stopping-patience", "2");
    REFUSED(2, "--early-stopping-threshold needs", out, VALIDATED, "--early-stopping-threshold", "0.1");
    REFUSED(2, "--metric-for-best-model and", out, VALIDATED, "--metric-for-best-model", "loss");
    REFUSED(2, "--metric-for-best-model and", out, VALIDATED, "--metric", "loss");
    REFUSED(2, "expected one of no|steps|epoch", out, "--save-strategy", "best");
    kit_result r;
    kit_run_tuff(&r,
                 (const char *const[]){TRAIN_ARGUMENTS(out), VALIDATED, "--eval-steps", "1", "--save-steps",
                                       "1", "--max-steps", "2", "--load-best-model-at-end",
                                       "--metric-for-best-model", "eval_accuracy", NULL});
    assert_int_equal(r.exit_code, 1);
    assert_non_null(
        strstr(r.err.data, "--metric-for-best-model is accuracy, but the evaluation has loss, perplexity\n"));
    kit_result_free(&r);
}

/* SIGTERM in the middle: a checkpoint is written in place of the result, and the training goes on from it. */
static void test_interrupted(void **state)
{
    (void)state;
    static const char script[] =
        "log=$1; shift; \"$@\" & child=$!\n"
        "for i in $(seq 1200); do grep -qs '\"step\": 2,' \"$log\" && break; sleep .05; done\n"
        "kill -TERM $child || exit 99; wait $child";
    const char *log = kit_path("term.jsonl"), *out = kit_path("term"), *tuff = getenv("TUFF_TEST_TUFF");
    if (!tuff) skip();
    kit_result r;
    kit_run((const char *const[]){"sh", "-c", script, "sh", log, tuff, TRAIN_ARGUMENTS(out), "--max-steps",
                                  "1000000", "--save-steps", "1000000", "--log-file", log, NULL},
            &r);
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "--resume-from-checkpoint last goes on from there"));
    kit_result_free(&r);
    assert_true(tuff_is_directory(out));
    assert_int_equal(kit_count_entries(out), 2); /* the checkpoint, and the report */
    tuff_buf page = {0};
    kit_read_file(kit_join(out, "report.html"), &page);
    assert_non_null(strstr(page.data, "interrupted, with a checkpoint: step "));
    tuff_buf_free(&page);
    r = TRAIN(out, "--max-steps", "2", "--resume-from-checkpoint", "last");
    assert_non_null(strstr(r.err.data, "going on from"));
    kit_result_free(&r);
}

/* In the middle of an evaluation: it is done when the training goes on, before the next step. */
static void test_interrupted_evaluation(void **state)
{
    (void)state;
    static const char script[] =
        "log=$1; shift; \"$@\" & child=$!\n"
        "for i in $(seq 1200); do grep -qs '\"step\": 2,' \"$log\" && break; sleep .05; done\n"
        "kill -TERM $child || exit 99; wait $child";
    const char *held_out = kit_path("long.txt"), *whole = kit_path("measured"),
               *parts = kit_path("unmeasured"), *log = kit_path("measured.jsonl"),
               *tuff = getenv("TUFF_TEST_TUFF");
    if (!tuff) skip();
    kit_write_sentences(held_out, 8000);
#define MEASURED                                                                              \
    "--max-steps", "4", "--save-steps", "2", "--eval-steps", "2", "--load-best-model-at-end", \
        "--greater-is-better", "true", "--validation-file", held_out
    KIT_DO(TRAIN_ARGUMENTS(whole), MEASURED);
    kit_result r;
    kit_run((const char *const[]){"sh", "-c", script, "sh", log, tuff, TRAIN_ARGUMENTS(parts), MEASURED,
                                  "--log-file", log, NULL},
            &r);
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "interrupted after step 2 of 4"));
    assert_null(strstr(r.err.data, "validation loss"));
    kit_result_free(&r);
    r = TRAIN(parts, MEASURED, "--resume-from-checkpoint", "last");
    assert_non_null(strstr(r.err.data, "the best is that of step 2"));
    kit_result_free(&r);
    expect_same(whole, parts, "model.safetensors");
    expect_same(whole, parts, "train_log.jsonl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strategies),
        cmocka_unit_test(test_going_on),
        cmocka_unit_test(test_settings_of_checkpoints),
        cmocka_unit_test(test_patience_by_epochs),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_best_after_going_on),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_interrupted_evaluation),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
