#include "base/json.h"
#include "formats/peft.h"

#include <math.h>
#include <stdio.h>

#include "hostile.h"

static tuff_status parse_text(const char *text, tuff_peft_config **out)
{
    return tuff_peft_config_parse(text, strlen(text), "adapter_config.json", out);
}

static void expect(const char *text, tuff_status status, const char *part)
{
    tuff_peft_config *config;
    KIT_FAILS(parse_text(text, &config), status, part);
    assert_null(config);
}

/* The keys that a real PEFT writes. */
#define GOOD                                                                                                \
    "{\"alpha_pattern\": {\"q_proj\": 32, \"^h.0.attn\": 4}, \"auto_mapping\": null, "                      \
    "\"base_model_name_or_path\": \"gpt2\", \"bias\": \"none\", \"fan_in_fan_out\": true, "                 \
    "\"layer_replication\": null, \"loftq_config\": {}, \"lora_alpha\": 16, \"lora_dropout\": 0.05, "       \
    "\"megatron_core\": \"megatron.core\", \"modules_to_save\": null, \"peft_type\": \"LORA\", \"r\": 8, "  \
    "\"rank_pattern\": {\"mlp.c_fc\": 2}, \"revision\": null, \"target_modules\": [\"c_attn\", \"c_fc\"], " \
    "\"task_type\": \"CAUSAL_LM\", \"use_dora\": false, \"use_rslora\": false}"

static void test_config(void **state)
{
    (void)state;
    tuff_peft_config *c;
    KIT_OK(parse_text(GOOD, &c));
    assert_string_equal(c->base_model, "gpt2");
    assert_string_equal(c->task_type, "CAUSAL_LM");
    assert_null(c->revision);
    assert_int_equal(c->rank, 8);
    assert_true(c->alpha == 16 && c->dropout == 0.05);
    assert_true(c->fan_in_fan_out);
    assert_false(c->rslora);
    assert_int_equal(c->target_count, 2);
    assert_string_equal(c->targets[1], "c_fc");
    assert_null(c->target_text);
    assert_int_equal(tuff_peft_rank(c, "h.3.mlp.c_fc"), 2);
    assert_int_equal(tuff_peft_rank(c, "mlp.c_fc"), 2);
    assert_int_equal(tuff_peft_rank(c, "h.3.xmlp.c_fc"), 8);
    assert_true(tuff_peft_scale(c, "h.3.mlp.c_fc") == 8);
    assert_true(tuff_peft_scale(c, "layers.1.q_proj") == 4);
    assert_true(tuff_peft_scale(c, "h.0.attn") == 0.5);
    assert_true(tuff_peft_scale(c, "x.h.0.attn") == 2);
    tuff_peft_config_destroy(&c);

    KIT_OK(parse_text("{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":6,\"use_rslora\":true,"
                      "\"target_modules\":\"all-linear\",\"rank_pattern\":{\"a\\\\.b$\":9}}",
                      &c));
    assert_string_equal(c->target_text, "all-linear");
    assert_true(tuff_peft_scale(c, "x") == 3);
    assert_true(tuff_peft_scale(c, "x.a.b") == 2);
    tuff_peft_config_destroy(&c);
}

