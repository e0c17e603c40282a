/* Rows of tokens that an adapter has of its own: which they are, in files, in a model's weights. That nets
 * compute PEFT's numbers with them is seen in tests/kit/golden.c. */
#include "adapted_fixture.h"
#include "adapters/tokens.h"

static const tuff_adapter_settings lora = {.peft_type = "lora", .rank = 2, .alpha = 2},
                                   alone = {.peft_type = "trainable_tokens"};

static tuff_adapter *made(const tuff_model *model, tuff_adapter_settings settings, const char *tokens)
{
    tuff_adapter *adapter = NULL;
    settings.tokens = tokens;
    KIT_OK(tuff_adapter_create(model, &settings, &adapter));
    return adapter;
}

static void expect_rows(const char *model_name, const char *tokens, int sets, bool head, size_t of_lora)
{
    tuff_model *model = model_open(model_name);
    tuff_adapter *adapter = made(model, lora, tokens);
    assert_int_equal(adapter->row_count, sets);
    assert_int_equal(adapter->count, of_lora + (size_t)sets);
    assert_true(adapter->rows[0].head == head);
    tuff_adapter_destroy(&adapter);
    tuff_model_destroy(&model);
}

/* Lists are the table's; of tied tables the head has the same rows, unless it is given others. */
static void rows_are_of_the_table_and_the_head(void **state)
{
    (void)state;
    expect_rows("gpt2", "3", 1, true, 4);
    expect_rows("gpt2", " [3, 9] ", 1, true, 4);
    expect_rows("gpt2", "{\"wte\": [3, 9], \"lm_head\": [3, 9]}", 1, true, 4);
    expect_rows("gpt2", "{\"lm_head\": [3], \"transformer.wte\": [3, 9]}", 2, false, 4);
    expect_rows("gpt2", "{\"lm_head\": [3]}", 1, true, 4);
    expect_rows("llama", "3,9", 1, false, 8);
    expect_rows("llama", "{\"lm_head\": [3], \"embed_tokens\": [3]}", 2, true, 8);
    expect_rows("gpt_neox", "{\"embed_in\": [3], \"lm_head\": [4]}", 2, false, 4);
    expect_rows("bert-classes", "3", 1, false, 8);
}

/* A new adapter computes what the model does: its rows begin as the model's. */
static void they_begin_as_the_models(void **state)
{
    (void)state;
    static const char *const models[] = {"gpt2", "llama", "gemma"};
    for (int i = 0; i < 3; i++) {
        tuff_model *model = model_open(models[i]);
        tuff_adapter *adapter = made(model, alone, "7,3");
        tuff_store *store = NULL;
        const char *directory = kit_temp_path("begin");
        size_t n;
        KIT_OK(tuff_make_directories(directory));
        KIT_OK(tuff_store_create(device, &store));
        KIT_OK(tuff_adapter_upload(adapter, store));
        KIT_OK(tuff_adapter_save(adapter, &(tuff_adapter_saving){.store = store}, directory));
        golden truth = load(models[i], "truth.safetensors");
        float *want = logits_of(&truth, truth.model, NULL, &n),
              *got = logits_of(&truth, truth.model, directory, &n);
        compare(models[i], "logits with rows that are the model's", got, want, n, 1e-6);
        tuff_free(want);
        tuff_free(got);
        unload(&truth);
        tuff_store_destroy(&store);
        tuff_adapter_destroy(&adapter);
        tuff_model_destroy(&model);
    }
}

