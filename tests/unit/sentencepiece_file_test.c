/* SentencePiece model files: what they hold, how classes number it, damaged ones. */
#define _POSIX_C_SOURCE 200809L
#include <sys/stat.h>

#include "hostile.h"
#include "text/fingerprint.h"
#include "tokenizer_fixture.h"

/* ---- writing protobuf ---- */

static void put_varint(tuff_buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        tuff_buf_char(out, (char)(value | 0x80));
    tuff_buf_char(out, (char)value);
}

static void put_number(tuff_buf *out, unsigned field, uint64_t value)
{
    put_varint(out, field << 3);
    put_varint(out, value);
}

static void put_bytes(tuff_buf *out, unsigned field, const void *data, size_t size)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, size);
    tuff_buf_bytes(out, data, size);
}

static void put_piece(tuff_buf *out, const char *text, float score, int type)
{
    tuff_buf piece = {0};
    put_bytes(&piece, 1, text, strlen(text));
    put_varint(&piece, 2 << 3 | 5);
    tuff_buf_bytes(&piece, &score, sizeof score);
    if (type != TUFF_TOKEN_NORMAL) put_number(&piece, 3, (uint64_t)type);
    put_bytes(out, 1, piece.data, piece.size);
    tuff_buf_free(&piece);
}

/* Trainer and normalizer: pairs of field and value, ended by 0. */
static void put_spec(tuff_buf *out, unsigned field, const uint64_t *pairs)
{
    tuff_buf spec = {0};
    tuff_buf_text(&spec, "");
    for (; pairs[0]; pairs += 2)
        put_number(&spec, (unsigned)pairs[0], pairs[1]);
    put_bytes(out, field, spec.data, spec.size);
    tuff_buf_free(&spec);
}

enum { KIND = 3, SUFFIX = 24, UNK = 40 };

static tuff_buf small_model(uint64_t kind)
{
    static const char *const pieces[] = {
        "\xe2\x96\x81", "\xe2\x96\x81the", "\xe2\x96\x81he", "h", "e", "t", "1,", "he", "1", ","};
    const uint64_t trainer[] = {KIND, kind, UNK, 1, 0}, /* the piece's type says which is unknown */
        normalizer[] = {3, 1, 4, 1, 0};
    tuff_buf out = {0};
    put_piece(&out, "<unk>", 0, TUFF_TOKEN_UNKNOWN);
    put_piece(&out, "<s>", 0, TUFF_TOKEN_CONTROL);
    put_piece(&out, "</s>", 0, TUFF_TOKEN_CONTROL);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        put_piece(&out, pieces[i], -(float)i - 1, TUFF_TOKEN_NORMAL);
    put_spec(&out, 2, trainer);
    put_spec(&out, 3, normalizer);
    return out;
}

static tuff_tokenizer *load(const tuff_buf *model, const char *config)
{
    tuff_tokenizer *t;
    KIT_OK(tuff_tokenizer_from_sentencepiece(model->data, model->size, config, config ? strlen(config) : 0,
                                             "test.model", &t));
    return t;
}

#define EXPECT(tokenizer, text, flags, expected) \
    assert_string_equal(fixture_encode((tokenizer), (text), strlen(text), (flags)), (expected))

static void both_kinds(void **state)
{
    (void)state;
    tuff_buf model = small_model(1);
    tuff_tokenizer *t = load(&model, NULL);
    EXPECT(t, " the  he ", TUFF_ENCODE_ADD_SPECIAL, "\xe2\x96\x81the|\xe2\x96\x81he|");
    EXPECT(t, "</s>zthe", 0, "</s>|\xe2\x96\x81|<unk>|t|he|");
    assert_string_equal(tuff_tokenizer_kind(t), "t5");
    assert_int_equal(tuff_tokenizer_bos(t), 1);
    assert_int_equal(tuff_tokenizer_eos(t, 0), 2);
    assert_int_equal(tuff_tokenizer_unk(t), 0);
    assert_int_equal(tuff_tokenizer_pad(t), -1);
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&model);
    model = small_model(2);
    t = load(&model, "{\"tokenizer_class\":\"LlamaTokenizer\"}");
    EXPECT(t, " he", TUFF_ENCODE_ADD_SPECIAL, "<s>|\xe2\x96\x81he|");
    assert_string_equal(tuff_tokenizer_kind(t), "llama");
    tuff_tokenizer_destroy(&t);
    t = load(&model,
             "{\"tokenizer_class\":\"LlamaTokenizerFast\",\"add_bos_token\":false,\"add_eos_token\":true,"
             "\"add_prefix_space\":false,\"eos_token\":\"</s>\"}");
    EXPECT(t, "he", TUFF_ENCODE_ADD_SPECIAL, "he|</s>|");
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&model);
}

