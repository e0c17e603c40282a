/* The Llama family (Touvron et al. 2023): RMSNorm, rotary positions, grouped key/value heads, SwiGLU. Llama
 * and SmolLM, Mistral (sliding window), Qwen2 (biased q, k and v). */
#include <stdio.h>
#include <string.h>

#include "models/heads/head.h"

/* A Qwen2 whose GGUF says "llama", with heads interleaved as that wants. */
static const tuff_arch qwen2_as_llama;

/* A size that every model of the family has its own of. */
static tuff_status need_int(const cJSON *json, const char *name, const char *where, int64_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    if (!item || cJSON_IsNull(item)) return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is missing", where, name);
    return tuff_json_int(json, name, where, out);
}

/* What all of the family have. */
static void set_layers(tuff_config *c)
{
    c->norm = TUFF_NORM_RMS;
    c->causal = c->final_norm = c->layer.gated = true;
    c->layer.activation = TUFF_ACT_SILU;
    c->layer.rope = TUFF_ROTARY_MAIN;
}

static tuff_status read_common(const cJSON *json, const char *where, tuff_config *c)
{
    const char *activation = "silu";
    bool attention_bias = false;
    set_layers(c);
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(need_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(need_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(need_int(json, "num_attention_heads", where, &c->heads));
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "num_key_value_heads")) || !c->kv_heads)
        c->kv_heads = c->heads;
    TUFF_TRY(tuff_json_int(json, "num_key_value_heads", where, &c->kv_heads));
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0;
    TUFF_TRY(tuff_json_int(json, "head_dim", where, &c->head_dim));
    TUFF_TRY(need_int(json, "intermediate_size", where, &c->intermediate_size));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_number(json, "rms_norm_eps", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_json_bool(json, "attention_bias", where, &attention_bias));
    TUFF_TRY(tuff_json_bool(json, "mlp_bias", where, &c->layer.mlp_bias));
    TUFF_TRY(tuff_json_text(json, "hidden_act", where, &activation));
    if (attention_bias) c->layer.qkv_bias = c->layer.out_bias = true;
    if (strcmp(activation, "silu") != 0 && strcmp(activation, "swish") != 0)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: hidden_act is \"%s\"; Tuff knows silu", where, activation);
    TUFF_TRY(tuff_rope_read_hf(json, where, c));
    return tuff_rope_check(c, where);
}

static tuff_status read_llama(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 32000;
    c->max_positions = 2048;
    c->norm_eps = 1e-6;
    c->rope_theta = 10000;
    return read_common(json, where, c);
}

/* A key that is absent means what transformers' class takes it to mean; null means none. */
static tuff_status read_mistral(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 32000;
    c->max_positions = 131072;
    c->norm_eps = 1e-6;
    c->rope_theta = 10000;
    c->kv_heads = 8;
    TUFF_TRY(read_common(json, where, c));
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias =
        false; /* whatever the config says, as in transformers */
    const cJSON *window = cJSON_GetObjectItemCaseSensitive(json, "sliding_window");
    c->layer.window = window ? 0 : 4096;
    TUFF_TRY(tuff_json_int(json, "sliding_window", where, &c->layer.window));
    if (c->layer.window || !window || cJSON_IsNull(window)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: sliding_window is 0, expected null or 1 and more", where);
}

/* Qwen2's layers from max_window_layers on have the window, when it is used at all. */
static tuff_status check_qwen2_window(const cJSON *json, const char *where, const tuff_config *c)
{
    bool sliding = false;
    int64_t window = 4096, full = 28;
    TUFF_TRY(tuff_json_bool(json, "use_sliding_window", where, &sliding));
    TUFF_TRY(tuff_json_int(json, "sliding_window", where, &window));
    TUFF_TRY(tuff_json_int(json, "max_window_layers", where, &full));
    /* layer_types, where it is there, decides instead: it is read for all architectures alike */
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(json, "layer_types");
    if (!sliding || full >= c->layers || (types && !cJSON_IsNull(types))) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED,
                     "%s: use_sliding_window is true, from layer %lld of %lld on; Tuff runs Qwen2 with full "
                     "attention only",
                     where, (long long)full, (long long)c->layers);
}

