#include "formats/safetensors.h"

#include <stdio.h>

#include "base/file.h"
#include "hostile.h"
#include "kit/files.h"

/* A file from its header's text and its data. */
static tuff_buf make(const char *header, const void *data, size_t size)
{
    tuff_buf file = {0};
    uint64_t length = strlen(header);
    tuff_buf_bytes(&file, &length, sizeof length);
    tuff_buf_text(&file, header);
    tuff_buf_bytes(&file, data, size);
    return file;
}

static tuff_status parse(const uint8_t *data, size_t size)
{
    tuff_weights *weights;
    TUFF_TRY(tuff_weights_create(&weights));
    tuff_status status = tuff_safetensors_parse(weights, data, size, "m.safetensors");
    for (size_t i = 0; status == TUFF_OK && i < weights->count; i++) {
        volatile uint8_t sum = 0; /* reads every byte of every tensor */
        for (size_t k = 0; k < weights->items[i].bytes; k++)
            sum = (uint8_t)(sum + weights->items[i].data[k]);
    }
    tuff_weights_destroy(&weights);
    return status;
}

/* Types that nobody knows and more than four dimensions: listed as they are, and refused when read. */
static void test_listed_only(void **state)
{
    (void)state;
    static const char header[] =
        "{\"new\":{\"dtype\":\"F6_E3M2\",\"shape\":[4,8],\"data_offsets\":[0,24]},"
        "\"conv\":{\"dtype\":\"F16\",\"shape\":[2,3,1,1,2],\"data_offsets\":[24,48]},"
        "\"fp8\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[48,52]}}";
    uint8_t data[52] = {0};
    float out[16];
    tuff_buf file = make(header, data, sizeof data);
    tuff_weights *w;
    KIT_OK(tuff_weights_create(&w));
    KIT_OK(tuff_safetensors_parse(w, (const uint8_t *)file.data, file.size, "m"));
    const tuff_weight *new = tuff_weights_find(w, "new"), *conv = tuff_weights_find(w, "conv");
    assert_string_equal(tuff_weight_type(new), "F6_E3M2");
    assert_int_equal(new->bytes, 24);
    assert_int_equal(tuff_weight_elements(new), 32);
    KIT_FAILS(tuff_weight_read(new, TUFF_F32, out), TUFF_UNSUPPORTED, "tensor 'new' is stored as F6_E3M2");
    KIT_FAILS(tuff_weight_read(tuff_weights_find(w, "fp8"), TUFF_F32, out), TUFF_UNSUPPORTED,
              "tensor 'fp8' is stored as F8_E4M3: FP8 weights, which have scales beside them");
    assert_string_equal(tuff_weight_type(conv), "F16");
    assert_string_equal(conv->dims, "[2, 3, 1, 1, 2]");
    assert_int_equal(tuff_weight_elements(conv), 12);
    KIT_FAILS(tuff_weight_read(conv, TUFF_F32, out), TUFF_UNSUPPORTED,
              "tensor 'conv' has the shape [2, 3, 1, 1, 2]; at most 4 dimensions");
    tuff_weights_destroy(&w);
    tuff_buf_free(&file);
}

static void expect(const char *header, size_t data_size, tuff_status status, const char *part)
{
    static const uint8_t zeros[256];
    tuff_buf file = make(header, zeros, data_size);
    KIT_FAILS(hostile_call(parse, (const uint8_t *)file.data, file.size), status, part);
    tuff_buf_free(&file);
}

#define GOOD                                                              \
    "{\"__metadata__\":{\"format\":\"pt\",\"k\":\"v\"},"                  \
    "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"  \
    "\"s\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[24,32]},"    \
    "\"e\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[32,32]}," \
    "\"h\":{\"shape\":[3],\"data_offsets\":[32,38],\"dtype\":\"BF16\"}}"

static void test_read(void **state)
{
    (void)state;
    uint8_t data[38];
    for (int i = 0; i < 38; i++)
        data[i] = (uint8_t)i;
    tuff_buf file = make(GOOD, data, sizeof data);
    tuff_weights *w;
    KIT_OK(tuff_weights_create(&w));
    KIT_OK(tuff_safetensors_parse(w, (const uint8_t *)file.data, file.size, "m"));
    assert_int_equal(w->count, 4);
    const tuff_weight *b = tuff_weights_find(w, "b"), *s = tuff_weights_find(w, "s"),
                      *e = tuff_weights_find(w, "e"), *h = tuff_weights_find(w, "h");
    assert_int_equal(b->storage, TUFF_STORE_F32);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(b->shape[1], 3);
    assert_memory_equal(b->data, data, 24);
    assert_int_equal(s->rank, 0);
    assert_int_equal(s->storage, TUFF_STORE_I64);
    assert_int_equal(s->bytes, 8);
    assert_int_equal(e->bytes, 0);
    assert_int_equal(h->storage, TUFF_STORE_BF16);
    assert_memory_equal(h->data, data + 32, 6);
    assert_int_equal(w->note_count, 2);
    assert_string_equal(w->notes[1].key, "k");
    assert_string_equal(w->notes[1].value, "v");
    tuff_weights_destroy(&w);
    tuff_buf_free(&file);
}

