/* BERT (Devlin et al. 2018) and what is built like it: RoBERTa and XLM-RoBERTa, DistilBERT. Encoders: every
 * token sees all, norms follow the sums. */
#include <string.h>

#include "models/heads/head.h"

/* What the keys of a config.json are called, and what a key that is absent means to transformers. */
typedef struct dialect {
    const char *hidden, *layers, *heads, *inner, *activation;
    int64_t usual_vocab, usual_layers;
    int64_t usual_pad; /* of the models whose positions begin after it; -1: they begin at 0 */
    bool types, eps;   /* it has token types; the epsilon of its norms is in the file */
} dialect;

static const dialect bert_keys = {.hidden = "hidden_size",
                                  .layers = "num_hidden_layers",
                                  .heads = "num_attention_heads",
                                  .inner = "intermediate_size",
                                  .activation = "hidden_act",
                                  .usual_vocab = 30522,
                                  .usual_layers = 12,
                                  .usual_pad = -1,
                                  .types = true,
                                  .eps = true};
static const dialect distilbert_keys = {.hidden = "dim",
                                        .layers = "n_layers",
                                        .heads = "n_heads",
                                        .inner = "hidden_dim",
                                        .activation = "activation",
                                        .usual_vocab = 30522,
                                        .usual_layers = 6,
                                        .usual_pad = -1};

/* What all of them have, and what follows from the sizes. */
static tuff_status derive(tuff_config *c, const char *where)
{
    c->norm = TUFF_NORM_LAYER;
    c->learned_positions = c->embed_norm = true;
    c->layer.norm_after = c->layer.qkv_bias = c->layer.out_bias = c->layer.mlp_bias = true;
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden_size / c->heads : 0; /* 0 is refused by the check of all sizes */
    if (c->heads <= 0 || c->hidden_size % c->heads == 0) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: a hidden size of %lld cannot be shared by %lld heads", where,
                     (long long)c->hidden_size, (long long)c->heads);
}

static tuff_status set_activation(tuff_config *c, const char *where, const char *key, const char *name,
                                  size_t size)
{
    if (tuff_activation_by_name(name, size, &c->layer.activation)) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is \"%.*s\"; Tuff knows %s", where, key,
                     (int)(size < 40 ? size : 40), name, tuff_activation_names());
}

/* Other kinds, of older versions of transformers, have tables of distances. */
static tuff_status check_positions(const cJSON *json, const char *where)
{
    const char *kind = "absolute";
    TUFF_TRY(tuff_json_text(json, "position_embedding_type", where, &kind));
    if (strcmp(kind, "absolute") == 0) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "%s: position_embedding_type is \"%.40s\"; Tuff knows absolute", where,
                     kind);
}

/* RoBERTa's positions begin after its padding's id; the rows before are no text's. */
static tuff_status read_offset(const cJSON *json, const char *where, const dialect *d, tuff_config *c)
{
    if (d->usual_pad < 0) return TUFF_OK;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "pad_token_id");
    int64_t pad = d->usual_pad;
    TUFF_TRY(tuff_json_int(json, "pad_token_id", where, &pad));
    if ((item && cJSON_IsNull(item)) || pad < 0 || pad >= c->max_positions - 1)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: positions begin after pad_token_id, which must be a number from 0 to less than "
                         "max_position_embeddings - 1",
                         where);
    c->position_offset = pad + 1;
    c->max_positions -= c->position_offset;
    return TUFF_OK;
}

