#include "formats/npy.h"

#include "hostile.h"

static const int32_t items[12] = {0, 1, -2, 3, 4, 5, 6, 7, 8, 9, 10, INT32_MAX};

static tuff_status write(const char *path, size_t count)
{
    tuff_npy_writer *writer;
    TUFF_TRY(tuff_npy_create(path, 3, (int64_t[]){2, 3, 2}, &writer));
    tuff_status status = tuff_npy_append(writer, items, 5);
    if (status == TUFF_OK) status = tuff_npy_append(writer, items + 5, count - 5);
    if (status == TUFF_OK) return tuff_npy_commit(&writer);
    tuff_npy_abort(&writer);
    return status;
}

static void test_write_and_read(void **state)
{
    (void)state;
    const char *path = kit_temp_path("a.npy");
    tuff_buf file = {0};
    tuff_npy array;
    KIT_OK(write(path, 12));
    KIT_OK(tuff_read_file(path, 1 << 20, &file));
    assert_int_equal(file.size, 128 + 48);
    assert_memory_equal(file.data,
                        "\x93NUMPY\x01\x00\x76\x00"
                        "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3, 2), }",
                        10 + 62);
    assert_int_equal(file.data[127], '\n');
    KIT_OK(tuff_npy_parse((const uint8_t *)file.data, file.size, "a.npy", &array));
    assert_string_equal(array.type, "<i4");
    assert_int_equal(array.rank, 3);
    assert_int_equal(array.shape[1], 3);
    assert_int_equal(array.count, 12);
    assert_memory_equal(array.data, items, sizeof items);
    tuff_buf_free(&file);
}

static void test_one_dimension(void **state)
{
    (void)state;
    const char *path = kit_temp_path("one.npy");
    tuff_npy_writer *writer;
    tuff_buf file = {0};
    tuff_npy array;
    KIT_OK(tuff_npy_create(path, 1, (int64_t[]){2}, &writer));
    KIT_OK(tuff_npy_append(writer, items, 2));
    KIT_OK(tuff_npy_commit(&writer));
    KIT_OK(tuff_read_file(path, 1 << 20, &file));
    assert_non_null(strstr(file.data + 10, "'shape': (2,), }"));
    KIT_OK(tuff_npy_parse((const uint8_t *)file.data, file.size, "one.npy", &array));
    assert_int_equal(array.rank, 1);
    tuff_buf_free(&file);
}

static void test_wrong_counts_leave_nothing(void **state)
{
    (void)state;
    const char *path = kit_temp_path("wrong.npy");
    KIT_FAILS(write(path, 11), TUFF_INVALID_ARGUMENT, "wrong.npy: 1 items of its shape were not written");
    assert_false(tuff_is_file(path));
    KIT_FAILS(write(path, 13), TUFF_INVALID_ARGUMENT, "8 items are more than the 7");
    assert_false(tuff_is_file(path));
    tuff_npy_writer *writer;
    KIT_FAILS(tuff_npy_create(path, 2, (int64_t[]){-1, 2}, &writer), TUFF_INVALID_ARGUMENT, "negative");
    assert_null(writer);
    KIT_FAILS(tuff_npy_create(path, 2, (int64_t[]){INT64_MAX, 2}, &writer), TUFF_INVALID_ARGUMENT,
              "too large");
    KIT_FAILS(tuff_npy_create(kit_temp_path("none/x.npy"), 1, (int64_t[]){1}, &writer), TUFF_IO, "none");
}

static tuff_status parse(const uint8_t *data, size_t size)
{
    tuff_npy array;
    TUFF_TRY(tuff_npy_parse(data, size, "a.npy", &array));
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < array.count * array.item_bytes; i++)
        sum = (uint8_t)(sum + array.data[i]);
    return TUFF_OK;
}

static void expect(const char *header, size_t data, const char *part)
{
    tuff_buf file = {0};
    tuff_buf_bytes(&file, "\x93NUMPY\x01", 8);
    tuff_buf_char(&file, (char)strlen(header));
    tuff_buf_char(&file, 0);
    tuff_buf_text(&file, header);
    for (size_t i = 0; i < data; i++)
        tuff_buf_char(&file, 0);
    KIT_FAILS(hostile_call(parse, (const uint8_t *)file.data, file.size), TUFF_BAD_FORMAT, part);
    tuff_buf_free(&file);
}

static void test_bad_files(void **state)
{
    (void)state;
    KIT_FAILS(parse((const uint8_t *)"PK\3\4......", 10), TUFF_BAD_FORMAT, "no .npy file");
    KIT_FAILS(parse((const uint8_t *)"\x93NUMPY\x01\x00\x09\x00", 10), TUFF_BAD_FORMAT,
              "9 bytes is truncated");
    expect("{'descr': '>i4', 'fortran_order': False, 'shape': (1,), }", 4, "little-endian");
    expect("{'descr': '<i4', 'fortran_order': True, 'shape': (1,), }", 4, "C order");
    expect("{'descr': '<i4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1), }", 4, "up to 4 dimensions");
    expect("{'descr': '<i4', 'fortran_order': False, 'shape': (-1,), }", 4, "header");
    expect("{'descr': '<i4', 'fortran_order': False, 'shape': (1", 4, "header");
    expect("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", 4,
           "calls for 8 data bytes, but it has 4");
    const char *path = kit_temp_path("hostile.npy");
    tuff_buf file = {0};
    KIT_OK(write(path, 12));
    KIT_OK(tuff_read_file(path, 1 << 20, &file));
    hostile_truncate(parse, (const uint8_t *)file.data, file.size);
    file.data[file.size - 1] = 0;
    for (size_t i = 0; i < 128; i++) {
        char kept = file.data[i];
        file.data[i] = '\xff';
        tuff_status status = hostile_call(parse, (const uint8_t *)file.data, file.size);
        if (status != TUFF_OK) assert_true(status == TUFF_BAD_FORMAT || status == TUFF_INVALID_ARGUMENT);
        file.data[i] = kept;
    }
    tuff_buf_free(&file);
}

static tuff_status write_and_read(void *user)
{
    tuff_buf file = {0};
    tuff_status status = write(user, 12);
    if (status == TUFF_OK) status = tuff_read_file(user, 1 << 20, &file);
    if (status == TUFF_OK) status = parse((const uint8_t *)file.data, file.size);
    tuff_buf_free(&file);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    char *path = tuff_strdup(kit_temp_path("oom.npy"));
    assert_true(kit_for_each_allocation_failure(write_and_read, path) > 4);
    tuff_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_one_dimension),
        cmocka_unit_test(test_wrong_counts_leave_nothing),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
