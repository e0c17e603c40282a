/* Unigram: the best way through a text; unknown characters; tables of replacements; GGUF's kind t5. */
#include "hostile.h"
#include "tokenizer_fixture.h"

#include <math.h>

/* {"model": {"type": "Unigram", <options>, "vocab": [<vocab>]}, <rest>} */
static tuff_status parse(const char *options, const char *vocab, const char *rest, tuff_tokenizer **out)
{
    tuff_buf json = {0};
    tuff_buf_printf(&json, "{\"model\":{\"type\":\"Unigram\",%s,\"vocab\":[%s]}%s}", options, vocab, rest);
    assert_false(json.failed);
    tuff_status status = tuff_tokenizer_from_json(json.data, json.size, NULL, 0, "test.json", out);
    tuff_buf_free(&json);
    return status;
}

static const char kudo[] =
    "[\"<unk>\",0],[\"a\",0],[\"b\",0],[\"c\",0],[\"d\",0],[\"cd\",1],[\"ab\",2],[\"abc\",5],[\"abcd\",10]";

#define EXPECT(tokenizer, text, expected) \
    assert_string_equal(fixture_encode((tokenizer), (text), strlen(text), 0), (expected))

static void the_best_way_is_taken(void **state)
{
    (void)state;
    tuff_tokenizer *t;
    KIT_OK(parse("\"unk_id\":0", kudo, "", &t));
    EXPECT(t, "abcd", "abcd|");
    EXPECT(t, "abcdacdxx", "abcd|a|cd|<unk>|"); /* unknown ones side by side are one */
    EXPECT(t, "abccd", "abc|cd|");
    EXPECT(t, "xax", "<unk>|a|<unk>|");
    EXPECT(t, "", "");
    assert_string_equal(tuff_tokenizer_kind(t), "t5");
    tuff_tokenizer_destroy(&t);
    /* of equal sums the one found first, as in the library: by start, then by length */
    KIT_OK(parse("\"unk_id\":0", "[\"u\",-9],[\"a\",-1],[\"aa\",-2],[\"aaa\",-3]", "", &t));
    EXPECT(t, "aaa", "aaa|");
    tuff_tokenizer_destroy(&t);
    /* of tokens spelled alike the last counts */
    KIT_OK(parse("\"unk_id\":0", "[\"u\",-9],[\"a\",-1],[\"b\",-1],[\"ab\",-9],[\"a\",-30]", "", &t));
    int32_t *ids;
    size_t count;
    KIT_OK(tuff_tokenizer_encode(t, "ab", 2, 0, &ids, &count));
    assert_true(count == 1 && ids[0] == 3);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
}

static void unknown_characters(void **state)
{
    (void)state;
    static const char vocab[] = "[\"<unk>\",0],[\"a\",-1],[\"<0xC3>\",-2],[\"<0xA9>\",-2]";
    tuff_tokenizer *t;
    KIT_OK(parse("\"unk_id\":0,\"byte_fallback\":true", vocab, "", &t));
    EXPECT(t,
           "a\xc3\xa9"
           "a",
           "a|<0xC3>|<0xA9>|a|");
    EXPECT(t, "\xc3\xa9z", "<unk>|"); /* one of the two has no bytes: the library takes neither apart */
    EXPECT(t, "<unk>", "<unk>|");
    assert_int_equal(tuff_tokenizer_token_type(t, 2), TUFF_TOKEN_BYTE);
    tuff_tokenizer_destroy(&t);
    KIT_OK(parse("\"unk_id\":null", vocab, "", &t));
    EXPECT(t,
           "az\xc3\xa9z"
           "a",
           "a|a|"); /* no unknown token: dropped */
    tuff_tokenizer_destroy(&t);
}

/* "</s>" is a piece of the vocabulary like others: only asking for plain text keeps it apart. */
static void special_tokens_may_be_plain_text(void **state)
{
    (void)state;
    static const char vocab[] =
        "[\"<unk>\",0],[\"</s>\",0],[\"a\",-1],[\"<\",-2],[\"/\",-2],[\"s\",-2],[\">\",-2]";
    static const char added[] = ",\"added_tokens\":[{\"id\":1,\"content\":\"</s>\",\"special\":true}],"
                                "\"normalizer\":{\"type\":\"NFKC\"}";
    static const char wide[] = "a\xef\xbc\x9c/s>"; /* U+FF1C, which NFKC makes "<" */
    tuff_tokenizer *t;
    KIT_OK(parse("\"unk_id\":0", vocab, added, &t));
    EXPECT(t, "a</s>a", "a|</s>|a|");
    assert_string_equal(fixture_encode(t, "a</s>a", 6, TUFF_ENCODE_PLAIN_SPECIAL), "a|<|/|s|>|a|");
    EXPECT(t, wide, "a|</s>|"); /* as in the library */
    assert_string_equal(fixture_encode(t, wide, sizeof wide - 1, TUFF_ENCODE_PLAIN_SPECIAL), "a|<|/|s|>|");
    tuff_tokenizer_destroy(&t);
}

