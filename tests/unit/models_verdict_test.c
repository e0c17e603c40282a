/* What a file holds is what runs, or it is refused: heads beside tied tables, keys that change the
 * mathematics, tensors that no part of the model reads. */
#include "adapters/adapter.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "models/keys.h"
#include "models/model.h"

static void refused(const char *path, tuff_status status, const char *part)
{
    tuff_model *model = NULL;
    KIT_FAILS(tuff_model_load(path, &model), status, part);
    assert_null(model);
}

/* The tensors of a file and one more, which holds 0.5, 1.5, 2.5, ... */
typedef struct more {
    const tuff_weights *from;
    int64_t n;
} more;

static tuff_status write_more(void *user, size_t index, tuff_sink *sink)
{
    const more *m = user;
    if (index < m->from->count)
        return tuff_sink_write(sink, kit_stored(&m->from->items[index]), m->from->items[index].bytes);
    for (int64_t i = 0; i < m->n; i++) {
        float value = (float)(i % 97) + 0.5f;
        TUFF_TRY(tuff_sink_write(sink, &value, sizeof value));
    }
    return TUFF_OK;
}

enum { MOST = 128 };

static size_t list_more(const tuff_weights *from, const char *name, int64_t rows, int64_t columns,
                        tuff_save_item items[MOST])
{
    assert_true(from->count < MOST);
    for (size_t i = 0; i < from->count; i++) {
        const tuff_weight *w = &from->items[i];
        items[i] = (tuff_save_item){.name = w->name, .storage = TUFF_STORE_F32, .rank = w->rank};
        memcpy(items[i].shape, w->shape, sizeof w->shape);
    }
    items[from->count] =
        (tuff_save_item){.name = name, .storage = TUFF_STORE_F32, .rank = 2, .shape = {rows, columns, 1, 1}};
    return from->count + 1;
}

/* Adds a tensor to a safetensors file of f32. */
static void add_tensor(const char *from, const char *to, const char *name, int64_t rows, int64_t columns)
{
    tuff_weights *weights = NULL;
    tuff_save_item items[MOST] = {{0}};
    KIT_OK(tuff_safetensors_open(from, &weights));
    size_t n = list_more(weights, name, rows, columns, items);
    KIT_OK(tuff_safetensors_save(to, items, n, write_more, &(more){weights, rows * columns}));
    tuff_weights_destroy(&weights);
}

/* A copy of a golden model that holds one tensor more. */
static const char *with_tensor(const char *golden, const char *as, const char *name, int64_t rows,
                               int64_t columns)
{
    const char *directory = kit_copy_model(kit_golden(golden), as);
    add_tensor(kit_join(kit_golden(golden), "model.safetensors"), kit_join(directory, "model.safetensors"),
               name, rows, columns);
    return directory;
}

static float first_of(const tuff_model *model, const char *name)
{
    for (size_t i = 0; i < model->params.count; i++) {
        const tuff_param *p = &model->params.items[i];
        if (strcmp(p->name, name) != 0) continue;
        float row[256];
        assert_true(p->shape[1] <= 256);
        KIT_OK(tuff_model_read(model, p, NULL, 0, 1, row));
        return row[0];
    }
    fail_msg("%s is no parameter", name);
    return 0;
}

/* transformers 5.23 uses a head that is stored beside "tie_word_embeddings": true when it differs from the
 * table. */
