/* A long text that is encoded in parts: the same words and the same ids as those of the whole. */
#include "tokenizer_fixture.h"

#include "model_fixture.h"
#include "parts_fixture.h"
#include "text/known_cuts.h"

static const char *const lines[] = {
#define TUFF_CUT(names, flags, ...) names,
#define TUFF_CUT_SPELLED(name, ...)
#include "text/known_cuts.def"
};
enum { LINES = sizeof lines / sizeof *lines };

static tuff_buf text;

static tuff_tokenizer *make(const char *pre)
{
    static fixture f;
    tuff_tokenizer *tokenizer;
    fixture_gpt2(&f, pre, fixture_merges);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &tokenizer));
    return tokenizer;
}

/* ---- words */

static tuff_status take(void *user, tuff_view word)
{
    tuff_buf *out = user;
    tuff_buf_bytes(out, word.data, word.size);
    tuff_buf_char(out, 1); /* which the text does not have */
    return TUFF_OK;
}

/* By the steps before the last one, bytes as characters. */
static void add_words(const tuff_tokenizer *t, tuff_view piece, tuff_buf *out)
{
    tuff_split_run run;
    KIT_OK(tuff_split_begin(t->splitters, t->splitter_count - 1, false, take, out, NULL, &run));
    KIT_OK(tuff_split(&run, piece, true));
    tuff_split_end(&run);
}

static bool words_stay(const tuff_tokenizer *t, tuff_parts parts, unsigned kinds, int *out_count)
{
    tuff_buf whole = {0}, found = {0}, lead = {0}, behind = {0}, words = {0};
    add_words(t, (tuff_view){text.data, text.size}, &whole);
    parts.kinds = kinds;
    *out_count = 0;
    for (tuff_view rest = {text.data, text.size}; rest.size; ++*out_count) {
        const tuff_view part = parts_next(&parts, rest);
        tuff_buf_clear(&lead);
        tuff_buf_clear(&behind);
        tuff_buf_clear(&words);
        if (rest.data > text.data) {
            add_words(t, tuff_view_of(tuff_parts_lead(part)), &lead);
            tuff_buf_text(&behind, tuff_parts_lead(part));
        }
        tuff_buf_bytes(&behind, part.data, part.size);
        add_words(t, (tuff_view){behind.data, behind.size}, &words);
        if (words.size > lead.size) tuff_buf_bytes(&found, words.data + lead.size, words.size - lead.size);
        rest = (tuff_view){rest.data + part.size, rest.size - part.size};
    }
    const bool same = whole.size == found.size && memcmp(whole.data, found.data, whole.size) == 0;
    tuff_buf_free(&whole);
    tuff_buf_free(&found);
    tuff_buf_free(&lead);
    tuff_buf_free(&behind);
    tuff_buf_free(&words);
    return same;
}

static bool over_spaces(const char *name)
{
    return strcmp(name, "exaone-moe") == 0 || strcmp(name, "deepseek-llm") == 0;
}

/* Those whose words go over such places show that a cut that is none is seen. */
static void words_of_parts_are_those_of_the_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < LINES; i++) {
        char name[64];
        tuff_parts parts;
        int count;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(lines[i], " "), lines[i]);
        tuff_tokenizer *t = make(name);
        KIT_OK(tuff_parts_find(t, &parts));
        const unsigned wanted = strcmp(name, "superbpe") == 0 ? 0
                                : over_spaces(name)           ? TUFF_PARTS_LINES | TUFF_PARTS_MARKS
                                                              : TUFF_PARTS_ALL;
        for (unsigned kind = 1; kind < TUFF_PARTS_ALL; kind *= 2) {
            const bool same = words_stay(t, parts, kind, &count), can = parts.kinds & kind;
            assert_true(count > 50);
            if (same != can || can != ((wanted & kind) != 0))
                fail_msg("%s: %s at places of kind %u, and its words are %s", name,
                         can ? "is cut" : "is not cut", kind, same ? "the same" : "others");
        }
        tuff_tokenizer_destroy(&t);
    }
}

/* ---- ids */

