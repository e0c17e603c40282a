#define _POSIX_C_SOURCE 200809L
#include "formats/weights.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/half.h"
#include "formats/safetensors.h"
#include "kit/kit.h"

static tuff_weights *weights;

static int setup(void **state)
{
    (void)state;
    return tuff_weights_create(&weights) != TUFF_OK;
}

static int teardown(void **state)
{
    (void)state;
    tuff_weights_destroy(&weights);
    return 0;
}

static const tuff_weight *add(const char *name, tuff_storage storage, int64_t rows, int64_t columns,
                              const void *data)
{
    tuff_weight weight = {
        .name = name, .file = "f", .storage = storage, .rank = 2, .shape = {rows, columns}, .data = data};
    KIT_OK(tuff_weights_add(weights, &weight));
    return tuff_weights_find(weights, name);
}

static void test_dtypes(void **state)
{
    (void)state;
    const char *names[] = {"f32",  "f16",  "bf16", "i32",  "u32",  "q4_0", "q4_1",   "q5_0", "q5_1",
                           "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "mxfp4"};
    const unsigned sizes[] = {4, 2, 2, 4, 4};
    for (int i = 0; i < TUFF_DTYPE_COUNT; i++) {
        assert_string_equal(tuff_dtype_name((tuff_dtype)i), names[i]);
        assert_int_equal(tuff_dtype_size((tuff_dtype)i), i < 5 ? sizes[i] : 0);
        assert_int_equal(tuff_dtype_is_block((tuff_dtype)i), i >= 5);
    }
    assert_string_equal(tuff_dtype_name((tuff_dtype)99), "unknown");
    assert_int_equal(tuff_dtype_block(TUFF_BF16), 1);
    assert_int_equal(tuff_dtype_block(TUFF_Q8_0), 32);
    assert_int_equal(tuff_dtype_block(TUFF_Q6_K), 256);
    assert_int_equal(tuff_dtype_bytes(TUFF_BF16, 7), 14);
    assert_int_equal(tuff_dtype_bytes(TUFF_Q6_K, 512), 420);
    assert_int_equal(tuff_dtype_bytes(TUFF_MXFP4, 33), 34); /* a part of a block takes a whole one */
    assert_int_equal(tuff_dtype_bytes(TUFF_F32, -1), 0);
    assert_true(tuff_dtype_bytes(TUFF_F32, INT64_MAX) == UINT64_MAX);
}

static void test_half_conversion_is_that_of_base(void **state)
{
    (void)state;
    uint16_t halves[67], back[67];
    float floats[67];
    for (uint32_t h = 0; h < 65536; h += 67) {
        size_t n = 65536 - h < 67 ? 65536 - h : 67;
        for (size_t i = 0; i < n; i++)
            halves[i] = (uint16_t)(h + i);
        tuff_dtype_to_f32(TUFF_F16, halves, floats, n);
        tuff_dtype_from_f32(TUFF_F16, floats, back, n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(tuff_f32_bits(floats[i]), tuff_f32_bits(tuff_f16_to_f32(halves[i])));
            assert_int_equal(back[i], tuff_f32_to_f16(floats[i]));
        }
        tuff_dtype_to_f32(TUFF_BF16, halves, floats, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(tuff_f32_bits(floats[i]), (uint32_t)halves[i] << 16);
    }
    for (uint64_t bits = 0; bits < 1ull << 32; bits += 9973) {
        float value = tuff_bits_f32((uint32_t)bits);
        uint16_t half;
        tuff_dtype_from_f32(TUFF_F16, &value, &half, 1);
        assert_int_equal(half, tuff_f32_to_f16(value));
        tuff_dtype_from_f32(TUFF_BF16, &value, &half, 1);
        assert_int_equal(half, tuff_f32_to_bf16(value));
    }
}

static void test_add_and_find(void **state)
{
    (void)state;
    const tuff_weight *w = add("a", TUFF_STORE_F32, 2, 3, "");
    assert_int_equal(w->bytes, 24);
    assert_int_equal(w->shape[2], 1);
    assert_int_equal(tuff_weight_elements(w), 6);
    assert_int_equal(tuff_weight_rows(w), 2);
    assert_int_equal(tuff_weight_columns(w), 3);
    assert_null(tuff_weights_find(weights, "b"));
    tuff_weight bad = {.name = "a", .file = "f", .rank = 1, .shape = {1}};
    KIT_FAILS(tuff_weights_add(weights, &bad), TUFF_BAD_FORMAT, "'a' appears twice");
    bad.name = "new\nline";
    KIT_FAILS(tuff_weights_add(weights, &bad), TUFF_BAD_FORMAT, "printable");
    bad.name = "\xff";
    KIT_FAILS(tuff_weights_add(weights, &bad), TUFF_BAD_FORMAT, "printable");
    bad = (tuff_weight){.name = "n", .file = "f", .storage = TUFF_STORE_F32, .rank = 2, .shape = {2, -1}};
    KIT_FAILS(tuff_weights_add(weights, &bad), TUFF_BAD_FORMAT, "[2, -1]");
    bad.shape[0] = bad.shape[1] = INT64_C(1) << 40;
    KIT_FAILS(tuff_weights_add(weights, &bad), TUFF_BAD_FORMAT, "too large");
    bad.shape[1] = INT64_C(1) << 22;
    KIT_FAILS(tuff_weights_add(weights, &bad), TUFF_BAD_FORMAT, "overflows");
    bad = (tuff_weight){.name = "n", .file = "f", .storage = TUFF_STORE_Q8_0, .rank = 2, .shape = {32, 33}};
    KIT_FAILS(tuff_weights_add(weights, &bad), TUFF_BAD_FORMAT, "blocks of 32");
    assert_int_equal(weights->count, 1);
}

static void test_require(void **state)
{
    (void)state;
    const tuff_weight *found;
    add("a", TUFF_STORE_F32, 2, 3, "");
    add("k", TUFF_STORE_TQ1_0, 1, 256, "");
    KIT_OK(tuff_weights_require(weights, "a", 2, (int64_t[]){2, 3}, &found));
    assert_string_equal(found->name, "a");
    KIT_FAILS(tuff_weights_require(weights, "b", 2, (int64_t[]){2, 3}, &found), TUFF_NOT_FOUND,
              "'b' is missing");
    assert_null(found);
    KIT_FAILS(tuff_weights_require(weights, "a", 2, (int64_t[]){3, 2}, &found), TUFF_BAD_FORMAT,
              "has shape [2, 3]; the configuration calls for [3, 2]");
    KIT_FAILS(tuff_weights_require(weights, "a", 1, (int64_t[]){6}, &found), TUFF_BAD_FORMAT, "[6]");
    KIT_FAILS(tuff_weights_require(weights, "k", 2, (int64_t[]){1, 256}, &found), TUFF_UNSUPPORTED,
              "stored as TQ1_0");
}

static void test_q8_0(void **state)
{
    (void)state;
    uint8_t data[2 * 34 + 1];
    float out[64], row[32];
    uint16_t half[64];
    for (int block = 0; block < 2; block++) {
        uint16_t scale = tuff_f32_to_f16(block ? -2.0f : 0.5f);
        memcpy(data + 1 + 34 * block, &scale, 2);
        for (int i = 0; i < 32; i++)
            data[1 + 34 * block + 2 + i] = (uint8_t)(i * 8 - 128);
    }
    const tuff_weight *w = add("q", TUFF_STORE_Q8_0, 2, 32, data + 1); /* odd address */
    KIT_OK(tuff_weight_read(w, TUFF_F32, out));
    for (int i = 0; i < 32; i++) {
        assert_true(out[i] == 0.5f * (float)(i * 8 - 128));
        assert_true(out[32 + i] == -2.0f * (float)(i * 8 - 128));
    }
    KIT_OK(tuff_weight_read_rows(w, 1, 2, TUFF_F32, row));
    assert_memory_equal(row, out + 32, sizeof row);
    KIT_OK(tuff_weight_read(w, TUFF_BF16, half));
    for (int i = 0; i < 64; i++)
        assert_int_equal(half[i], tuff_f32_to_bf16(out[i]));
    KIT_FAILS(tuff_weight_read_rows(w, 1, 3, TUFF_F32, row), TUFF_INVALID_ARGUMENT, "rows 1 to 3");
    KIT_FAILS(tuff_weight_read_rows(w, -1, 1, TUFF_F32, row), TUFF_INVALID_ARGUMENT, "rows -1 to 1");
    KIT_FAILS(tuff_weight_read(w, TUFF_I32, row), TUFF_INVALID_ARGUMENT, "as i32");
}

static void test_q4_0(void **state)
{
    (void)state;
    uint8_t data[18];
    float out[32];
    uint16_t scale = tuff_f32_to_f16(0.25f);
    memcpy(data, &scale, 2);
    for (int i = 0; i < 16; i++)
        data[2 + i] = (uint8_t)(i | (15 - i) << 4);
    KIT_OK(tuff_weight_read(add("q", TUFF_STORE_Q4_0, 1, 32, data), TUFF_F32, out));
    for (int i = 0; i < 16; i++) {
        assert_true(out[i] == 0.25f * (float)(i - 8));
        assert_true(out[16 + i] == 0.25f * (float)(7 - i));
    }
}

static void test_conversion_in_chunks(void **state)
{
    (void)state;
    enum { N = 3000 };
    static float in[N], out[N];
    static uint16_t half[N];
    for (int i = 0; i < N; i++)
        in[i] = (float)(i - 1500) * 0.37f;
    const tuff_weight *w = add("f", TUFF_STORE_F32, 3, N / 3, in);
    KIT_OK(tuff_weight_read(w, TUFF_F32, out));
    assert_memory_equal(in, out, sizeof in);
    KIT_OK(tuff_weight_read(w, TUFF_F16, half));
    for (int i = 0; i < N; i++)
        assert_int_equal(half[i], tuff_f32_to_f16(in[i]));
    KIT_OK(tuff_weight_read(add("h", TUFF_STORE_F16, 3, N / 3, half), TUFF_F32, out));
    for (int i = 0; i < N; i++)
        assert_true(out[i] == tuff_f16_to_f32(half[i]));
    in[2999] = 70000.0f;
    KIT_FAILS(tuff_weight_read(w, TUFF_F16, half), TUFF_NOT_FINITE,
              "'f' at [2, 999]: 70000 does not fit f16");
    KIT_OK(tuff_weight_read(w, TUFF_BF16, half));
    in[2999] = INFINITY;
    KIT_OK(tuff_weight_read(w, TUFF_F16, half));
    assert_int_equal(half[2999], 0x7c00);
}

static void test_check_finite(void **state)
{
    (void)state;
    enum { N = 1100 };
    static float data[N];
    const tuff_weight *w = add("f", TUFF_STORE_F32, 11, N / 11, data);
    KIT_OK(tuff_weight_check_finite(w));
    data[1099] = -INFINITY;
    KIT_FAILS(tuff_weight_check_finite(w), TUFF_NOT_FINITE,
              "f: tensor 'f' at [10, 99]: the weight is infinite");
    data[205] = NAN;
    KIT_FAILS(tuff_weight_check_finite(w), TUFF_NOT_FINITE, "at [2, 5]: the weight is NaN");
    static const uint16_t bf16[] = {0x3f80, 0x7f80}, f16[] = {0x3c00, 0x7e00};
    KIT_FAILS(tuff_weight_check_finite(add("b", TUFF_STORE_BF16, 1, 2, bf16)), TUFF_NOT_FINITE, "infinite");
    KIT_FAILS(tuff_weight_check_finite(add("h", TUFF_STORE_F16, 2, 1, f16)), TUFF_NOT_FINITE,
              "[1, 0]: the weight is NaN");
    uint8_t q[2 * 34] = {0};
    q[35] = 0x7c; /* the scale of the second block */
    q[36] = 1;
    KIT_FAILS(tuff_weight_check_finite(add("q", TUFF_STORE_Q8_0, 1, 64, q)), TUFF_NOT_FINITE, "[0, 32]");
    KIT_FAILS(tuff_weight_check_finite(add("i", TUFF_STORE_I64, 1, 1, q)), TUFF_UNSUPPORTED, "stored as I64");
}

static void test_empty_and_scalar(void **state)
{
    (void)state;
    float value = 2.5f, out = 0;
    tuff_weight scalar = {
        .name = "s", .file = "f", .storage = TUFF_STORE_F32, .data = (const uint8_t *)&value};
    KIT_OK(tuff_weights_add(weights, &scalar));
    KIT_OK(tuff_weight_read(tuff_weights_find(weights, "s"), TUFF_F32, &out));
    assert_true(out == 2.5f);
    const tuff_weight *empty = add("e", TUFF_STORE_F32, 4, 0, NULL);
    KIT_OK(tuff_weight_read(empty, TUFF_F16, NULL));
    KIT_OK(tuff_weight_check_finite(empty));
}

/* Another process shortens a file that is being read: what is still there is read, the rest is an error that
 * names the file and the tensor, not a signal. */
static void test_shortened_file(void **state)
{
    (void)state;
    enum { ROWS = 64, COLUMNS = 1024 };
    const tuff_storage storages[] = {TUFF_STORE_F32, TUFF_STORE_BF16};
    for (int i = 0; i < 2; i++) {
        char header[128];
        tuff_buf file = {0};
        const tuff_storage_info *info = tuff_storage_get(storages[i]);
        size_t row = COLUMNS * info->bytes;
        int n = snprintf(header, sizeof header,
                         "{\"w\":{\"dtype\":\"%s\",\"shape\":[64,1024],\"data_offsets\":[0,%zu]}}",
                         info->name, ROWS * row);
        uint64_t size = (uint64_t)n;
        tuff_buf_bytes(&file, &size, sizeof size);
        tuff_buf_bytes(&file, header, (size_t)n);
        for (size_t k = 0; k < ROWS * row; k++)
            tuff_buf_char(&file, 1);
        const char *path = kit_temp_path("shortened");
        kit_write_file(path, file.data, file.size);
        tuff_weights *opened = NULL;
        KIT_OK(tuff_safetensors_open(path, &opened));
        const tuff_weight *w = tuff_weights_find(opened, "w");
        static float out[ROWS * COLUMNS];
        KIT_OK(tuff_weight_read(w, TUFF_F32, out));
        KIT_OK(tuff_weight_check_finite(w));
        assert_int_equal(truncate(path, (off_t)(file.size - ROWS * row + 20 * row + 100)), 0); /* in row 20 */
        KIT_OK(tuff_weight_read_rows(w, 0, 20, TUFF_F32, out));
        KIT_FAILS(tuff_weight_read_rows(w, 20, 21, TUFF_F32, out), TUFF_IO,
                  "was cut short after it was opened");
        KIT_FAILS(tuff_weight_read_rows(w, 40, 41, TUFF_BF16, out), TUFF_IO, "reading tensor 'w'");
        KIT_FAILS(tuff_weight_read(w, TUFF_F32, out), TUFF_IO, path);
        KIT_FAILS(tuff_weight_read(w, TUFF_F16, out), TUFF_IO, path);
        KIT_FAILS(tuff_weight_check_finite(w), TUFF_IO, "load it again");
        assert_int_equal(truncate(path, 0), 0);
        KIT_FAILS(tuff_weight_read_rows(w, 0, 1, TUFF_F32, out), TUFF_IO, "was cut short");
        tuff_weights_destroy(&opened);
        tuff_buf_free(&file);
    }
}

static tuff_status fill(void *user)
{
    (void)user;
    tuff_weights *many = NULL;
    tuff_status status = tuff_weights_create(&many);
    for (int i = 0; i < 40 && status == TUFF_OK; i++) {
        char name[8] = {'w', (char)('a' + i % 26), (char)('0' + i / 26)};
        tuff_weight weight = {.name = name, .file = "f", .storage = TUFF_STORE_F32, .rank = 1, .shape = {0}};
        status = tuff_weights_add(many, &weight);
    }
    if (status == TUFF_OK) status = tuff_weights_adopt(many, (tuff_mapping){0});
    tuff_weights_destroy(&many);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(fill, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_half_conversion_is_that_of_base),
        cmocka_unit_test_setup_teardown(test_add_and_find, setup, teardown),
        cmocka_unit_test_setup_teardown(test_require, setup, teardown),
        cmocka_unit_test_setup_teardown(test_q8_0, setup, teardown),
        cmocka_unit_test_setup_teardown(test_q4_0, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conversion_in_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_check_finite, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_and_scalar, setup, teardown),
        cmocka_unit_test(test_shortened_file),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
