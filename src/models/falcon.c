/* Falcon (Almazrouei et al. 2023): LayerNorm, one matrix for queries, keys and values, of which all queries
 * share one key/value head (7B), or each has its own, or groups of them do (40B). Attention and feed-forward
 * are side by side behind one norm (7B) or two (40B), or one after the other (RW); positions rotate, or there
 * is ALiBi (RW). */
#include <math.h>

#include "base/log.h"
#include "models/decoder.h"

/* All that the readers leave. kv_heads is set. */
static tuff_status derive(tuff_config *c, bool alibi, const char *where)
{
    const int64_t kv_heads = c->kv_heads;
    TUFF_TRY(tuff_decoder_share_heads(where, c));
    c->kv_heads = kv_heads;
    c->norm = TUFF_NORM_LAYER;
    c->causal = c->final_norm = true;
    c->layer.fused_qkv = true;
    c->layer.qkv_by_head = kv_heads != 1;
    if (!alibi) {
        c->layer.rope = TUFF_ROTARY_MAIN;
        return TUFF_OK;
    }
    /* transformers multiplies slopes with positions in bf16, too, and scales the sum of both */
    c->alibi.most = 8;
    c->alibi.bf16 = true;
    c->alibi.scale = c->head_dim > 0 ? 1 / sqrt((double)c->head_dim) : 1;
    return TUFF_OK;
}

/* Where attention and feed-forward are side by side, they share a norm or have two. */
static void set_order(tuff_config *c, bool parallel, bool two_norms)
{
    c->layer.parallel = c->drops_sum = parallel;
    c->layer.two_norms = parallel && two_norms;
    c->layer.no_ffn_norm = parallel && !two_norms;
}

/* Which heads share keys and values. */
static tuff_status read_sharing(const cJSON *json, const char *where, tuff_config *c, bool grouped)
{
    bool one = true;
    c->kv_heads = c->heads;
    TUFF_TRY(tuff_json_bool(json, "multi_query", where, &one));
    TUFF_TRY(tuff_json_int(json, "num_kv_heads", where, &c->kv_heads));
    if (grouped) return TUFF_OK;
    if (!one && c->kv_heads != c->heads)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: num_kv_heads is %lld of %lld heads, which only new_decoder_architecture has",
                         where, (long long)c->kv_heads, (long long)c->heads);
    if (one) c->kv_heads = 1;
    return TUFF_OK;
}

static tuff_status read_order(const cJSON *json, const char *where, tuff_config *c, bool grouped)
{
    bool parallel = true;
    int64_t norms = grouped ? 2 : 1;
    TUFF_TRY(tuff_json_bool(json, "parallel_attn", where, &parallel));
    TUFF_TRY(tuff_json_int(json, "num_ln_in_parallel_attn", where, &norms));
    set_order(c, parallel, norms == 2);
    if (grouped && !parallel)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: parallel_attn is false beside new_decoder_architecture; transformers has no "
                         "such model, nor has Tuff",
                         where);
    if (!parallel || norms == 1 || (grouped && norms == 2)) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT,
                     "%s: num_ln_in_parallel_attn is %lld, expected 1, or 2 beside new_decoder_architecture",
                     where, (long long)norms);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    bool alibi = false, grouped = false, bias = false;
    c->vocab_size = 65024;
    c->hidden_size = 4544;
    c->layers = 32;
    c->heads = 71;
    c->max_positions = 2048;
    c->norm_eps = 1e-5;
    c->tied = true;
    c->rope.theta = 10000;
    c->layer.activation = TUFF_ACT_GELU;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "n_embed", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    if (c->hidden_size > 0 && c->hidden_size <= INT64_MAX / 4) c->intermediate_size = 4 * c->hidden_size;
    TUFF_TRY(tuff_json_int(json, "ffn_hidden_size", where, &c->intermediate_size));
    TUFF_TRY(tuff_json_number(json, "layer_norm_epsilon", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_json_bool(json, "alibi", where, &alibi));
    TUFF_TRY(tuff_json_bool(json, "bias", where, &bias));
    TUFF_TRY(tuff_json_bool(json, "new_decoder_architecture", where, &grouped));
    TUFF_TRY(tuff_activation_read_hf(json, "activation", where, &c->layer.activation));
    TUFF_TRY(read_sharing(json, where, c, grouped));
    TUFF_TRY(read_order(json, where, c, grouped));
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias = bias;
    TUFF_TRY(derive(c, alibi, where));
    TUFF_TRY(tuff_rope_read_hf(json, where, c));
    TUFF_TRY(tuff_rope_check(c, where));
    if (alibi) c->rope.theta = 0;
    return TUFF_OK;
}

