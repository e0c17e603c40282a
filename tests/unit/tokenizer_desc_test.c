/* Tokenizers from GGUF vocabularies, and back. */
#include "tokenizer_fixture.h"

#include <math.h>
#include <pthread.h>

static tuff_tokenizer *make(const fixture *f)
{
    tuff_tokenizer *tokenizer;
    KIT_OK(tuff_tokenizer_from_desc(&f->desc, "test", &tokenizer));
    return tokenizer;
}

#define EXPECT(tokenizer, text, expected) \
    assert_string_equal(fixture_encode((tokenizer), (text), strlen(text), 0), (expected))

static void byte_level_merges_by_rank(void **state)
{
    (void)state;
    static fixture f;
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    tuff_tokenizer *t = make(&f);
    EXPECT(t, "hello world", "hello|\xc4\xa0world|");
    EXPECT(t, "hell", "hell|");
    EXPECT(t, "aaaaaaa", "aaaa|aa|a|");
    EXPECT(t, "helloworld", "hello|w|or|ld|");
    EXPECT(t, "hello<|endoftext|>hello", "hello|<|endoftext|>|hello|");
    EXPECT(t, "<|endoftext|>", "<|endoftext|>|");
    assert_string_equal(fixture_encode(t, "<|endoftext|>", 13, TUFF_ENCODE_PLAIN_SPECIAL),
                        "<|||e|n|d|o|f|t|e|x|t|||>|");
    EXPECT(t, "", "");
    EXPECT(t, "\xe2\x82\xac", "\xc3\xa2|\xc4\xa4|\xc2\xac|"); /* a byte each */
    fixture_round_trip(t, "hello\n\n \xf0\x9f\x8c\x8b world\t12", 22);
    assert_int_equal(tuff_tokenizer_vocab_size(t), f.desc.size);
    assert_int_equal(tuff_tokenizer_eos_count(t), 1);
    assert_true(tuff_tokenizer_is_eos(t, f.desc.eos));
    assert_false(tuff_tokenizer_is_eos(t, 0));
    assert_int_equal(tuff_tokenizer_token_type(t, f.desc.eos), TUFF_TOKEN_CONTROL);
    assert_int_equal(tuff_tokenizer_token_type(t, -1), TUFF_TOKEN_UNUSED);
    assert_null(tuff_tokenizer_token(t, (int32_t)f.desc.size).data);
    assert_int_equal(tuff_tokenizer_id(t, "hello", 5), 259);
    assert_int_equal(tuff_tokenizer_id(t, "nope", 4), -1);
    assert_string_equal(tuff_tokenizer_kind(t), "gpt2");
    tuff_tokenizer_destroy(&t);
    assert_null(t);
}