static void a_stored_head_is_used_whatever_the_config_says(void **state)
{
    (void)state;
    static const char *const goldens[] = {"llama-tied", "gpt2", "qwen2"};
    for (int i = 0; i < 3; i++) {
        tuff_model *tied = model_open(goldens[i]);
        assert_true(tied->config.tied);
        const char *directory = with_tensor(goldens[i], "headed", "lm_head.weight", tied->config.vocab_size,
                                            tied->config.hidden_size);
        tuff_model_destroy(&tied);
        tuff_model *model = model_open(directory);
        assert_false(model->config.tied);
        assert_true(first_of(model, "lm_head.weight") == 0.5f);
        /* both ways of converting keep it, and say so in the config */
        const char *gguf = kit_temp_path("headed.gguf"), *saved = kit_temp_path("headed-saved");
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, gguf));
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, saved));
        tuff_buf config = {0};
        kit_read_file(kit_join(saved, "config.json"), &config);
        assert_null(strstr(config.data, "\"tie_word_embeddings\":\ttrue"));
        assert_non_null(strstr(config.data, "\"tie_word_embeddings\":\tfalse"));
        tuff_buf_free(&config);
        const char *const paths[] = {gguf, saved};
        for (int k = 0; k < 2; k++) {
            tuff_model *back = model_open(paths[k]);
            assert_false(back->config.tied);
            assert_true(first_of(back, "lm_head.weight") == 0.5f);
            tuff_model_destroy(&back);
        }
        tuff_model_destroy(&model);
    }
}

/* A head that repeats the table byte for byte leaves the model tied. */
static void a_copied_head_is_the_table(void **state)
{
    (void)state;
    const char *directory = kit_copy_model(kit_golden("llama-tied"), "copied");
    tuff_weights *from = NULL;
    tuff_save_item items[MOST] = {{0}};
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden("llama-tied"), "model.safetensors"), &from));
    const tuff_weight *table = tuff_weights_find(from, "model.embed_tokens.weight");
    size_t n = list_more(from, "lm_head.weight", table->shape[0], table->shape[1], items);
    tuff_weight *copy = tuff_alloc_array(n, sizeof *copy);
    memcpy(copy, from->items, from->count * sizeof *copy);
    copy[from->count] = *table;
    tuff_weights all = {.items = copy, .count = n};
    KIT_OK(tuff_safetensors_save(kit_join(directory, "model.safetensors"), items, n, write_more,
                                 &(more){&all, 0}));
    tuff_free(copy);
    tuff_weights_destroy(&from);
    tuff_model *model = model_open(directory);
    assert_true(model->config.tied);
    tuff_model_destroy(&model);
}