static void refused(const char *model_name, tuff_adapter_settings settings, const char *tokens,
                    tuff_status status, const char *part)
{
    tuff_model *model = model_open(model_name);
    tuff_adapter *adapter = NULL;
    settings.tokens = tokens;
    KIT_FAILS(tuff_adapter_create(model, &settings, &adapter), status, part);
    assert_null(adapter);
    tuff_model_destroy(&model);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    const tuff_adapter_settings ia3 = {.peft_type = "ia3"};
    tuff_adapter_settings tables = lora;
    tables.targets = "wte";
    refused("gpt2", lora, "", TUFF_INVALID_ARGUMENT, "trainable_token_indices has no token");
    refused("gpt2", lora, "3,", TUFF_INVALID_ARGUMENT,
            "trainable_token_indices is \"3,\", expected ids between commas");
    refused("gpt2", lora, "x", TUFF_INVALID_ARGUMENT, "expected ids between commas");
    refused("gpt2", lora, "\"3\"", TUFF_INVALID_ARGUMENT, "must be whole numbers of 0 and more");
    refused("gpt2", lora, "1.5", TUFF_INVALID_ARGUMENT, "must be whole numbers");
    refused("gpt2", lora, "-1", TUFF_INVALID_ARGUMENT, "must be whole numbers");
    refused("gpt2", lora, "288", TUFF_INVALID_ARGUMENT, "has the token 288, but the model");
    refused("gpt2", lora, "5,5", TUFF_INVALID_ARGUMENT, "has the token 5 twice");
    refused("gpt2", lora, "{\"wpe\": [3]}", TUFF_UNSUPPORTED,
            "is for wpe, and tokens of this gpt2 model have rows in transformer.wte and lm_head");
    refused("gpt2", lora, "{\"wte\": 3}", TUFF_INVALID_ARGUMENT, "must be a list of tokens' ids");
    refused("gpt2", lora, "{\"wte\": [3], \"transformer.wte\": [4]}", TUFF_INVALID_ARGUMENT,
            "has transformer.wte twice");
    refused("gpt2", tables, "3", TUFF_UNSUPPORTED, "adapts all of that by LoRA too");
    refused("gpt2", alone, NULL, TUFF_INVALID_ARGUMENT, "trainable_token_indices does not say which");
    refused("gpt2", alone, "{\"wte\": [3], \"lm_head\": [4]}", TUFF_INVALID_ARGUMENT, "are the same");
    refused("gpt2", ia3, "3", TUFF_UNSUPPORTED, "PEFT has none of IA3");
    refused("t5", lora, "3", TUFF_UNSUPPORTED, "no table that can be adapted");
    refused("bert-mlm", lora, "3", TUFF_UNSUPPORTED, "which has a bias: PEFT leaves that out");
    refused("gptj", lora, "{\"lm_head\": [3]}", TUFF_UNSUPPORTED, "which has a bias");
}

/* Written, opened, written again. */
static void what_is_written_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *model, *tokens, *config;
        bool alone;
    } cases[] = {{"gpt2", "3,9", "\"trainable_token_indices\": [\n    3,\n    9\n  ]", false},
                 {"gpt2", "{\"lm_head\": [3]}", "{\n    \"lm_head\": [\n      3\n    ]\n  }", false},
                 {"gpt2", "{\"lm_head\": [4], \"wte\": [3]}",
                  "{\n    \"transformer.wte\": [\n      3\n    ],\n    \"lm_head\": [\n      4\n    ]\n  }",
                  false},
                 {"llama", "{\"lm_head\": [4], \"embed_tokens\": [3]}", "\"model.embed_tokens\": [", false},
                 {"gpt_neox", "{\"lm_head\": [4]}", "\"lm_head\": [", false},
                 {"gpt2", "3,9", "\"token_indices\": [\n    3,\n    9\n  ]", true},
                 {"llama", "{\"lm_head\": [3], \"embed_tokens\": [3]}",
                  "\"target_modules\": [\n    \"lm_head\",\n    \"model.embed_tokens\"\n  ]", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = model_open(cases[i].model);
        tuff_adapter *adapter = made(model, cases[i].alone ? alone : lora, cases[i].tokens);
        const int sets = adapter->row_count;
        tuff_store *store = NULL;
        tuff_buf text = {0};
        const char *directory = kit_temp_path("written");
        KIT_OK(tuff_make_directories(directory));
        KIT_OK(tuff_store_create(device, &store));
        KIT_OK(tuff_adapter_upload(adapter, store));
        float row[64];
        const tuff_token_rows *last = &adapter->rows[sets - 1];
        tuff_buffer *buffer = tuff_store_find(store, adapter->tensors[last->tensor].name);
        for (int k = 0; k < (int)last->param->shape[1]; k++)
            row[k] = (float)k;
        KIT_OK(tuff_buffer_write(buffer, 0, row, last->param->shape[1]));
        const int32_t id = last->ids[0];
        KIT_OK(tuff_adapter_save(adapter, &(tuff_adapter_saving){.store = store}, directory));
        tuff_adapter_destroy(&adapter);
        KIT_OK(tuff_read_file(kit_join(directory, "adapter_config.json"), 1 << 16, &text));
        if (!strstr(text.data, cases[i].config)) fail_msg("no %s in %s", cases[i].config, text.data);
        KIT_OK(tuff_adapter_open(model, directory, NULL, &adapter));
        assert_int_equal(adapter->row_count, sets);
        last = &adapter->rows[sets - 1];
        assert_int_equal(last->ids[0], id);
        float got[64];
        KIT_OK(tuff_adapter_read(adapter, last->tensor, 0, 1, got));
        assert_memory_equal(got, row, (size_t)last->param->shape[1] * sizeof *row);
        tuff_buf_free(&text);
        tuff_store_destroy(&store);
        tuff_adapter_destroy(&adapter);
        tuff_model_destroy(&model);
    }
}

