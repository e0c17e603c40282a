/* WordPiece from vocab.txt and from GGUF's kind bert. */
#include "hostile.h"
#include "tokenizer_fixture.h"

static const char vocab_txt[] =
    "[PAD]\n[unused0]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nriver\n##s\n##bank\nun\n##a\n##ff\n"
    "##able\n,\n.\na\n\xe6\xb5\xae\n##\xc3\xa9\n";

static tuff_tokenizer *load(const char *vocab, const char *config)
{
    tuff_tokenizer *t;
    KIT_OK(tuff_tokenizer_from_wordpiece(vocab, strlen(vocab), config, config ? strlen(config) : 0,
                                         "vocab.txt", &t));
    return t;
}

#define EXPECT(tokenizer, text, flags, expected) \
    assert_string_equal(fixture_encode((tokenizer), (text), strlen(text), (flags)), (expected))

static void words_are_cut_into_the_longest_tokens(void **state)
{
    (void)state;
    tuff_tokenizer *t = load(vocab_txt, NULL);
    EXPECT(t, "The riverbanks, unaffable.", TUFF_ENCODE_ADD_SPECIAL,
           "[CLS]|the|river|##bank|##s|,|un|##a|##ff|##able|.|[SEP]|");
    EXPECT(t, "the zebra river", 0, "the|[UNK]|river|");
    EXPECT(t, "riverz", 0, "[UNK]|"); /* a word that does not end well is unknown as a whole */
    EXPECT(t, "RIVER \xc3\x80", 0, "river|a|");
    EXPECT(t, "the\xe6\xb5\xaethe", 0, "the|\xe6\xb5\xae|the|");
    EXPECT(t, "the[MASK]river [CLS]", 0, "the|[MASK]|river|[CLS]|");
    assert_string_equal(fixture_encode(t, "[MASK]", 6, TUFF_ENCODE_PLAIN_SPECIAL), "[UNK]|[UNK]|[UNK]|");
    EXPECT(t, "", TUFF_ENCODE_ADD_SPECIAL, "[CLS]|[SEP]|");
    assert_string_equal(fixture_encode(t, "a\0b\xff", 4, 0), "[UNK]|"); /* NUL and U+FFFD are cleaned away */
    assert_string_equal(tuff_tokenizer_kind(t), "bert");
    assert_int_equal(tuff_tokenizer_cls(t), 3);
    assert_int_equal(tuff_tokenizer_sep(t), 4);
    assert_int_equal(tuff_tokenizer_mask(t), 5);
    assert_int_equal(tuff_tokenizer_pad(t), 0);
    assert_int_equal(tuff_tokenizer_unk(t), 2);
    assert_int_equal(tuff_tokenizer_bos(t), -1);
    assert_int_equal(tuff_tokenizer_special_count(t, false), 2);
    assert_int_equal(tuff_tokenizer_special_count(t, true), 3);
    tuff_tokenizer_destroy(&t);
}

/* Words cut at white space alone are still no special tokens where those are plain text. */
static void special_tokens_may_be_plain_text(void **state)
{
    (void)state;
    static const char json[] =
        "{\"added_tokens\":[{\"id\":1,\"content\":\"[SEP]\",\"special\":true}],\"pre_tokenizer\":{\"type\":"
        "\"WhitespaceSplit\"},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"[SEP]\":1,"
        "\"a\":2}}}";
    tuff_tokenizer *t;
    KIT_OK(tuff_tokenizer_from_json(json, sizeof json - 1, NULL, 0, "test.json", &t));
    EXPECT(t, "a [SEP]", 0, "a|[SEP]|");
    EXPECT(t, "a [SEP]", TUFF_ENCODE_PLAIN_SPECIAL, "a|u|");
    tuff_tokenizer_destroy(&t);
}

