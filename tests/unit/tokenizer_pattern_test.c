/* Patterns and normalizers of tokenizer.json: what they mean, which are refused, and what they may cost. */
#include <stdio.h>

#include "base/json.h"
#include "tokenizer_fixture.h"

/* A tokenizer that cuts its text at the matches of the pattern; its words are whole. */
static tuff_status load(const char *pattern, tuff_tokenizer **out)
{
    tuff_buf json = {0};
    tuff_buf_text(&json, "{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{"
                         "\"Regex\":");
    tuff_json_quote(&json, pattern, strlen(pattern));
    tuff_buf_text(&json, "}},\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"fuse_unk\":true,"
                         "\"vocab\":{\"?\":0},\"merges\":[]}}");
    tuff_status status = tuff_tokenizer_from_json(json.data, json.size, NULL, 0, "test.json", out);
    tuff_buf_free(&json);
    return status;
}

/* In how many words the pattern cuts the text. */
static size_t words(const char *pattern, const char *text)
{
    tuff_tokenizer *t;
    int32_t *ids;
    size_t count;
    KIT_OK(load(pattern, &t));
    KIT_OK(tuff_tokenizer_encode(t, text, strlen(text), 0, &ids, &count));
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    return count;
}

/* As Hugging Face's library cuts them; PCRE2 alone reads all of these otherwise. */
static void patterns_are_read_as_oniguruma_reads_them(void **state)
{
    (void)state;
    assert_int_equal(words("a{1,3}+", "aaaaaab"), 2);
    assert_int_equal(words("x|a{2}+", "aaaaaab"), 2);
    assert_int_equal(words("(?:a|b){2}+c", "ababac"), 2);
    assert_int_equal(words("[ab]{1,2}+", "abababc"), 2);
    assert_int_equal(words("\\x61{1,2}+", "aaaab"), 2);
    assert_int_equal(words("\xc3\xa9{1,2}+", "\xc3\xa9\xc3\xa9\xc3\xa9z"), 2);
    assert_int_equal(words("ba{,2}", "baaab"), 3);
    assert_int_equal(words("ba{,2}+c", "zbaaaac"), 2);
    assert_int_equal(words("b{,}", "ab{,}c"), 3);
    assert_int_equal(words("xa{2}?b", "yxbxaab"), 3);
    assert_int_equal(words("\\h+", "0fz 9"), 3);
    assert_int_equal(words("[\\h]+", "0fz"), 2);
    assert_int_equal(words("\\v", "a\vb\nc"), 3);
    assert_int_equal(words("\\u0061+", "aab"), 2);
    assert_int_equal(words("(?i)b|c", "aBAcC"), 5);
    assert_int_equal(words("(?i:b)", "aBA"), 3);
    assert_int_equal(words("(?#a \\Q note)b", "abc"), 3);
    assert_int_equal(words("(?<n>a)\\k<n>", "aab"), 2);
    assert_int_equal(words("[]a]+", "a]b"), 2);
    assert_int_equal(words("\\\\K", "a\\Kb"), 3);
    assert_int_equal(words("[\\\\K]", "a\\b"), 3);
    assert_int_equal(words("a(?=b)|(?<=b)c", "abc"), 3);
    assert_int_equal(words("(?=b)", "abab"), 3);
    assert_int_equal(words("a*", "baab"), 3);
    assert_int_equal(words("x*", "abc"), 3);
    assert_int_equal(words("(?<=b)|a", "abbaa"), 5);
    assert_int_equal(words("(?=\xc3\xa9)", "a\xc3\xa9\xc3\xa9"), 3);
    assert_int_equal(words("[^a[bc]]+", "xxabcyy"), 3);
    assert_int_equal(words("[a[b[c]]-]", "xab-cy"), 6);
    /* U+3002 is used with Han, but of no script */
    assert_int_equal(words("\\p{Han}+", "\xe4\xb8\xad\xe3\x80\x82\xe4\xb8\xad"), 3);
    assert_int_equal(words("\\p{^Han}+", "\xe4\xb8\xad\xe3\x80\x82\xe4\xb8\xad"), 3);
    assert_int_equal(words("[\\P{Latin}x]+", "axxz\xc3\xa9\xce\xb1"), 4);
}