static void test_bad_configs(void **state)
{
    (void)state;
    expect("[]", TUFF_BAD_FORMAT, "a JSON object is expected");
    expect("{\"r\":8}", TUFF_BAD_FORMAT, "no 'peft_type'");
    expect("{\"peft_type\":\"IA3\"}", TUFF_UNSUPPORTED, "'peft_type' is 'IA3'");
    expect("{\"peft_type\":\"LORA\",\"bias\":\"some\"}", TUFF_UNSUPPORTED,
           "'bias' is 'some'; none, all and lora_only can be read");
    expect("{\"peft_type\":\"LORA\",\"use_qalora\":true}", TUFF_UNSUPPORTED, "'use_qalora' is set");
    expect("{\"peft_type\":\"LORA\",\"use_dora\":1}", TUFF_BAD_FORMAT, "use_dora");
    expect("{\"peft_type\":\"LORA\",\"kasa_config\":{\"beta\":1}}", TUFF_UNSUPPORTED, "'kasa_config' is set");
    expect("{\"peft_type\":\"LORA\",\"init_lora_weights\":\"pissa_niter_4\"}", TUFF_UNSUPPORTED,
           "'init_lora_weights' is 'pissa_niter_4'");
    expect("{\"peft_type\":\"LORA\",\"init_lora_weights\":\"OLoRA\"}", TUFF_UNSUPPORTED, "plain LoRA");
    expect("{\"peft_type\":\"LORA\",\"init_lora_weights\":3}", TUFF_BAD_FORMAT, "init_lora_weights");
    expect("{\"peft_type\":\"LORA\",\"layer_replication\":[[0,4],[2,5]]}", TUFF_UNSUPPORTED,
           "'layer_replication'");
    expect("{\"peft_type\":\"LORA\",\"r\":0}", TUFF_BAD_FORMAT, "'r' is 0");
    expect("{\"peft_type\":\"LORA\",\"r\":\"8\"}", TUFF_BAD_FORMAT, "\"r\"");
    expect("{\"peft_type\":\"LORA\",\"lora_dropout\":1}", TUFF_BAD_FORMAT, "'lora_dropout' 1");
    expect("{\"peft_type\":\"LORA\",\"target_modules\":[1]}", TUFF_BAD_FORMAT, "'target_modules'");
    expect("{\"peft_type\":\"LORA\",\"target_modules\":{}}", TUFF_BAD_FORMAT, "'target_modules'");
    expect("{\"peft_type\":\"LORA\",\"rank_pattern\":[]}", TUFF_BAD_FORMAT,
           "'rank_pattern' must be an object");
    expect("{\"peft_type\":\"LORA\",\"rank_pattern\":{\"q\":-1}}", TUFF_BAD_FORMAT, "'rank_pattern' of 'q'");
    expect("{\"peft_type\":\"LORA\",\"alpha_pattern\":{\"(q|k)_proj\":1}}", TUFF_UNSUPPORTED, "'(q|k)_proj'");
}

static tuff_status parse(const uint8_t *data, size_t size)
{
    tuff_peft_config *config;
    tuff_status status = tuff_peft_config_parse((const char *)data, size, "c", &config);
    tuff_peft_config_destroy(&config);
    return status;
}

static void test_hostile(void **state)
{
    (void)state;
    hostile_truncate(parse, (const uint8_t *)GOOD, strlen(GOOD));
    hostile_mutate(parse, (const uint8_t *)GOOD, strlen(GOOD));
}

static void test_print(void **state)
{
    (void)state;
    tuff_peft_config *c, *again;
    tuff_buf text = {0}, second = {0};
    KIT_OK(parse_text(GOOD, &c));
    tuff_peft_config_print(c, &text);
    KIT_OK(parse_text(text.data, &again));
    tuff_peft_config_print(again, &second);
    assert_string_equal(text.data, second.data);
    assert_non_null(strstr(text.data, "\n  \"lora_alpha\": 16,\n"));
    assert_non_null(strstr(text.data, "\n  \"lora_dropout\": 0.05,\n"));
    assert_non_null(strstr(text.data, "\n  \"target_modules\": [\n    \"c_attn\",\n    \"c_fc\"\n  ],\n"));
    assert_non_null(
        strstr(text.data, "\n  \"alpha_pattern\": {\n    \"q_proj\": 32,\n    \"^h.0.attn\": 4\n  },\n"));
    tuff_buf_free(&text);
    tuff_buf_free(&second);
    tuff_peft_config_destroy(&c);
    tuff_peft_config_destroy(&again);
}

/* --- tensors --- */

static const float zeros[64];

