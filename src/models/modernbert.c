/* ModernBERT (Warner et al. 2024): norms before attention and feed-forward, gated feed-forward layers, rotary
 * positions, and layers that see far only now and then: the others have a window and angles of their own. */
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "models/heads/head.h"

enum { USUAL_PERIOD = 3 }; /* every how many layers one sees far */

static void set_usual(tuff_config *c)
{
    c->norm = TUFF_NORM_LAYER_NO_BIAS;
    c->embed_norm = c->final_norm = true;
    c->layer.fused_qkv = c->layer.gated = c->layer.fused_gate = true;
    c->rope.theta = 160000;
    c->rope_local.theta = 10000;
    c->norm_eps = 1e-5;
    c->tied = true;
}

/* Sizes and switches are read: makes the layers, all of them with the window, the first without its norm. */
static tuff_status make_layers(tuff_config *c, const char *where, int64_t window)
{
    if (window < 1 || window > 1 << 28)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the window of its local layers is %lld tokens to either side, half of "
                         "local_attention; expected 1 to %d",
                         where, (long long)window, 1 << 28);
    if (c->heads > 0 && c->hidden_size % c->heads)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a hidden size of %lld cannot be shared by %lld heads", where,
                         (long long)c->hidden_size, (long long)c->heads);
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0; /* 0 is refused by the check of all sizes */
    c->layer.window = window;
    c->layer.rope = TUFF_ROTARY_LOCAL;
    TUFF_TRY(tuff_config_specs(c, where));
    c->specs[0].no_attn_norm = true;
    return TUFF_OK;
}

static bool every(int64_t layer, int64_t period)
{
    return layer % period == 0;
}

static tuff_status check_period(const char *where, const char *key, int64_t period)
{
    if (period >= 1) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is %lld, expected 1 or more", where, key, (long long)period);
}

/* A list for each layer, else every so-many-th. */
static tuff_status read_layer_types(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t period = USUAL_PERIOD;
    TUFF_TRY(tuff_json_int(json, "global_attn_every_n_layers", where, &period));
    TUFF_TRY(check_period(where, "global_attn_every_n_layers", period));
    return tuff_config_layer_types(json, where, c, every, period);
}

static tuff_status read_rope(const cJSON *json, const char *where, tuff_config *c)
{
    const cJSON *each = cJSON_GetObjectItemCaseSensitive(json, "rope_parameters");
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(json, "rope_scaling");
    if (each && !cJSON_IsNull(each) && !cJSON_IsObject(each))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: rope_parameters must be an object", where);
    TUFF_TRY(tuff_json_number(json, "global_rope_theta", where, &c->rope.theta));
    TUFF_TRY(tuff_json_number(json, "local_rope_theta", where, &c->rope_local.theta));
    TUFF_TRY(
        tuff_rope_read_object(cJSON_GetObjectItemCaseSensitive(each, "full_attention"), where, c, &c->rope));
    TUFF_TRY(tuff_rope_read_object(cJSON_GetObjectItemCaseSensitive(each, "sliding_attention"), where, c,
                                   &c->rope_local));
    TUFF_TRY(tuff_rope_read_object(scaling, where, c, &c->rope));
    TUFF_TRY(tuff_rope_read_object(scaling, where, c, &c->rope_local));
    if (c->rope.theta > 0 && c->rope_local.theta > 0) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: the bases of its rotary embeddings are %g and %g, expected 1 or more", where,
                     c->rope.theta, c->rope_local.theta);
}

static tuff_status set_activation(const char *where, const char *key, tuff_view name, tuff_activation *out)
{
    if (tuff_activation_by_name(name.data, name.size, out)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is \"%.*s\"; Tuff knows %s", where, key,
                     (int)(name.size < 40 ? name.size : 40), name.data, tuff_activation_names());
}

