/* tokenizer.json as a whole: its tokens, then its parts in turn. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/known_cuts.h"
#include "text/json_steps.h"

/* They are sought at each place of a text. */
enum { LONGEST_ADDED = 1024 };

static tuff_status read_id(const cJSON *value, const char *token, const char *where, uint32_t *out)
{
    double id = cJSON_IsNumber(value) ? value->valuedouble : -1;
    if (!(id >= 0 && id < TUFF_ID_LIMIT) || id != floor(id))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the token \"%.60s\" has no valid id, expected a whole number from 0 to %d",
                         where, token, TUFF_ID_LIMIT - 1);
    *out = (uint32_t)id;
    return TUFF_OK;
}

static const char *content_of(const cJSON *added)
{
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(added, "content");
    return cJSON_IsString(content) ? content->valuestring : NULL;
}

tuff_status tuff_count_ids(uint32_t listed, const cJSON *vocab, const cJSON *added, const char *where,
                           uint32_t *out_size)
{
    const cJSON *item;
    uint32_t id, count = listed, largest = listed ? listed - 1 : 0;
    cJSON_ArrayForEach(item, vocab)
    {
        TUFF_TRY(read_id(item, item->string, where, &id));
        if (id > largest) largest = id;
        count++;
    }
    cJSON_ArrayForEach(item, added)
    {
        const char *content = content_of(item);
        if (!content) return tuff_fail(TUFF_BAD_FORMAT, "%s: an added token has no \"content\"", where);
        TUFF_TRY(read_id(cJSON_GetObjectItemCaseSensitive(item, "id"), content, where, &id));
        if (id > largest) largest = id;
        count++;
    }
    if (count == 0) return tuff_fail(TUFF_BAD_FORMAT, "%s: the vocabulary is empty", where);
    /* Real vocabularies have few holes; a single huge id must not cost memory. */
    if (largest / 2 > count + 512)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: an id of %u in a vocabulary of %u tokens leaves too many ids unused", where,
                         largest, count);
    *out_size = largest + 1;
    return TUFF_OK;
}

tuff_status tuff_read_vocab(tuff_tokenizer *t, const cJSON *vocab, const char *where)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, vocab)
    {
        uint32_t id;
        tuff_view text = tuff_view_of(item->string);
        TUFF_TRY(read_id(item, item->string, where, &id));
        if (t->tokens[id].text.data)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: the tokens \"%.60s\" and \"%.60s\" have the same id %u",
                             where, t->tokens[id].text.data, item->string, id);
        tuff_view copy = tuff_tokenizer_copy(t, text);
        if (!copy.data || !tuff_map_put(&t->vocab, copy.data, copy.size, id))
            return tuff_fail_memory("the tokens of a tokenizer");
        t->tokens[id] = (tuff_token){.text = copy, .type = TUFF_TOKEN_NORMAL, .in_model = true};
    }
    return TUFF_OK;
}

static tuff_status read_added_token(tuff_tokenizer *t, const cJSON *item, const char *where)
{
    uint32_t id, other;
    const char *content = content_of(item);
    tuff_view text = tuff_view_of(content);
    if (text.size > LONGEST_ADDED)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: an added token of %zu bytes, Tuff supports up to %d", where,
                         text.size, (int)LONGEST_ADDED);
    TUFF_TRY(read_id(cJSON_GetObjectItemCaseSensitive(item, "id"), content, where, &id));
    if (t->tokens[id].text.data && !tuff_view_equal(t->tokens[id].text, text))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the tokens \"%.60s\" and \"%.60s\" have the same id %u", where,
                         t->tokens[id].text.data, content, id);
    if (tuff_map_get(&t->vocab, text.data, text.size, &other) && other != id)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the added token \"%.60s\" has the id %u, but the vocabulary gives it %u", where,
                         content, id, other);
    if (!t->tokens[id].text.data) {
        t->tokens[id].text = tuff_tokenizer_copy(t, text);
        if (!t->tokens[id].text.data) return tuff_fail_memory("the tokens of a tokenizer");
    }
    tuff_added_token added = {.text = t->tokens[id].text, .id = (int32_t)id, .normalized = true};
    added.special = false;
    TUFF_TRY(tuff_json_bool(item, "special", where, &added.special));
    added.normalized = !added.special;
    TUFF_TRY(tuff_json_bool(item, "normalized", where, &added.normalized));
    TUFF_TRY(tuff_json_bool(item, "single_word", where, &added.single_word));
    TUFF_TRY(tuff_json_bool(item, "lstrip", where, &added.left));
    TUFF_TRY(tuff_json_bool(item, "rstrip", where, &added.right));
    t->tokens[id].special = added.special;
    t->tokens[id].type = added.special ? TUFF_TOKEN_CONTROL : TUFF_TOKEN_USER_DEFINED;
    t->added[t->added_count++] = added;
    return TUFF_OK;
}

