/* Qwen3 (Yang et al. 2025): Llama's layers, with a norm over each head of queries and keys. */
#include "models/decoder.h"

static void set_norms(tuff_config *c)
{
    c->layer.qk_norm = TUFF_QK_NORM_HEADS;
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 151936;
    c->hidden_size = 4096;
    c->intermediate_size = 22016;
    c->layers = c->heads = c->kv_heads = 32;
    c->head_dim = 128;
    c->max_positions = 32768;
    c->norm_eps = 1e-6;
    c->rope.theta = 10000;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    set_norms(c);
    c->layer.mlp_bias = false; /* whatever the config says, as in transformers */
    return tuff_decoder_read_windows(json, where, c);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    set_norms(c);
    return tuff_decoder_read_gguf(gguf, c);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_buf_printf(json, "  \"attention_bias\": %s,\n", tuff_json_truth(c->layer.qkv_bias));
    tuff_decoder_write_windows(c, json);
}

static const tuff_part parts[] = {
    TUFF_DECODER_PARTS,
    {"model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", TUFF_PART_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_qwen3 = {TUFF_DECODER_COMMON,
                                   .gguf_activation = TUFF_ACT_SILU,
                                   .name = "qwen3",
                                   .hf_class = "Qwen3",
                                   .gguf = "qwen3",
                                   .read_hf = read_hf,
                                   .read_gguf = read_gguf,
                                   .write_hf = write_hf,
                                   .write_gguf = tuff_decoder_write_gguf,
                                   .parts = parts};