static tuff_status read_activation(const cJSON *json, const char *where, const char *key,
                                   tuff_activation *out)
{
    const char *name = "gelu";
    TUFF_TRY(tuff_json_text(json, key, where, &name));
    return set_activation(where, key, tuff_view_of(name), out);
}

static tuff_status set_pooling(const char *where, const char *key, tuff_view name, tuff_config *c)
{
    c->head_means = tuff_view_is(name, "mean");
    if (c->head_means || tuff_view_is(name, "cls")) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is \"%.*s\"; Tuff knows cls and mean", where, key,
                     (int)(name.size < 40 ? name.size : 40), name.data);
}

static tuff_status read_switches(const cJSON *json, const char *where, tuff_config *c)
{
    bool attention = false, norm = false, classifier = false, decoder = true;
    const char *pooling = "cls";
    TUFF_TRY(tuff_json_bool(json, "attention_bias", where, &attention));
    TUFF_TRY(tuff_json_bool(json, "mlp_bias", where, &c->layer.mlp_bias));
    TUFF_TRY(tuff_json_bool(json, "norm_bias", where, &norm));
    TUFF_TRY(tuff_json_bool(json, "classifier_bias", where, &classifier));
    TUFF_TRY(tuff_json_bool(json, "decoder_bias", where, &decoder));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_json_text(json, "classifier_pooling", where, &pooling));
    c->layer.qkv_bias = c->layer.out_bias = attention;
    if (norm) c->norm = TUFF_NORM_LAYER;
    c->head_no_bias = !classifier;
    c->output_no_bias = !decoder;
    TUFF_TRY(set_pooling(where, "classifier_pooling", tuff_view_of(pooling), c));
    TUFF_TRY(read_activation(json, where, "classifier_activation", &c->head_activation));
    return read_activation(json, where, "hidden_activation", &c->layer.activation);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t width = 128, window = 0;
    c->vocab_size = 50368;
    c->hidden_size = 768;
    c->intermediate_size = 1152;
    c->layers = 22;
    c->heads = 12;
    c->max_positions = 8192;
    set_usual(c);
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "intermediate_size", where, &c->intermediate_size));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_number(json, "norm_eps", where, &c->norm_eps));
    TUFF_TRY(tuff_json_int(json, "local_attention", where, &width));
    window = width / 2;
    TUFF_TRY(tuff_json_int(json, "sliding_window", where, &window));
    TUFF_TRY(read_switches(json, where, c));
    TUFF_TRY(read_rope(json, where, c));
    TUFF_TRY(make_layers(c, where, window));
    return read_layer_types(json, where, c);
}

static bool has(const tuff_gguf *gguf, const char *name)
{
    return tuff_weights_find(gguf->weights, name) != NULL;
}

/* llama.cpp has every how many layers one sees far. */
static tuff_status read_pattern(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    int64_t period = USUAL_PERIOD;
    const tuff_gguf_value *value =
        tuff_gguf_find(gguf, tuff_gguf_key_of(c, "attention.sliding_window_pattern", k));
    if (value && value->type != TUFF_GGUF_ARRAY) TUFF_TRY(tuff_gguf_int(gguf, k, &period));
    TUFF_TRY(check_period(gguf->file, k, period));
    return tuff_gguf_read_pattern(gguf, c, every, period);
}

