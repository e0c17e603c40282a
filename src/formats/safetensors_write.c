#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "formats/safetensors.h"

typedef struct ranked {
    const tuff_save_item *item;
    size_t index, bytes;
} ranked;

/* storage.def lists the types in ascending order; the widest goes first, so that every tensor is aligned. */
static int by_type_and_name(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    const tuff_storage sx = x->item->storage, sy = y->item->storage;
    return sx != sy ? (sx > sy ? -1 : 1) : strcmp(x->item->name, y->item->name);
}

static void put_header(tuff_buf *header, const ranked *order, size_t count)
{
    size_t at = 0;
    tuff_buf_bytes(header, "\0\0\0\0\0\0\0\0", 8);
    tuff_buf_text(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < count; i++) {
        const tuff_save_item *item = order[i].item;
        tuff_buf_char(header, ',');
        tuff_json_quote(header, item->name, strlen(item->name));
        tuff_buf_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", tuff_storage_get(item->storage)->name);
        for (unsigned d = 0; d < item->rank; d++)
            tuff_buf_printf(header, "%s%" PRId64, d ? "," : "", item->shape[d]);
        tuff_buf_printf(header, "],\"data_offsets\":[%zu,%zu]}", at, at + order[i].bytes);
        at += order[i].bytes;
    }
    tuff_buf_char(header, '}');
    while (!header->failed && header->size % 8 != 0)
        tuff_buf_char(header, ' ');
    if (header->failed) return;
    uint64_t length = header->size - 8;
    for (int i = 0; i < 8; i++)
        header->data[i] = (char)(length >> 8 * i);
}

/* Sorts `order` and writes one file of it. */
static tuff_status write_file(const char *path, const tuff_save_item *items, ranked *order, size_t count,
                              tuff_save_fn fn, void *user)
{
    tuff_status status;
    tuff_buf header = {0};
    tuff_writer *writer = NULL;
    qsort(order, count, sizeof *order, by_type_and_name);
    put_header(&header, order, count);
    if (header.failed) TUFF_GO(tuff_fail_memory("the header of a safetensors file"));
    TUFF_GO(tuff_writer_open(path, &writer));
    TUFF_GO(tuff_writer_write(writer, header.data, header.size));
    for (size_t i = 0; i < count; i++)
        TUFF_GO(tuff_save_data(writer, path, items, order[i].index, order[i].bytes, fn, user));
    TUFF_GO(tuff_writer_commit(&writer));
done:
    tuff_writer_abort(&writer);
    tuff_buf_free(&header);
    return status;
}

static tuff_status rank_items(const tuff_save_item *items, size_t count, const char *file, ranked **out_order)
{
    size_t *sizes;
    *out_order = NULL;
    for (size_t i = 0; i < count; i++)
        if ((unsigned)items[i].storage < TUFF_STORE_COUNT && !tuff_storage_get(items[i].storage)->safetensors)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: tensor '%s': safetensors have no type %s", file,
                             items[i].name, tuff_storage_get(items[i].storage)->name);
    TUFF_TRY(tuff_save_items_check(items, count, file, &sizes));
    ranked *order = tuff_alloc_array(count, sizeof *order);
    for (size_t i = 0; order && i < count; i++)
        order[i] = (ranked){&items[i], i, sizes[i]};
    tuff_free(sizes);
    *out_order = order;
    return order ? TUFF_OK : tuff_fail_memory("a list of tensors");
}

tuff_status tuff_safetensors_save(const char *path, const tuff_save_item *items, size_t count,
                                  tuff_save_fn fn, void *user)
{
    ranked *order;
    TUFF_TRY(rank_items(items, count, path, &order));
    tuff_status status = write_file(path, items, order, count, fn, user);
    tuff_free(order);
    return status;
}