static void expect_ids_stay(const tuff_tokenizer *t, const char *what, unsigned kinds)
{
    tuff_parts parts;
    bool can;
    int count;
    KIT_OK(tuff_parts_begin(t, &parts, &can));
    if (parts.kinds != kinds) fail_msg("%s: kinds %u, expected %u", what, parts.kinds, kinds);
    assert_int_equal(can, kinds != 0);
    for (unsigned kind = 1; kind < TUFF_PARTS_ALL; kind *= 2) {
        if (!(kinds & kind)) continue;
        if (!parts_same(t, parts, kind, (tuff_view){text.data, text.size}, &count)) fail_msg("%s", what);
        assert_true(count > 50);
    }
}

static void ids_of_parts_are_those_of_the_text(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt-2", "olmo", "llama-bpe", "qwen2", "gpt-4o", "bloom"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tuff_tokenizer *t = make(names[i]);
        expect_ids_stay(t, names[i], TUFF_PARTS_ALL);
        tuff_tokenizer_destroy(&t);
    }
    static fixture f;
    tuff_tokenizer *t;
    fixture_llama(&f);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    expect_ids_stay(t, "llama", TUFF_PARTS_LINES | TUFF_PARTS_SPACES);
    tuff_tokenizer_destroy(&t);
    static const char *const models[] = {"llama", "gpt2", "mistral"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        tuff_model *model = model_open(models[i]);
        const tuff_tokenizer *own;
        KIT_OK(tuff_model_get_tokenizer(model, &own));
        expect_ids_stay(own, models[i], i < 2 ? TUFF_PARTS_ALL : TUFF_PARTS_LINES | TUFF_PARTS_SPACES);
        tuff_model_destroy(&model);
    }
}

/* A token that goes over a line's end, over a space or over a mark is seen. */
static void what_tokens_go_over_is_no_cut(void **state)
{
    (void)state;
    static const struct {
        const char *token;
        unsigned kinds;
    } cases[] = {{".\nUser", TUFF_PARTS_SPACES | TUFF_PARTS_MARKS},
                 {"\n7", TUFF_PARTS_SPACES | TUFF_PARTS_MARKS},
                 {"<|im start|>", TUFF_PARTS_LINES | TUFF_PARTS_MARKS},
                 {"User: ", TUFF_PARTS_LINES | TUFF_PARTS_MARKS},
                 {"Dr.", TUFF_PARTS_LINES | TUFF_PARTS_SPACES},
                 {"\u4e2d\u3002", TUFF_PARTS_LINES | TUFF_PARTS_SPACES},
                 {"a. b\nc", 0},
                 {"    ", TUFF_PARTS_ALL},
                 {" the\n", TUFF_PARTS_ALL},
                 {"...", TUFF_PARTS_ALL}};
    static fixture f;
    tuff_tokenizer *t;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_gpt2(&f, "gpt-2", fixture_merges);
        fixture_token(&f, cases[i].token, TUFF_TOKEN_CONTROL, 0);
        KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
        expect_ids_stay(t, cases[i].token, cases[i].kinds);
        tuff_tokenizer_destroy(&t);
    }
    fixture_llama(&f);
    fixture_token(&f, "\nh", TUFF_TOKEN_NORMAL, -3);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    expect_ids_stay(t, "llama, over lines", TUFF_PARTS_SPACES);
    tuff_tokenizer_destroy(&t);
    fixture_llama(&f);
    fixture_token(&f, "e\u2581", TUFF_TOKEN_NORMAL, -3);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    expect_ids_stay(t, "llama, over spaces", TUFF_PARTS_LINES);
    tuff_tokenizer_destroy(&t);
}

/* A stretch of a hostile text, many times. */
static void repeat(tuff_buf *out, const char *what, int times)
{
    tuff_buf_clear(out);
    tuff_buf_text(out, "Hello he\nhello");
    for (int i = 0; i < times; i++)
        tuff_buf_text(out, what);
    tuff_buf_text(out, "hello he.");
}

