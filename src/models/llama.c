/* The Llama family (Touvron et al. 2023): RMSNorm, rotary positions, grouped key/value heads, SwiGLU. Llama
 * and SmolLM, Mistral (sliding window), Qwen2 (biased q, k and v). */
#include "models/decoder.h"

/* A Qwen2 whose GGUF says "llama", with heads interleaved as that wants. */
static const tuff_arch qwen2_as_llama;

static tuff_status read_llama(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 32000;
    c->max_positions = 2048;
    c->norm_eps = 1e-6;
    c->rope.theta = 10000;
    return tuff_decoder_read_hf(json, where, c);
}

/* A key that is absent means what transformers' class takes it to mean; null means none. */
static tuff_status read_mistral(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 32000;
    c->max_positions = 131072;
    c->norm_eps = 1e-6;
    c->rope.theta = 10000;
    c->kv_heads = 8;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias =
        false; /* whatever the config says, as in transformers */
    return tuff_decoder_read_window(json, where, 4096, c);
}

static tuff_status read_qwen2(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 151936;
    c->max_positions = 32768;
    c->norm_eps = 1e-6;
    c->rope.theta = 10000;
    c->kv_heads = 32;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    c->layer.qkv_bias = true; /* and no other, whatever the config says, as in transformers */
    c->layer.out_bias = c->layer.mlp_bias = false;
    return tuff_decoder_read_windows(json, where, c);
}

/* What GGUF calls "llama" is whichever of Hugging Face's architectures has these biases and a window or none:
 * llama's attention_bias is of q, k, v and the output together, qwen2's of q, k and v, mistral has none. */
static tuff_status choose_hf_arch(tuff_config *c, const char *where)
{
    bool qkv = c->layer.qkv_bias, out = c->layer.out_bias, mlp = c->layer.mlp_bias, fits = true;
    if (c->experts.count) {
        fits = !qkv && !out && !mlp;
    } else if (c->arch == &tuff_arch_qwen2) {
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
        "layers: %s, a sliding window: %s, experts: %s; no architecture of Hugging Face has these together",
        where, qkv ? "yes" : "no", out ? "yes" : "no", mlp ? "yes" : "no", c->layer.window ? "yes" : "no",
        c->experts.count ? "yes" : "no");
}

/* A "llama" with experts is a Mixtral. */
static tuff_status read_experts(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    int64_t count = 0;
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "expert_count", k), &count));
    if (count == 0) return TUFF_OK;
    c->arch = &tuff_arch_mixtral;
    return tuff_experts_read_gguf(gguf, c);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    if (c->arch == &tuff_arch_llama) TUFF_TRY(read_experts(gguf, c));
    return choose_hf_arch(c, gguf->file);
}

static void write_llama(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_buf_printf(json, "  \"attention_bias\": %s,\n  \"mlp_bias\": %s,\n",
                    tuff_json_truth(c->layer.qkv_bias), tuff_json_truth(c->layer.mlp_bias));
}

static void write_mistral(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_decoder_write_window(c, json);
}

static void write_qwen2(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_decoder_write_windows(c, json);
}

static const tuff_part parts[] = {
    TUFF_DECODER_PARTS,
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

#define LLAMA_COMMON                                                               \
    TUFF_DECODER_COMMON, .gguf_activation = TUFF_ACT_SILU, .read_gguf = read_gguf, \
                         .write_gguf = tuff_decoder_write_gguf, .parts = parts

const tuff_arch tuff_arch_llama = {.name = "llama",
                                   .hf_class = "Llama",
                                   .gguf = "llama",
                                   .gguf_interleaves = true,
                                   .all_windows = true,
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
