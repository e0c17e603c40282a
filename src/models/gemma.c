/* Gemma (Gemma Team 2024, 2025): Llama's parts with norms of 1 + weight, rows of the table times the root of
 * the hidden size, GELU in the gated layer. Gemma 2 bounds scores and logits and has norms on both sides of
 * each part, and a window in every other layer; Gemma 3 has norms over query and key heads, and other angles
 * where a layer has the window. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "models/decoder.h"

static const char usual_activation[] = "gelu_pytorch_tanh";

static bool is(const tuff_config *c, const tuff_arch *arch)
{
    return c->arch == arch;
}

static void set_gemma(tuff_config *c)
{
    c->norm_plus_one = true;
    c->embed_scale = sqrt((double)c->hidden_size);
    c->layer.branch_norms = !is(c, &tuff_arch_gemma);
    if (is(c, &tuff_arch_gemma3_text)) c->layer.qk_norm = TUFF_QK_NORM_HEADS;
}

/* In Gemma 2 every second layer sees far, in Gemma 3 every sixth. */
static bool every_last(int64_t layer, int64_t period)
{
    return (layer + 1) % period == 0;
}

static tuff_status check_period(const char *where, int64_t period)
{
    if (period >= 1) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: sliding_window_pattern is %lld, expected 1 or more", where,
                     (long long)period);
}

/* Gemma 1 has the older key, in which "gelu" means the tanh form, as Google's files say it; its newer one,
 * hidden_activation, is not read by transformers any more. */
static tuff_status read_activation(const cJSON *json, const char *where, tuff_config *c)
{
    const char *key = is(c, &tuff_arch_gemma) ? "hidden_act" : "hidden_activation", *name = usual_activation;
    TUFF_TRY(tuff_json_text(json, key, where, &name));
    if (is(c, &tuff_arch_gemma) && strcmp(name, "gelu") == 0) name = usual_activation;
    if (tuff_activation_by_name(name, strlen(name), &c->layer.activation)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is \"%.40s\"; Tuff knows %s", where, key, name,
                     tuff_activation_names());
}

/* null: there is none, whatever is usual. */
static tuff_status read_bound(const cJSON *json, const char *key, const char *where, double *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (cJSON_IsNull(item)) *value = 0;
    TUFF_TRY(tuff_json_number(json, key, where, value));
    if (*value > 0 || !cJSON_IsNumber(item)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is %g, expected null or more than 0", where, key, *value);
}

static tuff_status read_bounds(const cJSON *json, const char *where, tuff_config *c)
{
    double scalar = 256;
    TUFF_TRY(tuff_json_number(json, "query_pre_attn_scalar", where, &scalar));
    if (!(scalar > 0 && scalar < 1e9))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: query_pre_attn_scalar is %g, expected more than 0", where,
                         scalar);
    c->attn_scale = 1 / sqrt(scalar);
    if (is(c, &tuff_arch_gemma3_text))
        c->attn_softcap = 0; /* transformers does not use what the file says */
    else
        TUFF_TRY(read_bound(json, "attn_logit_softcapping", where, &c->attn_softcap));
    return read_bound(json, "final_logit_softcapping", where, &c->logit_softcap);
}

/* The members of `more` over those of an object: both are one to transformers. */
static tuff_status read_both(const cJSON *object, const cJSON *more, const char *where, tuff_config *c,
                             tuff_rope_spec *spec)
{
    const cJSON *item;
    if (!cJSON_IsObject(more)) return tuff_rope_read_object(object, where, c, spec);
    cJSON *both = cJSON_IsObject(object) ? cJSON_Duplicate(object, true) : cJSON_CreateObject();
    bool ok = both != NULL;
    cJSON_ArrayForEach(item, more)
    {
        cJSON *copy = ok ? cJSON_Duplicate(item, true) : NULL;
        if (ok) cJSON_DeleteItemFromObjectCaseSensitive(both, item->string);
        ok = ok && copy && cJSON_AddItemToObject(both, item->string, copy);
        if (!ok) cJSON_Delete(copy);
    }
    tuff_status status = ok ? tuff_rope_read_object(both, where, c, spec) : tuff_fail_memory("config.json");
    cJSON_Delete(both);
    return status;
}

