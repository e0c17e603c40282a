/* What a tokenizer.json may make of a text: memory and time are in proportion to the two, or it is refused.
 */
#include <stdio.h>

#include "base/json.h"
#include "tokenizer_fixture.h"

static const char model[] =
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"a\":1,\"b\":2},"
    "\"merges\":[]}";

/* {"<key>": <value>, "model": ...} */
static tuff_status load(const char *key, const tuff_buf *value, tuff_tokenizer **out)
{
    tuff_buf json = {0};
    tuff_buf_printf(&json, "{\"%s\":", key);
    tuff_buf_bytes(&json, value->data, value->size);
    tuff_buf_printf(&json, ",%s}", model);
    assert_false(json.failed);
    tuff_status status = tuff_tokenizer_from_json(json.data, json.size, NULL, 0, "test.json", out);
    tuff_buf_free(&json);
    return status;
}

static void repeat(tuff_buf *buf, const char *what, size_t count, const char *between)
{
    for (size_t i = 0; i < count; i++) {
        if (i) tuff_buf_text(buf, between);
        tuff_buf_text(buf, what);
    }
}

/* "a" by a thousand of them, three times: a gigabyte of one letter. */
static tuff_buf thousands(void)
{
    tuff_buf replace = {0}, sequence = {0};
    tuff_buf_text(&replace, "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"");
    repeat(&replace, "a", 1000, "");
    tuff_buf_text(&replace, "\"}");
    repeat(&sequence, replace.data, 3, ",");
    tuff_buf_free(&replace);
    return sequence;
}

static void steps_that_multiply_are_bounded(void **state)
{
    (void)state;
    static const char *const keys[] = {"normalizer", "decoder"}, *lists[] = {"normalizers", "decoders"};
    tuff_buf steps = thousands();
    for (size_t i = 0; i < 2; i++) {
        tuff_buf value = {0};
        tuff_tokenizer *t;
        int32_t *ids = NULL;
        const int32_t id = 1;
        char *text;
        size_t count;
        tuff_buf_printf(&value, "{\"type\":\"Sequence\",\"%s\":[%s]}", lists[i], steps.data);
        KIT_OK(load(keys[i], &value, &t));
        if (i == 0)
            KIT_FAILS(tuff_tokenizer_encode(t, "a", 1, 0, &ids, &count), TUFF_UNSUPPORTED,
                      "normalizer makes more than 65552 bytes of 1");
        else
            KIT_FAILS(tuff_tokenizer_decode(t, &id, 1, false, &text, &count), TUFF_UNSUPPORTED,
                      "decoder makes more than");
        tuff_tokenizer_destroy(&t);
        tuff_buf_free(&value);
    }
    tuff_buf_free(&steps);
}

/* Each gap between added tokens is normalized by itself: they share what they may become. */
static void gaps_share_their_bound(void **state)
{
    (void)state;
    tuff_buf value = {0}, text = {0};
    tuff_tokenizer *t;
    int32_t *ids;
    size_t count;
    tuff_buf_text(&value, "{\"type\":\"Prepend\",\"prepend\":\"");
    repeat(&value, "a", 60000, "");
    tuff_buf_text(&value, "\"},\"added_tokens\":[{\"id\":3,\"content\":\"#\",\"special\":true}]");
    KIT_OK(load("normalizer", &value, &t));
    KIT_OK(tuff_tokenizer_encode(t, "b", 1, 0, &ids, &count));
    assert_int_equal(count, 60001);
    tuff_free(ids);
    repeat(&text, "b", 5000, "#");
    KIT_FAILS(tuff_tokenizer_encode(t, text.data, text.size, 0, &ids, &count), TUFF_UNSUPPORTED,
              "normalizer makes more than");
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&value);
    tuff_buf_free(&text);
}

/* Cut into characters, a space before each, again and again: 2^15 bytes of one. */
static void cuts_that_multiply_are_bounded(void **state)
{
    (void)state;
    tuff_buf value = {0}, text = {0};
    tuff_tokenizer *t;
    int32_t *ids;
    size_t count;
    tuff_buf_text(&value, "{\"type\":\"Sequence\",\"pretokenizers\":[");
    repeat(&value,
           "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"[^z]\"}},"
           "{\"type\":\"ByteLevel\",\"use_regex\":false,\"add_prefix_space\":true}",
           10, ",");
    tuff_buf_text(&value, "]}");
    KIT_OK(load("pre_tokenizer", &value, &t));
    repeat(&text, "a", 20000, "");
    KIT_FAILS(tuff_tokenizer_encode(t, text.data, text.size, 0, &ids, &count), TUFF_UNSUPPORTED,
              "pre-tokenizer makes more than");
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&value);
    tuff_buf_free(&text);
}

static void refuses(const char *key, const char *start, const char *each, size_t count, const char *end,
                    tuff_status status, const char *part)
{
    tuff_buf value = {0};
    tuff_tokenizer *t;
    tuff_buf_text(&value, start);
    repeat(&value, each, count, ",");
    tuff_buf_text(&value, end);
    KIT_FAILS(load(key, &value, &t), status, part);
    assert_null(t);
    tuff_buf_free(&value);
}

static void files_that_ask_for_much_are_refused(void **state)
{
    (void)state;
    refuses("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"", "aa", 2, "\"}", TUFF_BAD_FORMAT,
            "expected one character");
    refuses("pre_tokenizer", "{\"type\":\"Sequence\",\"pretokenizers\":[", "{\"type\":\"Punctuation\"}", 33,
            "]}", TUFF_UNSUPPORTED, "more than 32 steps");
    refuses("post_processor",
            "{\"type\":\"TemplateProcessing\",\"special_tokens\":{\"x\":{\"ids\":[]}},\"single\":[",
            "{\"SpecialToken\":{\"id\":\"x\"}}", 65, "]}", TUFF_UNSUPPORTED, "more than 64 parts");
    refuses("added_tokens", "[{\"id\":3,\"content\":\"", "0123456789abcdef", 1000, "\"}]", TUFF_UNSUPPORTED,
            "an added token of 16999 bytes");
    tuff_buf merge = {0};
    tuff_tokenizer *t;
    repeat(&merge, "a", 1000, " ");
    KIT_FAILS(tuff_tokenizer_from_vocab("{\"a\":0}", 7, merge.data, merge.size, NULL, 0, "vocab.json", &t),
              TUFF_UNSUPPORTED, "merge 0 has 1999 bytes with several spaces");
    tuff_buf_free(&merge);
}

/* A character with a million marks, in an order that each must be moved through all others. */
static void marks_are_put_in_order_in_time(void **state)
{
    (void)state;
    tuff_buf value = {0}, text = {0};
    tuff_tokenizer *t;
    int32_t *ids;
    size_t count;
    tuff_buf_text(&value, "{\"type\":\"NFD\"}");
    KIT_OK(load("normalizer", &value, &t));
    tuff_buf_text(&text, "a");
    repeat(&text, "\xcc\x81", 500000, ""); /* U+0301, class 230, before U+0316, class 220 */
    repeat(&text, "\xcc\x96", 500000, "");
    KIT_OK(tuff_tokenizer_encode(t, text.data, text.size, 0, &ids, &count));
    assert_int_equal(count, 1000001);
    tuff_free(ids);
    tuff_tokenizer_destroy(&t);
    tuff_buf_free(&value);
    tuff_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_that_multiply_are_bounded),
        cmocka_unit_test(gaps_share_their_bound),
        cmocka_unit_test(cuts_that_multiply_are_bounded),
        cmocka_unit_test(files_that_ask_for_much_are_refused),
        cmocka_unit_test(marks_are_put_in_order_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