static void classes_number_the_pieces(void **state)
{
    (void)state;
    tuff_buf model = small_model(1);
    tuff_tokenizer *t = load(&model, "{\"tokenizer_class\":\"T5TokenizerFast\",\"extra_ids\":2}");
    EXPECT(t, "the<extra_id_0>", TUFF_ENCODE_ADD_SPECIAL, "\xe2\x96\x81the|<extra_id_0>|</s>|");
    assert_int_equal(tuff_tokenizer_id(t, "<extra_id_0>", 12), 14);
    assert_int_equal(tuff_tokenizer_id(t, "<extra_id_1>", 12), 13);
    tuff_tokenizer_destroy(&t);

    t = load(&model, "{\"tokenizer_class\":\"XLMRobertaTokenizer\",\"mask_token\":{\"content\":\"<mask>\"}}");
    EXPECT(t, "the <mask>z", TUFF_ENCODE_ADD_SPECIAL, "<s>|\xe2\x96\x81the|<mask>|\xe2\x96\x81|<unk>|</s>|");
    assert_int_equal(tuff_tokenizer_id(t, "\xe2\x96\x81", 3), 4);
    assert_int_equal(tuff_tokenizer_mask(t), 14);
    assert_int_equal(tuff_tokenizer_special_count(t, true), 4);
    tuff_tokenizer_destroy(&t);

    t = load(&model, "{\"tokenizer_class\":\"AlbertTokenizer\"}");
    EXPECT(t, "TH\xc3\x89", TUFF_ENCODE_ADD_SPECIAL, "[CLS]|\xe2\x96\x81the|[SEP]|");
    EXPECT(t, "he1,", 0, "\xe2\x96\x81he|1|,|"); /* a digit and its comma are not one piece */
    assert_int_equal(tuff_tokenizer_cls(t), 13);
    assert_int_equal(tuff_tokenizer_mask(t), 15);
    tuff_tokenizer_destroy(&t);

    t = load(&model, "{\"tokenizer_class\":\"DebertaV2Tokenizer\",\"do_lower_case\":true}");
    EXPECT(t, "The", TUFF_ENCODE_ADD_SPECIAL, "[CLS]|\xe2\x96\x81the|[SEP]|");
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&model);
}

/* With U+2581 in the place of each S. */
static void spaced(const char *text, char *out)
{
    for (; *text; text++) {
        const char *by = *text == 'S' ? "\xe2\x96\x81" : (char[2]){*text};
        memcpy(out, by, strlen(by));
        out += strlen(by);
    }
    *out = 0;
}

/* A table of replacements that makes "A" an "a": a double array of 256 units, then the texts. */
static void put_table(tuff_buf *normalizer)
{
    static const uint32_t begin[] = {1024, 64u << 10, 'A' | 0x100 | 3u << 10, 1u << 31};
    tuff_buf table = {0};
    tuff_buf_bytes(&table, begin, sizeof begin);
    while (table.size < 1028)
        tuff_buf_char(&table, 0);
    tuff_buf_bytes(&table, "a", 2);
    put_bytes(normalizer, 2, table.data, table.size);
    tuff_buf_free(&table);
}

