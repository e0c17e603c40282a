#include "formats/save.h"

#include <string.h>

tuff_status tuff_sink_write(tuff_sink *sink, const void *data, size_t size)
{
    if (size > sink->left)
        return tuff_fail(TUFF_INTERNAL, "%s: tensor '%s': %zu bytes more than its shape calls for",
                         sink->file, sink->tensor, size - sink->left);
    sink->left -= size;
    return tuff_writer_write(sink->writer, data, size);
}

tuff_status tuff_save_item_size(const tuff_save_item *item, const char *file, size_t *out_bytes)
{
    const bool known = (unsigned)item->storage < TUFF_STORE_UNKNOWN;
    if (!known || item->rank > TUFF_MAX_RANK || !tuff_weight_name_valid(item->name, strlen(item->name)))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "%s: tensor '%s' cannot be written: element type %s, rank %u (a printable name and rank up to "
            "4 are needed)",
            file, item->name, known ? tuff_storage_get(item->storage)->name : "unknown", item->rank);
    tuff_weight weight = {.name = item->name, .file = file, .storage = item->storage, .rank = item->rank};
    memcpy(weight.shape, item->shape, sizeof weight.shape);
    return tuff_weight_size(&weight, out_bytes) == TUFF_OK ? TUFF_OK : TUFF_INVALID_ARGUMENT;
}

tuff_status tuff_save_items_check(const tuff_save_item *items, size_t count, const char *file,
                                  size_t **out_sizes)
{
    *out_sizes = NULL;
    tuff_status status = TUFF_OK;
    tuff_map seen = {0};
    size_t *sizes = tuff_alloc_array(count, sizeof *sizes);
    if (!sizes) return tuff_fail_memory("a list of tensors");
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(items[i].name);
        uint32_t other;
        TUFF_GO(tuff_save_item_size(&items[i], file, &sizes[i]));
        if (tuff_map_get(&seen, items[i].name, length, &other))
            TUFF_GO(tuff_fail(TUFF_INVALID_ARGUMENT, "%s: tensor '%s' would be written twice", file,
                              items[i].name));
        if (!tuff_map_put(&seen, items[i].name, length, (uint32_t)i))
            TUFF_GO(tuff_fail_memory("a list of tensors"));
    }
    *out_sizes = sizes;
    sizes = NULL;
done:
    tuff_map_free(&seen);
    tuff_free(sizes);
    return status;
}

tuff_status tuff_save_data(tuff_writer *writer, const char *file, const tuff_save_item *items, size_t index,
                           size_t size, tuff_save_fn fn, void *user)
{
    tuff_sink sink = {.writer = writer, .file = file, .tensor = items[index].name, .left = size};
    TUFF_TRY(fn(user, index, &sink));
    if (sink.left > 0)
        return tuff_fail(TUFF_INTERNAL, "%s: tensor '%s': %zu of %zu bytes were not written", file,
                         sink.tensor, sink.left, size);
    return TUFF_OK;
}
