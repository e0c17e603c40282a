/* GLM-4 (Zhipu AI 2024): Llama's layers, half of each head rotates, neighbours together, one matrix for both
 * halves of the gated layer; the later ones, "glm4", norm what attention and feed-forward add, too. */
#include "models/decoder.h"

static void set_usual(tuff_config *c)
{
    c->layer.rope_pairs = c->layer.fused_gate = true;
    c->layer.branch_norms = c->arch == &tuff_arch_glm4;
    c->layer.out_bias = c->layer.mlp_bias = false; /* whatever the config says, as in transformers */
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    c->vocab_size = 151552;
    c->hidden_size = 4096;
    c->intermediate_size = 13696;
    c->layers = 40;
    c->heads = 32;
    c->kv_heads = 2;
    c->head_dim = 128;
    c->max_positions = 131072;
    c->norm_eps = 1.5625e-07;
    c->rope.theta = 10000;
    c->layer.qkv_bias = true;
    TUFF_TRY(tuff_decoder_read_sizes(json, where, c));
    TUFF_TRY(tuff_json_bool(json, "attention_bias", where, &c->layer.qkv_bias));
    set_usual(c);
    TUFF_TRY(tuff_rope_set_share(NULL, 0.5, where, c));
    TUFF_TRY(tuff_rope_read_hf(json, where, c));
    return tuff_rope_check(c, where);
}

/* Files of the older models have their queries, keys and values in one matrix, which Hugging Face's have not.
 */
static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    if (tuff_weights_find(gguf->weights, "blk.0.attn_qkv.weight"))
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: its queries, keys and values are one matrix, as in ChatGLM before "
                         "transformers had it; convert the model that transformers loads",
                         gguf->file);
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    set_usual(c);
    return TUFF_OK;
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_decoder_write_hf(c, json);
    tuff_buf_printf(json, "  \"attention_bias\": %s,\n", tuff_json_truth(c->layer.qkv_bias));
    if (!c->rotary_dims) tuff_buf_text(json, "  \"partial_rotary_factor\": 1.0,\n");
}

#define GLM_PARTS                                                                       \
    {"model.embed_tokens", "token_embd", TUFF_PART_PLAIN},                              \
        {"model.layers.#.input_layernorm", "blk.#.attn_norm", TUFF_PART_PLAIN},         \
        {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", TUFF_PART_Q},               \
        {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", TUFF_PART_K},               \
        {"model.layers.#.self_attn.v_proj", "blk.#.attn_v", TUFF_PART_PLAIN},           \
        {"model.layers.#.self_attn.o_proj", "blk.#.attn_output", TUFF_PART_PLAIN},      \
        {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN}, \
        {"model.layers.#.mlp.gate_up_proj", "blk.#.ffn_up", TUFF_PART_PLAIN},           \
        {"model.layers.#.mlp.down_proj", "blk.#.ffn_down", TUFF_PART_PLAIN},            \
    {                                                                                   \
        "model.norm", "output_norm", TUFF_PART_PLAIN                                    \
    }

static const tuff_part parts[] = {GLM_PARTS, {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part parts4[] = {
    GLM_PARTS,
    {"model.layers.#.post_self_attn_layernorm", "blk.#.post_attention_norm", TUFF_PART_PLAIN},
    {"model.layers.#.post_mlp_layernorm", "blk.#.post_ffw_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

#define GLM_COMMON                                                                                         \
    .decoder = true, .base_prefix = "model.", .heads = tuff_decoder_heads, .keys = "llama",                \
    .lora_target = "q_proj,k_proj,v_proj,o_proj,gate_up_proj,down_proj", .gguf_activation = TUFF_ACT_SILU, \
    .partial_rotary = true, .read_hf = read_hf, .read_gguf = read_gguf, .write_hf = write_hf,              \
    .write_gguf = tuff_decoder_write_gguf

const tuff_arch tuff_arch_glm = {GLM_COMMON, .name = "glm", .hf_class = "Glm", .gguf = "chatglm",
                                 .parts = parts};
const tuff_arch tuff_arch_glm4 = {GLM_COMMON, .name = "glm4", .hf_class = "Glm4", .gguf = "glm4",
                                  .parts = parts4};
