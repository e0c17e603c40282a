/* Tokenizers from Hugging Face files: tokenizer.json, vocab.json with merges.txt, directories; damaged ones.
 */
#include "base/file.h"
#include "hostile.h"
#include "tokenizer_fixture.h"

static const char small_json[] =
    "{\"version\":\"1.0\",\"truncation\":null,\"added_tokens\":[{\"id\":6,\"content\":\"<e>\",\"special\":true,"
    "\"normalized\":false}],\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
    "\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}+| \"},\"behavior\":\"Isolated\"},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<e>\",\"type_id\":0}},"
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"special_tokens\":{\"<e>\":{\"id\":\"<e>\",\"ids\":[6]}}},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"vocab\":{\"a\":0,\"b\":1,"
    "\"\\u0120\":2,\"ab\":3,\"aba\":4,\"u\":5},\"merges\":[\"a b\",[\"ab\",\"a\"]]}}";

static tuff_tokenizer *parse(const char *json)
{
    tuff_tokenizer *tokenizer;
    KIT_OK(tuff_tokenizer_from_json(json, strlen(json), NULL, 0, "test.json", &tokenizer));
    return tokenizer;
}

static void a_small_file(void **state)
{
    (void)state;
    tuff_tokenizer *t = parse(small_json);
    assert_string_equal(fixture_encode(t, "aba ab<e>ba", 11, 1), "<e>|aba|\xc4\xa0|ab|<e>|b|a|");
    assert_string_equal(fixture_encode(t, "axb", 3, 0), "a|u|b|");
    assert_int_equal(tuff_tokenizer_bos(t), 6);
    assert_int_equal(tuff_tokenizer_unk(t), 5);
    assert_int_equal(tuff_tokenizer_pad(t), -1);
    assert_int_equal(tuff_tokenizer_eos_count(t), 0);
    tuff_tokenizer_destroy(&t);
}

/* Files before the models had a "type" are told by what they hold: T5's is such a one. */
static void models_without_a_type_are_told_by_what_they_hold(void **state)
{
    (void)state;
    static const struct {
        const char *json, *kind;
    } files[] = {
        {"{\"model\":{\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0],[\"a\",-1.5]]}}", "t5"},
        {"{\"model\":{\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\",\"vocab\":{\"u\":0}}}",
         "bert"},
    };
    static const char words[] = "{\"model\":{\"unk_token\":\"u\",\"vocab\":{\"u\":0}}}";
    tuff_tokenizer *t = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        KIT_OK(tuff_tokenizer_from_json(files[i].json, strlen(files[i].json), NULL, 0, "test.json", &t));
        assert_string_equal(tuff_tokenizer_kind(t), files[i].kind);
        tuff_tokenizer_destroy(&t);
    }
    KIT_FAILS(tuff_tokenizer_from_json(words, sizeof words - 1, NULL, 0, "test.json", &t), TUFF_UNSUPPORTED,
              "the model \"WordLevel\"");
}

/* The small file with `from` replaced by `to`. */
static void refuses(const char *from, const char *to, tuff_status status, const char *part)
{
    const char *place = strstr(small_json, from);
    tuff_tokenizer *t;
    tuff_buf json = {0};
    assert_non_null(place);
    tuff_buf_bytes(&json, small_json, (size_t)(place - small_json));
    tuff_buf_text(&json, to);
    tuff_buf_text(&json, place + strlen(from));
    KIT_FAILS(tuff_tokenizer_from_json(json.data, json.size, NULL, 0, "test.json", &t), status, part);
    assert_null(t);
    tuff_buf_free(&json);
}

