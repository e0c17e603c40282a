/* What config.json and GGUFs say of a model's experts. */
#include "base/log.h"
#include "models/decoder.h"

tuff_status tuff_experts_read_hf(const cJSON *json, const char *where, tuff_config *c)
{
    tuff_experts_spec *e = &c->experts;
    bool balanced = false;
    c->layer.experts = true;
    e->width = c->intermediate_size;
    /* one number, for which transformers' classes have two names */
    TUFF_TRY(tuff_json_int(json, "num_local_experts", where, &e->count));
    TUFF_TRY(tuff_json_int(json, "num_experts", where, &e->count));
    TUFF_TRY(tuff_json_int(json, "num_experts_per_tok", where, &e->used));
    TUFF_TRY(tuff_json_bool(json, "norm_topk_prob", where, &e->shares));
    TUFF_TRY(tuff_json_bool(json, "output_router_logits", where, &balanced));
    TUFF_TRY(tuff_json_number(json, "router_aux_loss_coef", where, &e->balance));
    if (!balanced) e->balance = 0;
    if (e->count >= 1) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: the number of experts is %lld, expected 1 or more", where,
                     (long long)e->count);
}

void tuff_experts_write_hf(const tuff_config *c, const char *count_key, tuff_buf *json)
{
    tuff_buf_printf(json,
                    "  \"%s\": %lld,\n  \"num_experts_per_tok\": %lld,\n  \"output_router_logits\": false,\n",
                    count_key, (long long)c->experts.count, (long long)c->experts.used);
}

tuff_status tuff_experts_read_gguf(const tuff_gguf *gguf, tuff_config *c)
{
    tuff_experts_spec *e = &c->experts;
    char k[64];
    e->width = c->intermediate_size;
    e->shares = c->arch->gguf_shares;
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "expert_count", k), &e->count));
    TUFF_TRY(tuff_gguf_need_int(gguf, tuff_gguf_key_of(c, "expert_used_count", k), &e->used));
    TUFF_TRY(tuff_gguf_int(gguf, tuff_gguf_key_of(c, "expert_feed_forward_length", k), &e->width));
    TUFF_TRY(tuff_gguf_bool(gguf, tuff_gguf_key_of(c, "expert_weights_norm", k), &e->shares));
    c->layer.experts = e->count > 0;
    return TUFF_OK;
}

void tuff_experts_write_gguf(const tuff_config *c, tuff_gguf_builder *gguf)
{
    const tuff_experts_spec *e = &c->experts;
    char k[64];
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "expert_count", k), (uint32_t)e->count);
    tuff_gguf_put_u32(gguf, tuff_gguf_key_of(c, "expert_used_count", k), (uint32_t)e->used);
    if (e->shares == c->arch->gguf_shares) return;
    tuff_gguf_put_bool(gguf, tuff_gguf_key_of(c, "expert_weights_norm", k), e->shares);
    tuff_log(
        TUFF_LOG_WARN,
        "llama.cpp's %s makes the weights of a token's experts %s, which this model's do not: its results "
        "will differ there; in Tuff they do not",
        c->arch->gguf, e->shares ? "shares of those of all experts" : "add up to 1");
}
