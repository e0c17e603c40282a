#include "formats/gguf.h"

#include <stdio.h>

#include "base/file.h"
#include "hostile.h"
#include "kit/files.h"

/* --- a small file, piece by piece --- */

static void u32(tuff_buf *b, uint32_t v)
{
    tuff_buf_bytes(b, &v, 4);
}
static void u64(tuff_buf *b, uint64_t v)
{
    tuff_buf_bytes(b, &v, 8);
}

static void text(tuff_buf *b, const char *t)
{
    u64(b, strlen(t));
    tuff_buf_text(b, t);
}

static void key(tuff_buf *b, const char *name, uint32_t type)
{
    text(b, name);
    u32(b, type);
}

static void header(tuff_buf *b, uint32_t version, uint64_t tensors, uint64_t values)
{
    tuff_buf_text(b, "GGUF");
    u32(b, version);
    u64(b, tensors);
    u64(b, values);
}

/* A tensor of one dimension. */
static void tensor(tuff_buf *b, const char *name, uint64_t n, uint32_t type, uint64_t offset)
{
    text(b, name);
    u32(b, 1);
    u64(b, n);
    u32(b, type);
    u64(b, offset);
}

static void pad(tuff_buf *b, size_t alignment)
{
    while (b->size % alignment != 0)
        tuff_buf_char(b, 0);
}

enum { VALUES = 16, TENSORS = 3 };

static tuff_buf make(uint32_t version)
{
    tuff_buf b = {0};
    header(&b, version, TENSORS, VALUES);
    key(&b, "a.u8", TUFF_GGUF_U8), tuff_buf_char(&b, (char)200);
    key(&b, "a.i8", TUFF_GGUF_I8), tuff_buf_char(&b, -3);
    key(&b, "a.u16", TUFF_GGUF_U16), tuff_buf_bytes(&b, "\x01\x80", 2);
    key(&b, "a.i16", TUFF_GGUF_I16), tuff_buf_bytes(&b, "\xff\xff", 2);
    key(&b, "a.u32", TUFF_GGUF_U32), u32(&b, 4000000000u);
    key(&b, "a.i32", TUFF_GGUF_I32), u32(&b, 0xfffffffeu);
    key(&b, "a.f32", TUFF_GGUF_F32), tuff_buf_bytes(&b, "\0\0\xc0\x3f", 4);
    key(&b, "a.bool", TUFF_GGUF_BOOL), tuff_buf_char(&b, 1);
    key(&b, "a.text", TUFF_GGUF_STRING), text(&b, "h\xc3\xa9");
    key(&b, "a.u64", TUFF_GGUF_U64), u64(&b, UINT64_MAX);
    key(&b, "a.i64", TUFF_GGUF_I64), u64(&b, (uint64_t)-5);
    key(&b, "a.f64", TUFF_GGUF_F64), tuff_buf_bytes(&b, &(double){0.1}, 8);
    key(&b, "t.strings", TUFF_GGUF_ARRAY), u32(&b, TUFF_GGUF_STRING), u64(&b, 3);
    text(&b, "one"), text(&b, ""), text(&b, "three");
    key(&b, "t.floats", TUFF_GGUF_ARRAY), u32(&b, TUFF_GGUF_F32), u64(&b, 2);
    tuff_buf_bytes(&b, (float[]){-1.5f, 2}, 8);
    key(&b, "t.ints", TUFF_GGUF_ARRAY), u32(&b, TUFF_GGUF_I32), u64(&b, 3);
    tuff_buf_bytes(&b, (int32_t[]){1, -2, 3}, 12);
    key(&b, "t.nested", TUFF_GGUF_ARRAY), u32(&b, TUFF_GGUF_ARRAY), u64(&b, 2);
    u32(&b, TUFF_GGUF_U8), u64(&b, 2), tuff_buf_bytes(&b, "ab", 2);
    u32(&b, TUFF_GGUF_STRING), u64(&b, 1), text(&b, "x");
    text(&b, "w"), u32(&b, 2), u64(&b, 3), u64(&b, 2), u32(&b, 0), u64(&b, 0); /* [2, 3] F32 */
    tensor(&b, "q", 32, 8, 32);                                                /* Q8_0 */
    tensor(&b, "k", 256, 34, 96);                                              /* TQ1_0 */
    pad(&b, 32);
    for (int i = 0; i < 96 + 54; i++)
        tuff_buf_char(&b, (char)i);
    return b;
}