static void bad_files_are_refused_in_a_sentence(void **state)
{
    (void)state;
    refuses("\"ab\":3", "\"ab\":-3", TUFF_BAD_FORMAT, "the token \"ab\" has no valid id");
    refuses("\"ab\":3", "\"ab\":3.5", TUFF_BAD_FORMAT, "the token \"ab\" has no valid id");
    refuses("\"ab\":3", "\"ab\":1e18", TUFF_BAD_FORMAT, "the token \"ab\" has no valid id");
    refuses("\"ab\":3", "\"ab\":\"3\"", TUFF_BAD_FORMAT, "the token \"ab\" has no valid id");
    refuses("\"ab\":3", "\"ab\":1", TUFF_BAD_FORMAT, "\"b\" and \"ab\" have the same id 1");
    refuses("\"ab\":3", "\"ab\":3,\"ab\":9", TUFF_BAD_FORMAT,
            "test.json: the key \"ab\" appears twice in one object, again at byte");
    refuses("\"ab\":3", "\"ab\":9000000", TUFF_BAD_FORMAT, "an id of 9000000 in a vocabulary of 7 tokens");
    refuses("\"id\":6", "\"id\":4", TUFF_BAD_FORMAT, "\"aba\" and \"<e>\" have the same id 4");
    refuses("\"content\":\"<e>\"", "\"content\":\"ab\"", TUFF_BAD_FORMAT, "the vocabulary gives it 3");
    refuses("\"content\":\"<e>\",", "", TUFF_BAD_FORMAT, "no \"content\"");
    refuses("\"a b\"", "\"a z\"", TUFF_BAD_FORMAT, "merge 0 (\"a z\") needs the token \"z\"");
    refuses("\"a b\"", "\"b a\"", TUFF_BAD_FORMAT, "needs the token \"ba\"");
    refuses("\"a b\"", "\"ab\"", TUFF_BAD_FORMAT, "merge 0 is \"ab\"");
    refuses("\"a b\"", "7", TUFF_BAD_FORMAT, "merge 0 is neither");
    refuses("\"merges\":[", "\"merges\":{}, \"x\":[", TUFF_BAD_FORMAT, "no list \"merges\"");
    refuses("\"vocab\":{", "\"vocab\":[], \"x\":{", TUFF_BAD_FORMAT, "no object \"vocab\"");
    refuses("\"model\":{", "\"x\":{", TUFF_BAD_FORMAT, "no \"model\"");
    refuses("\"unk_token\":\"u\"", "\"unk_token\":\"v\"", TUFF_BAD_FORMAT, "\"unk_token\" \"v\"");
    refuses("\"BPE\"", "\"Unigram\"", TUFF_BAD_FORMAT, "no list \"vocab\"");
    refuses("\"BPE\"", "\"WordLevel\"", TUFF_UNSUPPORTED, "the model \"WordLevel\"");
    refuses("\"unk_token\"", "\"dropout\":0.1,\"x\"", TUFF_UNSUPPORTED, "dropout");
    refuses("\"unk_token\"", "\"continuing_subword_prefix\"", TUFF_UNSUPPORTED, "continuing_subword_prefix");
    refuses("\"unk_token\":\"u\"", "\"byte_fallback\":true,\"end_of_word_suffix\":\"</w>\"", TUFF_UNSUPPORTED,
            "end_of_word_suffix");
    refuses("\"NFC\"", "\"Precompiled\"", TUFF_BAD_FORMAT, "has no \"precompiled_charsmap\"");
    refuses("\"NFC\"", "\"Mystery\"", TUFF_UNSUPPORTED, "the normalizer \"Mystery\"");
    refuses("\"NFC\"", "5", TUFF_BAD_FORMAT, "type");
    refuses("{\"type\":\"NFC\"}", "\"NFC\"", TUFF_BAD_FORMAT, "the normalizer is not an object");
    refuses("\"type\":\"Split\"", "\"type\":\"UnicodeScripts\"", TUFF_UNSUPPORTED,
            "the pre-tokenizer \"UnicodeScripts\"");
    refuses("\"Isolated\"", "\"Sideways\"", TUFF_UNSUPPORTED, "\"Sideways\"");
    refuses("\"Regex\"", "\"Rgx\"", TUFF_BAD_FORMAT, "\"pattern\"");
    refuses("\\\\p{L}+| ", "(", TUFF_BAD_FORMAT, "the pattern \"(\" is not valid");
    refuses("\\\\p{L}+| ", "[a-z&&[^b]]", TUFF_UNSUPPORTED, "sets within sets");
    refuses("\"ids\":[6]", "\"ids\":[7]", TUFF_BAD_FORMAT, "an id that no token has");
    refuses("\"ids\":[6]", "\"x\":[6]", TUFF_BAD_FORMAT, "has no ids");
    refuses("\"TemplateProcessing\"", "\"Mystery\"", TUFF_UNSUPPORTED, "the post-processor \"Mystery\"");
    refuses("\"decoder\":{\"type\":\"ByteLevel\"}", "\"decoder\":{\"type\":\"CTC\"}", TUFF_UNSUPPORTED,
            "the decoder \"CTC\"");
    refuses("\"special\":true", "\"special\":\"yes\"", TUFF_BAD_FORMAT, "special");
    refuses("{\"version\"", "{\"version", TUFF_BAD_FORMAT, "not valid JSON");
}