static tuff_status read_qwen2(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 151936;
    c->max_positions = 32768;
    c->norm_eps = 1e-6;
    c->rope_theta = 10000;
    c->kv_heads = 32;
    TUFF_TRY(read_common(json, where, c));
    c->layer.qkv_bias = true; /* and no other, whatever the config says, as in transformers */
    c->layer.out_bias = c->layer.mlp_bias = false;
    return check_qwen2_window(json, where, c);
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

/* What GGUF calls "llama" is whichever of Hugging Face's architectures has these biases and a window or none:
 * llama's attention_bias is of q, k, v and the output together, qwen2's of q, k and v, mistral has none. */
static tuff_status choose_hf_arch(tuff_config *c, const char *where)
{
    bool qkv = c->layer.qkv_bias, out = c->layer.out_bias, mlp = c->layer.mlp_bias, fits = true;
    if (c->arch == &tuff_arch_qwen2) {
        c->layer.qkv_bias = true; /* a file that lacks them is refused when its tensors are looked for */
        fits = !out && !mlp;
    } else if (c->layer.window) {
        c->arch = &tuff_arch_mistral;
        fits = !qkv && !out && !mlp;
    } else if (qkv != out) {
        c->arch = &qwen2_as_llama;
        fits = qkv && !mlp;
    }
    if (fits) return TUFF_OK;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s: it has biases on q, k and v: %s, on the attention's output: %s, on the feed-forward "
        "layers: %s, a sliding window: %s; no architecture of Hugging Face has these together",
        where, qkv ? "yes" : "no", out ? "yes" : "no", mlp ? "yes" : "no", c->layer.window ? "yes" : "no");
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    c->norm_eps = 1e-5;
    c->rope_theta = 10000;
    set_layers(c);
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "context_length", k), &c->max_positions));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "embedding_length", k), &c->hidden_size));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "block_count", k), &c->layers));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "attention.head_count", k), &c->heads));
    c->kv_heads = c->heads;
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.head_count_kv", k), &c->kv_heads));
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0;
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.key_length", k), &c->head_dim));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "feed_forward_length", k), &c->intermediate_size));
    TUFF_TRY(
        tuff_gguf_number(gguf, tuff_gguf_key_of(c, "attention.layer_norm_rms_epsilon", k), &c->norm_eps));
    TUFF_TRY(tuff_rope_read_gguf(gguf, c));
    TUFF_TRY(read_gguf_biases(gguf, c));
    if (c->arch == &tuff_arch_llama)
        TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k), &c->layer.window));
    return choose_hf_arch(c, gguf->file);
}

static void write_common(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(
        json,
        "  \"attention_dropout\": 0.0,\n  \"head_dim\": %lld,\n  \"hidden_act\": \"silu\",\n"
        "  \"hidden_size\": %lld,\n  \"initializer_range\": 0.02,\n  \"intermediate_size\": %lld,\n"
        "  \"max_position_embeddings\": %lld,\n  \"num_attention_heads\": %lld,\n"
        "  \"num_hidden_layers\": %lld,\n  \"num_key_value_heads\": %lld,\n  \"rms_norm_eps\": ",
        (long long)c->head_dim, (long long)c->hidden_size, (long long)c->intermediate_size,
        (long long)c->max_positions, (long long)c->heads, (long long)c->layers, (long long)c->kv_heads);
    tuff_json_double(json, c->norm_eps);
    tuff_buf_text(json, ",\n  \"rope_theta\": ");
    tuff_json_double(json, c->rope_theta);
    tuff_buf_printf(json, ",\n  \"tie_word_embeddings\": %s,\n", c->tied ? "true" : "false");
}

static void write_llama(const tuff_config *c, tuff_buf *json)
{
    write_common(c, json);
    tuff_buf_printf(json, "  \"attention_bias\": %s,\n  \"mlp_bias\": %s,\n  \"rope_scaling\": null,\n",
                    c->layer.qkv_bias ? "true" : "false", c->layer.mlp_bias ? "true" : "false");
}