static void add(tuff_weights *w, const char *name, int64_t rows, int64_t columns)
{
    tuff_weight weight = {.name = name,
                          .file = "adapter_model.safetensors",
                          .storage = TUFF_STORE_F32,
                          .rank = 2,
                          .shape = {rows, columns},
                          .data = (const uint8_t *)zeros};
    KIT_OK(tuff_weights_add(w, &weight));
}

/* An adapter of the tensors "<name> <rows> <columns>;..." */
static tuff_status pair_up(const char *tensors, tuff_peft_adapter **out)
{
    tuff_peft_config *config;
    tuff_weights *weights;
    KIT_OK(parse_text("{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":3}", &config));
    KIT_OK(tuff_weights_create(&weights));
    for (; *tensors; tensors = strchr(tensors, ';') + 1) {
        char name[100];
        int rows, columns;
        assert_int_equal(sscanf(tensors, "%99s %d %d", name, &rows, &columns), 3);
        add(weights, name, rows, columns);
    }
    return tuff_peft_pair_up(config, weights, "adapter_model.safetensors", out);
}

static void test_pairs(void **state)
{
    (void)state;
    tuff_peft_adapter *a;
    KIT_OK(pair_up("base_model.model.score.weight 2 4;"
                   "base_model.model.h.0.q.lora_A.weight 2 4;base_model.model.h.0.q.lora_B.weight 3 2;"
                   "h.1.q.lora_B.default.weight 5 2;h.1.q.lora_A.default.weight 2 6;",
                   &a));
    assert_int_equal(a->pair_count, 2);
    assert_int_equal(a->ignored_count, 1);
    assert_string_equal(a->ignored[0], "base_model.model.score.weight");
    const tuff_peft_pair *p = tuff_peft_find(a, "h.0.q"), *q = tuff_peft_find(a, "h.1.q");
    assert_int_equal(p->a->shape[1], 4);
    assert_int_equal(p->b->shape[0], 3);
    assert_int_equal(p->rank, 2);
    assert_true(p->scale == 1.5);
    assert_int_equal(q->a->shape[1], 6);
    assert_null(tuff_peft_find(a, "h.2.q"));
    tuff_peft_destroy(&a);
}

static void test_bad_pairs(void **state)
{
    (void)state;
    tuff_peft_adapter *a;
    KIT_FAILS(pair_up("w 2 2;", &a), TUFF_BAD_FORMAT, "no LoRA tensors");
    assert_null(a);
    KIT_FAILS(pair_up("q.lora_A.weight 2 4;", &a), TUFF_BAD_FORMAT, "module 'q' has lora_A but no lora_B");
    KIT_FAILS(pair_up("q.lora_A.weight 2 4;q.lora_B.weight 4 3;", &a), TUFF_BAD_FORMAT,
              "A has shape [2, 4] and B [4, 3]; with the rank 2");
    KIT_FAILS(pair_up("q.lora_A.weight 4 4;q.lora_B.weight 4 4;", &a), TUFF_BAD_FORMAT,
              "must be [2, in] and [out, 2]");
    KIT_FAILS(pair_up("q.lora_magnitude_vector.weight 1 4;", &a), TUFF_BAD_FORMAT,
              "module 'q' has a lora_magnitude_vector, but no lora_A and lora_B");
    KIT_FAILS(pair_up("q.lora_A.weight 2 4;q.lora_B.weight 3 2;q.lora_magnitude_vector 1 3;", &a),
              TUFF_BAD_FORMAT, "module 'q' has a lora_magnitude_vector, but 'use_dora' is not set");
    KIT_FAILS(pair_up("q.lora_embedding_A 2 4;", &a), TUFF_BAD_FORMAT, "module 'q' has lora_A but no lora_B");
    KIT_FAILS(pair_up("q.lora_embedding_C 2 4;", &a), TUFF_UNSUPPORTED, "'q.lora_embedding_C'");
    KIT_FAILS(pair_up("q.lora_A.one.weight 2 4;q.lora_A.two.weight 2 4;", &a), TUFF_UNSUPPORTED,
              "two adapters");
}

static tuff_status give(void *user, size_t index, tuff_sink *sink)
{
    const float *data = user;
    const size_t counts[] = {6, 4, 2, 10};
    return tuff_sink_write(sink, data + index * 10, counts[index] * sizeof *data);
}

static const tuff_save_item tensors[] = {
    {"base_model.model.h.0.q.lora_A.weight", TUFF_STORE_F32, 2, {2, 3}},
    {"base_model.model.h.0.q.lora_B.weight", TUFF_STORE_F32, 2, {2, 2}},
    {"base_model.model.h.1.q.lora_A.weight", TUFF_STORE_F32, 2, {1, 2}},
    {"base_model.model.h.1.q.lora_B.weight", TUFF_STORE_F32, 2, {10, 1}},
};

static tuff_status save_and_open(void *user)
{
    float data[40];
    for (int i = 0; i < 40; i++)
        data[i] = (float)i;
    tuff_peft_pattern own = {"h.1.q", 1};
    const char *targets[] = {"q"};
    tuff_peft_config config = {.base_model = "base",
                               .task_type = "CAUSAL_LM",
                               .rank = 2,
                               .alpha = 4,
                               .targets = targets,
                               .target_count = 1,
                               .rank_pattern = &own,
                               .rank_pattern_count = 1};
    tuff_peft_adapter *a;
    tuff_buf text = {0};
    tuff_peft_config_print(&config, &text);
    tuff_status status = tuff_peft_write(user, &text, tensors, 4, give, data);
    tuff_buf_free(&text);
    TUFF_TRY(status);
    TUFF_TRY(tuff_peft_open(user, &a));
    const tuff_peft_pair *p = tuff_peft_find(a, "h.0.q"), *q = tuff_peft_find(a, "h.1.q");
    assert_int_equal(a->pair_count, 2);
    assert_memory_equal(p->a->data, data, 24);
    assert_memory_equal(p->b->data, data + 10, 16);
    assert_memory_equal(q->b->data, data + 30, 40);
    assert_int_equal(q->rank, 1);
    assert_true(p->scale == 2 && q->scale == 4);
    assert_string_equal(a->config->base_model, "base");
    tuff_peft_destroy(&a);
    return TUFF_OK;
}

static void test_save_and_open(void **state)
{
    (void)state;
    char *directory = tuff_strdup(kit_temp_path("adapter"));
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(save_and_open(directory));
    assert_int_equal(kit_count_entries(directory), 2);
    tuff_free(directory);
    tuff_peft_adapter *a;
    KIT_FAILS(tuff_peft_open(kit_temp_path("nothing"), &a), TUFF_NOT_FOUND, "adapter_config.json");
}

static tuff_status parse_good(void *user)
{
    return parse(user, strlen(user));
}

static void test_out_of_memory(void **state)
{
    (void)state;
    char good[] = GOOD;
    assert_true(kit_for_each_allocation_failure(parse_good, good) > 20);
    char *directory = tuff_strdup(kit_temp_path("oom"));
    KIT_OK(tuff_make_directories(directory));
    assert_true(kit_for_each_allocation_failure(save_and_open, directory) > 40);
    tuff_free(directory);
}

/* Those of PEFT's LoraConfig, all of them. */
static void every_key_of_peft_is_listed(void **state)
{
    (void)state;
    cJSON *known = NULL;
    KIT_OK(tuff_json_read(kit_asset("golden/keys/peft.json"), &known));
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(known, "keys"), *key;
    assert_true(cJSON_GetArraySize(keys) > 30);
    cJSON_ArrayForEach(key, keys) if (!tuff_peft_key_known(key->valuestring))
        fail_msg("%s is in no line of peft_keys.def", key->valuestring);
    cJSON_Delete(known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_bad_configs),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_bad_pairs),
        cmocka_unit_test(test_save_and_open),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(every_key_of_peft_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
