/* A model that no file has: as its config says, with weights drawn at random. */
#include "base/json.h"
#include "base/memory.h"
#include "models/model.h"

static const char where[] = "the config of a model to be drawn";

static tuff_status read_config(tuff_model *m, const char *config, size_t size)
{
    const tuff_hf_files files = {.config = where};
    m->config.tokens = (tuff_hf_tokens){.bos = -1, .pad = -1, .start = -1, .first = -1, .last = -1};
    TUFF_TRY(tuff_json_parse(config, size, where, &m->hf_config));
    if (!cJSON_IsObject(m->hf_config)) return tuff_fail(TUFF_BAD_FORMAT, "%s: it is no JSON object", where);
    TUFF_TRY(tuff_model_read_hf(m, &files));
    return tuff_hf_tokens_read(m->hf_config, where, &m->config.tokens);
}

static tuff_status draw(tuff_model *m, const char *config, size_t size, tuff_tokenizer **tokenizer,
                        uint64_t seed)
{
    m->path = tuff_strdup("a model that was drawn");
    m->tokenizer_error = tuff_strdup("a model that was drawn has no tokenizer, and none was given with it");
    if (!m->path || !m->tokenizer_error) return tuff_fail_memory("a model");
    TUFF_TRY(read_config(m, config, size));
    const bool tied = m->config.tied;
    TUFF_TRY(tuff_weights_create(&m->weights));
    tuff_model_settle_head(m);
    m->config.tied = tied; /* no tensors tell otherwise */
    m->config.bare = false;
    m->seed = seed;
    m->initializer_range = tuff_initializer_range(m->hf_config);
    TUFF_TRY(tuff_model_list_params(m));
    for (size_t i = 0; i < m->params.count; i++) {
        m->params.items[i].fresh = true;
        m->params.items[i].stored = TUFF_F32;
    }
    if (!tokenizer || !*tokenizer) return TUFF_OK;
    TUFF_TRY(tuff_tokenizer_check_model(*tokenizer, (uint32_t)m->config.vocab_size));
    m->tokenizer = *tokenizer;
    *tokenizer = NULL;
    return TUFF_OK;
}

tuff_status tuff_model_draw(const char *config, size_t size, tuff_tokenizer **tokenizer, uint64_t seed,
                            tuff_model **out_model)
{
    TUFF_NEED_OUT(out_model);
    TUFF_NEED(config);
    tuff_model *model = tuff_alloc(sizeof *model);
    tuff_status status = model ? draw(model, config, size, tokenizer, seed) : tuff_fail_memory("a model");
    if (status != TUFF_OK) tuff_model_destroy(&model);
    if (tokenizer) tuff_tokenizer_destroy(tokenizer);
    *out_model = model;
    return status;
}