/* The number of tensors, from order[0], that share the next file. */
static size_t next_shard(const ranked *order, size_t count, uint64_t limit)
{
    uint64_t total = order[0].bytes;
    size_t n = 1;
    while (n < count && order[n].bytes <= limit && total <= limit - order[n].bytes)
        total += order[n++].bytes;
    return n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* As json.dumps(..., indent=2, sort_keys=True) writes it. `entries` are the lines of the map. */
static tuff_status write_index(const char *directory, const char *stem, char **entries, size_t count,
                               uint64_t total)
{
    tuff_buf name = {0}, text = {0};
    char *path = NULL;
    tuff_status status;
    qsort(entries, count, sizeof *entries, by_name);
    tuff_buf_printf(&name, "%s.safetensors.index.json", stem);
    tuff_buf_printf(&text, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n  \"weight_map\": {",
                    total);
    for (size_t i = 0; i < count; i++)
        tuff_buf_printf(&text, "%s\n    %s", i ? "," : "", entries[i]);
    tuff_buf_text(&text, "\n  }\n}\n");
    if (!name.failed) path = tuff_path_join(directory, name.data);
    if (!path || text.failed) TUFF_GO(tuff_fail_memory("an index of shards"));
    TUFF_GO(tuff_write_file(path, text.data, text.size));
done:
    tuff_free(path);
    tuff_buf_free(&name);
    tuff_buf_free(&text);
    return status;
}

/* `shard` of `shards`, or the only file when `shards` is 1; NULL when out of memory. */
static char *shard_name(const char *stem, size_t shard, size_t shards)
{
    tuff_buf name = {0};
    if (shards == 1)
        tuff_buf_printf(&name, "%s.safetensors", stem);
    else
        tuff_buf_printf(&name, "%s-%05zu-of-%05zu.safetensors", stem, shard, shards);
    char *text = name.failed ? NULL : tuff_strdup(name.data);
    tuff_buf_free(&name);
    return text;
}

/* A line of the index for every tensor of a shard. It begins with the key, so lines sort as keys do. */
static bool add_entries(char **entries, const ranked *order, size_t n, const char *file)
{
    tuff_buf line = {0};
    for (size_t i = 0; i < n; i++) {
        tuff_buf_clear(&line);
        tuff_json_quote(&line, order[i].item->name, strlen(order[i].item->name));
        tuff_buf_printf(&line, ": \"%s\"", file);
        if (line.failed || !(entries[i] = tuff_strdup(line.data))) break;
        if (i + 1 == n) {
            tuff_buf_free(&line);
            return true;
        }
    }
    tuff_buf_free(&line);
    return false;
}

tuff_status tuff_safetensors_save_sharded(const char *directory, const char *stem,
                                          const tuff_save_item *items, size_t count, uint64_t max_shard_size,
                                          tuff_save_fn fn, void *user)
{
    tuff_status status;
    uint64_t limit = max_shard_size ? max_shard_size : UINT64_C(5000000000), total = 0;
    ranked *order = NULL;
    char **entries = NULL, *name = NULL, *path = NULL;
    size_t shards = 0, shard = 0, n;
    TUFF_GO(rank_items(items, count, stem, &order));
    if (!(entries = tuff_alloc_array(count, sizeof *entries)))
        TUFF_GO(tuff_fail_memory("an index of shards"));
    for (size_t at = 0; at < count; at += next_shard(order + at, count - at, limit))
        shards++;
    if (shards == 0) shards = 1;
    for (size_t at = 0; shard < shards; at += n) {
        n = at < count ? next_shard(order + at, count - at, limit) : 0;
        name = shard_name(stem, ++shard, shards);
        path = name ? tuff_path_join(directory, name) : NULL;
        if (!path || (n > 0 && !add_entries(entries + at, order + at, n, name)))
            TUFF_GO(tuff_fail_memory("an index of shards"));
        for (size_t i = at; i < at + n; i++)
            total += order[i].bytes;
        TUFF_GO(write_file(path, items, order + at, n, fn, user));
        tuff_free(name);
        tuff_free(path);
        name = path = NULL;
    }
    if (shards > 1) TUFF_GO(write_index(directory, stem, entries, count, total));
done:
    for (size_t i = 0; entries && i < count; i++)
        tuff_free(entries[i]);
    tuff_free(entries);
    tuff_free(order);
    tuff_free(name);
    tuff_free(path);
    return status;
}
