/* More special tokens: the base as tokenizer.json, with entries more. */
#include "text/extend.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/read.h"
#include "text/write.h"

enum { LONGEST = 1024 };

static tuff_status check_token(const tuff_piece *token)
{
    const int shown = (int)(token->size < 60 ? token->size : 60);
    if (!token->size) return tuff_fail(TUFF_INVALID_ARGUMENT, "a token that is to be added is empty");
    if (token->size > LONGEST)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the token \"%.*s\" that is to be added has %zu bytes, expected at most %d", shown,
                         token->data, token->size, (int)LONGEST);
    if (!tuff_utf8_valid(token->data, token->size) || memchr(token->data, 0, token->size))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a token that is to be added is no text in UTF-8");
    return TUFF_OK;
}

/* What tokenizer.json, or tokenizer_config.json (without its id), says of a token. */
static cJSON *entry(const char *text, int64_t id)
{
    cJSON *item = cJSON_CreateObject();
    const bool ok = item && (id < 0 || cJSON_AddNumberToObject(item, "id", (double)id)) &&
                    cJSON_AddStringToObject(item, "content", text) &&
                    cJSON_AddFalseToObject(item, "single_word") && cJSON_AddFalseToObject(item, "lstrip") &&
                    cJSON_AddFalseToObject(item, "rstrip") && cJSON_AddFalseToObject(item, "normalized") &&
                    cJSON_AddTrueToObject(item, "special");
    if (ok) return item;
    cJSON_Delete(item);
    return NULL;
}

static bool is_added(const tuff_tokenizer *t, tuff_view text)
{
    for (size_t i = 0; i < t->added_count; i++)
        if (tuff_view_equal(t->added[i].text, text)) return true;
    return false;
}

/* Into both files; tokens that the base has as such stay as they are. */
static tuff_status add_tokens(const tuff_tokenizer *base, const tuff_piece *tokens, size_t n, cJSON *json,
                              cJSON *config)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "added_tokens"),
          *by_id = cJSON_GetObjectItemCaseSensitive(config, "added_tokens_decoder");
    int64_t next = base->size;
    if (!cJSON_IsArray(list)) {
        cJSON_DeleteItemFromObjectCaseSensitive(json, "added_tokens");
        list = cJSON_AddArrayToObject(json, "added_tokens");
    }
    for (size_t i = 0; i < n; i++) {
        char text[LONGEST + 1], number[32];
        bool twice = false;
        snprintf(text, sizeof text, "%.*s", (int)tokens[i].size, tokens[i].data);
        for (size_t k = 0; k < i; k++)
            twice = twice ||
                    (tokens[k].size == tokens[i].size && memcmp(tokens[k].data, text, tokens[i].size) == 0);
        if (twice || is_added(base, (tuff_view){text, tokens[i].size})) continue;
        const int32_t known = tuff_tokenizer_id(base, text, tokens[i].size);
        const int64_t id = known >= 0 ? known : next++;
        snprintf(number, sizeof number, "%lld", (long long)id);
        cJSON *one = entry(text, id), *other = cJSON_IsObject(by_id) ? entry(text, -1) : NULL;
        if (!list || !one || !cJSON_AddItemToArray(list, one)) {
            cJSON_Delete(one);
            cJSON_Delete(other);
            return tuff_fail_memory("the added tokens of a tokenizer");
        }
        if (cJSON_IsObject(by_id) && !(other && cJSON_AddItemToObject(by_id, number, other))) {
            cJSON_Delete(other);
            return tuff_fail_memory("the added tokens of a tokenizer");
        }
    }
    return TUFF_OK;
}

/* What no tokenizer.json has, or its settings. */
static tuff_status copy_rest(const tuff_tokenizer *base, const char *end, tuff_piece chat_template,
                             tuff_tokenizer *t)
{
    const tuff_view given = {chat_template.data, chat_template.size},
                    text = given.data ? given : base->chat_template;
    t->eos_count = 0;
    if (end) tuff_tokenizer_add_eos(t, tuff_tokenizer_id(t, end, strlen(end)));
    for (size_t i = 0; i < base->eos_count; i++)
        tuff_tokenizer_add_eos(t, base->eos[i]);
    t->bos = base->bos;
    t->unk = base->unk;
    t->pad = base->pad;
    t->cls = base->cls;
    t->sep = base->sep;
    t->mask = base->mask;
    t->chat_file = given.data || base->chat_file;
    t->chat_template = (tuff_view){NULL, 0};
    if (!text.data) return TUFF_OK;
    t->chat_template = tuff_tokenizer_copy(t, text);
    return t->chat_template.data ? TUFF_OK : tuff_fail_memory("a chat template");
}

static tuff_status print(const cJSON *json, tuff_buf *out)
{
    tuff_buf_clear(out);
    return tuff_json_print(json, out) && !out->failed ? TUFF_OK : tuff_fail_memory("a tokenizer's files");
}

static bool set_end(cJSON *config, const char *end)
{
    if (!end) return true;
    cJSON_DeleteItemFromObjectCaseSensitive(config, "eos_token");
    return cJSON_AddStringToObject(config, "eos_token", end) != NULL;
}

tuff_status tuff_tokenizer_extend(const tuff_tokenizer *base, const tuff_piece *tokens, size_t n,
                                  const char *end, tuff_piece chat_template, tuff_tokenizer **out)
{
    tuff_buf text = {0}, settings = {0};
    cJSON *json = NULL, *config = NULL;
    tuff_status status = TUFF_OK;
    *out = NULL;
    for (size_t i = 0; i < n; i++)
        TUFF_TRY(check_token(&tokens[i]));
    TUFF_GO(tuff_write_tokenizer_json(base, &text));
    TUFF_GO(tuff_write_tokenizer_config(base, &settings));
    if (n || end) { /* else they stay as they were read */
        TUFF_GO(tuff_json_parse(text.data, text.size, "tokenizer.json", &json));
        TUFF_GO(tuff_json_parse(settings.data, settings.size, "tokenizer_config.json", &config));
        TUFF_GO(add_tokens(base, tokens, n, json, config));
        if (!set_end(config, end)) TUFF_GO(tuff_fail_memory("a tokenizer's files"));
        TUFF_GO(print(json, &text));
        TUFF_GO(print(config, &settings));
    }
    TUFF_GO(tuff_read_json_tokenizer((tuff_view){text.data, text.size},
                                     (tuff_view){settings.data, settings.size},
                                     "a tokenizer with more tokens", out));
    TUFF_GO(copy_rest(base, end, chat_template, *out));
done:
    if (status != TUFF_OK) tuff_tokenizer_destroy(out);
    tuff_buf_free(&text);
    tuff_buf_free(&settings);
    cJSON_Delete(json);
    cJSON_Delete(config);
    return status;
}
