/* Nomic BERT (Nussbaum et al. 2024): BERT with rotary positions, gated feed-forward layers and no biases in
 * its layers. */
#include <string.h>

#include "models/heads/head.h"

/* What every one has, and what follows from the sizes. */
static void set_layers(tuff_config *c)
{
    c->norm = TUFF_NORM_LAYER;
    c->embed_norm = c->layer.norm_after = c->layer.fused_qkv = c->layer.gated = true;
    c->layer.activation = TUFF_ACT_SILU;
    c->layer.rope = TUFF_ROTARY_MAIN;
    c->rope.theta = 1000;
    c->norm_eps = 1e-12;
    c->tied = true;
}

/* One of two keys of the same meaning: transformers' own, else that of the code that comes with Nomic's
 * models. */
static tuff_status read_int(const cJSON *json, const char *where, const char *key, const char *older,
                            int64_t *out)
{
    TUFF_TRY(tuff_json_int(json, older, where, out));
    return tuff_json_int(json, key, where, out);
}

static tuff_status unknown_activation(const char *where, const char *key, const char *name, size_t size)
{
    return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is \"%.*s\"; Tuff knows %s", where, key,
                     (int)(size < 40 ? size : 40), name, tuff_activation_names());
}

static tuff_status read_activation(const cJSON *json, const char *where, tuff_config *c)
{
    const char *gated = NULL, *name = "silu";
    TUFF_TRY(tuff_json_text(json, "activation_function", where, &gated));
    if (gated && strcmp(gated, "geglu") == 0) name = "gelu";
    if (gated && strcmp(gated, "geglu") != 0 && strcmp(gated, "swiglu") != 0)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: activation_function is \"%.40s\"; Tuff knows swiglu and geglu", where, gated);
    TUFF_TRY(tuff_json_text(json, "hidden_act", where, &name));
    return tuff_activation_by_name(name, strlen(name), &c->layer.activation)
               ? TUFF_OK
               : unknown_activation(where, "hidden_act", name, strlen(name));
}

static tuff_status read_rope(const cJSON *json, const char *where, tuff_config *c)
{
    double fraction = 1;
    TUFF_TRY(tuff_json_number(json, "rotary_emb_base", where, &c->rope.theta));
    TUFF_TRY(tuff_json_number(json, "rotary_emb_fraction", where, &fraction));
    if (fraction != 1)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: rotary_emb_fraction is %g; Tuff rotates whole heads only",
                         where, fraction);
    TUFF_TRY(tuff_rope_read_hf(json, where, c));
    return tuff_rope_check(c, where);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 30528;
    c->hidden_size = 768;
    c->layers = c->heads = 12;
    c->intermediate_size = 3072;
    c->max_positions = 2048;
    c->token_types = 2;
    set_layers(c);
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(read_int(json, where, "hidden_size", "n_embd", &c->hidden_size));
    TUFF_TRY(read_int(json, where, "num_hidden_layers", "n_layer", &c->layers));
    TUFF_TRY(read_int(json, where, "num_attention_heads", "n_head", &c->heads));
    TUFF_TRY(read_int(json, where, "intermediate_size", "n_inner", &c->intermediate_size));
    TUFF_TRY(tuff_json_int(json, "n_positions", where, &c->max_positions));
    TUFF_TRY(read_int(json, where, "max_position_embeddings", "max_trained_positions", &c->max_positions));
    TUFF_TRY(tuff_json_number(json, "layer_norm_epsilon", where, &c->norm_eps));
    TUFF_TRY(tuff_json_number(json, "layer_norm_eps", where, &c->norm_eps));
    TUFF_TRY(tuff_json_int(json, "type_vocab_size", where, &c->token_types));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    if (c->token_types < 1)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: type_vocab_size is %lld, expected 1 or more", where,
                         (long long)c->token_types);
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0; /* 0 is refused by the check of all sizes */
    TUFF_TRY(tuff_json_int(json, "head_dim", where, &c->head_dim));
    TUFF_TRY(read_activation(json, where, c));
    return read_rope(json, where, c);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    tuff_view name = tuff_view_of("silu");
    const tuff_weight *types = tuff_weights_find(gguf->weights, "token_types.weight");
    set_layers(c);
    TUFF_TRY(tuff_gguf_need_sizes(gguf, c));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "attention.layer_norm_epsilon", k), &c->norm_eps));
    c->token_types =
        types ? types->shape[0] : 1; /* of a file without the table, which is then missed by name */
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0;
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.key_length", k), &c->head_dim));
    TUFF_TRY(
        tuff_gguf_text(gguf, tuff_gguf_key_of(c, "hidden_activation", k), &name)); /* written by Tuff only */
    if (!tuff_activation_by_name(name.data, name.size, &c->layer.activation))
        return unknown_activation(gguf->file, k, name.data, name.size);
    return tuff_rope_read_gguf(gguf, c);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(json,
                    "  \"head_dim\": %lld,\n  \"hidden_act\": \"%s\",\n  \"hidden_size\": %lld,\n"
                    "  \"initializer_range\": 0.02,\n  \"intermediate_size\": %lld,\n  \"layer_norm_eps\": ",
                    (long long)c->head_dim, tuff_activation_name(c->layer.activation),
                    (long long)c->hidden_size, (long long)c->intermediate_size);
    tuff_json_double(json, c->norm_eps);
    tuff_buf_printf(json,
                    ",\n  \"max_position_embeddings\": %lld,\n  \"num_attention_heads\": %lld,\n"
                    "  \"num_hidden_layers\": %lld,\n  \"rope_parameters\": ",
                    (long long)c->max_positions, (long long)c->heads, (long long)c->layers);
    tuff_rope_write_object(c, &c->rope, json);
    tuff_buf_printf(json, ",\n  \"type_vocab_size\": %lld,\n", (long long)c->token_types);
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_gguf_put_sizes(c, gguf);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.key_length", k), (uint32_t)c->head_dim);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.value_length", k), (uint32_t)c->head_dim);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "attention.layer_norm_epsilon", k), (float)c->norm_eps);
    tuff_gguf_put_bool(gguf, tuff_gguf_key_of(c, "attention.causal", k), false);
    tuff_rope_write_gguf(c, gguf);
    tuff_gguf_put_u32(gguf, "tokenizer.ggml.token_type_count", (uint32_t)c->token_types);
    if (c->layer.activation != TUFF_ACT_SILU)
        tuff_gguf_put_text(gguf, tuff_gguf_key_of(c, "hidden_activation", k),
                           tuff_activation_name(c->layer.activation));
}

