#include "formats/safetensors.h"

#include <string.h>

#include "base/json.h"

enum { HEADER_LIMIT = 100000000, PREFIX = 8 };

static const struct {
    tuff_storage storage;
    const char *name;
} types[] = {
#define TUFF_STORAGE(name, block, bytes, gguf, safetensors) {TUFF_STORE_##name, safetensors ? #name : ""},
#include "formats/storage.def"
};

static bool find_storage(const char *name, tuff_storage *out)
{
    for (size_t i = 0; name[0] && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, name) != 0) continue;
        *out = types[i].storage;
        return true;
    }
    return false;
}

/* A JSON number that is a whole number of 0 to 2^53, all of which a double holds exactly. */
static bool whole_number(const cJSON *item, uint64_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 9007199254740992.0)
        return false;
    *out = (uint64_t)item->valuedouble;
    return (double)*out == item->valuedouble;
}

static tuff_status read_shape(tuff_weights *weights, const cJSON *entry, const char *file,
                              tuff_weight *weight)
{
    int64_t dims[TUFF_LISTED_RANK];
    unsigned rank = 0;
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape"), *dimension;
    if (!cJSON_IsArray(shape))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s' has no list 'shape'", file, weight->name);
    cJSON_ArrayForEach(dimension, shape)
    {
        uint64_t value;
        if (!whole_number(dimension, &value))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s': dimension %u of its shape is no whole number",
                             file, weight->name, rank);
        if (rank == TUFF_LISTED_RANK)
            return tuff_fail(TUFF_UNSUPPORTED, "%s: tensor '%s' has more than %d dimensions", file,
                             weight->name, TUFF_LISTED_RANK);
        dims[rank++] = (int64_t)value;
    }
    return tuff_weights_shape(weights, weight, rank, dims);
}

static tuff_status read_offsets(const cJSON *entry, const char *file, const char *name, uint64_t *begin,
                                uint64_t *end)
{
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    const cJSON *first = cJSON_IsArray(offsets) ? offsets->child : NULL;
    if (!first || !first->next || first->next->next || !whole_number(first, begin) ||
        !whole_number(first->next, end) || *begin > *end)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: tensor '%s': 'data_offsets' is no pair of whole numbers, begin to end", file,
                         name);
    return TUFF_OK;
}

static tuff_status read_tensor(tuff_weights *weights, const cJSON *entry, const char *file,
                               const uint8_t *data, size_t size)
{
    tuff_weight weight = {.name = entry->string, .file = file};
    const char *type = NULL;
    uint64_t begin = 0, end = 0;
    if (!cJSON_IsObject(entry))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: the header's entry for tensor '%s' is no object", file,
                         weight.name);
    TUFF_TRY(tuff_json_text(entry, "dtype", file, &type));
    if (!type) return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s' has no 'dtype'", file, weight.name);
    if (!find_storage(type, &weight.storage)) TUFF_TRY(tuff_weights_unknown_type(weights, &weight, type));
    TUFF_TRY(read_shape(weights, entry, file, &weight));
    TUFF_TRY(read_offsets(entry, file, weight.name, &begin, &end));
    if (end > size)
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: tensor '%s' ends at data byte %llu, but the file has only %zu data bytes: it is truncated",
            file, weight.name, (unsigned long long)end, size);
    weight.data = data + begin;
    TUFF_TRY(tuff_weights_add(weights, &weight));
    size_t *bytes = &weights->items[weights->count - 1].bytes;
    if (weight.storage == TUFF_STORE_UNKNOWN) *bytes = (size_t)(end - begin);
    if (*bytes != end - begin)
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: tensor '%s' spans %llu bytes (%llu to %llu), but its dtype and shape call for %zu", file,
            weight.name, (unsigned long long)(end - begin), (unsigned long long)begin,
            (unsigned long long)end, *bytes);
    return TUFF_OK;
}

