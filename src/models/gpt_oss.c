/* gpt-oss (OpenAI 2025): experts with biases and a bounded activation, attention with sinks and, in every
 * other layer, a window. */
#include <math.h>

#include "base/log.h"
#include "models/decoder.h"

/* What llama.cpp has, and OpenAI's models. */
#define SLOPE 1.702
#define LIMIT 7.0

static bool every_second(int64_t layer, int64_t period)
{
    return layer % period == 1;
}

static void set(tuff_config *c)
{
    c->layer.sinks = true;
    c->experts.router_bias = c->experts.bias = c->experts.shares = true;
}

/* Where config.json says nothing of angles. */
static void set_usual_angles(const cJSON *json, tuff_config *c)
{
    const cJSON *now = cJSON_GetObjectItemCaseSensitive(json, "rope_parameters"),
                *before = cJSON_GetObjectItemCaseSensitive(json, "rope_scaling");
    if ((now && !cJSON_IsNull(now)) || (before && !cJSON_IsNull(before))) return;
    c->rope.scaling = TUFF_ROPE_YARN;
    c->rope.factor = 32;
    c->rope.original = 4096;
    c->rope.low = 1;
    c->rope.high = 32;
    c->rope.exact = true;
    c->rope.attention = 1 + 0.1 * log(c->rope.factor);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    tuff_experts_spec *e = &c->experts;
    c->vocab_size = 201088;
    c->hidden_size = c->intermediate_size = 2880;
    c->layers = 36;
    c->heads = c->head_dim = 64;
    c->kv_heads = 8;
    c->max_positions = 131072;
    c->norm_eps = 1e-5;
    c->rope.theta = 150000;
    c->layer.qkv_bias = c->layer.out_bias = true;
    *e = (tuff_experts_spec){.count = 128, .used = 4, .balance = 0.001, .limit = LIMIT, .slope = SLOPE};
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    set_usual_angles(json, c);
    TUFF_TRY(tuff_json_bool(json, "attention_bias", where, &c->layer.qkv_bias));
    c->layer.out_bias = c->layer.qkv_bias;
    c->layer.activation = TUFF_ACT_SILU; /* whatever the config says, as in transformers */
    TUFF_TRY(tuff_decoder_read_window(json, where, 128, c));
    TUFF_TRY(tuff_experts_read_hf(json, where, c));
    TUFF_TRY(tuff_json_number(json, "swiglu_alpha", where, &e->slope));
    TUFF_TRY(tuff_json_number(json, "swiglu_limit", where, &e->limit));
    set(c);
    if (!(e->limit > 0 && e->limit < 1e30))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: swiglu_limit is %g, expected more than 0", where, e->limit);
    return tuff_config_layer_types(json, where, c, every_second, 2);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), &c->layer.window));
    TUFF_TRY(tuff_experts_read_gguf(gguf, c));
    c->experts.limit = LIMIT;
    c->experts.slope = SLOPE;
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "swiglu_limit", k), &c->experts.limit));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "swiglu_alpha", k), &c->experts.slope));
    set(c);
    return tuff_gguf_read_pattern(gguf, c, every_second, 2);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_experts_write_hf(c, "num_local_experts", json);
    tuff_buf_printf(json,
                    "  \"attention_bias\": %s,\n  \"swiglu_alpha\": ", tuff_json_truth(c->layer.qkv_bias));
    tuff_json_real(json, c->experts.slope);
    tuff_buf_text(json, ",\n  \"swiglu_limit\": ");
    tuff_json_real(json, c->experts.limit);
    tuff_buf_text(json, ",\n");
    tuff_decoder_write_window(c, json);
    tuff_config_write_layer_types(c, json);
}

/* What differs from what llama.cpp always does, Tuff writes and reads as well. */
static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    const tuff_experts_spec *e = &c->experts;
    char k[64];
    tuff_decoder_write_gguf(c, gguf);
    tuff_experts_write_gguf(c, gguf);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "expert_feed_forward_length", k), (uint32_t)e->width);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), (uint32_t)c->layer.window);
    tuff_gguf_put_pattern(c, gguf, every_second, 2);
    const bool usual = fabs(e->slope - SLOPE) < 1e-6 && e->limit == LIMIT;
    if (!usual) {
        tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "swiglu_alpha", k), (float)e->slope);
        tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "swiglu_limit", k), (float)e->limit);
        tuff_log(
            TUFF_LOG_WARN,
            "llama.cpp's %s has another limit and slope of its activation than this model: its results will "
            "differ there; in Tuff they do not",
            c->arch->gguf);
    }
}

static const tuff_part parts[] = {
    TUFF_ATTENTION_PARTS,
    {"model.layers.#.self_attn.sinks", "blk.#.attn_sinks.weight", TUFF_PART_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {"model.layers.#.mlp.router", "blk.#.ffn_gate_inp", TUFF_PART_ROUTER},
    {"model.layers.#.mlp.experts.gate_proj", "blk.#.ffn_gate_exps", TUFF_PART_ALTERNATING},
    {"model.layers.#.mlp.experts.up_proj", "blk.#.ffn_up_exps", TUFF_PART_ALTERNATING},
    {"model.layers.#.mlp.experts.down_proj", "blk.#.ffn_down_exps", TUFF_PART_ALTERNATING},
    {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_gguf_alias aliases[] = {{"blk.#.ffn_norm", "blk.#.post_attention_norm"}, {NULL, NULL}};

const tuff_arch tuff_arch_gpt_oss = {TUFF_EXPERTS_COMMON,      .gguf_activation = TUFF_ACT_SILU,
                                     .gguf_shares = true,      .gguf_windows = true,
                                     .says_scaling = true,     .name = "gpt_oss",
                                     .hf_class = "GptOss",     .gguf = "gpt-oss",
                                     .gguf_aliases = aliases,  .read_hf = read_hf,
                                     .read_gguf = read_gguf,   .write_hf = write_hf,
                                     .write_gguf = write_gguf, .parts = parts};
