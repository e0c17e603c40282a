#include "formats/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const tuff_storage_info storages[] = {
#define TUFF_STORAGE(name, block, bytes, gguf, safetensors) {#name, block, bytes, gguf, safetensors},
#include "formats/storage.def"
};

const tuff_storage_info *tuff_storage_get(tuff_storage storage)
{
    TUFF_ASSERT((unsigned)storage < TUFF_STORE_COUNT);
    return &storages[storage];
}

tuff_block tuff_storage_block(tuff_storage storage)
{
    switch (storage) {
#define TUFF_STORAGE(name, block, bytes, gguf, safetensors)
#define TUFF_STORAGE_BLOCK(name, gguf) \
    case TUFF_STORE_##name:            \
        return TUFF_BLOCK_##name;
#include "formats/storage.def"
    default:
        return TUFF_BLOCK_COUNT;
    }
}

tuff_storage tuff_storage_of(tuff_dtype dtype)
{
    switch (dtype) {
    case TUFF_F16:
        return TUFF_STORE_F16;
    case TUFF_BF16:
        return TUFF_STORE_BF16;
    case TUFF_I32:
        return TUFF_STORE_I32;
    case TUFF_U32:
        return TUFF_STORE_U32;
#define TUFF_BLOCK(NAME, name, elements, bytes) \
    case TUFF_##NAME:                           \
        return TUFF_STORE_##NAME;
#include "base/blocks.def"
    default:
        TUFF_ASSERT(dtype == TUFF_F32);
        return TUFF_STORE_F32;
    }
}

tuff_status tuff_weights_create(tuff_weights **out_weights)
{
    *out_weights = tuff_alloc(sizeof **out_weights);
    return *out_weights ? TUFF_OK : tuff_fail_memory("a list of tensors");
}

tuff_status tuff_weights_check_files(const tuff_weights *weights)
{
    for (size_t i = 0; i < weights->mapping_count; i++)
        TUFF_TRY(tuff_file_check(&weights->mappings[i].file));
    return TUFF_OK;
}

void tuff_weights_destroy(tuff_weights **weights)
{
    tuff_weights *w = *weights;
    if (!w) return;
    for (size_t i = 0; i < w->mapping_count; i++)
        tuff_unmap_file(&w->mappings[i]);
    tuff_free(w->mappings);
    tuff_free(w->notes);
    tuff_free(w->items);
    tuff_map_free(&w->by_name);
    tuff_arena_free(&w->arena);
    tuff_free(w);
    *weights = NULL;
}

bool tuff_weight_name_valid(const char *name, size_t size)
{
    if (size > 4096 || !tuff_utf8_valid(name, size)) return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) return false;
    return true;
}

tuff_status tuff_weight_size(const tuff_weight *weight, size_t *out_bytes)
{
    const tuff_storage_info *info = tuff_storage_get(weight->storage);
    size_t elements = 1;
    for (unsigned i = 0; i < weight->rank; i++) {
        if (weight->shape[i] < 0 || !tuff_mul_size(elements, (size_t)weight->shape[i], &elements) ||
            elements > INT64_MAX) {
            char shape[100];
            tuff_weight_shape_text(weight->rank, weight->shape, shape, sizeof shape);
            return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s': the shape %s is negative or too large",
                             weight->file, weight->name, shape);
        }
    }
    int64_t columns = tuff_weight_columns(weight);
    if (columns % info->block != 0)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: tensor '%s': rows of %" PRId64 " elements are not whole %s blocks of %u",
                         weight->file, weight->name, columns, info->name, info->block);
    if (!tuff_mul_size(elements / info->block, info->bytes, out_bytes))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s': its size in bytes overflows", weight->file,
                         weight->name);
    return TUFF_OK;
}

