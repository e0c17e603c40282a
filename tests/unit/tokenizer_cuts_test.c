/* The ways of cutting text that have a name in GGUF, against what the tokenizers library makes of the models'
 * own patterns (assets/tokenizers/cuts.json, made by tests/reference/make_cut_goldens.py). */
#include "tokenizer_fixture.h"

#include "base/json.h"
#include "formats/gguf.h"
#include "models/vocab.h"
#include "text/known_cuts.h"
#include "text/tokenizer_impl.h"
#include "text/write.h"

static const char *const lines[] = {
#define TUFF_CUT(names, flags, ...) names,
#define TUFF_CUT_SPELLED(name, ...)
#include "text/known_cuts.def"
};
enum { LINES = sizeof lines / sizeof *lines };

static tuff_tokenizer *make(const char *pre)
{
    static const char *const none[] = {NULL};
    static fixture f;
    tuff_tokenizer *tokenizer;
    fixture_gpt2(&f, pre, none);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &tokenizer));
    return tokenizer;
}

typedef struct words {
    size_t sizes[256], count;
} words;

static tuff_status take(void *user, tuff_view word)
{
    words *w = user;
    assert_true(w->count < 256);
    w->sizes[w->count++] = word.size;
    return TUFF_OK;
}

/* What the steps before the last one, bytes as characters, make of a text. */
static void cut(const tuff_tokenizer *t, const char *text, words *out)
{
    tuff_split_run run;
    out->count = 0;
    KIT_OK(tuff_split_begin(t->splitters, t->splitter_count - 1, false, take, out, NULL, &run));
    KIT_OK(tuff_split(&run, tuff_view_of(text), true));
    tuff_split_end(&run);
}

static bool same(const words *found, const cJSON *expected)
{
    size_t i = 0;
    const cJSON *size;
    cJSON_ArrayForEach(size, expected)
    {
        if (i == found->count || found->sizes[i] != (size_t)size->valueint) return false;
        i++;
    }
    return i == found->count;
}

static void words_are_those_of_the_models(void **state)
{
    (void)state;
    cJSON *golden;
    KIT_OK(tuff_json_read(kit_asset("tokenizers/cuts.json"), &golden));
    const cJSON *texts = cJSON_GetObjectItemCaseSensitive(golden, "texts");
    const cJSON *cuts = cJSON_GetObjectItemCaseSensitive(golden, "cuts"), *expected, *row, *text;
    unsigned wrong = 0, names = 0;
    cJSON_ArrayForEach(expected, cuts)
    {
        tuff_tokenizer *t = make(expected->string);
        row = expected->child;
        cJSON_ArrayForEach(text, texts)
        {
            words found;
            assert_non_null(row);
            cut(t, text->valuestring, &found);
            if (!same(&found, row) && wrong++ < 20) {
                char *wanted = cJSON_PrintUnformatted(row);
                printf("%s: \"%s\": %s, found", expected->string, text->valuestring, wanted);
                for (size_t i = 0; i < found.count; i++)
                    printf(" %zu", found.sizes[i]);
                printf("\n");
                cJSON_free(wanted);
            }
            row = row->next;
        }
        tuff_tokenizer_destroy(&t);
        names++;
    }
    cJSON_Delete(golden);
    assert_int_equal(wrong, 0);
    assert_true(names > 0);
}

/* Every name loads; written as tokenizer.json and read again it has the name of its line, so that a GGUF made
 * of that has it too. */
static void names_survive_tokenizer_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < LINES; i++) {
        char name[64];
        for (const char *at = lines[i]; *at; at += *at == ' ') {
            size_t size = strcspn(at, " ");
            snprintf(name, sizeof name, "%.*s", (int)size, at);
            at += size;
            tuff_tokenizer *t = make(name), *again;
            tuff_buf json = {0};
            KIT_OK(tuff_write_tokenizer_json(t, &json));
            KIT_OK(tuff_tokenizer_from_json(json.data, json.size, NULL, 0, name, &again));
            if (!again->cut || again->cut != t->cut)
                fail_msg("%s came back as %s", name, again->cut ? again->cut->names : "unknown");
            tuff_buf_free(&json);
            tuff_tokenizer_destroy(&again);
            tuff_tokenizer_destroy(&t);
        }
    }
}