static tuff_status parse_and_use(const uint8_t *data, size_t size)
{
    tuff_tokenizer *t;
    int32_t *ids;
    char *text;
    size_t count, length;
    tuff_status status = tuff_tokenizer_from_json((const char *)data, size, NULL, 0, "test.json", &t);
    if (status != TUFF_OK) {
        assert_null(t);
        return status;
    }
    status = tuff_tokenizer_encode(t, "aba ab<e>\xff z", 12, TUFF_ENCODE_ADD_SPECIAL, &ids, &count);
    if (status == TUFF_OK) {
        KIT_OK(tuff_tokenizer_decode(t, ids, count, true, &text, &length));
        tuff_free(text);
    }
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void damaged_bytes(void **state)
{
    (void)state;
    hostile_truncate(parse_and_use, (const uint8_t *)small_json, sizeof small_json - 1);
    hostile_mutate(parse_and_use, (const uint8_t *)small_json, sizeof small_json - 1);
}

static const char vocab_json[] =
    "{\"a\":0,\"b\":1,\"ab\":2,\"#\":3,\"##\":4,\"<|endoftext|>\":5,\"1\":6,\"11\":7,\"\\u0120\":8,\"\\u0120a\":9}";
static const char merges_txt[] = "#version: 0.2\na b\r\n# #\n\n1 1\n\xc4\xa0 a";
static const char small_config[] =
    "{\"tokenizer_class\":\"Qwen2Tokenizer\",\"eos_token\":\"<eot>\",\"add_eos_token\":true,"
    "\"added_tokens_decoder\":{\"10\":{\"content\":\"<eot>\",\"special\":true,\"normalized\":false}}}";

static tuff_status parse_config(const uint8_t *data, size_t size)
{
    tuff_tokenizer *t;
    tuff_status status =
        tuff_tokenizer_from_vocab(vocab_json, sizeof vocab_json - 1, merges_txt, sizeof merges_txt - 1,
                                  (const char *)data, size, "vocab.json", &t);
    tuff_tokenizer_destroy(&t);
    return status;
}

static tuff_status parse_merges(const uint8_t *data, size_t size)
{
    tuff_tokenizer *t;
    tuff_status status = tuff_tokenizer_from_vocab(vocab_json, sizeof vocab_json - 1, (const char *)data,
                                                   size, NULL, 0, "vocab.json", &t);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void damaged_companions(void **state)
{
    (void)state;
    static const char array[] = "{\"added_tokens_decoder\":[{\"content\":\"<eot>\"}]}";
    hostile_truncate(parse_config, (const uint8_t *)small_config, sizeof small_config - 1);
    hostile_mutate(parse_config, (const uint8_t *)small_config, sizeof small_config - 1);
    hostile_mutate(parse_merges, (const uint8_t *)merges_txt, sizeof merges_txt - 1);
    hostile_expect_refusal(parse_config((const uint8_t *)array, sizeof array - 1));
}

static tuff_status parse_whole(void *user)
{
    (void)user;
    tuff_tokenizer *t;
    int32_t *ids = NULL;
    size_t count;
    static const char config[] =
        "{\"eos_token\":{\"content\":\"<e>\"},\"chat_template\":[{\"name\":\"default\",\"template\":\"x\"}]}";
    tuff_status status = tuff_tokenizer_from_json(small_json, sizeof small_json - 1, config,
                                                  sizeof config - 1, "test.json", &t);
    if (status == TUFF_OK) status = tuff_tokenizer_encode(t, "ab\xc3\xa9 <e>", 8, 1, &ids, &count);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(parse_whole, NULL) > 30);
}

static void vocab_and_merges(void **state)
{
    (void)state;
    tuff_tokenizer *t;
    KIT_OK(tuff_tokenizer_from_vocab(vocab_json, sizeof vocab_json - 1, merges_txt, sizeof merges_txt - 1,
                                     NULL, 0, "vocab.json", &t));
    assert_string_equal(fixture_encode(t, "ab## a11<|endoftext|>", 21, 1), "ab|##|\xc4\xa0"
                                                                           "a|11|<|endoftext|>|");
    assert_int_equal(tuff_tokenizer_eos(t, 0), 5);
    tuff_tokenizer_destroy(&t);
    KIT_OK(tuff_tokenizer_from_vocab(vocab_json, sizeof vocab_json - 1, merges_txt, sizeof merges_txt - 1,
                                     small_config, sizeof small_config - 1, "vocab.json", &t));
    assert_string_equal(fixture_encode(t, "11<eot>", 7, 1), "1|1|<eot>|<eot>|"); /* Qwen cuts digits apart */
    assert_int_equal(tuff_tokenizer_vocab_size(t), 11);
    tuff_tokenizer_destroy(&t);

    KIT_FAILS(tuff_tokenizer_from_vocab("[]", 2, "", 0, NULL, 0, "vocab.json", &t), TUFF_BAD_FORMAT,
              "not an object");
    KIT_FAILS(tuff_tokenizer_from_vocab("{}", 2, "", 0, NULL, 0, "vocab.json", &t), TUFF_BAD_FORMAT, "empty");
    KIT_FAILS(
        tuff_tokenizer_from_vocab(vocab_json, sizeof vocab_json - 1, "a c\n", 4, NULL, 0, "vocab.json", &t),
        TUFF_BAD_FORMAT, "merge 0 (\"a c\") needs the token \"c\"");
    static const char bad_id[] = "{\"added_tokens_decoder\":{\"x\":{\"content\":\"<eot>\"}}}";
    KIT_FAILS(tuff_tokenizer_from_vocab(vocab_json, sizeof vocab_json - 1, "", 0, bad_id, sizeof bad_id - 1,
                                        "vocab.json", &t),
              TUFF_BAD_FORMAT, "\"<eot>\" has no valid id");
}

/* Its files need not name its special tokens; a mask takes the space before it. */
static void robertas_files(void **state)
{
    (void)state;
    static const char vocab[] =
        "{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"a\":4,\"\\u0120\":5,\"\\u0120a\":6,"
        "\"<mask>\":7}";
    static const char config[] = "{\"tokenizer_class\":\"RobertaTokenizerFast\",\"cls_token\":\"<s>\"}";
    tuff_tokenizer *t, *again;
    KIT_OK(tuff_tokenizer_from_vocab(vocab, sizeof vocab - 1, "\xc4\xa0 a\n", 5, config, sizeof config - 1,
                                     "vocab.json", &t));
    KIT_OK(tuff_tokenizer_save(t, kit_temp_directory()));
    KIT_OK(tuff_tokenizer_load(kit_temp_directory(), &again));
    for (int written = 0; written < 2; written++) {
        tuff_encode_params params = TUFF_ENCODE_PARAMS_INIT;
        tuff_encoding *e;
        params.spans = true;
        const tuff_tokenizer *one = written ? again : t;
        KIT_OK(tuff_tokenizer_encode_pair(one, (tuff_piece){"a a <mask>", 10}, (tuff_piece){"a", 1}, &params,
                                          &e));
        static const int32_t ids[] = {0, 4, 6, 7, 2, 2, 4, 2};
        assert_int_equal(e->count, 8);
        assert_memory_equal(e->ids, ids, sizeof ids);
        assert_true(e->spans[2].start == 2 && e->spans[3].start == 4 && e->spans[3].end == 10);
        assert_int_equal(e->type_ids[6], 0);
        assert_int_equal(tuff_tokenizer_mask(one), 7);
        tuff_encoding_destroy(&e);
    }
    tuff_tokenizer_destroy(&again);
    tuff_tokenizer_destroy(&t);
}

static void put(const char *directory, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    kit_write_file(path, text, strlen(text));
}

/* Old directories of RoBERTa say in config.json only whose vocabulary theirs is. */
static void the_model_tells_the_class(void **state)
{
    (void)state;
    static const struct {
        const char *model, *config, *expected;
    } cases[] = {{"{\"model_type\": \"roberta\"}", NULL, "<s>|a|</s>|"},
                 {"{\"model_type\": \"roberta\"}", "{\"tokenizer_class\": null, \"pad_token\": \"<pad>\"}",
                  "<s>|a|</s>|"},
                 {"{\"model_type\": \"roberta\"}", "{\"tokenizer_class\": \"GPT2Tokenizer\"}", "a|"},
                 {"{\"model_type\": \"x\", \"tokenizer_class\": \"RobertaTokenizer\"}", NULL, "<s>|a|</s>|"},
                 {"{\"model_type\": \"gpt2\"}", NULL, "a|"}};
    char directory[400];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_tokenizer *t;
        snprintf(directory, sizeof directory, "%s%zu", kit_temp_path("class"), i);
        KIT_OK(tuff_make_directories(directory));
        put(directory, "vocab.json", "{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"a\":3}");
        put(directory, "merges.txt", "");
        put(directory, "config.json", cases[i].model);
        if (cases[i].config) put(directory, "tokenizer_config.json", cases[i].config);
        KIT_OK(tuff_tokenizer_load(directory, &t));
        assert_string_equal(fixture_encode(t, "a", 1, 1), cases[i].expected);
        tuff_tokenizer_destroy(&t);
    }
}