static tuff_status parse(const uint8_t *data, size_t size)
{
    tuff_gguf *gguf;
    TUFF_TRY(tuff_gguf_parse(data, size, "m.gguf", &gguf));
    tuff_buf out = {0};
    for (size_t i = 0; i < gguf->count; i++)
        tuff_gguf_print(&gguf->values[i], 0, &out);
    for (size_t i = 0; i < gguf->weights->count; i++) {
        const tuff_weight *w = &gguf->weights->items[i];
        tuff_buf_bytes(&out, w->data, w->bytes);
    }
    tuff_buf_free(&out);
    tuff_gguf_destroy(&gguf);
    return TUFF_OK;
}

static void test_values(void **state)
{
    (void)state;
    tuff_buf b = make(3);
    tuff_gguf *g;
    KIT_OK(tuff_gguf_parse((const uint8_t *)b.data, b.size, "m.gguf", &g));
    assert_int_equal(g->count, VALUES);
    const struct {
        const char *key;
        int64_t value;
    } ints[] = {{"a.u8", 200}, {"a.i8", -3},          {"a.u16", 0x8001}, {"a.i16", -1},
                {"a.i32", -2}, {"a.u32", 4000000000}, {"a.i64", -5},     {"not there", 42}};
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
        int64_t found = 42;
        KIT_OK(tuff_gguf_int(g, ints[i].key, &found));
        assert_int_equal(found, ints[i].value);
    }
    int64_t whole = 0;
    double number = 0;
    bool flag = false;
    tuff_view view;
    KIT_FAILS(tuff_gguf_int(g, "a.u64", &whole), TUFF_BAD_FORMAT, "'a.u64' is out of range");
    KIT_FAILS(tuff_gguf_int(g, "a.f32", &whole), TUFF_BAD_FORMAT,
              "'a.f32' is of type f32; an integer is expected");
    KIT_OK(tuff_gguf_number(g, "a.f32", &number));
    assert_true(number == 1.5);
    KIT_OK(tuff_gguf_number(g, "a.f64", &number));
    assert_true(number == 0.1);
    KIT_OK(tuff_gguf_number(g, "a.i8", &number));
    assert_true(number == -3);
    KIT_FAILS(tuff_gguf_number(g, "a.text", &number), TUFF_BAD_FORMAT, "a number is expected");
    KIT_OK(tuff_gguf_bool(g, "a.bool", &flag));
    assert_true(flag);
    KIT_FAILS(tuff_gguf_bool(g, "a.u8", &flag), TUFF_BAD_FORMAT, "a bool is expected");
    KIT_OK(tuff_gguf_text(g, "a.text", &view));
    assert_true(tuff_view_is(view, "h\xc3\xa9"));
    KIT_FAILS(tuff_gguf_text(g, "t.ints", &view), TUFF_BAD_FORMAT, "an array of i32; a string is expected");

    const tuff_gguf_value *v;
    KIT_OK(tuff_gguf_strings(g, "t.strings", &v));
    assert_int_equal(v->count, 3);
    assert_true(tuff_view_is(tuff_gguf_string_at(v, 2), "three"));
    KIT_FAILS(tuff_gguf_strings(g, "t.floats", &v), TUFF_BAD_FORMAT, "an array of strings is expected");
    KIT_OK(tuff_gguf_numbers(g, "t.floats", &v));
    assert_true(tuff_gguf_number_at(v, 0) == -1.5);
    KIT_FAILS(tuff_gguf_ints(g, "t.floats", &v), TUFF_BAD_FORMAT, "an array of integers is expected");
    KIT_OK(tuff_gguf_ints(g, "t.ints", &v));
    assert_int_equal(tuff_gguf_int_at(v, 1), -2);
    KIT_OK(tuff_gguf_ints(g, "not there", &v));
    assert_null(v);
    KIT_FAILS(tuff_gguf_require(g, "not there", &v), TUFF_NOT_FOUND, "'not there' is missing");
    KIT_OK(tuff_gguf_require(g, "t.nested", &v));
    assert_int_equal(v->item, TUFF_GGUF_ARRAY);

    tuff_buf out = {0};
    tuff_gguf_print(tuff_gguf_find(g, "t.strings"), 2, &out);
    assert_string_equal(out.data, "3 string [\"one\", \"\", ...]");
    tuff_buf_clear(&out);
    tuff_gguf_print(tuff_gguf_find(g, "a.u64"), 0, &out);
    assert_string_equal(out.data, "18446744073709551615");
    tuff_buf_free(&out);
    tuff_gguf_destroy(&g);
    tuff_buf_free(&b);
}