static void test_bad_files(void **state)
{
    (void)state;
    KIT_FAILS(parse((const uint8_t *)"abc", 3), TUFF_BAD_FORMAT, "m.safetensors: 3 bytes are too few");
    KIT_FAILS(parse((const uint8_t *)"GGUF\3\0\0\0........", 16), TUFF_BAD_FORMAT, "more than the 100 MB");
    KIT_FAILS(parse((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff", 8), TUFF_BAD_FORMAT,
              "18446744073709551615");
    KIT_FAILS(parse((const uint8_t *)"\x40\0\0\0\0\0\0\0{}", 10), TUFF_BAD_FORMAT, "only 2 follow");
    expect("[]", 0, TUFF_BAD_FORMAT, "no JSON object");
    expect("{", 0, TUFF_BAD_FORMAT, "m.safetensors: its header is not valid JSON");
    expect("{}", 4, TUFF_BAD_FORMAT, "names no tensor, but 4 data bytes");
    expect("{\"a\":3}", 0, TUFF_BAD_FORMAT, "'a' is no object");
    expect("{\"__metadata__\":[]}", 0, TUFF_BAD_FORMAT, "'__metadata__' is no object");
    expect("{\"__metadata__\":{\"x\":1}}", 0, TUFF_BAD_FORMAT, "'x' is no text");
    expect("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT, "no 'dtype'");
    expect("{\"a\":{\"dtype\":\"\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT,
           "the type of tensor 'a' is no printable");
    expect("{\"a\":{\"dtype\":\"F\\u0007\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT,
           "the type of tensor 'a' is no printable");
    expect("{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[1,4]}}", 4, TUFF_BAD_FORMAT,
           "belong to no tensor");
    expect("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT, "no list 'shape'");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT,
           "no whole number");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT,
           "no whole number");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT,
           "no whole number");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT,
           "call for 8");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,1,1,1],\"data_offsets\":[0,4]}}", 4,
           TUFF_BAD_FORMAT, "too large");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4,
           TUFF_BAD_FORMAT, "too large");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, TUFF_BAD_FORMAT, "no pair");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, TUFF_BAD_FORMAT, "no pair");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, TUFF_BAD_FORMAT,
           "no pair");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,-4]}}", 4, TUFF_BAD_FORMAT,
           "no pair");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, TUFF_BAD_FORMAT,
           "'a' ends at data byte 8, but the file has only 7 data bytes");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT,
           "call for 8");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, TUFF_BAD_FORMAT,
           "has 5 data bytes");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, TUFF_BAD_FORMAT,
           "belong to no tensor");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
           "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
           8, TUFF_BAD_FORMAT, "'a' and 'b' overlap at data byte 4");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
           "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
           8, TUFF_BAD_FORMAT, "key \"a\" appears twice");
    expect("{\"\\u0007\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, TUFF_BAD_FORMAT,
           "printable");
}

static void test_hostile(void **state)
{
    (void)state;
    uint8_t data[38] = {0};
    tuff_buf file = make(GOOD, data, sizeof data);
    KIT_OK(hostile_call(parse, (const uint8_t *)file.data, file.size));
    hostile_truncate(parse, (const uint8_t *)file.data, file.size);
    hostile_mutate(parse, (const uint8_t *)file.data, file.size);
    tuff_buf_free(&file);
}

static tuff_status parse_index(const uint8_t *data, size_t size)
{
    tuff_shard_map *map;
    tuff_status status = tuff_shard_map_parse((const char *)data, size, "index", &map);
    tuff_shard_map_destroy(&map);
    return status;
}

static void expect_index(const char *text, const char *part)
{
    KIT_FAILS(parse_index((const uint8_t *)text, strlen(text)), TUFF_BAD_FORMAT, part);
}