static void an_untied_model_needs_its_head(void **state)
{
    (void)state;
    refused(
        model_copy("llama-tied", "untied", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false"),
        TUFF_BAD_FORMAT, "lm_head.weight");
}

/* Golden models with a key of config.json set, which comes before the one that is there. */
static const char *with_key(const char *golden, const char *key, const char *value)
{
    const char *directory = kit_copy_model(kit_golden(golden), "keyed"),
               *path = kit_join(directory, "config.json");
    cJSON *json = NULL;
    KIT_OK(tuff_json_read(path, &json));
    cJSON *item = cJSON_Parse(value);
    assert_non_null(item);
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    assert_true(cJSON_AddItemToObject(json, key, item));
    char *text = cJSON_Print(json);
    kit_write_file(path, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(json);
    return directory;
}

static const struct edit {
    const char *golden, *key, *value, *part; /* part: of the refusal; NULL: it runs as before */
} edits[] = {
    {"llama", "is_causal", "false", "is_causal is false: in Tuff a token sees only"},
    {"llama", "is_causal", "true", NULL},
    {"gpt2", "is_causal", "false", "is_causal is false"},
    {"mistral", "is_causal", "false", "is_causal is false"},
    {"qwen2", "is_causal", "false", "is_causal is false"},
    {"qwen2", "layer_types", "[\"full_attention\", \"full_attention\"]", NULL},
    {"qwen2", "layer_types", "[\"attention\", \"full_attention\"]", NULL},
    {"qwen2", "layer_types", "[\"full_attention\", \"sliding_attention\"]",
     "a layer of \"sliding_attention\""},
    {"qwen2", "layer_types", "[\"full_attention\"]", "a list of 2 texts"},
    {"mistral", "layer_types", "[\"sliding_attention\", \"full_attention\"]", "layer_types has a layer of"},
    {"mistral", "layer_types", "[\"full_attention\", \"full_attention\"]", NULL},
    {"llama", "layer_types", "[\"chunked_attention\", \"full_attention\"]", "layer_types has a layer of"},
    {"gpt2", "layer_types", "[\"linear_attention\", \"full_attention\"]", "layer_types has a layer of"},
    {"llama", "layer_types", "\"full_attention\"", "a list of 2 texts"},
    {"llama", "per_layer_config", "{\"0\": {\"hidden_act\": \"gelu\"}}", "per_layer_config is {\"0\""},
    {"llama", "per_layer_config", "{}", NULL},
    {"llama", "sliding_window", "16", "sliding_window is 16"},
    {"mistral", "sliding_window", "0", "sliding_window is 0"},
    {"mistral", "sliding_window", "5", NULL},
    {"llama", "text_config", "{\"hidden_size\": 4}", "a model of several parts"},
    {"gpt2", "add_cross_attention", "true", "one stack of layers only"},
    {"gpt2", "hidden_size", "64", "has shape"},
    {"qwen2", "use_sliding_window", "true", NULL}, /* from layer 28 on, of 2 */
    {"llama", "rope_parameters", "{\"full_attention\": {\"rope_theta\": 77}}",
     "parameters of their own for \"full_attention\""},
    {"llama", "quantization_config", "{\"quant_method\": \"gptq\", \"bits\": 4}", "GPTQ's packed integers"},
    {"llama", "quantization_config", "{\"quant_method\": \"awq\"}", "AWQ's packed integers"},
    {"llama", "quantization_config", "{\"quant_method\": \"bitsandbytes\"}", "bitsandbytes' packed"},
    {"llama", "quantization_config", "{\"load_in_4bit\": true}", "bitsandbytes' packed"},
    {"llama", "quantization_config", "{\"quant_method\": \"fp8\"}", "8-bit floats with scales"},
    {"llama", "quantization_config", "{\"quant_method\": \"new\"}", "quant_method new"},
    {"llama", "quantization_config", "null", NULL},
    {"llama", "a_key_of_tomorrow", "7", NULL},
    {"mpt", "attn_config", "{\"alibi\": false}", "attn_config has alibi false"},
    {"mpt", "attn_config", "{\"attn_type\": \"multiquery_attention\"}", "keys and values for each head"},
    {"mpt", "attn_config", "{\"qk_ln\": true}", "without norms of queries and keys"},
    {"mpt", "attn_config", "{\"softmax_scale\": 0}", "softmax_scale is 0"},
    {"mpt", "attn_config", "{\"clip_qkv\": -1}", "bounded by -1"},
    {"mpt", "expansion_ratio", "2", "expansion_ratio is 2"},
    {"mpt", "norm_type", "\"rmsnorm\"", "norm_type is \"rmsnorm\""},
    {"mpt", "attn_config", "{\"alibi_bias_max\": 16}", "alibi_bias_max 16: transformers runs MPT with 8"},
    {"mpt", "attn_config", "{\"attn_impl\": \"triton\", \"alibi_bias_max\": 8.0}", NULL},
    {"bloom", "apply_residual_connection_post_layernorm", "true", "is true: Tuff adds"},
    {"gpt2", "activation_function", "\"mish\"", "activation_function is \"mish\""},
    {"gpt2", "activation_function", "\"relu\"", NULL},
    {"gemma2", "attn_logit_softcapping", "0", "attn_logit_softcapping is 0, expected null or"},
    {"gemma2", "final_logit_softcapping", "0.0", "final_logit_softcapping is 0, expected null or"},
    {"gemma3_text", "attn_logit_softcapping", "0", NULL},
    {"falcon", "num_ln_in_parallel_attn", "2", "num_ln_in_parallel_attn is 2"},
    {"falcon-groups", "parallel_attn", "false", "parallel_attn is false beside"},
    {"falcon-rw", "num_kv_heads", "2", "num_kv_heads is 2 of 4 heads"},
    {"falcon", "partial_rotary_factor", "0.5", "rotates whole heads"},
};

/* Each of them, set in config.json, was passed over in silence. */
static void keys_that_change_the_model_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const char *path = with_key(edits[i].golden, edits[i].key, edits[i].value);
        tuff_model *model = NULL;
        tuff_status status = tuff_model_load(path, &model);
        const char *told = status == TUFF_OK ? "it ran" : tuff_error_message();
        if ((status != TUFF_OK) != (edits[i].part != NULL) || (edits[i].part && !strstr(told, edits[i].part)))
            fail_msg("%s with %s %s: %s", edits[i].golden, edits[i].key, edits[i].value, told);
        tuff_model_destroy(&model);
    }
}