static void a_word_may_have_100_characters(void **state)
{
    (void)state;
    tuff_tokenizer *t = load("[UNK]\na\n##a\n##\xd0\xb6\n", NULL);
    char word[256] = "a";
    for (size_t i = 0; i < 99; i++)
        strcat(word, "\xd0\xb6");
    int32_t *ids;
    size_t count;
    KIT_OK(tuff_tokenizer_encode(t, word, strlen(word), 0, &ids, &count));
    assert_int_equal(count, 100);
    tuff_free(ids);
    strcat(word, "a");
    EXPECT(t, word, 0, "[UNK]|");
    tuff_tokenizer_destroy(&t);
}

/* The é of the vocabulary is only met where accents are kept; capitals only where case is. */
static void the_config_says_how_texts_are_normalized(void **state)
{
    (void)state;
    static const struct {
        const char *config, *expected;
    } cases[] = {
        {NULL, "a|[UNK]|the|\xe6\xb5\xae|"},
        {"{}", "a|[UNK]|the|\xe6\xb5\xae|"},
        {"{\"do_lower_case\":false}", "a|##\xc3\xa9|[UNK]|\xe6\xb5\xae|"},
        {"{\"strip_accents\":false}", "a|##\xc3\xa9|the|\xe6\xb5\xae|"},
        {"{\"do_lower_case\":false,\"strip_accents\":true}", "[UNK]|[UNK]|\xe6\xb5\xae|"},
        {"{\"tokenize_chinese_chars\":false,\"strip_accents\":false}", "a|##\xc3\xa9|[UNK]|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_tokenizer *t = load(vocab_txt, cases[i].config);
        const char *text = "a\xc3\xa9 The\xe6\xb5\xae";
        if (i < 2) text = "a z The\xe6\xb5\xae";
        EXPECT(t, text, 0, cases[i].expected);
        tuff_tokenizer_destroy(&t);
    }
    /* a vocabulary with capitals is a cased one, when nobody says */
    tuff_tokenizer *t = load("[UNK]\nThe\nthe\n", NULL);
    EXPECT(t, "The the", 0, "The|the|");
    tuff_tokenizer_destroy(&t);
    t = load("[UNK]\nThe\nthe\n", "{\"do_lower_case\":true}");
    EXPECT(t, "The the", 0, "the|the|");
    tuff_tokenizer_destroy(&t);
}

static void special_tokens_have_their_names_from_the_config(void **state)
{
    (void)state;
    tuff_tokenizer *t =
        load("<s>\n<pad>\n</s>\n[UNK]\n<mask>\nthe\n<x>\n",
             "{\"cls_token\":\"<s>\",\"sep_token\":{\"content\":\"</s>\"},\"mask_token\":\"<mask>\","
             "\"tokenizer_class\":\"MPNetTokenizer\",\"added_tokens_decoder\":{\"7\":{\"content\":"
             "\"<new>\",\"special\":true},\"6\":{\"content\":\"<x>\",\"special\":false}}}");
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    tuff_encoding *e;
    static const int32_t ids[] = {0, 5, 7, 2, 2, 5, 4, 6, 2}, types[] = {0, 0, 0, 0, 1, 1, 1, 1, 1};
    KIT_OK(tuff_tokenizer_encode_pair(t, (tuff_piece){"the<new>", 8}, (tuff_piece){"the <mask><x>", 13},
                                      &params, &e));
    assert_int_equal(e->count, 9);
    assert_memory_equal(e->ids, ids, sizeof ids);
    assert_memory_equal(e->type_ids, types, sizeof types);
    tuff_encoding_destroy(&e);
    tuff_tokenizer_destroy(&t);
}

/* MPNet's vocabulary has BERT's special tokens as well. */
static void of_two_kinds_of_special_tokens_those_of_the_model_count(void **state)
{
    (void)state;
    static const char vocab[] =
        "<s>\n<pad>\n</s>\n<unk>\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n[\n]\ncls\n<mask>\n";
    static const char *const configs[] = {NULL, "{\"tokenizer_class\":\"MPNetTokenizer\"}"};
    for (size_t i = 0; i < 2; i++) {
        tuff_tokenizer *t = load(vocab, configs[i]);
        EXPECT(t, "the <mask> [CLS]", TUFF_ENCODE_ADD_SPECIAL, "<s>|the|<mask>|[|cls|]|</s>|");
        EXPECT(t, "other", 0, "[UNK]|");
        assert_int_equal(tuff_tokenizer_pad(t), 1);
        tuff_tokenizer_destroy(&t);
    }
    tuff_tokenizer *t = load(vocab, "{\"tokenizer_class\":\"BertTokenizer\"}");
    EXPECT(t, "the [CLS]", TUFF_ENCODE_ADD_SPECIAL, "[CLS]|the|[CLS]|[SEP]|");
    tuff_tokenizer_destroy(&t);
}

static void refuses(const char *vocab, const char *config, tuff_status status, const char *part)
{
    tuff_tokenizer *t;
    KIT_FAILS(tuff_tokenizer_from_wordpiece(vocab, strlen(vocab), config, config ? strlen(config) : 0,
                                            "vocab.txt", &t),
              status, part);
    assert_null(t);
}

static void bad_vocabularies_are_refused(void **state)
{
    (void)state;
    refuses("", NULL, TUFF_BAD_FORMAT, "a vocabulary of 0 tokens");
    refuses("a\nb\n", NULL, TUFF_BAD_FORMAT, "no unknown token");
    refuses("[UNK]\n\xff\n", NULL, TUFF_BAD_FORMAT, "line 2 is not UTF-8");
    refuses("[UNK]\na\n", "[]", TUFF_BAD_FORMAT, "not an object");
    refuses("[UNK]\na\n", "{\"do_lower_case\":3}", TUFF_BAD_FORMAT, "do_lower_case");
    refuses("[UNK]\na\n", "{\"unk_token\":7}", TUFF_BAD_FORMAT, "\"unk_token\" of tokenizer_config.json");
    refuses("[UNK]\na\n", "{\"unk_token\":\"u\"}", TUFF_BAD_FORMAT, "no unknown token");
    refuses("[UNK]\na\n", "{\"do_basic_tokenize\":false}", TUFF_UNSUPPORTED, "do_basic_tokenize");
    refuses("[UNK]\na\n", "{\"tokenizer_class\":\"BertJapaneseTokenizer\"}", TUFF_UNSUPPORTED,
            "\"BertJapaneseTokenizer\"");
    refuses("[UNK]\na\n", "{\"added_tokens_decoder\":{\"9000000\":{\"content\":\"x\"}}}", TUFF_BAD_FORMAT,
            "too many ids");
    tuff_buf vocab = {0};
    tuff_buf_text(&vocab, "[UNK]\n");
    for (size_t i = 0; i < 1025; i++)
        tuff_buf_char(&vocab, 'a');
    refuses(vocab.data, NULL, TUFF_UNSUPPORTED, "a token of 1025 bytes");
    tuff_buf_free(&vocab);
}

/* Of tokens spelled alike the last counts; lines may end as on Windows; the last needs no end. */
static void odd_lines(void **state)
{
    (void)state;
    tuff_tokenizer *t = load("[UNK]\r\na\r\nb\r\na\r\n\r\nc", NULL);
    int32_t *ids;
    size_t count;
    KIT_OK(tuff_tokenizer_encode(t, "a b c", 5, 0, &ids, &count));
    assert_int_equal(count, 3);
    assert_true(ids[0] == 3 && ids[1] == 2 && ids[2] == 5);
    tuff_free(ids);
    assert_int_equal(tuff_tokenizer_vocab_size(t), 6);
    tuff_tokenizer_destroy(&t);
}

/* ---- GGUF ---- */

static void make_bert(fixture *f)
{
    static const char *const words[] = {"\xe2\x96\x81the", "\xe2\x96\x81river", "s",
                                        "\xe2\x96\x81,",   "\xe2\x96\x81un",    "##"};
    fixture_start(f, "bert", NULL);
    f->desc.pad = fixture_token(f, "[PAD]", TUFF_TOKEN_CONTROL, 0);
    fixture_token(f, "[unused0]", TUFF_TOKEN_NORMAL, 0);
    f->desc.unk = fixture_token(f, "[UNK]", TUFF_TOKEN_CONTROL, 0);
    f->desc.cls = fixture_token(f, "[CLS]", TUFF_TOKEN_CONTROL, 0);
    f->desc.sep = fixture_token(f, "[SEP]", TUFF_TOKEN_CONTROL, 0);
    f->desc.mask = fixture_token(f, "[MASK]", TUFF_TOKEN_CONTROL, 0);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        fixture_token(f, words[i], TUFF_TOKEN_NORMAL, 0);
    f->desc.lowercase = f->desc.strip_accents = -1;
}

static void gguf_spells_the_words_beginning(void **state)
{
    (void)state;
    static fixture f;
    tuff_tokenizer *t;
    make_bert(&f);
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    EXPECT(t, "The rivers, [MASK]", TUFF_ENCODE_ADD_SPECIAL, "[CLS]|the|river|##s|,|[MASK]|[SEP]|");
    EXPECT(t, "s", 0, "[UNK]|");
    assert_int_equal(tuff_tokenizer_id(t, "[unused0]", 9), 1);
    tuff_tokenizer_destroy(&t);
    f.desc.lowercase = 0;
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    EXPECT(t, "The the", 0, "[UNK]|the|");
    tuff_tokenizer_destroy(&t);

    /* older files: the ends are those of a text, and no token has a type */
    make_bert(&f);
    f.desc.bos = f.desc.cls;
    f.desc.eos = f.desc.sep;
    f.desc.cls = f.desc.sep = f.desc.mask = f.desc.unk = f.desc.pad = -1;
    f.desc.types = NULL;
    strcpy(f.texts[3], "[CLS]");
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    EXPECT(t, "the[SEP]", TUFF_ENCODE_ADD_SPECIAL, "[CLS]|the|[SEP]|[SEP]|");
    tuff_tokenizer_destroy(&t);
    f.desc.size = 2;
    f.desc.bos = f.desc.eos = -1;
    KIT_FAILS(tuff_tokenizer_from_desc(&f.desc, "test", &t), TUFF_BAD_FORMAT, "needs an unknown token");
}

static void written_and_described_again_it_is_the_same(void **state)
{
    (void)state;
    static fixture f;
    static const char text[] = "The rivers, [MASK] un z";
    make_bert(&f);
    f.desc.lowercase = 1;
    f.desc.strip_accents = 0;
    tuff_tokenizer *t, *again, *third;
    KIT_OK(tuff_tokenizer_from_desc(&f.desc, "test", &t));
    KIT_OK(tuff_tokenizer_save(t, kit_temp_directory()));
    KIT_OK(tuff_tokenizer_load(kit_temp_directory(), &again));
    for (int written = 0; written < 2; written++) {
        tuff_vocab_export *vocab;
        KIT_OK(tuff_vocab_export_create(written ? again : t, &vocab));
        const tuff_vocab_desc *desc = tuff_vocab_export_desc(vocab);
        assert_string_equal(desc->kind, "bert");
        assert_true(desc->lowercase == 1 && desc->strip_accents == 0);
        assert_true(desc->cls == f.desc.cls && desc->sep == f.desc.sep && desc->mask == f.desc.mask);
        for (uint32_t id = 0; id < f.desc.size; id++) {
            assert_int_equal(desc->tokens[id].size, f.tokens[id].size);
            assert_memory_equal(desc->tokens[id].data, f.tokens[id].data, f.tokens[id].size);
        }
        KIT_OK(tuff_tokenizer_from_desc(desc, "again", &third));
        char expected[512];
        strcpy(expected, fixture_encode(t, text, sizeof text - 1, TUFF_ENCODE_ADD_SPECIAL));
        assert_string_equal(fixture_encode(again, text, sizeof text - 1, TUFF_ENCODE_ADD_SPECIAL), expected);
        assert_string_equal(fixture_encode(third, text, sizeof text - 1, TUFF_ENCODE_ADD_SPECIAL), expected);
        tuff_tokenizer_destroy(&third);
        tuff_vocab_export_destroy(&vocab);
    }
    tuff_tokenizer_destroy(&again);
    tuff_tokenizer_destroy(&t);
}

/* ---- limits ---- */

/* A letter ten million times, and words of a letter: each in a time that grows with the text. */
static void long_texts_take_their_time(void **state)
{
    (void)state;
    size_t size = 10 << 20, count;
    char *text = malloc(size);
    int32_t *ids;
    assert_non_null(text);
    tuff_tokenizer *t = load(vocab_txt, NULL);
    memset(text, 'a', size);
    KIT_OK(tuff_tokenizer_encode(t, text, size, 0, &ids, &count));
    assert_int_equal(count, 1);
    tuff_free(ids);
    for (size_t i = 0; i < size; i++)
        text[i] = i % 2 ? ' ' : 'a';
    KIT_OK(tuff_tokenizer_encode(t, text, size, 0, &ids, &count));
    assert_int_equal(count, size / 2);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    /* a limit that the file takes away, tokens that almost fit at every place */
    tuff_buf json = {0};
    tuff_buf_text(
        &json,
        "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"max_input_chars_per_word\":999999999,"
        "\"vocab\":{\"u\":0,\"a\":1,\"##a\":2,\"##");
    for (size_t i = 0; i < 1000; i++)
        tuff_buf_char(&json, 'a');
    tuff_buf_text(&json, "b\":3}}}");
    KIT_OK(tuff_tokenizer_from_json(json.data, json.size, NULL, 0, "test.json", &t));
    memset(text, 'a', size);
    KIT_OK(tuff_tokenizer_encode(t, text, 200000, 0, &ids, &count));
    assert_int_equal(count, 200000);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&json);
    free(text);
}