static void hostile_texts_have_their_ids(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        bool cut; /* whether there are such places in it */
    } cases[] = {{" ", false},
                 {"\n", false},
                 {" \n", false},
                 {"a", false},
                 {"1", false},
                 {"-", false},
                 {"\u0301", false},
                 {"hello,world.", true},
                 {"<|im start|>", true},
                 {"he<|im start|> he <|im start|>\nhe", true},
                 {"      hello      he he", true},
                 {"12 3\n45 6\n", true},
                 {"\u4f60\u597d\u3002\u4f60\uff0c", true},
                 {"\xff", false},
                 {"\xe4\xb8 he he\nhe\xe4\nhe \xb8", true},
                 {"he\xc3 he\nhe\xf0\x9f\x91\nhe he", true},
                 {"he\nhe\xed\xa0\x80he he\xc0\xaf", true}};
    static fixture f;
    tuff_tokenizer *t[2];
    tuff_buf hostile = {0};
    fixture_gpt2(&f, "llama-bpe", fixture_merges);
    fixture_token(&f, "<|im start|>", TUFF_TOKEN_CONTROL, 0);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t[0]));
    fixture_llama(&f);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t[1]));
    for (size_t k = 0; k < 2; k++) {
        tuff_parts parts;
        bool can;
        int count, cut = 0;
        KIT_OK(tuff_parts_begin(t[k], &parts, &can));
        assert_true(can);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            repeat(&hostile, cases[i].what, 600);
            if (!parts_same(t[k], parts, parts.kinds, (tuff_view){hostile.data, hostile.size}, &count))
                fail_msg("tokenizer %zu: \"%s\", many times", k, cases[i].what);
            if (!cases[i].cut) assert_in_range(count, 1, 3);
            cut += count > 10;
        }
        assert_int_equal(cut, 7);
        tuff_tokenizer_destroy(&t[k]);
    }
    tuff_buf_free(&hostile);
}

static void cuts_are_where_they_may_be(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t most, cut;
    } cases[] = {{"one\ntwo\nthree", 100, 8},
                 {"one\ntwo\nthree", 7, 4},
                 {"one\ntwo", 3, 0},
                 {"a\n", 2, 0},
                 {"a \nb", 9, 0},
                 {"a\n\nb", 9, 0},
                 {"a\n1", 9, 2},
                 {"a\n-", 9, 0},
                 {"a\n b", 9, 0},
                 {"a\r\nb", 9, 0},
                 {"中\n文", 9, 4},
                 {"\nb", 9, 0},
                 {"", 9, 0},
                 {"a\n\xe4", 9, 0},
                 {"a\u00a0\nb", 9, 0},
                 {"e\u0301\nb", 9, 0},
                 {"one two three", 99, 7},
                 {"one two three", 6, 3},
                 {"one  two", 9, 0},
                 {"one -", 9, 0},
                 {"- one", 9, 0},
                 {" one", 9, 0},
                 {"1 2", 9, 1},
                 {"中 文", 9, 3},
                 {"e\u0301 b", 9, 0},
                 {"\xe4 b", 9, 0},
                 {"b \xe4", 9, 0},
                 {"a.b", 9, 1},
                 {"a,b", 9, 1},
                 {"a,", 9, 0},
                 {"1.b", 9, 0},
                 {"..", 9, 0},
                 {".a", 9, 0},
                 {"中。", 9, 3},
                 {"中，", 9, 3},
                 {"中、", 9, 0}};
    tuff_tokenizer *t = make("gpt-2");
    tuff_parts parts;
    bool can;
    KIT_OK(tuff_parts_begin(t, &parts, &can));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tuff_parts_cut(&parts, tuff_view_of(cases[i].text), cases[i].most) != cases[i].cut)
            fail_msg("\"%s\" is cut at %zu", cases[i].text,
                     tuff_parts_cut(&parts, tuff_view_of(cases[i].text), cases[i].most));
    tuff_tokenizer_destroy(&t);
}

static int begin(void **state)
{
    (void)state;
    parts_write(&text, 7, 16000);
    parts_write_characters(&text, 8, 30000);
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
        cmocka_unit_test(words_of_parts_are_those_of_the_text),
        cmocka_unit_test(ids_of_parts_are_those_of_the_text),
        cmocka_unit_test(what_tokens_go_over_is_no_cut),
        cmocka_unit_test(hostile_texts_have_their_ids),
        cmocka_unit_test(cuts_are_where_they_may_be),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
