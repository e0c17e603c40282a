/* A long text that is encoded in parts: the same words and the same ids as those of the whole. */
#include "tokenizer_fixture.h"

#include "model_fixture.h"
#include "text/known_cuts.h"
#include "text/parts.h"

static const char *const lines[] = {
#define TUFF_CUT(names, flags, ...) names,
#define TUFF_CUT_SPELLED(name, ...)
#include "text/known_cuts.def"
};
enum { LINES = sizeof lines / sizeof *lines, SMALL = 300 };

static tuff_buf text;

/* Words, and what stands between them, as no book has them. */
static void write_text(tuff_buf *out, int pieces)
{
    static const char *const words[] = {"the",
                                        "Hello",
                                        "he",
                                        "aaaa",
                                        "don't",
                                        "WE'LL",
                                        "x1y22",
                                        "1234567",
                                        "12",
                                        "7",
                                        "é",
                                        "e\u0301",
                                        "\u00c5",
                                        "Привет",
                                        "中文字",
                                        "ひらがな",
                                        "한국어",
                                        "\u0e33",
                                        "ß",
                                        "İ",
                                        "\u1161",
                                        "👍🏽",
                                        "<|endoftext|>",
                                        "</s>",
                                        "<s>",
                                        "(a)",
                                        "“q”",
                                        "...",
                                        "--",
                                        "$5",
                                        "a\u200bb",
                                        "\u0301",
                                        "and/or",
                                        "\"quoted\"",
                                        "[IMGIMGA]Z",
                                        "<sentinel:3>",
                                        "x_y",
                                        "'s",
                                        "。",
                                        "٣"};
    static const char *const gaps[] = {
        " ",   " ",   " ",   "\n",   "\n",        "\n",       "\n\n", "  ",     "\r\n",   "\t",
        "",    ".",   ". ",  ",\n",  ".\n",       " \n",      "\n ",  "\u3000", "\u00a0", "!\n",
        "/\n", "\n/", "'\n", "。\n", "   \n\n  ", "\xc2\x85", "\f",   "\n\t",   "1\n",    "    "};
    uint32_t state = 7;
    tuff_buf_clear(out);
    for (int i = 0; i < pieces; i++) {
        state = state * 1664525u + 1013904223u;
        tuff_buf_text(out, words[(state >> 8) % (sizeof words / sizeof *words)]);
        state = state * 1664525u + 1013904223u;
        tuff_buf_text(out, gaps[(state >> 8) % (sizeof gaps / sizeof *gaps)]);
    }
}

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

/* The next part of a text, of about SMALL bytes. */
static tuff_view next_part(const tuff_parts *parts, tuff_view rest)
{
    size_t size = 0;
    for (size_t most = SMALL; !size && most < 2 * rest.size; most *= 2)
        size = tuff_parts_cut(parts, rest, most);
    return (tuff_view){rest.data, size ? size : rest.size};
}

static bool words_stay(const tuff_tokenizer *t, const tuff_parts *parts, int *out_count)
{
    tuff_buf whole = {0}, found = {0}, lead = {0}, behind = {0};
    add_words(t, (tuff_view){text.data, text.size}, &whole);
    add_words(t, tuff_view_of(TUFF_PARTS_LEAD), &lead);
    *out_count = 0;
    for (tuff_view rest = {text.data, text.size}; rest.size; ++*out_count) {
        const tuff_view part = next_part(parts, rest);
        tuff_buf words = {0};
        tuff_buf_clear(&behind);
        if (rest.data > text.data) tuff_buf_text(&behind, TUFF_PARTS_LEAD);
        const size_t skipped = behind.size ? lead.size : 0;
        tuff_buf_bytes(&behind, part.data, part.size);
        add_words(t, (tuff_view){behind.data, behind.size}, &words);
        if (words.size > skipped) tuff_buf_bytes(&found, words.data + skipped, words.size - skipped);
        tuff_buf_free(&words);
        rest = (tuff_view){rest.data + part.size, rest.size - part.size};
    }
    const bool same = whole.size == found.size && memcmp(whole.data, found.data, whole.size) == 0;
    tuff_buf_free(&whole);
    tuff_buf_free(&found);
    tuff_buf_free(&lead);
    tuff_buf_free(&behind);
    return same;
}