static void test_index(void **state)
{
    (void)state;
    const char good[] =
        "{\"metadata\":{},\"weight_map\":{\"a\":\"x.safetensors\",\"b\":\"y\",\"c\":\"x.safetensors\"}}";
    tuff_shard_map *map;
    KIT_OK(tuff_shard_map_parse(good, strlen(good), "index", &map));
    assert_int_equal(map->shard_count, 2);
    assert_int_equal(map->tensor_count, 3);
    assert_string_equal(map->shards[0], "x.safetensors");
    assert_string_equal(map->tensors[2], "c");
    assert_int_equal(map->tensor_shard[1], 1);
    assert_int_equal(map->tensor_shard[2], 0);
    tuff_shard_map_destroy(&map);
    hostile_truncate(parse_index, (const uint8_t *)good, strlen(good));
    hostile_mutate(parse_index, (const uint8_t *)good, strlen(good));
    expect_index("{}", "no 'weight_map'");
    expect_index("[]", "no 'weight_map'");
    expect_index("{\"weight_map\":{}}", "no 'weight_map'");
    expect_index("{\"weight_map\":{\"a\":1}}", "tensor 'a'");
    expect_index("{\"weight_map\":{\"a\":\"../x\"}}", "'../x'");
    expect_index("{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "same directory");
    expect_index("{\"weight_map\":{\"a\":\"d\\\\x\"}}", "same directory");
    expect_index("{\"weight_map\":{\"a\":\"..\"}}", "same directory");
    expect_index("{\"weight_map\":{\"a\":\"\"}}", "same directory");
}

/* --- writing --- */

static const float floats[6] = {1, 2, 3, -4, 5, 6};
static const uint16_t halves[3] = {0x3c00, 0x4000, 0x4200};
static const int32_t ints[2] = {-1, 7};
static const tuff_save_item items[] = {
    {"z.half", TUFF_STORE_F16, 1, {3}}, {"b", TUFF_STORE_F32, 2, {2, 3}},   {"ids", TUFF_STORE_I32, 1, {2}},
    {"a\"q", TUFF_STORE_F32, 0, {0}},   {"bf", TUFF_STORE_BF16, 2, {3, 1}},
};
enum { ITEMS = sizeof items / sizeof items[0] };

static tuff_status give(void *user, size_t index, tuff_sink *sink)
{
    const void *const data[] = {halves, floats, ints, floats, halves};
    const size_t sizes[] = {6, 24, 8, 4, 6};
    const int *bad = user;
    if (bad && *bad == (int)index) return tuff_fail(TUFF_CANCELLED, "stopped");
    if (bad && *bad == -1 && index == 1) return tuff_sink_write(sink, data[index], 20);
    if (bad && *bad == -2 && index == 1) TUFF_TRY(tuff_sink_write(sink, data[index], 4));
    TUFF_TRY(tuff_sink_write(sink, data[index], 2));
    return tuff_sink_write(sink, (const uint8_t *)data[index] + 2, sizes[index] - 2);
}

static void test_save(void **state)
{
    (void)state;
    const char *path = kit_temp_path("save.safetensors");
    KIT_OK(tuff_safetensors_save(path, items, ITEMS, give, NULL));
    tuff_buf text = {0};
    KIT_OK(tuff_read_file(path, 1 << 20, &text));
    /* What Hugging Face's library writes for the same tensors. */
    const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                          "\"a\\\"q\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                          "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]},"
                          "\"ids\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[28,36]},"
                          "\"bf\":{\"dtype\":\"BF16\",\"shape\":[3,1],\"data_offsets\":[36,42]},"
                          "\"z.half\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[42,48]}}";
    size_t length = strlen(header), padded = (length + 7) / 8 * 8;
    assert_int_equal(text.size, 8 + padded + 48);
    assert_int_equal((uint8_t)text.data[0] | (uint8_t)text.data[1] << 8, padded);
    assert_memory_equal(text.data + 8, header, length);
    for (size_t i = length; i < padded; i++)
        assert_int_equal(text.data[8 + i], ' ');
    tuff_buf_free(&text);

    tuff_weights *w;
    KIT_OK(tuff_safetensors_open(path, &w));
    assert_int_equal(w->count, ITEMS);
    assert_memory_equal(kit_stored(tuff_weights_find(w, "b")), floats, 24);
    assert_memory_equal(kit_stored(tuff_weights_find(w, "z.half")), halves, 6);
    assert_memory_equal(kit_stored(tuff_weights_find(w, "ids")), ints, 8);
    tuff_weights_destroy(&w);
}

static void test_failed_save_leaves_nothing(void **state)
{
    (void)state;
    const char *directory = kit_temp_path("failed");
    KIT_OK(tuff_make_directories(directory));
    char *path = tuff_path_join(directory, "m.safetensors");
    int bad = 2;
    KIT_FAILS(tuff_safetensors_save(path, items, ITEMS, give, &bad), TUFF_CANCELLED, "stopped");
    bad = -1;
    KIT_FAILS(tuff_safetensors_save(path, items, ITEMS, give, &bad), TUFF_INTERNAL, "'b': 4 of 24 bytes");
    bad = -2;
    KIT_FAILS(tuff_safetensors_save(path, items, ITEMS, give, &bad), TUFF_INTERNAL, "'b': 4 bytes more");
    tuff_save_item twice[] = {items[0], items[0]};
    KIT_FAILS(tuff_safetensors_save(path, twice, 2, give, NULL), TUFF_INVALID_ARGUMENT, "written twice");
    tuff_save_item negative = {"n", TUFF_STORE_F32, 1, {-1}};
    KIT_FAILS(tuff_safetensors_save(path, &negative, 1, give, NULL), TUFF_INVALID_ARGUMENT, "[-1]");
    assert_int_equal(kit_count_entries(directory), 0);
    tuff_free(path);
    KIT_FAILS(tuff_safetensors_save(kit_temp_path("none/at/all/m.safetensors"), items, ITEMS, give, NULL),
              TUFF_IO, "none/at/all");
}

