/* The post-processor of tokenizer.json. */
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/json_steps.h"

static tuff_status add_special(const tuff_tokenizer *t, tuff_template *template, const cJSON *id,
                               int64_t type, const char *where)
{
    if (!cJSON_IsNumber(id) || id->valuedouble < 0 || id->valuedouble >= t->size ||
        !t->tokens[(uint32_t)id->valuedouble].text.data)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the post-processor names an id that no token has", where);
    return tuff_template_add(template, (int32_t)id->valuedouble, (int32_t)type, where);
}

static tuff_status read_type(const cJSON *json, const char *where, int64_t *out)
{
    *out = 0;
    TUFF_TRY(tuff_json_int(json, "type_id", where, out));
    if (*out < 0 || *out > INT32_MAX)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the post-processor has the type_id %lld, expected 0 or more",
                         where, (long long)*out);
    return TUFF_OK;
}

/* {"Sequence": {"id": "A", "type_id": 0}} */
static tuff_status read_sequence(tuff_template *template, const cJSON *json, const char *where)
{
    const char *id = NULL;
    int64_t type;
    TUFF_TRY(tuff_json_text(json, "id", where, &id));
    TUFF_TRY(read_type(json, where, &type));
    bool second = id && strcmp(id, "B") == 0;
    if (!id || (!second && strcmp(id, "A") != 0))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: \"TemplateProcessing\" names the text \"%.60s\", expected A or B", where,
                         id ? id : "");
    return tuff_template_add(template, second ? TUFF_PART_SECOND : TUFF_PART_FIRST, (int32_t)type, where);
}

/* {"SpecialToken": {"id": "[CLS]", "type_id": 0}} */
static tuff_status read_special(const tuff_tokenizer *t, tuff_template *template, const cJSON *json,
                                const cJSON *specials, const char *where)
{
    const char *name = NULL;
    int64_t type;
    const cJSON *id;
    TUFF_TRY(tuff_json_text(json, "id", where, &name));
    TUFF_TRY(read_type(json, where, &type));
    const cJSON *special = name ? cJSON_GetObjectItemCaseSensitive(specials, name) : NULL;
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(special, "ids");
    if (!cJSON_IsArray(ids))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"TemplateProcessing\" names \"%s\", which has no ids", where,
                         name ? name : "nothing");
    cJSON_ArrayForEach(id, ids) TUFF_TRY(add_special(t, template, id, type, where));
    return TUFF_OK;
}

static size_t count_of(const tuff_template *template, int32_t id)
{
    size_t count = 0;
    for (size_t i = 0; i < template->count; i++)
        count += template->parts[i].id == id;
    return count;
}

static tuff_status read_parts(const tuff_tokenizer *t, tuff_template *template, const cJSON *json,
                              const char *key, bool pair, const char *where)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, key), *part;
    const cJSON *specials = cJSON_GetObjectItemCaseSensitive(json, "special_tokens");
    int parts = 0;
    if (pair && !list) return TUFF_OK; /* for those who encode no pairs */
    if (!cJSON_IsArray(list))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"TemplateProcessing\" has no list \"%s\"", where, key);
    cJSON_ArrayForEach(part, list)
    {
        if (++parts > TUFF_TEMPLATE_LIMIT)
            return tuff_fail(TUFF_UNSUPPORTED, "%s: \"TemplateProcessing\" has more than %d parts", where,
                             TUFF_TEMPLATE_LIMIT);
        const cJSON *sequence = cJSON_GetObjectItemCaseSensitive(part, "Sequence");
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(part, "SpecialToken");
        if (sequence)
            TUFF_TRY(read_sequence(template, sequence, where));
        else
            TUFF_TRY(read_special(t, template, special, specials, where));
    }
    if (count_of(template, TUFF_PART_FIRST) != 1 || count_of(template, TUFF_PART_SECOND) != (pair ? 1 : 0))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"TemplateProcessing\" has \"%s\" without %s, once", where,
                         key, pair ? "each of its two texts" : "the text A, and no other");
    return TUFF_OK;
}

/* [CLS] text [SEP] second [SEP], or RoBERTa's <s> text </s></s> second </s>. */
static tuff_status read_ends(tuff_tokenizer *t, const cJSON *json, bool roberta, const char *where)
{
    const cJSON *cls = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "cls"), 1);
    const cJSON *sep = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "sep"), 1);
    tuff_template checked = {.count = 0};
    TUFF_TRY(add_special(t, &checked, cls, 0, where));
    TUFF_TRY(add_special(t, &checked, sep, 0, where));
    int32_t end = checked.parts[1].id;
    tuff_template_fill(&t->single, &t->pair, checked.parts[0].id, end, roberta ? end : -1, !roberta);
    return TUFF_OK;
}

static tuff_status read_trim(tuff_tokenizer *t, const cJSON *json, const char *where)
{
    t->trim = t->trim_prefix = true;
    TUFF_TRY(tuff_json_bool(json, "trim_offsets", where, &t->trim));
    return tuff_json_bool(json, "add_prefix_space", where, &t->trim_prefix);
}

static tuff_status read_post_processor(tuff_tokenizer *t, const cJSON *json, const char *type,
                                       const char *where)
{
    if (strcmp(type, "ByteLevel") == 0) return read_trim(t, json, where);
    bool bert = strcmp(type, "BertProcessing") == 0, roberta = strcmp(type, "RobertaProcessing") == 0;
    if (!bert && !roberta && strcmp(type, "TemplateProcessing") != 0)
        return tuff_json_unsupported("post-processor", type, where);
    if (t->single.count)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: two post-processors that put tokens around a text (\"%s\" is the "
                         "second); Tuff supports one",
                         where, type);
    if (roberta) TUFF_TRY(read_trim(t, json, where));
    if (bert || roberta) return read_ends(t, json, roberta, where);
    TUFF_TRY(read_parts(t, &t->single, json, "single", false, where));
    return read_parts(t, &t->pair, json, "pair", true, where);
}

tuff_status tuff_read_post_processor(tuff_tokenizer *tokenizer, const cJSON *json, const char *where)
{
    tokenizer->single.count = tokenizer->pair.count = 0;
    TUFF_TRY(tuff_json_each(tokenizer, json, "post-processor", "processors", where, read_post_processor));
    if (!tokenizer->single.count) tuff_template_fill(&tokenizer->single, &tokenizer->pair, -1, -1, -1, true);
    return TUFF_OK;
}
