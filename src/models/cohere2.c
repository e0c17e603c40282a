/* Cohere 2 (Command R7B, Command A; Cohere 2024): LayerNorm without bias, attention and feed-forward side by
 * side behind one norm, neighbours in a head that rotate together; layers with a window rotate, those that
 * see far do not. */
#include "models/decoder.h"

enum { USUAL_PERIOD = 4 };

static bool every_last(int64_t layer, int64_t period)
{
    return (layer + 1) % period == 0;
}

static void set_usual(tuff_config *c)
{
    c->norm = TUFF_NORM_LAYER_NO_BIAS;
    c->layer.parallel = c->layer.no_ffn_norm = true;
}

/* Which layers have the window is known. */
static tuff_status finish(tuff_config *c, const char *where)
{
    for (int64_t i = 0; i < c->layers; i++) {
        c->specs[i].rope_pairs = c->specs[i].window != 0;
        c->specs[i].rope = c->specs[i].window ? TUFF_ROTARY_MAIN : TUFF_ROTARY_NONE;
    }
    if (!(c->logit_scale > 0 && c->logit_scale < 1e9))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: logit_scale is %g, expected more than 0", where,
                         c->logit_scale);
    return TUFF_OK;
}

static tuff_status check_window(const tuff_config *c, const char *where, int64_t period)
{
    if (c->layer.window >= 1 && period >= 1) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: sliding_window is %lld, of all but every %lld-th layer; expected 1 or more", where,
                     (long long)c->layer.window, (long long)period);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t period = USUAL_PERIOD;
    c->vocab_size = 256000;
    c->hidden_size = 8192;
    c->intermediate_size = 22528;
    c->layers = 40;
    c->heads = 64;
    c->max_positions = 8192;
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    c->tied = true;
    c->logit_scale = 0.0625;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    set_usual(c);
    c->layer.mlp_bias = false; /* whatever the config says, as in transformers */
    TUFF_TRY(tuff_json_number(json, "logit_scale", where, &c->logit_scale));
    TUFF_TRY(tuff_json_int(json, "sliding_window_pattern", where, &period));
    TUFF_TRY(tuff_decoder_read_window(json, where, 4096, c));
    TUFF_TRY(check_window(c, where, period));
    TUFF_TRY(tuff_config_layer_types(json, where, c, every_last, period));
    return finish(c, where);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    c->logit_scale = 1;
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    set_usual(c);
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "logit_scale", k), &c->logit_scale));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), &c->layer.window));
    TUFF_TRY(check_window(c, gguf->file, USUAL_PERIOD));
    TUFF_TRY(tuff_gguf_read_pattern(gguf, c, every_last, USUAL_PERIOD));
    return finish(c, gguf->file);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_buf_printf(json,
                    "  \"attention_bias\": %s,\n  \"logit_scale\": ", tuff_json_truth(c->layer.qkv_bias));
    tuff_json_real(json, c->logit_scale);
    tuff_buf_text(json, ",\n");
    tuff_decoder_write_window(c, json);
    tuff_config_write_layer_types(c, json);
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_decoder_write_gguf(c, gguf);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "logit_scale", k), (float)c->logit_scale);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), (uint32_t)c->layer.window);
    tuff_gguf_put_pattern(c, gguf, every_last, USUAL_PERIOD);
}

static const tuff_part parts[] = {TUFF_DECODER_PARTS, {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_cohere2 = {TUFF_DECODER_COMMON,      .gguf_activation = TUFF_ACT_SILU,
                                     .name = "cohere2",        .hf_class = "Cohere2",
                                     .gguf = "cohere2",        .layer_norm_key = "layer_norm_eps",
                                     .gguf_windows = true,     .read_hf = read_hf,
                                     .read_gguf = read_gguf,   .write_hf = write_hf,
                                     .write_gguf = write_gguf, .parts = parts};
