/* OLMoE (Muennighoff et al. 2024): OLMo's attention, with one norm over all query heads and one over all key
 * heads, and many small experts. */
#include "base/log.h"
#include "models/decoder.h"

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 50304;
    c->hidden_size = c->intermediate_size = 2048;
    c->layers = c->heads = 16;
    c->max_positions = 4096;
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    c->experts = (tuff_experts_spec){.count = 64, .used = 8, .balance = 0.01};
    c->layer.qk_norm = TUFF_QK_NORM_WHOLE;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    c->layer.mlp_bias = false; /* whatever the config says, as in transformers */
    TUFF_TRY(tuff_json_number(json, "clip_qkv", where, &c->qkv_bound));
    TUFF_TRY(tuff_experts_read_hf(json, where, c));
    const cJSON *bound = cJSON_GetObjectItemCaseSensitive(json, "clip_qkv");
    if (!bound || cJSON_IsNull(bound) || c->qkv_bound > 0) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: clip_qkv is %g, expected null or more than 0", where,
                     c->qkv_bound);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    c->layer.qk_norm = TUFF_QK_NORM_WHOLE;
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "attention.clamp_kqv", k), &c->qkv_bound));
    return tuff_experts_read_gguf(gguf, c);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_experts_write_hf(c, "num_experts", json);
    tuff_buf_printf(json, "  \"attention_bias\": %s,\n  \"norm_topk_prob\": %s,\n  \"clip_qkv\": ",
                    tuff_json_truth(c->layer.qkv_bias), tuff_json_truth(c->experts.shares));
    if (c->qkv_bound != 0)
        tuff_json_real(json, c->qkv_bound);
    else
        tuff_buf_text(json, "null");
    tuff_buf_text(json, ",\n");
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_decoder_write_gguf(c, gguf);
    tuff_experts_write_gguf(c, gguf);
    if (c->qkv_bound != 0)
        tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "attention.clamp_kqv", k), (float)c->qkv_bound);
    if (c->qkv_bound != 0)
        tuff_log(
            TUFF_LOG_WARN,
            "llama.cpp's %s does not bound queries, keys and values, as this model does: its results will differ there; in "
            "Tuff they do not",
            c->arch->gguf);
}

static const tuff_part parts[] = {
    TUFF_ATTENTION_PARTS,
    {"model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", TUFF_PART_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    TUFF_EXPERTS_PARTS,
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_olmoe = {TUFF_EXPERTS_COMMON,      .gguf_activation = TUFF_ACT_SILU,
                                   .name = "olmoe",          .hf_class = "Olmoe",
                                   .gguf = "olmoe",          .read_hf = read_hf,
                                   .read_gguf = read_gguf,   .write_hf = write_hf,
                                   .write_gguf = write_gguf, .parts = parts};
