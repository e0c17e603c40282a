/* WordPiece, Unigram and SentencePiece models, the post-processors, places in the text, truncation and
 * windows against what the Hugging Face library and SentencePiece make of them
 * (assets/tokenizers/encoders.json, made by tests/reference/check_encoders.py). */
#include "kit/kit.h"

#include <tuff/tokenizer.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/memory.h"
#include "hostile.h"

static cJSON *golden;

static int setup(void **state)
{
    (void)state;
    return tuff_json_read(kit_asset("tokenizers/encoders.json"), &golden) == TUFF_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

static const cJSON *get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_non_null(item);
    return item;
}

static tuff_piece text_at(int index)
{
    const char *text = cJSON_GetArrayItem(get(golden, "texts"), index)->valuestring;
    return (tuff_piece){text, strlen(text)};
}

/* The variant's tokenizer.json: its own model keys over those of its base. */
static char *document(const cJSON *variant)
{
    const cJSON *key, *base = get(get(golden, "bases"), get(variant, "base")->valuestring);
    cJSON *whole = cJSON_Duplicate(get(variant, "tokenizer"), true), *model = cJSON_Duplicate(base, true);
    cJSON_ArrayForEach(key, get(whole, "model"))
    {
        cJSON_DeleteItemFromObjectCaseSensitive(model, key->string);
        assert_true(cJSON_AddItemToObject(model, key->string, cJSON_Duplicate(key, true)));
    }
    assert_true(cJSON_ReplaceItemInObjectCaseSensitive(whole, "model", model));
    char *text = cJSON_PrintUnformatted(whole);
    assert_non_null(text);
    cJSON_Delete(whole);
    return text;
}

/* One of an encoding's numbers, in the order of the file. */
static int64_t number_of(const tuff_encoding *e, const char *key, size_t i)
{
    if (strcmp(key, "ids") == 0) return e->ids[i];
    if (strcmp(key, "type_ids") == 0) return e->type_ids[i];
    if (strcmp(key, "texts") == 0) return e->texts[i];
    return (int64_t)(i % 2 ? e->spans[i / 2].end : e->spans[i / 2].start);
}

/* Whether the encoding is what the file says; prints where not. */
static bool same(const tuff_encoding *e, const cJSON *made, const char *name, tuff_piece text)
{
    static const char *const keys[] = {"ids", "type_ids", "texts", "spans"};
    for (size_t k = 0; k < 4; k++) {
        const cJSON *list = get(made, keys[k]), *item;
        size_t i = 0, count = k == 3 ? e->count * 2 : e->count;
        bool equal = (size_t)cJSON_GetArraySize(list) == count;
        cJSON_ArrayForEach(item, list)
        {
            equal = equal && number_of(e, keys[k], i) == item->valueint;
            i++;
        }
        if (equal) continue;
        print_error("%s: \"%.40s\": %s are", name, text.data, keys[k]);
        for (i = 0; i < count; i++)
            print_error(" %lld", (long long)number_of(e, keys[k], i));
        char *wanted = cJSON_PrintUnformatted(list);
        print_error(", expected %s\n", wanted);
        cJSON_free(wanted);
        return false;
    }
    return true;
}

static tuff_tokenizer *load(const cJSON *variant)
{
    char *json = document(variant);
    tuff_tokenizer *t;
    KIT_OK(tuff_tokenizer_from_json(json, strlen(json), NULL, 0, get(variant, "name")->valuestring, &t));
    cJSON_free(json);
    return t;
}

/* ids of the plain call are those of the encoding. */
static void same_ids(const tuff_tokenizer *t, tuff_piece text, const tuff_encoding *e)
{
    int32_t *ids;
    size_t count;
    KIT_OK(tuff_tokenizer_encode(t, text.data, text.size, TUFF_ENCODE_ADD_SPECIAL, &ids, &count));
    assert_int_equal(count, e->count);
    if (count) assert_memory_equal(ids, e->ids, count * sizeof *ids);
    tuff_free(ids);
}

static bool decodes(const tuff_tokenizer *t, const tuff_encoding *e, const cJSON *expected, const char *name)
{
    char *text;
    size_t size;
    KIT_OK(tuff_tokenizer_decode(t, e->ids, e->count, true, &text, &size));
    bool equal = cJSON_IsNull(expected) || strcmp(text, expected->valuestring) == 0;
    if (!equal) print_error("%s: \"%s\", expected \"%s\"\n", name, text, expected->valuestring);
    tuff_free(text);
    return equal;
}

