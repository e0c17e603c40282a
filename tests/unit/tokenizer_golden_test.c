/* Each component of tokenizer.json against what the Hugging Face library makes of it
 * (assets/tokenizers/golden.json, made by tests/reference/check_tokenizers.py). */
#include "kit/kit.h"

#include <stdio.h>
#include <tuff/tokenizer.h>

#include "base/json.h"
#include "base/memory.h"

static cJSON *golden;

static int setup(void **state)
{
    (void)state;
    return tuff_json_read(kit_asset("tokenizers/golden.json"), &golden) == TUFF_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

/* The variant's tokenizer.json: its own model keys over those of its base. */
static char *document(const cJSON *variant)
{
    const cJSON *base = cJSON_GetObjectItemCaseSensitive(variant, "base"), *key;
    cJSON *whole = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(variant, "tokenizer"), true);
    cJSON *model = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(
                                       cJSON_GetObjectItemCaseSensitive(golden, "models"), base->valuestring),
                                   true);
    assert_non_null(model);
    cJSON_ArrayForEach(key, cJSON_GetObjectItemCaseSensitive(whole, "model"))
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

static unsigned compare(const tuff_tokenizer *tokenizer, const char *name, const char *text, unsigned flags,
                        const cJSON *expected)
{
    int32_t *ids;
    size_t count, i = 0;
    bool same = true;
    const cJSON *id;
    KIT_OK(tuff_tokenizer_encode(tokenizer, text, strlen(text), flags, &ids, &count));
    cJSON_ArrayForEach(id, expected)
    {
        same = same && i < count && ids[i] == id->valueint;
        i++;
    }
    same = same && i == count;
    if (!same) {
        print_error("%s: \"%s\" gives", name, text);
        for (i = 0; i < count; i++)
            print_error(" %d", ids[i]);
        char *wanted = cJSON_PrintUnformatted(expected);
        print_error(", expected %s\n", wanted);
        cJSON_free(wanted);
    }
    tuff_free(ids);
    return !same;
}

/* All at once, and streamed: the same bytes, each streamed part whole characters. */
static unsigned compare_decoded(const tuff_tokenizer *tokenizer, const char *name, const cJSON *ids,
                                const char *expected)
{
    int32_t *list = calloc((size_t)cJSON_GetArraySize(ids) + 1, sizeof *list);
    size_t count = 0, size;
    const cJSON *id;
    char *text;
    tuff_buf streamed = {0};
    tuff_decoder *decoder;
    tuff_piece part;
    assert_non_null(list);
    cJSON_ArrayForEach(id, ids) list[count++] = id->valueint;
    KIT_OK(tuff_tokenizer_decode(tokenizer, list, count, true, &text, &size));
    KIT_OK(tuff_decoder_create(tokenizer, true, &decoder));
    for (size_t i = 0; i < count; i++) {
        KIT_OK(tuff_decoder_feed(decoder, list[i], &part));
        tuff_buf_bytes(&streamed, part.data, part.size);
        if (expected && part.size) assert_true(tuff_utf8_valid(part.data, part.size));
    }
    KIT_OK(tuff_decoder_flush(decoder, &part));
    tuff_buf_bytes(&streamed, part.data, part.size);
    assert_int_equal(streamed.size, size);
    assert_memory_equal(streamed.data, text, size);
    bool same = !expected || strcmp(text, expected) == 0;
    if (!same) print_error("%s: \"%s\", expected \"%s\"\n", name, text, expected);
    tuff_decoder_destroy(&decoder);
    tuff_buf_free(&streamed);
    tuff_free(text);
    free(list);
    return !same;
}

static void every_component_is_hugging_faces(void **state)
{
    (void)state;
    const cJSON *variant, *text;
    const cJSON *texts = cJSON_GetObjectItemCaseSensitive(golden, "texts");
    unsigned wrong = 0, checked = 0;
    cJSON_ArrayForEach(variant, cJSON_GetObjectItemCaseSensitive(golden, "variants"))
    {
        const char *name = cJSON_GetObjectItemCaseSensitive(variant, "name")->valuestring;
        const cJSON *ids = cJSON_GetObjectItemCaseSensitive(variant, "ids")->child;
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(variant, "special_ids")->child;
        const cJSON *decoded = cJSON_GetObjectItemCaseSensitive(variant, "decoded")->child;
        char *json = document(variant);
        tuff_tokenizer *tokenizer;
        KIT_OK(tuff_tokenizer_from_json(json, strlen(json), NULL, 0, name, &tokenizer));
        cJSON_free(json);
        cJSON_ArrayForEach(text, texts)
        {
            wrong += compare(tokenizer, name, text->valuestring, 0, ids);
            wrong += compare(tokenizer, name, text->valuestring, TUFF_ENCODE_ADD_SPECIAL, special);
            wrong += compare_decoded(tokenizer, name, special, cJSON_GetStringValue(decoded));
            ids = ids->next;
            special = special->next;
            decoded = decoded->next;
            checked++;
        }
        tuff_tokenizer_destroy(&tokenizer);
    }
    assert_true(checked > 500);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_component_is_hugging_faces),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