static void write_mistral(const tuff_config *c, tuff_buf *json)
{
    write_common(c, json);
    if (c->layer.window)
        tuff_buf_printf(json, "  \"sliding_window\": %lld,\n", (long long)c->layer.window);
    else
        tuff_buf_text(json, "  \"sliding_window\": null,\n");
}

static void write_qwen2(const tuff_config *c, tuff_buf *json)
{
    write_common(c, json);
    tuff_buf_text(json, "  \"use_sliding_window\": false,\n");
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "context_length", k), (uint32_t)c->max_positions);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "embedding_length", k), (uint32_t)c->hidden_size);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "block_count", k), (uint32_t)c->layers);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "feed_forward_length", k), (uint32_t)c->intermediate_size);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.head_count", k), (uint32_t)c->heads);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.head_count_kv", k), (uint32_t)c->kv_heads);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "attention.layer_norm_rms_epsilon", k), (float)c->norm_eps);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "rope.freq_base", k), (float)c->rope_theta);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "rope.dimension_count", k), (uint32_t)c->head_dim);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.key_length", k), (uint32_t)c->head_dim);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.value_length", k), (uint32_t)c->head_dim);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "vocab_size", k), (uint32_t)c->vocab_size);
    if (c->layer.window)
        tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "attention.sliding_window", k),
                          (uint32_t)c->layer.window);
}

static const tuff_part parts[] = {
    {"model.embed_tokens", "token_embd", TUFF_PART_PLAIN},
    {"model.layers.#.input_layernorm", "blk.#.attn_norm", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", TUFF_PART_Q},
    {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", TUFF_PART_K},
    {"model.layers.#.self_attn.v_proj", "blk.#.attn_v", TUFF_PART_PLAIN},
    {"model.layers.#.self_attn.o_proj", "blk.#.attn_output", TUFF_PART_PLAIN},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {"model.layers.#.mlp.gate_proj", "blk.#.ffn_gate", TUFF_PART_PLAIN},
    {"model.layers.#.mlp.up_proj", "blk.#.ffn_up", TUFF_PART_PLAIN},
    {"model.layers.#.mlp.down_proj", "blk.#.ffn_down", TUFF_PART_PLAIN},
    {"model.norm", "output_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

static const tuff_part lm_parts[] = {{"lm_head", "output", TUFF_PART_PLAIN}, {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part class_parts[] = {{"score", "cls.output", TUFF_PART_PLAIN},
                                        {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_head_spec heads[] = {{.head = &tuff_head_lm, .parts = lm_parts},
                                       {.head = &tuff_head_classes, .parts = class_parts, .last = true},
                                       {.head = NULL}};

#define LLAMA_COMMON                                                                                  \
    .decoder = true, .gguf_activation = TUFF_ACT_SILU, .base_prefix = "model.",                       \
    .lora_target = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj", .read_gguf = read_gguf, \
    .write_gguf = write_gguf, .parts = parts, .heads = heads

const tuff_arch tuff_arch_llama = {.name = "llama",
                                   .hf_class = "Llama",
                                   .gguf = "llama",
                                   .gguf_interleaves = true,
                                   .read_hf = read_llama,
                                   .write_hf = write_llama,
                                   LLAMA_COMMON};
const tuff_arch tuff_arch_mistral = {.name = "mistral",
                                     .hf_class = "Mistral",
                                     .gguf = "llama",
                                     .gguf_interleaves = true,
                                     .read_hf = read_mistral,
                                     .write_hf = write_mistral,
                                     LLAMA_COMMON};
const tuff_arch tuff_arch_qwen2 = {.name = "qwen2",
                                   .hf_class = "Qwen2",
                                   .gguf = "qwen2",
                                   .read_hf = read_qwen2,
                                   .write_hf = write_qwen2,
                                   LLAMA_COMMON};
static const tuff_arch qwen2_as_llama = {.name = "qwen2",
                                         .hf_class = "Qwen2",
                                         .gguf = "llama",
                                         .gguf_interleaves = true,
                                         .read_hf = read_qwen2,
                                         .write_hf = write_qwen2,
                                         LLAMA_COMMON};
