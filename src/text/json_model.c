/* The model of tokenizer.json: how words become tokens. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "text/json_steps.h"

/* Old files name no type; what they hold tells it. */
static const char *type_by_content(const cJSON *model)
{
    if (cJSON_GetObjectItemCaseSensitive(model, "merges")) return "BPE";
    if (cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(model, "vocab"))) return "Unigram";
    return cJSON_GetObjectItemCaseSensitive(model, "continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

static tuff_status check_bpe(const cJSON *model, const char *where)
{
    double dropout = 0;
    TUFF_TRY(tuff_json_number(model, "dropout", where, &dropout));
    if (dropout != 0)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: \"dropout\" of merges is not supported by Tuff", where);
    const char *prefix = NULL, *suffix = NULL;
    bool bytes = false;
    TUFF_TRY(tuff_json_text(model, "continuing_subword_prefix", where, &prefix));
    TUFF_TRY(tuff_json_text(model, "end_of_word_suffix", where, &suffix));
    TUFF_TRY(tuff_json_bool(model, "byte_fallback", where, &bytes));
    if (prefix && *prefix)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: the \"continuing_subword_prefix\" of a BPE is not supported by Tuff", where);
    if (suffix && *suffix && (bytes || strlen(suffix) > TUFF_BPE_SUFFIX))
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s: an \"end_of_word_suffix\" of more than %d bytes, or beside \"byte_fallback\", is "
            "not supported by Tuff",
            where, TUFF_BPE_SUFFIX);
    return TUFF_OK;
}

tuff_status tuff_json_model_kind(const cJSON *model, const char *where, tuff_word_model *out)
{
    static const char *const types[] = {"BPE", "WordPiece", "Unigram"};
    const char *type = NULL;
    int kind = -1;
    if (!cJSON_IsObject(model)) return tuff_fail(TUFF_BAD_FORMAT, "%s: no \"model\"", where);
    TUFF_TRY(tuff_json_text(model, "type", where, &type));
    if (!type) type = type_by_content(model);
    for (int i = 0; i < 3; i++) {
        if (strcmp(type, types[i]) == 0) kind = i;
    }
    if (kind < 0)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: the model \"%s\" is not supported by Tuff, expected \"BPE\", \"WordPiece\" or "
                         "\"Unigram\"",
                         where, type);
    *out = (tuff_word_model)kind;
    if (*out == TUFF_WORDS_BPE) TUFF_TRY(check_bpe(model, where));
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(model, "vocab");
    bool list = *out == TUFF_WORDS_UNIGRAM;
    if (list ? !cJSON_IsArray(vocab) : !cJSON_IsObject(vocab))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the model has no %s \"vocab\"", where,
                         list ? "list" : "object");
    return TUFF_OK;
}

tuff_status tuff_json_scored_vocab(tuff_tokenizer *t, const cJSON *vocab, const char *where)
{
    const cJSON *item;
    uint32_t id = 0;
    cJSON_ArrayForEach(item, vocab)
    {
        const cJSON *text = cJSON_GetArrayItem(item, 0), *score = cJSON_GetArrayItem(item, 1);
        if (!cJSON_IsString(text) || !cJSON_IsNumber(score) || !isfinite(score->valuedouble) || score->next)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: token %u is not [\"text\", score]", where, id);
        tuff_view copy = tuff_tokenizer_copy(t, tuff_view_of(text->valuestring));
        uint32_t other;
        if (copy.data && tuff_map_get(&t->vocab, copy.data, copy.size, &other))
            t->tokens[other].in_model = false; /* of tokens spelled alike the last counts */
        if (!copy.data || !tuff_map_put(&t->vocab, copy.data, copy.size, id))
            return tuff_fail_memory("the tokens of a tokenizer");
        t->tokens[id++] = (tuff_token){
            .text = copy, .score = score->valuedouble, .type = TUFF_TOKEN_NORMAL, .in_model = true};
    }
    t->scored = true;
    return TUFF_OK;
}

