/* GGUF v2 and v3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): typed metadata and tensors. */
#ifndef TUFF_FORMATS_GGUF_H
#define TUFF_FORMATS_GGUF_H

#include "formats/save.h"
#include "formats/weights.h"

/* Types of metadata values, by their number in the file. */
typedef enum tuff_gguf_type {
    TUFF_GGUF_U8,
    TUFF_GGUF_I8,
    TUFF_GGUF_U16,
    TUFF_GGUF_I16,
    TUFF_GGUF_U32,
    TUFF_GGUF_I32,
    TUFF_GGUF_F32,
    TUFF_GGUF_BOOL,
    TUFF_GGUF_STRING,
    TUFF_GGUF_ARRAY,
    TUFF_GGUF_U64,
    TUFF_GGUF_I64,
    TUFF_GGUF_F64,
    TUFF_GGUF_TYPE_COUNT
} tuff_gguf_type;
/* "u32", "string", ... */
const char *tuff_gguf_type_name(tuff_gguf_type type);

/* A metadata entry. Strings and arrays point into the file's bytes. */
typedef struct tuff_gguf_value {
    const char *key;
    tuff_gguf_type type;
    tuff_gguf_type item;      /* of an array: the type of its items */
    uint64_t count;           /* of an array: its items; else 1 */
    const uint8_t *data;      /* the value's bytes: a scalar, the bytes of a string, the items of an array */
    size_t bytes;             /* how many */
    const tuff_view *strings; /* of an array of strings: where each is */
} tuff_gguf_value;

typedef struct tuff_gguf {
    tuff_weights *weights; /* the tensors, shapes in Hugging Face order; owns the mapping */
    const char *file;      /* path; owned by `weights` */
    uint32_t version;
    uint64_t alignment;
    tuff_gguf_value *values; /* in file order */
    size_t count, capacity;
    tuff_map by_key;
    tuff_arena arena;
} tuff_gguf;

/* Parses a file's bytes, which must outlive the result; `file` is its path, for error texts. Of a model in
 * several parts, this is one of them. */
TUFF_MUST_USE tuff_status tuff_gguf_parse(const uint8_t *data, size_t size, const char *file,
                                          tuff_gguf **out_gguf);
/* Maps and parses a file. Where it is one of a model's parts, name-00002-of-00003.gguf, its other parts,
 * beside it, are opened too: the metadata are those of the first, the tensors of all are in one list. */
TUFF_MUST_USE tuff_status tuff_gguf_open(const char *path, tuff_gguf **out_gguf);
/* The file alone. Its tensors are added to `weights`, which the result then only borrows: set its `weights`
 * to NULL before it is destroyed. NULL: they are in a list of its own. */
TUFF_MUST_USE tuff_status tuff_gguf_open_part(const char *path, tuff_weights *weights, tuff_gguf **out_gguf);
void tuff_gguf_destroy(tuff_gguf **gguf);

/* NULL when absent. */
const tuff_gguf_value *tuff_gguf_find(const tuff_gguf *gguf, const char *key);
/* NOT_FOUND, naming file and key, when absent. */
TUFF_MUST_USE tuff_status tuff_gguf_require(const tuff_gguf *gguf, const char *key,
                                            const tuff_gguf_value **out_value);

/* Getters: a missing key leaves *out at its present value; a value of another type or out of range is
 * BAD_FORMAT. */
TUFF_MUST_USE tuff_status tuff_gguf_int(const tuff_gguf *gguf, const char *key,
                                        int64_t *out); /* any integer type */
/* The same, but a missing key is NOT_FOUND, naming file and key. */
TUFF_MUST_USE tuff_status tuff_gguf_need_int(const tuff_gguf *gguf, const char *key, int64_t *out);
TUFF_MUST_USE tuff_status tuff_gguf_number(const tuff_gguf *gguf, const char *key,
                                           double *out); /* any number */
TUFF_MUST_USE tuff_status tuff_gguf_bool(const tuff_gguf *gguf, const char *key, bool *out);
TUFF_MUST_USE tuff_status tuff_gguf_text(const tuff_gguf *gguf, const char *key, tuff_view *out);
/* An array of strings, integers or numbers; *out_value is NULL when the key is missing. */
TUFF_MUST_USE tuff_status tuff_gguf_strings(const tuff_gguf *gguf, const char *key,
                                            const tuff_gguf_value **out_value);
TUFF_MUST_USE tuff_status tuff_gguf_ints(const tuff_gguf *gguf, const char *key,
                                         const tuff_gguf_value **out_value);
TUFF_MUST_USE tuff_status tuff_gguf_numbers(const tuff_gguf *gguf, const char *key,
                                            const tuff_gguf_value **out_value);

/* Item `index` < count of a scalar or an array whose type the caller has checked. An u64 past the range of
 * int64_t comes out as INT64_MAX. */
int64_t tuff_gguf_int_at(const tuff_gguf_value *value, uint64_t index);
double tuff_gguf_number_at(const tuff_gguf_value *value, uint64_t index);
tuff_view tuff_gguf_string_at(const tuff_gguf_value *value, uint64_t index);
/* A value as a person reads it; of arrays the first `items` (0: all) and the count. */
void tuff_gguf_print(const tuff_gguf_value *value, size_t items, tuff_buf *out);

/* Metadata of a file to be written, in the order given. Errors are sticky and reported by tuff_gguf_save. {0}
 * is empty. */
typedef struct tuff_gguf_builder {
    tuff_buf bytes;
    tuff_map keys;
    uint64_t count;
    bool failed, twice;
} tuff_gguf_builder;
void tuff_gguf_put_u32(tuff_gguf_builder *builder, const char *key, uint32_t value);
void tuff_gguf_put_i32(tuff_gguf_builder *builder, const char *key, int32_t value);
void tuff_gguf_put_f32(tuff_gguf_builder *builder, const char *key, float value);
void tuff_gguf_put_bool(tuff_gguf_builder *builder, const char *key, bool value);
void tuff_gguf_put_text(tuff_gguf_builder *builder, const char *key, const char *value);
void tuff_gguf_put_strings(tuff_gguf_builder *builder, const char *key, const tuff_view *items, size_t count);
void tuff_gguf_put_f32s(tuff_gguf_builder *builder, const char *key, const float *items, size_t count);
void tuff_gguf_put_i32s(tuff_gguf_builder *builder, const char *key, const int32_t *items, size_t count);
void tuff_gguf_put_bytes(tuff_gguf_builder *builder, const char *key, const void *items, size_t count);
/* A value of another file, as it is; its general.alignment is passed over. */
void tuff_gguf_put_value(tuff_gguf_builder *builder, const tuff_gguf_value *value);
void tuff_gguf_builder_free(tuff_gguf_builder *builder);

/* Writes a version 3 file with an alignment of 32 through a temporary name. Types f32, f16, bf16, i32; names
 * of at most 63 bytes, which is what llama.cpp reads. Shapes are in Hugging Face order. */
TUFF_MUST_USE tuff_status tuff_gguf_save(const char *path, const tuff_gguf_builder *builder,
                                         const tuff_save_item *items, size_t count, tuff_save_fn fn,
                                         void *user);

#endif