static void names_are_there_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < LINES; i++) {
        for (const char *at = lines[i]; *at; at += *at == ' ') {
            char name[64];
            size_t size = strcspn(at, " ");
            snprintf(name, sizeof name, "%.*s", (int)size, at);
            at += size;
            const tuff_known_cut *found = tuff_known_cut_find(name);
            assert_non_null(found);
            assert_string_equal(found->names, lines[i]);
        }
    }
    assert_null(tuff_known_cut_find("gpt"));
    assert_null(tuff_known_cut_find(""));
    assert_null(tuff_known_cut_find("gpt-2 jais"));
}

/* Where a GGUF does not say how texts begin, its pre-tokenizer's name does, as in llama.cpp. */
static void texts_begin_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *pre;
        int said; /* -1: nothing */
        const char *expected;
    } cases[] = {{"llama-bpe", -1, "<s>|a|"},
                 {"llama-bpe", 0, "a|"},
                 {"tekken", -1, "<s>|a|"},
                 {"gpt-2", -1, "a|"},
                 {"gpt-2", 1, "<s>|a|"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const tuff_view tokens[] = {{"a", 1}, {"<s>", 3}};
        const int32_t types[] = {TUFF_TOKEN_NORMAL, TUFF_TOKEN_CONTROL};
        tuff_gguf_builder b = {0};
        tuff_gguf *gguf;
        tuff_tokenizer *t;
        tuff_gguf_put_text(&b, "tokenizer.ggml.model", "gpt2");
        tuff_gguf_put_text(&b, "tokenizer.ggml.pre", cases[i].pre);
        tuff_gguf_put_strings(&b, "tokenizer.ggml.tokens", tokens, 2);
        tuff_gguf_put_i32s(&b, "tokenizer.ggml.token_type", types, 2);
        tuff_gguf_put_u32(&b, "tokenizer.ggml.bos_token_id", 1);
        if (cases[i].said >= 0) tuff_gguf_put_bool(&b, "tokenizer.ggml.add_bos_token", cases[i].said);
        const char *path = kit_temp_path("vocab.gguf");
        KIT_OK(tuff_gguf_save(path, &b, NULL, 0, NULL, NULL));
        KIT_OK(tuff_gguf_open(path, &gguf));
        KIT_OK(tuff_vocab_load(gguf, &t));
        assert_string_equal(fixture_encode(t, "a", 1, TUFF_ENCODE_ADD_SPECIAL), cases[i].expected);
        tuff_tokenizer_destroy(&t);
        tuff_gguf_destroy(&gguf);
        tuff_gguf_builder_free(&b);
    }
}

/* As tokenizer.json files of the models have them. */
static void other_spellings_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *steps, *name;
    } cases[] = {
        /* Falcon's */
        {"{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"},"
         "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
         "{\"type\":\"Digits\",\"individual_digits\":false},"
         "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9][0-9][0-9]\"},\"behavior\":\"Isolated\",\"invert\":false}",
         "falcon"},
        /* StarCoder's, Cohere's */
        {"{\"type\":\"Digits\",\"individual_digits\":true},"
         "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}",
         "smollm"},
        /* line ends as themselves; what lies between matches removed */
        {"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|"
         "\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\r\\n]*|\\\\s*[\\r\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
         "\"behavior\":\"Removed\",\"invert\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}",
         "dbrx"},
        /* what would remove words */
        {"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{N}\"},\"behavior\":\"Removed\",\"invert\":true},"
         "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}",
         NULL},
        {"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{N}{2}\"},\"behavior\":\"Isolated\",\"invert\":false},"
         "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}",
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_buf json = {0};
        tuff_tokenizer *t;
        tuff_buf_printf(&json,
                        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},\"pre_tokenizer\":"
                        "{\"type\":\"Sequence\",\"pretokenizers\":[%s]}}",
                        cases[i].steps);
        KIT_OK(tuff_tokenizer_from_json(json.data, json.size, NULL, 0, "test", &t));
        if (cases[i].name) {
            assert_non_null(t->cut);
            assert_ptr_equal(t->cut, tuff_known_cut_find(cases[i].name));
        } else {
            assert_null(t->cut);
        }
        tuff_tokenizer_destroy(&t);
        tuff_buf_free(&json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_those_of_the_models), cmocka_unit_test(names_survive_tokenizer_json),
        cmocka_unit_test(names_are_there_once),          cmocka_unit_test(texts_begin_by_name),
        cmocka_unit_test(other_spellings_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