/* What llama.cpp has one of, and Tuff writes where it is another; its classifiers see the mean. */
static tuff_status read_gguf_names(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    tuff_view hidden = tuff_view_of("gelu"), head = hidden, pooling = tuff_view_of("mean");
    TUFF_TRY(tuff_gguf_text(gguf, tuff_gguf_key_of(c, "classifier_pooling", k), &pooling));
    TUFF_TRY(set_pooling(gguf->file, k, pooling, c));
    TUFF_TRY(tuff_gguf_text(gguf, tuff_gguf_key_of(c, "classifier_activation", k), &head));
    TUFF_TRY(set_activation(gguf->file, k, head, &c->head_activation));
    TUFF_TRY(tuff_gguf_text(gguf, tuff_gguf_key_of(c, "hidden_activation", k), &hidden));
    return set_activation(gguf->file, k, hidden, &c->layer.activation);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    int64_t width = 128;
    set_usual(c);
    TUFF_TRY(tuff_gguf_need_sizes(gguf, c));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "attention.layer_norm_epsilon", k), &c->norm_eps));
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), &width));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.freq_base_swa", k), &c->rope_local.theta));
    c->layer.qkv_bias = c->layer.out_bias = has(gguf, "blk.0.attn_qkv.bias");
    c->layer.mlp_bias = has(gguf, "blk.0.ffn_up.bias");
    if (has(gguf, "output_norm.bias")) c->norm = TUFF_NORM_LAYER;
    c->head_no_bias = !has(gguf, "cls.bias");
    TUFF_TRY(read_gguf_names(gguf, c));
    TUFF_TRY(make_layers(c, gguf->file, width / 2));
    TUFF_TRY(tuff_rope_read_gguf(gguf, c));
    return read_pattern(gguf, c);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(
        json,
        "  \"attention_bias\": %s,\n  \"classifier_activation\": \"%s\",\n  \"classifier_bias\": %s,\n"
        "  \"classifier_pooling\": \"%s\",\n  \"decoder_bias\": %s,\n  \"hidden_activation\": \"%s\",\n"
        "  \"hidden_size\": %lld,\n  \"intermediate_size\": %lld,\n",
        tuff_json_truth(c->layer.qkv_bias), tuff_activation_name(c->head_activation),
        tuff_json_truth(!c->head_no_bias), c->head_means ? "mean" : "cls",
        tuff_json_truth(!c->output_no_bias), tuff_activation_name(c->layer.activation),
        (long long)c->hidden_size, (long long)c->intermediate_size);
    tuff_config_write_layer_types(c, json);
    tuff_buf_printf(
        json,
        "  \"local_attention\": %lld,\n  \"max_position_embeddings\": %lld,\n  \"mlp_bias\": %s,\n"
        "  \"norm_bias\": %s,\n  \"norm_eps\": ",
        (long long)(2 * c->layer.window), (long long)c->max_positions, tuff_json_truth(c->layer.mlp_bias),
        tuff_json_truth(c->norm == TUFF_NORM_LAYER));
    tuff_json_double(json, c->norm_eps);
    tuff_buf_printf(json,
                    ",\n  \"num_attention_heads\": %lld,\n  \"num_hidden_layers\": %lld,\n"
                    "  \"rope_parameters\": {\n    \"full_attention\": ",
                    (long long)c->heads, (long long)c->layers);
    tuff_rope_write_object(c, &c->rope, json);
    tuff_buf_text(json, ",\n    \"sliding_attention\": ");
    tuff_rope_write_object(c, &c->rope_local, json);
    tuff_buf_printf(json, "\n  },\n  \"tie_word_embeddings\": %s,\n", tuff_json_truth(c->tied));
}

static void write_pattern(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    int64_t period = 1;
    while (period < c->layers && c->specs[period].window)
        period++;
    if (!tuff_gguf_put_pattern(c, gguf, every, period))
        tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.sliding_window_pattern", k), (uint32_t)period);
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_gguf_put_sizes(c, gguf);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "attention.layer_norm_epsilon", k), (float)c->norm_eps);
    tuff_gguf_put_bool(gguf, tuff_gguf_key_of(c, "attention.causal", k), false);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k),
                      (uint32_t)(2 * c->layer.window));
    write_pattern(c, gguf);
    if (c->rope.scaling == TUFF_ROPE_PLAIN)
        tuff_gguf_put_text(gguf, tuff_gguf_key_of(c, "rope.scaling.type", k), "none");
    else
        tuff_log(
            TUFF_LOG_WARN,
            "llama.cpp scales the rotary positions of layers with a window as those of the others, which "
            "this model does not: its results will differ there; in Tuff they do not");
    tuff_rope_write_gguf(c, gguf);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "rope.freq_base_swa", k), (float)c->rope_local.theta);
    if (c->layer.activation != TUFF_ACT_GELU)
        tuff_gguf_put_text(gguf, tuff_gguf_key_of(c, "hidden_activation", k),
                           tuff_activation_name(c->layer.activation));
    if (c->head_activation != TUFF_ACT_GELU)
        tuff_gguf_put_text(gguf, tuff_gguf_key_of(c, "classifier_activation", k),
                           tuff_activation_name(c->head_activation));
    if (!c->head_means) tuff_gguf_put_text(gguf, tuff_gguf_key_of(c, "classifier_pooling", k), "cls");
}