static void directories(void **state)
{
    (void)state;
    char directory[400], other[400];
    tuff_tokenizer *t;
    snprintf(directory, sizeof directory, "%s", kit_temp_path("."));
    snprintf(other, sizeof other, "%s", kit_temp_path("copy.json"));
    KIT_FAILS(tuff_tokenizer_load(kit_temp_path("absent"), &t), TUFF_NOT_FOUND, "absent");
    KIT_FAILS(tuff_tokenizer_load(directory, &t), TUFF_NOT_FOUND,
              "expected tokenizer.json, both vocab.json and merges.txt, vocab.txt");
    put(directory, "merges.txt", merges_txt);
    KIT_FAILS(tuff_tokenizer_load(directory, &t), TUFF_NOT_FOUND,
              "merges.txt is there, but vocab.json is missing");
    assert_int_equal(remove(kit_temp_path("merges.txt")), 0);
    put(directory, "vocab.json", vocab_json);
    KIT_FAILS(tuff_tokenizer_load(directory, &t), TUFF_NOT_FOUND,
              "vocab.json is there, but merges.txt is missing");
    put(directory, "merges.txt", merges_txt);
    KIT_OK(tuff_tokenizer_load(directory, &t));
    assert_int_equal(tuff_tokenizer_vocab_size(t), 10);
    tuff_tokenizer_destroy(&t);
    put(directory, "tokenizer.json", small_json);
    put(directory, "config.json", "{\"eos_token_id\": 4}");
    KIT_OK(tuff_tokenizer_load(directory, &t));
    assert_int_equal(tuff_tokenizer_vocab_size(t), 7);
    assert_int_equal(tuff_tokenizer_eos(t, 0), 4);
    tuff_tokenizer_destroy(&t);
    put(directory, "tokenizer_config.json", "{\"pad_token\": \"u\"}\n");
    put(directory, "generation_config.json", "{\"eos_token_id\": [3, 6, 3, 99]}");
    put(directory, "chat_template.jinja", "{{ x }}");
    KIT_OK(tuff_tokenizer_load(directory, &t));
    assert_int_equal(tuff_tokenizer_eos_count(t), 2);
    assert_int_equal(tuff_tokenizer_eos(t, 1), 6);
    assert_int_equal(tuff_tokenizer_pad(t), 5);
    assert_int_equal(tuff_tokenizer_chat_template(t).size, 7);
    tuff_tokenizer_destroy(&t);
    put(directory, "generation_config.json", "{\"eos_token_id\": \"six\"}");
    KIT_FAILS(tuff_tokenizer_load(directory, &t), TUFF_BAD_FORMAT, "eos_token_id");
    put(directory, "generation_config.json", "{}");
    put(directory, "tokenizer_config.json", "{");
    KIT_FAILS(tuff_tokenizer_load(directory, &t), TUFF_BAD_FORMAT, "tokenizer_config.json");
    kit_write_file(other, small_json, sizeof small_json - 1);
    KIT_OK(tuff_tokenizer_load(other, &t));
    tuff_tokenizer_destroy(&t);
}

