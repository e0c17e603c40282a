#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/json.h"
#include "kit/kit.h"

/* An exact copy on the heap, so that the address sanitizer sees a read past the end. */
static tuff_status parse(const char *text, size_t size, cJSON **out)
{
    char *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, text, size);
    tuff_status status = tuff_json_parse(copy, size, "test.json", out);
    free(copy);
    return status;
}

static void rejects(const char *text, size_t size, const char *part)
{
    cJSON *json = (cJSON *)1;
    KIT_FAILS(parse(text, size, &json), TUFF_BAD_FORMAT, part);
    assert_null(json);
    assert_non_null(strstr(tuff_error_message(), "test.json"));
}

static void bad_text_is_rejected_with_its_place(void **state)
{
    (void)state;
    rejects("", 0, "empty");
    rejects("   ", 3, "byte");
    rejects("{", 1, "byte");
    rejects("[1,]", 4, "byte 3");
    rejects("{\"a\":1,}", 8, "byte 7");
    rejects("{\"a\" 1}", 7, "byte");
    rejects("[1 2]", 5, "byte 3");
    rejects("{\"a\":1} x", 9, "more text after the end of the value at byte 8");
    rejects("{\"a\":1}{", 8, "at byte 7");
    rejects("tru", 3, "byte 0");
    rejects("nan", 3, "byte 0");
    rejects("'a'", 3, "byte 0");
    rejects("[1]\0", 4, "a NUL byte at byte 3");
    rejects("[\0 1]", 5, "a NUL byte at byte 1");
    rejects("[\"a\0b\"]", 7, "control character in a string at byte 3");
    rejects("[\"a\nb\"]", 7, "control character in a string at byte 3");
    rejects("[\"\\u0000\"]", 10, "escaped NUL in a string at byte 2");
    rejects("[\"\\u00g0\"]", 10, "hexadecimal digits at byte 2");
    rejects("[\"\\x\"]", 6, "unknown escape in a string at byte 2");
    rejects("[\"\\ud800\"]", 10, "byte");
    rejects("[\"\\", 3, "without an end");
    rejects("[\"\\u12", 6, "without an end");
    rejects("[\"abc", 5, "without an end at byte 5");
    rejects("[\"\xff\"]", 5, "invalid UTF-8 in a string at byte 2");
    rejects("[\"\xed\xa0\x80\"]", 7, "invalid UTF-8");
    rejects("[\xc3\xa4]", 4, "no JSON at byte 1");
    rejects("[\x01 1]", 5, "no JSON at byte 1");
    rejects("[01]", 4, "leading zero");
    rejects("[-]", 3, "minus sign");
    rejects("[1.]", 4, "after its point");
    rejects("[1e+]", 5, "exponent");
    rejects("[+1]", 4, "byte 1");
    rejects("[.5]", 4, "byte 1");
}

static void a_key_twice_is_rejected_with_its_name_and_place(void **state)
{
    (void)state;
    static const char *const fine[] = {"{\"a\":1,\"b\":{\"a\":2},\"c\":[{\"a\":1},{\"a\":2}]}",
                                       "[\"a\",\"a\",\"a\"]", "{\"a\":\"a\",\"b\":\"a\"}", "{\"\":1,\" \":2}",
                                       "{\"\\n\":1,\"n\":2,\"\\\\n\":3}"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        cJSON *json;
        KIT_OK(parse(fine[i], strlen(fine[i]), &json));
        cJSON_Delete(json);
    }
    static const char simple[] = "{\"key\":1, \"b\":{\"c\":[1,{}]}, \"key\":2}";
    rejects(simple, strlen(simple), "the key \"key\" appears twice in one object, again at byte 28");
    static const char *const twice[] = {"{\"a\":1,\"\\u0061\":2}",
                                        "{\"\":1,\"\":2}",
                                        "{\"\xf0\x9f\x98\x80\":1,\"\\uD83d\\ude00\":2}",
                                        "{\"\\/\":1,\"/\":2}",
                                        "[0,{\"a\":{},\"a\":[]}]",
                                        "{\"\\n\":{\"\\n\":1},\"\\u000A\":2}",
                                        "{\"x\":[[],{}],\"x\":[[]]}"};
    for (size_t i = 0; i < sizeof twice / sizeof *twice; i++)
        rejects(twice[i], strlen(twice[i]), "appears twice in one object");
}