static tuff_status zeros(void *user, size_t index, tuff_sink *sink)
{
    static const float none[16384];
    const tuff_save_item *items = user;
    return tuff_sink_write(sink, none,
                           (size_t)(items[index].shape[0] * items[index].shape[1]) * sizeof *none);
}

static void file_is_refused(const char *config, const char *tensor, int64_t rows, tuff_status status,
                            const char *part)
{
    const tuff_save_item items[] = {
        {"base_model.model.transformer.h.0.attn.c_attn.lora_A.weight", TUFF_STORE_F32, 2, {2, 32}},
        {"base_model.model.transformer.h.0.attn.c_attn.lora_B.weight", TUFF_STORE_F32, 2, {96, 2}},
        {tensor, TUFF_STORE_F32, 2, {rows, 32}}};
    tuff_buf text = {0};
    tuff_model *model = model_open("gpt2");
    tuff_adapter *adapter = NULL;
    const char *directory = kit_temp_path("bad");
    tuff_buf_printf(&text, "{\"peft_type\": \"LORA\", \"r\": 2, \"trainable_token_indices\": %s}", config);
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_peft_write(directory, &text, items, 3, zeros, (void *)(uintptr_t)items));
    KIT_FAILS(tuff_adapter_open(model, directory, NULL, &adapter), status, part);
    assert_null(adapter);
    tuff_buf_free(&text);
    tuff_model_destroy(&model);
}

static void bad_files_are_named(void **state)
{
    (void)state;
#define TABLE "base_model.model.transformer.wte" TUFF_TOKENS_LAYER TUFF_TOKENS_ENDING
    file_is_refused("[3, 4]", TABLE, 3, TUFF_BAD_FORMAT, "has shape [3, 32], expected is [2, 32]");
    file_is_refused("[3, 4]", "base_model.model.other", 2, TUFF_BAD_FORMAT,
                    "has rows of transformer.wte by its config, but there is no tensor of them");
    file_is_refused("[3, 3]", TABLE, 2, TUFF_BAD_FORMAT, "'trainable_token_indices' has the token 3 twice");
    file_is_refused("[300]", TABLE, 1, TUFF_BAD_FORMAT, "has the token 300, but the model");
    file_is_refused("[]", TABLE, 1, TUFF_BAD_FORMAT, "has no token");
    file_is_refused("3", TABLE, 1, TUFF_BAD_FORMAT, "must be a list of tokens' ids");
    file_is_refused("{\"a\": [1]}", TABLE, 1, TUFF_UNSUPPORTED,
                    "is for a, and tokens of this gpt2 model have rows in");
    file_is_refused("{\"wte\": [1], \"lm_head\": [2], \"transformer.wte\": [3]}", TABLE, 1, TUFF_BAD_FORMAT,
                    "must be a list of tokens' ids, or one for each of the table and the head");
}

static void merged_is_beside(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"gpt2", "tokens"}, {"gpt2", "tokens-alone"}, {"llama", "tokens"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        golden g = load_adapted(cases[i][0], cases[i][1]);
        tuff_model *merged = merged_of(g.model, adapter_of(cases[i][0], cases[i][1]));
        same_logits(&g, merged, NULL);
        same_when_saved(&g, merged);
        tuff_model_destroy(&merged);
        unload(&g);
    }
}

static tuff_status open_one(void *user)
{
    tuff_adapter *adapter = NULL;
    tuff_status status = tuff_adapter_open(user, kit_asset("golden/gpt2/tokens-apart"), NULL, &adapter);
    tuff_adapter_destroy(&adapter);
    return status;
}

static tuff_status make_one(void *user)
{
    tuff_adapter *adapter = NULL;
    tuff_adapter_settings settings = lora;
    settings.tokens = "{\"wte\": [3], \"lm_head\": [4]}";
    tuff_status status = tuff_adapter_create(user, &settings, &adapter);
    tuff_adapter_destroy(&adapter);
    return status;
}

static void failing_allocations(void **state)
{
    (void)state;
    tuff_model *model = model_open("gpt2");
    kit_for_each_allocation_failure(open_one, model);
    kit_for_each_allocation_failure(make_one, model);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_of_the_table_and_the_head),
        cmocka_unit_test(they_begin_as_the_models),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(merged_is_beside),
        cmocka_unit_test(failing_allocations),
    };
    if (!open_device("cpu")) return 77;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tuff_device_destroy(&device);
    return failed;
}