tuff_status tuff_read_added(tuff_tokenizer *t, const cJSON *added, size_t more, const char *where)
{
    const cJSON *item;
    t->added = tuff_arena_array(&t->arena, (size_t)cJSON_GetArraySize(added) + more, sizeof *t->added);
    if (!t->added) return tuff_fail_memory("the added tokens of a tokenizer");
    cJSON_ArrayForEach(item, added) TUFF_TRY(read_added_token(t, item, where));
    return TUFF_OK;
}

static void mark_bytes(tuff_tokenizer *t)
{
    bool unigram = t->model == TUFF_WORDS_UNIGRAM;
    bool fallback = unigram ? t->unigram.byte_fallback : t->bpe.byte_fallback;
    const int32_t *bytes = unigram ? t->unigram.bytes : t->bpe.bytes;
    for (unsigned b = 0; b < 256; b++) {
        if (fallback && bytes[b] >= 0) t->tokens[bytes[b]].type = TUFF_TOKEN_BYTE;
    }
}

static tuff_status read_tokenizer(tuff_tokenizer *t, const cJSON *json, const cJSON *config,
                                  const char *where)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(json, "model");
    const cJSON *added = cJSON_GetObjectItemCaseSensitive(json, "added_tokens");
    uint32_t size;
    TUFF_TRY(tuff_json_model_kind(model, where, &t->model));
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(model, "vocab");
    bool listed = t->model == TUFF_WORDS_UNIGRAM; /* a token's place in the list is its id */
    TUFF_TRY(tuff_count_ids(listed ? (uint32_t)cJSON_GetArraySize(vocab) : 0, listed ? NULL : vocab, added,
                            where, &size));
    TUFF_TRY(tuff_tokenizer_reserve(t, size));
    if (listed)
        TUFF_TRY(tuff_json_scored_vocab(t, vocab, where));
    else
        TUFF_TRY(tuff_read_vocab(t, vocab, where));
    TUFF_TRY(tuff_read_added(t, added, 0, where));
    TUFF_TRY(tuff_json_model(t, model, where));
    TUFF_TRY(tuff_read_normalizer(t, cJSON_GetObjectItemCaseSensitive(json, "normalizer"), where));
    TUFF_TRY(tuff_read_pre_tokenizer(t, cJSON_GetObjectItemCaseSensitive(json, "pre_tokenizer"), where));
    TUFF_TRY(tuff_read_decoder(t, cJSON_GetObjectItemCaseSensitive(json, "decoder"), where));
    TUFF_TRY(tuff_read_post_processor(t, cJSON_GetObjectItemCaseSensitive(json, "post_processor"), where));
    TUFF_TRY(tuff_tokenizer_finish(t, where));
    if (config) TUFF_TRY(tuff_read_config(t, config, where));
    tuff_guess_specials(t);
    t->cut = tuff_known_cut_of(t);
    mark_bytes(t);
    t->space_pieces = !t->byte_level && t->bpe.byte_fallback;
    return TUFF_OK;
}

tuff_status tuff_read_json_tokenizer(tuff_view json, tuff_view config, const char *where,
                                     tuff_tokenizer **out_tokenizer)
{
    *out_tokenizer = NULL;
    cJSON *tree = NULL, *config_tree = NULL;
    tuff_tokenizer *t = NULL;
    tuff_status status;
    TUFF_GO(tuff_json_parse(json.data, json.size, where, &tree));
    if (config.data)
        TUFF_GO(tuff_json_parse(config.data, config.size, "tokenizer_config.json", &config_tree));
    TUFF_GO(tuff_tokenizer_new(&t));
    TUFF_GO(read_tokenizer(t, tree, config_tree, where));
    t->json = tuff_tokenizer_copy(t, json);
    if (config.data) t->config = tuff_tokenizer_copy(t, config);
    if (!t->json.data || (config.data && !t->config.data)) {
        status = tuff_fail_memory("a tokenizer");
        goto done;
    }
    *out_tokenizer = t;
    t = NULL;
done:
    tuff_tokenizer_destroy(&t);
    cJSON_Delete(tree);
    cJSON_Delete(config_tree);
    return status;
}

tuff_status tuff_tokenizer_from_json(const char *json, size_t json_size, const char *config,
                                     size_t config_size, const char *where, tuff_tokenizer **out_tokenizer)
{
    TUFF_NEED_OUT(out_tokenizer);
    TUFF_NEED(json);
    TUFF_NEED_MANY(config, config_size);
    TUFF_NEED(where);
    TUFF_TRY(tuff_read_json_tokenizer((tuff_view){json, json_size}, (tuff_view){config, config_size}, where,
                                      out_tokenizer));
    tuff_tokenizer_guess_eos(*out_tokenizer);
    return TUFF_OK;
}
