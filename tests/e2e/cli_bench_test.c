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

static const char *const on_lavapipe[] = {"bench",   "--kernels",      "--device", "lavapipe",   "--train",
                                          "2x16",    "--prompt",       "12",       "--generate", "2",
                                          "--model", NULL /* where */, "--json",   NULL};

/* Kernels of a model's plans, each once; a training step runs some that generating does not. */
static void test_kernels_json(void **state)
{
    (void)state;
    const char *arguments[sizeof on_lavapipe / sizeof *on_lavapipe];
    memcpy(arguments, on_lavapipe, sizeof arguments);
    arguments[11] = kit_golden("llama");
    kit_result r;
    kit_run_tuff(&r, arguments);
    if (r.exit_code != 0) {
        print_message("no lavapipe: %s\n", r.err.data);
        kit_result_free(&r);
        skip();
    }
    cJSON *json = kit_parse(r.out.data, r.out.size);
    const cJSON *pipelines = cJSON_GetObjectItem(json, "pipelines"), *row;
    assert_string_equal(kit_string(json, "backend"), "vulkan");
    assert_non_null(strstr(kit_string(json, "driver"), "lavapipe"));
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(json, "models"), 0)->valuestring,
                        kit_golden("llama"));
    bool adamw = false, rope = false;
    cJSON_ArrayForEach(row, pipelines)
    {
        adamw = adamw || strcmp(kit_string(row, "shader"), "adamw") == 0;
        rope = rope || strcmp(kit_string(row, "kernel"), "rope rope") == 0;
        assert_true(cJSON_IsArray(cJSON_GetObjectItem(row, "constants")));
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(row, "workgroup")), 3);
        assert_true(kit_number(row, "subgroup_size") >= 4 && kit_number(row, "spirv_bytes") > 0);
        assert_true(kit_number(row, "shared_bytes") >= 0);
        assert_true(cJSON_IsObject(cJSON_GetObjectItem(row, "statistics")));
        assert_true(cJSON_IsArray(cJSON_GetObjectItem(row, "executables")));
    }
    assert_true(adamw && rope && cJSON_GetArraySize(pipelines) > 10);
    cJSON_Delete(json);
    kit_result_free(&r);
}

static void test_kernels_table(void **state)
{
    (void)state;
    kit_result r;
    kit_run_tuff(&r, (const char *const[]){"bench", "--kernels", "--device", "lavapipe", "--only",
                                           "embedding_b", "--shape", "gpt2-30m", NULL});
    if (r.exit_code != 0) {
        print_message("no lavapipe: %s\n", r.err.data);
        kit_result_free(&r);
        skip();
    }
    assert_non_null(strstr(r.out.data, "\ngpt2-30m; training 4 x 256, a prompt of 512, a text of 64\n"));
    assert_non_null(strstr(r.out.data, "\npipeline "));
    assert_non_null(strstr(r.out.data, "\nembedding_backward "));
    assert_non_null(strstr(r.out.data, "\n1 pipeline"));
    assert_null(strstr(r.out.data, "\nadamw"));
    kit_result_free(&r);
    KIT_REFUSES(1, "has \"no such kernel\" in its name", "bench", "--kernels", "--device", "lavapipe",
                "--only", "no such kernel", "--shape", "gpt2-30m");
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
    KIT_REFUSES(2, "a CPU has no pipelines", "bench", "--kernels", "--device", "cpu");
    KIT_REFUSES(2, "--kernels makes none", "bench", "--kernels", "--seconds", "1");
    KIT_REFUSES(2, "--kernels makes none", "bench", "--kernels", "--rounds", "3");
    KIT_REFUSES(2, "--shape none leaves that out", "bench", "--kernels", "--shape", "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),         cmocka_unit_test(test_table),
        cmocka_unit_test(test_kernels_json), cmocka_unit_test(test_kernels_table),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
