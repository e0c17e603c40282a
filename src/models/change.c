/* A model with more tokens than its files have, or with a head that is a table no more. New rows begin as the
 * mean of all others, as transformers begins them but for noise of a thousandth of a thousandth. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/structs.h"
#include "models/heads/head.h"
#include "models/model.h"
#include "text/extend.h"

enum { PIECE = 1 << 20 };

/* ---- the parameters */

/* The mean of a parameter's rows. */
static tuff_status average(const tuff_model *base, const tuff_param *old, float *out)
{
    const int64_t rows = tuff_param_rows(old), columns = tuff_param_columns(old), step = PIECE / columns + 1,
                  most = step < rows ? step : rows;
    float *values = tuff_alloc_array((size_t)(most * columns), sizeof *values);
    double *sums = tuff_alloc_array((size_t)columns, sizeof *sums);
    tuff_status status = values && sums ? TUFF_OK : tuff_fail_memory("rows of a table");
    for (int64_t r = 0, end; r < rows && status == TUFF_OK; r = end) {
        end = r + step < rows ? r + step : rows;
        status = tuff_model_read(base, old, NULL, r, end, values);
        for (int64_t k = 0; k < (end - r) * columns && status == TUFF_OK; k++)
            sums[k % columns] += values[k];
    }
    for (int64_t k = 0; k < columns && status == TUFF_OK; k++)
        out[k] = (float)(sums[k] / (double)rows);
    tuff_free(values);
    tuff_free(sums);
    return status;
}

void tuff_param_inherit(tuff_param *p, const tuff_param *old)
{
    p->fresh = old->fresh;
    p->merged = old->merged;
    p->stored = old->stored;
    p->held = old->held;
    p->rest = old->rest;
    p->copy = old->copy;
}

static tuff_status grow(tuff_model *model, tuff_param *p, const tuff_param *old)
{
    const int64_t now = p->shape[0];
    p->shape[0] = old->shape[0];
    const bool same =
        p->rank == old->rank && memcmp(p->shape, old->shape, (size_t)p->rank * sizeof *p->shape) == 0;
    p->shape[0] = now;
    if (!same || old->held || old->copy || now < old->shape[0])
        return tuff_fail(TUFF_UNSUPPORTED, "%s: %s cannot get more tokens", model->path, p->name);
    float *rest = tuff_arena_array(&model->params.arena, (size_t)tuff_param_columns(p), sizeof *rest);
    if (!rest) return tuff_fail_memory("rows of a table");
    p->held = old->shape[0];
    p->rest = rest;
    if (!tuff_dtype_is_float(p->stored)) p->stored = TUFF_F32; /* new rows are no blocks */
    return average(model->base, old, rest);
}

/* The head that was the table begins as it is now. */
static tuff_status copy_table(tuff_model *model, tuff_param *p)
{
    char name[TUFF_PARAM_NAME];
    snprintf(name, sizeof name, "%s.weight", tuff_config_module(&model->config, "token_embd"));
    const tuff_param *table = tuff_params_find(&model->params, name);
    if (!table || table->rank != p->rank || memcmp(table->shape, p->shape, 2 * sizeof *p->shape) != 0)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: %s is no copy of the table of tokens", model->path, p->name);
    p->copy = table;
    p->stored = table->stored;
    return TUFF_OK;
}

static tuff_status list_params(tuff_model *model)
{
    const tuff_params *before = &model->base->params;
    TUFF_TRY(tuff_model_list_params(model));
    for (int pass = 0; pass < 2; pass++) /* the head may come before the table */
        for (size_t i = 0; i < model->params.count; i++) {
            tuff_param *p = &model->params.items[i];
            const tuff_param *old = tuff_params_find(before, p->name);
            if (!old && pass) TUFF_TRY(copy_table(model, p));
            if (!old || pass) continue;
            tuff_param_inherit(p, old);
            p->whole = old->whole;
            if (p->shape[0] != old->shape[0]) TUFF_TRY(grow(model, p, old));
        }
    return TUFF_OK;
}

/* ---- what its files will say */