static void test_tensors(void **state)
{
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        tuff_buf b = make(version);
        tuff_gguf *g;
        KIT_OK(tuff_gguf_parse((const uint8_t *)b.data, b.size, "m.gguf", &g));
        assert_int_equal(g->weights->count, TENSORS);
        const tuff_weight *w = tuff_weights_find(g->weights, "w"), *q = tuff_weights_find(g->weights, "q"),
                          *k = tuff_weights_find(g->weights, "k");
        assert_int_equal(w->rank, 2);
        assert_int_equal(w->shape[0], 2);
        assert_int_equal(w->shape[1], 3);
        const uint8_t *data = (const uint8_t *)b.data + b.size - 96 - 54;
        assert_ptr_equal(w->data, data);
        assert_ptr_equal(q->data, data + 32);
        assert_int_equal(q->bytes, 34);
        assert_int_equal(q->storage, TUFF_STORE_Q8_0);
        assert_int_equal(k->bytes, 54);
        float out[256];
        KIT_FAILS(tuff_weight_read(k, TUFF_F32, out), TUFF_UNSUPPORTED, "'k' is stored as TQ1_0");
        tuff_gguf_destroy(&g);
        tuff_buf_free(&b);
    }
}

static void expect(tuff_buf *b, tuff_status status, const char *part)
{
    assert_false(b->failed);
    KIT_FAILS(hostile_call(parse, (const uint8_t *)b->data, b->size), status, part);
    tuff_buf_clear(b);
}

static void test_bad_headers(void **state)
{
    (void)state;
    tuff_buf b = {0};
    tuff_buf_text(&b, "GGML....");
    expect(&b, TUFF_BAD_FORMAT, "m.gguf: it does not begin with 'GGUF'");
    header(&b, 1, 0, 0);
    expect(&b, TUFF_UNSUPPORTED, "GGUF version 1");
    header(&b, 4, 0, 0);
    expect(&b, TUFF_UNSUPPORTED, "GGUF version 4");
    header(&b, 0x03000000, 0, 0);
    expect(&b, TUFF_UNSUPPORTED, "big-endian");
    header(&b, 3, UINT64_MAX, 0);
    expect(&b, TUFF_BAD_FORMAT, "18446744073709551615 tensors cannot be in a file of 24 bytes");
    header(&b, 3, 0, UINT64_C(1) << 61);
    expect(&b, TUFF_BAD_FORMAT, "2305843009213693952 metadata keys");
    header(&b, 3, 0, 0); /* vocabulary-only files have no data */
    KIT_OK(hostile_call(parse, (const uint8_t *)b.data, b.size));
    tuff_buf_free(&b);
}

