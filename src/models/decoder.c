/* What decoders of Llama's kind share: the sizes in config.json and in GGUF, the modules of their head. */
#include <string.h>

#include "base/memory.h"
#include "models/decoder.h"

/* A size that every model has its own of, unless the family has a usual one. */
static tuff_status need_int(const cJSON *json, const char *name, const char *where, int64_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    if (*out == 0 && (!item || cJSON_IsNull(item)))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is missing", where, name);
    return tuff_json_int(json, name, where, out);
}

void tuff_decoder_set(tuff_config *c)
{
    c->norm = c->arch->layer_norm_key ? TUFF_NORM_LAYER : TUFF_NORM_RMS;
    c->causal = c->final_norm = c->layer.gated = true;
    c->layer.activation = TUFF_ACT_SILU;
    c->layer.rope = TUFF_ROTARY_MAIN;
}

static const char *eps_key(const tuff_config *c)
{
    return c->arch->layer_norm_key ? c->arch->layer_norm_key : "rms_norm_eps";
}

static const char *gguf_eps_key(const tuff_config *c, char text[64])
{
    return tuff_gguf_key_of(
        c, c->arch->layer_norm_key ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
        text);
}

tuff_status tuff_decoder_read_sizes(const cJSON *json, const char *where, tuff_config *c)
{
    const char *activation = tuff_activation_name(c->arch->gguf_activation);
    bool attention_bias = false;
    tuff_decoder_set(c);
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(need_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(need_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(need_int(json, "num_attention_heads", where, &c->heads));
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "num_key_value_heads")) || !c->kv_heads)
        c->kv_heads = c->heads;
    TUFF_TRY(tuff_json_int(json, "num_key_value_heads", where, &c->kv_heads));
    const cJSON *head_dim = cJSON_GetObjectItemCaseSensitive(json, "head_dim");
    if (!c->head_dim || cJSON_IsNull(head_dim)) c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0;
    TUFF_TRY(tuff_json_int(json, "head_dim", where, &c->head_dim));
    TUFF_TRY(need_int(json, "intermediate_size", where, &c->intermediate_size));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_number(json, eps_key(c), where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_json_bool(json, "attention_bias", where, &attention_bias));
    TUFF_TRY(tuff_json_bool(json, "mlp_bias", where, &c->layer.mlp_bias));
    TUFF_TRY(tuff_json_text(json, "hidden_act", where, &activation));
    if (attention_bias) c->layer.qkv_bias = c->layer.out_bias = true;
    if (tuff_activation_by_name(activation, strlen(activation), &c->layer.activation)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: hidden_act is \"%.40s\"; Tuff knows %s", where, activation,
                     tuff_activation_names());
}

tuff_status tuff_decoder_read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    TUFF_TRY(tuff_decoder_read_sizes(json, where, c));
    TUFF_TRY(tuff_rope_read_hf(json, where, c));
    return tuff_rope_check(c, where);
}

tuff_status tuff_decoder_read_window(const cJSON *json, const char *where, int64_t usual, tuff_config *c)
{
    const cJSON *window = cJSON_GetObjectItemCaseSensitive(json, "sliding_window");
    c->layer.window = window ? 0 : usual;
    TUFF_TRY(tuff_json_int(json, "sliding_window", where, &c->layer.window));
    if (c->layer.window || !window || cJSON_IsNull(window)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: sliding_window is 0, expected null or 1 and more", where);
}

void tuff_decoder_write_window(const tuff_config *c, tuff_buf *json)
{
    if (c->layer.window)
        tuff_buf_printf(json, "  \"sliding_window\": %lld,\n", (long long)c->layer.window);
    else
        tuff_buf_text(json, "  \"sliding_window\": null,\n");
}

tuff_status tuff_decoder_share_heads(const char *where, tuff_config *c)
{
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0; /* 0 is refused by the check of all sizes */
    if (c->heads <= 0 || c->hidden_size % c->heads == 0) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: a hidden size of %lld cannot be shared by %lld heads", where,
                     (long long)c->hidden_size, (long long)c->heads);
}

