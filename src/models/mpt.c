/* MPT (MosaicML 2023): no positions but ALiBi's bias by distance, no biases, LayerNorm with a weight alone,
 * queries, keys and values that may be bounded. transformers makes ALiBi's slopes and scales the scores
 * without asking the config, and has neither norms of queries nor fewer heads of keys. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "models/decoder.h"

static tuff_status derive(tuff_config *c, const char *where)
{
    c->norm = TUFF_NORM_LAYER_NO_BIAS;
    c->causal = c->final_norm = true;
    c->layer.fused_qkv = true;
    c->layer.activation = TUFF_ACT_GELU;
    if (c->hidden_size > 0 && c->hidden_size <= INT64_MAX / 4) c->intermediate_size = 4 * c->hidden_size;
    if (!(c->qkv_bound >= 0 && c->qkv_bound < 1e30))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: queries, keys and values are bounded by %g, expected more than 0", where,
                         c->qkv_bound);
    if (!(c->alibi.most > 0 && c->alibi.most <= 64))
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: ALiBi's slopes end at 2 to the power of minus %g, expected more than 0 and at "
                         "most 64",
                         where, c->alibi.most);
    return tuff_decoder_share_heads(where, c);
}

/* Keys of attn_config that Tuff does not run at other values than these. */
static const struct fixed {
    const char *key, *usual, *why;
} fixed[] = {
    {"attn_type", "\"multihead_attention\"", "Tuff runs MPT with keys and values for each head"},
    {"kv_n_heads", "0", "Tuff runs MPT with keys and values for each head"},
    {"prefix_lm", "false", "in Tuff a token sees only itself and what comes before it"},
    {"qk_ln", "false", "Tuff runs MPT without norms of queries and keys"},
    {"qk_gn", "false", "Tuff runs MPT without norms of queries and keys"},
    {"attn_uses_sequence_id", "false", "Tuff tells texts apart by itself"},
    {"alibi", "true", "Tuff runs MPT with ALiBi only"},
    {"alibi_bias_max", "8", "transformers runs MPT with 8, whatever is said there, and so does Tuff"},
    {"rope", "false", "Tuff runs MPT with ALiBi only"},
    {"sliding_window_size", "-1", "Tuff runs MPT without a window"},
};

static tuff_status read_attention(const cJSON *json, const char *where, tuff_config *c)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(json, "attn_config");
    if (!object || cJSON_IsNull(object)) return TUFF_OK;
    if (!cJSON_IsObject(object))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: attn_config must be an object", where);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, fixed[i].key);
        char *value = item && !cJSON_IsNull(item) ? cJSON_PrintUnformatted(item) : NULL;
        bool other = value && strcmp(value, fixed[i].usual) != 0;
        tuff_status status = other ? tuff_fail(TUFF_UNSUPPORTED, "%s: attn_config has %s %.60s: %s", where,
                                               fixed[i].key, value, fixed[i].why)
                                   : TUFF_OK;
        cJSON_free(value);
        TUFF_TRY(status);
    }
    TUFF_TRY(tuff_json_number(object, "clip_qkv", where, &c->qkv_bound));
    TUFF_TRY(tuff_json_number(object, "softmax_scale", where, &c->attn_scale));
    const cJSON *scale = cJSON_GetObjectItemCaseSensitive(object, "softmax_scale");
    if (!cJSON_IsNumber(scale) || (c->attn_scale > 0 && c->attn_scale < 1e9)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: softmax_scale is %g, expected more than 0", where, c->attn_scale);
}