static void test_bad_metadata(void **state)
{
    (void)state;
    tuff_buf b = {0};
    header(&b, 3, 0, 1), u64(&b, UINT64_MAX), u64(&b, 0);
    expect(&b, TUFF_BAD_FORMAT, "a metadata key at byte 32 needs 18446744073709551615 bytes, but 8 are left");
    header(&b, 3, 0, 1), key(&b, "new\nline", TUFF_GGUF_U8), tuff_buf_char(&b, 0);
    expect(&b, TUFF_BAD_FORMAT, "printable");
    header(&b, 3, 0, 1), key(&b, "k", 13), u64(&b, 0);
    expect(&b, TUFF_BAD_FORMAT, "key 'k' has the unknown value type 13");
    header(&b, 3, 0, 1), key(&b, "k", TUFF_GGUF_BOOL), tuff_buf_char(&b, 2);
    expect(&b, TUFF_BAD_FORMAT, "a bool of value 2");
    header(&b, 3, 0, 1), key(&b, "k", TUFF_GGUF_STRING), u64(&b, UINT64_C(1) << 63);
    expect(&b, TUFF_BAD_FORMAT, "a string");
    header(&b, 3, 0, 1), key(&b, "k", TUFF_GGUF_ARRAY), u32(&b, TUFF_GGUF_F64), u64(&b, UINT64_C(1) << 61);
    expect(&b, TUFF_BAD_FORMAT,
           "key 'k': an array at byte 41 claims 2305843009213693952 items, but only 0 bytes");
    header(&b, 3, 0, 1), key(&b, "k", TUFF_GGUF_ARRAY), u32(&b, TUFF_GGUF_STRING), u64(&b, 1u << 30),
        u64(&b, 0);
    expect(&b, TUFF_BAD_FORMAT, "claims 1073741824 items");
    header(&b, 3, 0, 1), key(&b, "k", TUFF_GGUF_ARRAY);
    for (int depth = 0; depth < 100; depth++)
        u32(&b, TUFF_GGUF_ARRAY), u64(&b, 1);
    expect(&b, TUFF_BAD_FORMAT, "nested deeper than 4");
    header(&b, 3, 0, 2), key(&b, "k", TUFF_GGUF_U8), tuff_buf_char(&b, 0);
    key(&b, "k", TUFF_GGUF_U8), tuff_buf_char(&b, 0);
    expect(&b, TUFF_BAD_FORMAT, "'k' appears twice");
    const uint32_t alignments[] = {0, 3, 1u << 21, UINT32_MAX};
    for (int i = 0; i < 4; i++) {
        header(&b, 3, 0, 1), key(&b, "general.alignment", TUFF_GGUF_U32), u32(&b, alignments[i]);
        expect(&b, TUFF_BAD_FORMAT, "general.alignment is");
    }
    tuff_buf_free(&b);
}

/* --- models in parts --- */

static void put_u16(tuff_buf *b, const char *name, uint16_t value)
{
    key(b, name, TUFF_GGUF_U16), tuff_buf_bytes(b, &value, 2);
}

/* A part with one tensor, "t<part>", of the number `part`; the first one has metadata of the model too. */
static const char *write_part(const char *name, unsigned part, unsigned count, int32_t tensors)
{
    const char *path = kit_path(name);
    char tensor_name[16];
    tuff_buf b = {0};
    snprintf(tensor_name, sizeof tensor_name, "t%u", part);
    header(&b, 3, 1, part == 0 ? 4 : 3);
    if (part == 0) key(&b, "general.architecture", TUFF_GGUF_STRING), text(&b, "llama");
    put_u16(&b, "split.no", (uint16_t)part), put_u16(&b, "split.count", (uint16_t)count);
    key(&b, "split.tensors.count", TUFF_GGUF_I32), tuff_buf_bytes(&b, &tensors, 4);
    tensor(&b, tensor_name, 1, 0, 0), pad(&b, 32);
    tuff_buf_bytes(&b, &(float){(float)part}, 4), pad(&b, 32);
    kit_write_file(path, b.data, b.size);
    tuff_buf_free(&b);
    return path;
}