/* What llama.cpp has no keys for is Tuff's own; biases are told by the tensors. */
static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    bool parallel = true;
    double most = 0;
    c->norm_eps = 1e-5;
    c->rope.theta = 10000;
    c->layer.activation = TUFF_ACT_GELU;
    TUFF_TRY(tuff_gguf_need_int(gguf, "falcon.context_length", &c->max_positions));
    TUFF_TRY(tuff_gguf_need_int(gguf, "falcon.embedding_length", &c->hidden_size));
    TUFF_TRY(tuff_gguf_need_int(gguf, "falcon.block_count", &c->layers));
    TUFF_TRY(tuff_gguf_need_int(gguf, "falcon.feed_forward_length", &c->intermediate_size));
    TUFF_TRY(tuff_gguf_need_int(gguf, "falcon.attention.head_count", &c->heads));
    c->kv_heads = c->heads;
    TUFF_TRY(tuff_gguf_int(gguf, "falcon.attention.head_count_kv", &c->kv_heads));
    TUFF_TRY(tuff_gguf_number(gguf, "falcon.attention.layer_norm_epsilon", &c->norm_eps));
    TUFF_TRY(tuff_gguf_bool(gguf, "falcon.use_parallel_residual", &parallel));
    TUFF_TRY(tuff_gguf_number(gguf, "falcon.attention.max_alibi_bias", &most));
    TUFF_TRY(tuff_activation_read_gguf(gguf, "falcon.hidden_activation", &c->layer.activation));
    set_order(c, parallel, tuff_weights_find(gguf->weights, "blk.0.attn_norm_2.weight") != NULL);
    c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias =
        tuff_weights_find(gguf->weights, "blk.0.attn_qkv.bias") != NULL;
    if (most != 0 && most != 8)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: falcon.attention.max_alibi_bias is %g; Tuff runs this architecture with 8 or 0",
                         gguf->file, most);
    TUFF_TRY(derive(c, most != 0, gguf->file));
    TUFF_TRY(tuff_rope_read_gguf(gguf, c));
    if (most != 0) c->rope.theta = 0;
    return TUFF_OK;
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    const bool two_norms = c->layer.two_norms;
    const bool grouped = two_norms || (c->kv_heads != 1 && c->kv_heads != c->heads);
    tuff_buf_printf(
        json,
        "  \"activation\": \"%s\",\n  \"alibi\": %s,\n  \"bias\": %s,\n  \"ffn_hidden_size\": %lld,\n"
        "  \"hidden_size\": %lld,\n  \"initializer_range\": 0.02,\n  \"max_position_embeddings\": %lld,\n"
        "  \"multi_query\": %s,\n  \"new_decoder_architecture\": %s,\n  \"num_attention_heads\": %lld,\n"
        "  \"num_hidden_layers\": %lld,\n  \"num_kv_heads\": %lld,\n  \"parallel_attn\": %s,\n",
        tuff_activation_name(c->layer.activation), tuff_json_truth(c->alibi.most != 0),
        tuff_json_truth(c->layer.qkv_bias), (long long)c->intermediate_size, (long long)c->hidden_size,
        (long long)c->max_positions, tuff_json_truth(c->kv_heads == 1), tuff_json_truth(grouped),
        (long long)c->heads, (long long)c->layers, (long long)c->kv_heads,
        tuff_json_truth(c->layer.parallel));
    if (c->layer.parallel) tuff_buf_printf(json, "  \"num_ln_in_parallel_attn\": %d,\n", two_norms ? 2 : 1);
    tuff_buf_text(json, "  \"layer_norm_epsilon\": ");
    tuff_json_double(json, c->norm_eps);
    if (c->rope.theta != 0) {
        tuff_buf_text(json, ",\n  \"rope_parameters\": ");
        tuff_rope_write_object(c, &c->rope, json);
    }
    tuff_buf_printf(json, ",\n  \"tie_word_embeddings\": %s,\n", tuff_json_truth(c->tied));
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    tuff_gguf_put_u32(gguf, "falcon.context_length", (uint32_t)c->max_positions);
    tuff_gguf_put_u32(gguf, "falcon.embedding_length", (uint32_t)c->hidden_size);
    tuff_gguf_put_u32(gguf, "falcon.block_count", (uint32_t)c->layers);
    tuff_gguf_put_u32(gguf, "falcon.feed_forward_length", (uint32_t)c->intermediate_size);
    tuff_gguf_put_u32(gguf, "falcon.attention.head_count", (uint32_t)c->heads);
    tuff_gguf_put_u32(gguf, "falcon.attention.head_count_kv", (uint32_t)c->kv_heads);
    tuff_gguf_put_f32(gguf, "falcon.attention.layer_norm_epsilon", (float)c->norm_eps);
    tuff_gguf_put_text(gguf, "falcon.tensor_data_layout", "jploski");
    if (c->rope.theta != 0) tuff_rope_write_gguf(c, gguf);
    if (c->layer.activation != TUFF_ACT_GELU)
        tuff_gguf_put_text(gguf, "falcon.hidden_activation", tuff_activation_name(c->layer.activation));
    if (!c->layer.parallel) tuff_gguf_put_bool(gguf, "falcon.use_parallel_residual", false);
    if (c->alibi.most != 0) tuff_gguf_put_f32(gguf, "falcon.attention.max_alibi_bias", (float)c->alibi.most);
    if (!c->layer.parallel || c->alibi.most != 0 || c->layer.qkv_bias)
        tuff_log(
            TUFF_LOG_WARN,
            "llama.cpp's falcon has neither biases nor ALiBi, nor attention before feed-forward, as this "
            "model has: it will not load the file, or run another model; Tuff does not");
}