static tuff_status whole_life(void *user)
{
    const char *config = user;
    tuff_tokenizer *t = NULL;
    tuff_encoding *e = NULL;
    tuff_vocab_export *vocab = NULL;
    tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
    params.spans = true;
    tuff_status status =
        tuff_tokenizer_from_wordpiece(vocab_txt, sizeof vocab_txt - 1, config, strlen(config), "x", &t);
    if (status == TUFF_OK)
        status = tuff_tokenizer_encode_pair(t,
                                            (tuff_piece){"The r\xc3\xa9"
                                                         "ver\xff[SEP] \xe6\xb5\xae",
                                                         17},
                                            (tuff_piece){"un", 2}, &params, &e);
    if (status == TUFF_OK) status = tuff_vocab_export_create(t, &vocab);
    tuff_vocab_export_destroy(&vocab);
    tuff_encoding_destroy(&e);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(whole_life, "{\"cls_token\":\"[CLS]\"}") > 40);
}

static tuff_status parse_vocab(const uint8_t *data, size_t size)
{
    tuff_tokenizer *t;
    int32_t *ids;
    size_t count;
    tuff_status status = tuff_tokenizer_from_wordpiece((const char *)data, size, NULL, 0, "vocab.txt", &t);
    if (status != TUFF_OK) return status;
    status = tuff_tokenizer_encode(t, "The rivers, [MASK]\xff", 19, TUFF_ENCODE_ADD_SPECIAL, &ids, &count);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void damaged_bytes(void **state)
{
    (void)state;
    hostile_mutate(parse_vocab, (const uint8_t *)vocab_txt, sizeof vocab_txt - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_cut_into_the_longest_tokens),
        cmocka_unit_test(special_tokens_may_be_plain_text),
        cmocka_unit_test(a_word_may_have_100_characters),
        cmocka_unit_test(the_config_says_how_texts_are_normalized),
        cmocka_unit_test(special_tokens_have_their_names_from_the_config),
        cmocka_unit_test(of_two_kinds_of_special_tokens_those_of_the_model_count),
        cmocka_unit_test(bad_vocabularies_are_refused),
        cmocka_unit_test(odd_lines),
        cmocka_unit_test(gguf_spells_the_words_beginning),
        cmocka_unit_test(written_and_described_again_it_is_the_same),
        cmocka_unit_test(long_texts_take_their_time),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(damaged_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
