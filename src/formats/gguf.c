/* Reading GGUF. Every length and count in the file is checked against the bytes that are left before it is
 * used, so no allocation is larger than a small multiple of the file. */
#include "formats/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ARRAY_DEPTH = 4, DEFAULT_ALIGNMENT = 32, ALIGNMENT_LIMIT = 1 << 20 };

typedef struct cursor {
    const uint8_t *data;
    size_t size, at;
    const char *file;
    tuff_mapping *mapping; /* of the file, read as far as the cursor comes; NULL: all bytes are there */
} cursor;

static tuff_status take(cursor *c, uint64_t bytes, const char *what, const uint8_t **out)
{
    *out = c->data + c->at;
    if (bytes > c->size - c->at)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: truncated or corrupted: %s at byte %zu needs %" PRIu64
                         " bytes, but %zu are left",
                         c->file, what, c->at, bytes, c->size - c->at);
    c->at += (size_t)bytes;
    return c->mapping ? tuff_mapping_fill(c->mapping, c->at) : TUFF_OK;
}

static tuff_status take_u32(cursor *c, const char *what, uint32_t *out)
{
    *out = 0;
    const uint8_t *bytes;
    TUFF_TRY(take(c, 4, what, &bytes));
    memcpy(out, bytes, 4);
    return TUFF_OK;
}

static tuff_status take_u64(cursor *c, const char *what, uint64_t *out)
{
    *out = 0;
    const uint8_t *bytes;
    TUFF_TRY(take(c, 8, what, &bytes));
    memcpy(out, bytes, 8);
    return TUFF_OK;
}

static tuff_status take_string(cursor *c, const char *what, tuff_view *out)
{
    uint64_t length;
    const uint8_t *bytes;
    TUFF_TRY(take_u64(c, what, &length));
    TUFF_TRY(take(c, length, what, &bytes));
    *out = (tuff_view){(const char *)bytes, (size_t)length};
    return TUFF_OK;
}

/* Copies the name of a key or tensor, which must be fit for a message and free of NUL. */
static tuff_status take_name(cursor *c, tuff_arena *arena, const char *what, char **out)
{
    tuff_view text;
    size_t at = c->at;
    TUFF_TRY(take_string(c, what, &text));
    if (!tuff_weight_name_valid(text.data, text.size))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: %s at byte %zu is no printable UTF-8 text of at most 4096 bytes", c->file, what,
                         at);
    *out = tuff_arena_alloc(arena, text.size + 1);
    if (!*out) return tuff_fail_memory("a name in a GGUF file");
    memcpy(*out, text.data, text.size);
    return TUFF_OK;
}

/* Bytes of a scalar; 0 for strings and arrays. */
static unsigned scalar_size(tuff_gguf_type type)
{
    static const uint8_t sizes[TUFF_GGUF_TYPE_COUNT] = {
        [TUFF_GGUF_U8] = 1,  [TUFF_GGUF_I8] = 1,  [TUFF_GGUF_U16] = 2, [TUFF_GGUF_I16] = 2,
        [TUFF_GGUF_U32] = 4, [TUFF_GGUF_I32] = 4, [TUFF_GGUF_F32] = 4, [TUFF_GGUF_BOOL] = 1,
        [TUFF_GGUF_U64] = 8, [TUFF_GGUF_I64] = 8, [TUFF_GGUF_F64] = 8,
    };
    return sizes[type];
}

static tuff_status take_type(cursor *c, const char *key, tuff_gguf_type *out)
{
    uint32_t type;
    size_t at = c->at;
    TUFF_TRY(take_u32(c, "a value type", &type));
    if (type >= TUFF_GGUF_TYPE_COUNT)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: key '%s' has the unknown value type %" PRIu32 " at byte %zu",
                         c->file, key, type, at);
    *out = (tuff_gguf_type)type;
    return TUFF_OK;
}

static tuff_status take_count(cursor *c, const char *key, unsigned least, uint64_t *out)
{
    size_t at = c->at;
    TUFF_TRY(take_u64(c, "an array's length", out));
    if (*out > (c->size - c->at) / least)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: key '%s': an array at byte %zu claims %" PRIu64
                         " items, but only %zu bytes are left",
                         c->file, key, at, *out, c->size - c->at);
    return TUFF_OK;
}