static tuff_status read_with(const dialect *d, const cJSON *json, const char *where, tuff_config *c)
{
    const char *activation = "gelu";
    c->vocab_size = d->usual_vocab;
    c->hidden_size = 768;
    c->layers = d->usual_layers;
    c->heads = 12;
    c->intermediate_size = 3072;
    c->max_positions = 512;
    c->norm_eps = 1e-12;
    c->tied = true;
    TUFF_TRY(tuff_json_int(json, "vocab_size", where, &c->vocab_size));
    TUFF_TRY(tuff_json_int(json, d->hidden, where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, d->layers, where, &c->layers));
    TUFF_TRY(tuff_json_int(json, d->heads, where, &c->heads));
    /* the names that transformers' classes share; where they stand beside a class's own, they count */
    TUFF_TRY(tuff_json_int(json, bert_keys.hidden, where, &c->hidden_size));
    TUFF_TRY(tuff_json_int(json, bert_keys.layers, where, &c->layers));
    TUFF_TRY(tuff_json_int(json, bert_keys.heads, where, &c->heads));
    TUFF_TRY(tuff_json_int(json, d->inner, where, &c->intermediate_size));
    TUFF_TRY(tuff_json_int(json, "max_position_embeddings", where, &c->max_positions));
    TUFF_TRY(tuff_json_bool(json, "tie_word_embeddings", where, &c->tied));
    if (d->eps) TUFF_TRY(tuff_json_number(json, "layer_norm_eps", where, &c->norm_eps));
    if (d->types) {
        c->token_types = 2;
        TUFF_TRY(tuff_json_int(json, "type_vocab_size", where, &c->token_types));
        if (c->token_types < 1)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: type_vocab_size is %lld, expected 1 or more", where,
                             (long long)c->token_types);
    }
    TUFF_TRY(tuff_json_text(json, d->activation, where, &activation));
    TUFF_TRY(set_activation(c, where, d->activation, activation, strlen(activation)));
    TUFF_TRY(check_positions(json, where));
    TUFF_TRY(read_offset(json, where, d, c));
    return derive(c, where);
}

static tuff_status read_bert(const cJSON *json, const char *where, tuff_config *c)
{
    return read_with(&bert_keys, json, where, c);
}

static tuff_status read_roberta(const cJSON *json, const char *where, tuff_config *c)
{
    dialect d = bert_keys;
    d.usual_vocab = 50265;
    d.usual_pad = 1;
    return read_with(&d, json, where, c);
}

static tuff_status read_xlm_roberta(const cJSON *json, const char *where, tuff_config *c)
{
    dialect d = bert_keys;
    d.usual_pad = 1;
    return read_with(&d, json, where, c);
}

static tuff_status read_distilbert(const cJSON *json, const char *where, tuff_config *c)
{
    return read_with(&distilbert_keys, json, where, c);
}

/* llama.cpp's "bert" is all of them: RoBERTa's table of positions begins in the file where texts begin, and
 * DistilBERT has no token types. */
static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    tuff_view activation = tuff_view_of("gelu");
    bool types = tuff_weights_find(gguf->weights, "token_types.weight") != NULL;
    c->norm_eps = 1e-12;
    c->tied = true;
    TUFF_TRY(tuff_gguf_need_sizes(gguf, c));
    TUFF_TRY(tuff_gguf_number(gguf, "bert.attention.layer_norm_epsilon", &c->norm_eps));
    TUFF_TRY(tuff_gguf_text(gguf, "bert.hidden_activation", &activation)); /* written by Tuff only */
    TUFF_TRY(set_activation(c, gguf->file, "bert.hidden_activation", activation.data, activation.size));
    if (types) {
        const tuff_weight *table = tuff_weights_find(gguf->weights, "token_types.weight");
        c->token_types = table->shape[0];
    } else {
        c->arch = &tuff_arch_distilbert;
        if ((float)c->norm_eps != 1e-12F)
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "%s: it has no token types and a norm epsilon of %g; no architecture of Hugging Face has "
                "these together",
                gguf->file, c->norm_eps);
        c->norm_eps = 1e-12;
    }
    return derive(c, gguf->file);
}

static void write_with(const dialect *d, const tuff_config *c, tuff_buf *json)
{
    tuff_buf_printf(json,
                    "  \"%s\": \"%s\",\n  \"%s\": %lld,\n  \"initializer_range\": 0.02,\n  \"%s\": %lld,\n"
                    "  \"max_position_embeddings\": %lld,\n  \"%s\": %lld,\n  \"%s\": %lld,\n",
                    d->activation, tuff_activation_name(c->layer.activation), d->hidden,
                    (long long)c->hidden_size, d->inner, (long long)c->intermediate_size,
                    (long long)(c->max_positions + c->position_offset), d->heads, (long long)c->heads,
                    d->layers, (long long)c->layers);
    if (d->types) tuff_buf_printf(json, "  \"type_vocab_size\": %lld,\n", (long long)c->token_types);
    if (!d->eps) return;
    tuff_buf_text(json, "  \"layer_norm_eps\": ");
    tuff_json_double(json, c->norm_eps);
    tuff_buf_text(json, ",\n");
}

static void write_bert(const tuff_config *c, tuff_buf *json)
{
    write_with(&bert_keys, c, json);
}