/* Whichever part is named, the model is the whole. */
static void test_parts(void **state)
{
    (void)state;
    const char *paths[3] = {write_part("m-00001-of-00003.gguf", 0, 3, 3),
                            write_part("m-00002-of-00003.gguf", 1, 3, 3),
                            write_part("m-00003-of-00003.gguf", 2, 3, 3)};
    for (int named = 0; named < 3; named++) {
        tuff_gguf *g;
        KIT_OK(tuff_gguf_open(paths[named], &g));
        assert_string_equal(g->file, paths[0]);
        tuff_view architecture = {0};
        KIT_OK(tuff_gguf_text(g, "general.architecture", &architecture));
        assert_true(tuff_view_is(architecture, "llama"));
        assert_int_equal(g->weights->count, 3);
        for (int i = 0; i < 3; i++) {
            char name[16];
            float value = -1;
            snprintf(name, sizeof name, "t%d", i);
            const tuff_weight *weight = tuff_weights_find(g->weights, name);
            assert_non_null(weight);
            assert_string_equal(weight->file, paths[i]);
            KIT_OK(tuff_weight_read(weight, TUFF_F32, &value));
            assert_true(value == (float)i);
        }
        KIT_OK(tuff_weights_check_files(g->weights));
        tuff_gguf_destroy(&g);
    }
}

static void test_bad_parts(void **state)
{
    (void)state;
    tuff_gguf *g;
    const char *first = write_part("n-00001-of-00003.gguf", 0, 3, 4);
    const char *last = write_part("n-00003-of-00003.gguf", 2, 3, 4);
    KIT_FAILS(tuff_gguf_open(first, &g), TUFF_NOT_FOUND, "part 1 of 3 of a model, and part 2, ");
    KIT_FAILS(tuff_gguf_open(last, &g), TUFF_NOT_FOUND, "n-00002-of-00003.gguf, is missing");
    const char *second = write_part("n-00002-of-00003.gguf", 1, 3, 4);
    KIT_FAILS(tuff_gguf_open(last, &g), TUFF_BAD_FORMAT,
              "split.tensors.count is 4, but the 3 parts have 3 tensors");
    write_part("n-00001-of-00003.gguf", 0, 3, -3);
    KIT_FAILS(tuff_gguf_open(last, &g), TUFF_BAD_FORMAT, "split.tensors.count is -3, but the 3 parts have 3");
    write_part("n-00002-of-00003.gguf", 2, 3, 3);
    KIT_FAILS(tuff_gguf_open(first, &g), TUFF_BAD_FORMAT,
              "by its split.no and split.count it is part 3 of 3, by its name part 2 of 3");
    write_part("n-00002-of-00003.gguf", 0, 1, 3);
    KIT_FAILS(tuff_gguf_open(first, &g), TUFF_BAD_FORMAT, "'t0' appears twice");
    kit_cut_file(second, 40);
    KIT_FAILS(tuff_gguf_open(first, &g), TUFF_BAD_FORMAT, "n-00002-of-00003.gguf: ");
    write_part("n-00001-of-00003.gguf", 1, 3, 3);
    KIT_FAILS(tuff_gguf_open(last, &g), TUFF_BAD_FORMAT, "it is part 2 of 3, by its name part 1 of 3");
    KIT_FAILS(tuff_gguf_open(write_part("renamed.gguf", 1, 2, 2), &g), TUFF_BAD_FORMAT,
              "it is part 2 of 2 of a model, but its name does not end in -00002-of-00002.gguf");
    KIT_FAILS(tuff_gguf_open(write_part("far-00008-of-00007.gguf", 7, 7, 2), &g), TUFF_BAD_FORMAT,
              "split.no is 7 and split.count 7");
    /* "of one part" is no part at all */
    KIT_OK(tuff_gguf_open(write_part("whole.gguf", 0, 1, 1), &g));
    assert_int_equal(g->weights->count, 1);
    tuff_gguf_destroy(&g);
}

