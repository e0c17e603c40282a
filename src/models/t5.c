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

/* What all of them have, and the encoder; or the encoder alone, which is then all that there is. */
static tuff_status derive(tuff_config *c, int64_t encoder_layers, bool scaled)
{
    c->norm = TUFF_NORM_RMS;
    c->final_norm = true;
    c->attn_scale = 1;
    c->kv_heads = c->heads;
    if (!c->arch->decoder) {
        c->stack = "enc.";
        c->layers = encoder_layers;
        return TUFF_OK;
    }
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
    c->distances_each = c->arch == &tuff_arch_umt5 || c->arch == &tuff_arch_umt5_encoder;
    c->tied = true;
}

/* "T5EncoderModel", "MT5EncoderModel", "UMT5EncoderModel". */
static bool is_encoder(const cJSON *json)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "architectures");
    const cJSON *first = cJSON_IsArray(list) ? list->child : NULL;
    return cJSON_IsString(first) && tuff_ends_with(first->valuestring, "EncoderModel");
}

static tuff_status read_all(const cJSON *json, const char *where, const char *activation, tuff_config *c,
                            int64_t *encoder_layers)
{
    bool pair = true;
    set_usual(c);
    if (is_encoder(json)) c->arch = c->distances_each ? &tuff_arch_umt5_encoder : &tuff_arch_t5_encoder;
    TUFF_TRY(tuff_json_bool(json, "is_encoder_decoder", where, &pair));
    if (!pair && c->arch->decoder)
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
    /* Whether states are scaled before the output. Newer files say so by scale_decoder_outputs, where null
     * means no; in older ones transformers scales them if the output is the embedding table. */
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
    return derive(c, encoder_layers, c->distances_each);
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
    char k[64], buckets[64], farthest[64];
    int64_t encoder_layers, start = 0;
    const bool each =
        has_tensor(gguf, "enc.blk.1.attn_rel_b.weight") || has_tensor(gguf, "dec.blk.1.attn_rel_b.weight");
    if (each) c->arch = c->arch->decoder ? &tuff_arch_umt5 : &tuff_arch_umt5_encoder;
    set_usual(c);
    bool scaled = !has_tensor(gguf, "output.weight");
    tuff_gguf_key_of(c, "attention.relative_buckets_count", buckets);
    tuff_gguf_key_of(c, "attention.relative_max_distance", farthest); /* Tuff's own */
    TUFF_TRY(tuff_gguf_need_sizes(gguf, c));
    encoder_layers = c->layers;
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "decoder_block_count", k), &c->layers));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "attention.key_length", k), &c->head_dim));
    TUFF_TRY(
        tuff_gguf_number(gguf, tuff_gguf_key_of(c, "attention.layer_norm_rms_epsilon", k), &c->norm_eps));
    TUFF_TRY(tuff_gguf_int(gguf, buckets, &c->distance_buckets));
    TUFF_TRY(tuff_gguf_int(gguf, farthest, &c->distance_farthest));
    TUFF_TRY(check_distances(c, gguf->file, buckets, farthest));
    /* Tuff's own, as the next */
    TUFF_TRY(tuff_gguf_bool(gguf, tuff_gguf_key_of(c, "scale_decoder_outputs", k), &scaled));
    c->layer.gated = has_tensor(gguf, "enc.blk.0.ffn_gate.weight");
    c->layer.activation = gguf_activation(c->layer.gated);
    TUFF_TRY(
        tuff_activation_read_gguf(gguf, tuff_gguf_key_of(c, "hidden_activation", k), &c->layer.activation));
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "decoder_start_token_id", k), &start));
    if (start < 0 || start > INT32_MAX)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s is %lld, expected a token of its vocabulary", gguf->file, k,
                         (long long)start);
    c->start_token = (int32_t)start;
    return derive(c, encoder_layers, scaled);
}

static void put(const tuff_config *c, tuff_gguf_builder *gguf, const char *name, int64_t value)
{
    char k[64];
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, name, k), (uint32_t)value);
}