static void words_of_parts_are_those_of_the_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < LINES; i++) {
        char name[64];
        tuff_parts parts;
        bool can;
        int count;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(lines[i], " "), lines[i]);
        tuff_tokenizer *t = make(name);
        KIT_OK(tuff_parts_begin(t, &parts, &can));
        const bool same = words_stay(t, &parts, &count);
        assert_true(count > 50);
        /* the one whose words go over line ends shows that a cut that is none is seen */
        if (same != can || can != (strcmp(name, "superbpe") != 0))
            fail_msg("%s: %s, and its words are %s", name, can ? "may be cut" : "may not be cut",
                     same ? "the same" : "others");
        tuff_tokenizer_destroy(&t);
    }
}

/* ---- ids */

static void expect_ids_stay(const tuff_tokenizer *t, const char *what)
{
    tuff_parts parts;
    bool can;
    int32_t *whole;
    size_t n, at = 0;
    tuff_encoder e;
    tuff_buf room = {0};
    KIT_OK(tuff_parts_begin(t, &parts, &can));
    if (!can) fail_msg("the texts of %s may not be cut", what);
    KIT_OK(tuff_tokenizer_encode(t, text.data, text.size, 0, &whole, &n));
    KIT_OK(tuff_encoder_begin(&e, t, 0, false, NULL, 0));
    for (tuff_view rest = {text.data, text.size}; rest.size;) {
        const tuff_view part = next_part(&parts, rest);
        size_t begin;
        KIT_OK(tuff_parts_encode(&parts, &e, part, rest.data == text.data, &room, &begin));
        for (size_t i = begin; i < e.pieces.ids.size; i++, at++)
            if (at >= n || e.pieces.ids.data[i] != whole[at])
                fail_msg("%s: id %zu differs, in \"%.*s\"", what, at, (int)part.size, part.data);
        rest = (tuff_view){rest.data + part.size, rest.size - part.size};
    }
    assert_int_equal(at, n);
    tuff_encoder_end(&e);
    tuff_buf_free(&room);
    tuff_free(whole);
}

static void ids_of_parts_are_those_of_the_text(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt-2", "olmo", "llama-bpe", "qwen2", "deepseek-llm", "bloom"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tuff_tokenizer *t = make(names[i]);
        expect_ids_stay(t, names[i]);
        tuff_tokenizer_destroy(&t);
    }
    static fixture f;
    tuff_tokenizer *t;
    fixture_llama(&f);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    expect_ids_stay(t, "llama");
    tuff_tokenizer_destroy(&t);
    static const char *const models[] = {"llama", "gpt2", "mistral"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        tuff_model *model = model_open(models[i]);
        const tuff_tokenizer *own;
        KIT_OK(tuff_model_get_tokenizer(model, &own));
        expect_ids_stay(own, models[i]);
        tuff_model_destroy(&model);
    }
}

/* A token that goes over a line's end, or takes white space with it, is seen. */
static void what_goes_over_lines_is_encoded_whole(void **state)
{
    (void)state;
    tuff_parts parts;
    bool can;
    static fixture f;
    tuff_tokenizer *t;
    fixture_llama(&f);
    fixture_token(&f, "\nh", TUFF_TOKEN_NORMAL, -3);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    KIT_OK(tuff_parts_begin(t, &parts, &can));
    assert_false(can);
    tuff_tokenizer_destroy(&t);
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    fixture_token(&f, ".\nUser", TUFF_TOKEN_CONTROL, 0);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    KIT_OK(tuff_parts_begin(t, &parts, &can));
    assert_false(can);
    tuff_tokenizer_destroy(&t);
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
                 {"a\n1", 9, 0},
                 {"a\n b", 9, 0},
                 {"a\r\nb", 9, 0},
                 {"中\n文", 9, 4},
                 {"\nb", 9, 0},
                 {"", 9, 0},
                 {"a\n\xe4", 9, 0},
                 {"a\u00a0\nb", 9, 0},
                 {"e\u0301\nb", 9, 0}};
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
    write_text(&text, 20000);
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
        cmocka_unit_test(what_goes_over_lines_is_encoded_whole),
        cmocka_unit_test(cuts_are_where_they_may_be),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