static bool replace(cJSON *object, const char *key, cJSON *item)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (item && cJSON_AddItemToObject(object, key, item)) return true;
    cJSON_Delete(item);
    return false;
}

static cJSON *ends_of(const tuff_hf_tokens *tokens)
{
    int ends[TUFF_HF_EOS_LIMIT];
    for (size_t i = 0; i < tokens->eos_count; i++)
        ends[i] = tokens->eos[i];
    return cJSON_CreateIntArray(ends, (int)tokens->eos_count);
}

static tuff_status describe(tuff_model *model, const tuff_model_change *change)
{
    const tuff_model *base = model->base;
    const tuff_config *c = &model->config;
    bool ok = true;
    if (base->hf_config) {
        cJSON *json = model->hf_config = cJSON_Duplicate(base->hf_config, true);
        ok = json && replace(json, "vocab_size", cJSON_CreateNumber((double)c->vocab_size));
        if (ok && change->untie) ok = replace(json, "tie_word_embeddings", cJSON_CreateFalse());
        if (ok && change->end) ok = replace(json, "eos_token_id", ends_of(&c->tokens));
    }
    if (base->new_labels) ok = ok && (model->new_labels = cJSON_Duplicate(base->new_labels, true)) != NULL;
    if (base->hf_generation && change->end) {
        model->hf_generation = model->own_generation = cJSON_Duplicate(base->hf_generation, true);
        ok = ok && model->own_generation &&
             replace(model->own_generation, "eos_token_id", ends_of(&c->tokens));
    }
    return ok ? TUFF_OK : tuff_fail_memory("the config of a model");
}

/* With the end in front of those there are. */
static void set_end(tuff_model *model, const char *end)
{
    tuff_hf_tokens *tokens = &model->config.tokens;
    const int32_t id = tuff_tokenizer_id(model->tokenizer, end, strlen(end));
    size_t kept = 0;
    for (size_t i = 0; i < tokens->eos_count; i++)
        if (tokens->eos[i] != id) tokens->eos[kept++] = tokens->eos[i];
    if (kept == TUFF_HF_EOS_LIMIT) kept--;
    memmove(tokens->eos + 1, tokens->eos, kept * sizeof *tokens->eos);
    tokens->eos[0] = id;
    tokens->eos_count = kept + 1;
}

static tuff_status keep_ids(tuff_model *model, const tuff_model_change *change)
{
    if (!change->new_count) return TUFF_OK;
    model->own_ids = tuff_alloc_array(change->new_count, sizeof *model->own_ids);
    if (!model->own_ids) return tuff_fail_memory("the new tokens of a model");
    memcpy(model->own_ids, change->new_ids, change->new_count * sizeof *model->own_ids);
    model->new_ids = model->own_ids;
    model->new_id_count = change->new_count;
    return TUFF_OK;
}

static tuff_status build(tuff_model *model, const tuff_model_change *change)
{
    tuff_config *c = &model->config;
    if (change->rows > c->vocab_size && c->encoder)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: encoder-decoders get no more tokens; make them of other models", model->path);
    if (change->rows > c->vocab_size) c->vocab_size = change->rows;
    if (change->untie) c->tied = false;
    if (change->tokenizer) {
        model->tokenizer = change->tokenizer;
        TUFF_TRY(tuff_tokenizer_check_model(model->tokenizer, (uint32_t)c->vocab_size));
        if (change->end) set_end(model, change->end);
    }
    TUFF_TRY(keep_ids(model, change));
    TUFF_TRY(describe(model, change));
    return list_params(model);
}

void tuff_model_derive(const tuff_model *base, tuff_model *out)
{
    *out = *base;
    out->base = base;
    out->users = 0;
    out->merge.free = NULL; /* the base's */
    out->params = (tuff_params){0};
    out->hf_config = out->new_labels = out->own_generation = NULL;
    out->own_tokenizer = NULL;
    out->own_ids = NULL;
    tuff_model_keep(base);
}