/* Types that nobody knows and more than four dimensions: listed as they are, and refused when read. */
static void test_listed_only(void **state)
{
    (void)state;
    tuff_buf b = {0};
    float out[16];
    header(&b, 3, 2, 0), tensor(&b, "new", 32, 99, 0), text(&b, "conv"), u32(&b, 5);
    for (uint64_t i = 0; i < 5; i++)
        u64(&b, i < 2 ? i + 2 : 1);
    u32(&b, 0), u64(&b, 0), pad(&b, 32), tuff_buf_bytes(&b, (char[24]){0}, 24);
    tuff_gguf *g;
    KIT_OK(tuff_gguf_parse((const uint8_t *)b.data, b.size, "m.gguf", &g));
    const tuff_weight *new = tuff_weights_find(g->weights, "new"),
                      *conv = tuff_weights_find(g->weights, "conv");
    assert_string_equal(tuff_weight_type(new), "type 99");
    assert_int_equal(tuff_weight_elements(new), 32);
    KIT_FAILS(tuff_weight_read(new, TUFF_F32, out), TUFF_UNSUPPORTED, "tensor 'new' is stored as type 99");
    assert_string_equal(conv->dims, "[1, 1, 1, 3, 2]");
    assert_int_equal(conv->bytes, 24);
    KIT_FAILS(tuff_weight_read(conv, TUFF_F32, out), TUFF_UNSUPPORTED, "the shape [1, 1, 1, 3, 2]");
    tuff_gguf_destroy(&g);
    tuff_buf_free(&b);
}

static void test_bad_tensors(void **state)
{
    (void)state;
    tuff_buf b = {0};
    header(&b, 3, 1, 0), text(&b, "w"), u32(&b, 65);
    for (int i = 0; i < 80; i++)
        u64(&b, 1);
    expect(&b, TUFF_BAD_FORMAT, "'w' has 65 dimensions");
    header(&b, 3, 1, 0), tensor(&b, "w", UINT64_MAX, 0, 0);
    expect(&b, TUFF_BAD_FORMAT, "negative or too large");
    header(&b, 3, 1, 0), tensor(&b, "w", UINT64_C(1) << 62, 0, 0);
    expect(&b, TUFF_BAD_FORMAT, "overflows");
    header(&b, 3, 1, 0), tensor(&b, "w", 33, 8, 0);
    expect(&b, TUFF_BAD_FORMAT, "rows of 33 elements are not whole Q8_0 blocks of 32");
    header(&b, 3, 1, 0), tensor(&b, "w", 32, 99, 64);
    expect(&b, TUFF_BAD_FORMAT, "'w' needs 0 bytes at data byte 64");
    header(&b, 3, 1, 0), tensor(&b, "w", 32, 0, 4);
    expect(&b, TUFF_BAD_FORMAT, "'w' is at data byte 4, which is no multiple of the alignment 32");
    header(&b, 3, 1, 0), tensor(&b, "w", 1, 0, UINT64_MAX - 31);
    expect(&b, TUFF_BAD_FORMAT, "needs 4 bytes at data byte 18446744073709551584");
    header(&b, 3, 1, 0), tensor(&b, "w", 9, 0, 0), pad(&b, 32), tuff_buf_bytes(&b, (char[32]){0}, 32);
    expect(&b, TUFF_BAD_FORMAT, "'w' needs 36 bytes at data byte 0, but the file has 32 data bytes");
    header(&b, 3, 2, 0), tensor(&b, "w", 1, 0, 0), tensor(&b, "w", 1, 0, 32);
    expect(&b, TUFF_BAD_FORMAT, "'w' appears twice");
    header(&b, 3, 2, 0), tensor(&b, "v", 9, 0, 0), tensor(&b, "w", 1, 0, 32), pad(&b, 32);
    tuff_buf_bytes(&b, (char[64]){0}, 64);
    expect(&b, TUFF_BAD_FORMAT, "'v' and 'w' overlap at data byte 32");
    tuff_buf_free(&b);
}

static void test_alignment(void **state)
{
    (void)state;
    tuff_buf b = {0};
    header(&b, 3, 2, 1), key(&b, "general.alignment", TUFF_GGUF_U32), u32(&b, 8);
    tensor(&b, "v", 1, 0, 0), tensor(&b, "w", 1, 0, 8), pad(&b, 8);
    tuff_buf_bytes(&b, (float[]){1, 0, 2}, 12);
    tuff_gguf *g;
    KIT_OK(tuff_gguf_parse((const uint8_t *)b.data, b.size, "m.gguf", &g));
    float out;
    KIT_OK(tuff_weight_read(tuff_weights_find(g->weights, "w"), TUFF_F32, &out));
    assert_true(out == 2);
    tuff_gguf_destroy(&g);
    tuff_buf_free(&b);
}