static tuff_buf model_with_user_defined(uint64_t kind, const char *user)
{
    static const char *const pieces[] = {"\xe2\x96\x81",
                                         "\xe2\x96\x81the",
                                         "\xe2\x96\x81he",
                                         "h",
                                         "e",
                                         "t",
                                         "1,",
                                         "he",
                                         "1",
                                         ",",
                                         "a",
                                         "A",
                                         "Ae"};
    tuff_buf out = {0}, trainer = {0}, normalizer = {0};
    put_piece(&out, "<unk>", 0, TUFF_TOKEN_UNKNOWN);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        put_piece(&out, pieces[i], -(float)i - 1,
                  strcmp(pieces[i], user) == 0 ? TUFF_TOKEN_USER_DEFINED : TUFF_TOKEN_NORMAL);
    put_number(&trainer, KIND, kind);
    put_bytes(&out, 2, trainer.data, trainer.size);
    put_table(&normalizer);
    put_number(&normalizer, 3, 1);
    put_number(&normalizer, 4, 1);
    put_bytes(&out, 3, normalizer.data, normalizer.size);
    tuff_buf_free(&trainer);
    tuff_buf_free(&normalizer);
    return out;
}

/* What sentencepiece 0.2.3 makes of them: user-defined symbols are sought in the normalized text, where
 * spaces are U+2581, and are not normalized; BPE never merges them, Unigram gives them a score. S stands for
 * U+2581. */