static tuff_buf many(const char *start, const char *each, size_t count, const char *end)
{
    tuff_buf text = {0};
    tuff_buf_text(&text, start);
    for (size_t i = 0; i < count; i++) {
        if (i) tuff_buf_char(&text, ',');
        tuff_buf_printf(&text, each, i);
    }
    tuff_buf_text(&text, end);
    assert_false(text.failed);
    return text;
}

/* 12 million values in 24 MB would be a tree of a gigabyte; they are counted before there is a tree. */
static void values_are_limited(void **state)
{
    (void)state;
    cJSON *json = NULL;
    tuff_buf text = many("[", "0", 12000000, "]");
    KIT_FAILS(tuff_json_parse(text.data, text.size, "test.json", &json), TUFF_UNSUPPORTED,
              "test.json has more than 4194304 values");
    assert_null(json);
    tuff_buf_free(&text);
    text = many("{\"vocab\":{", "\"token %zu\":1", 500000, "}}");
    KIT_OK(tuff_json_parse(text.data, text.size, "test.json", &json));
    cJSON_Delete(json);
    tuff_buf_free(&text);
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[200001];
    cJSON *json;
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    KIT_OK(parse(text, 128, &json));
    cJSON_Delete(json);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    rejects(text, 130, "nested deeper than 64 levels at byte 64");
    memset(text, '[', 200000);
    rejects(text, 200000, "nested deeper");
    for (size_t i = 0; i < 200000; i += 5)
        memcpy(text + i, "{\"\":{", 5);
    rejects(text, 200000, "nested deeper");
    /* Brackets in strings do not count, nor do lists one after another. */
    tuff_buf buf = {0};
    tuff_buf_text(&buf, "[\"");
    for (int i = 0; i < 100; i++)
        tuff_buf_char(&buf, '[');
    tuff_buf_text(&buf, "\\\"\"");
    for (int i = 0; i < 100; i++)
        tuff_buf_text(&buf, ",[]");
    tuff_buf_text(&buf, "]");
    KIT_OK(parse(buf.data, buf.size, &json));
    assert_int_equal(cJSON_GetArraySize(json), 101);
    cJSON_Delete(json);
    tuff_buf_free(&buf);
}

static const char sample[] =
    "\xef\xbb\xbf { \"name\": \"a\\u00e4\\ud83d\\ude00\\n\xc3\xa4\", \"n\": -12, \"x\": 1.5e-3,\n"
    "\t\"list\": [true, false, null, {}, []], \"gone\": null, \"big\": 9007199254740993 } \r\n";

/* Cut anywhere, the text is bad; with any byte changed, it parses or is bad, and nothing is read past the
 * end. */
static void mutilated_text_is_survived(void **state)
{
    (void)state;
    cJSON *json;
    size_t size = sizeof sample - 1, end = size - 3;
    KIT_OK(parse(sample, size, &json));
    cJSON_Delete(json);
    for (size_t cut = 0; cut < end; cut++)
        assert_int_equal(parse(sample, cut, &json), TUFF_BAD_FORMAT);
    char copy[sizeof sample];
    for (size_t i = 0; i < size; i++)
        for (unsigned c = 0; c < 256; c++) {
            memcpy(copy, sample, sizeof sample);
            copy[i] = (char)c;
            tuff_status status = parse(copy, size, &json);
            assert_true(status == TUFF_OK || status == TUFF_BAD_FORMAT);
            assert_true((status == TUFF_OK) == (json != NULL));
            cJSON_Delete(json);
        }
}

