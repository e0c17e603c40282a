/* tuff train --dry-run: what it says, and that nothing is left of it. */
#define _POSIX_C_SOURCE 200809L
#include "kit/command.h"

#define DRY(...)                                                                                        \
    KIT_TUFF("train", "--model", kit_golden("llama"), "--train-file", kit_text(), "--block-size", "32", \
             "--per-device-train-batch-size", "2", "--dry-run", __VA_ARGS__)

static double number_in(const cJSON *json, const char *object, const char *key)
{
    return kit_number(cJSON_GetObjectItem(json, object), key);
}

static void test_what_it_says(void **state)
{
    (void)state;
    const char *out = kit_path("never");
    const int entries = kit_count_entries(kit_temp_directory());
    kit_result r = DRY("--output-dir", out, "--max-steps", "40", "--gradient-accumulation-steps", "2",
                       "--validation-file", kit_text(), "--json");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    const cJSON *memory = cJSON_GetObjectItem(json, "memory");
    assert_true(kit_number(json, "steps") == 40 && kit_number(json, "steps_left") == 40);
    assert_string_equal(kit_string(json, "architecture"), "llama");
    assert_true(number_in(json, "data", "tokens") > 100 && number_in(json, "data", "examples") > 2);
    assert_true(number_in(json, "validation_data", "tokens") == number_in(json, "data", "tokens"));
    assert_true(kit_number(json, "trained_parameters") == kit_number(json, "parameters"));
    assert_true(number_in(json, "plan", "operations") > 20 && number_in(json, "plan", "flops") > 1e6);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(memory, "gradients_apart")));
    assert_true(kit_number(memory, "weights") + kit_number(memory, "optimizer") +
                    kit_number(memory, "gradients") + kit_number(memory, "arena") +
                    kit_number(memory, "evaluation") + kit_number(memory, "transfers") ==
                kit_number(memory, "total"));
    assert_true(kit_number(memory, "evaluation") > 0);
    assert_true(number_in(json, "estimate", "timed_steps") == 5);
    /* the first, and 39 like those that were timed */
    const double seconds = number_in(json, "estimate", "seconds"),
                 first = number_in(json, "estimate", "first_step_seconds"),
                 each = number_in(json, "estimate", "step_seconds");
    assert_true(seconds > first + 38.9 * each && seconds < first + 39.1 * each);
    assert_non_null(strstr(r.err.data, "time     about "));
    assert_non_null(strstr(r.err.data, "nothing was written"));
    cJSON_Delete(json);
    kit_result_free(&r);
    assert_int_equal(kit_count_entries(kit_temp_directory()), entries);
}

/* As a training that goes on would be: fewer steps; few or none to be timed. */
static void test_few_steps(void **state)
{
    (void)state;
    const char *out = kit_path("begun");
    kit_result r = DRY("--max-steps", "1");
    assert_non_null(strstr(r.err.data, "for the only step"));
    kit_result_free(&r);
    r = DRY("--max-steps", "0");
    assert_non_null(strstr(r.err.data, "no step is left"));
    kit_result_free(&r);
    KIT_DO("train", "--model", kit_golden("llama"), "--train-file", kit_text(), "--block-size", "32",
           "--per-device-train-batch-size", "2", "--output-dir", out, "--max-steps", "4", "--save-steps",
           "2");
    const int entries = kit_count_entries(out);
    r = DRY("--max-steps", "4", "--output-dir", out, "--resume-from-checkpoint",
            kit_join(out, "checkpoint-2"), "--overwrite-output-dir", "--save-steps", "2", "--json");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    assert_true(kit_number(json, "steps") == 4 && kit_number(json, "steps_left") == 2);
    assert_true(number_in(json, "estimate", "timed_steps") == 1);
    cJSON_Delete(json);
    kit_result_free(&r);
    assert_int_equal(kit_count_entries(out), entries);
}

/* What a training would be is the result, which --quiet leaves; for programs it is the JSON alone. */
static void test_quiet(void **state)
{
    (void)state;
    kit_result r = DRY("--max-steps", "3", "--quiet");
    assert_non_null(strstr(r.err.data, "memory   "));
    assert_non_null(strstr(r.err.data, "time     "));
    kit_result_free(&r);
    r = DRY("--max-steps", "3", "--quiet", "--json");
    assert_int_equal(r.err.size, 0);
    assert_true(r.out.size > 100);
    kit_result_free(&r);
}

/* What the training would refuse is refused. */
static void test_refused(void **state)
{
    (void)state;
    const char *model = kit_golden("llama");
    KIT_REFUSES(2, "--dry-run writes nothing", "train", "--model", model, "--train-file", kit_text(),
                "--dry-run", "--print-plan");
    KIT_REFUSES(1, "already holds a model", "train", "--model", model, "--train-file", kit_text(),
                "--dry-run", "--output-dir", kit_path("begun"));
    KIT_REFUSES(1, "cannot", "train", "--model", model, "--train-file", kit_path("no-file"), "--dry-run");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_says),
        cmocka_unit_test(test_few_steps),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