/* What llama.cpp does otherwise, or not at all. */
static void warn(const tuff_config *c)
{
    if (c->encoder && c->layers > c->encoder->layers)
        tuff_log(
            TUFF_LOG_WARN,
            "llama.cpp 0.7.0 does not load a t5 whose decoder has more layers than its encoder, %lld and "
            "%lld here; Tuff does",
            (long long)c->layers, (long long)c->encoder->layers);
    if (c->distance_farthest != USUAL_FARTHEST)
        tuff_log(TUFF_LOG_WARN,
                 "llama.cpp's t5 takes all distances from %d on for one, this model those from %lld: its "
                 "results will differ there; in Tuff they do not",
                 USUAL_FARTHEST, (long long)c->distance_farthest);
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    const bool scaled = c->logit_scale != 0;
    put(c, gguf, "context_length", c->max_positions);
    put(c, gguf, "embedding_length", c->hidden_size);
    put(c, gguf, "feed_forward_length", c->intermediate_size);
    put(c, gguf, "block_count", c->encoder ? c->encoder->layers : c->layers);
    if (c->encoder) put(c, gguf, "decoder_block_count", c->layers);
    put(c, gguf, "attention.head_count", c->heads);
    put(c, gguf, "attention.key_length", c->head_dim);
    put(c, gguf, "attention.value_length", c->head_dim);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "attention.layer_norm_epsilon", k), (float)c->norm_eps);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "attention.layer_norm_rms_epsilon", k), (float)c->norm_eps);
    put(c, gguf, "attention.relative_buckets_count", c->distance_buckets);
    if (c->encoder && c->tokens.start >= 0) put(c, gguf, "decoder_start_token_id", c->tokens.start);
    if (c->layer.activation != gguf_activation(c->layer.gated))
        tuff_gguf_put_text(gguf, tuff_gguf_key_of(c, "hidden_activation", k),
                           tuff_activation_name(c->layer.activation));
    if (c->encoder && scaled != c->tied)
        tuff_gguf_put_bool(gguf, tuff_gguf_key_of(c, "scale_decoder_outputs", k), scaled);
    if (c->distance_farthest != USUAL_FARTHEST)
        put(c, gguf, "attention.relative_max_distance", c->distance_farthest);
    warn(c);
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    const char *name = tuff_activation_name(c->layer.activation), *gated = c->layer.gated ? "gated-" : "";
    bool scaled = c->logit_scale != 0;
    tuff_buf_printf(
        json,
        "  \"d_ff\": %lld,\n  \"d_kv\": %lld,\n  \"d_model\": %lld,\n  \"dense_act_fn\": \"%s\",\n"
        "  \"feed_forward_proj\": \"%s%s\",\n  \"initializer_factor\": 1.0,\n"
        "  \"is_encoder_decoder\": %s,\n  \"is_gated_act\": %s,\n",
        (long long)c->intermediate_size, (long long)c->head_dim, (long long)c->hidden_size, name, gated, name,
        tuff_json_truth(c->encoder != NULL), tuff_json_truth(c->layer.gated));
    tuff_buf_printf(json,
                    "  \"n_positions\": %lld,\n  \"num_decoder_layers\": %lld,\n  \"num_heads\": %lld,\n"
                    "  \"num_layers\": %lld,\n  \"relative_attention_max_distance\": %lld,\n"
                    "  \"relative_attention_num_buckets\": %lld,\n  \"scale_decoder_outputs\": %s,\n"
                    "  \"tie_word_embeddings\": %s,\n  \"layer_norm_epsilon\": ",
                    (long long)c->max_positions, (long long)c->layers, (long long)c->heads,
                    (long long)(c->encoder ? c->encoder->layers : c->layers), (long long)c->distance_farthest,
                    (long long)c->distance_buckets, tuff_json_truth(scaled),
                    tuff_json_truth(scaled || !c->encoder));
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

#define T5_COMMON                                                                   \
    .base_prefix = "", .lora_target = "q,v", .gguf_activation = TUFF_ACT_RELU,      \
    .gguf_gated = TUFF_ACT_GELU_TANH, .read_gguf = read_gguf, .write_hf = write_hf, \
    .write_gguf = write_gguf, .parts = parts, .gguf_aliases = aliases
#define T5_PAIR T5_COMMON, .decoder = true, .ties = true, .gguf = "t5", .heads = heads
const tuff_arch tuff_arch_t5 = {T5_PAIR, .name = "t5", .hf_class = "T5", .read_hf = read_hf};
const tuff_arch tuff_arch_mt5 = {T5_PAIR, .name = "mt5", .hf_class = "MT5", .read_hf = read_hf_many,
                                 .keys = "t5"};
const tuff_arch tuff_arch_umt5 = {T5_PAIR, .name = "umt5", .hf_class = "UMT5", .read_hf = read_hf_many,
                                  .keys = "t5"};
/* The encoder of any of them, which config.json tells by the name of its class. */
static const tuff_head_spec no_heads[] = {{.head = NULL}};
#define T5_ENCODER T5_COMMON, .gguf = "t5encoder", .heads = no_heads
const tuff_arch tuff_arch_t5_encoder = {T5_ENCODER, .name = "t5", .hf_class = "T5Encoder"};
const tuff_arch tuff_arch_umt5_encoder = {T5_ENCODER, .name = "umt5", .hf_class = "UMT5Encoder"};