static void refuses(const char *options, const char *vocab, const char *rest, tuff_status status,
                    const char *part)
{
    tuff_tokenizer *t;
    KIT_FAILS(parse(options, vocab, rest, &t), status, part);
    assert_null(t);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    static const char u[] = "\"unk_id\":0";
    refuses(u, "", "", TUFF_BAD_FORMAT, "the vocabulary is empty");
    refuses(u, "\"a\"", "", TUFF_BAD_FORMAT, "token 0 is not [\"text\", score]");
    refuses(u, "[\"a\"]", "", TUFF_BAD_FORMAT, "token 0 is not");
    refuses(u, "[\"a\",0],[\"b\",\"c\"]", "", TUFF_BAD_FORMAT, "token 1 is not");
    refuses(u, "[\"a\",0,1]", "", TUFF_BAD_FORMAT, "token 0 is not");
    refuses(u, "[\"a\",1e999]", "", TUFF_BAD_FORMAT, "token 0 is not");
    refuses("\"unk_id\":1", "[\"a\",0]", "", TUFF_BAD_FORMAT,
            "\"unk_id\" is 1, past the vocabulary of 1 tokens");
    refuses("\"unk_id\":\"a\"", "[\"a\",0]", "", TUFF_BAD_FORMAT, "unk_id");
    refuses(u, "[\"a\",0]", ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"@\"}",
            TUFF_BAD_FORMAT, "not base64");
    refuses(u, "[\"a\",0]", ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}",
            TUFF_BAD_FORMAT, "says that its table has 0 bytes");
    refuses(u, "[\"a\",0]",
            ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"CAAAAAAAAAA=\"}",
            TUFF_BAD_FORMAT, "its table has 8 bytes, but 4 bytes follow");
    refuses(u, "[\"a\",0]",
            ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"BAAAAAAAAAD/\"}",
            TUFF_BAD_FORMAT, "not UTF-8");
}

/* ---- GGUF ---- */

static void make_t5(fixture *f)
{
    static const char *const pieces[] = {"\xe2\x96\x81", "\xe2\x96\x81he", "llo", "h", "e", "l", "o"};
    fixture_start(f, "t5", NULL);
    f->desc.pad = fixture_token(f, "<pad>", TUFF_TOKEN_CONTROL, 0);
    f->desc.eos = fixture_token(f, "</s>", TUFF_TOKEN_CONTROL, 0);
    f->desc.unk = fixture_token(f, "<unk>", TUFF_TOKEN_UNKNOWN, 0);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        fixture_token(f, pieces[i], TUFF_TOKEN_NORMAL, -(float)i - 1);
    fixture_token(f, "hello", TUFF_TOKEN_UNUSED, 0);
    fixture_token(f, "<x>", TUFF_TOKEN_USER_DEFINED, 0);
    f->desc.add_eos = f->desc.add_space_prefix = f->desc.merge_spaces = true;
}

static void gguf_of_kind_t5(void **state)
{
    (void)state;
    static fixture f;
    tuff_tokenizer *t, *again;
    tuff_vocab_export *vocab;
    make_t5(&f);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    EXPECT(t, "hello  hello ", "\xe2\x96\x81he|llo|\xe2\x96\x81he|llo|");
    EXPECT(t, "   ", "");
    EXPECT(t, "hello<x></s>", "\xe2\x96\x81he|llo|<x>|</s>|");
    assert_string_equal(fixture_encode(t, "hezz", 4, TUFF_ENCODE_ADD_SPECIAL), "\xe2\x96\x81he|<unk>|</s>|");
    fixture_round_trip(t, "hello hello", 11);
    assert_int_equal(tuff_tokenizer_eos(t, 0), f.desc.eos);
    KIT_OK(tuff_tokenizer_save(t, kit_temp_directory()));
    KIT_OK(tuff_tokenizer_load(kit_temp_directory(), &again));
    EXPECT(again, " hello  hello ", "\xe2\x96\x81he|llo|\xe2\x96\x81he|llo|");
    for (int written = 0; written < 2; written++) {
        KIT_OK(tuff_vocab_export_create(written ? again : t, &vocab));
        const tuff_vocab_desc *desc = tuff_vocab_export_desc(vocab);
        assert_string_equal(desc->kind, "t5");
        assert_true(desc->add_eos && !desc->add_bos && desc->add_space_prefix && desc->merge_spaces);
        assert_true(desc->eos == f.desc.eos && desc->unk == f.desc.unk && desc->pad == f.desc.pad);
        tuff_tokenizer *third;
        KIT_OK(tuff_tokenizer_from_desc(desc, "again", &third));
        EXPECT(third, " hello  hello ", "\xe2\x96\x81he|llo|\xe2\x96\x81he|llo|");
        tuff_tokenizer_destroy(&third);
        tuff_vocab_export_destroy(&vocab);
    }
    tuff_tokenizer_destroy(&again);
    tuff_tokenizer_destroy(&t);

    /* two ends make XLM-RoBERTa's pair */
    f.desc.bos = f.desc.pad;
    f.desc.add_bos = true;
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    assert_int_equal(tuff_tokenizer_special_count(t, true), 4);
    tuff_tokenizer_destroy(&t);
    f.desc.charsmap = (tuff_piece){"\4\0\0\0", 4};
    KIT_FAILS(tuff_tokenizer_from_desc(&f.desc, "test", &t), TUFF_BAD_FORMAT, "charsmap");
    f.desc.charsmap = (tuff_piece){NULL, 0};
    f.desc.mask = 99;
    KIT_FAILS(tuff_tokenizer_from_desc(&f.desc, "test", &t), TUFF_BAD_FORMAT, "id 99 is past the vocabulary");
    f.desc.mask = -1;
    f.desc.scores = NULL;
    KIT_FAILS(tuff_tokenizer_from_desc(&f.desc, "test", &t), TUFF_BAD_FORMAT, "needs scores");
}