/* What the Hugging Face library, whose tables are Unicode 9's, does not know: docs/decisions/006. */
static void punctuation_is_hugging_faces(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t words;
    } cases[] = {{"b!b", 3},
                 {"b\xd8\x9e"
                  "b",
                  3}, /* U+061E */
                 {"b\xd8\x9d"
                  "b",
                  1}, /* U+061D, new in Unicode 14 */
                 {"b\xe2\xb9\x83"
                  "b",
                  1}, /* U+2E43, new in Unicode 9 */
                 {"b\xe1\x99\xad"
                  "b",
                  3}, /* U+166D, a symbol since Unicode 12 */
                 {"b\xf0\x91\x87\x89"
                  "b",
                  3}, /* U+111C9, a mark since Unicode 11 */
                 {"b\xf0\x9e\xa5\x9f"
                  "b",
                  1}, /* U+1E95F, new in Unicode 9 */
                 {"b~b$b", 5}};
    tuff_buf json = {0};
    tuff_tokenizer *t;
    tuff_buf_text(
        &json,
        "{\"pre_tokenizer\":{\"type\":\"Punctuation\"},\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\","
        "\"fuse_unk\":true,\"vocab\":{\"?\":0},\"merges\":[]}}");
    KIT_OK(tuff_tokenizer_from_json(json.data, json.size, NULL, 0, "test.json", &t));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t *ids;
        size_t count;
        KIT_OK(tuff_tokenizer_encode(t, cases[i].text, strlen(cases[i].text), 0, &ids, &count));
        assert_int_equal(count, cases[i].words);
        tuff_free(ids);
    }
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&json);
}

/* The normal form of a text, by a tokenizer of bytes. */
static void has_form(const char *form, const char *text, const char *expected)
{
    tuff_buf json = {0};
    tuff_tokenizer *t;
    int32_t *ids;
    size_t count;
    char found[64] = {0};
    tuff_buf_printf(
        &json,
        "{\"normalizer\":{\"type\":\"%s\"},\"model\":{\"byte_fallback\":true,\"merges\":[],\"vocab\":{",
        form);
    for (unsigned b = 0; b < 256; b++)
        tuff_buf_printf(&json, "%s\"<0x%02X>\":%u", b ? "," : "", b, b);
    tuff_buf_text(&json, "}}}");
    KIT_OK(tuff_tokenizer_from_json(json.data, json.size, NULL, 0, "test.json", &t));
    KIT_OK(tuff_tokenizer_encode(t, text, strlen(text), 0, &ids, &count));
    assert_true(count < sizeof found);
    for (size_t i = 0; i < count; i++)
        found[i] = (char)ids[i];
    assert_string_equal(found, expected);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&json);
}

static void normal_forms_are_hugging_faces(void **state)
{
    (void)state;
    has_form("NFC", "e\xcc\x81", "\xc3\xa9");
    has_form("NFC", "a\xcc\x81\xcc\x96", "\xc3\xa1\xcc\x96");
    has_form("NFD", "\xc3\xa9\xcc\x96", "e\xcc\x96\xcc\x81");
    has_form("NFKC", "\xef\xac\x81", "fi");
    has_form("NFC", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81");
    /* U+07FD, a mark of class 220 since Unicode 11, is not moved before U+0301 */
    has_form("NFD", "a\xcc\x81\xdf\xbd", "a\xcc\x81\xdf\xbd");
    has_form("NFC", "a\xdf\xbd\xcc\x81", "a\xdf\xbd\xcc\x81");
    /* U+11938 and the two characters of Unicode 13 that it is */
    has_form("NFD", "\xf0\x91\xa4\xb8", "\xf0\x91\xa4\xb8");
    has_form("NFC", "\xf0\x91\xa4\xb5\xf0\x91\xa4\xb0", "\xf0\x91\xa4\xb5\xf0\x91\xa4\xb0");
    /* U+32FF, the era Reiwa, and U+1FBF1, a digit of Unicode 13 */
    has_form("NFKC", "\xe3\x8b\xbf", "\xe3\x8b\xbf");
    has_form("NFKD", "\xf0\x9f\xaf\xb1", "\xf0\x9f\xaf\xb1");
}

static void refuses(const char *pattern, const char *part)
{
    tuff_tokenizer *t = NULL;
    KIT_FAILS(load(pattern, &t), TUFF_UNSUPPORTED, part);
    assert_null(t);
}

static void what_is_read_otherwise_is_refused(void **state)
{
    (void)state;
    static const char *const found[] = {"\\K", "\\C", "\\Q", "\\E", "\\G", "\\g", "\\N",
                                        "\\O", "\\c", "\\o", "\\y", "\\m", "\\pL"};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        char pattern[32], part[32];
        snprintf(pattern, sizeof pattern, "ab|%s<1>", found[i]);
        snprintf(part, sizeof part, "uses %.2s at byte 3", found[i]);
        refuses(pattern, part);
    }
    refuses("(?<=(?1)).(?(DEFINE)(\\K.))", "uses (?1) at byte 4");
    refuses("(?<=(?:a\\K))b", "uses \\K");
    refuses("[a\\K]", "uses \\K");
    refuses("\\Qa\\E\\K.", "uses \\Q");
    refuses("(?#\\)\\K.", "uses \\K");
    refuses("(*ACCEPT)a", "uses (*");
    refuses("(*UTF)a", "uses (*");
    refuses("(*LIMIT_MATCH=1)a", "uses (*");
    refuses("a(?C1)", "uses (?C1");
    refuses("a(?R)", "uses (?R)");
    refuses("(?(1)a)", "uses (?(1");
    refuses("(?|a)", "uses (?|a");
    refuses("(?P<n>a)", "uses (?P<");
    refuses("(?s:.)", "uses (?s:");
    refuses("(?x) # \\Q\n\\K", "uses (?x)");
    refuses("a(?i)b|c", "uses (?i)");
    refuses("\\u006", "uses \\u");
    refuses("[a-z&&[^b]]", "sets within sets");
    char *deep = malloc(1000);
    assert_non_null(deep);
    memset(deep, '(', 999);
    deep[999] = 0;
    refuses(deep, "250 open groups");
    free(deep);
    char *longer = malloc(70001);
    assert_non_null(longer);
    memset(longer, 'a', 70000);
    longer[70000] = 0;
    refuses(longer, "a pattern of 70000 bytes");
    free(longer);
}

