/* GPT-J (Wang and Komatsuzaki 2021): one LayerNorm for attention and feed-forward side by side, no biases of
 * attention, one on what scores the vocabulary. The first dims of a head rotate, neighbours together. */
#include "models/decoder.h"

static tuff_status derive(tuff_config *c, const char *where)
{
    c->norm = TUFF_NORM_LAYER;
    c->causal = c->final_norm = true;
    c->layer.parallel = c->layer.no_ffn_norm = c->layer.mlp_bias = true;
    c->layer.rope = TUFF_ROTARY_MAIN;
    c->layer.rope_pairs = true;
    c->rope.theta = 10000;
    TUFF_TRY(tuff_decoder_share_heads(where, c));
    if (c->rotary_dims >= 2 && c->rotary_dims <= c->head_dim) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: rotary_dim is %lld of a head of %lld; expected 2 and more of them",
                     where, (long long)c->rotary_dims, (long long)c->head_dim);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 50400;
    c->max_positions = 2048;
    c->hidden_size = 4096;
    c->layers = 28;
    c->heads = 16;
    c->rotary_dims = 64;
    c->norm_eps = 1e-5;
    c->layer.activation = TUFF_ACT_GELU_TANH;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "n_positions", where, &c->max_positions));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_int(json, "n_embd", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "n_layer", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "n_head", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    if (c->hidden_size > 0 && c->hidden_size <= INT64_MAX / 4) c->intermediate_size = 4 * c->hidden_size;
    TUFF_TRY(tuff_json_int(json, "n_inner", where, &c->intermediate_size));
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "rotary_dim"))) c->rotary_dims = 0;
    TUFF_TRY(tuff_json_int(json, "rotary_dim", where, &c->rotary_dims));
    TUFF_TRY(tuff_json_number(json, "layer_norm_epsilon", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_activation_read_hf(json, "activation_function", where, &c->layer.activation));
    return derive(c, where);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(
        json,
        "  \"activation_function\": \"%s\",\n  \"initializer_range\": 0.02,\n  \"n_embd\": %lld,\n"
        "  \"n_head\": %lld,\n  \"n_inner\": %lld,\n  \"n_layer\": %lld,\n  \"n_positions\": %lld,\n"
        "  \"rotary_dim\": %lld,\n  \"layer_norm_epsilon\": ",
        tuff_activation_name(c->layer.activation), (long long)c->hidden_size, (long long)c->heads,
        (long long)c->intermediate_size, (long long)c->layers, (long long)c->max_positions,
        (long long)c->rotary_dims);
    tuff_json_double(json, c->norm_eps);
    tuff_buf_printf(json, ",\n  \"tie_word_embeddings\": %s,\n", tuff_json_truth(c->tied));
}

static const tuff_part parts[] = {{"transformer.wte", "token_embd", TUFF_PART_UNNAMED},
                                  {"transformer.h.#.ln_1", "blk.#.attn_norm", TUFF_PART_UNNAMED},
                                  {"transformer.h.#.attn.q_proj", "blk.#.attn_q", TUFF_PART_UNNAMED},
                                  {"transformer.h.#.attn.k_proj", "blk.#.attn_k", TUFF_PART_UNNAMED},
                                  {"transformer.h.#.attn.v_proj", "blk.#.attn_v", TUFF_PART_UNNAMED},
                                  {"transformer.h.#.attn.out_proj", "blk.#.attn_output", TUFF_PART_UNNAMED},
                                  {"transformer.h.#.mlp.fc_in", "blk.#.ffn_up", TUFF_PART_UNNAMED},
                                  {"transformer.h.#.mlp.fc_out", "blk.#.ffn_down", TUFF_PART_UNNAMED},
                                  {"transformer.ln_f", "output_norm", TUFF_PART_UNNAMED},
                                  {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part lm_parts[] = {{"lm_head.bias", "output.bias", TUFF_PART_UNNAMED},
                                     {"lm_head", "output", TUFF_PART_UNNAMED},
                                     {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_head_spec heads[] = {
    {.head = &tuff_head_lm, .parts = lm_parts, .output_bias = true},
    {.head = &tuff_head_classes, .parts = tuff_decoder_class_parts, .last = true},
    {.head = NULL}};

/* llama.cpp does not run it, so that there are no GGUF files of it. */
const tuff_arch tuff_arch_gptj = {.name = "gptj",
                                  .hf_class = "GPTJ",
                                  .decoder = true,
                                  .base_prefix = "transformer.",
                                  .lora_target = "q_proj,v_proj",
                                  .read_hf = read_hf,
                                  .write_hf = write_hf,
                                  .parts = parts,
                                  .heads = heads};
