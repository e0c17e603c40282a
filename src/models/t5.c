/* T5 (Raffel et al. 2020), T5 1.1, Flan-T5, byT5, mT5: an encoder and a decoder without positions, whose
 * attention adds a bias by the distance of two tokens, the same in all layers of a stack; and umT5 (Chung et
 * al. 2023), whose layers have one each. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "models/heads/head.h"

enum { USUAL_BUCKETS = 32, USUAL_FARTHEST = 128, USUAL_POSITIONS = 512 };

static tuff_status read_sizes(const cJSON *json, const char *where, tuff_config *c, int64_t *encoder_layers)
{
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "d_model", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "num_layers", where, encoder_layers));
    TUFF_TRY(tuff_json_int(json, "num_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "d_kv", where, &c->head_dim));
    TUFF_TRY(tuff_json_int(json, "d_ff", where, &c->intermediate_size));
    /* the names that transformers' classes share; where they stand beside a class's own, they count */
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, encoder_layers));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "head_dim", where, &c->head_dim));
    c->layers = *encoder_layers;
    TUFF_TRY(tuff_json_int(json, "num_decoder_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "n_positions", where, &c->max_positions));
    TUFF_TRY(tuff_json_number(json, "layer_norm_epsilon", where, &c->norm_eps));
    return TUFF_OK;
}

static tuff_status check_distances(const tuff_config *c, const char *where, const char *buckets,
                                   const char *farthest)
{
    enum { LEAST_BUCKETS = 4, MOST = 1 << 20 };
    if (c->distance_buckets < LEAST_BUCKETS || c->distance_buckets > MOST || c->distance_buckets % 2)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is %lld, expected an even number from %d to %d", where,
                         buckets, (long long)c->distance_buckets, LEAST_BUCKETS, MOST);
    if (c->distance_farthest <= c->distance_buckets / 2 || c->distance_farthest > MOST)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: %s is %lld, expected more than half of the %lld buckets and at most %d", where,
                         farthest, (long long)c->distance_farthest, (long long)c->distance_buckets, MOST);
    return TUFF_OK;
}

static tuff_status read_distances(const cJSON *json, const char *where, tuff_config *c)
{
    static const char buckets[] = "relative_attention_num_buckets",
                      farthest[] = "relative_attention_max_distance";
    TUFF_TRY(tuff_json_int(json, buckets, where, &c->distance_buckets));
    TUFF_TRY(tuff_json_int(json, farthest, where, &c->distance_farthest));
    return check_distances(c, where, buckets, farthest);
}

/* "relu", "gated-gelu": of those the last is the tanh approximation. What transformers makes of it stands in
 * files too, and counts there. */
static tuff_status read_activation(const cJSON *json, const char *where, const char *kind, tuff_config *c)
{
    static const char gated[] = "gated-";
    TUFF_TRY(tuff_json_text(json, "feed_forward_proj", where, &kind));
    c->layer.gated = tuff_starts_with(kind, gated);
    const char *name = c->layer.gated ? kind + strlen(gated) : kind;
    if (strcmp(kind, "gated-gelu") == 0) name = "gelu_new";
    TUFF_TRY(tuff_json_text(json, "dense_act_fn", where, &name));
    TUFF_TRY(tuff_json_bool(json, "is_gated_act", where, &c->layer.gated));
    if (tuff_activation_by_name(name, strlen(name), &c->layer.activation)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: feed_forward_proj is \"%.40s\"; Tuff knows %s, and each after %s",
                     where, kind, tuff_activation_names(), gated);
}

/* What all of them have, and the encoder. */
static tuff_status derive(tuff_config *c, int64_t encoder_layers, bool scaled)
{
    c->norm = TUFF_NORM_RMS;
    c->final_norm = true;
    c->attn_scale = 1;
    c->kv_heads = c->heads;
    if (scaled && c->hidden_size > 0) c->logit_scale = 1 / sqrt((double)c->hidden_size);
    TUFF_TRY(tuff_config_add_encoder(c));
    c->encoder->layers = encoder_layers;
    return TUFF_OK;
}

static void set_usual(tuff_config *c)
{
    c->max_positions = USUAL_POSITIONS;
    c->norm_eps = 1e-6;
    c->distance_buckets = USUAL_BUCKETS;
    c->distance_farthest = USUAL_FARTHEST;
    c->distances_each = c->arch == &tuff_arch_umt5;
    c->tied = true;
}

