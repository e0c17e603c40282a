/* tuff bench: its table, its JSON object, a model beside the device, and what it refuses. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>

#include "kit/command.h"

static const cJSON *find(const cJSON *json, const char *name)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "results"))
    {
        if (strncmp(kit_string(row, "name"), name, strlen(name)) == 0) return row;
    }
    fail_msg("no result %s", name);
    return NULL;
}

static void test_json(void **state)
{
    (void)state;
    kit_result r = KIT_TUFF("bench", "--only", "1024x16x768", "--seconds", "0.01", "--json", "--model",
                            kit_golden("llama"), "--train", "2x16", "--prompt", "12", "--generate", "6",
                            "--rounds", "9");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    const cJSON *peak = cJSON_GetObjectItem(json, "peak"), *gemm = find(json, "gemm_f32_1024x16x768");
    assert_non_null(strstr(kit_string(json, "device"), "CPU"));
    assert_string_equal(kit_string(json, "backend"), "cpu");
    assert_true(kit_number(peak, "copy_gbps") == kit_number(find(json, "copy"), "rate"));
    assert_true(kit_number(peak, "read_gbps") == kit_number(find(json, "read"), "rate"));
    const double f32 = kit_number(peak, "f32_gflops"), rate = kit_number(gemm, "rate");
    assert_true(f32 > 0 && rate > 0);
    assert_true(fabs(kit_number(gemm, "share") - rate / f32) < 1e-4 * rate / f32);
    assert_string_equal(kit_string(gemm, "of"), "f32");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(find(json, "copy"), "of")));
    const cJSON *train = find(json, "train_2x16"), *prompt = find(json, "prompt_"),
                *text = find(json, "generate_6");
    assert_true(fabs(kit_number(train, "rate") * kit_number(train, "seconds") - 32) < 1e-3);
    assert_true(kit_number(train, "share") > 0 && kit_number(prompt, "share") > 0 &&
                kit_number(text, "share") > 0);
    assert_true(kit_number(train, "rounds") >= 9 && kit_number(text, "rounds") >= 9);
    assert_string_equal(kit_string(text, "unit"), "tok/s");
    assert_string_equal(kit_string(text, "of"), "read");
    cJSON_Delete(json);
    kit_result_free(&r);
}

static void test_table(void **state)
{
    (void)state;
    kit_result r = KIT_TUFF("bench", "--only", "1024x16x768", "--seconds", "0.01", "--shape", "gpt2-30m",
                            "--lora-rank", "2", "--train", "1x8", "--prompt", "0", "--generate", "0");
    assert_non_null(strstr(r.out.data, "name  "));
    assert_non_null(strstr(r.out.data, "\ncopy  "));
    assert_non_null(strstr(r.out.data, "\ngemm_f32_1024x16x768 "));
    assert_non_null(strstr(r.out.data, "\ntrain_lora_1x8 "));
    assert_non_null(strstr(r.out.data, ", gpt2-30m\n"));
    assert_null(strstr(r.out.data, "\nprompt_"));
    assert_null(strstr(r.out.data, "\ngenerate_"));
    kit_result_free(&r);
}

static void test_refusals(void **state)
{
    (void)state;
    KIT_REFUSES(2, "4x256", "bench", "--model", kit_golden("llama"), "--train", "4");
    KIT_REFUSES(2, "4x256", "bench", "--model", kit_golden("llama"), "--train", "0x3");
    KIT_REFUSES(2, "--shape none leaves that out", "bench", "--shape", "none", "--prompt", "12");
    KIT_REFUSES(2, "--shape none leaves that out", "bench", "--shape", "none", "--rounds", "3");
    KIT_REFUSES(2, "--rounds", "bench", "--model", kit_golden("llama"), "--rounds", "0");
    KIT_REFUSES(2, "give one", "bench", "--shape", "gpt2-30m", "--model", kit_golden("llama"));
    KIT_REFUSES(2, "--seconds", "bench", "--seconds", "0");
    KIT_REFUSES(1, "nowhere", "bench", "--model", "nowhere");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