static char *filled(char c, size_t size)
{
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, c, size);
    text[size] = 0;
    return text;
}

/* Each of these would take minutes to years; the first ones at each place of the text, the last in all. */
static void hopeless_searches_end(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(?:a|a){0,21}[bc]", "(?:a|a){0,14}[bc]", "(?:a|aa)+[bc]",
                                           "(?:a?){40}a{40}[bc]", "(?:(?:a|a){0,9}[bc])|(?:a|a){0,12}[de]"};
    enum { SIZE = 100000 };
    char *text = filled('a', SIZE);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        tuff_tokenizer *t;
        int32_t *ids;
        size_t count;
        KIT_OK(load(patterns[i], &t));
        KIT_FAILS(tuff_tokenizer_encode(t, text, SIZE, 0, &ids, &count), TUFF_UNSUPPORTED, "too complex");
        assert_null(ids);
        tuff_tokenizer_destroy(&t);
    }
    free(text);
}

/* What real patterns do with long runs is not hopeless. */
static void long_runs_are_not_too_complex(void **state)
{
    (void)state;
    static const char *const cuts[] = {"gpt-2", "llama-bpe", "qwen2", "smollm", "falcon", "default"};
    static fixture f;
    enum { SIZE = 1 << 18 };
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        tuff_tokenizer *t;
        fixture_gpt2(&f, cuts[i], fixture_merges);
        KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
        for (const char *c = " a\n.1"; *c; c++) {
            char *text = filled(*c, SIZE);
            int32_t *ids;
            size_t count;
            text[SIZE - 1] = 'x';
            KIT_OK(tuff_tokenizer_encode(t, text, SIZE, 0, &ids, &count));
            assert_true(count > SIZE / 5);
            tuff_free(ids);
            free(text);
        }
        tuff_tokenizer_destroy(&t);
    }
}

static bool stop_at_third(const tuff_progress *progress, void *user)
{
    unsigned *asked = user;
    return progress->phase == TUFF_PHASE_TOKENIZE && ++*asked < 3;
}

/* Each place reads the whole text 512 times, and no place matches: hours, unless it is stopped. */
static void a_search_in_vain_is_answerable(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    char *text = filled('a', SIZE);
    tuff_tokenizer *t;
    int32_t *ids;
    size_t count;
    unsigned asked = 0;
    tuff_watch watch = TUFF_WATCH_INIT;
    watch.on_progress = stop_at_third;
    watch.user = &asked;
    KIT_OK(load("(?:a|a){0,8}(?=[^z]*+z)", &t));
    KIT_FAILS(tuff_tokenizer_encode_watched(t, text, SIZE, 0, &watch, &ids, &count), TUFF_CANCELLED,
              "tokenizing");
    assert_int_equal(asked, 3);
    tuff_tokenizer_destroy(&t);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_read_as_oniguruma_reads_them),
        cmocka_unit_test(punctuation_is_hugging_faces),
        cmocka_unit_test(normal_forms_are_hugging_faces),
        cmocka_unit_test(what_is_read_otherwise_is_refused),
        cmocka_unit_test(hopeless_searches_end),
        cmocka_unit_test(long_runs_are_not_too_complex),
        cmocka_unit_test(a_search_in_vain_is_answerable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