static void user_defined_symbols_are_sentencepieces(void **state)
{
    (void)state;
    enum { TEXTS = 7 };
    static const char *const texts[TEXTS] = {"the he",   "  theShe ", "S",     "thee",
                                             "hehe ,he", "ASShe",     "AAe Ae"};
    static const struct {
        uint64_t kind;
        const char *user, *ids[TEXTS];
    } cases[] = {
        {1, "S", {"Sthe|She|", "Sthe|She|", "", "Sthe|e|", "She|he|S|,|he|", "S|a|S|She|", "S|a|a|e|S|a|e|"}},
        {1,
         "he",
         {"Sthe|S|he|", "Sthe|S|he|", "", "Sthe|e|", "S|he|he|S|,|he|", "S|a|S|S|he|", "S|a|a|e|S|a|e|"}},
        {1, "Ae", {"Sthe|She|", "Sthe|She|", "", "Sthe|e|", "She|he|S|,|he|", "S|a|S|She|", "S|a|Ae|S|Ae|"}},
        {2,
         "S",
         {"S|t|he|S|he|", "S|t|he|S|he|", "", "S|t|he|e|", "S|he|he|S|,|he|", "S|a|S|S|he|",
          "S|a|a|e|S|a|e|"}},
        {2,
         "he",
         {"S|t|he|S|he|", "S|t|he|S|he|", "", "S|t|he|e|", "S|he|he|S|,|he|", "S|a|S|S|he|",
          "S|a|a|e|S|a|e|"}},
        {2,
         "Ae",
         {"S|t|he|She|", "S|t|he|She|", "", "S|t|he|e|", "She|he|S|,|he|", "S|a|S|She|", "S|a|Ae|S|Ae|"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char user[8], text[64], expected[128];
        spaced(cases[i].user, user);
        tuff_buf model = model_with_user_defined(cases[i].kind, user);
        tuff_tokenizer *t = load(&model, NULL);
        for (size_t j = 0; j < TEXTS; j++) {
            spaced(texts[j], text);
            spaced(cases[i].ids[j], expected);
            EXPECT(t, text, 0, expected);
        }
        tuff_tokenizer_destroy(&t);
        tuff_buf_free(&model);
    }
}

static void hash_of(const tuff_tokenizer *t, char out[65])
{
    tuff_sha256 hash;
    tuff_sha256_init(&hash);
    tuff_tokenizer_hash(t, &hash);
    tuff_sha256_hex(&hash, out);
}

/* The same vocabulary as a GGUF's gives other ids, so what is kept of texts is not taken from one for the
 * other. */
static void a_models_own_file_is_told_apart(void **state)
{
    (void)state;
    tuff_buf model = small_model(1);
    tuff_tokenizer *t = load(&model, NULL), *again;
    tuff_vocab_export *vocab;
    char own[65], other[65];
    KIT_OK(tuff_vocab_export_create(t, &vocab));
    KIT_OK(tuff_tokenizer_from_desc(tuff_vocab_export_desc(vocab), "again", &again));
    hash_of(t, own);
    hash_of(again, other);
    assert_string_not_equal(own, other);
    tuff_vocab_export_destroy(&vocab);
    tuff_tokenizer_destroy(&again);
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&model);
}

/* The parts are better by 0.001, which a sum in f32 does not hold beside 100000: of equal ways the first
 * stays. */
static void unigram_sums_are_single(void **state)
{
    (void)state;
    const char *directory = kit_temp_path("written");
    assert_int_equal(mkdir(directory, 0755), 0);
    static const float before[] = {-1, -80000, -120000};
    for (int far = 0; far < 3; far++) {
        tuff_buf model = {0};
        put_piece(&model, "<unk>", 0, TUFF_TOKEN_UNKNOWN);
        put_piece(&model, "\xe2\x96\x81", -1, TUFF_TOKEN_NORMAL);
        put_piece(&model, "z", before[far], TUFF_TOKEN_NORMAL);
        put_piece(&model, "a", -1.1f, TUFF_TOKEN_NORMAL);
        put_piece(&model, "b", -1.1f, TUFF_TOKEN_NORMAL);
        put_piece(&model, "ab", -2.201f, TUFF_TOKEN_NORMAL);
        tuff_tokenizer *t = load(&model, NULL), *written;
        EXPECT(t, "zab", 0, far == 1 ? "\xe2\x96\x81|z|ab|" : "\xe2\x96\x81|z|a|b|");
        /* as tokenizer.json it is the Hugging Face library's, which sums in f64 */
        KIT_OK(tuff_tokenizer_save(t, directory));
        KIT_OK(tuff_tokenizer_load(directory, &written));
        EXPECT(written, "zab", 0, "\xe2\x96\x81|z|a|b|");
        tuff_tokenizer_destroy(&written);
        tuff_tokenizer_destroy(&t);
        tuff_buf_free(&model);
    }
}

/* In a directory by any of the usual names; alone by its name's end. */
static void found_by_name(void **state)
{
    (void)state;
    tuff_buf model = small_model(1);
    tuff_tokenizer *t;
    char directory[400];
    snprintf(directory, sizeof directory, "%s", kit_temp_path("."));
    kit_write_file(kit_temp_path("sentencepiece.bpe.model"), model.data, model.size);
    KIT_OK(tuff_tokenizer_load(directory, &t));
    assert_int_equal(tuff_tokenizer_vocab_size(t), 13);
    tuff_tokenizer_destroy(&t);
    KIT_OK(tuff_tokenizer_load(kit_temp_path("sentencepiece.bpe.model"), &t));
    tuff_tokenizer_destroy(&t);
    kit_write_file(kit_temp_path("vocab.txt"), "[UNK]\nthe\n", 10);
    KIT_OK(tuff_tokenizer_load(directory, &t));
    assert_int_equal(tuff_tokenizer_vocab_size(t), 2);
    tuff_tokenizer_destroy(&t);
    KIT_OK(tuff_tokenizer_load(kit_temp_path("vocab.txt"), &t));
    tuff_tokenizer_destroy(&t);
    kit_write_file(kit_temp_path("broken.model"), "{}", 2);
    KIT_FAILS(tuff_tokenizer_load(kit_temp_path("broken.model"), &t), TUFF_BAD_FORMAT,
              "no SentencePiece model");
    tuff_buf_free(&model);
}

static void refuses(const tuff_buf *model, const char *config, tuff_status status, const char *part)
{
    tuff_tokenizer *t;
    KIT_FAILS(tuff_tokenizer_from_sentencepiece(model->data ? model->data : "", model->size, config,
                                                config ? strlen(config) : 0, "test.model", &t),
              status, part);
    assert_null(t);
}

static void refuses_spec(unsigned field, const uint64_t *pairs, tuff_status status, const char *part)
{
    tuff_buf model = small_model(1);
    put_spec(&model, field, pairs);
    refuses(&model, NULL, status, part);
    tuff_buf_free(&model);
}

static void bad_models_are_refused(void **state)
{
    (void)state;
    tuff_buf model = {0};
    refuses(&model, NULL, TUFF_BAD_FORMAT, "it has no pieces");
    put_piece(&model, "", 0, TUFF_TOKEN_NORMAL);
    refuses(&model, NULL, TUFF_BAD_FORMAT, "piece 0 has no text");
    tuff_buf_clear(&model);
    put_piece(&model, "a", 0, 9);
    put_piece(&model, "b", 0, 1);
    put_piece(&model, "c", 0, 1);
    refuses(&model, NULL, TUFF_BAD_FORMAT, "the type of token 0 is 9");
    tuff_buf_free(&model);
    refuses_spec(2, (uint64_t[]){KIND, 3, 0}, TUFF_UNSUPPORTED, "of the kind word");
    refuses_spec(2, (uint64_t[]){KIND, 4, 0}, TUFF_UNSUPPORTED, "of the kind char");
    refuses_spec(2, (uint64_t[]){KIND, 77, 0}, TUFF_UNSUPPORTED, "of the kind that is unknown");
    refuses_spec(2, (uint64_t[]){SUFFIX, 1, 0}, TUFF_UNSUPPORTED, "treat_whitespace_as_suffix");
    refuses_spec(3, (uint64_t[]){5, 0, 0}, TUFF_UNSUPPORTED, "escape_whitespaces");
    model = small_model(1);
    refuses(&model, "7", TUFF_BAD_FORMAT, "not an object");
    refuses(&model, "{\"tokenizer_class\":\"CamembertTokenizer\"}", TUFF_UNSUPPORTED,
            "\"CamembertTokenizer\"");
    refuses(&model, "{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":-1}", TUFF_BAD_FORMAT, "extra_ids");
    refuses(&model, "{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":1000000000}", TUFF_BAD_FORMAT,
            "extra_ids");
    refuses(&model, "{\"tokenizer_class\":\"DebertaV2Tokenizer\",\"split_by_punct\":true}", TUFF_UNSUPPORTED,
            "split_by_punct");
    tuff_buf_free(&model);
}

