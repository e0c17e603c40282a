/* What inspect says of models. */
#define _POSIX_C_SOURCE 200809L
#include "formats/gguf.h"
#include "kit/command.h"
#include "kit/files.h"

static void test_inspect(void **state)
{
    (void)state;
    const char *llama = kit_golden("llama"), *gguf = kit_path("inspect.gguf");
    KIT_DO("convert", llama, "--to", "gguf", "--output", gguf);
    const char *const paths[] = {llama, gguf, kit_join(llama, "model.safetensors")};
    for (int i = 0; i < 3; i++) {
        kit_result text = KIT_TUFF("inspect", paths[i], "--tensors"),
                   r = KIT_TUFF("inspect", paths[i], "--json");
        assert_non_null(strstr(text.out.data, "38,048"));
        assert_non_null(strstr(text.out.data, "[72, 32]"));
        cJSON *json = kit_parse(r.out.data, r.out.size);
        const cJSON *model = cJSON_GetObjectItemCaseSensitive(json, "model");
        const cJSON *tensors = cJSON_GetObjectItemCaseSensitive(json, "tensors");
        assert_string_equal(kit_string(model, "architecture"), "llama");
        assert_true(kit_number(model, "parameters") == 38048);
        assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(model, "runs")));
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(tensors, "list")), 21);
        cJSON_Delete(json);
        kit_result_free(&text);
        kit_result_free(&r);
    }
    kit_result yarn = KIT_TUFF("inspect", kit_golden("llama-yarn"));
    assert_non_null(strstr(yarn.out.data, "rope scaling              yarn"));
    kit_result_free(&yarn);
    kit_result r = KIT_TUFF("inspect", kit_join(llama, "lora"));
    assert_non_null(strstr(r.out.data, "down_proj"));
    kit_result_free(&r);
}

/* A file of an architecture that nobody knows, without tensors. */
static void test_inspect_unknown(void **state)
{
    (void)state;
    const char *path = kit_path("unknown.gguf");
    tuff_gguf_builder builder = {0};
    tuff_gguf_put_text(&builder, "general.architecture", "perceptron");
    tuff_gguf_put_u32(&builder, "perceptron.layers", 7);
    KIT_OK(tuff_gguf_save(path, &builder, NULL, 0, NULL, NULL));
    tuff_gguf_builder_free(&builder);
    kit_result r = KIT_TUFF("inspect", path), json = KIT_TUFF("inspect", path, "--json");
    assert_non_null(strstr(r.out.data, "perceptron.layers"));
    cJSON *parsed = kit_parse(json.out.data, json.out.size);
    assert_true(cJSON_IsFalse(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(parsed, "model"), "runs")));
    cJSON_Delete(parsed);
    kit_result_free(&r);
    kit_result_free(&json);
}

/* A number of the section "model" of a golden. */
static void expect_number(const char *golden, const char *key, double expected)
{
    kit_result r = KIT_TUFF("inspect", kit_golden(golden), "--json");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(json, "model"),
                *item = cJSON_GetObjectItemCaseSensitive(model, key);
    const double found = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (found != expected) fail_msg("%s of %s is %g, expected %g", key, golden, found, expected);
    cJSON_Delete(json);
    kit_result_free(&r);
}

/* Both stacks of an encoder-decoder; of windows, how many layers have them. -1: it is not said. */
static void test_what_is_not_alike(void **state)
{
    (void)state;
    expect_number("bart-uneven", "layers", 2);
    expect_number("bart-uneven", "heads", 2);
    expect_number("bart-uneven", "encoder_layers", 1);
    expect_number("bart-uneven", "encoder_heads", 3);
    expect_number("bart-uneven", "encoder_intermediate_size", 28);
    expect_number("bert", "encoder_layers", -1);
    expect_number("gemma3_text", "sliding_window", 5);
    expect_number("gemma3_text", "layers_with_window", 2);
    expect_number("starcoder2", "layers_with_window", -1);
    expect_number("llama", "sliding_window", -1);
}

/* Values begin in one column, whatever is said. */
static void test_columns(void **state)
{
    (void)state;
    static const char *const goldens[] = {"gpt_oss", "bart-uneven", "modernbert-classes"};
    for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
        kit_result r = KIT_TUFF("inspect", kit_golden(goldens[i]));
        char *line = strstr(r.out.data, "\nModel\n");
        assert_non_null(line);
        for (line += 7; line[0] == ' '; line = strchr(line, '\n') + 1)
            if (line[27] != ' ' || line[28] == ' ') fail_msg("%s: %.60s", goldens[i], line);
        kit_result_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspect),
        cmocka_unit_test(test_inspect_unknown),
        cmocka_unit_test(test_what_is_not_alike),
        cmocka_unit_test(test_columns),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