/* Gemma 3 has two tables: what rope_scaling says is of layers that see far. */
static tuff_status read_two_tables(const cJSON *json, const char *where, tuff_config *c)
{
    const cJSON *each = cJSON_GetObjectItemCaseSensitive(json, "rope_parameters");
    const cJSON *scaling = cJSON_GetObjectItemCaseSensitive(json, "rope_scaling");
    if (each && !cJSON_IsNull(each) && !cJSON_IsObject(each))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: rope_parameters must be an object", where);
    if (scaling && !cJSON_IsNull(scaling) && !cJSON_IsObject(scaling))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: rope_scaling must be an object", where);
    c->rope = (tuff_rope_spec){.theta = 1e6};
    c->rope_local = (tuff_rope_spec){.theta = 1e4};
    TUFF_TRY(tuff_json_number(json, "rope_theta", where, &c->rope.theta));
    TUFF_TRY(tuff_json_number(json, "rope_local_base_freq", where, &c->rope_local.theta));
    TUFF_TRY(
        read_both(cJSON_GetObjectItemCaseSensitive(each, "full_attention"), scaling, where, c, &c->rope));
    TUFF_TRY(tuff_rope_read_object(cJSON_GetObjectItemCaseSensitive(each, "sliding_attention"), where, c,
                                   &c->rope_local));
    if (c->rope_local.theta > 0) return tuff_rope_check(c, where);
    return tuff_fail(TUFF_BAD_FORMAT, "%s: rope_local_base_freq is %g, expected 1 or more", where,
                     c->rope_local.theta);
}

static tuff_status read_sizes(const cJSON *json, const char *where, tuff_config *c)
{
    c->norm_eps = 1e-6;
    c->tied = true;
    c->head_dim = 256;
    TUFF_TRY(tuff_decoder_read_sizes(json, where, c));
    set_gemma(c);
    c->layer.mlp_bias = false; /* whatever the config says, as in transformers */
    return read_activation(json, where, c);
}

static tuff_status read_rope(const cJSON *json, const char *where, tuff_config *c)
{
    c->rope.theta = 10000;
    TUFF_TRY(tuff_rope_read_hf(json, where, c));
    return tuff_rope_check(c, where);
}

static tuff_status read_gemma(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 256000;
    c->hidden_size = 3072;
    c->intermediate_size = 24576;
    c->layers = 28;
    c->heads = c->kv_heads = 16;
    c->max_positions = 8192;
    TUFF_TRY(read_sizes(json, where, c));
    return read_rope(json, where, c);
}

static tuff_status read_gemma2(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 256000;
    c->hidden_size = 2304;
    c->intermediate_size = 9216;
    c->layers = 26;
    c->heads = 8;
    c->kv_heads = 4;
    c->max_positions = 8192;
    c->attn_softcap = 50;
    c->logit_softcap = 30;
    TUFF_TRY(read_sizes(json, where, c));
    TUFF_TRY(read_rope(json, where, c));
    TUFF_TRY(read_bounds(json, where, c));
    c->layer.window = 4096;
    TUFF_TRY(tuff_json_int(json, "sliding_window", where, &c->layer.window));
    return tuff_config_layer_types(json, where, c, every_last, 2);
}

static tuff_status read_gemma3(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t period = 6;
    c->vocab_size = 262208;
    c->hidden_size = 2304;
    c->intermediate_size = 9216;
    c->layers = 26;
    c->heads = 8;
    c->kv_heads = 4;
    c->max_positions = 131072;
    TUFF_TRY(read_sizes(json, where, c));
    TUFF_TRY(read_two_tables(json, where, c));
    TUFF_TRY(read_bounds(json, where, c));
    c->layer.window = 4096;
    TUFF_TRY(tuff_json_int(json, "sliding_window", where, &c->layer.window));
    TUFF_TRY(tuff_json_int(json, "sliding_window_pattern", where, &period));
    TUFF_TRY(check_period(where, period));
    return tuff_config_layer_types(json, where, c, every_last, period);
}

/* The scale of attention that llama.cpp takes from the sizes: of those with 46 (Gemma 2) or 62 (Gemma 3)
 * layers from the hidden size, of all others from the heads'. */
static double usual_scale(const tuff_config *c)
{
    const bool largest = c->layers == (is(c, &tuff_arch_gemma3_text) ? 62 : 46);
    const int64_t size = largest && c->heads > 0 ? c->hidden_size / c->heads : c->head_dim;
    return size > 0 ? 1 / sqrt((double)size) : 0; /* no size is refused with all of them */
}

/* llama.cpp knows the factor on scores and the layers with a window by the architecture; what differs from
 * that Tuff writes and reads as well. */
static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    c->layer.activation = TUFF_ACT_GELU_TANH;
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    set_gemma(c);
    if (is(c, &tuff_arch_gemma)) return TUFF_OK;
    bool third = is(c, &tuff_arch_gemma3_text);
    c->attn_scale = usual_scale(c);
    c->layer.window = third ? 1024 : 4096;
    if (!third) {
        c->attn_softcap = 50;
        c->logit_softcap = 30;
    }
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "attn_logit_softcapping", k), &c->attn_softcap));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "final_logit_softcapping", k), &c->logit_softcap));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "attention.scale", k), &c->attn_scale));
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), &c->layer.window));
    if (third) c->rope_local.theta = 10000;
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "rope.freq_base_swa", k), &c->rope_local.theta));
    return tuff_gguf_read_pattern(gguf, c, every_last, third ? 6 : 2);
}