/* Passes over the items of a nested array, checking that they lie in the file. */
static tuff_status skip_items(cursor *c, const char *key, tuff_gguf_type type, uint64_t count, int depth)
{
    const uint8_t *bytes;
    tuff_view text;
    if (scalar_size(type) > 0) return take(c, count * scalar_size(type), "an array", &bytes);
    for (uint64_t i = 0; i < count; i++) {
        if (type == TUFF_GGUF_STRING) {
            TUFF_TRY(take_string(c, "a string of an array", &text));
            continue;
        }
        tuff_gguf_type inner;
        uint64_t inner_count;
        if (depth == ARRAY_DEPTH)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: key '%s': arrays are nested deeper than %d at byte %zu",
                             c->file, key, ARRAY_DEPTH, c->at);
        TUFF_TRY(take_type(c, key, &inner));
        TUFF_TRY(take_count(c, key, scalar_size(inner) ? scalar_size(inner) : 8, &inner_count));
        TUFF_TRY(skip_items(c, key, inner, inner_count, depth + 1));
    }
    return TUFF_OK;
}

static tuff_status take_array(cursor *c, tuff_arena *arena, tuff_gguf_value *value)
{
    TUFF_TRY(take_type(c, value->key, &value->item));
    unsigned size = scalar_size(value->item);
    TUFF_TRY(take_count(c, value->key,
                        size                              ? size
                        : value->item == TUFF_GGUF_STRING ? 8
                                                          : 12,
                        &value->count));
    value->data = c->data + c->at;
    size_t begin = c->at;
    if (value->item == TUFF_GGUF_STRING) {
        tuff_view *strings = tuff_arena_array(arena, (size_t)value->count, sizeof *strings);
        if (!strings) return tuff_fail_memory("the strings of a GGUF file");
        value->strings = strings;
        for (uint64_t i = 0; i < value->count; i++)
            TUFF_TRY(take_string(c, "a string of an array", &strings[i]));
    } else {
        TUFF_TRY(skip_items(c, value->key, value->item, value->count, 1));
    }
    value->bytes = c->at - begin;
    return TUFF_OK;
}

static tuff_status take_value(cursor *c, tuff_gguf *gguf)
{
    tuff_gguf_value value = {.count = 1};
    char *key;
    TUFF_TRY(take_name(c, &gguf->arena, "a metadata key", &key));
    value.key = key;
    TUFF_TRY(take_type(c, key, &value.type));
    if (value.type == TUFF_GGUF_ARRAY) {
        TUFF_TRY(take_array(c, &gguf->arena, &value));
    } else if (value.type == TUFF_GGUF_STRING) {
        tuff_view text;
        TUFF_TRY(take_string(c, "a string", &text));
        value.data = (const uint8_t *)text.data;
        value.bytes = text.size;
    } else {
        value.bytes = scalar_size(value.type);
        TUFF_TRY(take(c, value.bytes, "a value", &value.data));
        if (value.type == TUFF_GGUF_BOOL && value.data[0] > 1)
            return tuff_fail(TUFF_BAD_FORMAT, "%s: key '%s' is a bool of value %u; 0 or 1 is expected",
                             c->file, key, value.data[0]);
    }
    uint32_t other;
    if (tuff_map_get(&gguf->by_key, key, strlen(key), &other))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: metadata key '%s' appears twice", c->file, key);
    if (gguf->count >= UINT32_MAX) return tuff_fail(TUFF_UNSUPPORTED, "%s: too many metadata keys", c->file);
    if (!tuff_grow((void **)&gguf->values, gguf->count, &gguf->capacity, sizeof value) ||
        !tuff_map_put(&gguf->by_key, key, strlen(key), (uint32_t)gguf->count))
        return tuff_fail_memory("the metadata of a GGUF file");
    gguf->values[gguf->count++] = value;
    return TUFF_OK;
}

