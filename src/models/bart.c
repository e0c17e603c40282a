/* BART (Lewis et al. 2020): an encoder and a decoder with learned positions, whose norms follow the sums. */
#include <math.h>
#include <stdio.h>

#include "models/heads/head.h"

/* Rows of a table of positions before the first that a text has. */
enum { OFFSET = 2, USUAL_START = 2 };

/* The sizes of one stack, beside what both share; `shared` are the names that transformers' classes have in
 * common, which mean the encoder's. */
static tuff_status read_stack(const cJSON *json, const char *where, const char *stack, const char *layers,
                              const char *heads, tuff_config *c)
{
    char key[64];
    snprintf(key, sizeof key, "%s_layers", stack);
    TUFF_TRY(tuff_json_int(json, key, where, &c->layers));
    snprintf(key, sizeof key, "%s_attention_heads", stack);
    TUFF_TRY(tuff_json_int(json, key, where, &c->heads));
    snprintf(key, sizeof key, "%s_ffn_dim", stack);
    TUFF_TRY(tuff_json_int(json, key, where, &c->intermediate_size));
    if (layers) TUFF_TRY(tuff_json_int(json, layers, where, &c->layers));
    if (heads) TUFF_TRY(tuff_json_int(json, heads, where, &c->heads));
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0; /* 0 is refused by the check of all sizes */
    if (c->heads <= 0 || c->hidden_size % c->heads == 0) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: a hidden size of %lld cannot be shared by the %lld heads of its %s", where,
                     (long long)c->hidden_size, (long long)c->heads, stack);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    bool pair = true, scaled = false;
    c->vocab_size = 50265;
    c->hidden_size = 1024;
    c->layers = 12;
    c->heads = 16;
    c->intermediate_size = 4096;
    c->max_positions = 1024;
    c->norm_eps = 1e-5; /* which no key says */
    c->norm = TUFF_NORM_LAYER;
    c->position_offset = OFFSET;
    c->tied = c->learned_positions = c->embed_norm = c->padding_counts = true;
    c->layer.norm_after = c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias = true;
    c->start_token = USUAL_START;
    TUFF_TRY(tuff_json_bool(json, "is_encoder_decoder", where, &pair));
    if (!pair)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: is_encoder_decoder is false; Tuff runs BART with its encoder and its decoder",
                         where);
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "d_model", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    if (!c->tied)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: tie_word_embeddings is false; Tuff runs BART with one table for both stacks",
                         where);
    TUFF_TRY(tuff_json_bool(json, "scale_embedding", where, &scaled));
    TUFF_TRY(tuff_activation_read_hf(json, "activation_function", where, &c->layer.activation));
    if (scaled && c->hidden_size > 0) c->embed_scale = sqrt((double)c->hidden_size);
    TUFF_TRY(tuff_config_add_encoder(c));
    TUFF_TRY(read_stack(json, where, "encoder", "num_hidden_layers", "num_attention_heads", c->encoder));
    return read_stack(json, where, "decoder", NULL, NULL, c);
}

#define STACK(hf, part)                                                                                    \
    {"model." hf ".embed_positions", part ".position_embd", TUFF_PART_UNNAMED},                            \
        {"model." hf ".layernorm_embedding", part ".token_embd_norm", TUFF_PART_UNNAMED},                  \
        {"model." hf ".layers.#.self_attn.q_proj", part ".blk.#.attn_q", TUFF_PART_UNNAMED},               \
        {"model." hf ".layers.#.self_attn.k_proj", part ".blk.#.attn_k", TUFF_PART_UNNAMED},               \
        {"model." hf ".layers.#.self_attn.v_proj", part ".blk.#.attn_v", TUFF_PART_UNNAMED},               \
        {"model." hf ".layers.#.self_attn.out_proj", part ".blk.#.attn_output", TUFF_PART_UNNAMED},        \
        {"model." hf ".layers.#.self_attn_layer_norm", part ".blk.#.attn_output_norm", TUFF_PART_UNNAMED}, \
        {"model." hf ".layers.#.fc1", part ".blk.#.ffn_up", TUFF_PART_UNNAMED},                            \
        {"model." hf ".layers.#.fc2", part ".blk.#.ffn_down", TUFF_PART_UNNAMED},                          \
    {                                                                                                      \
        "model." hf ".layers.#.final_layer_norm", part ".blk.#.layer_output_norm", TUFF_PART_UNNAMED       \
    }

static const tuff_part parts[] = {
    {"model.shared", "token_embd", TUFF_PART_UNNAMED},
    STACK("encoder", "enc"),
    STACK("decoder", "dec"),
    {"model.decoder.layers.#.encoder_attn.q_proj", "dec.blk.#.cross_attn_q", TUFF_PART_UNNAMED},
    {"model.decoder.layers.#.encoder_attn.k_proj", "dec.blk.#.cross_attn_k", TUFF_PART_UNNAMED},
    {"model.decoder.layers.#.encoder_attn.v_proj", "dec.blk.#.cross_attn_v", TUFF_PART_UNNAMED},
    {"model.decoder.layers.#.encoder_attn.out_proj", "dec.blk.#.cross_attn_output", TUFF_PART_UNNAMED},
    {"model.decoder.layers.#.encoder_attn_layer_norm", "dec.blk.#.cross_attn_output_norm", TUFF_PART_UNNAMED},
    {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part lm_parts[] = {{"lm_head", "output", TUFF_PART_UNNAMED},
                                     {"final_logits_bias", "output.bias", TUFF_PART_UNNAMED},
                                     {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_head_spec heads[] = {{.head = &tuff_head_seq2seq, .parts = lm_parts}, {.head = NULL}};

const tuff_arch tuff_arch_bart = {.name = "bart",
                                  .hf_class = "Bart",
                                  .decoder = true,
                                  .ties = true,
                                  .base_prefix = "model.",
                                  .lora_target = "q_proj,v_proj",
                                  .read_hf = read_hf,
                                  .parts = parts,
                                  .heads = heads};