static tuff_status read_merges(tuff_tokenizer *t, const cJSON *merges, const char *where)
{
    const cJSON *item;
    size_t index = 0;
    if (!cJSON_IsArray(merges))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the model has no list \"merges\"", where);
    cJSON_ArrayForEach(item, merges)
    {
        const cJSON *a = cJSON_GetArrayItem(item, 0), *b = cJSON_GetArrayItem(item, 1);
        if (cJSON_IsString(item)) {
            TUFF_TRY(tuff_add_merge_text(t, tuff_view_of(item->valuestring), index, where));
        } else if (cJSON_IsString(a) && cJSON_IsString(b) && !b->next) {
            tuff_view left = tuff_view_of(a->valuestring), right = tuff_view_of(b->valuestring);
            TUFF_TRY(tuff_add_merge(t, left, right, index, where));
        } else {
            return tuff_fail(TUFF_BAD_FORMAT, "%s: merge %zu is neither \"a b\" nor [\"a\", \"b\"]", where,
                             index);
        }
        index++;
    }
    return TUFF_OK;
}

static tuff_status find_unk(tuff_tokenizer *t, const char *unk, const char *where)
{
    uint32_t id;
    if (!tuff_map_get(&t->vocab, unk, strlen(unk), &id))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the \"unk_token\" \"%.60s\" is not in the vocabulary", where,
                         unk);
    t->unk = (int32_t)id;
    t->tokens[id].type = TUFF_TOKEN_UNKNOWN;
    return TUFF_OK;
}

static tuff_status read_bpe(tuff_tokenizer *t, const cJSON *model, const char *where)
{
    const char *unk = NULL, *suffix = NULL;
    TUFF_TRY(tuff_json_text(model, "end_of_word_suffix", where, &suffix));
    if (suffix && *suffix) {
        t->bpe.suffix = tuff_tokenizer_copy(t, tuff_view_of(suffix));
        if (!t->bpe.suffix.data) return tuff_fail_memory("the model of a tokenizer");
    }
    TUFF_TRY(tuff_json_bool(model, "byte_fallback", where, &t->bpe.byte_fallback));
    TUFF_TRY(tuff_json_bool(model, "fuse_unk", where, &t->bpe.fuse_unk));
    TUFF_TRY(tuff_json_bool(model, "ignore_merges", where, &t->bpe.whole_words));
    TUFF_TRY(tuff_json_text(model, "unk_token", where, &unk));
    if (unk) TUFF_TRY(find_unk(t, unk, where));
    t->bpe.unk = t->unk;
    return read_merges(t, cJSON_GetObjectItemCaseSensitive(model, "merges"), where);
}

static tuff_status read_wordpiece(tuff_tokenizer *t, const cJSON *model, const char *where)
{
    const char *unk = "[UNK]", *prefix = "##";
    int64_t longest = 100;
    TUFF_TRY(tuff_json_text(model, "unk_token", where, &unk));
    TUFF_TRY(tuff_json_text(model, "continuing_subword_prefix", where, &prefix));
    TUFF_TRY(tuff_json_int(model, "max_input_chars_per_word", where, &longest));
    if (longest < 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"max_input_chars_per_word\" is %lld, expected 0 or more",
                         where, (long long)longest);
    TUFF_TRY(find_unk(t, unk, where));
    t->wordpiece.unk = t->unk;
    t->wordpiece.longest = (size_t)longest;
    t->wordpiece.prefix = tuff_tokenizer_copy(t, tuff_view_of(prefix));
    return t->wordpiece.prefix.data ? TUFF_OK : tuff_fail_memory("the model of a tokenizer");
}

static tuff_status read_unigram(tuff_tokenizer *t, const cJSON *model, const char *where)
{
    int64_t unk = -1;
    int count = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(model, "vocab"));
    TUFF_TRY(tuff_json_bool(model, "byte_fallback", where, &t->unigram.byte_fallback));
    TUFF_TRY(tuff_json_int(model, "unk_id", where, &unk));
    if (unk >= count)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: \"unk_id\" is %lld, past the vocabulary of %d tokens", where,
                         (long long)unk, count);
    if (unk < 0) return TUFF_OK;
    t->unk = t->unigram.unk = (int32_t)unk;
    t->tokens[unk].type = TUFF_TOKEN_UNKNOWN;
    return TUFF_OK;
}

tuff_status tuff_json_model(tuff_tokenizer *t, const cJSON *model, const char *where)
{
    switch (t->model) {
    case TUFF_WORDS_WORDPIECE:
        return read_wordpiece(t, model, where);
    case TUFF_WORDS_UNIGRAM:
        return read_unigram(t, model, where);
    case TUFF_WORDS_BPE:
        break;
    }
    return read_bpe(t, model, where);
}