tuff_status tuff_model_changed(const tuff_model *base, const tuff_model_change *change,
                               tuff_model **out_model)
{
    tuff_tokenizer *taken = change->tokenizer;
    tuff_model *model = tuff_alloc(sizeof *model);
    *out_model = NULL;
    if (!model) {
        tuff_tokenizer_destroy(&taken);
        return tuff_fail_memory("a model");
    }
    tuff_model_derive(base, model);
    model->own_tokenizer = change->tokenizer;
    const tuff_status status = build(model, change);
    if (status != TUFF_OK)
        tuff_model_destroy(&model);
    else
        *out_model = model;
    return status;
}

/* ---- more tokens, by their texts */

/* What ends a turn in chats that are formatted with it. */
static const char *end_among(const tuff_tokenizer *t, const char *const *tokens, size_t n)
{
    static const char *const ends[] = {"<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>"};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
            if (strcmp(tokens[i], ends[k]) == 0 &&
                !tuff_tokenizer_is_eos(t, tuff_tokenizer_id(t, ends[k], strlen(ends[k]))))
                return ends[k];
    return NULL;
}

typedef struct wish {
    tuff_piece *pieces;
    int32_t *ids;
    size_t new_count;
    bool any; /* token that is none yet, or no special one */
} wish;

static void look(const tuff_tokenizer *t, const char *const *tokens, size_t n, wish *out)
{
    for (size_t i = 0; i < n; i++) {
        const int32_t id = tuff_tokenizer_id(t, tokens[i], strlen(tokens[i]));
        out->pieces[i] = (tuff_piece){tokens[i], strlen(tokens[i])};
        out->any = out->any || id < 0 || tuff_tokenizer_token_type(t, id) != TUFF_TOKEN_CONTROL;
    }
}

static tuff_status add_tokens(const tuff_model *base, const char *const *tokens, size_t n, wish *w,
                              tuff_model **out_model)
{
    tuff_model_change change = {.new_ids = w->ids, .rows = base->config.vocab_size};
    change.end = end_among(base->tokenizer, tokens, n);
    TUFF_TRY(tuff_tokenizer_extend(base->tokenizer, w->pieces, n, change.end, (tuff_piece){NULL, 0},
                                   &change.tokenizer));
    const uint32_t before = tuff_tokenizer_vocab_size(base->tokenizer),
                   now = tuff_tokenizer_vocab_size(change.tokenizer);
    for (uint32_t id = before; id < now; id++)
        w->ids[change.new_count++] = (int32_t)id;
    if ((int64_t)now > change.rows) change.rows = now;
    TUFF_TRY(tuff_model_changed(base, &change, out_model));
    if (change.new_count)
        tuff_log(
            TUFF_LOG_INFO,
            "%s: %zu tokens are new, %u to %u; its tables have %lld rows, %lld of them new, which begin as the "
            "mean of the others",
            base->path, change.new_count, before, now - 1, (long long)(*out_model)->config.vocab_size,
            (long long)((*out_model)->config.vocab_size - base->config.vocab_size));
    return TUFF_OK;
}

tuff_status tuff_model_with_tokens(const tuff_model *base, const char *const *tokens, size_t n,
                                   tuff_model **out_model)
{
    TUFF_NEED_OUT(out_model);
    TUFF_NEED(base);
    TUFF_NEED_MANY(tokens, n);
    for (size_t i = 0; i < n; i++)
        TUFF_NEED(tokens[i]);
    if (!base->tokenizer) return tuff_fail(TUFF_NOT_FOUND, "%s", base->tokenizer_error);
    wish w = {.pieces = tuff_alloc_array(n + 1, sizeof *w.pieces),
              .ids = tuff_alloc_array(n + 1, sizeof *w.ids)};
    tuff_status status = w.pieces && w.ids ? TUFF_OK : tuff_fail_memory("the new tokens of a model");
    if (status == TUFF_OK) look(base->tokenizer, tokens, n, &w);
    if (status == TUFF_OK && (w.any || end_among(base->tokenizer, tokens, n)))
        status = add_tokens(base, tokens, n, &w, out_model);
    tuff_free(w.pieces);
    tuff_free(w.ids);
    return status;
}
