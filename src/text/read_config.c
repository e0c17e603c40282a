/* What the files beside tokenizer.json say. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/read.h"

tuff_status tuff_config_token(const cJSON *config, const char *key, const char *where, const char **out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    *out = NULL;
    if (cJSON_IsObject(item)) item = cJSON_GetObjectItemCaseSensitive(item, "content");
    if (!item || cJSON_IsNull(item)) return TUFF_OK;
    if (!cJSON_IsString(item))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"%s\" of tokenizer_config.json is not a token", where, key);
    *out = item->valuestring;
    return TUFF_OK;
}

static const char *class_of_type(const char *type)
{
    static const char *const classes[][2] = {
        {"roberta", "RobertaTokenizer"},
        {"xlm-roberta", "XLMRobertaTokenizer"},
        {"camembert", "CamembertTokenizer"},
        {"llama", "LlamaTokenizer"},
        {"mistral", "LlamaTokenizer"},
        {"qwen2", "Qwen2Tokenizer"},
        {"t5", "T5Tokenizer"},
        {"mt5", "T5Tokenizer"},
        {"albert", "AlbertTokenizer"},
        {"deberta-v2", "DebertaV2Tokenizer"},
        {"gemma", "GemmaTokenizer"},
    };
    for (size_t i = 0; type && i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i][0], type) == 0) return classes[i][1];
    return NULL;
}

static tuff_status find_class(const cJSON *model, const char **out)
{
    const char *type = NULL;
    *out = NULL;
    TUFF_TRY(tuff_json_text(model, "tokenizer_class", "config.json", out));
    if (!*out) TUFF_TRY(tuff_json_text(model, "model_type", "config.json", &type));
    if (!*out) *out = class_of_type(type);
    return TUFF_OK;
}

tuff_status tuff_config_with_class(tuff_view config, tuff_view model, tuff_buf *out)
{
    static const char key[] = "tokenizer_class";
    cJSON *tree = NULL, *model_tree = NULL;
    const char *class = NULL;
    char *text = NULL;
    tuff_status status = TUFF_OK;
    if (!model.data) return TUFF_OK;
    if (config.data) TUFF_GO(tuff_json_parse(config.data, config.size, "tokenizer_config.json", &tree));
    if (tree && !cJSON_IsObject(tree)) goto done; /* who reads it says so */
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(tree, key);
    if (named && !cJSON_IsNull(named)) goto done;
    TUFF_GO(tuff_json_parse(model.data, model.size, "config.json", &model_tree));
    TUFF_GO(find_class(model_tree, &class));
    if (!class) goto done;
    cJSON_DeleteItemFromObjectCaseSensitive(tree, key);
    if (!tree) tree = cJSON_CreateObject();
    if (cJSON_AddStringToObject(tree, key, class)) text = cJSON_Print(tree);
    if (text) tuff_buf_text(out, text);
    if (!text || out->failed) status = tuff_fail_memory("a tokenizer's settings");
done:
    cJSON_free(text);
    cJSON_Delete(tree);
    cJSON_Delete(model_tree);
    return status;
}

/* The id of "eos_token" and the like. Absent, null or unknown: *out stays. */
static tuff_status read_token(const tuff_tokenizer *t, const cJSON *config, const char *key,
                              const char *where, int32_t *out)
{
    const char *text;
    TUFF_TRY(tuff_config_token(config, key, where, &text));
    /* Some models name a token here that they do not have; Hugging Face would add it, and no model row fits
     * it. */
    int32_t id = text ? tuff_tokenizer_id(t, text, strlen(text)) : -1;
    if (id >= 0) *out = id;
    return TUFF_OK;
}

tuff_status tuff_config_added(const cJSON *config, const char *where, cJSON **out_added)
{
    cJSON *added = *out_added = cJSON_CreateArray();
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, "added_tokens_decoder"), *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsObject(list) || !cJSON_IsObject(item))
            return tuff_fail(
                TUFF_BAD_FORMAT,
                "%s: \"added_tokens_decoder\" of tokenizer_config.json is not an object of objects", where);
        char *end = NULL;
        double id = (double)strtoul(item->string, &end, 10);
        cJSON *copy = cJSON_Duplicate(item, true);
        if (!added || !copy || !cJSON_AddNumberToObject(copy, "id", end != item->string && !*end ? id : -1)) {
            cJSON_Delete(copy);
            return tuff_fail_memory("the added tokens of a tokenizer");
        }
        cJSON_AddItemToArray(added, copy);
    }
    return added ? TUFF_OK : tuff_fail_memory("the added tokens of a tokenizer");
}