static void write_distilbert(const tuff_config *c, tuff_buf *json)
{
    write_with(&distilbert_keys, c, json);
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    tuff_gguf_put_sizes(c, gguf);
    tuff_gguf_put_f32(gguf, "bert.attention.layer_norm_epsilon", (float)c->norm_eps);
    tuff_gguf_put_bool(gguf, "bert.attention.causal", false);
    if (c->token_types) tuff_gguf_put_u32(gguf, "tokenizer.ggml.token_type_count", (uint32_t)c->token_types);
    if (c->layer.activation != TUFF_ACT_GELU)
        tuff_gguf_put_text(gguf, "bert.hidden_activation", tuff_activation_name(c->layer.activation));
}

#define BERT_PARTS(base)                                                                                 \
    {base ".embeddings.word_embeddings", "token_embd", TUFF_PART_PLAIN},                                 \
        {base ".embeddings.position_embeddings", "position_embd", TUFF_PART_POSITIONS},                  \
        {base ".embeddings.token_type_embeddings", "token_types", TUFF_PART_PLAIN},                      \
        {base ".embeddings.LayerNorm", "token_embd_norm", TUFF_PART_PLAIN},                              \
        {base ".encoder.layer.#.attention.self.query", "blk.#.attn_q", TUFF_PART_PLAIN},                 \
        {base ".encoder.layer.#.attention.self.key", "blk.#.attn_k", TUFF_PART_PLAIN},                   \
        {base ".encoder.layer.#.attention.self.value", "blk.#.attn_v", TUFF_PART_PLAIN},                 \
        {base ".encoder.layer.#.attention.output.dense", "blk.#.attn_output", TUFF_PART_PLAIN},          \
        {base ".encoder.layer.#.attention.output.LayerNorm", "blk.#.attn_output_norm", TUFF_PART_PLAIN}, \
        {base ".encoder.layer.#.intermediate.dense", "blk.#.ffn_up", TUFF_PART_PLAIN},                   \
        {base ".encoder.layer.#.output.dense", "blk.#.ffn_down", TUFF_PART_PLAIN},                       \
    {                                                                                                    \
        base ".encoder.layer.#.output.LayerNorm", "blk.#.layer_output_norm", TUFF_PART_PLAIN             \
    }

