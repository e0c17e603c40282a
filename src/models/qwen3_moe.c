/* Qwen3 with experts (Yang et al. 2025): Qwen3's attention; layers have experts, or are dense. */
#include <stdio.h>

#include "models/decoder.h"

/* Every decoder_sparse_step-th layer has experts, but none of those that mlp_only_layers lists. */
static tuff_status read_dense(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t step = 1;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "mlp_only_layers"), *item;
    TUFF_TRY(tuff_json_int(json, "decoder_sparse_step", where, &step));
    if (step < 1)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: decoder_sparse_step is %lld, expected 1 or more", where,
                         (long long)step);
    TUFF_TRY(tuff_config_specs(c, where));
    for (int64_t i = 0; i < c->layers; i++)
        c->specs[i].experts = (i + 1) % step == 0;
    if (list && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: mlp_only_layers must be a list of layers' numbers", where);
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: mlp_only_layers must be a list of layers' numbers", where);
        for (int64_t i = 0; i < c->layers; i++)
            if (item->valuedouble == (double)i) c->specs[i].experts = false;
    }
    return TUFF_OK;
}

static tuff_status read_window(const cJSON *json, const char *where, tuff_config *c)
{
    bool sliding = false;
    int64_t unused = 0; /* unless it is sliding, but a number */
    TUFF_TRY(tuff_json_bool(json, "use_sliding_window", where, &sliding));
    TUFF_TRY(tuff_json_int(json, "sliding_window", where, &unused));
    return sliding ? tuff_decoder_read_window(json, where, 4096, c) : TUFF_OK;
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 151936;
    c->hidden_size = 2048;
    c->intermediate_size = 6144;
    c->layers = 24;
    c->heads = 32;
    c->kv_heads = 4;
    c->max_positions = 32768;
    c->norm_eps = 1e-6;
    c->rope.theta = 10000;
    c->experts = (tuff_experts_spec){.count = 128, .used = 8, .balance = 0.001};
    c->layer.qk_norm = TUFF_QK_NORM_HEADS;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    c->layer.mlp_bias = false; /* whatever the config says, as in transformers */
    TUFF_TRY(read_window(json, where, c));
    TUFF_TRY(tuff_experts_read_hf(json, where, c));
    c->experts.width = 768;
    TUFF_TRY(tuff_json_int(json, "moe_intermediate_size", where, &c->experts.width));
    return read_dense(json, where, c);
}

/* A layer without a router is dense. */
static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    c->layer.qk_norm = TUFF_QK_NORM_HEADS;
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    TUFF_TRY(tuff_experts_read_gguf(gguf, c));
    TUFF_TRY(tuff_config_specs(c, gguf->file));
    for (int i = 0; i < (int)c->layers; i++) {
        char dense[64];
        snprintf(dense, sizeof dense, "blk.%d.ffn_gate.weight", i);
        c->specs[i].experts = !tuff_weights_find(gguf->weights, dense);
    }
    return TUFF_OK;
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    bool any = false;
    tuff_decoder_write_hf(c, json);
    tuff_experts_write_hf(c, "num_experts", json);
    tuff_buf_printf(
        json,
        "  \"attention_bias\": %s,\n  \"norm_topk_prob\": %s,\n  \"moe_intermediate_size\": %lld,\n"
        "  \"use_sliding_window\": %s,\n  \"decoder_sparse_step\": 1,\n  \"mlp_only_layers\": [",
        tuff_json_truth(c->layer.qkv_bias), tuff_json_truth(c->experts.shares), (long long)c->experts.width,
        tuff_json_truth(c->layer.window));
    for (int i = 0; i < (int)c->layers; i++) {
        if (tuff_config_layer(c, i)->experts) continue;
        tuff_buf_printf(json, "%s%d", any ? ", " : "", i);
        any = true;
    }
    tuff_buf_text(json, "],\n");
    tuff_decoder_write_window(c, json);
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_decoder_write_gguf(c, gguf);
    tuff_experts_write_gguf(c, gguf);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "expert_feed_forward_length", k), (uint32_t)c->experts.width);
}

static const tuff_part parts[] = {
    TUFF_DECODER_PARTS,
    {"model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", TUFF_PART_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    TUFF_EXPERTS_PARTS,
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_qwen3_moe = {TUFF_EXPERTS_COMMON,      .gguf_activation = TUFF_ACT_SILU,
                                       .gguf_shares = true,      .all_windows = true,
                                       .name = "qwen3_moe",      .hf_class = "Qwen3Moe",
                                       .gguf = "qwen3moe",       .read_hf = read_hf,
                                       .read_gguf = read_gguf,   .write_hf = write_hf,
                                       .write_gguf = write_gguf, .parts = parts};