static const tuff_part parts[] = {
    {"nomic_bert.embeddings.word_embeddings", "token_embd", TUFF_PART_PLAIN},
    {"nomic_bert.embeddings.token_type_embeddings", "token_types", TUFF_PART_PLAIN},
    {"nomic_bert.emb_ln", "token_embd_norm", TUFF_PART_PLAIN},
    {"nomic_bert.encoder.layers.#.attn.Wqkv", "blk.#.attn_qkv", TUFF_PART_PLAIN},
    {"nomic_bert.encoder.layers.#.attn.out_proj", "blk.#.attn_output", TUFF_PART_PLAIN},
    {"nomic_bert.encoder.layers.#.norm1", "blk.#.attn_output_norm", TUFF_PART_PLAIN},
    {"nomic_bert.encoder.layers.#.mlp.fc12", "blk.#.ffn_gate", TUFF_PART_PLAIN},
    {"nomic_bert.encoder.layers.#.mlp.fc11", "blk.#.ffn_up", TUFF_PART_PLAIN},
    {"nomic_bert.encoder.layers.#.mlp.fc2", "blk.#.ffn_down", TUFF_PART_PLAIN},
    {"nomic_bert.encoder.layers.#.norm2", "blk.#.layer_output_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part mlm_parts[] = {{"cls.predictions.transform.dense", "cls", TUFF_PART_UNNAMED},
                                      {"cls.predictions.transform.layer_norm", "cls.norm", TUFF_PART_UNNAMED},
                                      {"cls.predictions.decoder", "output", TUFF_PART_UNNAMED},
                                      {"cls.predictions.bias", "output.bias", TUFF_PART_UNNAMED},
                                      {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part class_parts[] = {{"nomic_bert.pooler.dense", "cls", TUFF_PART_PLAIN},
                                        {"classifier", "cls.output", TUFF_PART_PLAIN},
                                        {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part token_parts[] = {{"classifier", "tokens", TUFF_PART_UNNAMED},
                                        {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_head_spec heads[] = {
    {.head = &tuff_head_mlm, .parts = mlm_parts, .act = TUFF_HEAD_ACT_LAYERS},
    {.head = &tuff_head_classes, .parts = class_parts, .activation = TUFF_ACT_TANH},
    {.head = &tuff_head_tokens, .parts = token_parts},
    {.head = NULL}};

const tuff_arch tuff_arch_nomic_bert = {.name = "nomic_bert",
                                        .hf_class = "NomicBert",
                                        .gguf = "nomic-bert",
                                        .gguf_activation = TUFF_ACT_SILU,
                                        .base_prefix = "nomic_bert.",
                                        .lora_target = "Wqkv,out_proj,fc11,fc12,fc2",
                                        .read_hf = read_hf,
                                        .read_gguf = read_gguf,
                                        .write_hf = write_hf,
                                        .write_gguf = write_gguf,
                                        .parts = parts,
                                        .heads = heads};