static tuff_status read_all(const cJSON *json, const char *where, const char *activation, tuff_config *c,
                            int64_t *encoder_layers)
{
    bool pair = true;
    set_usual(c);
    TUFF_TRY(tuff_json_bool(json, "is_encoder_decoder", where, &pair));
    if (!pair)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: is_encoder_decoder is false; Tuff runs T5 with its encoder and its decoder",
                         where);
    TUFF_TRY(read_sizes(json, where, c, encoder_layers));
    TUFF_TRY(read_distances(json, where, c));
    TUFF_TRY(read_activation(json, where, activation, c));
    return tuff_json_bool(json, "tie_word_embeddings", where, &c->tied);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t encoder_layers = 6;
    c->vocab_size = 32128;
    c->hidden_size = 512;
    c->heads = 8;
    c->head_dim = 64;
    c->intermediate_size = 2048;
    TUFF_TRY(read_all(json, where, "relu", c, &encoder_layers));
    /* that the output is the table means to transformers that states are scaled before it: newer files say
     * that by a key of its own; a null, too: that they are not */
    bool scaled = c->tied && !cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "scale_decoder_outputs"));
    TUFF_TRY(tuff_json_bool(json, "scale_decoder_outputs", where, &scaled));
    return derive(c, encoder_layers, scaled);
}

/* transformers never scales the states of mT5, and always those of umT5, whatever the file says. */
static tuff_status read_hf_many(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t encoder_layers = 8;
    c->vocab_size = 250112;
    c->hidden_size = 512;
    c->heads = 6;
    c->head_dim = 64;
    c->intermediate_size = 1024;
    TUFF_TRY(read_all(json, where, "gated-gelu", c, &encoder_layers));
    return derive(c, encoder_layers, c->arch == &tuff_arch_umt5);
}

/* ---- GGUF: one architecture for all of them, whose farthest distance is the usual one */

static tuff_activation gguf_activation(bool gated)
{
    return gated ? TUFF_ACT_GELU_TANH : TUFF_ACT_RELU;
}