static const tuff_part parts[] = {{"model.embeddings.tok_embeddings", "token_embd", TUFF_PART_PLAIN},
                                  {"model.embeddings.norm", "token_embd_norm", TUFF_PART_PLAIN},
                                  {"model.layers.#.attn_norm", "blk.#.attn_norm", TUFF_PART_PLAIN},
                                  {"model.layers.#.attn.Wqkv", "blk.#.attn_qkv", TUFF_PART_PLAIN},
                                  {"model.layers.#.attn.Wo", "blk.#.attn_output", TUFF_PART_PLAIN},
                                  {"model.layers.#.mlp_norm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
                                  {"model.layers.#.mlp.Wi", "blk.#.ffn_up", TUFF_PART_PLAIN},
                                  {"model.layers.#.mlp.Wo", "blk.#.ffn_down", TUFF_PART_PLAIN},
                                  {"model.final_norm", "output_norm", TUFF_PART_PLAIN},
                                  {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part mlm_parts[] = {{"head.dense", "cls", TUFF_PART_UNNAMED},
                                      {"head.norm", "cls.norm", TUFF_PART_UNNAMED},
                                      {"decoder.bias", "output.bias", TUFF_PART_UNNAMED},
                                      {"decoder", "output", TUFF_PART_UNNAMED},
                                      {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part class_parts[] = {{"head.dense", "cls", TUFF_PART_PLAIN},
                                        {"head.norm", "cls.norm", TUFF_PART_PLAIN},
                                        {"classifier", "cls.output", TUFF_PART_PLAIN},
                                        {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part token_parts[] = {{"head.dense", "cls", TUFF_PART_UNNAMED},
                                        {"head.norm", "cls.norm", TUFF_PART_UNNAMED},
                                        {"classifier", "tokens", TUFF_PART_UNNAMED},
                                        {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part span_parts[] = {{"head.dense", "cls", TUFF_PART_UNNAMED},
                                       {"head.norm", "cls.norm", TUFF_PART_UNNAMED},
                                       {"classifier", "spans", TUFF_PART_UNNAMED},
                                       {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_head_spec heads[] = {
    {.head = &tuff_head_mlm, .parts = mlm_parts, .act = TUFF_HEAD_ACT_CONFIG},
    {.head = &tuff_head_classes, .parts = class_parts, .act = TUFF_HEAD_ACT_CONFIG},
    {.head = &tuff_head_tokens, .parts = token_parts, .act = TUFF_HEAD_ACT_CONFIG},
    {.head = &tuff_head_spans, .parts = span_parts, .act = TUFF_HEAD_ACT_CONFIG},
    {.head = NULL}};

const tuff_arch tuff_arch_modernbert = {.name = "modernbert",
                                        .hf_class = "ModernBert",
                                        .gguf = "modern-bert",
                                        .gguf_activation = TUFF_ACT_GELU_TANH,
                                        .gguf_means = true,
                                        .base_prefix = "model.",
                                        .lora_target = "Wqkv,Wo,Wi",
                                        .read_hf = read_hf,
                                        .read_gguf = read_gguf,
                                        .write_hf = write_hf,
                                        .write_gguf = write_gguf,
                                        .parts = parts,
                                        .heads = heads};