static tuff_status check_norm(const cJSON *json, const char *where)
{
    const char *type = "layernorm";
    TUFF_TRY(tuff_json_text(json, "norm_type", where, &type));
    if (strcmp(type, "layernorm") == 0 || strcmp(type, "low_precision_layernorm") == 0) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: norm_type is \"%.40s\"; Tuff runs MPT with LayerNorm only", where,
                     type);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t ratio = 4;
    c->vocab_size = 50368;
    c->hidden_size = c->max_positions = 2048;
    c->layers = 24;
    c->heads = 16;
    c->norm_eps = 1e-5;
    c->tied = true;
    c->alibi.most = 8;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "d_model", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "n_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "n_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "max_seq_len", where, &c->max_positions));
    TUFF_TRY(tuff_json_int(json, "expansion_ratio", where, &ratio));
    TUFF_TRY(tuff_json_number(json, "layer_norm_epsilon", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    if (ratio != 4)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: expansion_ratio is %lld; transformers runs MPT with 4, whatever is said there, "
                         "and so does Tuff",
                         where, (long long)ratio);
    TUFF_TRY(read_attention(json, where, c));
    TUFF_TRY(check_norm(json, where));
    return derive(c, where);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    c->norm_eps = 1e-5;
    TUFF_TRY(tuff_gguf_need_int(gguf, "mpt.context_length", &c->max_positions));
    TUFF_TRY(tuff_gguf_need_int(gguf, "mpt.embedding_length", &c->hidden_size));
    TUFF_TRY(tuff_gguf_need_int(gguf, "mpt.block_count", &c->layers));
    TUFF_TRY(tuff_gguf_need_int(gguf, "mpt.attention.head_count", &c->heads));
    TUFF_TRY(tuff_gguf_number(gguf, "mpt.attention.layer_norm_epsilon", &c->norm_eps));
    TUFF_TRY(tuff_gguf_number(gguf, "mpt.attention.clamp_kqv", &c->qkv_bound));
    TUFF_TRY(tuff_gguf_number(gguf, "mpt.attention.max_alibi_bias", &c->alibi.most));
    TUFF_TRY(tuff_gguf_number(gguf, "mpt.attention.scale", &c->attn_scale)); /* Tuff's own */
    return derive(c, gguf->file);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(json,
                    "  \"d_model\": %lld,\n  \"n_heads\": %lld,\n  \"n_layers\": %lld,\n"
                    "  \"max_seq_len\": %lld,\n  \"initializer_range\": 0.02,\n  \"layer_norm_epsilon\": ",
                    (long long)c->hidden_size, (long long)c->heads, (long long)c->layers,
                    (long long)c->max_positions);
    tuff_json_double(json, c->norm_eps);
    tuff_buf_text(json, ",\n  \"attn_config\": {\"alibi\": true, \"alibi_bias_max\": ");
    tuff_json_double(json, c->alibi.most);
    if (c->qkv_bound != 0) {
        tuff_buf_text(json, ", \"clip_qkv\": ");
        tuff_json_real(json, c->qkv_bound);
    }
    if (c->attn_scale != 0) {
        tuff_buf_text(json, ", \"softmax_scale\": ");
        tuff_json_real(json, c->attn_scale);
    }
    tuff_buf_printf(json, "},\n  \"no_bias\": true,\n  \"tie_word_embeddings\": %s,\n",
                    tuff_json_truth(c->tied));
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    tuff_gguf_put_u32(gguf, "mpt.context_length", (uint32_t)c->max_positions);
    tuff_gguf_put_u32(gguf, "mpt.embedding_length", (uint32_t)c->hidden_size);
    tuff_gguf_put_u32(gguf, "mpt.block_count", (uint32_t)c->layers);
    tuff_gguf_put_u32(gguf, "mpt.feed_forward_length", (uint32_t)c->intermediate_size);
    tuff_gguf_put_u32(gguf, "mpt.attention.head_count", (uint32_t)c->heads);
    tuff_gguf_put_f32(gguf, "mpt.attention.layer_norm_epsilon", (float)c->norm_eps);
    tuff_gguf_put_f32(gguf, "mpt.attention.max_alibi_bias", (float)c->alibi.most);
    if (c->qkv_bound != 0) tuff_gguf_put_f32(gguf, "mpt.attention.clamp_kqv", (float)c->qkv_bound);
    if (c->attn_scale == 0) return;
    tuff_gguf_put_f32(gguf, "mpt.attention.scale", (float)c->attn_scale);
    tuff_log(TUFF_LOG_WARN,
             "llama.cpp's mpt scales attention by the size of its heads, this model by %g: its results will "
             "differ there; in Tuff they do not",
             c->attn_scale);
}

static const tuff_part parts[] = {
    {"transformer.wte", "token_embd", TUFF_PART_PLAIN},
    {"transformer.blocks.#.norm_1", "blk.#.attn_norm", TUFF_PART_PLAIN},
    {"transformer.blocks.#.attn.Wqkv", "blk.#.attn_qkv", TUFF_PART_PLAIN},
    {"transformer.blocks.#.attn.out_proj", "blk.#.attn_output", TUFF_PART_PLAIN},
    {"transformer.blocks.#.norm_2", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {"transformer.blocks.#.ffn.up_proj", "blk.#.ffn_up", TUFF_PART_PLAIN},
    {"transformer.blocks.#.ffn.down_proj", "blk.#.ffn_down", TUFF_PART_PLAIN},
    {"transformer.norm_f", "output_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_mpt = {.name = "mpt",
                                 .hf_class = "Mpt",
                                 .decoder = true,
                                 .gguf = "mpt",
                                 .gguf_activation = TUFF_ACT_GELU_TANH,
                                 .base_prefix = "transformer.",
                                 .lora_target = "Wqkv",
                                 .read_hf = read_hf,
                                 .read_gguf = read_gguf,
                                 .write_hf = write_hf,
                                 .write_gguf = write_gguf,
                                 .parts = parts,
                                 .heads = tuff_decoder_heads};