static void what_gguf_cannot_say_is_not_exported(void **state)
{
    (void)state;
    static const char piece[] = ",\"pre_tokenizer\":{\"type\":\"Metaspace\"}";
    tuff_tokenizer *t;
    tuff_vocab_export *vocab;
    KIT_OK(parse("\"unk_id\":0", kudo, "", &t));
    KIT_FAILS(tuff_vocab_export_create(t, &vocab), TUFF_UNSUPPORTED, "not SentencePiece's");
    tuff_tokenizer_destroy(&t);
    KIT_OK(parse("\"unk_id\":0", kudo, piece, &t));
    KIT_OK(tuff_vocab_export_create(t, &vocab));
    assert_false(tuff_vocab_export_desc(vocab)->merge_spaces);
    tuff_vocab_export_destroy(&vocab);
    tuff_tokenizer_destroy(&t);
    KIT_OK(parse("\"unk_id\":0", kudo,
                 ",\"normalizer\":{\"type\":\"Lowercase\"},\"pre_tokenizer\":{\"type\":\"Metaspace\"}", &t));
    KIT_FAILS(tuff_vocab_export_create(t, &vocab), TUFF_UNSUPPORTED, "not SentencePiece's");
    tuff_tokenizer_destroy(&t);
}

/* ---- limits ---- */

/* Ten million letters without a place where all ways meet, and ten million with one at each. */
static void long_texts_take_their_time(void **state)
{
    (void)state;
    size_t size = 10 << 20, count;
    char *text = malloc(size);
    int32_t *ids;
    tuff_tokenizer *t;
    assert_non_null(text);
    KIT_OK(parse("\"unk_id\":0", "[\"u\",-9],[\"a\",-1],[\"aa\",-1.5],[\"aaa\",-1.75],[\"b\",-3]", "", &t));
    memset(text, 'a', size);
    KIT_OK(tuff_tokenizer_encode(t, text, size, 0, &ids, &count));
    assert_int_equal(count, size / 3 + 1);
    tuff_free(ids);
    memset(text, 'b', size);
    KIT_OK(tuff_tokenizer_encode(t, text, size, 0, &ids, &count));
    assert_int_equal(count, size);
    tuff_free(ids);
    memset(text, 'z', size);
    KIT_OK(tuff_tokenizer_encode(t, text, size, 0, &ids, &count));
    assert_int_equal(count, 1);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    free(text);
}

static void long_pieces_are_refused(void **state)
{
    (void)state;
    tuff_buf vocab = {0};
    tuff_tokenizer *t;
    tuff_buf_text(&vocab, "[\"u\",-9],[\"");
    for (size_t i = 0; i < 1025; i++)
        tuff_buf_char(&vocab, 'a');
    tuff_buf_text(&vocab, "\",-1]");
    KIT_FAILS(parse("\"unk_id\":0", vocab.data, "", &t), TUFF_UNSUPPORTED, "a token of 1025 bytes");
    tuff_buf_free(&vocab);
}

static tuff_status whole_life(void *user)
{
    const fixture *f = user;
    tuff_tokenizer *t = NULL;
    tuff_encoding *e = NULL;
    tuff_vocab_export *vocab = NULL;
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    params.spans = true;
    tuff_status status = tuff_tokenizer_from_desc(&f->desc, "test", &t);
    if (status == TUFF_OK)
        status = tuff_tokenizer_encode_pair(t, (tuff_piece){"hello \xff hzz</s>", 15}, (tuff_piece){"he", 2},
                                            &params, &e);
    if (status == TUFF_OK) status = tuff_vocab_export_create(t, &vocab);
    tuff_vocab_export_destroy(&vocab);
    tuff_encoding_destroy(&e);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    static fixture f;
    make_t5(&f);
    /* a table of one unit, which replaces nothing */
    f.desc.charsmap = (tuff_piece){"\4\0\0\0\0\0\0\0", 8};
    assert_true(kit_for_each_allocation_failure(whole_life, &f) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_way_is_taken),
        cmocka_unit_test(unknown_characters),
        cmocka_unit_test(special_tokens_may_be_plain_text),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(gguf_of_kind_t5),
        cmocka_unit_test(what_gguf_cannot_say_is_not_exported),
        cmocka_unit_test(long_texts_take_their_time),
        cmocka_unit_test(long_pieces_are_refused),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