tuff_status tuff_weights_shape(tuff_weights *weights, tuff_weight *weight, unsigned rank,
                               const int64_t *shape)
{
    if (rank > TUFF_LISTED_RANK)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s' has %u dimensions; at most %d are possible",
                         weight->file, weight->name, rank, TUFF_LISTED_RANK);
    unsigned extra = rank > TUFF_MAX_RANK ? rank - TUFF_MAX_RANK : 0;
    weight->rank = rank - extra;
    for (unsigned i = 0; i < weight->rank; i++)
        weight->shape[i] = shape[extra + i];
    if (!extra) return TUFF_OK;
    for (unsigned i = 0; i < extra; i++) {
        int64_t *first = &weight->shape[0];
        if (*first < 0 || shape[i] < 0 || __builtin_mul_overflow(*first, shape[i], first)) *first = -1;
    }
    char text[TUFF_LISTED_RANK * 24];
    tuff_weight_shape_text(rank, shape, text, sizeof text);
    weight->dims = tuff_arena_strdup(&weights->arena, text);
    return weight->dims ? TUFF_OK : tuff_fail_memory("the shape of a tensor");
}

tuff_status tuff_weights_unknown_type(tuff_weights *weights, tuff_weight *weight, const char *type)
{
    size_t size = strlen(type);
    if (size == 0 || size > 64 || !tuff_weight_name_valid(type, size))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the type of tensor '%s' is no printable UTF-8 text of 1 to 64 bytes",
                         weight->file, weight->name);
    weight->storage = TUFF_STORE_UNKNOWN;
    weight->type = tuff_arena_strdup(&weights->arena, type);
    return weight->type ? TUFF_OK : tuff_fail_memory("the type of a tensor");
}

const char *tuff_weight_type(const tuff_weight *weight)
{
    return weight->type ? weight->type : tuff_storage_get(weight->storage)->name;
}

/* Where a tensor lies in the file of a mapping, if it does. */
static void set_source(tuff_weight *weight, const tuff_mapping *mapping)
{
    uintptr_t at = (uintptr_t)weight->data, begin = (uintptr_t)mapping->data;
    if (!mapping->file.handle || at < begin || at - begin > mapping->size) return;
    weight->source = mapping->file.handle;
    weight->source_at = at - begin;
}

tuff_status tuff_weights_add(tuff_weights *weights, const tuff_weight *weight)
{
    size_t length = strlen(weight->name);
    if (!tuff_weight_name_valid(weight->name, length))
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: the name of tensor %zu is no printable UTF-8 text of at most 4096 bytes",
                         weight->file, weights->count);
    uint32_t other;
    if (tuff_map_get(&weights->by_name, weight->name, length, &other))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s' appears twice%s%s", weight->file, weight->name,
                         weights->items[other].file == weight->file ? "" : ", first in ",
                         weights->items[other].file == weight->file ? "" : weights->items[other].file);
    tuff_weight added = *weight;
    TUFF_TRY(tuff_weight_size(weight, &added.bytes));
    for (unsigned i = weight->rank; i < TUFF_MAX_RANK; i++)
        added.shape[i] = 1;
    if (weights->count >= UINT32_MAX)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: too many tensors", weight->file);
    if (!tuff_grow((void **)&weights->items, weights->count, &weights->capacity, sizeof *weights->items) ||
        !(added.name = tuff_arena_strdup(&weights->arena, weight->name)) ||
        !tuff_map_put(&weights->by_name, weight->name, length, (uint32_t)weights->count))
        return tuff_fail_memory("a list of tensors");
    if (weights->mapping_count) set_source(&added, &weights->mappings[weights->mapping_count - 1]);
    weights->items[weights->count++] = added;
    return TUFF_OK;
}

tuff_status tuff_weights_adopt(tuff_weights *weights, tuff_mapping mapping)
{
    if (!tuff_grow((void **)&weights->mappings, weights->mapping_count, &weights->mapping_capacity,
                   sizeof *weights->mappings)) {
        tuff_unmap_file(&mapping);
        return tuff_fail_memory("a list of files");
    }
    weights->mappings[weights->mapping_count++] = mapping;
    for (size_t i = 0; i < weights->count; i++)
        if (!weights->items[i].source) set_source(&weights->items[i], &mapping);
    return TUFF_OK;
}

