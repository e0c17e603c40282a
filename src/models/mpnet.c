/* MPNet (Song et al. 2020): BERT without token types, whose attention adds a bias by the distance of two
 * tokens, the same in all layers. */
#include <string.h>

#include "models/heads/head.h"

/* transformers sorts distances into so many whatever the config says, and numbers positions from after this
 * padding id on. */
enum { BUCKETS = 32, FARTHEST = 128, PADDING = 1 };

static tuff_status read_sizes(const cJSON *json, const char *where, tuff_config *c)
{
    int64_t buckets = BUCKETS;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, "hidden_size", where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, "num_hidden_layers", where, &c->layers));
    TUFF_TRY(tuff_json_int(json, "num_attention_heads", where, &c->heads));
    TUFF_TRY(tuff_json_int(json, "intermediate_size", where, &c->intermediate_size));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_int(json, "relative_attention_num_buckets", where, &buckets));
    if (buckets != BUCKETS)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: relative_attention_num_buckets is %lld; transformers runs MPNet with %d, "
                         "whatever is said there, and so does Tuff",
                         where, (long long)buckets, BUCKETS);
    if (c->heads > 0 && c->hidden_size % c->heads)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a hidden size of %lld cannot be shared by %lld heads", where,
                         (long long)c->hidden_size, (long long)c->heads);
    return TUFF_OK;
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    const char *activation = "gelu";
    c->vocab_size = 30527;
    c->hidden_size = 768;
    c->layers = c->heads = 12;
    c->intermediate_size = 3072;
    c->max_positions = 512;
    c->norm_eps = 1e-12;
    c->tied = c->learned_positions = c->embed_norm = true;
    c->norm = TUFF_NORM_LAYER;
    c->layer.norm_after = c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias = true;
    c->distance_buckets = BUCKETS;
    c->distance_farthest = FARTHEST;
    TUFF_TRY(read_sizes(json, where, c));
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0; /* 0 is refused by the check of all sizes */
    c->position_offset = PADDING + 1;
    c->max_positions -= c->position_offset;
    TUFF_TRY(tuff_json_number(json, "layer_norm_eps", where, &c->norm_eps));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    TUFF_TRY(tuff_json_text(json, "hidden_act", where, &activation));
    if (tuff_activation_by_name(activation, strlen(activation), &c->layer.activation)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: hidden_act is \"%.40s\"; Tuff knows %s", where, activation,
                     tuff_activation_names());
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(json,
                    "  \"hidden_act\": \"%s\",\n  \"hidden_size\": %lld,\n  \"initializer_range\": 0.02,\n"
                    "  \"intermediate_size\": %lld,\n  \"max_position_embeddings\": %lld,\n"
                    "  \"num_attention_heads\": %lld,\n  \"num_hidden_layers\": %lld,\n"
                    "  \"relative_attention_num_buckets\": %lld,\n  \"layer_norm_eps\": ",
                    tuff_activation_name(c->layer.activation), (long long)c->hidden_size,
                    (long long)c->intermediate_size, (long long)(c->max_positions + c->position_offset),
                    (long long)c->heads, (long long)c->layers, (long long)c->distance_buckets);
    tuff_json_double(json, c->norm_eps);
    tuff_buf_text(json, ",\n");
}

static const tuff_part parts[] = {
    {"mpnet.embeddings.word_embeddings", "token_embd", TUFF_PART_UNNAMED},
    {"mpnet.embeddings.position_embeddings", "position_embd", TUFF_PART_UNNAMED},
    {"mpnet.embeddings.LayerNorm", "token_embd_norm", TUFF_PART_UNNAMED},
    {"mpnet.encoder.relative_attention_bias", "blk.#.attn_rel_b", TUFF_PART_UNNAMED},
    {"mpnet.encoder.layer.#.attention.attn.q", "blk.#.attn_q", TUFF_PART_UNNAMED},
    {"mpnet.encoder.layer.#.attention.attn.k", "blk.#.attn_k", TUFF_PART_UNNAMED},
    {"mpnet.encoder.layer.#.attention.attn.v", "blk.#.attn_v", TUFF_PART_UNNAMED},
    {"mpnet.encoder.layer.#.attention.attn.o", "blk.#.attn_output", TUFF_PART_UNNAMED},
    {"mpnet.encoder.layer.#.attention.LayerNorm", "blk.#.attn_output_norm", TUFF_PART_UNNAMED},
    {"mpnet.encoder.layer.#.intermediate.dense", "blk.#.ffn_up", TUFF_PART_UNNAMED},
    {"mpnet.encoder.layer.#.output.dense", "blk.#.ffn_down", TUFF_PART_UNNAMED},
    {"mpnet.encoder.layer.#.output.LayerNorm", "blk.#.layer_output_norm", TUFF_PART_UNNAMED},
    {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part mlm_parts[] = {{"lm_head.dense", "cls", TUFF_PART_UNNAMED},
                                      {"lm_head.layer_norm", "cls.norm", TUFF_PART_UNNAMED},
                                      {"lm_head.decoder", "output", TUFF_PART_UNNAMED},
                                      {"lm_head.bias", "output.bias", TUFF_PART_UNNAMED},
                                      {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part class_parts[] = {{"classifier.dense", "cls", TUFF_PART_UNNAMED},
                                        {"classifier.out_proj", "cls.output", TUFF_PART_UNNAMED},
                                        {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part token_parts[] = {{"classifier", "tokens", TUFF_PART_UNNAMED},
                                        {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part span_parts[] = {{"qa_outputs", "spans", TUFF_PART_UNNAMED},
                                       {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_head_spec heads[] = {
    {.head = &tuff_head_mlm, .parts = mlm_parts, .activation = TUFF_ACT_GELU},
    {.head = &tuff_head_classes, .parts = class_parts, .activation = TUFF_ACT_TANH},
    {.head = &tuff_head_tokens, .parts = token_parts},
    {.head = &tuff_head_spans, .parts = span_parts},
    {.head = NULL}};

const tuff_arch tuff_arch_mpnet = {.name = "mpnet",
                                   .hf_class = "MPNet",
                                   .base_prefix = "mpnet.",
                                   .lora_target = "q,v",
                                   .read_hf = read_hf,
                                   .write_hf = write_hf,
                                   .parts = parts,
                                   .heads = heads};