static void test_hostile(void **state)
{
    (void)state;
    tuff_buf b = make(3);
    KIT_OK(hostile_call(parse, (const uint8_t *)b.data, b.size));
    hostile_truncate(parse, (const uint8_t *)b.data, b.size);
    hostile_mutate(parse, (const uint8_t *)b.data, b.size - 96 - 54);
    tuff_buf_free(&b);
}

/* --- writing --- */

static const float floats[6] = {1, 2, 3, -4, 5, 6};
static const tuff_save_item items[] = {{"w", TUFF_STORE_F32, 2, {2, 3}},
                                       {"h", TUFF_STORE_BF16, 1, {3}},
                                       {"i", TUFF_STORE_I32, 3, {1, 2, 3}},
                                       {"e", TUFF_STORE_F16, 1, {0}}};
enum { ITEMS = sizeof items / sizeof items[0] };

static tuff_status give(void *user, size_t index, tuff_sink *sink)
{
    (void)user;
    const size_t sizes[] = {24, 6, 24, 0};
    return tuff_sink_write(sink, floats, sizes[index]);
}

static void fill(tuff_gguf_builder *builder, const tuff_gguf *other)
{
    tuff_gguf_put_text(builder, "general.architecture", "llama");
    tuff_gguf_put_u32(builder, "u", 7);
    tuff_gguf_put_f32(builder, "f", 1e-5f);
    tuff_gguf_put_bool(builder, "b", true);
    tuff_gguf_put_strings(builder, "s", (tuff_view[]){{"a", 1}, {"", 0}, {"\xc3\xa9", 2}}, 3);
    tuff_gguf_put_f32s(builder, "fs", (float[]){1, -2}, 2);
    tuff_gguf_put_i32s(builder, "is", (int32_t[]){3, -4}, 2);
    tuff_gguf_put_i32s(builder, "none", NULL, 0);
    for (size_t i = 0; i < other->count; i++)
        tuff_gguf_put_value(builder, &other->values[i]);
}

static void test_save(void **state)
{
    (void)state;
    tuff_buf b = make(3);
    tuff_gguf *from, *g;
    tuff_gguf_builder builder = {0};
    KIT_OK(tuff_gguf_parse((const uint8_t *)b.data, b.size, "m.gguf", &from));
    fill(&builder, from);
    const char *path = kit_temp_path("save.gguf");
    KIT_OK(tuff_gguf_save(path, &builder, items, ITEMS, give, NULL));
    KIT_OK(tuff_gguf_open(path, &g));
    assert_int_equal(g->version, 3);
    assert_int_equal(g->count, 8 + VALUES);
    for (size_t i = 0; i < VALUES; i++) {
        const tuff_gguf_value *old = &from->values[i], *copy = tuff_gguf_find(g, old->key);
        assert_int_equal(copy->type, old->type);
        assert_int_equal(copy->count, old->count);
        assert_int_equal(copy->bytes, old->bytes);
        assert_memory_equal(copy->data, old->data, old->bytes);
    }
    int64_t u = 0;
    double f = 0;
    const tuff_gguf_value *s, *none;
    KIT_OK(tuff_gguf_int(g, "u", &u));
    KIT_OK(tuff_gguf_number(g, "f", &f));
    KIT_OK(tuff_gguf_strings(g, "s", &s));
    KIT_OK(tuff_gguf_ints(g, "none", &none));
    assert_int_equal(u, 7);
    assert_true((float)f == 1e-5f);
    assert_true(tuff_view_is(tuff_gguf_string_at(s, 2), "\xc3\xa9"));
    assert_int_equal(none->count, 0);
    for (size_t i = 0; i < ITEMS; i++) {
        const tuff_weight *w = tuff_weights_find(g->weights, items[i].name);
        assert_int_equal(w->storage, items[i].storage);
        assert_int_equal(w->rank, items[i].rank);
        assert_memory_equal(w->shape, items[i].shape, items[i].rank * sizeof(int64_t));
        if (w->bytes) assert_memory_equal(kit_stored(w), floats, w->bytes);
    }
    assert_int_equal((g->weights->items[1].data - g->weights->items[0].data) % 32, 0);
    tuff_gguf_destroy(&g);
    tuff_gguf_destroy(&from);
    tuff_gguf_builder_free(&builder);
    tuff_buf_free(&b);
}