static int by_position(const void *a, const void *b)
{
    const tuff_weight *x = *(const tuff_weight *const *)a, *y = *(const tuff_weight *const *)b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

tuff_status tuff_weights_check_layout(const tuff_weights *weights, size_t first, const uint8_t *data,
                                      size_t size, bool dense)
{
    size_t n = weights->count - first;
    const tuff_weight **sorted = tuff_alloc_array(n, sizeof *sorted);
    if (!sorted) return tuff_fail_memory("a list of tensors");
    for (size_t i = 0; i < n; i++)
        sorted[i] = &weights->items[first + i];
    qsort(sorted, n, sizeof *sorted, by_position);
    tuff_status status = TUFF_OK;
    size_t end = 0;
    for (size_t i = 0; i < n && status == TUFF_OK; i++) {
        size_t begin = (size_t)(sorted[i]->data - data);
        if (begin < end && sorted[i]->bytes > 0)
            status = tuff_fail(TUFF_BAD_FORMAT, "%s: tensors '%s' and '%s' overlap at data byte %zu",
                               sorted[i]->file, sorted[i - 1]->name, sorted[i]->name, begin);
        else if (dense && begin > end)
            status = tuff_fail(TUFF_BAD_FORMAT,
                               "%s: data bytes %zu to %zu, before tensor '%s', belong to no tensor",
                               sorted[i]->file, end, begin, sorted[i]->name);
        if (begin + sorted[i]->bytes > end) end = begin + sorted[i]->bytes;
    }
    if (status == TUFF_OK && dense && n > 0 && end != size)
        status = tuff_fail(TUFF_BAD_FORMAT,
                           "%s: the tensors end at data byte %zu, but the file has %zu data bytes",
                           sorted[0]->file, end, size);
    tuff_free(sorted);
    return status;
}

const tuff_weight *tuff_weights_find(const tuff_weights *weights, const char *name)
{
    uint32_t index;
    return tuff_map_get(&weights->by_name, name, strlen(name), &index) ? &weights->items[index] : NULL;
}

tuff_status tuff_weights_require(const tuff_weights *weights, const char *name, unsigned rank,
                                 const int64_t *shape, const tuff_weight **out_weight)
{
    *out_weight = NULL;
    const tuff_weight *weight = tuff_weights_find(weights, name);
    if (!weight)
        return tuff_fail(TUFF_NOT_FOUND, "%s: tensor '%s' is missing (%zu others are there)",
                         weights->count ? weights->items[0].file : "the model", name, weights->count);
    TUFF_TRY(tuff_weight_check_readable(weight));
    if (weight->rank != rank || memcmp(weight->shape, shape, rank * sizeof *shape) != 0) {
        char found[100], expected[100];
        tuff_weight_shape_text(weight->rank, weight->shape, found, sizeof found);
        tuff_weight_shape_text(rank, shape, expected, sizeof expected);
        return tuff_fail(TUFF_BAD_FORMAT, "%s: tensor '%s' has shape %s; the configuration calls for %s",
                         weight->file, name, found, expected);
    }
    *out_weight = weight;
    return TUFF_OK;
}

int64_t tuff_weight_elements(const tuff_weight *weight)
{
    int64_t n = 1;
    for (unsigned i = 0; i < weight->rank; i++)
        n *= weight->shape[i];
    return n;
}

int64_t tuff_weight_rows(const tuff_weight *weight)
{
    int64_t n = 1;
    for (unsigned i = 0; i + 1 < weight->rank; i++)
        n *= weight->shape[i];
    return n;
}

int64_t tuff_weight_columns(const tuff_weight *weight)
{
    return weight->rank ? weight->shape[weight->rank - 1] : 1;
}

void tuff_weight_shape_text(unsigned rank, const int64_t *shape, char *text, size_t size)
{
    size_t at = 0;
    for (unsigned i = 0; i < rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%" PRId64, i ? ", " : "[", shape[i]);
    if (at < size) snprintf(text + at, size - at, "%s", rank ? "]" : "[]");
}