static bool find_storage(uint32_t type, tuff_storage *out)
{
    for (unsigned i = 0; i < TUFF_STORE_COUNT; i++) {
        int number = tuff_storage_get((tuff_storage)i)->gguf;
        if (number < 0 || (uint32_t)number != type) continue;
        *out = (tuff_storage)i;
        return true;
    }
    return false;
}

/* Tensor infos come before the data they point to: `data` is set once the end of the infos is known. */
static tuff_status take_tensor(cursor *c, tuff_gguf *gguf, tuff_arena *scratch, uint64_t *out_offset)
{
    tuff_weight weight = {.file = gguf->file};
    char *name;
    uint32_t rank, type;
    int64_t dims[TUFF_LISTED_RANK];
    TUFF_TRY(take_name(c, scratch, "a tensor's name", &name));
    weight.name = name;
    TUFF_TRY(take_u32(c, "a tensor's rank", &rank));
    if (rank > TUFF_LISTED_RANK)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: tensor '%s' has %" PRIu32 " dimensions; at most %d are possible", c->file, name,
                         rank, TUFF_LISTED_RANK);
    for (unsigned i = rank; i-- > 0;) {
        uint64_t dimension;
        TUFF_TRY(take_u64(c, "a tensor's dimension", &dimension));
        dims[i] = dimension > INT64_MAX ? -1 : (int64_t)dimension;
    }
    TUFF_TRY(tuff_weights_shape(gguf->weights, &weight, rank, dims));
    TUFF_TRY(take_u32(c, "a tensor's type", &type));
    if (!find_storage(type, &weight.storage)) {
        char text[32];
        snprintf(text, sizeof text, "type %" PRIu32, type);
        TUFF_TRY(tuff_weights_unknown_type(gguf->weights, &weight, text));
    }
    TUFF_TRY(take_u64(c, "a tensor's offset", out_offset));
    if (*out_offset % gguf->alignment != 0)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: tensor '%s' is at data byte %" PRIu64
                         ", which is no multiple of the alignment %" PRIu64,
                         c->file, name, *out_offset, gguf->alignment);
    return tuff_weights_add(gguf->weights, &weight);
}

/* Of the tensors that this file added to the list, behind the `first` others. */
static tuff_status place_tensors(cursor *c, tuff_gguf *gguf, size_t first, const uint64_t *offsets)
{
    tuff_weights *weights = gguf->weights;
    size_t padding = (size_t)((gguf->alignment - c->at % gguf->alignment) % gguf->alignment);
    size_t left = padding < c->size - c->at ? c->size - c->at - padding : 0;
    const uint8_t *data = c->data + (c->size - left);
    for (size_t i = first; i < weights->count; i++) {
        tuff_weight *weight = &weights->items[i];
        const uint64_t offset = offsets[i - first];
        if (offset > left || weight->bytes > left - offset)
            return tuff_fail(TUFF_BAD_FORMAT,
                             "%s: tensor '%s' needs %zu bytes at data byte %" PRIu64
                             ", but the file has %zu data bytes: "
                             "it is truncated or corrupted",
                             c->file, weight->name, weight->bytes, offset, left);
        weight->data = data + offset;
    }
    return tuff_weights_check_layout(weights, first, data, left, false);
}

static tuff_status take_header(cursor *c, tuff_gguf *gguf, uint64_t *out_tensors, uint64_t *out_values)
{
    const uint8_t *magic = NULL;
    if (c->size >= 4) TUFF_TRY(take(c, 4, "the magic", &magic));
    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: it does not begin with 'GGUF': it is no GGUF file", c->file);
    TUFF_TRY(take_u32(c, "the version", &gguf->version));
    if ((gguf->version & 0xffff) == 0)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: it is a big-endian GGUF file; convert it to little-endian",
                         c->file);
    if (gguf->version != 2 && gguf->version != 3)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: it is GGUF version %" PRIu32 "; versions 2 and 3 can be read",
                         c->file, gguf->version);
    TUFF_TRY(take_u64(c, "the number of tensors", out_tensors));
    TUFF_TRY(take_u64(c, "the number of metadata keys", out_values));
    /* The shortest entries: a key of 13 bytes, a tensor of 24. */
    if (*out_values > c->size / 13 || *out_tensors > c->size / 24)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: %" PRIu64 " metadata keys and %" PRIu64
                         " tensors cannot be in a file of %zu bytes: it is "
                         "truncated or corrupted",
                         c->file, *out_values, *out_tensors, c->size);
    return TUFF_OK;
}