static void cuts_differ_by_name(void **state)
{
    (void)state;
    static fixture f;
    static const char *const merges[] = {"1 2", "12 3", "123 4", "1234 5", "\xc4\x8a \xc4\x8a", "' S", NULL};
    static const struct {
        const char *pre, *expected;
    } cases[] = {
        {"gpt-2", "12345|'|S|'|s|"},   {"qwen2", "1|2|3|4|5|'S|'|s|"},   {"llama-bpe", "123|4|5|'S|'|s|"},
        {"llama3", "123|4|5|'S|'|s|"}, {"smollm", "1|2|3|4|5|'|S|'|s|"}, {"falcon", "123|4|5|'|S|'|s|"},
        {NULL, "123|4|5|'|S|'|s|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_gpt2(&f, cases[i].pre, merges);
        tuff_tokenizer *t = make(&f);
        EXPECT(t, "12345'S's", cases[i].expected);
        tuff_tokenizer_destroy(&t);
    }
}

static void broken_utf8_counts_as_replacement_characters(void **state)
{
    (void)state;
    static fixture f;
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    tuff_tokenizer *t = make(&f);
    static const struct {
        const char *text, *repaired;
    } cases[] = {
        {"a\xff", "a\xef\xbf\xbd"},
        {"\xe2\x82", "\xef\xbf\xbd"},
        {"\xe2\x82z", "\xef\xbf\xbdz"},
        {"\xf0\x9f\x8c\xc3\xa9", "\xef\xbf\xbd\xc3\xa9"},
        {"\xf4\x90\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[64];
        strcpy(expected, fixture_encode(t, cases[i].repaired, strlen(cases[i].repaired), 0));
        EXPECT(t, cases[i].text, expected);
    }
    tuff_tokenizer_destroy(&t);
}

static void sentencepiece_joins_by_score(void **state)
{
    (void)state;
    static fixture f;
    fixture_llama(&f);
    tuff_tokenizer *t = make(&f);
    EXPECT(t, "hello", "\xe2\x96\x81hello|");
    EXPECT(t, " hello", "\xe2\x96\x81|\xe2\x96\x81hello|"); /* the letters score better than the two spaces */
    EXPECT(t, "  a", "\xe2\x96\x81\xe2\x96\x81|\xe2\x96\x81|a|");
    EXPECT(t, "ohello", "\xe2\x96\x81|o|he|llo|");
    EXPECT(t, "aaaaa", "\xe2\x96\x81|aa|aa|a|");
    EXPECT(t, "\xc3\xa9\xe2\x82\xac", "\xe2\x96\x81|\xc3\xa9|<0xE2>|<0x82>|<0xAC>|");
    EXPECT(t, "hello</s>hello", "\xe2\x96\x81hello|</s>|\xe2\x96\x81hello|");
    EXPECT(t, "<0x41>", "\xe2\x96\x81|<0x3C>|<0x30>|<0x78>|<0x34>|<0x31>|<0x3E>|");
    EXPECT(t, "", "");
    assert_string_equal(fixture_encode(t, "a", 1, TUFF_ENCODE_ADD_SPECIAL), "<s>|\xe2\x96\x81|a|");
    fixture_round_trip(t, "hello  aa\nb\xc3\xa9", 13);
    fixture_round_trip(t, "  hello", 7);
    assert_string_equal(tuff_tokenizer_kind(t), "llama");
    tuff_tokenizer_destroy(&t);

    f.desc.add_space_prefix = false;
    t = make(&f);
    EXPECT(t, "hello", "he|llo|");
    fixture_round_trip(t, " hello", 6);
    tuff_tokenizer_destroy(&t);
}

static void equal_scores_go_left_to_right(void **state)
{
    (void)state;
    static fixture f;
    fixture_start(&f, "llama", NULL);
    static const char *const tokens[] = {"a", "b", "ab", "ba"};
    for (size_t i = 0; i < 4; i++)
        fixture_token(&f, tokens[i], TUFF_TOKEN_NORMAL, -1);
    tuff_tokenizer *t = make(&f);
    EXPECT(t, "aba", "ab|a|");
    EXPECT(t, "bab", "ba|b|");
    EXPECT(t, "axb", "ab|"); /* no byte tokens, no unknown token: dropped */
    tuff_tokenizer_destroy(&t);

    f.desc.unk = fixture_token(&f, "?", TUFF_TOKEN_UNKNOWN, 0);
    t = make(&f);
    EXPECT(t, "axyb", "a|?|b|");
    tuff_tokenizer_destroy(&t);
}

static void unused_tokens_never_come_about(void **state)
{
    (void)state;
    static fixture f;
    fixture_llama(&f);
    f.types[3 + 256 + 6] = TUFF_TOKEN_UNUSED; /* the whole word */
    tuff_tokenizer *t = make(&f);
    EXPECT(t, "hello", "\xe2\x96\x81he|llo|");
    tuff_tokenizer_destroy(&t);
}

static void streaming_never_splits_a_character(void **state)
{
    (void)state;
    static fixture f;
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    tuff_tokenizer *t = make(&f);
    tuff_decoder *decoder;
    tuff_piece part;
    static const uint8_t volcano[] = {0xf0, 0x9f, 0x8c, 0x8b};
    KIT_OK(tuff_decoder_create(t, true, &decoder));
    for (int i = 0; i < 4; i++) {
        KIT_OK(tuff_decoder_feed(decoder, volcano[i], &part));
        assert_int_equal(part.size, i == 3 ? 4 : 0);
    }
    assert_memory_equal(part.data, volcano, 4);
    KIT_OK(tuff_decoder_feed(decoder, 0xc3, &part)); /* begins a character */
    assert_int_equal(part.size, 0);
    KIT_OK(tuff_decoder_feed(decoder, f.desc.eos, &part)); /* skipped */
    assert_int_equal(part.size, 0);
    KIT_OK(tuff_decoder_feed(decoder, -5, &part)); /* no such token */
    assert_int_equal(part.size, 0);
    KIT_OK(tuff_decoder_feed(decoder, 'z', &part)); /* which it does not end */
    assert_int_equal(part.size, 2);
    assert_memory_equal(part.data, "\xc3z", 2);
    KIT_OK(tuff_decoder_feed(decoder, 0xe2, &part));
    KIT_OK(tuff_decoder_flush(decoder, &part));
    assert_int_equal(part.size, 1);
    KIT_OK(tuff_decoder_flush(decoder, &part));
    assert_int_equal(part.size, 0);
    tuff_decoder_destroy(&decoder);
    tuff_tokenizer_destroy(&t);
}

static void streaming_drops_the_first_space_once(void **state)
{
    (void)state;
    static fixture f;
    fixture_llama(&f);
    tuff_tokenizer *t = make(&f);
    tuff_decoder *decoder;
    tuff_piece part;
    int32_t hello = tuff_tokenizer_id(t, "\xe2\x96\x81hello", 8);
    KIT_OK(tuff_decoder_create(t, true, &decoder));
    for (int round = 0; round < 2; round++) {
        KIT_OK(tuff_decoder_feed(decoder, f.desc.bos, &part));
        assert_int_equal(part.size, 0);
        KIT_OK(tuff_decoder_feed(decoder, hello, &part));
        assert_int_equal(part.size, 5);
        KIT_OK(tuff_decoder_feed(decoder, hello, &part));
        assert_int_equal(part.size, 6);
        KIT_OK(tuff_decoder_flush(decoder, &part));
    }
    tuff_decoder_destroy(&decoder);
    tuff_tokenizer_destroy(&t);
}

static void expect_same(const tuff_tokenizer *a, const tuff_tokenizer *b)
{
    static const char *const texts[] = {"hello world",
                                        "  hello",
                                        "aaaaa aaa",
                                        "12 12",
                                        "\xc3\xa9\xf0\x9f\x8c\x8b\n\n",
                                        "</s>hello<|endoftext|>a"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (unsigned flags = 0; flags < 4; flags++) {
            char expected[512];
            strcpy(expected, fixture_encode(a, texts[i], strlen(texts[i]), flags));
            assert_string_equal(fixture_encode(b, texts[i], strlen(texts[i]), flags), expected);
        }
    }
}

static void written_and_described_again_it_is_the_same(void **state)
{
    (void)state;
    static fixture f;
    static const char *const pres[] = {"gpt-2", "llama-bpe", "qwen2", "smollm", "falcon", "default", "llama"};
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++) {
        if (strcmp(pres[i], "llama") == 0)
            fixture_llama(&f);
        else
            fixture_gpt2(&f, pres[i], fixture_merges);
        f.desc.add_eos = true;
        f.desc.chat_template = (tuff_piece){"{{ \"hi\" }}", 10};
        tuff_tokenizer *t = make(&f), *again;
        KIT_OK(tuff_tokenizer_save(t, kit_temp_directory()));
        KIT_OK(tuff_tokenizer_load(kit_temp_directory(), &again));
        expect_same(t, again);
        assert_int_equal(tuff_tokenizer_bos(again), f.desc.bos);
        assert_int_equal(tuff_tokenizer_eos(again, 0), f.desc.eos);
        assert_int_equal(tuff_tokenizer_unk(again), f.desc.unk);
        assert_int_equal(tuff_tokenizer_chat_template(again).size, 10);
        for (int from_file = 0; from_file < 2; from_file++) {
            tuff_vocab_export *vocab;
            tuff_tokenizer *third;
            KIT_OK(tuff_vocab_export_create(from_file ? again : t, &vocab));
            const tuff_vocab_desc *desc = tuff_vocab_export_desc(vocab);
            assert_string_equal(desc->kind, f.desc.kind);
            if (f.desc.pre) assert_string_equal(desc->pre, f.desc.pre);
            assert_int_equal(desc->size, f.desc.size);
            assert_int_equal(desc->eos, f.desc.eos);
            assert_true(desc->add_eos);
            for (uint32_t id = 0; id < f.desc.size; id++) {
                assert_int_equal(desc->types[id], f.types[id]);
                assert_int_equal(desc->tokens[id].size, f.tokens[id].size);
                assert_memory_equal(desc->tokens[id].data, f.tokens[id].data, f.tokens[id].size);
            }
            KIT_OK(tuff_tokenizer_from_desc(desc, "again", &third));
            expect_same(t, third);
            tuff_tokenizer_destroy(&third);
            tuff_vocab_export_destroy(&vocab);
        }
        tuff_tokenizer_destroy(&again);
        tuff_tokenizer_destroy(&t);
    }
}

static void long_words_take_no_quadratic_time(void **state)
{
    (void)state;
    static fixture f;
    size_t size = 1 << 20, count;
    char *text = malloc(size);
    int32_t *ids;
    assert_non_null(text);
    memset(text, 'a', size);
    for (int llama = 0; llama < 2; llama++) {
        if (llama)
            fixture_llama(&f);
        else
            fixture_gpt2(&f, "gpt-2", fixture_merges);
        tuff_tokenizer *t = make(&f);
        KIT_OK(tuff_tokenizer_encode(t, text, size, 0, &ids, &count));
        assert_int_equal(count, llama ? size / 2 + 1 : size / 4);
        tuff_free(ids);
        tuff_tokenizer_destroy(&t);
    }
    free(text);
}

static void refuses(const fixture *f, tuff_status status, const char *part)
{
    tuff_tokenizer *t;
    KIT_FAILS(tuff_tokenizer_from_desc(&f->desc, "model.gguf", &t), status, part);
    assert_null(t);
}

static void bad_vocabularies_are_refused(void **state)
{
    (void)state;
    static fixture f;
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    f.desc.kind = "rwkv";
    refuses(&f, TUFF_UNSUPPORTED, "\"rwkv\"");
    fixture_gpt2(&f, "gemma4", fixture_merges);
    refuses(&f, TUFF_UNSUPPORTED, "\"gemma4\"");
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    f.desc.eos = (int32_t)f.desc.size;
    refuses(&f, TUFF_BAD_FORMAT, "past the vocabulary");
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    f.merges[3] = (tuff_piece){"he nope", 7};
    refuses(&f, TUFF_BAD_FORMAT, "merge 3 (\"he nope\") needs the token \"nope\"");
    f.merges[3] = (tuff_piece){"hello", 5};
    refuses(&f, TUFF_BAD_FORMAT, "expected two tokens with a space");
    f.merges[3] = (tuff_piece){"", 0};
    refuses(&f, TUFF_BAD_FORMAT, "expected two tokens with a space");
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    f.types[7] = 9;
    refuses(&f, TUFF_BAD_FORMAT, "type of token 7");
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    f.tokens[7] = (tuff_piece){"\xff", 1};
    refuses(&f, TUFF_BAD_FORMAT, "token 7 is not UTF-8");
    f.desc.size = 0;
    refuses(&f, TUFF_BAD_FORMAT, "0 tokens");
    fixture_llama(&f);
    f.scores[5] = NAN;
    refuses(&f, TUFF_BAD_FORMAT, "score of token 5");
    fixture_llama(&f);
    f.desc.scores = NULL;
    refuses(&f, TUFF_BAD_FORMAT, "scores");
}

static void a_smaller_model_is_refused(void **state)
{
    (void)state;
    static fixture f;
    fixture_llama(&f);
    tuff_tokenizer *t = make(&f);
    KIT_OK(tuff_tokenizer_check_model(t, f.desc.size));
    KIT_OK(tuff_tokenizer_check_model(t, f.desc.size + 9));
    KIT_FAILS(tuff_tokenizer_check_model(t, f.desc.size - 1), TUFF_BAD_FORMAT, "another model");
    tuff_tokenizer_destroy(&t);
}

static void *encode_in_thread(void *user)
{
    const tuff_tokenizer *t = user;
    static const char text[] = "hello world, hello aaaa 12 <|endoftext|>hello";
    for (int i = 0; i < 50; i++) {
        int32_t *ids;
        size_t count;
        if (tuff_tokenizer_encode(t, text, sizeof text - 1, 0, &ids, &count) != TUFF_OK || count != 12)
            return NULL;
        tuff_free(ids);
    }
    return user;
}

static void threads_share_a_tokenizer(void **state)
{
    (void)state;
    static fixture f;
    fixture_gpt2(&f, "gpt-2", fixture_merges);
    tuff_tokenizer *t = make(&f);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_in_thread, t), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
    tuff_tokenizer_destroy(&t);
}

