#include "formats/hf_config.h"

#include "formats/safetensors.h"
#include "hostile.h"

/* A fresh directory with these files, each of them "{}". */
static const char *directory_with(const char *name, const char *const *files)
{
    const char *directory = kit_temp_path(name);
    KIT_OK(tuff_make_directories(directory));
    for (; *files; files++) {
        char *path = tuff_path_join(directory, *files);
        kit_write_file(path, "{}", 2);
        tuff_free(path);
    }
    return directory;
}

#define FILES(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static void expect_need(const char *path, unsigned parts, tuff_status status, const char *part)
{
    tuff_hf_files *files;
    KIT_OK(tuff_hf_locate(path, &files));
    KIT_FAILS(tuff_hf_need(files, parts), status, part);
    tuff_hf_files_destroy(&files);
}

static void test_directory(void **state)
{
    (void)state;
    const char *path = directory_with("whole", FILES("config.json", "model.safetensors", "tokenizer.json",
                                                     "generation_config.json", "tokenizer_config.json"));
    tuff_hf_files *files;
    KIT_OK(tuff_hf_locate(path, &files));
    assert_int_equal(files->kind, TUFF_HF_DIRECTORY);
    assert_true(tuff_ends_with(files->config, "whole/config.json"));
    assert_true(tuff_ends_with(files->weights, "whole/model.safetensors"));
    assert_non_null(files->generation_config);
    assert_null(files->index);
    assert_null(files->gguf);
    KIT_OK(tuff_hf_need(files, TUFF_HF_CONFIG | TUFF_HF_WEIGHTS));
    tuff_hf_files_destroy(&files);
}

static void test_what_is_missing(void **state)
{
    (void)state;
    expect_need(directory_with("empty", FILES(NULL)), TUFF_HF_WEIGHTS, TUFF_NOT_FOUND,
                "neither model.safetensors nor");
    expect_need(directory_with("ggufs", FILES("model-q8_0.gguf", "model-f16.gguf")), TUFF_HF_WEIGHTS,
                TUFF_NOT_FOUND, "it holds GGUF files: name one of them, such as");
    expect_need(directory_with("ggufs", FILES("notes.txt")), TUFF_HF_WEIGHTS, TUFF_NOT_FOUND,
                "ggufs/model-f16.gguf");
    expect_need(directory_with("tensorflow", FILES("config.json", "tf_model.h5")), TUFF_HF_WEIGHTS,
                TUFF_UNSUPPORTED, "has tf_model.h5 only: convert it to safetensors");
    expect_need(directory_with("adapter", FILES("adapter_config.json")), TUFF_HF_WEIGHTS, TUFF_NOT_FOUND,
                "is a PEFT adapter, not a model");
    expect_need(directory_with("noconfig", FILES("model.safetensors")), TUFF_HF_CONFIG, TUFF_NOT_FOUND,
                "has no config.json");
    tuff_hf_files *files;
    KIT_FAILS(tuff_hf_locate(kit_temp_path("nothing"), &files), TUFF_NOT_FOUND, "nothing");
    assert_null(files);
}

static void test_single_files(void **state)
{
    (void)state;
    tuff_hf_files *files;
    tuff_weights *weights;
    const char *gguf = kit_temp_path("any.name"), *other = kit_temp_path("text.txt"),
               *zip = kit_temp_path("m.bin");
    kit_write_file(gguf, "GGUF\3\0\0\0", 8);
    KIT_OK(tuff_hf_locate(gguf, &files));
    assert_int_equal(files->kind, TUFF_HF_GGUF);
    assert_string_equal(files->gguf, gguf);
    KIT_OK(tuff_hf_need(files, TUFF_HF_CONFIG | TUFF_HF_WEIGHTS));
    KIT_FAILS(tuff_hf_open_weights(files, &weights), TUFF_INVALID_ARGUMENT, "is a GGUF file");
    tuff_hf_files_destroy(&files);
    kit_write_file(other, "hello world", 11);
    KIT_FAILS(tuff_hf_locate(other, &files), TUFF_BAD_FORMAT, "is no model");
    kit_write_file(zip, "PK\3\4............", 16);
    KIT_OK(tuff_hf_locate(zip, &files));
    assert_int_equal(files->kind, TUFF_HF_FILE);
    assert_true(files->torch);
    KIT_FAILS(tuff_hf_open_weights(files, &weights), TUFF_BAD_FORMAT, "the end of a zip archive is missing");
    tuff_hf_files_destroy(&files);

    char *st = tuff_path_join(directory_with("single", FILES("config.json")), "part.safetensors");
    kit_write_file(st, "\2\0\0\0\0\0\0\0{}", 10);
    KIT_OK(tuff_hf_locate(st, &files));
    assert_int_equal(files->kind, TUFF_HF_FILE);
    assert_string_equal(files->weights, st);
    assert_true(tuff_ends_with(files->config, "single/config.json"));
    KIT_OK(tuff_hf_open_weights(files, &weights));
    assert_int_equal(weights->count, 0);
    tuff_weights_destroy(&weights);
    tuff_hf_files_destroy(&files);
    tuff_free(st);
}