static bool has_tensor(const tuff_gguf *gguf, const char *name)
{
    return tuff_weights_find(gguf->weights, name) != NULL;
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    static const char buckets[] = "t5.attention.relative_buckets_count",
                      farthest[] = "t5.attention.relative_max_distance"; /* Tuff's own */
    int64_t encoder_layers, start = 0;
    if (has_tensor(gguf, "enc.blk.1.attn_rel_b.weight") || has_tensor(gguf, "dec.blk.1.attn_rel_b.weight"))
        c->arch = &tuff_arch_umt5;
    set_usual(c);
    bool scaled = !has_tensor(gguf, "output.weight");
    TUFF_TRY(tuff_gguf_need_sizes(gguf, c));
    encoder_layers = c->layers;
    TUFF_TRY(tuff_gguf_int(gguf, "t5.decoder_block_count", &c->layers));
    TUFF_TRY(tuff_gguf_need_int(gguf, "t5.attention.key_length", &c->head_dim));
    TUFF_TRY(tuff_gguf_number(gguf, "t5.attention.layer_norm_rms_epsilon", &c->norm_eps));
    TUFF_TRY(tuff_gguf_int(gguf, buckets, &c->distance_buckets));
    TUFF_TRY(tuff_gguf_int(gguf, farthest, &c->distance_farthest));
    TUFF_TRY(check_distances(c, gguf->file, buckets, farthest));
    TUFF_TRY(tuff_gguf_bool(gguf, "t5.scale_decoder_outputs", &scaled)); /* Tuff's own, as the next */
    c->layer.gated = has_tensor(gguf, "enc.blk.0.ffn_gate.weight");
    c->layer.activation = gguf_activation(c->layer.gated);
    TUFF_TRY(tuff_activation_read_gguf(gguf, "t5.hidden_activation", &c->layer.activation));
    TUFF_TRY(tuff_gguf_int(gguf, "t5.decoder_start_token_id", &start));
    c->start_token = start >= 0 && start <= INT32_MAX ? (int32_t)start : -1;
    return derive(c, encoder_layers, scaled);
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    const bool scaled = c->logit_scale != 0;
    tuff_gguf_put_u32(gguf, "t5.context_length", (uint32_t)c->max_positions);
    tuff_gguf_put_u32(gguf, "t5.embedding_length", (uint32_t)c->hidden_size);
    tuff_gguf_put_u32(gguf, "t5.feed_forward_length", (uint32_t)c->intermediate_size);
    tuff_gguf_put_u32(gguf, "t5.block_count", (uint32_t)c->encoder->layers);
    tuff_gguf_put_u32(gguf, "t5.decoder_block_count", (uint32_t)c->layers);
    tuff_gguf_put_u32(gguf, "t5.attention.head_count", (uint32_t)c->heads);
    tuff_gguf_put_u32(gguf, "t5.attention.key_length", (uint32_t)c->head_dim);
    tuff_gguf_put_u32(gguf, "t5.attention.value_length", (uint32_t)c->head_dim);
    tuff_gguf_put_f32(gguf, "t5.attention.layer_norm_epsilon", (float)c->norm_eps);
    tuff_gguf_put_f32(gguf, "t5.attention.layer_norm_rms_epsilon", (float)c->norm_eps);
    tuff_gguf_put_u32(gguf, "t5.attention.relative_buckets_count", (uint32_t)c->distance_buckets);
    if (c->tokens.start >= 0) tuff_gguf_put_u32(gguf, "t5.decoder_start_token_id", (uint32_t)c->tokens.start);
    if (c->layer.activation != gguf_activation(c->layer.gated))
        tuff_gguf_put_text(gguf, "t5.hidden_activation", tuff_activation_name(c->layer.activation));
    if (scaled != c->tied) tuff_gguf_put_bool(gguf, "t5.scale_decoder_outputs", scaled);
    if (c->layers > c->encoder->layers)
        tuff_log(
            TUFF_LOG_WARN,
            "llama.cpp 0.7.0 does not load a t5 whose decoder has more layers than its encoder, %lld and "
            "%lld here; Tuff does",
            (long long)c->layers, (long long)c->encoder->layers);
    if (c->distance_farthest == USUAL_FARTHEST) return;
    tuff_gguf_put_u32(gguf, "t5.attention.relative_max_distance", (uint32_t)c->distance_farthest);
    tuff_log(TUFF_LOG_WARN,
             "llama.cpp's t5 takes all distances from %d on for one, this model those from %lld: its results "
             "will differ there; in Tuff they do not",
             USUAL_FARTHEST, (long long)c->distance_farthest);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    const char *name = tuff_activation_name(c->layer.activation), *gated = c->layer.gated ? "gated-" : "";
    bool scaled = c->logit_scale != 0;
    tuff_buf_printf(
        json,
        "  \"d_ff\": %lld,\n  \"d_kv\": %lld,\n  \"d_model\": %lld,\n  \"dense_act_fn\": \"%s\",\n"
        "  \"feed_forward_proj\": \"%s%s\",\n  \"initializer_factor\": 1.0,\n"
        "  \"is_encoder_decoder\": true,\n  \"is_gated_act\": %s,\n",
        (long long)c->intermediate_size, (long long)c->head_dim, (long long)c->hidden_size, name, gated, name,
        c->layer.gated ? "true" : "false");
    tuff_buf_printf(json,
                    "  \"n_positions\": %lld,\n  \"num_decoder_layers\": %lld,\n  \"num_heads\": %lld,\n"
                    "  \"num_layers\": %lld,\n  \"relative_attention_max_distance\": %lld,\n"
                    "  \"relative_attention_num_buckets\": %lld,\n  \"scale_decoder_outputs\": %s,\n"
                    "  \"tie_word_embeddings\": %s,\n  \"layer_norm_epsilon\": ",
                    (long long)c->max_positions, (long long)c->layers, (long long)c->heads,
                    (long long)c->encoder->layers, (long long)c->distance_farthest,
                    (long long)c->distance_buckets, scaled ? "true" : "false", scaled ? "true" : "false");
    tuff_json_double(json, c->norm_eps);
    tuff_buf_text(json, ",\n");
}

