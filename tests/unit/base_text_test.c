#include <stdio.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/text.h"
#include "kit/kit.h"

static void views_compare(void **state)
{
    (void)state;
    assert_true(tuff_view_is((tuff_view){"abcd", 3}, "abc"));
    assert_false(tuff_view_is((tuff_view){"abcd", 4}, "abc"));
    assert_false(tuff_view_is((tuff_view){"abd", 3}, "abc"));
    assert_true(tuff_view_equal((tuff_view){NULL, 0}, tuff_view_of("")));
    assert_true(tuff_starts_with("model.layers", "model."));
    assert_false(tuff_starts_with("mod", "model."));
    assert_true(tuff_ends_with("x.gguf", ".gguf"));
    assert_false(tuff_ends_with("gguf", ".gguf"));
}

static void lists_give_their_parts(void **state)
{
    (void)state;
    static const struct {
        const char *list, *parts;
    } cases[] = {{"a", "a|"}, {" a b ,, c,", "a b|c|"}, {"", ""}, {" , ", ""}, {"a,b", "a|b|"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = cases[i].list;
        tuff_buf parts = {0};
        tuff_view part;
        size_t count = 0;
        for (; tuff_list_next(&at, &part); count++)
            tuff_buf_printf(&parts, "%.*s|", (int)part.size, part.data);
        assert_string_equal(parts.data ? parts.data : "", cases[i].parts);
        assert_true(count <= tuff_list_most(cases[i].list));
        tuff_buf_free(&parts);
    }
}

static void buffers_grow_and_end_in_nul(void **state)
{
    (void)state;
    tuff_buf buf = {0};
    for (int i = 0; i < 300; i++)
        tuff_buf_printf(&buf, "%d,", i);
    tuff_buf_char(&buf, 'x');
    tuff_buf_bytes(&buf, NULL, 0);
    tuff_buf_bytes(&buf, "a\0b", 3);
    assert_false(buf.failed);
    assert_int_equal(buf.size, 10 * 2 + 90 * 3 + 200 * 4 + 4);
    assert_true(tuff_starts_with(buf.data, "0,1,2,3,"));
    assert_memory_equal(buf.data + buf.size - 8, "299,xa\0b", 9);
    tuff_buf_clear(&buf);
    assert_int_equal(buf.size, 0);
    assert_string_equal(buf.data, "");
    tuff_buf_free(&buf);
    assert_null(buf.data);
}

static tuff_status fill_buffer(void *user)
{
    (void)user;
    tuff_buf buf = {0};
    tuff_buf_text(&buf, "start");
    tuff_buf_printf(&buf, "%0500d", 1);
    tuff_buf_utf8(&buf, 0x20ac);
    bool failed = buf.failed;
    /* Sticky: later appends do nothing. */
    size_t size = buf.size;
    tuff_buf_text(&buf, "more");
    assert_int_equal(buf.size, failed ? size : size + 4);
    tuff_buf_free(&buf);
    return failed ? TUFF_OUT_OF_MEMORY : TUFF_OK;
}

static void buffers_survive_every_failure(void **state)
{
    (void)state;
    assert_int_equal(kit_for_each_allocation_failure(fill_buffer, NULL), 3);
}

static void map_holds_many(void **state)
{
    (void)state;
    tuff_map map = {0};
    uint32_t value;
    char key[32];
    assert_false(tuff_map_get(&map, "x", 1, &value));
    enum { COUNT = 20000 };
    for (uint32_t i = 0; i < COUNT; i++) {
        int size = snprintf(key, sizeof key, "key-%u", i);
        assert_true(tuff_map_put(&map, key, (size_t)size, i));
    }
    assert_true(tuff_map_put(&map, "", 0, 7));
    assert_true(tuff_map_put(&map, "a\0b", 3, 8));
    assert_true(tuff_map_put(&map, "a\0c", 3, 9));
    assert_true(tuff_map_put(&map, "key-5", 5, 5555));
    assert_int_equal(map.count, COUNT + 3);
    for (uint32_t i = 0; i < COUNT; i++) {
        int size = snprintf(key, sizeof key, "key-%u", i);
        assert_true(tuff_map_get(&map, key, (size_t)size, &value));
        assert_int_equal(value, i == 5 ? 5555 : i);
    }
    assert_true(tuff_map_get(&map, "", 0, &value) && value == 7);
    assert_true(tuff_map_get(&map, "a\0b", 3, &value) && value == 8);
    assert_false(tuff_map_get(&map, "key-", 4, &value));
    assert_false(tuff_map_get(&map, "key-20000", 9, &value));
    tuff_map_free(&map);
    assert_int_equal(map.count, 0);
    assert_false(tuff_map_get(&map, "key-1", 5, &value));
}

static tuff_status fill_map(void *user)
{
    (void)user;
    tuff_map map = {0};
    tuff_status status = TUFF_OK;
    uint32_t i, value;
    for (i = 0; i < 40 && status == TUFF_OK; i++)
        if (!tuff_map_put(&map, &i, sizeof i, i)) status = TUFF_OUT_OF_MEMORY;
    /* What was put before the failure is still there, and a second try works. */
    if (status != TUFF_OK) {
        i--;
        assert_true(tuff_map_put(&map, &i, sizeof i, i));
    }
    for (uint32_t k = 0; k < i; k++)
        assert_true(tuff_map_get(&map, &k, sizeof k, &value) && value == k);
    tuff_map_free(&map);
    return status;
}

static void map_survives_every_failure(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(fill_map, NULL) >= 4);
}

