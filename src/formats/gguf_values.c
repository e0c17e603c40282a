/* Typed access to GGUF metadata. Items lie at any alignment. */
#include "formats/gguf.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"

static const char *const type_names[TUFF_GGUF_TYPE_COUNT] = {
    [TUFF_GGUF_U8] = "u8",       [TUFF_GGUF_I8] = "i8",     [TUFF_GGUF_U16] = "u16",
    [TUFF_GGUF_I16] = "i16",     [TUFF_GGUF_U32] = "u32",   [TUFF_GGUF_I32] = "i32",
    [TUFF_GGUF_F32] = "f32",     [TUFF_GGUF_BOOL] = "bool", [TUFF_GGUF_STRING] = "string",
    [TUFF_GGUF_ARRAY] = "array", [TUFF_GGUF_U64] = "u64",   [TUFF_GGUF_I64] = "i64",
    [TUFF_GGUF_F64] = "f64",
};

const char *tuff_gguf_type_name(tuff_gguf_type type)
{
    return type_names[type];
}

static bool is_int(tuff_gguf_type type)
{
    return type <= TUFF_GGUF_I32 || type == TUFF_GGUF_U64 || type == TUFF_GGUF_I64;
}

static bool is_number(tuff_gguf_type type)
{
    return is_int(type) || type == TUFF_GGUF_F32 || type == TUFF_GGUF_F64;
}

static bool is_string(tuff_gguf_type type)
{
    return type == TUFF_GGUF_STRING;
}

const tuff_gguf_value *tuff_gguf_find(const tuff_gguf *gguf, const char *key)
{
    uint32_t index;
    return tuff_map_get(&gguf->by_key, key, strlen(key), &index) ? &gguf->values[index] : NULL;
}

tuff_status tuff_gguf_require(const tuff_gguf *gguf, const char *key, const tuff_gguf_value **out_value)
{
    *out_value = tuff_gguf_find(gguf, key);
    return *out_value ? TUFF_OK
                      : tuff_fail(TUFF_NOT_FOUND, "%s: the metadata key '%s' is missing", gguf->file, key);
}

static tuff_status wrong_type(const tuff_gguf *gguf, const tuff_gguf_value *value, const char *expected)
{
    bool array = value->type == TUFF_GGUF_ARRAY;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: metadata key '%s' is %s%s; %s is expected", gguf->file, value->key,
                     array ? "an array of " : "of type ", type_names[array ? value->item : value->type],
                     expected);
}

tuff_status tuff_gguf_int(const tuff_gguf *gguf, const char *key, int64_t *out)
{
    const tuff_gguf_value *value = tuff_gguf_find(gguf, key);
    if (!value) return TUFF_OK;
    if (!is_int(value->type)) return wrong_type(gguf, value, "an integer");
    if (value->type == TUFF_GGUF_U64 && value->data[7] > 127)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: metadata key '%s' is out of range", gguf->file, key);
    *out = tuff_gguf_int_at(value, 0);
    return TUFF_OK;
}

tuff_status tuff_gguf_need_int(const tuff_gguf *gguf, const char *key, int64_t *out)
{
    const tuff_gguf_value *value;
    TUFF_TRY(tuff_gguf_require(gguf, key, &value));
    return tuff_gguf_int(gguf, key, out);
}

tuff_status tuff_gguf_number(const tuff_gguf *gguf, const char *key, double *out)
{
    const tuff_gguf_value *value = tuff_gguf_find(gguf, key);
    if (!value) return TUFF_OK;
    if (!is_number(value->type)) return wrong_type(gguf, value, "a number");
    *out = tuff_gguf_number_at(value, 0);
    return TUFF_OK;
}

tuff_status tuff_gguf_bool(const tuff_gguf *gguf, const char *key, bool *out)
{
    const tuff_gguf_value *value = tuff_gguf_find(gguf, key);
    if (!value) return TUFF_OK;
    if (value->type != TUFF_GGUF_BOOL) return wrong_type(gguf, value, "a bool");
    *out = value->data[0] != 0;
    return TUFF_OK;
}

tuff_status tuff_gguf_text(const tuff_gguf *gguf, const char *key, tuff_view *out)
{
    const tuff_gguf_value *value = tuff_gguf_find(gguf, key);
    if (!value) return TUFF_OK;
    if (!is_string(value->type)) return wrong_type(gguf, value, "a string");
    *out = (tuff_view){(const char *)value->data, value->bytes};
    return TUFF_OK;
}

