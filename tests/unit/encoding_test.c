/* Pairs, places, truncation and windows: what callers may ask for, and what they may not. */
#include "tokenizer_fixture.h"

static const char vocab_txt[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n##b\n##c\ncafe\n";
static const tuff_piece none = {NULL, 0};

static tuff_tokenizer *load(void)
{
    tuff_tokenizer *t;
    KIT_OK(tuff_tokenizer_from_wordpiece(vocab_txt, sizeof vocab_txt - 1, NULL, 0, "vocab.txt", &t));
    return t;
}

static tuff_piece piece(const char *text)
{
    return (tuff_piece){text, strlen(text)};
}

/* Each token with its text and place: "a:0:1-2 ". */
static const char *shown(const tuff_tokenizer *t, const tuff_encoding *e)
{
    static char out[4096];
    size_t size = 0;
    out[0] = 0;
    for (size_t i = 0; i < e->count; i++) {
        tuff_piece token = tuff_tokenizer_token(t, e->ids[i]);
        size += (size_t)snprintf(out + size, sizeof out - size, "%.*s:%d:%zu-%zu ", (int)token.size,
                                 token.data, e->texts[i], e->spans[i].start, e->spans[i].end);
        assert_true(size < sizeof out);
    }
    return out;
}

static void expect(const tuff_tokenizer *t, tuff_piece text, tuff_piece pair, const char *expected)
{
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    tuff_encoding *e;
    params.spans = true;
    KIT_OK(tuff_tokenizer_encode_pair(t, text, pair, &params, &e));
    assert_string_equal(shown(t, e), expected);
    tuff_encoding_destroy(&e);
    assert_null(e);
}

static void places_are_bytes_of_the_users_text(void **state)
{
    (void)state;
    tuff_tokenizer *t = load();
    expect(t, piece("ab  c"), none, "[CLS]:-1:0-0 a:0:0-1 ##b:0:1-2 c:0:4-5 [SEP]:-1:0-0 ");
    expect(t, piece("a"), piece("b"), "[CLS]:-1:0-0 a:0:0-1 [SEP]:-1:0-0 b:1:0-1 [SEP]:-1:0-0 ");
    expect(t, piece("a"), piece(""), "[CLS]:-1:0-0 a:0:0-1 [SEP]:-1:0-0 [SEP]:-1:0-0 ");
    /* an accent is stripped, and its letter stands for both */
    expect(t, piece("caf\xc3\xa9 a"), none, "[CLS]:-1:0-0 cafe:0:0-5 a:0:6-7 [SEP]:-1:0-0 ");
    /* a byte that is not UTF-8 counts as U+FFFD, which is cleaned away; what follows is where it was */
    expect(t,
           piece("\xff"
                 "a\xe2\x82 b"),
           none, "[CLS]:-1:0-0 a:0:1-2 b:0:5-6 [SEP]:-1:0-0 ");
    expect(t, piece("a [MASK]b"), none, "[CLS]:-1:0-0 a:0:0-1 [MASK]:0:2-8 b:0:8-9 [SEP]:-1:0-0 ");
    expect(t, (tuff_piece){"a\0b", 3}, none, "[CLS]:-1:0-0 a:0:0-1 ##b:0:2-3 [SEP]:-1:0-0 ");
    tuff_tokenizer_destroy(&t);
}

static void without_the_template(void **state)
{
    (void)state;
    tuff_tokenizer *t = load();
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    tuff_encoding *e;
    params.flags = 0;
    KIT_OK(tuff_tokenizer_encode_pair(t, piece("a b"), piece("c"), &params, &e));
    assert_int_equal(e->count, 3);
    assert_true(e->type_ids[1] == 0 && e->type_ids[2] == 1 && e->texts[2] == 1);
    assert_null(e->spans);
    tuff_encoding_destroy(&e);
    KIT_OK(tuff_tokenizer_encode_pair(t, piece("a b"), none, NULL, &e)); /* the defaults */
    assert_int_equal(e->count, 4);
    tuff_encoding_destroy(&e);
    tuff_tokenizer_destroy(&t);
}

static void what_is_cut_off_is_told(void **state)
{
    (void)state;
    tuff_tokenizer *t = load();
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    tuff_encoding *e;
    params.max_length = 5;
    params.spans = true;
    KIT_OK(tuff_tokenizer_encode_pair(t, piece("a b c a b"), none, &params, &e));
    assert_true(e->count == 5 && e->lost[0] == 2 && e->first[0] == 0 && e->spans[3].end == 5);
    tuff_encoding_destroy(&e);
    params.keep_end = true;
    KIT_OK(tuff_tokenizer_encode_pair(t, piece("a b c a b"), none, &params, &e));
    assert_true(e->count == 5 && e->lost[0] == 2 && e->first[0] == 2 && e->spans[1].start == 4);
    tuff_encoding_destroy(&e);
    params.max_length = 2; /* room for the template alone */
    KIT_OK(tuff_tokenizer_encode_pair(t, piece("a b"), none, &params, &e));
    assert_true(e->count == 2 && e->lost[0] == 2);
    tuff_encoding_destroy(&e);
    params.max_length = 6;
    KIT_OK(tuff_tokenizer_encode_pair(t, piece("a b c"), piece("a"), &params, &e));
    assert_true(e->count == 6 && e->lost[0] == 1 && e->lost[1] == 0);
    tuff_encoding_destroy(&e);
    tuff_tokenizer_destroy(&t);
}

static void refuses(const tuff_tokenizer *t, const char *pair, tuff_encode_params params, const char *part)
{
    tuff_encoding *e;
    KIT_FAILS(tuff_tokenizer_encode_pair(t, piece("a b c a b c"), pair ? piece(pair) : none, &params, &e),
              TUFF_INVALID_ARGUMENT, part);
    assert_null(e);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    tuff_tokenizer *t = load();
    tuff_encode_params p = TUFF_ENCODE_PARAMS_INIT;
    p.max_length = 1;
    refuses(t, NULL, p, "max_length is 1, and the tokenizer puts 2 tokens around the text");
    p.max_length = 8;
    p.truncation = TUFF_TRUNCATE_ONLY_SECOND;
    refuses(t, NULL, p, "there is none");
    refuses(t, "a b", p, "max_length is 8, but the text that is not to be cut has 6 tokens");
    p.truncation = (tuff_truncation)7;
    refuses(t, "a", p, "truncation is 7");
    p.truncation = TUFF_TRUNCATE_LONGEST_FIRST;
    p.windows = true;
    refuses(t, "a", p, "TUFF_TRUNCATE_ONLY_FIRST or _SECOND");
    p.keep_end = true;
    refuses(t, NULL, p, "keep_end");
    p.keep_end = false;
    p.max_length = 4;
    p.overlap = 2;
    refuses(t, NULL, p, "the windows have room for 2 tokens of the text, and overlap is 2");
    p.max_length = 2;
    refuses(t, NULL, p, "room for 0 tokens");
    tuff_tokenizer_destroy(&t);
}

/* Windows hold each token of the text, in order, and know where they begin. */
static void windows_hold_all_of_a_text(void **state)
{
    (void)state;
    tuff_tokenizer *t = load();
    tuff_encode_params p = TUFF_ENCODE_PARAMS_INIT;
    p.windows = p.spans = true;
    p.truncation = TUFF_TRUNCATE_ONLY_SECOND;
    for (p.max_length = 6; p.max_length < 20; p.max_length++) {
        for (p.overlap = 0; p.overlap + 5 < p.max_length; p.overlap++) {
            tuff_encoding *first;
            size_t at = 0, windows = 0;
            KIT_OK(tuff_tokenizer_encode_pair(t, piece("a"), piece("a b c a b c a b c a b c"), &p, &first));
            for (const tuff_encoding *e = first; e; e = e->next, windows++) {
                assert_true(e->count <= p.max_length && e->lost[1] == 0 &&
                            e->first[1] + (windows ? p.overlap : 0) == at);
                assert_true(e->texts[1] == 0 && e->ids[1] == 5);
                for (size_t i = 3; i + 1 < e->count; i++) {
                    assert_int_equal(e->ids[i], 5 + (int)(e->first[1] + i - 3) % 3);
                    assert_int_equal(e->spans[i].start, 2 * (e->first[1] + i - 3));
                }
                at = e->first[1] + e->count - 4;
            }
            assert_int_equal(at, 12);
            tuff_encoding_destroy(&first);
        }
    }
    tuff_tokenizer_destroy(&t);
}

static void a_template_may_lack_pairs(void **state)
{
    (void)state;
    static const char json[] =
        "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1}},\"post_processor\":{\"type\":"
        "\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]}}";
    tuff_tokenizer *t;
    tuff_encoding *e;
    KIT_OK(tuff_tokenizer_from_json(json, sizeof json - 1, NULL, 0, "test.json", &t));
    KIT_FAILS(tuff_tokenizer_encode_pair(t, piece("a"), piece("a"), NULL, &e), TUFF_UNSUPPORTED,
              "no template for pairs");
    KIT_OK(tuff_tokenizer_encode_pair(t, piece("a"), none, NULL, &e));
    tuff_encoding_destroy(&e);
    tuff_tokenizer_destroy(&t);
}

static void refuses_template(const char *post, tuff_status status, const char *part)
{
    tuff_buf json = {0};
    tuff_tokenizer *t;
    tuff_buf_printf(
        &json,
        "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":{\"u\":0}},\"post_processor\":%s}",
        post);
    KIT_FAILS(tuff_tokenizer_from_json(json.data, json.size, NULL, 0, "test.json", &t), status, part);
    tuff_buf_free(&json);
}

static void bad_templates_are_refused(void **state)
{
    (void)state;
#define A                      "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define B                      "{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}"
#define TEMPLATE(single, pair) "{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"pair\":[" pair "]}"
    refuses_template(TEMPLATE("", A "," B), TUFF_BAD_FORMAT, "\"single\" without the text A");
    refuses_template(TEMPLATE(A "," A, A "," B), TUFF_BAD_FORMAT, "\"single\" without the text A");
    refuses_template(TEMPLATE(B, A "," B), TUFF_BAD_FORMAT, "\"single\" without the text A");
    refuses_template(TEMPLATE(A, A), TUFF_BAD_FORMAT, "\"pair\" without each of its two texts");
    refuses_template(TEMPLATE(A, A "," B "," A), TUFF_BAD_FORMAT, "\"pair\" without each");
    refuses_template(TEMPLATE("{\"Sequence\":{\"id\":\"C\"}}", A), TUFF_BAD_FORMAT,
                     "the text \"C\", expected A or B");
    refuses_template(TEMPLATE("{\"Sequence\":{\"id\":\"A\",\"type_id\":-1}}", A), TUFF_BAD_FORMAT,
                     "type_id -1");
    refuses_template(
        "{\"type\":\"Sequence\",\"processors\":[" TEMPLATE(A, A "," B) "," TEMPLATE(A, A "," B) "]}",
        TUFF_UNSUPPORTED, "two post-processors");
    refuses_template("{\"type\":\"BertProcessing\",\"cls\":[\"u\",0],\"sep\":[\"x\",1]}", TUFF_BAD_FORMAT,
                     "an id that no token has");
    refuses_template("{\"type\":\"RobertaProcessing\",\"cls\":[\"u\",0]}", TUFF_BAD_FORMAT,
                     "an id that no token has");
}

/* The same bytes, whatever the call. */
static void progress_counts_both_texts(void **state)
{
    (void)state;
    tuff_tokenizer *t = load();
    enum { SIZE = 300000 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = "ab c\xc3\xa9 "[i % 7];
    tuff_encode_params p = TUFF_ENCODE_PARAMS_INIT;
    tuff_cancel *cancel;
    tuff_watch watch = TUFF_WATCH_INIT;
    tuff_encoding *e;
    KIT_OK(tuff_cancel_create(&cancel));
    watch.cancel = cancel;
    p.watch = &watch;
    p.spans = true;
    KIT_OK(tuff_tokenizer_encode_pair(t, (tuff_piece){text, SIZE}, (tuff_piece){text, SIZE - 1}, &p, &e));
    assert_true(e->count > SIZE / 4);
    tuff_encoding_destroy(&e);
    tuff_cancel_request(cancel);
    KIT_FAILS(tuff_tokenizer_encode_pair(t, piece("a"), none, &p, &e), TUFF_CANCELLED, "tokenizing");
    tuff_cancel_destroy(&cancel);
    tuff_tokenizer_destroy(&t);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_bytes_of_the_users_text),
        cmocka_unit_test(without_the_template),
        cmocka_unit_test(what_is_cut_off_is_told),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(windows_hold_all_of_a_text),
        cmocka_unit_test(a_template_may_lack_pairs),
        cmocka_unit_test(bad_templates_are_refused),
        cmocka_unit_test(progress_counts_both_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