static const tuff_part bert_parts[] = {BERT_PARTS("bert"), {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part roberta_parts[] = {BERT_PARTS("roberta"), {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part distilbert_parts[] = {
    {"distilbert.embeddings.word_embeddings", "token_embd", TUFF_PART_PLAIN},
    {"distilbert.embeddings.position_embeddings", "position_embd", TUFF_PART_POSITIONS},
    {"distilbert.embeddings.LayerNorm", "token_embd_norm", TUFF_PART_PLAIN},
    {"distilbert.transformer.layer.#.attention.q_lin", "blk.#.attn_q", TUFF_PART_PLAIN},
    {"distilbert.transformer.layer.#.attention.k_lin", "blk.#.attn_k", TUFF_PART_PLAIN},
    {"distilbert.transformer.layer.#.attention.v_lin", "blk.#.attn_v", TUFF_PART_PLAIN},
    {"distilbert.transformer.layer.#.attention.out_lin", "blk.#.attn_output", TUFF_PART_PLAIN},
    {"distilbert.transformer.layer.#.sa_layer_norm", "blk.#.attn_output_norm", TUFF_PART_PLAIN},
    {"distilbert.transformer.layer.#.ffn.lin1", "blk.#.ffn_up", TUFF_PART_PLAIN},
    {"distilbert.transformer.layer.#.ffn.lin2", "blk.#.ffn_down", TUFF_PART_PLAIN},
    {"distilbert.transformer.layer.#.output_layer_norm", "blk.#.layer_output_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

/* GGUF has names for classifiers only: what stands before is "cls", which llama.cpp follows by tanh. */
static const tuff_part bert_mlm[] = {{"cls.predictions.transform.dense", "cls", TUFF_PART_UNNAMED},
                                     {"cls.predictions.transform.LayerNorm", "cls.norm", TUFF_PART_UNNAMED},
                                     {"cls.predictions.decoder", "output", TUFF_PART_UNNAMED},
                                     {"cls.predictions.bias", "output.bias", TUFF_PART_UNNAMED},
                                     {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part bert_classes[] = {{"bert.pooler.dense", "cls", TUFF_PART_PLAIN},
                                         {"classifier", "cls.output", TUFF_PART_PLAIN},
                                         {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part tokens[] = {{"classifier", "tokens", TUFF_PART_UNNAMED},
                                   {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part spans[] = {{"qa_outputs", "spans", TUFF_PART_UNNAMED}, {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part roberta_mlm[] = {{"lm_head.dense", "cls", TUFF_PART_UNNAMED},
                                        {"lm_head.layer_norm", "cls.norm", TUFF_PART_UNNAMED},
                                        {"lm_head.decoder", "output", TUFF_PART_UNNAMED},
                                        {"lm_head.bias", "output.bias", TUFF_PART_UNNAMED},
                                        {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part roberta_classes[] = {{"classifier.dense", "cls", TUFF_PART_PLAIN},
                                            {"classifier.out_proj", "cls.output", TUFF_PART_PLAIN},
                                            {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part distilbert_mlm[] = {{"vocab_transform", "cls", TUFF_PART_UNNAMED},
                                           {"vocab_layer_norm", "cls.norm", TUFF_PART_UNNAMED},
                                           {"vocab_projector.bias", "output.bias", TUFF_PART_UNNAMED},
                                           {"vocab_projector", "output", TUFF_PART_UNNAMED},
                                           {NULL, NULL, TUFF_PART_PLAIN}};
static const tuff_part distilbert_classes[] = {{"pre_classifier", "cls", TUFF_PART_PLAIN},
                                               {"classifier", "cls.output", TUFF_PART_PLAIN},
                                               {NULL, NULL, TUFF_PART_PLAIN}};

static const tuff_head_spec bert_heads[] = {
    {.head = &tuff_head_mlm, .parts = bert_mlm, .act = TUFF_HEAD_ACT_LAYERS},
    {.head = &tuff_head_classes, .parts = bert_classes, .activation = TUFF_ACT_TANH},
    {.head = &tuff_head_tokens, .parts = tokens},
    {.head = &tuff_head_spans, .parts = spans},
    {.head = NULL}};
static const tuff_head_spec roberta_heads[] = {
    {.head = &tuff_head_mlm, .parts = roberta_mlm, .activation = TUFF_ACT_GELU},
    {.head = &tuff_head_classes, .parts = roberta_classes, .activation = TUFF_ACT_TANH},
    {.head = &tuff_head_tokens, .parts = tokens},
    {.head = &tuff_head_spans, .parts = spans},
    {.head = NULL}};
static const tuff_head_spec distilbert_heads[] = {
    {.head = &tuff_head_mlm, .parts = distilbert_mlm, .act = TUFF_HEAD_ACT_LAYERS},
    {.head = &tuff_head_classes, .parts = distilbert_classes, .activation = TUFF_ACT_RELU},
    {.head = &tuff_head_tokens, .parts = tokens},
    {.head = &tuff_head_spans, .parts = spans},
    {.head = NULL}};

#define BERT_COMMON \
    .gguf = "bert", .gguf_activation = TUFF_ACT_GELU_TANH, .read_gguf = read_gguf, .write_gguf = write_gguf

const tuff_arch tuff_arch_bert = {.name = "bert",
                                  .hf_class = "Bert",
                                  .base_prefix = "bert.",
                                  .lora_target = "query,value",
                                  .read_hf = read_bert,
                                  .write_hf = write_bert,
                                  .parts = bert_parts,
                                  .heads = bert_heads,
                                  BERT_COMMON};
const tuff_arch tuff_arch_roberta = {.name = "roberta",
                                     .hf_class = "Roberta",
                                     .base_prefix = "roberta.",
                                     .lora_target = "query,value",
                                     .read_hf = read_roberta,
                                     .write_hf = write_bert,
                                     .parts = roberta_parts,
                                     .heads = roberta_heads,
                                     BERT_COMMON};
const tuff_arch tuff_arch_xlm_roberta = {.name = "xlm-roberta",
                                         .hf_class = "XLMRoberta",
                                         .base_prefix = "roberta.",
                                         .lora_target = "query,value",
                                         .read_hf = read_xlm_roberta,
                                         .write_hf = write_bert,
                                         .parts = roberta_parts,
                                         .heads = roberta_heads,
                                         BERT_COMMON};
const tuff_arch tuff_arch_distilbert = {.name = "distilbert",
                                        .hf_class = "DistilBert",
                                        .base_prefix = "distilbert.",
                                        .lora_target = "q_lin,v_lin",
                                        .read_hf = read_distilbert,
                                        .write_hf = write_distilbert,
                                        .parts = distilbert_parts,
                                        .heads = distilbert_heads,
                                        BERT_COMMON};