static void test_alignment_is_not_copied(void **state)
{
    (void)state;
    const tuff_gguf_value alignment = {.key = "general.alignment",
                                       .type = TUFF_GGUF_U32,
                                       .count = 1,
                                       .data = (const uint8_t *)"\x40\0\0\0",
                                       .bytes = 4};
    const char *path = kit_temp_path("alignment.gguf");
    tuff_gguf_builder builder = {0};
    tuff_gguf *g;
    tuff_gguf_put_value(&builder, &alignment);
    KIT_OK(tuff_gguf_save(path, &builder, items, ITEMS, give, NULL));
    KIT_OK(tuff_gguf_open(path, &g));
    assert_null(tuff_gguf_find(g, "general.alignment"));
    tuff_gguf_destroy(&g);
    tuff_gguf_builder_free(&builder);
}

static void test_bad_saves(void **state)
{
    (void)state;
    tuff_gguf_builder builder = {0};
    const char *path = kit_temp_path("bad.gguf");
    tuff_save_item item = {"w", TUFF_STORE_U32, 1, {1}};
    KIT_FAILS(tuff_gguf_save(path, &builder, &item, 1, give, NULL), TUFF_INVALID_ARGUMENT, "'w' of type U32");
    item = (tuff_save_item){
        "a.name.of.sixty-four.bytes.is.one.byte.longer.than.llama.cpp.reads", TUFF_STORE_F32, 1, {1}};
    KIT_FAILS(tuff_gguf_save(path, &builder, &item, 1, give, NULL), TUFF_INVALID_ARGUMENT,
              "names of up to 63 bytes");
    tuff_gguf_put_u32(&builder, "k", 1);
    tuff_gguf_put_u32(&builder, "k", 1);
    KIT_FAILS(tuff_gguf_save(path, &builder, items, ITEMS, give, NULL), TUFF_INTERNAL, "given twice");
    assert_false(tuff_is_file(path));
    tuff_gguf_builder_free(&builder);
}

static tuff_status parse_good(void *user)
{
    const tuff_buf *b = user;
    return parse((const uint8_t *)b->data, b->size);
}

static tuff_status save_and_open(void *user)
{
    const char *path = kit_temp_path("oom.gguf");
    tuff_gguf_builder builder = {0};
    tuff_gguf *g = NULL;
    fill(&builder, user);
    tuff_status status = tuff_gguf_save(path, &builder, items, ITEMS, give, NULL);
    tuff_gguf_builder_free(&builder);
    if (status == TUFF_OK) status = tuff_gguf_open(path, &g);
    tuff_gguf_destroy(&g);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    tuff_buf b = make(3);
    tuff_gguf *g;
    assert_true(kit_for_each_allocation_failure(parse_good, &b) > 10);
    KIT_OK(tuff_gguf_parse((const uint8_t *)b.data, b.size, "m.gguf", &g));
    assert_true(kit_for_each_allocation_failure(save_and_open, g) > 15);
    tuff_gguf_destroy(&g);
    tuff_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),      cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_bad_headers), cmocka_unit_test(test_bad_metadata),
        cmocka_unit_test(test_parts),       cmocka_unit_test(test_bad_parts),
        cmocka_unit_test(test_listed_only), cmocka_unit_test(test_bad_tensors),
        cmocka_unit_test(test_alignment),   cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_save),        cmocka_unit_test(test_alignment_is_not_copied),
        cmocka_unit_test(test_bad_saves),   cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
