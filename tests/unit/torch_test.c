/* pytorch_model.bin: what torch.save wrote (assets/golden/torch), and archives made here to be refused. */
#include "formats/torch.h"

#include <stdio.h>

#include "formats/hf_config.h"
#include "formats/peft.h"
#include "hostile.h"
#include "kit/files.h"

/* --- archives, piece by piece --- */

typedef struct archive {
    tuff_buf bytes, directory;
    unsigned count;
} archive;

/* Little-endian, in so many bytes. */
static void number(tuff_buf *b, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        tuff_buf_char(b, i < sizeof value ? (char)(value >> 8 * i & 0xff) : 0);
}

/* An entry as torch.save writes it, but for what the arguments say; `packed` is its size as the directory has
 * it. */
static void add_as(archive *a, const char *name, const void *data, size_t size, unsigned flags,
                   unsigned method, uint64_t packed)
{
    const size_t at = a->bytes.size, length = strlen(name);
    tuff_buf *b = &a->bytes, *d = &a->directory;
    tuff_buf_bytes(b, "PK\3\4\0\0\0\0\0\0", 10), number(b, 0, 16);
    number(b, length, 2), number(b, 4, 2), tuff_buf_text(b, name), tuff_buf_bytes(b, "FB\0\0", 4);
    tuff_buf_bytes(b, data, size);
    tuff_buf_bytes(d, "PK\1\2\0\0\0\0", 8), number(d, flags, 2), number(d, method, 2), number(d, 0, 8);
    number(d, packed, 4), number(d, size, 4), number(d, length, 2), number(d, 0, 12), number(d, at, 4);
    tuff_buf_text(d, name);
    a->count++;
}

static void add(archive *a, const char *name, const void *data, size_t size)
{
    add_as(a, name, data, size, 0x808, 0, size);
}

/* Ends it; the result is the caller's. */
static tuff_buf end(archive *a)
{
    const size_t at = a->bytes.size;
    tuff_buf_bytes(&a->bytes, a->directory.data, a->directory.size);
    tuff_buf_bytes(&a->bytes, "PK\5\6\0\0\0\0", 8);
    number(&a->bytes, a->count, 2), number(&a->bytes, a->count, 2), number(&a->bytes, a->directory.size, 4);
    number(&a->bytes, at, 4), number(&a->bytes, 0, 2);
    tuff_buf_free(&a->directory);
    return a->bytes;
}

/* --- pickles --- */

static void text(tuff_buf *b, const char *t)
{
    tuff_buf_char(b, 'X'), number(b, strlen(t), 4), tuff_buf_text(b, t);
}

static void storage(tuff_buf *b, const char *type, const char *key, unsigned elements)
{
    tuff_buf_char(b, '('), text(b, "storage"), tuff_buf_printf(b, "ctorch\n%s\n", type), text(b, key);
    text(b, "cpu"), tuff_buf_char(b, 'K'), number(b, elements, 1), tuff_buf_text(b, "tQ");
}

/* A tensor [n] of a storage of 4 floats. */
static void tensor(tuff_buf *b, unsigned offset, unsigned n)
{
    tuff_buf_text(b, "ctorch._utils\n_rebuild_tensor_v2\n("), storage(b, "FloatStorage", "0", 4);
    tuff_buf_char(b, 'K'), number(b, offset, 1), tuff_buf_char(b, 'K'), number(b, n, 1);
    tuff_buf_bytes(b, "\x85K\1\x85\x89", 5), tuff_buf_text(b, "ccollections\nOrderedDict\n)RtR");
}

static const float four[4] = {0, 1, 2, 3};

/* An archive with this pickle and that storage. */
static tuff_buf with_pickle(tuff_buf *pickle)
{
    archive a = {0};
    add(&a, "m/data.pkl", pickle->data, pickle->size);
    add(&a, "m/byteorder", "little", 6);
    add(&a, "m/data/0", four, sizeof four);
    tuff_buf_free(pickle);
    return end(&a);
}

static tuff_buf good(void)
{
    tuff_buf p = {0};
    tuff_buf_bytes(&p, "\x80\2}(", 4), text(&p, "w"), tensor(&p, 1, 3), tuff_buf_text(&p, "u.");
    return with_pickle(&p);
}