static void drop_key(const char *directory, const char *key)
{
    char old[96], with[104];
    snprintf(old, sizeof old, "\"%s\":", key);
    snprintf(with, sizeof with, "\"no_%s\":", key);
    kit_edit_file(kit_join(directory, "config.json"), old, with);
}

/* A key that is absent has the value that transformers' class gives it; null is none. */
static void absent_keys_mean_what_they_mean_to_transformers(void **state)
{
    (void)state;
    const char *directory = kit_copy_model(kit_golden("mistral"), "absent");
    drop_key(directory, "sliding_window");
    drop_key(directory, "max_position_embeddings");
    tuff_model *model = model_open(directory);
    assert_int_equal(model->config.layer.window, 4096);
    assert_int_equal(model->config.max_positions, 131072);
    tuff_model_destroy(&model);
    drop_key(directory, "num_key_value_heads");
    refused(directory, TUFF_BAD_FORMAT, "cannot share 8 key/value heads");
    directory = kit_copy_model(kit_golden("qwen2"), "absent");
    drop_key(directory, "max_position_embeddings");
    model = model_open(directory);
    assert_int_equal(model->config.max_positions, 32768);
    tuff_model_destroy(&model);
    drop_key(directory, "num_key_value_heads");
    refused(directory, TUFF_BAD_FORMAT, "cannot share 32 key/value heads");
}

/* null is no bound, also where one is usual. */
static void null_is_no_bound(void **state)
{
    (void)state;
    tuff_model *model = model_open(with_key("gemma2", "attn_logit_softcapping", "null"));
    assert_true(model->config.attn_softcap == 0 && model->config.logit_softcap == 4);
    tuff_model_destroy(&model);
    model = model_open(with_key("gemma2", "final_logit_softcapping", "null"));
    assert_true(model->config.attn_softcap == 2 && model->config.logit_softcap == 0);
    tuff_model_destroy(&model);
}

/* A usual share of a head that is less than a pair is no fault where the file says another. */
static void usual_shares_give_way(void **state)
{
    (void)state;
    const char *directory = with_key("gpt_neox", "num_attention_heads", "8");
    refused(directory, TUFF_BAD_FORMAT, "even number");
    kit_edit_file(kit_join(directory, "config.json"), "\"partial_rotary_factor\":\t0.5",
                  "\"partial_rotary_factor\": 1.0");
    tuff_model *model = model_open(directory);
    assert_int_equal(tuff_rope_dims(&model->config), 6);
    tuff_model_destroy(&model);
    kit_edit_file(kit_join(directory, "config.json"), "\"rope_parameters\":", "\"no_rope_parameters\":");
    refused(directory, TUFF_BAD_FORMAT, "rotates by default");
}

/* Of two objects of rotary parameters the older one counts, as in transformers. */
static void rotary_parameters_have_one_home(void **state)
{
    (void)state;
    tuff_model *model =
        model_open(model_copy("llama", "rotary", "\"rope_scaling\": null",
                              "\"rope_scaling\": {\"type\": \"default\", \"rope_theta\": 11}, "
                              "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 22}"));
    assert_true(model->config.rope.theta == 11);
    tuff_model_destroy(&model);
}