/* RFC 3629 by arithmetic, independent of the decoder's byte tables. */
static size_t reference_decode(const uint8_t *p, size_t size, uint32_t *out)
{
    if (size == 0) return 0;
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xe0) == 0xc0 ? 2
               : (p[0] & 0xf0) == 0xe0 ? 3
               : (p[0] & 0xf8) == 0xf0 ? 4
                                       : 0;
    if (n == 0 || n > size) return 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c * 64 + (p[i] & 63);
    }
    const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return 0;
    *out = c;
    return n;
}

static void utf8_round_trips_every_code_point(void **state)
{
    (void)state;
    tuff_buf buf = {0};
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c < 0xe000) continue;
        tuff_buf_clear(&buf);
        tuff_buf_utf8(&buf, c);
        uint32_t back;
        if (tuff_utf8_decode(buf.data, buf.size, &back) != buf.size || back != c)
            fail_msg("U+%04X", (unsigned)c);
        /* Cut short it is invalid, and complete() says where to cut. */
        for (size_t cut = 1; cut < buf.size; cut++) {
            if (tuff_utf8_decode(buf.data, cut, &back) != 0) fail_msg("U+%04X cut at %zu", (unsigned)c, cut);
            if (tuff_utf8_complete(buf.data, cut) != 0)
                fail_msg("U+%04X is not complete at %zu", (unsigned)c, cut);
        }
        if (tuff_utf8_complete(buf.data, buf.size) != buf.size) fail_msg("U+%04X is complete", (unsigned)c);
    }
    tuff_buf_clear(&buf);
    tuff_buf_utf8(&buf, 0xd800);
    tuff_buf_utf8(&buf, 0x110000);
    assert_string_equal(buf.data, "\xef\xbf\xbd\xef\xbf\xbd");
    tuff_buf_free(&buf);
}

static void utf8_rejects_what_the_standard_rejects(void **state)
{
    (void)state;
    /* Every pair of first bytes, with tails on both sides of each border. */
    static const uint8_t tails[] = {0x00, 0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            for (size_t t = 0; t < sizeof tails; t++)
                for (size_t size = 0; size <= 4; size++) {
                    uint8_t p[4] = {(uint8_t)a, (uint8_t)b, tails[t], tails[(t + 3) % sizeof tails]};
                    uint32_t found = 0, expected = 0;
                    size_t n = reference_decode(p, size, &expected);
                    if (tuff_utf8_decode((char *)p, size, &found) != n || found != expected)
                        fail_msg("%02x %02x %02x %02x, %zu bytes", p[0], p[1], p[2], p[3], size);
                }
    assert_true(tuff_utf8_valid("", 0));
    assert_true(tuff_utf8_valid("a\xf0\x9f\x98\x80z", 6));
    assert_false(tuff_utf8_valid("a\xf0\x9f\x98", 4));
    assert_false(tuff_utf8_valid("\xed\xa0\x80", 3));
}

static void utf8_complete_keeps_invalid_bytes(void **state)
{
    (void)state;
    assert_int_equal(tuff_utf8_complete("", 0), 0);
    assert_int_equal(tuff_utf8_complete("ab\xe2\x82", 4), 2);
    assert_int_equal(tuff_utf8_complete("ab\xe2\x82\xac", 5), 5);
    assert_int_equal(tuff_utf8_complete("\x80\x80\x80\x80", 4), 4);
    assert_int_equal(tuff_utf8_complete("a\xff", 2), 2);
    assert_int_equal(tuff_utf8_complete("a\xe0\x80", 3), 3); /* overlong: no continuation can save it */
    assert_int_equal(tuff_utf8_complete("\xf0\x9f\x98\x80\x80", 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_compare),
        cmocka_unit_test(lists_give_their_parts),
        cmocka_unit_test(buffers_grow_and_end_in_nul),
        cmocka_unit_test(buffers_survive_every_failure),
        cmocka_unit_test(map_holds_many),
        cmocka_unit_test(map_survives_every_failure),
        cmocka_unit_test(utf8_round_trips_every_code_point),
        cmocka_unit_test(utf8_rejects_what_the_standard_rejects),
        cmocka_unit_test(utf8_complete_keeps_invalid_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
