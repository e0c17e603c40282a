/* Every tokenizer of the golden files, in parts: the ids of the whole, or why it may not be cut. */
#include <stdio.h>
#include <tuff/tokenizer.h>

#include "base/json.h"
#include "parts_fixture.h"

static tuff_buf text;

static const cJSON *get(const cJSON *json, const char *key)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, key);
    assert_non_null(found);
    return found;
}

/* The variant's tokenizer.json: its own model keys over those of its base. */
static tuff_tokenizer *load(const cJSON *bases, const cJSON *variant)
{
    const cJSON *key;
    cJSON *whole = cJSON_Duplicate(get(variant, "tokenizer"), true);
    cJSON *model = cJSON_Duplicate(get(bases, get(variant, "base")->valuestring), true);
    cJSON_ArrayForEach(key, get(whole, "model"))
    {
        cJSON_DeleteItemFromObjectCaseSensitive(model, key->string);
        assert_true(cJSON_AddItemToObject(model, key->string, cJSON_Duplicate(key, true)));
    }
    assert_true(cJSON_ReplaceItemInObjectCaseSensitive(whole, "model", model));
    char *json = cJSON_PrintUnformatted(whole);
    tuff_tokenizer *t;
    assert_non_null(json);
    KIT_OK(tuff_tokenizer_from_json(json, strlen(json), NULL, 0, "test", &t));
    cJSON_free(json);
    cJSON_Delete(whole);
    return t;
}

/* How many may be cut, and at which kinds of places. */
typedef struct found {
    int tokenizers, whole, lines, spaces, marks;
} found;

static void check(const tuff_tokenizer *t, const char *name, found *f)
{
    tuff_parts parts;
    bool can;
    int count;
    KIT_OK(tuff_parts_begin(t, &parts, &can));
    f->tokenizers++;
    f->whole += !can;
    f->lines += (parts.kinds & TUFF_PARTS_LINES) != 0;
    f->spaces += (parts.kinds & TUFF_PARTS_SPACES) != 0;
    f->marks += (parts.kinds & TUFF_PARTS_MARKS) != 0;
    assert_int_equal(can, parts.why == NULL);
    for (unsigned kind = 1; kind < TUFF_PARTS_ALL; kind *= 2) {
        if (!(parts.kinds & kind)) continue;
        if (!parts_same(t, parts, kind, (tuff_view){text.data, text.size}, &count))
            fail_msg("%s, cut at places of kind %u", name, kind);
        assert_true(count > 20);
    }
}

static found check_all(const char *file, const char *bases)
{
    found f = {0};
    cJSON *golden;
    const cJSON *variant;
    KIT_OK(tuff_json_read(kit_asset(file), &golden));
    cJSON_ArrayForEach(variant, get(golden, "variants"))
    {
        tuff_tokenizer *t = load(get(golden, bases), variant);
        check(t, get(variant, "name")->valuestring, &f);
        tuff_tokenizer_destroy(&t);
    }
    cJSON_Delete(golden);
    return f;
}

static void expect(found f, found wanted)
{
    if (memcmp(&f, &wanted, sizeof f) != 0)
        fail_msg("%d tokenizers, %d whole, %d at lines, %d at spaces, %d at marks", f.tokenizers, f.whole,
                 f.lines, f.spaces, f.marks);
}

static void ids_of_parts_are_those_of_the_text(void **state)
{
    (void)state;
    expect(check_all("tokenizers/golden.json", "models"), (found){43, 19, 21, 10, 3});
    expect(check_all("tokenizers/encoders.json", "bases"), (found){29, 5, 18, 24, 5});
}

static int begin(void **state)
{
    (void)state;
    parts_write(&text, 11, 8000);
    parts_write_characters(&text, 12, 20000);
    return text.failed;
}

static int end(void **state)
{
    (void)state;
    tuff_buf_free(&text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_parts_are_those_of_the_text),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
