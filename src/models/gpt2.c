/* GPT-2 (Radford et al. 2019): learned positions, LayerNorm before each block, one fused query/key/value
 * projection. */
#include "models/decoder.h"

/* Of a feed-forward layer where the file does not say; a hidden size out of range is refused later. */
static int64_t usual_inner(const tuff_config *c)
{
    return c->hidden_size > 0 && c->hidden_size <= INT64_MAX / 4 ? 4 * c->hidden_size : 0;
}

/* The names that transformers' classes share; where they stand beside GPT-2's own, they count. */
static tuff_status read_shared_names(const cJSON *json, const char *where, tuff_config *c)
{
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    return tuff_json_int(json, "num_attention_heads", where, &c->heads);
}

/* What every GPT-2 has, and what follows from its sizes. */
static tuff_status derive(tuff_config *c, const char *where)
{
    c->norm = TUFF_NORM_LAYER;
    c->causal = c->learned_positions = c->final_norm = true;
    c->layer.fused_qkv = c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias = true;
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0; /* 0 is refused by the check of all sizes */
    if (c->heads <= 0 || c->hidden_size % c->heads == 0) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: a hidden size of %lld cannot be shared by %lld heads", where,
                     (long long)c->hidden_size, (long long)c->heads);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 50257;
    c->max_positions = 1024;
    c->hidden_size = 768;
    c->layers = c->heads = 12;
    c->norm_eps = 1e-5;
    c->tied = true;
    c->layer.activation = TUFF_ACT_GELU_TANH;
    bool scale = true, by_layer = false;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "n_positions", where, &c->max_positions));
    TUFF_TRY(tuff_json_int(json, "n_embd", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "n_layer", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "n_head", where, &c->heads));
    TUFF_TRY(read_shared_names(json, where, c));
    TUFF_TRY(tuff_json_number(json, "layer_norm_epsilon", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_json_bool(json, "scale_attn_weights", where, &scale));
    TUFF_TRY(tuff_json_bool(json, "scale_attn_by_inverse_layer_idx", where, &by_layer));
    TUFF_TRY(tuff_activation_read_hf(json, "activation_function", where, &c->layer.activation));
    c->intermediate_size = usual_inner(c);
    TUFF_TRY(tuff_json_int(json, "n_inner", where, &c->intermediate_size));
    if (!scale || by_layer)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: scale_attn_weights must be true and scale_attn_by_inverse_layer_idx false",
                         where);
    return derive(c, where);
}

/* A size that follows from others must not say otherwise. */
static tuff_status same_as(const tuff_gguf *gguf, const char *key, int64_t expected)
{
    int64_t found = expected;
    TUFF_TRY(tuff_gguf_int(gguf, key, &found));
    if (found == expected) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is %lld; Tuff runs GPT-2 with %lld", gguf->file, key,
                     (long long)found, (long long)expected);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    TUFF_TRY(tuff_gguf_need_int(gguf, "gpt2.context_length", &c->max_positions));
    TUFF_TRY(tuff_gguf_need_int(gguf, "gpt2.embedding_length", &c->hidden_size));
    TUFF_TRY(tuff_gguf_need_int(gguf, "gpt2.block_count", &c->layers));
    TUFF_TRY(tuff_gguf_need_int(gguf, "gpt2.attention.head_count", &c->heads));
    c->intermediate_size = usual_inner(c);
    TUFF_TRY(tuff_gguf_int(gguf, "gpt2.feed_forward_length", &c->intermediate_size));
    c->norm_eps = 1e-5;
    TUFF_TRY(tuff_gguf_number(gguf, "gpt2.attention.layer_norm_epsilon", &c->norm_eps));
    TUFF_TRY(derive(c, gguf->file));
    TUFF_TRY(same_as(gguf, "gpt2.attention.head_count_kv", c->heads));
    TUFF_TRY(same_as(gguf, "gpt2.attention.key_length", c->head_dim));
    TUFF_TRY(same_as(gguf, "gpt2.attention.value_length", c->head_dim));
    c->layer.activation = TUFF_ACT_GELU_TANH;
    return tuff_activation_read_gguf(gguf, "gpt2.hidden_activation", &c->layer.activation); /* Tuff's own */
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(json,
                    "  \"activation_function\": \"%s\",\n  \"attn_pdrop\": 0.1,\n  \"embd_pdrop\": 0.1,\n"
                    "  \"initializer_range\": 0.02,\n  \"layer_norm_epsilon\": ",
                    tuff_activation_name(c->layer.activation));
    tuff_json_double(json, c->norm_eps);
    tuff_buf_printf(json,
                    ",\n  \"n_ctx\": %lld,\n  \"n_embd\": %lld,\n  \"n_head\": %lld,\n  \"n_inner\": %lld,\n"
                    "  \"n_layer\": %lld,\n  \"n_positions\": %lld,\n  \"resid_pdrop\": 0.1,\n"
                    "  \"tie_word_embeddings\": %s,\n",
                    (long long)c->max_positions, (long long)c->hidden_size, (long long)c->heads,
                    (long long)c->intermediate_size, (long long)c->layers, (long long)c->max_positions,
                    tuff_json_truth(c->tied));
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    tuff_gguf_put_sizes(c, gguf);
    tuff_gguf_put_f32(gguf, "gpt2.attention.layer_norm_epsilon", (float)c->norm_eps);
    if (c->layer.activation != TUFF_ACT_GELU_TANH)
        tuff_gguf_put_text(gguf, "gpt2.hidden_activation", tuff_activation_name(c->layer.activation));
}

static const tuff_part parts[] = {{"transformer.wte", "token_embd", TUFF_PART_PLAIN},
                                  {"transformer.wpe", "position_embd", TUFF_PART_PLAIN},
                                  {"transformer.h.#.ln_1", "blk.#.attn_norm", TUFF_PART_PLAIN},
                                  {"transformer.h.#.attn.c_attn", "blk.#.attn_qkv", TUFF_PART_CONV1D},
                                  {"transformer.h.#.attn.c_proj", "blk.#.attn_output", TUFF_PART_CONV1D},
                                  {"transformer.h.#.ln_2", "blk.#.ffn_norm", TUFF_PART_PLAIN},
                                  {"transformer.h.#.mlp.c_fc", "blk.#.ffn_up", TUFF_PART_CONV1D},
                                  {"transformer.h.#.mlp.c_proj", "blk.#.ffn_down", TUFF_PART_CONV1D},
                                  {"transformer.ln_f", "output_norm", TUFF_PART_PLAIN},
                                  {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_gpt2 = {
    .name = "gpt2",
    .hf_class = "GPT2",
    .hf_lm_class = "LMHeadModel",
    .decoder = true,
    .gguf = "gpt2",
    .gguf_activation = TUFF_ACT_GELU_TANH,
    .base_prefix = "transformer.",
    .lora_target = "c_attn",
    .read_hf = read_hf,
    .read_gguf = read_gguf,
    .write_hf = write_hf,
    .write_gguf = write_gguf,
    .parts = parts,
    .heads = tuff_decoder_heads,
};