/* Every key that transformers' classes know is in the list of its architecture; every key that is listed as
 * read is read: a value of a type that nobody can mean is refused. */
static void every_key_of_transformers_is_listed(void **state)
{
    (void)state;
    static const char *const archs[] = {
        "gpt2",  "llama",   "mistral",     "qwen2",      "qwen3",      "gemma",      "gemma2",  "gemma3_text",
        "olmo2", "granite", "smollm3",     "phi3",       "starcoder2", "stablelm",   "cohere2", "gpt_neox",
        "phi",   "gptj",    "gpt_neo",     "bloom",      "mpt",        "falcon",     "glm",     "glm4",
        "bert",  "roberta", "xlm-roberta", "distilbert", "nomic_bert", "modernbert", "mpnet",   "t5",
        "mt5",   "umt5",    "bart",        "mixtral",    "olmoe",      "qwen3_moe",  "gpt_oss"};
    cJSON *known = NULL;
    KIT_OK(tuff_json_read(kit_golden("keys/transformers.json"), &known));
    for (size_t a = 0; a < sizeof archs / sizeof *archs; a++) {
        const cJSON *keys = cJSON_GetObjectItemCaseSensitive(known, archs[a]), *key;
        assert_true(cJSON_GetArraySize(keys) > 80);
        cJSON_ArrayForEach(key, keys)
        {
            tuff_key_verdict verdict = tuff_hf_key(archs[a], key->valuestring);
            if (verdict == TUFF_KEY_UNKNOWN)
                fail_msg("%s of %s is in no line of hf_keys.def", key->valuestring, archs[a]);
            if (verdict == TUFF_KEY_HARMLESS) continue;
            tuff_model *model = NULL;
            if (tuff_model_load(with_key(archs[a], key->valuestring, "[[7]]"), &model) == TUFF_OK)
                fail_msg("%s of %s is listed as read, and is not", key->valuestring, archs[a]);
        }
    }
    cJSON_Delete(known);
}

static void every_key_of_llama_cpp_is_listed(void **state)
{
    (void)state;
    static const char *const archs[] = {
        "gpt2",    "llama",     "qwen2", "qwen3",      "gemma",    "gemma2",  "gemma3",     "olmo2",
        "granite", "smollm3",   "phi3",  "starcoder2", "stablelm", "cohere2", "bloom",      "mpt",
        "falcon",  "chatglm",   "glm4",  "gptneox",    "phi2",     "bert",    "nomic-bert", "modern-bert",
        "t5",      "t5encoder", "olmoe", "qwen3moe",   "gpt-oss"};
    cJSON *known = NULL;
    KIT_OK(tuff_json_read(kit_golden("keys/llama.cpp.json"), &known));
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(known, "keys"), *key;
    assert_true(cJSON_GetArraySize(keys) > 80);
    cJSON_ArrayForEach(key, keys) for (int a = 0; a < (int)(sizeof archs / sizeof *archs);
                                       a++) if (tuff_gguf_key(archs[a], key->valuestring) == TUFF_KEY_UNKNOWN)
        fail_msg("%s of %s is in no line of gguf_keys.def", key->valuestring, archs[a]);
    cJSON_Delete(known);
}

/* A golden model as GGUF, with what a test adds to its metadata, or one tensor more. */
typedef void (*put_fn)(tuff_gguf_builder *builder);

