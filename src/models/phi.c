/* Phi-1, 1.5 and 2 (Microsoft 2023): one LayerNorm for attention and feed-forward side by side, of which a
 * share of each head rotates; biases everywhere, also on what scores the vocabulary. */
#include "models/decoder.h"

static void derive(tuff_config *c)
{
    c->norm = TUFF_NORM_LAYER;
    c->causal = c->final_norm = true;
    c->layer.parallel = c->layer.no_ffn_norm = true;
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias = true;
    c->layer.rope = TUFF_ROTARY_MAIN;
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 51200;
    c->hidden_size = 2048;
    c->layers = 24;
    c->heads = 32;
    c->intermediate_size = 8192;
    c->max_positions = 2048;
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    c->layer.activation = TUFF_ACT_GELU_TANH;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    c->kv_heads = c->heads;
    TUFF_TRY(tuff_json_int(json, "num_key_value_heads", where, &c->kv_heads));
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0; /* 0 is refused by the check of all sizes */
    TUFF_TRY(tuff_json_int(json, "head_dim", where, &c->head_dim));
    TUFF_TRY(tuff_json_int(json, "intermediate_size", where, &c->intermediate_size));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_number(json, "layer_norm_eps", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_activation_read_hf(json, "hidden_act", where, &c->layer.activation));
    derive(c);
    TUFF_TRY(tuff_rope_set_share(NULL, 0.5, where, c));
    TUFF_TRY(tuff_rope_read_hf(json, where, c));
    return tuff_rope_check(c, where);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    c->layer.activation = TUFF_ACT_GELU_TANH;
    TUFF_TRY(tuff_gguf_need_sizes(gguf, c));
    c->kv_heads = c->heads;
    TUFF_TRY(tuff_gguf_int(gguf, "phi2.attention.head_count_kv", &c->kv_heads));
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0;
    TUFF_TRY(tuff_gguf_int(gguf, "phi2.attention.key_length", &c->head_dim));
    TUFF_TRY(tuff_gguf_number(gguf, "phi2.attention.layer_norm_epsilon", &c->norm_eps));
    TUFF_TRY(tuff_activation_read_gguf(gguf, "phi2.hidden_activation", &c->layer.activation));
    derive(c);
    return tuff_rope_read_gguf(gguf, c);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(
        json,
        "  \"head_dim\": %lld,\n  \"hidden_act\": \"%s\",\n  \"hidden_size\": %lld,\n"
        "  \"initializer_range\": 0.02,\n  \"intermediate_size\": %lld,\n"
        "  \"max_position_embeddings\": %lld,\n  \"num_attention_heads\": %lld,\n"
        "  \"num_hidden_layers\": %lld,\n  \"num_key_value_heads\": %lld,\n  \"layer_norm_eps\": ",
        (long long)c->head_dim, tuff_activation_name(c->layer.activation), (long long)c->hidden_size,
        (long long)c->intermediate_size, (long long)c->max_positions, (long long)c->heads,
        (long long)c->layers, (long long)c->kv_heads);
    tuff_json_double(json, c->norm_eps);
    tuff_buf_text(json, ",\n  \"partial_rotary_factor\": ");
    tuff_json_double(json, tuff_rope_share(c));
    tuff_buf_text(json, ",\n  \"rope_theta\": ");
    tuff_json_double(json, c->rope.theta);
    if (c->rope.scaling != TUFF_ROPE_PLAIN) {
        tuff_buf_text(json, ",\n  \"rope_parameters\": ");
        tuff_rope_write_object(c, &c->rope, json);
    }
    tuff_buf_printf(json, ",\n  \"tie_word_embeddings\": %s,\n", tuff_json_truth(c->tied));
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    tuff_gguf_put_sizes(c, gguf);
    tuff_gguf_put_u32(gguf, "phi2.attention.head_count_kv", (uint32_t)c->kv_heads);
    tuff_gguf_put_u32(gguf, "phi2.attention.key_length", (uint32_t)c->head_dim);
    tuff_gguf_put_u32(gguf, "phi2.attention.value_length", (uint32_t)c->head_dim);
    tuff_gguf_put_f32(gguf, "phi2.attention.layer_norm_epsilon", (float)c->norm_eps);
    tuff_rope_write_gguf(c, gguf);
    if (c->layer.activation != TUFF_ACT_GELU_TANH)
        tuff_gguf_put_text(gguf, "phi2.hidden_activation", tuff_activation_name(c->layer.activation));
}

static const tuff_part parts[] = {{"model.embed_tokens", "token_embd", TUFF_PART_PLAIN},
                                  {"model.layers.#.input_layernorm", "blk.#.attn_norm", TUFF_PART_PLAIN},
                                  {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", TUFF_PART_PLAIN},
                                  {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", TUFF_PART_PLAIN},
                                  {"model.layers.#.self_attn.v_proj", "blk.#.attn_v", TUFF_PART_PLAIN},
                                  {"model.layers.#.self_attn.dense", "blk.#.attn_output", TUFF_PART_PLAIN},
                                  {"model.layers.#.mlp.fc1", "blk.#.ffn_up", TUFF_PART_PLAIN},
                                  {"model.layers.#.mlp.fc2", "blk.#.ffn_down", TUFF_PART_PLAIN},
                                  {"model.final_layernorm", "output_norm", TUFF_PART_PLAIN},
                                  {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part lm_parts[] = {{"lm_head.bias", "output.bias", TUFF_PART_PLAIN},
                                     {"lm_head", "output", TUFF_PART_PLAIN},
                                     {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_head_spec heads[] = {
    {.head = &tuff_head_lm, .parts = lm_parts, .output_bias = true},
    {.head = &tuff_head_classes, .parts = tuff_decoder_class_parts, .last = true},
    {.head = NULL}};

const tuff_arch tuff_arch_phi = {.name = "phi",
                                 .hf_class = "Phi",
                                 .decoder = true,
                                 .gguf = "phi2",
                                 .gguf_activation = TUFF_ACT_GELU_TANH,
                                 .partial_rotary = true,
                                 .base_prefix = "model.",
                                 .lora_target = "q_proj,v_proj,fc1,fc2",
                                 .read_hf = read_hf,
                                 .read_gguf = read_gguf,
                                 .write_hf = write_hf,
                                 .write_gguf = write_gguf,
                                 .parts = parts,
                                 .heads = heads};
