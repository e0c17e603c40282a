/* The tokens that a model's generation_config.json wants more or less of, or not at all. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "generate/sequence.h"

static const char file[] = "generation_config.json";

/* The entries, and behind them, in the same memory, their ids. The first time they are counted only. */
typedef struct making {
    const tuff_model *model;
    tuff_logit_bias *entries; /* NULL: they are counted */
    int32_t *ids;
    size_t count, id_count;
} making;

static tuff_status wrong(const making *m, const char *key, const char *expected)
{
    return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has a %s that is not %s", m->model->path, file, key, expected);
}

static bool is_id(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble) &&
           fabs(item->valuedouble) <= INT32_MAX;
}

static bool is_known(const making *m, const cJSON *item)
{
    return item->valuedouble >= 0 && item->valuedouble < (double)m->model->config.vocab_size;
}

/* ids[0..n) are a list's children from `item` on. */
static void add(making *m, const cJSON *item, size_t n, double bias, bool first_only)
{
    if (m->entries) {
        tuff_logit_bias *b = &m->entries[m->count];
        *b = (tuff_logit_bias)TUFF_LOGIT_BIAS_INIT;
        b->ids = m->ids + m->id_count;
        b->count = n;
        b->bias = (float)bias;
        b->first_only = first_only;
        for (size_t i = 0; i < n; i++, item = item->next)
            m->ids[m->id_count + i] = (int32_t)item->valuedouble;
    }
    m->count++;
    m->id_count += n;
}

static const cJSON *find(const making *m, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->model->hf_generation, key);
    return cJSON_IsNull(item) ? NULL : item;
}

/* A list of ids. One that the vocabulary has not never comes. */
static tuff_status take_single(making *m, const char *key, bool first_only)
{
    const cJSON *list = find(m, key), *id;
    if (!list) return TUFF_OK;
    if (!cJSON_IsArray(list)) return wrong(m, key, "a list of ids");
    cJSON_ArrayForEach(id, list)
    {
        if (!is_id(id)) return wrong(m, key, "a list of ids");
        if (is_known(m, id)) add(m, id, 1, (double)-INFINITY, first_only);
    }
    return TUFF_OK;
}

/* The ids of a sequence, of which there is one at least. */
static tuff_status check_ids(const making *m, const char *key, const char *expected, const cJSON *ids)
{
    const cJSON *id;
    if (!cJSON_IsArray(ids) || !ids->child) return wrong(m, key, expected);
    cJSON_ArrayForEach(id, ids)
    {
        if (!is_id(id)) return wrong(m, key, expected);
        if (!is_known(m, id))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has an id of %.0f in %s, expected 0 to %lld",
                             m->model->path, file, id->valuedouble, key,
                             (long long)m->model->config.vocab_size - 1);
    }
    return TUFF_OK;
}

static size_t length(const cJSON *list)
{
    return (size_t)cJSON_GetArraySize(list);
}

/* The token that ends texts may end them, also where a list has it. */
static bool is_end(const making *m, const cJSON *ids)
{
    const tuff_hf_tokens *tokens = &m->model->config.tokens;
    if (ids->child->next) return false;
    for (size_t i = 0; i < tokens->eos_count; i++)
        if (ids->child->valuedouble == tokens->eos[i]) return true;
    return false;
}

static tuff_status take_bad_words(making *m)
{
    static const char key[] = "bad_words_ids", expected[] = "a list of lists of ids";
    const cJSON *list = find(m, key), *ids;
    if (!list) return TUFF_OK;
    if (!cJSON_IsArray(list)) return wrong(m, key, expected);
    cJSON_ArrayForEach(ids, list)
    {
        TUFF_TRY(check_ids(m, key, expected, ids));
        if (!is_end(m, ids)) add(m, ids->child, length(ids), (double)-INFINITY, false);
    }
    return TUFF_OK;
}

static tuff_status take_sequence_bias(making *m)
{
    static const char key[] = "sequence_bias",
                      expected[] = "a list of pairs: ids and a bias from -1e6 to 1e6";
    const cJSON *list = find(m, key), *pair;
    if (!list) return TUFF_OK;
    if (!cJSON_IsArray(list)) return wrong(m, key, expected);
    cJSON_ArrayForEach(pair, list)
    {
        const cJSON *ids = cJSON_IsArray(pair) ? pair->child : NULL, *bias = ids ? ids->next : NULL;
        if (!cJSON_IsNumber(bias) || bias->next || !(fabs(bias->valuedouble) <= 1e6))
            return wrong(m, key, expected);
        TUFF_TRY(check_ids(m, key, expected, ids));
        add(m, ids->child, length(ids), bias->valuedouble, false);
    }
    return TUFF_OK;
}

static tuff_status take_all(making *m)
{
    m->count = m->id_count = 0;
    TUFF_TRY(take_sequence_bias(m));
    TUFF_TRY(take_bad_words(m));
    TUFF_TRY(take_single(m, "suppress_tokens", false));
    return take_single(m, "begin_suppress_tokens", true);
}

tuff_status tuff_model_generation_biases(const tuff_model *model, tuff_logit_bias **out_biases,
                                         size_t *out_count)
{
    making m = {.model = model};
    if (out_count) *out_count = 0;
    TUFF_NEED_OUT(out_biases);
    TUFF_NEED(model);
    TUFF_NEED(out_count);
    if (!model->hf_generation) return TUFF_OK;
    TUFF_TRY(take_all(&m));
    if (m.count == 0) return TUFF_OK;
    m.entries = tuff_alloc(m.count * sizeof *m.entries + m.id_count * sizeof *m.ids);
    if (!m.entries) return tuff_fail_memory("biases of tokens");
    m.ids = (int32_t *)(m.entries + m.count);
    *out_biases = m.entries;
    TUFF_TRY(take_all(&m));
    *out_count = m.count;
    return TUFF_OK;
}