static void test_shards(void **state)
{
    (void)state;
    const char *directory = kit_temp_path("shards");
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_safetensors_save_sharded(directory, "model", items, ITEMS, 30, give, NULL));
    assert_int_equal(kit_count_entries(directory), 3);
    char *index = tuff_path_join(directory, "model.safetensors.index.json");
    tuff_buf text = {0};
    KIT_OK(tuff_read_file(index, 1 << 20, &text));
    assert_string_equal(text.data, "{\n  \"metadata\": {\n    \"total_size\": 48\n  },\n  \"weight_map\": {\n"
                                   "    \"a\\\"q\": \"model-00002-of-00002.safetensors\",\n"
                                   "    \"b\": \"model-00001-of-00002.safetensors\",\n"
                                   "    \"bf\": \"model-00002-of-00002.safetensors\",\n"
                                   "    \"ids\": \"model-00002-of-00002.safetensors\",\n"
                                   "    \"z.half\": \"model-00001-of-00002.safetensors\"\n  }\n}\n");
    tuff_weights *w;
    KIT_OK(tuff_weights_open_index(index, tuff_safetensors_add, &w));
    assert_int_equal(w->count, ITEMS);
    assert_memory_equal(kit_stored(tuff_weights_find(w, "b")), floats, 24);
    assert_memory_equal(kit_stored(tuff_weights_find(w, "ids")), ints, 8);
    tuff_weights_destroy(&w);

    /* A tensor that is not where the index says, then a shard that is missing. */
    const char wrong[] = "{\"weight_map\":{\"b\":\"model-00002-of-00002.safetensors\"}}";
    kit_write_file(index, wrong, strlen(wrong));
    KIT_FAILS(tuff_weights_open_index(index, tuff_safetensors_add, &w), TUFF_BAD_FORMAT,
              "'b' is not in model-00002-of-00002.safetensors");
    assert_null(w);
    const char missing[] = "{\"weight_map\":{\"b\":\"gone.safetensors\"}}";
    kit_write_file(index, missing, strlen(missing));
    KIT_FAILS(tuff_weights_open_index(index, tuff_safetensors_add, &w), TUFF_NOT_FOUND, "its shard");
    tuff_buf_free(&text);
    tuff_free(index);
}

static void test_one_shard(void **state)
{
    (void)state;
    const char *directory = kit_temp_path("one");
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_safetensors_save_sharded(directory, "model", items, ITEMS, 0, give, NULL));
    assert_int_equal(kit_count_entries(directory), 1);
    char *path = tuff_path_join(directory, "model.safetensors");
    assert_true(tuff_is_file(path));
    tuff_free(path);
    directory = kit_temp_path("none");
    KIT_OK(tuff_make_directories(directory));
    KIT_OK(tuff_safetensors_save_sharded(directory, "model", NULL, 0, 0, give, NULL));
    path = tuff_path_join(directory, "model.safetensors");
    tuff_weights *w;
    KIT_OK(tuff_safetensors_open(path, &w));
    assert_int_equal(w->count, 0);
    tuff_weights_destroy(&w);
    tuff_free(path);
}

static tuff_status parse_good(void *user)
{
    const tuff_buf *file = user;
    return parse((const uint8_t *)file->data, file->size);
}

static tuff_status save_and_open(void *user)
{
    tuff_weights *w = NULL;
    TUFF_TRY(tuff_safetensors_save_sharded(user, "model", items, ITEMS, 30, give, NULL));
    char *index = tuff_path_join(user, "model.safetensors.index.json");
    tuff_status status =
        index ? tuff_weights_open_index(index, tuff_safetensors_add, &w) : tuff_fail_memory("a path");
    tuff_weights_destroy(&w);
    tuff_free(index);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    uint8_t data[38] = {0};
    tuff_buf file = make(GOOD, data, sizeof data);
    assert_true(kit_for_each_allocation_failure(parse_good, &file) > 20);
    tuff_buf_free(&file);
    char directory[1024];
    snprintf(directory, sizeof directory, "%s", kit_temp_path("oom"));
    KIT_OK(tuff_make_directories(directory));
    assert_true(kit_for_each_allocation_failure(save_and_open, directory) > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_listed_only),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_save),
        cmocka_unit_test(test_failed_save_leaves_nothing),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_one_shard),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