static tuff_status get_array(const tuff_gguf *gguf, const char *key, bool (*fits)(tuff_gguf_type),
                             const char *expected, const tuff_gguf_value **out_value)
{
    *out_value = NULL;
    const tuff_gguf_value *value = tuff_gguf_find(gguf, key);
    if (!value) return TUFF_OK;
    if (value->type != TUFF_GGUF_ARRAY || !fits(value->item)) return wrong_type(gguf, value, expected);
    *out_value = value;
    return TUFF_OK;
}

tuff_status tuff_gguf_strings(const tuff_gguf *gguf, const char *key, const tuff_gguf_value **out_value)
{
    return get_array(gguf, key, is_string, "an array of strings", out_value);
}

tuff_status tuff_gguf_ints(const tuff_gguf *gguf, const char *key, const tuff_gguf_value **out_value)
{
    return get_array(gguf, key, is_int, "an array of integers", out_value);
}

tuff_status tuff_gguf_numbers(const tuff_gguf *gguf, const char *key, const tuff_gguf_value **out_value)
{
    return get_array(gguf, key, is_number, "an array of numbers", out_value);
}

static tuff_gguf_type item_type(const tuff_gguf_value *value)
{
    return value->type == TUFF_GGUF_ARRAY ? value->item : value->type;
}

#define ITEM(type_) \
    type_ item;     \
    memcpy(&item, value->data + index * sizeof item, sizeof item)

int64_t tuff_gguf_int_at(const tuff_gguf_value *value, uint64_t index)
{
    TUFF_ASSERT(index < value->count);
    switch (item_type(value)) {
    case TUFF_GGUF_U8:
        return value->data[index];
    case TUFF_GGUF_I8:
        return (int8_t)value->data[index];
    case TUFF_GGUF_U16: {
        ITEM(uint16_t);
        return item;
    }
    case TUFF_GGUF_I16: {
        ITEM(int16_t);
        return item;
    }
    case TUFF_GGUF_U32: {
        ITEM(uint32_t);
        return item;
    }
    case TUFF_GGUF_I32: {
        ITEM(int32_t);
        return item;
    }
    case TUFF_GGUF_U64: {
        ITEM(uint64_t);
        return item > INT64_MAX ? INT64_MAX : (int64_t)item;
    }
    default: {
        TUFF_ASSERT(item_type(value) == TUFF_GGUF_I64);
        ITEM(int64_t);
        return item;
    }
    }
}

double tuff_gguf_number_at(const tuff_gguf_value *value, uint64_t index)
{
    TUFF_ASSERT(index < value->count);
    if (item_type(value) == TUFF_GGUF_F32) {
        ITEM(float);
        return (double)item;
    }
    if (item_type(value) == TUFF_GGUF_F64) {
        ITEM(double);
        return item;
    }
    return (double)tuff_gguf_int_at(value, index);
}

tuff_view tuff_gguf_string_at(const tuff_gguf_value *value, uint64_t index)
{
    TUFF_ASSERT(index < value->count && item_type(value) == TUFF_GGUF_STRING);
    return value->type == TUFF_GGUF_ARRAY ? value->strings[index]
                                          : (tuff_view){(const char *)value->data, value->bytes};
}

static void print_item(const tuff_gguf_value *value, uint64_t index, tuff_buf *out)
{
    tuff_gguf_type type = item_type(value);
    if (type == TUFF_GGUF_STRING) {
        tuff_view text = tuff_gguf_string_at(value, index);
        tuff_json_quote(out, text.data, text.size);
    } else if (type == TUFF_GGUF_BOOL) {
        tuff_buf_text(out, value->data[index] ? "true" : "false");
    } else if (type == TUFF_GGUF_U64) {
        ITEM(uint64_t);
        tuff_buf_printf(out, "%" PRIu64, item);
    } else if (is_int(type)) {
        tuff_buf_printf(out, "%" PRId64, tuff_gguf_int_at(value, index));
    } else if (type == TUFF_GGUF_F32) {
        tuff_buf_printf(out, "%.9g", tuff_gguf_number_at(value, index));
    } else {
        tuff_buf_printf(out, "%.17g", tuff_gguf_number_at(value, index));
    }
}

void tuff_gguf_print(const tuff_gguf_value *value, size_t items, tuff_buf *out)
{
    if (value->type != TUFF_GGUF_ARRAY) {
        print_item(value, 0, out);
        return;
    }
    tuff_buf_printf(out, "%" PRIu64 " %s", value->count, type_names[value->item]);
    if (value->item == TUFF_GGUF_ARRAY) return;
    tuff_buf_text(out, " [");
    uint64_t shown = items && items < value->count ? items : value->count;
    for (uint64_t i = 0; i < shown; i++) {
        if (i) tuff_buf_text(out, ", ");
        print_item(value, i, out);
    }
    tuff_buf_text(out, shown < value->count ? ", ...]" : "]");
}