static const char *gguf_with(const char *golden, put_fn put, const char *tensor)
{
    const char *plain = kit_temp_path("plain.gguf"), *made = kit_temp_path("made.gguf");
    tuff_model *model = model_open(golden);
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, plain));
    tuff_model_destroy(&model);
    tuff_gguf *from = NULL;
    KIT_OK(tuff_gguf_open(plain, &from));
    tuff_gguf_builder builder = {0};
    for (size_t i = 0; i < from->count; i++)
        tuff_gguf_put_value(&builder, &from->values[i]);
    if (put) put(&builder);
    tuff_save_item items[MOST] = {{0}};
    size_t n = list_more(from->weights, tensor ? tensor : "none", 1, 32, items);
    KIT_OK(tuff_gguf_save(made, &builder, items, tensor ? n : n - 1, write_more, &(more){from->weights, 32}));
    tuff_gguf_builder_free(&builder);
    tuff_gguf_destroy(&from);
    return made;
}

static void put_causal(tuff_gguf_builder *b)
{
    tuff_gguf_put_bool(b, "llama.attention.causal", false);
}
static void put_scale(tuff_gguf_builder *b)
{
    tuff_gguf_put_f32(b, "llama.attention.scale", 0.25f);
}
static void put_softcap(tuff_gguf_builder *b)
{
    tuff_gguf_put_f32(b, "llama.final_logit_softcapping", 30);
}
static void put_experts(tuff_gguf_builder *b)
{
    tuff_gguf_put_u32(b, "llama.expert_shared_count", 8);
}
static void put_logit_scale(tuff_gguf_builder *b)
{
    tuff_gguf_put_f32(b, "llama.logit_scale", 2);
}
static void put_state_space(tuff_gguf_builder *b)
{
    tuff_gguf_put_u32(b, "llama.ssm.state_size", 4);
}
static void put_adapter(tuff_gguf_builder *b)
{
    tuff_gguf_put_text(b, "general.type", "adapter");
}
static void put_harmless(tuff_gguf_builder *b)
{
    tuff_gguf_put_bool(b, "llama.attention.causal", true);
    tuff_gguf_put_u32(b, "llama.expert_count", 0);
    tuff_gguf_put_f32(b, "llama.logit_scale", 1);
    tuff_gguf_put_text(b, "llama.tensor_data_layout", "Meta AI original pth");
    tuff_gguf_put_u32(b, "llama.rope.scaling.original_context_length", 64);
    tuff_gguf_put_u32(b, "llama.a_key_of_tomorrow", 7);
    tuff_gguf_put_text(b, "general.type", "model");
}

