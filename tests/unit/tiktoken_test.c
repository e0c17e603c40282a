/* tiktoken's files: lines of base64 and rank. */
#include "tokenizer_fixture.h"

#include "base/base64.h"
#include "kit/files.h"
#include "text/read.h"

static void line(tuff_buf *b, const char *bytes, size_t size, unsigned rank)
{
    tuff_base64_encode((tuff_view){bytes, size}, b);
    tuff_buf_printf(b, " %u\n", rank);
}

/* The 256 bytes, then these tokens. */
static tuff_buf make(const char *const *tokens)
{
    tuff_buf b = {0};
    unsigned rank = 0;
    for (int i = 0; i < 256; i++) {
        const char byte = (char)i;
        line(&b, &byte, 1, rank++);
    }
    for (; *tokens; tokens++)
        line(&b, *tokens, strlen(*tokens), rank++);
    return b;
}

static const char config[] =
    "{\"tokenizer_class\": \"QWenTokenizer\", \"eos_token\": \"<|end|>\", "
    "\"added_tokens_decoder\": {\"270\": {\"content\": \"<|end|>\", \"special\": true}}}";

static tuff_status read(tuff_buf text, const char *with, tuff_tokenizer **out)
{
    tuff_view more = {with, with ? strlen(with) : 0};
    return tuff_read_tiktoken_tokenizer((tuff_view){text.data, text.size}, more, "test.tiktoken", out);
}

static void the_lowest_rank_is_joined_first(void **state)
{
    (void)state;
    static const char *const tokens[] = {"lo", "he",   "hel", "ll",  "hell", "hello",
                                         " w", " wor", "or",  "xyz", NULL};
    tuff_buf file = make(tokens);
    tuff_tokenizer *t;
    assert_true(tuff_is_tiktoken((tuff_view){file.data, file.size}));
    KIT_OK(read(file, config, &t));
#define EXPECT(text, expected) assert_string_equal(fixture_encode(t, text, strlen(text), 0), expected)
    EXPECT("lohello", "lo|hello|"); /* both lo first, then he, hel, hello */
    EXPECT("ellow", "e|l|lo|w|");   /* lo before ll */
    EXPECT("hello", "hello|");      /* but a word that is a token is that */
    EXPECT("hell", "hell|");
    EXPECT("xyz", "xyz|"); /* nothing leads to it but itself */
    EXPECT("xyza", "x|y|z|a|");
    EXPECT("a wor", "a|\xc4\xa0wor|");
    EXPECT("1234<|end|>hello", "1|2|3|4|<|end|>|hello|");
    fixture_round_trip(t, "hello \xf0\x9f\x8c\x8b world\n", 17);
    assert_true(tuff_tokenizer_is_eos(t, 270));
    assert_int_equal(tuff_tokenizer_bos(t), -1);
    assert_int_equal(tuff_tokenizer_vocab_size(t), 271);
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&file);
}

/* Of Llama 3's size, without a config: its pattern, its special tokens, its begin of text. */
static void known_files_need_no_config(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    tuff_buf file = make(none);
    for (unsigned n = 0; n < 128000 - 256; n++) {
        const char bytes[3] = {(char)(n >> 16 ? 1 : 0), (char)(n >> 8), (char)n};
        line(&file, bytes, 3, 256 + n);
    }
    kit_write_file(kit_path("tokenizer.model"), file.data, file.size);
    tuff_buf_free(&file);
    tuff_tokenizer *t;
    KIT_OK(tuff_tokenizer_load(kit_path("tokenizer.model"), &t));
    assert_int_equal(tuff_tokenizer_vocab_size(t), 128256);
    assert_int_equal(tuff_tokenizer_bos(t), 128000);
    assert_true(tuff_tokenizer_is_eos(t, 128001));
    static const struct {
        const char *text;
        int32_t id;
    } specials[] = {{"<|reserved_special_token_0|>", 128002},
                    {"<|reserved_special_token_3|>", 128005},
                    {"<|start_header_id|>", 128006},
                    {"<|reserved_special_token_4|>", 128008},
                    {"<|eot_id|>", 128009},
                    {"<|reserved_special_token_5|>", 128010},
                    {"<|reserved_special_token_250|>", 128255}};
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        assert_int_equal(tuff_tokenizer_id(t, specials[i].text, strlen(specials[i].text)), specials[i].id);
    assert_string_equal(fixture_encode(t, "a1234<|eot_id|>", 15, TUFF_ENCODE_ADD_SPECIAL),
                        "<|begin_of_text|>|a|1|2|3|4|<|eot_id|>|");
    tuff_tokenizer_destroy(&t);
    /* in a directory too, where a SentencePiece model may have the same name */
    KIT_OK(tuff_make_directories(kit_path("original")));
    kit_copy_file(kit_path("tokenizer.model"), kit_join(kit_path("original"), "tokenizer.model"));
    KIT_OK(tuff_tokenizer_load(kit_path("original"), &t));
    assert_int_equal(tuff_tokenizer_vocab_size(t), 128256);
    tuff_tokenizer_destroy(&t);
}

static void refuses(const char *text, const char *with, tuff_status status, const char *part)
{
    tuff_buf file = {0};
    tuff_tokenizer *t;
    tuff_buf_text(&file, text);
    KIT_FAILS(read(file, with, &t), status, part);
    assert_null(t);
    tuff_buf_free(&file);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    refuses("YQ== 0\nYg== 1\n", NULL, TUFF_UNSUPPORTED,
            "it lists 2 tokens and does not say how texts are cut");
    refuses("YQ== 0\nYg==\n", config, TUFF_BAD_FORMAT, "line 2 is not a token in base64 and its rank");
    refuses("YQ== 0\n\nYg== x\n", config, TUFF_BAD_FORMAT, "line 2 is not");
    refuses("YQ== 0\nYg== 99999999\n", config, TUFF_BAD_FORMAT, "line 2 is not");
    refuses("YQ== 0\nYg== 999999999\n", config, TUFF_BAD_FORMAT, "line 2 is not");
    refuses("YQ== 0\nYg== 9000\n", config, TUFF_BAD_FORMAT, "a rank of 9000 among 2 tokens");
    refuses("YQ== 0\nY! 1\n", config, TUFF_BAD_FORMAT, "the token of line 2 is not base64");
    refuses("YQ== 0\nYg== 0\n", config, TUFF_BAD_FORMAT,
            "line 2 has a rank or a token that was there before");
    refuses("YQ== 0\nYQ== 1\n", config, TUFF_BAD_FORMAT,
            "line 2 has a rank or a token that was there before");
    refuses("YQ== 0\n", "{", TUFF_BAD_FORMAT, "tokenizer_config.json");
    assert_false(tuff_is_tiktoken((tuff_view){"\n\x05<unk>", 7}));
    assert_false(tuff_is_tiktoken((tuff_view){"", 0}));
    assert_false(tuff_is_tiktoken((tuff_view){"hello 7", 7}));
}

static tuff_status read_again(void *user)
{
    tuff_tokenizer *t = NULL;
    tuff_status status = read(*(const tuff_buf *)user, config, &t);
    tuff_tokenizer_destroy(&t);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const tokens[] = {"lo", "he", NULL};
    tuff_buf file = make(tokens);
    assert_true(kit_for_each_allocation_failure(read_again, &file) > 20);
    tuff_buf_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_rank_is_joined_first),
        cmocka_unit_test(known_files_need_no_config),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
