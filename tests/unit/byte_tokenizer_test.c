/* byT5's tokenizer, of which there is no file. The ids are those that transformers gives. */
#include "tokenizer_fixture.h"

#include "kit/files.h"
#include "text/read.h"

static tuff_status read(const char *config, tuff_tokenizer **out)
{
    return tuff_read_byte_tokenizer((tuff_view){config, strlen(config)}, "tokenizer_config.json", out);
}

static void expect(const tuff_tokenizer *t, const char *text, const int32_t *want, size_t n)
{
    int32_t *ids;
    size_t count;
    KIT_OK(tuff_tokenizer_encode(t, text, strlen(text), TUFF_ENCODE_ADD_SPECIAL, &ids, &count));
    assert_int_equal(count, n);
    assert_memory_equal(ids, want, n * sizeof *ids);
    tuff_free(ids);
}
#define EXPECT(text, ...) expect(t, text, (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4)

static void check(const tuff_tokenizer *t)
{
    EXPECT("hello \xc3\xa9 <extra_id_0> x</s> <pad> ok", 107, 104, 111, 111, 114, 35, 198, 172, 35, 259, 35,
           123, 1, 0, 114, 110, 1);
    EXPECT("a  b\n", 100, 35, 35, 101, 13, 1);
    EXPECT("", 1);
    assert_int_equal(tuff_tokenizer_vocab_size(t), 384);
    assert_int_equal(tuff_tokenizer_id(t, "<extra_id_124>", 14), 383);
    assert_true(tuff_tokenizer_is_eos(t, 1));
    assert_int_equal(tuff_tokenizer_pad(t), 0);
    fixture_round_trip(t, "\xf0\x9f\x8c\x8b \"quotes\" \\ and\ttabs", 24);
}

static void bytes_are_tokens(void **state)
{
    (void)state;
    tuff_tokenizer *t;
    KIT_OK(read("{\"tokenizer_class\": \"ByT5Tokenizer\", \"extra_ids\": 125}", &t));
    check(t);
    /* also as the vocabulary of a GGUF */
    tuff_vocab_export *vocab;
    tuff_tokenizer *again;
    KIT_OK(tuff_vocab_export_create(t, &vocab));
    assert_string_equal(tuff_vocab_export_desc(vocab)->kind, "gpt2");
    KIT_OK(tuff_tokenizer_from_desc(tuff_vocab_export_desc(vocab), "again", &again));
    tuff_tokenizer_destroy(&t);
    fixture_round_trip(again, "\xf0\x9f\x8c\x8b \"quotes\"", 13);
    tuff_tokenizer_destroy(&again);
    tuff_vocab_export_destroy(&vocab);
}

/* transformers writes all tokens, and that there are no more. */
static void listed_tokens_are_all(void **state)
{
    (void)state;
    tuff_buf text = {0};
    tuff_tokenizer *t;
    tuff_buf_text(&text,
                  "{\"tokenizer_class\": \"ByT5Tokenizer\", \"extra_ids\": 0, \"added_tokens_decoder\": "
                  "{\"0\": {\"content\": \"<pad>\"}, \"1\": {\"content\": \"</s>\"}");
    for (int i = 0; i < 125; i++)
        tuff_buf_printf(&text, ", \"%d\": {\"content\": \"<extra_id_%d>\", \"special\": true}", 259 + i, i);
    tuff_buf_text(&text, "}}");
    KIT_OK(read(text.data, &t));
    check(t);
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&text);
    KIT_OK(read("{\"extra_ids\": 0}", &t));
    assert_int_equal(tuff_tokenizer_vocab_size(t), 259);
    tuff_tokenizer_destroy(&t);
}

/* A directory has it where a class says so, and nothing that is the tokenizer. */
static void a_directory_names_it(void **state)
{
    (void)state;
    tuff_buf model = {0};
    kit_read_file(kit_golden("byt5/tokenizer_config.json"), &model);
    assert_true(tuff_is_byte_tokenizer((tuff_view){model.data, model.size}));
    tuff_buf_free(&model);
    assert_false(tuff_is_byte_tokenizer((tuff_view){"{\"tokenizer_class\": \"T5Tokenizer\"}", 34}));
    assert_false(tuff_is_byte_tokenizer((tuff_view){"{", 1}));
    assert_false(tuff_is_byte_tokenizer((tuff_view){NULL, 0}));
    tuff_tokenizer *t;
    KIT_OK(tuff_tokenizer_load(kit_golden("byt5"), &t));
    check(t);
    tuff_tokenizer_destroy(&t);
}

static void bad_configs_are_refused(void **state)
{
    (void)state;
    tuff_tokenizer *t;
    KIT_FAILS(read("{\"extra_ids\": -1}", &t), TUFF_BAD_FORMAT, "extra_ids is -1, expected 0 to");
    KIT_FAILS(read("{\"extra_ids\": 1e9}", &t), TUFF_BAD_FORMAT, "extra_ids is 1000000000, expected 0 to");
    KIT_FAILS(read("{\"added_tokens_decoder\": {\"x\": {\"content\": \"a\"}}}", &t), TUFF_BAD_FORMAT,
              "added_tokens_decoder has something other than ids and tokens");
    KIT_FAILS(read("{\"added_tokens_decoder\": {\"300\": {}}}", &t), TUFF_BAD_FORMAT,
              "added_tokens_decoder has something other than ids and tokens");
    KIT_FAILS(read("{", &t), TUFF_BAD_FORMAT, "tokenizer_config.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_tokens),
        cmocka_unit_test(listed_tokens_are_all),
        cmocka_unit_test(a_directory_names_it),
        cmocka_unit_test(bad_configs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
