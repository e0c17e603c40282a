/* GPT-Neo (EleutherAI 2021): GPT-2 whose layers see far and near alternately, whose scores are not scaled,
 * and whose queries, keys and values have matrices of their own, without biases. */
#include <string.h>

#include "models/decoder.h"

static tuff_status derive(tuff_config *c, const char *where)
{
    c->norm = TUFF_NORM_LAYER;
    c->causal = c->learned_positions = c->final_norm = true;
    c->layer.out_bias = c->layer.mlp_bias = true;
    c->attn_scale = 1;
    return tuff_decoder_share_heads(where, c);
}

/* The next layer sees far ("global") or has the window ("local"). */
static tuff_status set_type(const cJSON *type, const char *where, int64_t *layer, tuff_config *c)
{
    const char *name = cJSON_IsString(type) ? type->valuestring : "";
    bool far = strcmp(name, "global") == 0;
    if (!far && strcmp(name, "local") != 0)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: a layer's attention is \"%.40s\"; Tuff knows global and local", where, name);
    if (*layer < c->layers) tuff_config_set_far(c, *layer, far);
    ++*layer;
    return TUFF_OK;
}

static tuff_status check_count(const char *where, const char *key, int64_t found, const tuff_config *c)
{
    if (found == c->layers) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s says what %lld layers are like, expected one for each of %lld",
                     where, key, (long long)found, (long long)c->layers);
}

/* attention_types has patterns and how often each is repeated: [[["global", "local"], 12]]. */
static tuff_status read_patterns(const cJSON *patterns, const char *where, tuff_config *c)
{
    int64_t layer = 0;
    const cJSON *pattern, *type;
    bool fits = cJSON_IsArray(patterns);
    if (fits) cJSON_ArrayForEach(pattern, patterns)
        {
            const cJSON *list = cJSON_GetArrayItem(pattern, 0), *times = cJSON_GetArrayItem(pattern, 1);
            fits = fits && cJSON_GetArraySize(pattern) == 2 && cJSON_IsArray(list) && list->child &&
                   cJSON_IsNumber(times);
            for (int i = 0; fits && i < times->valueint && layer <= c->layers; i++)
                cJSON_ArrayForEach(type, list) TUFF_TRY(set_type(type, where, &layer, c));
        }
    if (fits) return check_count(where, "attention_types", layer, c);
    return tuff_fail(TUFF_BAD_FORMAT, "%s: attention_types must be a list of patterns, [[\"global\"], 12]",
                     where);
}

/* attention_layers, the same layer by layer, comes before it. */
static tuff_status read_layers(const cJSON *json, const char *where, tuff_config *c)
{
    const cJSON *patterns = cJSON_GetObjectItemCaseSensitive(json, "attention_types"), *type;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "attention_layers");
    int64_t layer = 0;
    TUFF_TRY(tuff_config_specs(c, where));
    if (patterns && !cJSON_IsNull(patterns)) TUFF_TRY(read_patterns(patterns, where, c));
    if (!list || cJSON_IsNull(list)) {
        for (; (!patterns || cJSON_IsNull(patterns)) && layer < c->layers; layer++)
            tuff_config_set_far(c, layer, layer % 2 == 0);
        return TUFF_OK;
    }
    if (!cJSON_IsArray(list))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: attention_layers must be a list of texts", where);
    cJSON_ArrayForEach(type, list) TUFF_TRY(set_type(type, where, &layer, c));
    return check_count(where, "attention_layers", layer, c);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 50257;
    c->max_positions = c->hidden_size = 2048;
    c->layers = 24;
    c->heads = 16;
    c->norm_eps = 1e-5;
    c->tied = true;
    c->layer.window = 256;
    c->layer.activation = TUFF_ACT_GELU_TANH;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "num_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    if (c->hidden_size > 0 && c->hidden_size <= INT64_MAX / 4) c->intermediate_size = 4 * c->hidden_size;
    TUFF_TRY(tuff_json_int(json, "intermediate_size", where, &c->intermediate_size));
    TUFF_TRY(tuff_json_int(json, "window_size", where, &c->layer.window));
    TUFF_TRY(tuff_json_number(json, "layer_norm_epsilon", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_activation_read_hf(json, "activation_function", where, &c->layer.activation));
    if (c->layer.window < 1)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: window_size is %lld, expected 1 or more", where,
                         (long long)c->layer.window);
    TUFF_TRY(derive(c, where));
    return read_layers(json, where, c);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(json, "  \"activation_function\": \"%s\",\n  \"attention_types\": [",
                    tuff_activation_name(c->layer.activation));
    for (int64_t i = 0; i < c->layers; i++)
        tuff_buf_printf(json, "%s[[\"%s\"], 1]", i ? ", " : "", c->specs[i].window ? "local" : "global");
    tuff_buf_printf(json,
                    "],\n  \"hidden_size\": %lld,\n  \"initializer_range\": 0.02,\n"
                    "  \"intermediate_size\": %lld,\n  \"max_position_embeddings\": %lld,\n"
                    "  \"num_heads\": %lld,\n  \"num_layers\": %lld,\n  \"window_size\": %lld,\n"
                    "  \"layer_norm_epsilon\": ",
                    (long long)c->hidden_size, (long long)c->intermediate_size, (long long)c->max_positions,
                    (long long)c->heads, (long long)c->layers, (long long)c->layer.window);
    tuff_json_double(json, c->norm_eps);
    tuff_buf_printf(json, ",\n  \"tie_word_embeddings\": %s,\n", tuff_json_truth(c->tied));
}

static const tuff_part parts[] = {
    {"transformer.wte", "token_embd", TUFF_PART_UNNAMED},
    {"transformer.wpe", "position_embd", TUFF_PART_UNNAMED},
    {"transformer.h.#.ln_1", "blk.#.attn_norm", TUFF_PART_UNNAMED},
    {"transformer.h.#.attn.attention.q_proj", "blk.#.attn_q", TUFF_PART_UNNAMED},
    {"transformer.h.#.attn.attention.k_proj", "blk.#.attn_k", TUFF_PART_UNNAMED},
    {"transformer.h.#.attn.attention.v_proj", "blk.#.attn_v", TUFF_PART_UNNAMED},
    {"transformer.h.#.attn.attention.out_proj", "blk.#.attn_output", TUFF_PART_UNNAMED},
    {"transformer.h.#.ln_2", "blk.#.ffn_norm", TUFF_PART_UNNAMED},
    {"transformer.h.#.mlp.c_fc", "blk.#.ffn_up", TUFF_PART_UNNAMED},
    {"transformer.h.#.mlp.c_proj", "blk.#.ffn_down", TUFF_PART_UNNAMED},
    {"transformer.ln_f", "output_norm", TUFF_PART_UNNAMED},
    {NULL, NULL, TUFF_PART_PLAIN}};

/* llama.cpp does not run it, so that there are no GGUF files of it. */
const tuff_arch tuff_arch_gpt_neo = {.name = "gpt_neo",
                                     .hf_class = "GPTNeo",
                                     .decoder = true,
                                     .base_prefix = "transformer.",
                                     .lora_target = "q_proj,v_proj",
                                     .read_hf = read_hf,
                                     .write_hf = write_hf,
                                     .parts = parts,
                                     .heads = tuff_decoder_heads};