static tuff_status whole_life(void *user)
{
    const fixture *f = user;
    tuff_tokenizer *t = NULL;
    tuff_vocab_export *vocab = NULL;
    tuff_decoder *decoder = NULL;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t count, size;
    tuff_piece part;
    tuff_status status = tuff_tokenizer_from_desc(&f->desc, "test", &t);
    if (status == TUFF_OK)
        status = tuff_tokenizer_encode(t, "hello \xff<|endoftext|> </s>", 23, 1, &ids, &count);
    if (status == TUFF_OK) status = tuff_tokenizer_decode(t, ids, count, false, &text, &size);
    if (status == TUFF_OK) status = tuff_decoder_create(t, true, &decoder);
    if (status == TUFF_OK) status = tuff_decoder_feed(decoder, ids[0], &part);
    if (status == TUFF_OK) status = tuff_vocab_export_create(t, &vocab);
    if (status == TUFF_OK) status = tuff_tokenizer_save(t, kit_temp_directory());
    tuff_vocab_export_destroy(&vocab);
    tuff_decoder_destroy(&decoder);
    tuff_free(text);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    static fixture f;
    fixture_llama(&f);
    assert_true(kit_for_each_allocation_failure(whole_life, &f) > 20);
    fixture_gpt2(&f, "qwen2", fixture_merges);
    assert_true(kit_for_each_allocation_failure(whole_life, &f) > 20);
}