static bool below(int64_t layer, int64_t first)
{
    return layer < first;
}

tuff_status tuff_decoder_read_windows(const cJSON *json, const char *where, tuff_config *c)
{
    bool sliding = false;
    int64_t window = 4096, first = 28;
    TUFF_TRY(tuff_json_bool(json, "use_sliding_window", where, &sliding));
    TUFF_TRY(tuff_json_int(json, "sliding_window", where, &window));
    TUFF_TRY(tuff_json_int(json, "max_window_layers", where, &first));
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(json, "sliding_window");
    if (!sliding || cJSON_IsNull(given)) return TUFF_OK;
    if (window < 1)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: sliding_window is %lld, expected null or 1 and more", where,
                         (long long)window);
    c->layer.window = window;
    return tuff_config_layer_types(json, where, c, below, first);
}

/* Biases come on q, k and v together, or on none of them. */
static tuff_status read_gguf_biases(const tuff_gguf *gguf, tuff_config *c)
{
    static const char *const names[] = {"blk.0.attn_q.bias", "blk.0.attn_k.bias", "blk.0.attn_v.bias"};
    const char *there = NULL, *missing = NULL;
    for (int i = 2; i >= 0; i--)
        *(tuff_weights_find(gguf->weights, names[i]) ? &there : &missing) = names[i];
    if (there && missing)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: it has the tensor %s, but not %s; the models that Tuff runs have biases on q, k and "
            "v together, or on none of them",
            gguf->file, there, missing);
    c->layer.qkv_bias = there != NULL;
    c->layer.out_bias = tuff_weights_find(gguf->weights, "blk.0.attn_output.bias") != NULL;
    c->layer.mlp_bias = tuff_weights_find(gguf->weights, "blk.0.ffn_up.bias") != NULL;
    return TUFF_OK;
}

static bool none(int64_t layer, int64_t period)
{
    (void)layer, (void)period;
    return true;
}

/* Windows of architectures that llama.cpp runs without: where not all layers have them, Tuff writes which do.
 */
static tuff_status read_own_windows(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64], list[64];
    const bool there = tuff_gguf_find(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k)) != NULL;
    const tuff_gguf_value *layers =
        tuff_gguf_find(gguf, tuff_gguf_key_of(c, "attention.sliding_window_pattern", list));
    if (!there) return TUFF_OK;
    TUFF_TRY(tuff_gguf_int(gguf, k, &c->layer.window));
    if (c->layer.window == 0 || c->arch->all_windows) return TUFF_OK;
    if (!layers || layers->type != TUFF_GGUF_ARRAY)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: %s is %lld, but %s does not list the layers that have the window", gguf->file,
                         k, (long long)c->layer.window, list);
    return tuff_gguf_read_pattern(gguf, c, none, 0);
}

tuff_status tuff_decoder_read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    tuff_view activation = tuff_view_of(tuff_activation_name(c->arch->gguf_activation));
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    tuff_decoder_set(c);
    TUFF_TRY(tuff_gguf_need_sizes(gguf, c));
    c->kv_heads = c->heads;
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.head_count_kv", k), &c->kv_heads));
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0;
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.key_length", k), &c->head_dim));
    TUFF_TRY(tuff_gguf_number(gguf, gguf_eps_key(c, k), &c->norm_eps));
    TUFF_TRY(tuff_gguf_text(gguf, tuff_gguf_key_of(c, "hidden_activation", k), &activation)); /* Tuff's own */
    if (!tuff_activation_by_name(activation.data, activation.size, &c->layer.activation))
        return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is \"%.*s\"; Tuff knows %s", gguf->file, k,
                         (int)(activation.size < 40 ? activation.size : 40), activation.data,
                         tuff_activation_names());
    TUFF_TRY(tuff_rope_read_gguf(gguf, c));
    TUFF_TRY(read_gguf_biases(gguf, c));
    return c->arch->gguf_windows ? TUFF_OK : read_own_windows(gguf, c);
}