static void metadata_that_changes_the_model_is_refused(void **state)
{
    (void)state;
    static const struct {
        put_fn put;
        const char *part;
    } cases[] = {
        {put_causal, "llama.attention.causal is false: in Tuff a token sees only"},
        {put_scale, "llama.attention.scale is 0.25"},
        {put_softcap, "llama.final_logit_softcapping is 30"},
        {put_experts, "llama.expert_shared_count is 8: Tuff runs this architecture without experts"},
        {put_logit_scale, "llama.logit_scale is 2"},
        {put_state_space, "llama.ssm.state_size is 4"},
        {put_adapter, "it holds no model: its general.type is \"adapter\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(gguf_with("llama", cases[i].put, NULL), TUFF_UNSUPPORTED, cases[i].part);
    tuff_model *model = model_open(gguf_with("llama", put_harmless, NULL));
    tuff_model_destroy(&model);
}

/* Run without them, the file would be another model. */
static void tensors_without_a_place_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *golden, *tensor, *part;
    } cases[] = {
        {"llama", "model.layers.0.self_attn.q_norm.weight", "q_norm.weight: running it without"},
        {"llama", "model.layers.2.self_attn.q_proj.weight", "Tuff's llama of 2 layers has no use for"},
        {"llama", "model.norm.bias", "no use for the tensor model.norm.bias"},
        {"llama", "model.layers.0.self_attn.q_proj.bias", "no use for"},
        {"llama", "model.layers.0.self_attn.q_proj.weight_scale", "with scales beside them"},
        {"llama", "model.layers.0.mlp.up_proj.qweight", "packed by GPTQ or AWQ"},
        {"llama", "model.layers.0.mlp.up_proj.weight.absmax", "packed by bitsandbytes"},
        {"gpt2", "score.weight", "a classifier's head"},
        {"gpt2", "transformer.h.0.attn.bias", NULL},
        {"gpt2", "h.1.attn.masked_bias", NULL},
        {"llama", "model.layers.0.self_attn.rotary_emb.inv_freq", NULL},
        {"llama", "transformer.h.0.attn.bias", "no use for"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = with_tensor(cases[i].golden, "spare", cases[i].tensor, 1, 32);
        tuff_model *model = NULL;
        if (cases[i].part)
            refused(path, TUFF_UNSUPPORTED, cases[i].part);
        else
            KIT_OK(tuff_model_load(path, &model));
        tuff_model_destroy(&model);
    }
    refused(gguf_with("llama", NULL, "blk.0.attn_q_norm.weight"), TUFF_UNSUPPORTED,
            "blk.0.attn_q_norm.weight");
    refused(gguf_with("llama", NULL, "output_norm.bias"), TUFF_UNSUPPORTED, "output_norm.bias");
    refused(gguf_with("llama", NULL, "blk.0.ffn_up.scale"), TUFF_UNSUPPORTED, "blk.0.ffn_up.scale");
    refused(gguf_with("llama", NULL, "blk.0.attn_q.bias"), TUFF_UNSUPPORTED,
            "blk.0.attn_q.bias, but not blk.0.attn_k.bias");
}

/* Inspection gives the same verdict, with its reason. */
static void inspection_says_the_same(void **state)
{
    (void)state;
    const char *const paths[] = {with_key("llama", "is_causal", "false"),
                                 with_tensor("gpt2", "spare", "transformer.ln_f.scale", 1, 32)};
    static const char *const parts[] = {"is_causal is false", "transformer.ln_f.scale"};
    for (int i = 0; i < 2; i++) {
        char *text = NULL;
        KIT_OK(tuff_inspect(paths[i], TUFF_INSPECT_JSON, &text));
        assert_non_null(strstr(text, "\"runs\": false"));
        assert_non_null(strstr(text, parts[i]));
        tuff_free(text);
    }
}

static tuff_buf told;

static void hear(tuff_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == TUFF_LOG_WARN) tuff_buf_printf(&told, "%s\n", message);
}

static const char *told_by_saving(const char *path)
{
    tuff_buf_free(&told);
    tuff_model *model = model_open(path);
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, kit_temp_path("told.gguf")));
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
    tuff_model_destroy(&model);
    return told.data ? told.data : "";
}

/* What llama.cpp would not do is said when the file is made; Tuff reads it back as it was. */
static void conversion_says_what_llama_cpp_does_not_do(void **state)
{
    (void)state;
    assert_string_equal(told_by_saving("llama"), "");
    assert_string_equal(told_by_saving("gpt2"), "");
    assert_non_null(strstr(told_by_saving(model_copy("gpt2", "erf", "\"activation_function\": \"gelu_new\"",
                                                     "\"activation_function\": \"gelu\"")),
                           "the activation gelu_new, this model has gelu"));
    tuff_model *model = model_open(kit_temp_path("told.gguf"));
    assert_int_equal(model->config.layer.activation, TUFF_ACT_GELU);
    tuff_model_destroy(&model);
    assert_non_null(strstr(told_by_saving(model_copy("mistral", "windowed", "\"sliding_window\": null",
                                                     "\"sliding_window\": 16")),
                           "without its sliding window of 16 tokens"));
    assert_string_equal(told_by_saving(model_copy("mistral", "windowed", "\"sliding_window\": null",
                                                  "\"sliding_window\": 4096")),
                        "");
    tuff_buf_free(&told);
}