static tuff_status parse(const uint8_t *data, size_t size)
{
    tuff_weights *weights;
    TUFF_TRY(tuff_weights_create(&weights));
    tuff_status status = tuff_torch_parse(weights, data, size, "m.bin");
    for (size_t i = 0; status == TUFF_OK && i < weights->count; i++) {
        volatile uint8_t sum = 0; /* reads every byte of every tensor */
        for (size_t k = 0; k < weights->items[i].bytes; k++)
            sum = (uint8_t)(sum + weights->items[i].data[k]);
    }
    tuff_weights_destroy(&weights);
    return status;
}

static void refuses(tuff_buf file, tuff_status status, const char *part)
{
    KIT_FAILS(hostile_call(parse, (const uint8_t *)file.data, file.size), status, part);
    tuff_buf_free(&file);
}

static void refuses_pickle(const char *bytes, size_t size, tuff_status status, const char *part)
{
    tuff_buf p = {0};
    tuff_buf_bytes(&p, bytes, size);
    refuses(with_pickle(&p), status, part);
}
#define REFUSES_PICKLE(bytes, status, part) refuses_pickle(bytes, sizeof(bytes) - 1, status, part)

/* --- tests --- */

static void expect_numbers(const tuff_weights *weights, const char *name, float first, unsigned rank,
                           int64_t rows, int64_t columns)
{
    float values[12];
    const tuff_weight *w = tuff_weights_find(weights, name);
    if (!w) fail_msg("no tensor %s", name);
    assert_int_equal(w->rank, rank);
    assert_int_equal(tuff_weight_rows(w), rows);
    assert_int_equal(tuff_weight_columns(w), columns);
    KIT_OK(tuff_weight_read(w, TUFF_F32, values));
    for (int64_t i = 0; i < rows * columns; i++)
        assert_true(values[i] == first + (float)i);
}

static void expect_state(const tuff_weights *w)
{
    static const char *const listed[] = {"F64", "I64", "I32", "I16", "I8", "U8", "BOOL"};
    static const char *const names[] = {"f64", "i64", "i32", "i16", "i8", "u8", "bool"};
    expect_numbers(w, "f32", 0, 2, 2, 3);
    expect_numbers(w, "f16", 0, 2, 2, 3);
    expect_numbers(w, "bf16", 0, 2, 2, 3);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal(tuff_weight_type(tuff_weights_find(w, names[i])), listed[i]);
    expect_numbers(w, "whole", 0, 2, 3, 4);
    expect_numbers(w, "tied", 0, 2, 3, 4);
    expect_numbers(w, "last_rows", 4, 2, 2, 4);
    expect_numbers(w, "parameter", 0, 1, 1, 4);
    expect_numbers(w, "trained", 0, 2, 1, 4);
    expect_numbers(w, "scalar", 7, 0, 1, 1);
    expect_numbers(w, "empty", 0, 2, 0, 3);
    expect_numbers(w, "one_column", 2, 2, 1, 1);
    assert_int_equal(w->count, 18);
    assert_true(tuff_weight_is_copy(tuff_weights_find(w, "whole"), tuff_weights_find(w, "tied")));
}

static void test_read(void **state)
{
    (void)state;
    const char *path = kit_golden("torch/state.bin");
    tuff_weights *w;
    KIT_OK(tuff_weights_create(&w));
    KIT_OK(tuff_torch_add(w, path));
    expect_state(w);
    assert_true(w->items[0].source != 0);
    KIT_OK(tuff_weights_check_files(w));
    tuff_weights_destroy(&w);
    tuff_buf file = {0};
    kit_read_file(path, &file);
    KIT_OK(tuff_weights_create(&w));
    KIT_OK(tuff_torch_parse(w, (const uint8_t *)file.data, file.size, path));
    expect_state(w);
    tuff_weights_destroy(&w);
    tuff_buf_free(&file);
}

