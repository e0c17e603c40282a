/* StableLM (Stability AI 2023): Llama's layers with LayerNorm and a share of each head that rotates; perhaps
 * with attention and feed-forward side by side, behind one norm, and norms of queries and keys of which each
 * head has its own (12B). */
#include "models/decoder.h"

static void set_parallel(tuff_config *c, bool parallel)
{
    c->layer.parallel = c->layer.no_ffn_norm = parallel;
}

/* transformers takes the size of heads for angles from head_dim, where it is there, and else from the sizes.
 */
static tuff_status check_head(const char *where, const tuff_config *c)
{
    if (c->heads <= 0 || c->head_dim * c->heads == c->hidden_size) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: %lld heads of %lld are not the hidden size of %lld, as this architecture wants",
                     where, (long long)c->heads, (long long)c->head_dim, (long long)c->hidden_size);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    bool parallel = false;
    c->vocab_size = 50304;
    c->hidden_size = 2560;
    c->intermediate_size = 6912;
    c->layers = c->heads = c->kv_heads = 32;
    c->max_positions = 4096;
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    TUFF_TRY(tuff_decoder_read_sizes(json, where, c));
    TUFF_TRY(check_head(where, c));
    TUFF_TRY(tuff_rope_set_share(NULL, 0.25, where, c));
    TUFF_TRY(tuff_rope_read_hf(json, where, c));
    TUFF_TRY(tuff_json_bool(json, "use_parallel_residual", where, &parallel));
    set_parallel(c, parallel);
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias =
        false; /* whatever the config says by other keys, as in transformers */
    bool norms = false;
    TUFF_TRY(tuff_json_bool(json, "qk_layernorm", where, &norms));
    if (norms) c->layer.qk_norm = TUFF_QK_NORM_EACH;
    TUFF_TRY(tuff_json_bool(json, "use_qkv_bias", where, &c->layer.qkv_bias));
    return tuff_rope_check(c, where);
}

/* llama.cpp knows the two kinds by their tensors. */
static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    set_parallel(c, !tuff_weights_find(gguf->weights, "blk.0.ffn_norm.weight"));
    if (tuff_weights_find(gguf->weights, "blk.0.attn_q_norm.weight")) c->layer.qk_norm = TUFF_QK_NORM_EACH;
    return check_head(gguf->file, c);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    if (!c->rotary_dims) tuff_buf_text(json, "  \"partial_rotary_factor\": 1.0,\n");
    tuff_buf_printf(json,
                    "  \"qk_layernorm\": %s,\n  \"use_parallel_residual\": %s,\n  \"use_qkv_bias\": %s,\n",
                    tuff_json_truth(c->layer.qk_norm != TUFF_QK_NORM_NONE),
                    tuff_json_truth(c->layer.parallel), tuff_json_truth(c->layer.qkv_bias));
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_decoder_write_gguf(c, gguf);
    tuff_gguf_put_bool(gguf, tuff_gguf_key_of(c, "use_parallel_residual", k), c->layer.parallel);
}

static const tuff_part parts[] = {
    TUFF_DECODER_PARTS,
    {"model.layers.#.self_attn.q_layernorm.norms", "blk.#.attn_q_norm", TUFF_PART_HEADS},
    {"model.layers.#.self_attn.k_layernorm.norms", "blk.#.attn_k_norm", TUFF_PART_HEADS},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_stablelm = {TUFF_DECODER_COMMON,      .gguf_activation = TUFF_ACT_SILU,
                                      .name = "stablelm",       .hf_class = "StableLm",
                                      .gguf = "stablelm",       .layer_norm_key = "layer_norm_eps",
                                      .partial_rotary = true,   .read_hf = read_hf,
                                      .read_gguf = read_gguf,   .write_hf = write_hf,
                                      .write_gguf = write_gguf, .parts = parts};
