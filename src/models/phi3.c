/* Phi-3 and Phi-4-mini (Microsoft 2024): Llama's layers, with one matrix for queries, keys and values and one
 * for both halves of the gated layer, positions that may rotate a share of each head, and LongRoPE's factors.
 */
#include "models/decoder.h"

static void set_fused(tuff_config *c)
{
    c->layer.fused_qkv = c->layer.fused_gate = true;
}

/* Positions of the training before it was stretched stand beside the rotary parameters, and count before what
 * these say. */
static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 32064;
    c->hidden_size = 3072;
    c->intermediate_size = 8192;
    c->layers = c->heads = 32;
    c->max_positions = 4096;
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    c->rope.original = 4096;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    set_fused(c);
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias =
        false; /* whatever the config says, as in transformers */
    return tuff_decoder_read_window(json, where, 0, c);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    set_fused(c);
    return TUFF_OK;
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_decoder_write_window(c, json);
    if (c->rope.scaling > TUFF_ROPE_DYNAMIC)
        tuff_buf_printf(json, "  \"original_max_position_embeddings\": %lld,\n", (long long)c->rope.original);
}

/* Some versions of llama.cpp take a file without this key for one that has Phi-3-mini's window. */
static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_decoder_write_gguf(c, gguf);
    if (!c->layer.window) tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), 0);
}

static const tuff_part parts[] = {
    {"model.embed_tokens", "token_embd", TUFF_PART_PLAIN},
    {"model.layers.#.input_layernorm", "blk.#.attn_norm", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.qkv_proj", "blk.#.attn_qkv", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.o_proj", "blk.#.attn_output", TUFF_PART_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {"model.layers.#.mlp.gate_up_proj", "blk.#.ffn_up", TUFF_PART_PLAIN},
    {"model.layers.#.mlp.down_proj", "blk.#.ffn_down", TUFF_PART_PLAIN},
    {"model.norm", "output_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_phi3 = {.decoder = true,
                                  .base_prefix = "model.",
                                  .heads = tuff_decoder_heads,
                                  .keys = "llama",
                                  .lora_target = "qkv_proj,o_proj,gate_up_proj,down_proj",
                                  .gguf_activation = TUFF_ACT_SILU,
                                  .name = "phi3",
                                  .hf_class = "Phi3",
                                  .gguf = "phi3",
                                  .all_windows = true,
                                  .partial_rotary = true,
                                  .read_hf = read_hf,
                                  .read_gguf = read_gguf,
                                  .write_hf = write_hf,
                                  .write_gguf = write_gguf,
                                  .parts = parts};
