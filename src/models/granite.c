/* Granite (IBM 2024): Llama, with factors on embeddings, on what layers add, on attention's scores and on the
 * output. */
#include "models/decoder.h"

/* What a factor of 1 is in the config. */
static double unless_one(double factor)
{
    return factor == 1 ? 0 : factor;
}

static tuff_status check(const tuff_config *c, const char *where)
{
    const double factors[] = {c->embed_scale, c->attn_scale, c->branch_scale, c->logit_scale};
    for (int i = 0; i < 4; i++)
        if (!(factors[i] >= 0 && factors[i] < 1e9))
            return tuff_fail(
                TUFF_BAD_FORMAT,
                "%s: the factors on its embeddings, attention, layers and output are %g, %g, %g and "
                "%g; expected more than 0",
                where, factors[0], factors[1], factors[2], factors[3]);
    return TUFF_OK;
}

static tuff_status set_factors(tuff_config *c, const char *where, double embed, double attention,
                               double branch, double logits)
{
    if (attention == 0 || branch == 0 || embed == 0 || logits == 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: a factor on embeddings, attention, layers or output is 0",
                         where);
    c->embed_scale = unless_one(embed);
    c->scales_inputs = true;
    c->attn_scale = attention;
    c->branch_scale = unless_one(branch);
    c->logit_scale = unless_one(1 / logits);
    return check(c, where);
}

static tuff_status read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    double embed = 1, attention = 1, branch = 1, logits = 1;
    c->vocab_size = 32000;
    c->hidden_size = 4096;
    c->intermediate_size = 11008;
    c->layers = c->heads = 32;
    c->max_positions = 2048;
    c->norm_eps = 1e-6;
    c->rope.theta = 10000;
    TUFF_TRY(tuff_decoder_read_hf(json, where, c));
    TUFF_TRY(tuff_json_number(json, "embedding_multiplier", where, &embed));
    TUFF_TRY(tuff_json_number(json, "attention_multiplier", where, &attention));
    TUFF_TRY(tuff_json_number(json, "residual_multiplier", where, &branch));
    TUFF_TRY(tuff_json_number(json, "logits_scaling", where, &logits));
    return set_factors(c, where, embed, attention, branch, logits);
}

static tuff_status read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    char k[64];
    double embed = 1, attention = 0, branch = 1, logits = 1;
    TUFF_TRY(tuff_decoder_read_gguf(gguf, c));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "embedding_scale", k), &embed));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "attention.scale", k), &attention));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "residual_scale", k), &branch));
    TUFF_TRY(tuff_gguf_number(gguf, tuff_gguf_key_of(c, "logit_scale", k), &logits));
    TUFF_TRY(set_factors(c, gguf->file, embed, attention != 0 ? attention : 1, branch, logits));
    if (attention == 0) c->attn_scale = 0;
    return TUFF_OK;
}

static double or_one(double factor)
{
    return factor != 0 ? factor : 1;
}

static void write_hf(const tuff_config *c, tuff_buf *json)
{
    const struct {
        const char *key;
        double value;
    } factors[] = {{"attention_multiplier", c->attn_scale},
                   {"embedding_multiplier", or_one(c->embed_scale)},
                   {"logits_scaling", 1 / or_one(c->logit_scale)},
                   {"residual_multiplier", or_one(c->branch_scale)}};
    tuff_decoder_write_hf(c, json);
    tuff_buf_printf(json, "  \"attention_bias\": %s,\n  \"mlp_bias\": %s,\n",
                    tuff_json_truth(c->layer.qkv_bias), tuff_json_truth(c->layer.mlp_bias));
    for (int i = c->attn_scale == 0; i < 4; i++) {
        tuff_buf_printf(json, "  \"%s\": ", factors[i].key);
        tuff_json_real(json, factors[i].value);
        tuff_buf_text(json, ",\n");
    }
}

static void write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    char k[64];
    tuff_decoder_write_gguf(c, gguf);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "embedding_scale", k), (float)or_one(c->embed_scale));
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "attention.scale", k), (float)c->attn_scale);
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "residual_scale", k), (float)or_one(c->branch_scale));
    tuff_gguf_put_f32(gguf, tuff_gguf_key_of(c, "logit_scale", k), (float)(1 / or_one(c->logit_scale)));
}

static const tuff_part parts[] = {
    TUFF_DECODER_PARTS,
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", TUFF_PART_PLAIN},
    {NULL, NULL, TUFF_PART_PLAIN}};

const tuff_arch tuff_arch_granite = {
    TUFF_DECODER_COMMON,  .gguf_activation = TUFF_ACT_SILU, .name = "granite",  .hf_class = "Granite",
    .gguf = "granite",    .gguf_interleaves = true,         .read_hf = read_hf, .read_gguf = read_gguf,
    .write_hf = write_hf, .write_gguf = write_gguf,         .parts = parts};
