/* Mixtral (Jiang et al. 2024): Mistral, whose feed-forward layers are experts. */
#include "models/decoder.h"

/* A key that is absent means what transformers' class takes it to mean. */
static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 32000;
    c->hidden_size = 4096;
    c->intermediate_size = 14336;
    c->layers = c->heads = 32;
    c->kv_heads = 8;
    c->max_positions = 131072;
    c->norm_eps = 1e-5;
    c->rope.theta = 1e6;
    c->experts = (tuff_experts_spec){.count = 8, .used = 2, .shares = true, .balance = 0.001};
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias =
        false; /* whatever the config says, as in transformers */
    TUFF_TRY(tuff_decoder_read_window(json, where, 0, c));
    TUFF_TRY(tuff_experts_read_hf(json, where, c));
    c->experts.shares = true;
    return TUFF_OK;
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_decoder_write_window(c, json);
    tuff_experts_write_hf(c, "num_local_experts", json);
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    tuff_decoder_write_gguf(c, gguf);
    tuff_experts_write_gguf(c, gguf);
}

static const tuff_part parts[] = {
    TUFF_ATTENTION_PARTS,
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {"model.layers.#.block_sparse_moe.gate", "blk.#.ffn_gate_inp", TUFF_PART_ROUTER},
    {"model.layers.#.block_sparse_moe.experts.*.w1", "blk.#.ffn_gate_exps", TUFF_PART_EXPERTS},
    {"model.layers.#.block_sparse_moe.experts.*.w3", "blk.#.ffn_up_exps", TUFF_PART_EXPERTS},
    {"model.layers.#.block_sparse_moe.experts.*.w2", "blk.#.ffn_down_exps", TUFF_PART_EXPERTS},
    {NULL, NULL, TUFF_PART_PLAIN}};

/* GGUF has no architecture of its own for it: a "llama" that has experts is one (models/llama.c). */
const tuff_arch tuff_arch_mixtral = {TUFF_DECODER_COMMON,
                                     .gguf_activation = TUFF_ACT_SILU,
                                     .gguf_interleaves = true,
                                     .gguf_shares = true,
                                     .name = "mixtral",
                                     .hf_class = "Mixtral",
                                     .gguf = "llama",
                                     .read_hf = read_hf,
                                     .write_hf = write_hf,
                                     .write_gguf = write_gguf,
                                     .parts = parts};