static void getters_check_types(void **state)
{
    (void)state;
    cJSON *json;
    KIT_OK(parse(sample, sizeof sample - 1, &json));
    int64_t n = 5;
    double x = 5;
    bool flag = true;
    const char *text = "default";
    KIT_OK(tuff_json_int(json, "n", "f", &n));
    assert_int_equal(n, -12);
    KIT_OK(tuff_json_number(json, "x", "f", &x));
    assert_true(x == 1.5e-3);
    KIT_OK(tuff_json_number(json, "n", "f", &x));
    assert_true(x == -12);
    KIT_OK(tuff_json_text(json, "name", "f", &text));
    assert_string_equal(text, "a\xc3\xa4\xf0\x9f\x98\x80\n\xc3\xa4");
    /* Missing or null: as before. */
    KIT_OK(tuff_json_int(json, "N", "f", &n));
    KIT_OK(tuff_json_int(json, "gone", "f", &n));
    KIT_OK(tuff_json_bool(json, "gone", "f", &flag));
    KIT_OK(tuff_json_bool(NULL, "gone", "f", &flag));
    assert_int_equal(n, -12);
    assert_true(flag);
    KIT_FAILS(tuff_json_int(json, "x", "f.json", &n), TUFF_BAD_FORMAT,
              "f.json: \"x\" must be a whole number, found 0.0015");
    KIT_FAILS(tuff_json_int(json, "name", "f", &n), TUFF_BAD_FORMAT, "found a string");
    KIT_FAILS(tuff_json_bool(json, "n", "f", &flag), TUFF_BAD_FORMAT,
              "must be true or false, found a number");
    KIT_FAILS(tuff_json_text(json, "list", "f", &text), TUFF_BAD_FORMAT, "must be a string, found a list");
    KIT_FAILS(tuff_json_number(json, "list", "f", &x), TUFF_BAD_FORMAT, "must be a number");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "list");
    KIT_FAILS(tuff_json_int(list, "n", "f", &n), TUFF_BAD_FORMAT, "expected an object");
    cJSON_Delete(json);
}

static void numbers_past_the_limits_are_errors(void **state)
{
    (void)state;
    cJSON *json;
    int64_t n = 0;
    double x = 0;
    static const char text[] =
        "{\"ok\": 9007199254740992, \"past\": 9007199254740994, \"inf\": 1e999, \"min\": -9007199254740992}";
    KIT_OK(parse(text, sizeof text - 1, &json));
    KIT_OK(tuff_json_int(json, "ok", "f", &n));
    assert_true(n == INT64_C(9007199254740992));
    KIT_OK(tuff_json_int(json, "min", "f", &n));
    assert_true(n == -INT64_C(9007199254740992));
    KIT_FAILS(tuff_json_int(json, "past", "f", &n), TUFF_BAD_FORMAT, "whole number");
    KIT_FAILS(tuff_json_int(json, "inf", "f", &n), TUFF_BAD_FORMAT, "whole number");
    KIT_FAILS(tuff_json_number(json, "inf", "f", &x), TUFF_BAD_FORMAT, "too large");
    cJSON_Delete(json);
}

static tuff_status parse_sample(void *user)
{
    (void)user;
    cJSON *json;
    tuff_status status = parse(sample, sizeof sample - 1, &json);
    cJSON_Delete(json);
    return status;
}

static void parsing_survives_every_failure(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(parse_sample, NULL) > 10);
}

static void files_are_read(void **state)
{
    (void)state;
    cJSON *json;
    const char *path = kit_temp_path("a.json");
    kit_write_file(path, "{\"n\": 3}\n", 9);
    KIT_OK(tuff_json_read(path, &json));
    cJSON_Delete(json);
    kit_write_file(path, "{\"n\": 3", 7);
    KIT_FAILS(tuff_json_read(path, &json), TUFF_BAD_FORMAT, path);
    kit_write_file(path, "", 0);
    KIT_FAILS(tuff_json_read(path, &json), TUFF_BAD_FORMAT, "empty");
    KIT_FAILS(tuff_json_read(kit_temp_path("none.json"), &json), TUFF_NOT_FOUND, "none.json");
}

