#include <string.h>

#include "formats/gguf.h"

enum { VERSION = 3, ALIGNMENT = 32, NAME_LIMIT = 63 };

static void put_u32(tuff_buf *out, uint32_t value)
{
    tuff_buf_bytes(out, &value, sizeof value);
}
static void put_u64(tuff_buf *out, uint64_t value)
{
    tuff_buf_bytes(out, &value, sizeof value);
}

static void put_string(tuff_buf *out, const char *data, size_t size)
{
    put_u64(out, size);
    tuff_buf_bytes(out, data, size);
}

static tuff_buf *begin(tuff_gguf_builder *builder, const char *key, tuff_gguf_type type)
{
    size_t length = strlen(key);
    uint32_t other;
    if (tuff_map_get(&builder->keys, key, length, &other)) builder->twice = true;
    if (!tuff_map_put(&builder->keys, key, length, 0)) builder->failed = true;
    builder->count++;
    put_string(&builder->bytes, key, length);
    put_u32(&builder->bytes, type);
    return &builder->bytes;
}

static tuff_buf *begin_array(tuff_gguf_builder *builder, const char *key, tuff_gguf_type item, uint64_t count)
{
    tuff_buf *out = begin(builder, key, TUFF_GGUF_ARRAY);
    put_u32(out, item);
    put_u64(out, count);
    return out;
}

void tuff_gguf_put_u32(tuff_gguf_builder *builder, const char *key, uint32_t value)
{
    put_u32(begin(builder, key, TUFF_GGUF_U32), value);
}

void tuff_gguf_put_i32(tuff_gguf_builder *builder, const char *key, int32_t value)
{
    put_u32(begin(builder, key, TUFF_GGUF_I32), (uint32_t)value);
}

void tuff_gguf_put_f32(tuff_gguf_builder *builder, const char *key, float value)
{
    tuff_buf_bytes(begin(builder, key, TUFF_GGUF_F32), &value, sizeof value);
}

void tuff_gguf_put_bool(tuff_gguf_builder *builder, const char *key, bool value)
{
    tuff_buf_char(begin(builder, key, TUFF_GGUF_BOOL), value);
}

void tuff_gguf_put_text(tuff_gguf_builder *builder, const char *key, const char *value)
{
    put_string(begin(builder, key, TUFF_GGUF_STRING), value, strlen(value));
}

void tuff_gguf_put_strings(tuff_gguf_builder *builder, const char *key, const tuff_view *items, size_t count)
{
    tuff_buf *out = begin_array(builder, key, TUFF_GGUF_STRING, count);
    for (size_t i = 0; i < count; i++)
        put_string(out, items[i].data, items[i].size);
}

void tuff_gguf_put_f32s(tuff_gguf_builder *builder, const char *key, const float *items, size_t count)
{
    tuff_buf_bytes(begin_array(builder, key, TUFF_GGUF_F32, count), items, count * sizeof *items);
}

void tuff_gguf_put_i32s(tuff_gguf_builder *builder, const char *key, const int32_t *items, size_t count)
{
    tuff_buf_bytes(begin_array(builder, key, TUFF_GGUF_I32, count), items, count * sizeof *items);
}

void tuff_gguf_put_bytes(tuff_gguf_builder *builder, const char *key, const void *items, size_t count)
{
    tuff_buf_bytes(begin_array(builder, key, TUFF_GGUF_U8, count), items, count);
}

void tuff_gguf_put_value(tuff_gguf_builder *builder, const tuff_gguf_value *value)
{
    if (strcmp(value->key, "general.alignment") == 0) return; /* tuff_gguf_save has its own */
    tuff_buf *out = value->type == TUFF_GGUF_ARRAY
                        ? begin_array(builder, value->key, value->item, value->count)
                        : begin(builder, value->key, value->type);
    if (value->type == TUFF_GGUF_STRING)
        put_string(out, (const char *)value->data, value->bytes);
    else
        tuff_buf_bytes(out, value->data, value->bytes);
}

void tuff_gguf_builder_free(tuff_gguf_builder *builder)
{
    tuff_buf_free(&builder->bytes);
    tuff_map_free(&builder->keys);
    *builder = (tuff_gguf_builder){0};
}

static size_t padding(uint64_t at)
{
    return (size_t)((ALIGNMENT - at % ALIGNMENT) % ALIGNMENT);
}

static tuff_status put_tensors(tuff_buf *out, const tuff_save_item *items, const size_t *sizes, size_t count,
                               const char *path)
{
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const tuff_save_item *item = &items[i];
        const tuff_storage_info *info = tuff_storage_get(item->storage);
        if (strlen(item->name) > NAME_LIMIT || info->gguf < 0)
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "%s: tensor '%s' of type %s cannot be in a GGUF file, which takes names of up to %d bytes and "
                "types that GGUF has",
                path, item->name, info->name, NAME_LIMIT);
        put_string(out, item->name, strlen(item->name));
        put_u32(out, item->rank);
        for (unsigned d = item->rank; d-- > 0;)
            put_u64(out, (uint64_t)item->shape[d]);
        put_u32(out, (uint32_t)info->gguf);
        put_u64(out, at);
        at += sizes[i] + padding(sizes[i]);
    }
    return TUFF_OK;
}

tuff_status tuff_gguf_save(const char *path, const tuff_gguf_builder *builder, const tuff_save_item *items,
                           size_t count, tuff_save_fn fn, void *user)
{
    static const char zeros[ALIGNMENT];
    tuff_status status;
    tuff_buf header = {0};
    size_t *sizes = NULL;
    tuff_writer *writer = NULL;
    if (builder->failed || builder->bytes.failed) TUFF_GO(tuff_fail_memory("the metadata of a GGUF file"));
    if (builder->twice) TUFF_GO(tuff_fail(TUFF_INTERNAL, "%s: a metadata key was given twice", path));
    TUFF_GO(tuff_save_items_check(items, count, path, &sizes));
    tuff_buf_bytes(&header, "GGUF", 4);
    put_u32(&header, VERSION);
    put_u64(&header, count);
    put_u64(&header, builder->count);
    tuff_buf_bytes(&header, builder->bytes.data, builder->bytes.size);
    TUFF_GO(put_tensors(&header, items, sizes, count, path));
    tuff_buf_bytes(&header, zeros, padding(header.size));
    if (header.failed) TUFF_GO(tuff_fail_memory("the header of a GGUF file"));
    TUFF_GO(tuff_writer_open(path, &writer));
    TUFF_GO(tuff_writer_write(writer, header.data, header.size));
    for (size_t i = 0; i < count; i++) {
        TUFF_GO(tuff_save_data(writer, path, items, i, sizes[i], fn, user));
        TUFF_GO(tuff_writer_write(writer, zeros, padding(sizes[i])));
    }
    TUFF_GO(tuff_writer_commit(&writer));
done:
    tuff_writer_abort(&writer);
    tuff_buf_free(&header);
    tuff_free(sizes);
    return status;
}
