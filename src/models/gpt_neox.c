/* GPT-NeoX and Pythia (Black et al. 2022): LayerNorm, attention and feed-forward side by side, of which a
 * share of each head rotates; one matrix gives queries, keys and values of one head after the other. */
#include "models/decoder.h"

static tuff_status derive(tuff_config *c, const char *where)
{
    c->norm = TUFF_NORM_LAYER;
    c->causal = c->final_norm = true;
    c->layer.fused_qkv = c->layer.qkv_by_head = c->layer.mlp_bias = true;
    c->layer.rope = TUFF_ROTARY_MAIN;
    return tuff_decoder_share_heads(where, c);
}

/* transformers makes angles for another head_dim, which then do not fit. */
static tuff_status check_head(const cJSON *json, const char *where, const tuff_config *c)
{
    int64_t given = c->head_dim;
    TUFF_TRY(tuff_json_int(json, "head_dim", where, &given));
    if (given == c->head_dim) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: head_dim is %lld; %lld heads of this architecture have %lld",
                     where, (long long)given, (long long)c->heads, (long long)c->head_dim);
}

/* rotary_pct and rotary_emb_base are its own names; what rope_parameters says comes before them. */
static tuff_status read_angles(const cJSON *json, const char *where, tuff_config *c)
{
    double share = 0.25;
    c->rope.theta = 10000;
    TUFF_TRY(tuff_json_number(json, "rotary_emb_base", where, &c->rope.theta));
    TUFF_TRY(tuff_json_number(json, "rotary_pct", where, &share));
    if (!(share > 0 && share <= 1))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: rotary_pct is %g, expected more than 0 and at most 1", where,
                         share);
    TUFF_TRY(tuff_rope_set_share(NULL, share, where, c));
    TUFF_TRY(tuff_rope_read_parameters(json, where, c));
    return tuff_rope_check(c, where);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    bool bias = true;
    c->vocab_size = 50432;
    c->hidden_size = 6144;
    c->layers = 44;
    c->heads = 64;
    c->intermediate_size = 24576;
    c->max_positions = 2048;
    c->norm_eps = 1e-5;
    c->layer.parallel = true;
    c->layer.activation = TUFF_ACT_GELU;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "intermediate_size", where, &c->intermediate_size));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_number(json, "layer_norm_eps", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_json_bool(json, "use_parallel_residual", where, &c->layer.parallel));
    TUFF_TRY(tuff_json_bool(json, "attention_bias", where, &bias));
    TUFF_TRY(tuff_activation_read_hf(json, "hidden_act", where, &c->layer.activation));
    c->layer.qkv_bias = c->layer.out_bias = bias;
    TUFF_TRY(derive(c, where));
    TUFF_TRY(check_head(json, where, c));
    return read_angles(json, where, c);
}

/* Files that llama.cpp's converter made do not say which GELU it was: they are read with the one that all but
 * GPT-NeoX-20B have. */
static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    c->layer.parallel = true;
    c->layer.activation = TUFF_ACT_GELU;
    TUFF_TRY(tuff_gguf_need_sizes(gguf, c));
    TUFF_TRY(tuff_gguf_number(gguf, "gptneox.attention.layer_norm_epsilon", &c->norm_eps));
    TUFF_TRY(tuff_gguf_bool(gguf, "gptneox.use_parallel_residual", &c->layer.parallel));
    TUFF_TRY(
        tuff_activation_read_gguf(gguf, "gptneox.hidden_activation", &c->layer.activation)); /* Tuff's own */
    TUFF_TRY(derive(c, gguf->file));
    TUFF_TRY(tuff_rope_read_gguf(gguf, c));
    c->layer.qkv_bias = tuff_weights_find(gguf->weights, "blk.0.attn_qkv.bias") != NULL;
    c->layer.out_bias = tuff_weights_find(gguf->weights, "blk.0.attn_output.bias") != NULL;
    if (c->layer.qkv_bias == c->layer.out_bias) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: it has a bias on one of blk.0.attn_qkv and blk.0.attn_output; this architecture has "
        "both or none",
        gguf->file);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(
        json,
        "  \"attention_bias\": %s,\n  \"hidden_act\": \"%s\",\n  \"hidden_size\": %lld,\n"
        "  \"initializer_range\": 0.02,\n  \"intermediate_size\": %lld,\n  \"max_position_embeddings\": %lld,\n"
        "  \"num_attention_heads\": %lld,\n  \"num_hidden_layers\": %lld,\n  \"layer_norm_eps\": ",
        tuff_json_truth(c->layer.qkv_bias), tuff_activation_name(c->layer.activation),
        (long long)c->hidden_size, (long long)c->intermediate_size, (long long)c->max_positions,
        (long long)c->heads, (long long)c->layers);
    tuff_json_double(json, c->norm_eps);
    tuff_buf_text(json, ",\n  \"rotary_emb_base\": ");
    tuff_json_double(json, c->rope.theta);
    tuff_buf_text(json, ",\n  \"rotary_pct\": ");
    tuff_json_double(json, tuff_rope_share(c));
    if (c->rope.scaling != TUFF_ROPE_PLAIN) {
        tuff_buf_text(json, ",\n  \"rope_parameters\": ");
        tuff_rope_write_object(c, &c->rope, json);
    }
    tuff_buf_printf(json, ",\n  \"tie_word_embeddings\": %s,\n  \"use_parallel_residual\": %s,\n",
                    tuff_json_truth(c->tied), tuff_json_truth(c->layer.parallel));
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    tuff_gguf_put_sizes(c, gguf);
    tuff_gguf_put_f32(gguf, "gptneox.attention.layer_norm_epsilon", (float)c->norm_eps);
    tuff_gguf_put_bool(gguf, "gptneox.use_parallel_residual", c->layer.parallel);
    tuff_rope_write_gguf(c, gguf);
    if (c->layer.activation != TUFF_ACT_GELU)
        tuff_gguf_put_text(gguf, "gptneox.hidden_activation", tuff_activation_name(c->layer.activation));
}

static const tuff_part parts[] = {{"gpt_neox.embed_in", "token_embd", TUFF_PART_PLAIN},
                                  TUFF_DENSE_PARTS("gpt_neox.layers.#", "attention"),
                                  {"gpt_neox.final_layer_norm", "output_norm", TUFF_PART_PLAIN},
                                  {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part lm_parts[] = {{"embed_out", "output", TUFF_PART_PLAIN}, {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_head_spec heads[] = {
    {.head = &tuff_head_lm, .parts = lm_parts},
    {.head = &tuff_head_classes, .parts = tuff_decoder_class_parts, .last = true},
    {.head = NULL}};

const tuff_arch tuff_arch_gpt_neox = {.name = "gpt_neox",
                                      .hf_class = "GPTNeoX",
                                      .decoder = true,
                                      .gguf = "gptneox",
                                      .gguf_activation = TUFF_ACT_GELU_TANH,
                                      .partial_rotary = true,
                                      .base_prefix = "gpt_neox.",
                                      .lora_target = "query_key_value",
                                      .read_hf = read_hf,
                                      .read_gguf = read_gguf,
                                      .write_hf = write_hf,
                                      .write_gguf = write_gguf,
                                      .parts = parts,
                                      .heads = heads};