/* A string, or a list of named ones, of which "default" is taken. */
static tuff_status read_chat_template(tuff_tokenizer *t, const cJSON *config)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, "chat_template"), *one;
    if (cJSON_IsArray(item)) {
        const cJSON *list = item;
        item = NULL;
        cJSON_ArrayForEach(one, list)
        {
            const cJSON *name = cJSON_GetObjectItemCaseSensitive(one, "name");
            if (cJSON_IsString(name) && strcmp(name->valuestring, "default") == 0)
                item = cJSON_GetObjectItemCaseSensitive(one, "template");
        }
    }
    if (!cJSON_IsString(item)) return TUFF_OK;
    t->chat_template = tuff_tokenizer_copy(t, tuff_view_of(item->valuestring));
    return t->chat_template.data ? TUFF_OK : tuff_fail_memory("a chat template");
}

tuff_status tuff_read_config(tuff_tokenizer *tokenizer, const cJSON *config, const char *where)
{
    int32_t eos = -1;
    if (!cJSON_IsObject(config))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: its tokenizer_config.json is not an object", where);
    TUFF_TRY(read_token(tokenizer, config, "bos_token", where, &tokenizer->bos));
    TUFF_TRY(read_token(tokenizer, config, "eos_token", where, &eos));
    TUFF_TRY(read_token(tokenizer, config, "unk_token", where, &tokenizer->unk));
    TUFF_TRY(read_token(tokenizer, config, "pad_token", where, &tokenizer->pad));
    TUFF_TRY(read_token(tokenizer, config, "cls_token", where, &tokenizer->cls));
    TUFF_TRY(read_token(tokenizer, config, "sep_token", where, &tokenizer->sep));
    TUFF_TRY(read_token(tokenizer, config, "mask_token", where, &tokenizer->mask));
    tuff_tokenizer_add_eos(tokenizer, eos);
    return read_chat_template(tokenizer, config);
}

static tuff_status check_id(const tuff_tokenizer *t, const cJSON *item, const char *key, const char *where,
                            int32_t *out)
{
    if (!cJSON_IsNumber(item)) return tuff_fail(TUFF_BAD_FORMAT, "%s: \"%s\" is not a number", where, key);
    /* -1, or an id past the tokenizer's, is how some files say "none". */
    bool known = item->valuedouble >= 0 && item->valuedouble < t->size;
    *out = known ? (int32_t)item->valuedouble : -1;
    return TUFF_OK;
}

static tuff_status read_id(const tuff_tokenizer *t, const cJSON *config, const char *key, const char *where,
                           int32_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    if (*out >= 0 || !item || cJSON_IsNull(item)) return TUFF_OK;
    return check_id(t, item, key, where, out);
}

tuff_status tuff_read_model_ids(tuff_tokenizer *tokenizer, const cJSON *config, const char *where)
{
    const cJSON *eos = cJSON_GetObjectItemCaseSensitive(config, "eos_token_id"), *item;
    int32_t id = -1;
    TUFF_TRY(read_id(tokenizer, config, "bos_token_id", where, &tokenizer->bos));
    TUFF_TRY(read_id(tokenizer, config, "pad_token_id", where, &tokenizer->pad));
    if (!cJSON_IsArray(eos)) {
        TUFF_TRY(read_id(tokenizer, config, "eos_token_id", where, &id));
        tuff_tokenizer_add_eos(tokenizer, id);
        return TUFF_OK;
    }
    cJSON_ArrayForEach(item, eos)
    {
        TUFF_TRY(check_id(tokenizer, item, "eos_token_id", where, &id));
        tuff_tokenizer_add_eos(tokenizer, id);
    }
    return TUFF_OK;
}
