/* BLOOM (BigScience 2022): no positions but ALiBi's bias by distance, a norm of the embeddings; one matrix
 * gives queries, keys and values of one head after the other. */
#include "models/decoder.h"

static tuff_status derive(tuff_config *c, const char *where)
{
    c->norm = TUFF_NORM_LAYER;
    c->causal = c->embed_norm = c->final_norm = true;
    c->layer.fused_qkv = c->layer.qkv_by_head = true;
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias = true;
    c->layer.activation = TUFF_ACT_GELU_TANH;
    c->alibi.most = 8;
    return tuff_decoder_share_heads(where, c);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 250880;
    c->hidden_size = 64;
    c->layers = 2;
    c->heads = 8;
    c->max_positions = 2048;
    c->norm_eps = 1e-5;
    c->tied = true;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "n_embed", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "n_layer", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "n_head", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "seq_length", where, &c->max_positions));
    TUFF_TRY(tuff_json_number(json, "layer_norm_epsilon", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    if (c->hidden_size > 0 && c->hidden_size <= INT64_MAX / 4) c->intermediate_size = 4 * c->hidden_size;
    return derive(c, where);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    c->norm_eps = 1e-5;
    TUFF_TRY(tuff_gguf_need_int(gguf, "bloom.context_length", &c->max_positions));
    TUFF_TRY(tuff_gguf_need_int(gguf, "bloom.embedding_length", &c->hidden_size));
    TUFF_TRY(tuff_gguf_need_int(gguf, "bloom.block_count", &c->layers));
    TUFF_TRY(tuff_gguf_need_int(gguf, "bloom.feed_forward_length", &c->intermediate_size));
    TUFF_TRY(tuff_gguf_need_int(gguf, "bloom.attention.head_count", &c->heads));
    TUFF_TRY(tuff_gguf_number(gguf, "bloom.attention.layer_norm_epsilon", &c->norm_eps));
    return derive(c, gguf->file);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(json,
                    "  \"apply_residual_connection_post_layernorm\": false,\n  \"hidden_size\": %lld,\n"
                    "  \"initializer_range\": 0.02,\n  \"n_head\": %lld,\n  \"n_layer\": %lld,\n"
                    "  \"seq_length\": %lld,\n  \"layer_norm_epsilon\": ",
                    (long long)c->hidden_size, (long long)c->heads, (long long)c->layers,
                    (long long)c->max_positions);
    tuff_json_double(json, c->norm_eps);
    tuff_buf_printf(json, ",\n  \"tie_word_embeddings\": %s,\n", tuff_json_truth(c->tied));
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    tuff_gguf_put_u32(gguf, "bloom.context_length", (uint32_t)c->max_positions);
    tuff_gguf_put_u32(gguf, "bloom.embedding_length", (uint32_t)c->hidden_size);
    tuff_gguf_put_u32(gguf, "bloom.block_count", (uint32_t)c->layers);
    tuff_gguf_put_u32(gguf, "bloom.feed_forward_length", (uint32_t)c->intermediate_size);
    tuff_gguf_put_u32(gguf, "bloom.attention.head_count", (uint32_t)c->heads);
    tuff_gguf_put_u32(gguf, "bloom.attention.head_count_kv", (uint32_t)c->heads);
    tuff_gguf_put_f32(gguf, "bloom.attention.layer_norm_epsilon", (float)c->norm_eps);
}

static const tuff_part parts[] = {
    {"transformer.word_embeddings", "token_embd", TUFF_PART_PLAIN},
    {"transformer.word_embeddings_layernorm", "token_embd_norm", TUFF_PART_PLAIN},
    TUFF_DENSE_PARTS("transformer.h.#", "self_attention"),
    {"transformer.ln_f", "output_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_bloom = {.name = "bloom",
                                   .hf_class = "Bloom",
                                   .decoder = true,
                                   .gguf = "bloom",
                                   .gguf_activation = TUFF_ACT_GELU_TANH,
                                   .base_prefix = "transformer.",
                                   .lora_target = "query_key_value",
                                   .read_hf = read_hf,
                                   .read_gguf = read_gguf,
                                   .write_hf = write_hf,
                                   .write_gguf = write_gguf,
                                   .parts = parts,
                                   .heads = tuff_decoder_heads};
