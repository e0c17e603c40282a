/* OLMo 2 (Walsh et al. 2024): Llama's parts, with norms on what attention and feed-forward give, none before
 * them, and one norm over all query heads, one over all key heads. */
#include "models/decoder.h"

static void set_norms(tuff_config *c)
{
    c->layer.qk_norm = TUFF_QK_NORM_WHOLE;
    c->layer.no_attn_norm = c->layer.no_ffn_norm = c->layer.branch_norms = true;
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 50304;
    c->hidden_size = 4096;
    c->intermediate_size = 11008;
    c->layers = c->heads = 32;
    c->max_positions = 2048;
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    set_norms(c);
    c->layer.mlp_bias = false; /* whatever the config says, as in transformers */
    return TUFF_OK;
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
}

static const tuff_part parts[] = {
    TUFF_DECODER_PARTS,
    {"model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", TUFF_PART_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.post_attention_norm", TUFF_PART_PLAIN},
    {"model.layers.#.post_feedforward_layernorm", "blk.#.post_ffw_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_olmo2 = {TUFF_DECODER_COMMON,
                                   .gguf_activation = TUFF_ACT_SILU,
                                   .name = "olmo2",
                                   .hf_class = "Olmo2",
                                   .gguf = "olmo2",
                                   .read_hf = read_hf,
                                   .read_gguf = read_gguf,
                                   .write_hf = write_hf,
                                   .write_gguf = tuff_decoder_write_gguf,
                                   .parts = parts};