static tuff_status read_tokens(const uint8_t *data, size_t size)
{
    cJSON *json;
    tuff_hf_tokens tokens = {.bos = -1, .pad = -1};
    TUFF_TRY(tuff_json_parse((const char *)data, size, "g.json", &json));
    tuff_status status = tuff_hf_tokens_read(json, "g.json", &tokens);
    cJSON_Delete(json);
    return status;
}

static tuff_status tokens_of(const char *text, tuff_hf_tokens *tokens)
{
    cJSON *json;
    *tokens = (tuff_hf_tokens){.bos = -1, .pad = -1};
    KIT_OK(tuff_json_parse(text, strlen(text), "g.json", &json));
    tuff_status status = tuff_hf_tokens_read(json, "g.json", tokens);
    cJSON_Delete(json);
    return status;
}

static void test_tokens(void **state)
{
    (void)state;
    tuff_hf_tokens t;
    KIT_OK(tokens_of("{\"bos_token_id\": 1, \"eos_token_id\": 2}", &t));
    assert_int_equal(t.bos, 1);
    assert_int_equal(t.pad, -1);
    assert_int_equal(t.eos_count, 1);
    assert_int_equal(t.eos[0], 2);
    KIT_OK(tokens_of("{\"eos_token_id\": [128001, 128009], \"pad_token_id\": null}", &t));
    assert_int_equal(t.eos_count, 2);
    assert_int_equal(t.eos[1], 128009);
    KIT_OK(tokens_of("{\"eos_token_id\": -1, \"bos_token_id\": -1}", &t));
    assert_int_equal(t.eos_count, 0);
    assert_int_equal(t.bos, -1);
    KIT_OK(tokens_of("{}", &t));
    KIT_FAILS(tokens_of("{\"bos_token_id\": 1.5}", &t), TUFF_BAD_FORMAT, "g.json: 'bos_token_id'");
    KIT_FAILS(tokens_of("{\"eos_token_id\": 3e9}", &t), TUFF_BAD_FORMAT, "'eos_token_id'");
    KIT_FAILS(tokens_of("{\"eos_token_id\": [1, \"x\"]}", &t), TUFF_BAD_FORMAT, "'eos_token_id'");
    KIT_FAILS(tokens_of("{\"eos_token_id\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", &t),
              TUFF_UNSUPPORTED, "more than 16");
    const char good[] = "{\"bos_token_id\": 1, \"eos_token_id\": [2, 3]}";
    hostile_truncate(read_tokens, (const uint8_t *)good, strlen(good));
    hostile_mutate(read_tokens, (const uint8_t *)good, strlen(good));
}

static void test_generation_config_wins(void **state)
{
    (void)state;
    const char *directory = directory_with("wins", FILES("config.json", "generation_config.json"));
    char *config = tuff_path_join(directory, "config.json"),
         *generation = tuff_path_join(directory, "generation_config.json");
    const char first[] = "{\"bos_token_id\": 1, \"eos_token_id\": [5, 6]}",
               second[] = "{\"eos_token_id\": 7}";
    kit_write_file(config, first, strlen(first));
    kit_write_file(generation, second, strlen(second));
    tuff_hf_files *files;
    tuff_hf_tokens tokens;
    KIT_OK(tuff_hf_locate(directory, &files));
    KIT_OK(tuff_hf_tokens_load(files, &tokens));
    assert_int_equal(tokens.bos, 1);
    assert_int_equal(tokens.eos_count, 1);
    assert_int_equal(tokens.eos[0], 7);
    kit_write_file(generation, "[1]", 3);
    KIT_FAILS(tuff_hf_tokens_load(files, &tokens), TUFF_BAD_FORMAT, "generation_config.json: a JSON object");
    kit_write_file(config, "{", 1);
    KIT_FAILS(tuff_hf_tokens_load(files, &tokens), TUFF_BAD_FORMAT, "config.json");
    tuff_hf_files_destroy(&files);
    tuff_free(config);
    tuff_free(generation);
}

static tuff_status locate_and_load(void *user)
{
    tuff_hf_files *files;
    tuff_hf_tokens tokens;
    TUFF_TRY(tuff_hf_locate(user, &files));
    tuff_status status = tuff_hf_tokens_load(files, &tokens);
    tuff_hf_files_destroy(&files);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    char *directory =
        tuff_strdup(directory_with("oom", FILES("config.json", "tokenizer.json", "generation_config.json")));
    assert_true(kit_for_each_allocation_failure(locate_and_load, directory) > 10);
    tuff_free(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directory),     cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_single_files),  cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_generation_config_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