/* An adapter that was trained for a classifier brings its head along. */
static void an_adapters_unused_head_is_said(void **state)
{
    (void)state;
    static const char head[] = "base_model.model.score.weight";
    const char *from = kit_golden("gpt2/lora"), *directory = kit_temp_path("classifier");
    KIT_OK(tuff_make_directories(directory));
    kit_copy_file(kit_join(from, "adapter_config.json"), kit_join(directory, "adapter_config.json"));
    add_tensor(kit_join(from, "adapter_model.safetensors"), kit_join(directory, "adapter_model.safetensors"),
               head, 6, 32);
    tuff_model *model = model_open("gpt2");
    tuff_adapter *lora = NULL;
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    KIT_OK(tuff_adapter_open(model, from, NULL, &lora));
    assert_null(told.data);
    tuff_adapter_destroy(&lora);
    KIT_OK(tuff_adapter_open(model, directory, NULL, &lora));
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
    assert_non_null(told.data);
    assert_non_null(strstr(told.data, head));
    char *text = NULL;
    KIT_OK(tuff_inspect(directory, 0, &text));
    assert_non_null(strstr(text, head));
    tuff_free(text);
    tuff_adapter_destroy(&lora);
    tuff_model_destroy(&model);
    tuff_buf_free(&told);
}

/* transformers applies an adapter that lies in the model's directory; Tuff does not, and says so. */
static void an_adapter_beside_the_model_is_said(void **state)
{
    (void)state;
    const char *directory = kit_copy_model(kit_golden("gpt2"), "both"), *from = kit_golden("gpt2/lora");
    kit_copy_file(kit_join(from, "adapter_config.json"), kit_join(directory, "adapter_config.json"));
    tuff_set_log(hear, TUFF_LOG_WARN, NULL);
    tuff_model *model = model_open(directory);
    tuff_set_log(NULL, TUFF_LOG_ERROR, NULL);
    assert_non_null(told.data);
    assert_non_null(strstr(told.data, "loaded without it"));
    tuff_model_destroy(&model);
    tuff_buf_free(&told);
}

/* What a model is counts before what form its weights have: converting these would not help. */
static void a_model_of_another_kind_is_named_first(void **state)
{
    (void)state;
    static const char config[] = "{\"model_type\": \"opt\"}", pickle[] = "\x80\x02}q";
    const char *directory = kit_temp_path("opt");
    KIT_OK(tuff_make_directories(directory));
    kit_write_file(kit_join(directory, "config.json"), config, sizeof config - 1);
    kit_write_file(kit_join(directory, "pytorch_model.bin"), pickle, sizeof pickle - 1);
    refused(directory, TUFF_UNSUPPORTED, "model_type is \"opt\"; Tuff runs");
    refused(kit_join(directory, "pytorch_model.bin"), TUFF_UNSUPPORTED, "model_type is \"opt\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stored_head_is_used_whatever_the_config_says),
        cmocka_unit_test(a_copied_head_is_the_table),
        cmocka_unit_test(an_untied_model_needs_its_head),
        cmocka_unit_test(keys_that_change_the_model_are_refused),
        cmocka_unit_test(absent_keys_mean_what_they_mean_to_transformers),
        cmocka_unit_test(null_is_no_bound),
        cmocka_unit_test(usual_shares_give_way),
        cmocka_unit_test(rotary_parameters_have_one_home),
        cmocka_unit_test(every_key_of_transformers_is_listed),
        cmocka_unit_test(every_key_of_llama_cpp_is_listed),
        cmocka_unit_test(metadata_that_changes_the_model_is_refused),
        cmocka_unit_test(tensors_without_a_place_are_refused),
        cmocka_unit_test(inspection_says_the_same),
        cmocka_unit_test(conversion_says_what_llama_cpp_does_not_do),
        cmocka_unit_test(an_adapters_unused_head_is_said),
        cmocka_unit_test(an_adapter_beside_the_model_is_said),
        cmocka_unit_test(a_model_of_another_kind_is_named_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