#define STACK(hf, part, ff)                                                                        \
    {hf ".block.#.layer.0.layer_norm", part ".blk.#.attn_norm", TUFF_PART_PLAIN},                  \
        {hf ".block.#.layer.0.SelfAttention.q", part ".blk.#.attn_q", TUFF_PART_PLAIN},            \
        {hf ".block.#.layer.0.SelfAttention.k", part ".blk.#.attn_k", TUFF_PART_PLAIN},            \
        {hf ".block.#.layer.0.SelfAttention.v", part ".blk.#.attn_v", TUFF_PART_PLAIN},            \
        {hf ".block.#.layer.0.SelfAttention.o", part ".blk.#.attn_output", TUFF_PART_PLAIN},       \
        {hf ".block.#.layer.0.SelfAttention.relative_attention_bias", part ".blk.#.attn_rel_b",    \
         TUFF_PART_PLAIN},                                                                         \
        {hf ".block.#.layer." ff ".layer_norm", part ".blk.#.ffn_norm", TUFF_PART_PLAIN},          \
        {hf ".block.#.layer." ff ".DenseReluDense.wi", part ".blk.#.ffn_only", TUFF_PART_PLAIN},   \
        {hf ".block.#.layer." ff ".DenseReluDense.wi_0", part ".blk.#.ffn_gate", TUFF_PART_PLAIN}, \
        {hf ".block.#.layer." ff ".DenseReluDense.wi_1", part ".blk.#.ffn_up", TUFF_PART_PLAIN},   \
        {hf ".block.#.layer." ff ".DenseReluDense.wo", part ".blk.#.ffn_down", TUFF_PART_PLAIN},   \
    {                                                                                              \
        hf ".final_layer_norm", part ".output_norm", TUFF_PART_PLAIN                               \
    }

static const tuff_part parts[] = {
    {"shared", "token_embd", TUFF_PART_PLAIN},
    STACK("encoder", "enc", "1"),
    STACK("decoder", "dec", "2"),
    {"decoder.block.#.layer.1.layer_norm", "dec.blk.#.cross_attn_norm", TUFF_PART_PLAIN},
    {"decoder.block.#.layer.1.EncDecAttention.q", "dec.blk.#.cross_attn_q", TUFF_PART_PLAIN},
    {"decoder.block.#.layer.1.EncDecAttention.k", "dec.blk.#.cross_attn_k", TUFF_PART_PLAIN},
    {"decoder.block.#.layer.1.EncDecAttention.v", "dec.blk.#.cross_attn_v", TUFF_PART_PLAIN},
    {"decoder.block.#.layer.1.EncDecAttention.o", "dec.blk.#.cross_attn_output", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_gguf_alias aliases[] = {{"enc.blk.#.attn_output", "enc.blk.#.attn_o"},
                                          {"dec.blk.#.attn_output", "dec.blk.#.attn_o"},
                                          {"dec.blk.#.cross_attn_output", "dec.blk.#.cross_attn_o"},
                                          {"enc.blk.#.ffn_only", "enc.blk.#.ffn_up"},
                                          {"dec.blk.#.ffn_only", "dec.blk.#.ffn_up"},
                                          {NULL, NULL}};
static const tuff_part lm_parts[] = {{"lm_head", "output", TUFF_PART_PLAIN}, {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_head_spec heads[] = {{.head = &tuff_head_seq2seq, .parts = lm_parts}, {.head = NULL}};

#define T5_COMMON                                                                               \
    .decoder = true, .ties = true, .base_prefix = "", .lora_target = "q,v", .gguf = "t5",       \
    .gguf_activation = TUFF_ACT_RELU, .gguf_gated = TUFF_ACT_GELU_TANH, .read_gguf = read_gguf, \
    .write_hf = write_hf, .write_gguf = write_gguf, .parts = parts, .gguf_aliases = aliases, .heads = heads
const tuff_arch tuff_arch_t5 = {T5_COMMON, .name = "t5", .hf_class = "T5", .read_hf = read_hf};
const tuff_arch tuff_arch_mt5 = {T5_COMMON, .name = "mt5", .hf_class = "MT5", .read_hf = read_hf_many,
                                 .keys = "t5"};
const tuff_arch tuff_arch_umt5 = {T5_COMMON, .name = "umt5", .hf_class = "UMT5", .read_hf = read_hf_many,
                                  .keys = "t5"};