static void quoting_round_trips(void **state)
{
    (void)state;
    tuff_buf buf = {0};
    tuff_json_quote(&buf, "a\"\\\n\r\t\x01\x7f\xc3\xa4", 10);
    assert_string_equal(buf.data, "\"a\\\"\\\\\\n\\r\\t\\u0001\\u007f\xc3\xa4\"");
    tuff_buf_clear(&buf);
    tuff_json_quote(&buf, "a\xff\xe2\x82z", 5);
    assert_string_equal(buf.data, "\"a\xef\xbf\xbd\xef\xbf\xbdz\"");
    tuff_buf_clear(&buf);
    /* Every code point but NUL comes back. */
    tuff_buf all = {0};
    for (uint32_t c = 1; c < 0x10ffff; c += c < 0x3000 ? 1 : 97)
        if (c < 0xd800 || c > 0xdfff) tuff_buf_utf8(&all, c);
    tuff_json_quote(&buf, all.data, all.size);
    cJSON *json;
    KIT_OK(parse(buf.data, buf.size, &json));
    assert_string_equal(json->valuestring, all.data);
    cJSON_Delete(json);
    tuff_buf_free(&all);
    tuff_buf_free(&buf);
}

/* One U+FFFD for each maximal broken sequence. The hash is Python's (3.11), which for each of
 * itertools.product(edges, repeat=4), as bytes, takes decode("utf-8", "replace").encode(). */
static void broken_text_is_replaced_as_python_does(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x41, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
                                    0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    enum { EDGES = sizeof edges };
    tuff_sha256 hash;
    tuff_sha256_init(&hash);
    tuff_buf buf = {0};
    for (unsigned i = 0; i < EDGES * EDGES * EDGES * EDGES; i++) {
        const char text[4] = {(char)edges[i / (EDGES * EDGES * EDGES)],
                              (char)edges[i / (EDGES * EDGES) % EDGES], (char)edges[i / EDGES % EDGES],
                              (char)edges[i % EDGES]};
        tuff_buf_clear(&buf);
        tuff_json_quote(&buf, text, sizeof text);
        tuff_sha256_update(&hash, buf.data + 1, buf.size - 2);
    }
    char hex[65];
    tuff_sha256_hex(&hash, hex);
    assert_string_equal(hex, "09650ca4de818d60151885988c2d4065256904da7c8fbb0e1664d52f25fdd0bc");
    tuff_buf_free(&buf);
}

static void expect_double(double value, const char *expected)
{
    tuff_buf buf = {0};
    tuff_json_double(&buf, value);
    assert_string_equal(buf.data, expected);
    tuff_buf_free(&buf);
}

static void doubles_are_shortest(void **state)
{
    (void)state;
    expect_double(0.1, "0.1");
    expect_double(3, "3");
    expect_double(-0.5, "-0.5");
    expect_double(0.1 + 0.2, "0.30000000000000004");
    expect_double(1e21, "1e+21");
    expect_double(20, "20"); /* no 2e+01: that is a float to Python */
    expect_double(-300, "-300");
    expect_double(1e6, "1000000");
    expect_double(999999999999999, "999999999999999");
    expect_double(1e15, "1e+15");
    expect_double(-0.0, "-0");
    expect_double(5e-324, "5e-324");
    expect_double(NAN, "null");
    expect_double(-INFINITY, "null");
    /* In a locale with another decimal point, where the machine has one. */
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8"};
    for (size_t i = 0; i < 3; i++)
        if (setlocale(LC_NUMERIC, locales[i])) {
            print_message("with %s\n", locales[i]);
            expect_double(0.1, "0.1");
            expect_double(-1.5e-9, "-1.5e-09");
        }
    setlocale(LC_NUMERIC, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_text_is_rejected_with_its_place),
        cmocka_unit_test(a_key_twice_is_rejected_with_its_name_and_place),
        cmocka_unit_test(values_are_limited),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(mutilated_text_is_survived),
        cmocka_unit_test(getters_check_types),
        cmocka_unit_test(numbers_past_the_limits_are_errors),
        cmocka_unit_test(parsing_survives_every_failure),
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(quoting_round_trips),
        cmocka_unit_test(broken_text_is_replaced_as_python_does),
        cmocka_unit_test(doubles_are_shortest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