/* Each cut of a piece is looked up, which for one of a megabyte would take minutes. */
static void endless_pieces_are_refused(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    fixture f;
    tuff_tokenizer *t;
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, 'a', SIZE);
    fixture_llama(&f);
    f.tokens[f.desc.size - 1] = (tuff_piece){text, SIZE};
    KIT_FAILS(tuff_tokenizer_from_desc(&f.desc, "endless", &t), TUFF_UNSUPPORTED, "1048576 bytes");
    f.tokens[f.desc.size - 1].size = 1024;
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "long", &t));
    tuff_tokenizer_destroy(&t);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_merges_by_rank),
        cmocka_unit_test(cuts_differ_by_name),
        cmocka_unit_test(broken_utf8_counts_as_replacement_characters),
        cmocka_unit_test(sentencepiece_joins_by_score),
        cmocka_unit_test(equal_scores_go_left_to_right),
        cmocka_unit_test(unused_tokens_never_come_about),
        cmocka_unit_test(streaming_never_splits_a_character),
        cmocka_unit_test(streaming_drops_the_first_space_once),
        cmocka_unit_test(written_and_described_again_it_is_the_same),
        cmocka_unit_test(long_words_take_no_quadratic_time),
        cmocka_unit_test(bad_vocabularies_are_refused),
        cmocka_unit_test(a_smaller_model_is_refused),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(endless_pieces_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
