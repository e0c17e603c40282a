/* StarCoder 2 (Lozhkov et al. 2024): LayerNorm, biases everywhere or nowhere, a feed-forward layer without a
 * gate. */
#include "models/decoder.h"

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    bool bias = true;
    c->vocab_size = 49152;
    c->hidden_size = 3072;
    c->intermediate_size = 12288;
    c->layers = 30;
    c->heads = 24;
    c->kv_heads = 2;
    c->max_positions = 4096;
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    c->tied = true;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    TUFF_TRY(tuff_json_bool(json, "use_bias", where, &bias));
    c->layer.gated = false;
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias = bias;
    return tuff_decoder_read_window(json, where, 0, c);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    c->layer.gated = false;
    if (c->layer.qkv_bias == c->layer.out_bias && c->layer.qkv_bias == c->layer.mlp_bias) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: it has biases on q, k and v: %s, on the attention's output: %s, on the feed-forward "
        "layers: %s; this architecture has all of them or none",
        gguf->file, c->layer.qkv_bias ? "yes" : "no", c->layer.out_bias ? "yes" : "no",
        c->layer.mlp_bias ? "yes" : "no");
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_buf_printf(json, "  \"use_bias\": %s,\n", tuff_json_truth(c->layer.qkv_bias));
    tuff_decoder_write_window(c, json);
}

static const tuff_part parts[] = {
    {"model.embed_tokens", "token_embd", TUFF_PART_PLAIN},
    {"model.layers.#.input_layernorm", "blk.#.attn_norm", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", TUFF_PART_Q},
    {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", TUFF_PART_K},
    {"model.layers.#.self_attn.v_proj", "blk.#.attn_v", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.o_proj", "blk.#.attn_output", TUFF_PART_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {"model.layers.#.mlp.c_fc", "blk.#.ffn_up", TUFF_PART_PLAIN},
    {"model.layers.#.mlp.c_proj", "blk.#.ffn_down", TUFF_PART_PLAIN},
    {"model.norm", "output_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_starcoder2 = {.decoder = true,
                                        .base_prefix = "model.",
                                        .heads = tuff_decoder_heads,
                                        .keys = "llama",
                                        .lora_target = "q_proj,k_proj,v_proj,o_proj,c_fc,c_proj",
                                        .gguf_activation = TUFF_ACT_GELU_TANH,
                                        .name = "starcoder2",
                                        .hf_class = "Starcoder2",
                                        .gguf = "starcoder2",
                                        .layer_norm_key = "norm_epsilon",
                                        .all_windows = true,
                                        .read_hf = read_hf,
                                        .read_gguf = read_gguf,
                                        .write_hf = write_hf,
                                        .write_gguf = tuff_decoder_write_gguf,
                                        .parts = parts};
