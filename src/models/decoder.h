/* What decoders of Llama's kind share (models/decoder.c). */
#ifndef TUFF_MODELS_DECODER_H
#define TUFF_MODELS_DECODER_H

#include "models/heads/head.h"

/* RMSNorm, or LayerNorm where the architecture has it, before each part, rotary positions, a gated
 * feed-forward layer with SiLU. */
void tuff_decoder_set(tuff_config *config);
/* Sets that, then reads the keys that they share over the defaults that the config holds: without rotary
 * positions, and with them. */
TUFF_MUST_USE tuff_status tuff_decoder_read_sizes(const cJSON *json, const char *where, tuff_config *config);
TUFF_MUST_USE tuff_status tuff_decoder_read_hf(const cJSON *json, const char *where, tuff_config *config);
TUFF_MUST_USE tuff_status tuff_decoder_read_gguf(const tuff_gguf *gguf, tuff_config *config);
/* One window for all layers: config.json may lack it, which means `usual`, or say null, which means none. */
TUFF_MUST_USE tuff_status tuff_decoder_read_window(const cJSON *json, const char *where, int64_t usual,
                                                   tuff_config *config);
void tuff_decoder_write_window(const tuff_config *config, tuff_buf *json);
/* Layers from max_window_layers on have the window where use_sliding_window says so, or those of layer_types.
 */
TUFF_MUST_USE tuff_status tuff_decoder_read_windows(const cJSON *json, const char *where,
                                                    tuff_config *config);
void tuff_decoder_write_windows(const tuff_config *config, tuff_buf *json);
/* Of models whose heads share the hidden size among them, with keys and values of their own: their size. */
TUFF_MUST_USE tuff_status tuff_decoder_share_heads(const char *where, tuff_config *config);
/* The same keys. */
void tuff_decoder_write_sizes(const tuff_config *config, tuff_buf *json);
void tuff_decoder_write_hf(const tuff_config *config, tuff_buf *json);
void tuff_decoder_write_gguf(const tuff_config *config, tuff_gguf_builder *gguf);
/* The experts of its layers (models/experts_config.c), after all else, over the defaults that the config
 * holds. */
TUFF_MUST_USE tuff_status tuff_experts_read_hf(const cJSON *json, const char *where, tuff_config *config);
TUFF_MUST_USE tuff_status tuff_experts_read_gguf(const tuff_gguf *gguf, tuff_config *config);
void tuff_experts_write_hf(const tuff_config *config, const char *count_key, tuff_buf *json);
void tuff_experts_write_gguf(const tuff_config *config, tuff_gguf_builder *gguf);
/* A language model, or classes of a text by its last token. */
extern const tuff_head_spec tuff_decoder_heads[];
/* What the second is made of, for heads that differ in the first. */
extern const tuff_part tuff_decoder_class_parts[];

/* Modules that all of them have: everything but the norm behind attention or before the feed-forward layer,
 * which transformers calls by one name. */
#define TUFF_DECODER_PARTS                                                                     \
    TUFF_ATTENTION_PARTS, {"model.layers.#.mlp.gate_proj", "blk.#.ffn_gate", TUFF_PART_PLAIN}, \
        {"model.layers.#.mlp.up_proj", "blk.#.ffn_up", TUFF_PART_PLAIN},                       \
    {                                                                                          \
        "model.layers.#.mlp.down_proj", "blk.#.ffn_down", TUFF_PART_PLAIN                      \
    }
/* Those around the feed-forward layers. */
#define TUFF_ATTENTION_PARTS                                                       \
    {"model.embed_tokens", "token_embd", TUFF_PART_PLAIN},                         \
        {"model.layers.#.input_layernorm", "blk.#.attn_norm", TUFF_PART_PLAIN},    \
        {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", TUFF_PART_Q},          \
        {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", TUFF_PART_K},          \
        {"model.layers.#.self_attn.v_proj", "blk.#.attn_v", TUFF_PART_PLAIN},      \
        {"model.layers.#.self_attn.o_proj", "blk.#.attn_output", TUFF_PART_PLAIN}, \
    {                                                                              \
        "model.norm", "output_norm", TUFF_PART_PLAIN                               \
    }

/* Experts as most have them. */
#define TUFF_EXPERTS_PARTS                                                                    \
    {"model.layers.#.mlp.gate", "blk.#.ffn_gate_inp", TUFF_PART_ROUTER},                      \
        {"model.layers.#.mlp.experts.*.gate_proj", "blk.#.ffn_gate_exps", TUFF_PART_EXPERTS}, \
        {"model.layers.#.mlp.experts.*.up_proj", "blk.#.ffn_up_exps", TUFF_PART_EXPERTS},     \
    {                                                                                         \
        "model.layers.#.mlp.experts.*.down_proj", "blk.#.ffn_down_exps", TUFF_PART_EXPERTS    \
    }

/* The parts of a layer of BLOOM, Falcon and GPT-NeoX, by the names of the layer and of its attention. */
#define TUFF_DENSE_PARTS(layer, attention)                                         \
    {layer ".input_layernorm", "blk.#.attn_norm", TUFF_PART_PLAIN},                \
        {layer "." attention ".query_key_value", "blk.#.attn_qkv", TUFF_PART_QKV}, \
        {layer "." attention ".dense", "blk.#.attn_output", TUFF_PART_PLAIN},      \
        {layer ".post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},    \
        {layer ".mlp.dense_h_to_4h", "blk.#.ffn_up", TUFF_PART_PLAIN},             \
    {                                                                              \
        layer ".mlp.dense_4h_to_h", "blk.#.ffn_down", TUFF_PART_PLAIN              \
    }

/* What their descriptors share. */
#define TUFF_DECODER_COMMON TUFF_DECODER_BASE, .lora_target = "q_proj,v_proj"
/* Of those with experts, whose matrices are no linear layers to PEFT, which has no modules by default. */
#define TUFF_EXPERTS_COMMON TUFF_DECODER_BASE, .lora_target = "q_proj,k_proj,v_proj,o_proj"
#define TUFF_DECODER_BASE \
    .decoder = true, .base_prefix = "model.", .heads = tuff_decoder_heads, .keys = "llama"

#endif