static void every_text_is_the_librarys(void **state)
{
    (void)state;
    const cJSON *variant, *single;
    unsigned wrong = 0, checked = 0;
    cJSON_ArrayForEach(variant, get(golden, "variants"))
    {
        const char *name = get(variant, "name")->valuestring;
        const cJSON *decoded = get(variant, "decoded")->child;
        tuff_tokenizer *t = load(variant);
        tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
        int index = 0;
        params.spans = true;
        cJSON_ArrayForEach(single, get(variant, "singles"))
        {
            tuff_encoding *e;
            tuff_piece text = text_at(index++);
            KIT_OK(tuff_tokenizer_encode_pair(t, text, (tuff_piece){NULL, 0}, &params, &e));
            wrong += !same(e, single, name, text);
            wrong += !decodes(t, e, decoded, name);
            same_ids(t, text, e);
            assert_true(!e->next && e->lost[0] == 0 && e->first[0] == 0);
            tuff_encoding_destroy(&e);
            decoded = decoded->next;
            checked++;
        }
        tuff_tokenizer_destroy(&t);
    }
    assert_true(checked > 400);
    assert_int_equal(wrong, 0);
}

static void every_pair_is_the_librarys(void **state)
{
    (void)state;
    const cJSON *variant, *item;
    unsigned wrong = 0, checked = 0;
    cJSON_ArrayForEach(variant, get(golden, "variants"))
    {
        tuff_tokenizer *t = load(variant);
        cJSON_ArrayForEach(item, get(variant, "pairs"))
        {
            tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
            tuff_piece text = text_at(get(item, "pair")->child->valueint);
            tuff_piece pair = text_at(get(item, "pair")->child->next->valueint);
            tuff_encoding *e;
            params.spans = true;
            params.max_length = (uint32_t)get(item, "max_length")->valueint;
            params.truncation = (tuff_truncation)get(item, "truncation")->valueint;
            tuff_status status = tuff_tokenizer_encode_pair(t, text, pair, &params, &e);
            if (cJSON_IsNull(get(item, "made"))) {
                KIT_FAILS(status, TUFF_INVALID_ARGUMENT, "the text that is not to be cut");
                assert_null(e);
                continue;
            }
            KIT_OK(status);
            wrong += !same(e, get(item, "made"), get(variant, "name")->valuestring, text);
            tuff_encoding_destroy(&e);
            checked++;
        }
        tuff_tokenizer_destroy(&t);
    }
    assert_true(checked > 60);
    assert_int_equal(wrong, 0);
}

static void every_window_is_the_librarys(void **state)
{
    (void)state;
    const cJSON *variant, *item, *window;
    unsigned wrong = 0, checked = 0;
    cJSON_ArrayForEach(variant, get(golden, "variants"))
    {
        tuff_tokenizer *t = load(variant);
        cJSON_ArrayForEach(item, get(variant, "windows"))
        {
            tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
            tuff_piece text = text_at(get(item, "text")->valueint);
            tuff_encoding *first;
            params.spans = params.windows = true;
            params.max_length = (uint32_t)get(item, "max_length")->valueint;
            params.overlap = (uint32_t)get(item, "overlap")->valueint;
            KIT_OK(tuff_tokenizer_encode_pair(t, text, (tuff_piece){NULL, 0}, &params, &first));
            const tuff_encoding *e = first;
            size_t step = params.max_length - tuff_tokenizer_special_count(t, false) - params.overlap, at = 0;
            cJSON_ArrayForEach(window, get(item, "windows"))
            {
                assert_non_null(e);
                wrong += !same(e, window, get(variant, "name")->valuestring, text);
                assert_true(e->first[0] == at && e->lost[0] == 0);
                at += step;
                e = e->next;
                checked++;
            }
            assert_null(e);
            tuff_encoding_destroy(&first);
        }
        tuff_tokenizer_destroy(&t);
    }
    assert_true(checked > 5);
    assert_int_equal(wrong, 0);
}

static bool encodes(const tuff_tokenizer *t, const cJSON *model, const char *how)
{
    const cJSON *text, *ids = get(model, "ids")->child, *id;
    bool all = true;
    cJSON_ArrayForEach(text, get(model, "texts"))
    {
        int32_t *found;
        size_t count, i = 0;
        KIT_OK(tuff_tokenizer_encode(t, text->valuestring, strlen(text->valuestring), 0, &found, &count));
        bool equal = (size_t)cJSON_GetArraySize(ids) == count;
        cJSON_ArrayForEach(id, ids) equal = equal && found[i++] == id->valueint;
        if (!equal)
            print_error("%s, %s: \"%s\" differs\n", get(model, "name")->valuestring, how, text->valuestring);
        all = all && equal;
        tuff_free(found);
        ids = ids->next;
    }
    return all;
}