static void what_was_read_is_written_back_as_it_was(void **state)
{
    (void)state;
    static const char config[] = "{ \"eos_token\" : \"<e>\", \"oddity\": [1] }";
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json"};
    const char *const texts[] = {small_json, config};
    tuff_tokenizer *t;
    KIT_OK(tuff_tokenizer_from_json(small_json, sizeof small_json - 1, config, sizeof config - 1, "test.json",
                                    &t));
    KIT_OK(tuff_tokenizer_save(t, kit_temp_directory()));
    for (size_t i = 0; i < 2; i++) {
        char found[4096];
        FILE *file = fopen(kit_temp_path(names[i]), "rb");
        assert_non_null(file);
        size_t size = fread(found, 1, sizeof found, file);
        fclose(file);
        assert_int_equal(size, strlen(texts[i]));
        assert_memory_equal(found, texts[i], size);
    }
    KIT_FAILS(tuff_tokenizer_save(t, kit_temp_path("no/such/place")), TUFF_IO, "no/such/place");
    tuff_tokenizer_destroy(&t);
}

static void the_inexpressible_is_not_exported(void **state)
{
    (void)state;
    tuff_tokenizer *t = parse(small_json);
    tuff_vocab_export *vocab;
    KIT_FAILS(tuff_vocab_export_create(t, &vocab), TUFF_UNSUPPORTED, "pre-tokenizer");
    assert_null(vocab);
    tuff_tokenizer_destroy(&t);
    t = parse("{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}");
    KIT_FAILS(tuff_vocab_export_create(t, &vocab), TUFF_UNSUPPORTED, "neither");
    tuff_tokenizer_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_without_a_type_are_told_by_what_they_hold),
        cmocka_unit_test(a_small_file),
        cmocka_unit_test(bad_files_are_refused_in_a_sentence),
        cmocka_unit_test(damaged_bytes),
        cmocka_unit_test(damaged_companions),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(vocab_and_merges),
        cmocka_unit_test(directories),
        cmocka_unit_test(robertas_files),
        cmocka_unit_test(the_model_tells_the_class),
        cmocka_unit_test(what_was_read_is_written_back_as_it_was),
        cmocka_unit_test(the_inexpressible_is_not_exported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