static const tuff_part parts[] = {{"transformer.word_embeddings", "token_embd", TUFF_PART_PLAIN},
                                  TUFF_DENSE_PARTS("transformer.h.#", "self_attention"),
                                  {"transformer.h.#.ln_attn", "blk.#.attn_norm_2", TUFF_PART_PLAIN},
                                  {"transformer.h.#.ln_mlp", "blk.#.ffn_norm_2", TUFF_PART_PLAIN},
                                  {"transformer.ln_f", "output_norm", TUFF_PART_PLAIN},
                                  {NULL, NULL, TUFF_PART_PLAIN}};
/* of two norms GGUF's first is that of the feed-forward layer */
static const tuff_gguf_alias aliases[] = {{"blk.#.ffn_norm_2", "blk.#.attn_norm"}, {NULL, NULL}};

const tuff_arch tuff_arch_falcon = {.name = "falcon",
                                    .hf_class = "Falcon",
                                    .decoder = true,
                                    .gguf = "falcon",
                                    .gguf_activation = TUFF_ACT_GELU_TANH,
                                    .base_prefix = "transformer.",
                                    .lora_target = "query_key_value",
                                    .read_hf = read_hf,
                                    .read_gguf = read_gguf,
                                    .write_hf = write_hf,
                                    .write_gguf = write_gguf,
                                    .parts = parts,
                                    .gguf_aliases = aliases,
                                    .heads = tuff_decoder_heads};