static void write_number(tuff_buf *json, const char *key, double value)
{
    tuff_buf_printf(json, "  \"%s\": ", key);
    tuff_json_real(json, value);
    tuff_buf_text(json, ",\n");
}

static void write_bound(tuff_buf *json, const char *key, double value)
{
    if (value != 0)
        write_number(json, key, value);
    else
        tuff_buf_printf(json, "  \"%s\": null,\n", key);
}

/* The name that is read as the activation that it is. */
static const char *activation_name(const tuff_config *c)
{
    if (c->layer.activation == TUFF_ACT_GELU_TANH) return usual_activation;
    if (c->layer.activation == TUFF_ACT_GELU && is(c, &tuff_arch_gemma)) return "gelu_python";
    return tuff_activation_name(c->layer.activation);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    bool third = is(c, &tuff_arch_gemma3_text);
    tuff_decoder_write_sizes(c, json);
    tuff_buf_printf(json, "  \"attention_bias\": %s,\n  \"%s\": \"%s\",\n",
                    tuff_json_truth(c->layer.qkv_bias),
                    is(c, &tuff_arch_gemma) ? "hidden_act" : "hidden_activation", activation_name(c));
    tuff_buf_text(json, third ? "  \"rope_parameters\": {\"full_attention\": " : "  \"rope_parameters\": ");
    tuff_rope_write_object(c, &c->rope, json);
    if (third) tuff_buf_text(json, ", \"sliding_attention\": ");
    if (third) tuff_rope_write_object(c, &c->rope_local, json);
    tuff_buf_text(json, third ? "},\n" : ",\n");
    if (is(c, &tuff_arch_gemma)) return;
    double scale = c->attn_scale != 0 ? c->attn_scale : 1 / sqrt((double)c->head_dim);
    /* transformers takes whole numbers only */
    tuff_buf_printf(json, "  \"query_pre_attn_scalar\": %lld,\n", llround(1 / (scale * scale)));
    write_bound(json, "attn_logit_softcapping", c->attn_softcap);
    write_bound(json, "final_logit_softcapping", c->logit_softcap);
    tuff_buf_printf(json, "  \"sliding_window\": %lld,\n", (long long)c->layer.window);
    tuff_config_write_layer_types(c, json);
}

static void warn_scale(const tuff_config *c)
{
    const double theirs = usual_scale(c),
                 ours = c->attn_scale != 0 ? c->attn_scale : 1 / sqrt((double)c->head_dim);
    if (fabs(ours - theirs) > 1e-6 * theirs)
        tuff_log(
            TUFF_LOG_WARN,
            "llama.cpp's %s scales attention by %.6g, this model by %.6g (query_pre_attn_scalar): its results will "
            "differ there; in Tuff they do not",
            c->arch->gguf, theirs, ours);
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_decoder_write_gguf(c, gguf);
    if (is(c, &tuff_arch_gemma)) return;
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "attn_logit_softcapping", k), (float)c->attn_softcap);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "final_logit_softcapping", k), (float)c->logit_softcap);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), (uint32_t)c->layer.window);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "attention.scale", k), (float)c->attn_scale);
    if (c->rope_local.theta != 0)
        tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "rope.freq_base_swa", k), (float)c->rope_local.theta);
    tuff_gguf_put_pattern(c, gguf, every_last, c->rope_local.theta != 0 ? 6 : 2);
    warn_scale(c);
}

static const tuff_part parts[] = {
    TUFF_DECODER_PARTS,
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

static const tuff_part more_parts[] = {
    TUFF_DECODER_PARTS,
    {"model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", TUFF_PART_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.post_attention_norm", TUFF_PART_PLAIN},
    {"model.layers.#.pre_feedforward_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {"model.layers.#.post_feedforward_layernorm", "blk.#.post_ffw_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

#define GEMMA_COMMON                                                                         \
    TUFF_DECODER_COMMON, .gguf_windows = true, .read_gguf = read_gguf, .write_hf = write_hf, \
                         .write_gguf = write_gguf

const tuff_arch tuff_arch_gemma = {GEMMA_COMMON,    .gguf_activation = TUFF_ACT_GELU_TANH,
                                   .name = "gemma", .hf_class = "Gemma",
                                   .gguf = "gemma", .read_hf = read_gemma,
                                   .parts = parts};
const tuff_arch tuff_arch_gemma2 = {GEMMA_COMMON,       .gguf_activation = TUFF_ACT_GELU_TANH,
                                    .name = "gemma2",   .hf_class = "Gemma2",
                                    .gguf = "gemma2",   .read_hf = read_gemma2,
                                    .parts = more_parts};
const tuff_arch tuff_arch_gemma3_text = {GEMMA_COMMON,          .gguf_activation = TUFF_ACT_GELU_TANH,
                                         .name = "gemma3_text", .hf_class = "Gemma3",
                                         .gguf = "gemma3",      .read_hf = read_gemma3,
                                         .parts = more_parts};