/* From the .model, from what was written of it, and from it as a GGUF vocabulary. */
static void every_model_file_is_sentencepieces(void **state)
{
    (void)state;
    const cJSON *model;
    unsigned wrong = 0;
    cJSON_ArrayForEach(model, get(golden, "pieces"))
    {
        tuff_buf bytes = {0};
        tuff_tokenizer *t, *again;
        tuff_vocab_export *vocab = NULL;
        assert_true(tuff_base64_decode(tuff_view_of(get(model, "model")->valuestring), &bytes));
        KIT_OK(tuff_tokenizer_from_sentencepiece(bytes.data, bytes.size, NULL, 0, "test.model", &t));
        wrong += !encodes(t, model, "read");
        KIT_OK(tuff_tokenizer_save(t, kit_temp_directory()));
        KIT_OK(tuff_tokenizer_load(kit_temp_directory(), &again));
        wrong += !encodes(again, model, "written");
        tuff_tokenizer_destroy(&again);
        bool unigram = strcmp(tuff_tokenizer_kind(t), "t5") == 0;
        tuff_status status = tuff_vocab_export_create(t, &vocab);
        if (status == TUFF_OK) {
            KIT_OK(tuff_tokenizer_from_desc(tuff_vocab_export_desc(vocab), "again", &again));
            wrong += !encodes(again, model, "described");
            tuff_tokenizer_destroy(&again);
        } else { /* kind llama has no table of replacements */
            KIT_FAILS(status, TUFF_UNSUPPORTED, "replaces characters");
            assert_false(unigram);
        }
        tuff_vocab_export_destroy(&vocab);
        tuff_tokenizer_destroy(&t);
        tuff_buf_free(&bytes);
    }
    assert_int_equal(wrong, 0);
}

/* A Unigram whose normalizer is this table encodes a text that its entries begin. */
static tuff_status use_table(const uint8_t *data, size_t size)
{
    static const tuff_piece tokens[] = {{"<unk>", 5}, {"\xe2\x96\x81", 3}, {"a", 1}};
    static const float scores[] = {0, -1, -2};
    static const char text[] = "A \xc3\xa9\xef\xac\x81 e\xcc\x81\t\xe2\x84\xa2\r\n\xe2\x80\x8b a";
    tuff_vocab_desc desc = TUFF_VOCAB_DESC_INIT;
    tuff_tokenizer *t;
    tuff_encoding *e;
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    desc.kind = "t5";
    desc.size = 3;
    desc.tokens = tokens;
    desc.scores = scores;
    desc.unk = 0;
    desc.charsmap = (tuff_piece){(const char *)data, size};
    params.spans = true;
    tuff_status status = tuff_tokenizer_from_desc(&desc, "test", &t);
    if (status != TUFF_OK) return status;
    status = tuff_tokenizer_encode_pair(t, (tuff_piece){text, sizeof text - 1}, (tuff_piece){NULL, 0},
                                        &params, &e);
    if (status == TUFF_OK) {
        for (size_t i = 0; i < e->count; i++)
            assert_true(e->spans[i].start < e->spans[i].end && e->spans[i].end <= sizeof text - 1);
        tuff_encoding_destroy(&e);
    }
    tuff_tokenizer_destroy(&t);
    return status;
}

static void damaged_tables_are_survived(void **state)
{
    (void)state;
    tuff_buf model = {0};
    const cJSON *unigram = get(golden, "pieces")->child;
    assert_true(tuff_base64_decode(tuff_view_of(get(unigram, "model")->valuestring), &model));
    /* the normalizer is field 3 of the model, its table field 2 of that: "\x12" and the size in two bytes */
    const uint8_t *table = NULL, *data = (const uint8_t *)model.data;
    size_t size = 0;
    for (size_t i = 0; i + 8 < model.size && !table; i++) {
        size_t unit_bytes = data[i + 3] | (size_t)data[i + 4] << 8;
        size = (data[i + 1] & 0x7f) | (size_t)data[i + 2] << 7;
        bool sizes =
            data[i] == 0x12 && data[i + 1] >= 0x80 && data[i + 2] < 0x80 && size <= model.size - i - 3;
        if (sizes && unit_bytes && unit_bytes % 4 == 0 && unit_bytes < size && !data[i + 5] && !data[i + 6])
            table = data + i + 3;
    }
    assert_non_null(table);
    KIT_OK(use_table(table, size));
    hostile_mutate(use_table, table, size);
    tuff_buf_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_is_the_librarys),   cmocka_unit_test(every_pair_is_the_librarys),
        cmocka_unit_test(every_window_is_the_librarys), cmocka_unit_test(every_model_file_is_sentencepieces),
        cmocka_unit_test(damaged_tables_are_survived),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