static tuff_status read_notes(tuff_weights *weights, const cJSON *notes, const char *file)
{
    const cJSON *note;
    if (!cJSON_IsObject(notes)) return tuff_fail(TUFF_BAD_FORMAT, "%s: '__metadata__' is no object", file);
    cJSON_ArrayForEach(note, notes)
    {
        if (!cJSON_IsString(note))
            return tuff_fail(TUFF_BAD_FORMAT, "%s: '__metadata__' entry '%s' is no text", file, note->string);
        tuff_weights_note kept = {tuff_arena_strdup(&weights->arena, note->string),
                                  tuff_arena_strdup(&weights->arena, note->valuestring)};
        if (!kept.key || !kept.value ||
            !tuff_grow((void **)&weights->notes, weights->note_count, &weights->note_capacity, sizeof kept))
            return tuff_fail_memory("the metadata of a safetensors file");
        weights->notes[weights->note_count++] = kept;
    }
    return TUFF_OK;
}

static uint64_t length_of(const uint8_t prefix[PREFIX])
{
    uint64_t length = 0;
    for (int i = PREFIX; i-- > 0;)
        length = length << 8 | prefix[i];
    return length;
}

tuff_status tuff_safetensors_parse(tuff_weights *weights, const uint8_t *data, size_t size, const char *file)
{
    uint64_t header = 0;
    tuff_status status = TUFF_OK;
    cJSON *json = NULL;
    size_t first = weights->count;
    if (size < PREFIX)
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: %zu bytes are too few for a safetensors file, which begins with the 8-byte length of its "
            "header",
            file, size);
    header = length_of(data);
    if (header > HEADER_LIMIT)
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: the header's length is given as %llu bytes, more than the 100 MB a safetensors file may "
            "have: the file is corrupted or of another kind",
            file, (unsigned long long)header);
    if (header > size - PREFIX)
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: the header's length is given as %llu bytes, but only %zu follow: the file is truncated",
            file, (unsigned long long)header, size - PREFIX);
    char *path = tuff_arena_strdup(&weights->arena, file);
    const char *label = tuff_arena_printf(&weights->arena, "%s: its header", file);
    if (!path || !label) return tuff_fail_memory("a path");
    data += PREFIX;
    size -= PREFIX;
    TUFF_GO(tuff_json_parse((const char *)data, (size_t)header, label, &json));
    if (!cJSON_IsObject(json)) TUFF_GO(tuff_fail(TUFF_BAD_FORMAT, "%s: the header is no JSON object", path));
    for (const cJSON *entry = json->child; entry; entry = entry->next) {
        if (strcmp(entry->string, "__metadata__") == 0)
            TUFF_GO(read_notes(weights, entry, path));
        else
            TUFF_GO(read_tensor(weights, entry, path, data + header, size - (size_t)header));
    }
    if (weights->count == first && size > header)
        TUFF_GO(tuff_fail(TUFF_BAD_FORMAT, "%s: the header names no tensor, but %zu data bytes follow", path,
                          size - (size_t)header));
    TUFF_GO(tuff_weights_check_layout(weights, first, data + header, size - (size_t)header, true));
done:
    cJSON_Delete(json);
    return status;
}

/* Reads what the parser looks at: the header's length, and the header if that can be true. */
static tuff_status fill_header(tuff_mapping *mapping)
{
    if (mapping->size < PREFIX) return TUFF_OK;
    TUFF_TRY(tuff_mapping_fill(mapping, PREFIX));
    const uint64_t length = length_of(mapping->data);
    bool good = length <= HEADER_LIMIT && length <= mapping->size - PREFIX;
    return good ? tuff_mapping_fill(mapping, PREFIX + (size_t)length) : TUFF_OK;
}

tuff_status tuff_safetensors_add(tuff_weights *weights, const char *path)
{
    tuff_mapping mapping;
    TUFF_TRY(tuff_map_file(path, &mapping));
    tuff_status status = fill_header(&mapping);
    if (status != TUFF_OK) {
        tuff_unmap_file(&mapping);
        return status;
    }
    TUFF_TRY(tuff_weights_adopt(weights, mapping));
    return tuff_safetensors_parse(weights, mapping.data, mapping.size, path);
}

tuff_status tuff_safetensors_open(const char *path, tuff_weights **out_weights)
{
    return tuff_weights_open(path, tuff_safetensors_add, out_weights);
}