static void broken_messages(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {
        {"\x0a", 1, "a number does not end"},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, "a number does not end"},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "longer than what is there"},
        {"\x0a\x05"
         "a",
         3, "longer than what is there"},
        {"\x0b", 1, "of a kind that is not used"},
        {"\x02\x00", 2, "no valid number"},
        {"\x0d\x00\x00", 3, "a field is cut off"},
        {"\x09\x00\x00\x00\x00", 5, "a field is cut off"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_tokenizer *t;
        KIT_FAILS(tuff_tokenizer_from_sentencepiece(cases[i].bytes, cases[i].size, NULL, 0, "test.model", &t),
                  TUFF_BAD_FORMAT, cases[i].part);
    }
}

static tuff_status parse_and_use(const uint8_t *data, size_t size)
{
    tuff_tokenizer *t;
    int32_t *ids;
    size_t count;
    tuff_status status = tuff_tokenizer_from_sentencepiece(data, size, NULL, 0, "test.model", &t);
    if (status != TUFF_OK) return status;
    status = tuff_tokenizer_encode(t, " the  he\xff </s>1,", 16, TUFF_ENCODE_ADD_SPECIAL, &ids, &count);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void damaged_bytes(void **state)
{
    (void)state;
    for (uint64_t kind = 1; kind < 3; kind++) {
        tuff_buf model = small_model(kind);
        hostile_mutate(parse_and_use, (const uint8_t *)model.data, model.size);
        for (size_t size = 0; size < model.size;
             size++) { /* what ends between two pieces is a smaller model */
            tuff_status status = hostile_call(parse_and_use, (const uint8_t *)model.data, size);
            if (status != TUFF_OK) hostile_expect_refusal(status);
        }
        tuff_buf_free(&model);
    }
}

static tuff_status whole_life(void *user)
{
    const tuff_buf *model = user;
    static const char config[] = "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}";
    tuff_tokenizer *t;
    tuff_status status =
        tuff_tokenizer_from_sentencepiece(model->data, model->size, config, sizeof config - 1, "x", &t);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    tuff_buf model = small_model(1);
    assert_true(kit_for_each_allocation_failure(whole_life, &model) > 30);
    tuff_buf_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds),
        cmocka_unit_test(classes_number_the_pieces),
        cmocka_unit_test(user_defined_symbols_are_sentencepieces),
        cmocka_unit_test(unigram_sums_are_single),
        cmocka_unit_test(a_models_own_file_is_told_apart),
        cmocka_unit_test(found_by_name),
        cmocka_unit_test(bad_models_are_refused),
        cmocka_unit_test(broken_messages),
        cmocka_unit_test(damaged_bytes),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