void tuff_decoder_write_sizes(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(
        json,
        "  \"attention_dropout\": 0.0,\n  \"head_dim\": %lld,\n"
        "  \"hidden_size\": %lld,\n  \"initializer_range\": 0.02,\n  \"intermediate_size\": %lld,\n"
        "  \"max_position_embeddings\": %lld,\n  \"num_attention_heads\": %lld,\n"
        "  \"num_hidden_layers\": %lld,\n  \"num_key_value_heads\": %lld,\n  \"%s\": ",
        (long long)c->head_dim, (long long)c->hidden_size, (long long)c->intermediate_size,
        (long long)c->max_positions, (long long)c->heads, (long long)c->layers, (long long)c->kv_heads,
        eps_key(c));
    tuff_json_real(json, c->norm_eps);
    tuff_buf_printf(json, ",\n  \"tie_word_embeddings\": %s,\n", tuff_json_truth(c->tied));
}

void tuff_decoder_write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_sizes(c, json);
    tuff_buf_printf(json, "  \"hidden_act\": \"%s\",\n", tuff_activation_name(c->layer.activation));
    if (c->rope.scaling != TUFF_ROPE_PLAIN || c->rotary_dims || c->arch->says_scaling) {
        tuff_buf_text(json, "  \"rope_parameters\": ");
        tuff_rope_write_object(c, &c->rope, json);
    } else {
        tuff_buf_text(json, "  \"rope_theta\": ");
        tuff_json_real(json, c->rope.theta);
    }
    tuff_buf_text(json, ",\n");
}

/* There may be one that no layer has. */
static bool has_window(const tuff_config *c)
{
    for (int i = 0; i < (int)c->layers; i++)
        if (tuff_config_layer(c, i)->window) return true;
    return false;
}

void tuff_decoder_write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_gguf_put_sizes(c, gguf);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.head_count_kv", k), (uint32_t)c->kv_heads);
    tuff_gguf_put_f32(gguf, gguf_eps_key(c, k), (float)c->norm_eps);
    tuff_rope_write_gguf(c, gguf);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.key_length", k), (uint32_t)c->head_dim);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.value_length", k), (uint32_t)c->head_dim);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "vocab_size", k), (uint32_t)c->vocab_size);
    if (c->layer.activation != c->arch->gguf_activation)
        tuff_gguf_put_text(gguf, tuff_gguf_key_of(c, "hidden_activation", k),
                           tuff_activation_name(c->layer.activation));
    if (!has_window(c) || c->arch->gguf_windows) return;
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), (uint32_t)c->layer.window);
    if (c->specs && !c->arch->all_windows) tuff_gguf_put_pattern(c, gguf, none, 0);
}

void tuff_decoder_write_windows(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(json, "  \"use_sliding_window\": %s,\n", tuff_json_truth(c->layer.window));
    if (!c->layer.window) return;
    tuff_buf_printf(json, "  \"sliding_window\": %lld,\n", (long long)c->layer.window);
    tuff_config_write_layer_types(c, json);
}

static const tuff_part lm_parts[] = {{"lm_head", "output", TUFF_PART_PLAIN}, {NULL, NULL, TUFF_PART_PLAIN}};
const tuff_part tuff_decoder_class_parts[] = {{"score", "cls.output", TUFF_PART_PLAIN},
                                              {NULL, NULL, TUFF_PART_PLAIN}};
const tuff_head_spec tuff_decoder_heads[] = {
    {.head = &tuff_head_lm, .parts = lm_parts},
    {.head = &tuff_head_classes, .parts = tuff_decoder_class_parts, .last = true},
    {.head = NULL}};