static void test_other_files_of_torch(void **state)
{
    (void)state;
    static const struct {
        const char *file, *part;
        tuff_status status;
    } cases[] = {
        {"torch/turned.bin", "tensor 'a' does not lie row by row in its storage", TUFF_UNSUPPORTED},
        {"torch/checkpoint.bin", "its tensors are not at the top but in 'model' or deeper", TUFF_UNSUPPORTED},
        {"torch/legacy.bin", "a plain pickle, as PyTorch wrote it before version 1.6", TUFF_UNSUPPORTED},
        {"torch/module.bin", "it asks for torch.nn.modules.linear.Linear: refused", TUFF_UNSUPPORTED},
        {"torch/script.bin", "linear.py' is compressed (method 8)", TUFF_UNSUPPORTED},
        {"llama/model.safetensors", "no file of PyTorch's", TUFF_BAD_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_weights *w;
        KIT_OK(tuff_weights_create(&w));
        KIT_FAILS(tuff_torch_add(w, kit_golden(cases[i].file)), cases[i].status, cases[i].part);
        tuff_weights_destroy(&w);
    }
}

static void test_evil_pickles(void **state)
{
    (void)state;
    REFUSES_PICKLE("\x80\2cos\nsystem\nX\2\0\0\0id\x85R.", TUFF_UNSUPPORTED,
                   "it asks for os.system: refused");
    REFUSES_PICKLE("\x80\2}X\1\0\0\0wc__builtin__\neval\nX\1\0\0\0001\x85Rs.", TUFF_UNSUPPORTED,
                   "__builtin__.eval");
    REFUSES_PICKLE("\x80\2ctorch\nload\n.", TUFF_UNSUPPORTED, "torch.load: refused");
    REFUSES_PICKLE("\x80\2ctorch\nFloatStorage\x00\n.", TUFF_BAD_FORMAT, "no printable text");
    REFUSES_PICKLE("\x80\2ios\nsystem\n.", TUFF_UNSUPPORTED, "the opcode 0x69 is none of those");
    REFUSES_PICKLE("\x80\4\x95", TUFF_UNSUPPORTED, "a pickle of protocol 4");
    REFUSES_PICKLE("\x80\2ccollections\nOrderedDict\n)\x81.", TUFF_UNSUPPORTED, "opcode 0x81");
    REFUSES_PICKLE("\x80\2ctorch\nFloatStorage\n)R.", TUFF_BAD_FORMAT, "something is called that cannot be");
    REFUSES_PICKLE("\x80\2K\1)R.", TUFF_BAD_FORMAT, "something is called that cannot be");
    REFUSES_PICKLE("\x80\2ctorch._utils\n_rebuild_tensor_v2\n)R.", TUFF_BAD_FORMAT,
                   "a tensor is not made of");
    REFUSES_PICKLE("\x80\2X\1\0\0\0wQ.", TUFF_BAD_FORMAT, "no storage of a tensor");
    REFUSES_PICKLE("\x80\2].", TUFF_UNSUPPORTED, "it holds no dictionary of tensors");
    /* bombs of the memo and of the stack */
    REFUSES_PICKLE("\x80\2}r\xff\xff\xff\xff.", TUFF_BAD_FORMAT, "values are not remembered in order");
    REFUSES_PICKLE("\x80\2h\1.", TUFF_BAD_FORMAT, "a value is used that was not remembered");
    REFUSES_PICKLE("\x80\2X\xff\xff\xff\x7fw.", TUFF_BAD_FORMAT, "a text is longer than the pickle");
    REFUSES_PICKLE("\x80\2\x8a\xff", TUFF_UNSUPPORTED, "a number of 255 bytes");
    REFUSES_PICKLE("\x80\2}(s.", TUFF_BAD_FORMAT, "too few values");
    REFUSES_PICKLE("\x80\2u.", TUFF_BAD_FORMAT, "finds no mark");
    REFUSES_PICKLE("\x80\2}(K\1u.", TUFF_BAD_FORMAT, "a key without a value");
    REFUSES_PICKLE("\x80\2}K\1.", TUFF_BAD_FORMAT, "values are left over");
    REFUSES_PICKLE("\x80\2}", TUFF_BAD_FORMAT, "the pickle ends early");
    tuff_buf p = {0};
    tuff_buf_bytes(&p, "\x80\2()q\0", 6);
    for (int i = 0; i < 60; i++) /* 2^60 leaves, were it ever walked */
        tuff_buf_bytes(&p, "h\0h\0\x86q\0", 7);
    tuff_buf_char(&p, 't');
    for (int i = 0; i < 100000; i++) /* and deeper than any stack */
        tuff_buf_char(&p, '\x85');
    tuff_buf_char(&p, '.');
    refuses(with_pickle(&p), TUFF_UNSUPPORTED, "it holds no dictionary of tensors");
    tuff_buf_bytes(&p, "\x80\2}(q\0", 6);
    refuses(with_pickle(&p), TUFF_BAD_FORMAT, "there is no value to remember");
    tuff_buf_bytes(&p, "\x80\2}q\0X\1\0\0\0wh\0s.", 15); /* a dictionary that is in itself */
    refuses(with_pickle(&p), TUFF_UNSUPPORTED, "not at the top but in 'w'");
}

static void test_bad_tensors(void **state)
{
    (void)state;
    tuff_buf p = {0};
    tuff_buf_bytes(&p, "\x80\2}(", 4), text(&p, "w"), tensor(&p, 2, 3), tuff_buf_text(&p, "u.");
    refuses(with_pickle(&p), TUFF_BAD_FORMAT, "'w' needs 3 elements from 2 on, but its storage has 4");
    tuff_buf_bytes(&p, "\x80\2}(", 4), text(&p, "w"), tensor(&p, 0, 3), text(&p, "w"), tensor(&p, 0, 3);
    tuff_buf_text(&p, "u.");
    refuses(with_pickle(&p), TUFF_BAD_FORMAT, "'w' appears twice");
    tuff_buf_bytes(&p, "\x80\2}(", 4), text(&p, "a\nb"), tensor(&p, 0, 3), tuff_buf_text(&p, "u.");
    refuses(with_pickle(&p), TUFF_BAD_FORMAT, "the name of tensor 0 is no printable");
    for (int i = 0; i < 2; i++) {
        tuff_buf_bytes(&p, "\x80\2}(", 4), text(&p, "w");
        tuff_buf_text(&p, "ctorch._utils\n_rebuild_tensor_v2\n(");
        storage(&p, "FloatStorage", i ? "../0" : "0", i ? 4 : 5);
        tuff_buf_bytes(&p, "K\0K\1\x85K\1\x85\x89)tRu.", 14);
        refuses(with_pickle(&p), TUFF_BAD_FORMAT,
                i ? "the storage of tensor 'w' is missing"
                  : "to have 5 elements, but its 16 bytes are too few");
    }
    /* 2^40 x 2^40 elements */
    tuff_buf_bytes(&p, "\x80\2}(", 4), text(&p, "w");
    tuff_buf_text(&p, "ctorch._utils\n_rebuild_tensor_v2\n("), storage(&p, "FloatStorage", "0", 4);
    tuff_buf_bytes(&p, "K\0\x8a\6\0\0\0\0\0\1\x8a\6\0\0\0\0\0\1\x86\x8a\6\0\0\0\0\0\1K\1\x86\x89)tRu.", 36);
    refuses(with_pickle(&p), TUFF_UNSUPPORTED, "does not lie row by row");
}

static void test_bad_archives(void **state)
{
    (void)state;
    archive a = {0};
    add(&a, "m/data.pkl", "}.", 2), add_as(&a, "m/data/0", four, 16, 0, 8, 9);
    refuses(end(&a), TUFF_UNSUPPORTED, "its entry 'm/data/0' is compressed (method 8)");
    a = (archive){0};
    add_as(&a, "m/data.pkl", "}.", 2, 1, 0, 2);
    refuses(end(&a), TUFF_UNSUPPORTED, "its entry 'm/data.pkl' is encrypted");
    a = (archive){0};
    add_as(&a, "m/data.pkl", "}.", 2, 0, 0, 3);
    refuses(end(&a), TUFF_BAD_FORMAT, "in 3 bytes for 2");
    a = (archive){0};
    add(&a, "m/data.pkl", "}.", 2), add(&a, "m/data.pkl", "}.", 2);
    refuses(end(&a), TUFF_BAD_FORMAT, "its entry 'm/data.pkl' is there twice");
    a = (archive){0};
    add(&a, "m/weights", "}.", 2);
    refuses(end(&a), TUFF_BAD_FORMAT, "it has no data.pkl");
    a = (archive){0};
    add(&a, "m/data.pkl", "}.", 2), add(&a, "m/byteorder", "big", 3);
    refuses(end(&a), TUFF_UNSUPPORTED, "its byte order is not \"little\"");
    a = (archive){0};
    add(&a, "m/da\nta.pkl", "}.", 2);
    refuses(end(&a), TUFF_BAD_FORMAT, "the name of its entry 0 is no printable");
    /* one entry's bytes reach into the next one */
    a = (archive){0};
    add(&a, "m/data.pkl", "}.", 2), add(&a, "m/data/0", four, 16);
    memcpy(a.directory.data + 20, "\7\0\0\0\7\0\0", 8);
    refuses(end(&a), TUFF_BAD_FORMAT, "its entries 'm/data.pkl' and 'm/data/0' overlap");
    a = (archive){0};
    add(&a, "m/data.pkl", "}.", 2);
    memcpy(a.directory.data + 20, "\xff\xff\0\0\xff\xff\0", 8);
    refuses(end(&a), TUFF_BAD_FORMAT, "its entry 'm/data.pkl' of 65535 bytes does not fit");
    a = (archive){0};
    add(&a, "m/data.pkl", "}.", 2);
    memcpy(a.directory.data + 42, "\1", 1);
    refuses(end(&a), TUFF_BAD_FORMAT, "does not begin where the directory says");
    a = (archive){0};
    add(&a, "m/data.pkl", "}.", 2);
    memset(a.directory.data + 20, 0xff, 8);
    refuses(end(&a), TUFF_BAD_FORMAT, "the 64-bit sizes of its entry 'm/data.pkl' are missing");
}

/* As torch.save writes what takes more than 4 GB: sizes in an extra field, and a second record at the end. */
static void test_zip64(void **state)
{
    (void)state;
    tuff_buf plain = good(), wide = {0};
    const char *directory = NULL;
    for (size_t i = 0; !directory; i++)
        if (memcmp(plain.data + i, "PK\1\2", 4) == 0) directory = plain.data + i;
    const size_t at = (size_t)(directory - plain.data), name = strlen("m/data.pkl");
    uint64_t size = 0;
    memcpy(&size, directory + 24, 4);
    tuff_buf_bytes(&wide, plain.data, at + 20);
    tuff_buf_bytes(&wide, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), tuff_buf_bytes(&wide, directory + 28, 2);
    number(&wide, 5 + 28, 2), tuff_buf_bytes(&wide, directory + 32, 10), number(&wide, UINT32_MAX, 4);
    tuff_buf_bytes(&wide, directory + 46, name);
    number(&wide, 0x4646, 2), number(&wide, 1, 2), number(&wide, 0, 1); /* another field before */
    number(&wide, 1, 2), number(&wide, 24, 2), number(&wide, size, 8), number(&wide, size, 8),
        number(&wide, 0, 8);
    const size_t rest = plain.size - 22 - at - 46 - name;
    tuff_buf_bytes(&wide, directory + 46 + name, rest);
    const size_t record = wide.size;
    tuff_buf_text(&wide, "PK\6\6"), number(&wide, 44, 8), number(&wide, 0, 12), number(&wide, 3, 8);
    number(&wide, 3, 8), number(&wide, record - at, 8), number(&wide, at, 8);
    tuff_buf_text(&wide, "PK\6\7"), number(&wide, 0, 4), number(&wide, record, 8), number(&wide, 1, 4);
    tuff_buf_text(&wide, "PK\5\6"), number(&wide, 0, 4), number(&wide, UINT64_MAX, 8),
        number(&wide, UINT32_MAX, 4);
    number(&wide, 0, 2);
    tuff_weights *w;
    KIT_OK(tuff_weights_create(&w));
    KIT_OK(tuff_torch_parse(w, (const uint8_t *)wide.data, wide.size, "wide.bin"));
    expect_numbers(w, "w", 1, 1, 1, 3);
    tuff_weights_destroy(&w);
    hostile_truncate(parse, (const uint8_t *)wide.data, wide.size);
    hostile_mutate(parse, (const uint8_t *)wide.data, wide.size);
    tuff_buf_free(&plain);
    tuff_buf_free(&wide);
}

static void test_hostile(void **state)
{
    (void)state;
    tuff_buf file = good();
    KIT_OK(parse((const uint8_t *)file.data, file.size));
    hostile_truncate(parse, (const uint8_t *)file.data, file.size);
    hostile_mutate(parse, (const uint8_t *)file.data, file.size);
    tuff_buf_free(&file);
}

static void write_shard(const char *path, const char *name)
{
    tuff_buf p = {0};
    tuff_buf_bytes(&p, "\x80\2}(", 4), text(&p, name), tensor(&p, 0, 4), tuff_buf_text(&p, "u.");
    tuff_buf file = with_pickle(&p);
    kit_write_file(path, file.data, file.size);
    tuff_buf_free(&file);
}

static tuff_status open_directory(const char *path, tuff_weights **out_weights)
{
    tuff_hf_files *files;
    *out_weights = NULL;
    TUFF_TRY(tuff_hf_locate(path, &files));
    tuff_status status = tuff_hf_open_weights(files, out_weights);
    tuff_hf_files_destroy(&files);
    return status;
}

/* One file, shards by an index, and a file that is named itself; safetensors come first where both are there.
 */
static void test_directories(void **state)
{
    (void)state;
    static const char index[] = "{\"weight_map\":{\"a\":\"pytorch_model-00001-of-00002.bin\","
                                "\"b\":\"pytorch_model-00002-of-00002.bin\"}}";
    char directory[1024], file[1100];
    tuff_weights *w;
    snprintf(directory, sizeof directory, "%s", kit_temp_path("torch-model"));
    KIT_OK(tuff_make_directories(directory));
    kit_write_file(kit_join(directory, "pytorch_model.bin.index.json"), index, sizeof index - 1);
    write_shard(kit_join(directory, "pytorch_model-00001-of-00002.bin"), "a");
    KIT_FAILS(open_directory(directory, &w), TUFF_NOT_FOUND, "its shard");
    write_shard(kit_join(directory, "pytorch_model-00002-of-00002.bin"), "c");
    KIT_FAILS(open_directory(directory, &w), TUFF_BAD_FORMAT,
              "tensor 'b' is not in pytorch_model-00002-of-00002.bin");
    write_shard(kit_join(directory, "pytorch_model-00002-of-00002.bin"), "b");
    KIT_OK(open_directory(directory, &w));
    expect_numbers(w, "a", 0, 1, 1, 4);
    expect_numbers(w, "b", 0, 1, 1, 4);
    tuff_weights_destroy(&w);
    snprintf(file, sizeof file, "%s", kit_join(directory, "pytorch_model.bin"));
    write_shard(file, "whole");
    KIT_OK(open_directory(directory, &w));
    expect_numbers(w, "whole", 0, 1, 1, 4);
    tuff_weights_destroy(&w);
    KIT_OK(open_directory(file, &w));
    expect_numbers(w, "whole", 0, 1, 1, 4);
    tuff_weights_destroy(&w);
    kit_copy_file(kit_golden("llama/model.safetensors"), kit_join(directory, "model.safetensors"));
    KIT_OK(open_directory(directory, &w));
    assert_null(tuff_weights_find(w, "whole"));
    tuff_weights_destroy(&w);
}

static void test_adapters(void **state)
{
    (void)state;
    tuff_peft_adapter *a;
    KIT_OK(tuff_peft_open(kit_golden("torch/adapter"), &a));
    const tuff_peft_pair *pair = tuff_peft_find(a, "h.0.q");
    assert_non_null(pair);
    assert_int_equal(pair->rank, 2);
    float values[8];
    KIT_OK(tuff_weight_read(pair->b, TUFF_F32, values));
    for (int i = 0; i < 8; i++)
        assert_true(values[i] == (float)i);
    tuff_peft_destroy(&a);
}

static tuff_status parse_good(void *user)
{
    const tuff_buf *file = user;
    return parse((const uint8_t *)file->data, file->size);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    tuff_buf file = good();
    assert_true(kit_for_each_allocation_failure(parse_good, &file) > 15);
    tuff_buf_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),         cmocka_unit_test(test_other_files_of_torch),
        cmocka_unit_test(test_evil_pickles), cmocka_unit_test(test_bad_tensors),
        cmocka_unit_test(test_bad_archives), cmocka_unit_test(test_zip64),
        cmocka_unit_test(test_hostile),      cmocka_unit_test(test_directories),
        cmocka_unit_test(test_adapters),     cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