static tuff_status read_alignment(tuff_gguf *gguf)
{
    int64_t alignment = DEFAULT_ALIGNMENT;
    TUFF_TRY(tuff_gguf_int(gguf, "general.alignment", &alignment));
    if (alignment < 1 || alignment > ALIGNMENT_LIMIT || (alignment & (alignment - 1)) != 0)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: general.alignment is %" PRId64 "; a power of two up to %d is expected",
                         gguf->file, alignment, ALIGNMENT_LIMIT);
    gguf->alignment = (uint64_t)alignment;
    return TUFF_OK;
}

static tuff_status parse(cursor *c, tuff_gguf *gguf)
{
    tuff_status status;
    uint64_t tensors = 0, values = 0, *offsets = NULL;
    tuff_arena scratch = {0};
    const size_t first = gguf->weights->count;
    TUFF_GO(take_header(c, gguf, &tensors, &values));
    for (uint64_t i = 0; i < values; i++)
        TUFF_GO(take_value(c, gguf));
    TUFF_GO(read_alignment(gguf));
    if (!(offsets = tuff_alloc_array((size_t)tensors, sizeof *offsets)))
        TUFF_GO(tuff_fail_memory("the tensors of a GGUF file"));
    for (uint64_t i = 0; i < tensors; i++)
        TUFF_GO(take_tensor(c, gguf, &scratch, &offsets[i]));
    TUFF_GO(place_tensors(c, gguf, first, offsets));
done:
    tuff_arena_free(&scratch);
    tuff_free(offsets);
    return status;
}

/* Adds the tensors to `weights`, or, where that is NULL, to a new list that the result owns. `mapping` may be
 * NULL: all bytes are there. */
static tuff_status read_all(const uint8_t *data, size_t size, const char *file, tuff_mapping *mapping,
                            tuff_weights *weights, tuff_gguf **out_gguf)
{
    tuff_status status = TUFF_OK;
    tuff_gguf *gguf = *out_gguf = tuff_alloc(sizeof *gguf);
    if (!gguf) return tuff_fail_memory("a GGUF file");
    if (!(gguf->weights = weights)) TUFF_GO(tuff_weights_create(&gguf->weights));
    if (!(gguf->file = tuff_arena_strdup(&gguf->weights->arena, file)))
        TUFF_GO(tuff_fail_memory("a GGUF file"));
    cursor c = {.data = data, .size = size, .file = gguf->file, .mapping = mapping};
    TUFF_GO(parse(&c, gguf));
done:
    if (status != TUFF_OK && weights) gguf->weights = NULL;
    if (status != TUFF_OK) tuff_gguf_destroy(out_gguf);
    return status;
}

tuff_status tuff_gguf_parse(const uint8_t *data, size_t size, const char *file, tuff_gguf **out_gguf)
{
    return read_all(data, size, file, NULL, NULL, out_gguf);
}

tuff_status tuff_gguf_open_part(const char *path, tuff_weights *weights, tuff_gguf **out_gguf)
{
    tuff_mapping mapping = {0};
    *out_gguf = NULL;
    TUFF_TRY(tuff_map_file(path, &mapping));
    tuff_status status = read_all(mapping.data, mapping.size, path, &mapping, weights, out_gguf);
    if (status != TUFF_OK) {
        tuff_unmap_file(&mapping);
        return status;
    }
    status = tuff_weights_adopt((*out_gguf)->weights, mapping);
    if (status == TUFF_OK) return TUFF_OK;
    if (weights) (*out_gguf)->weights = NULL;
    tuff_gguf_destroy(out_gguf);
    return status;
}

void tuff_gguf_destroy(tuff_gguf **gguf)
{
    tuff_gguf *g = *gguf;
    if (!g) return;
    tuff_weights_destroy(&g->weights);
    tuff_free(g->values);
    tuff_map_free(&g->by_key);
    tuff_arena_free(&g->arena);
    tuff_free(g);
    *gguf = NULL;
}
