#include "runtime/device.h"

tuff_status tuff_buffer_create(tuff_device *device, const char *name, tuff_dtype dtype, int rank,
                               const int64_t *dims, tuff_buffer **out_buffer)
{
    TUFF_NEED_OUT(out_buffer);
    TUFF_NEED(device);
    TUFF_NEED_MANY(dims, rank);
    if (!name) name = "";
    if (rank < 0 || rank > TUFF_MAX_RANK || (unsigned)dtype >= TUFF_DTYPE_COUNT)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "buffer %s: rank %d or dtype %d is out of range", name, rank,
                         (int)dtype);
    tuff_shape shape = tuff_shape_of(rank, dims);
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 1 || !tuff_mul_size(count, (size_t)dims[i], &count) || count > INT64_MAX)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "buffer %s: shape %s is empty or does not fit memory",
                             name, tuff_shape_text(&shape));
    const int64_t row = rank > 0 ? dims[rank - 1] : 1;
    if (row % tuff_dtype_block(dtype) != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "buffer %s: rows of %s are whole blocks of %u elements, but it is %s", name,
                         tuff_dtype_name(dtype), tuff_dtype_block(dtype), tuff_shape_text(&shape));
    const uint64_t bytes = tuff_dtype_bytes(dtype, (int64_t)count);
    if (bytes > INT64_MAX)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "buffer %s: shape %s does not fit memory", name,
                         tuff_shape_text(&shape));
    tuff_buffer *buffer = tuff_alloc(sizeof *buffer);
    if (!buffer) return tuff_fail_memory("a buffer");
    *buffer = (tuff_buffer){.device = device, .dtype = dtype, .shape = shape, .name = tuff_strdup(name)};
    tuff_status status = buffer->name
                             ? device->backend->buffer_create(device->handle, bytes, name, &buffer->handle)
                             : tuff_fail_memory("a buffer's name");
    if (status != TUFF_OK) {
        tuff_free(buffer->name);
        tuff_free(buffer);
        return tuff_note(status, "%s %s %s", name, tuff_dtype_name(dtype), tuff_shape_text(&shape));
    }
    tuff_device_keep(device);
    __atomic_fetch_add(&device->live_buffers, 1, __ATOMIC_ACQ_REL);
    *out_buffer = buffer;
    return TUFF_OK;
}

void tuff_buffer_destroy(tuff_buffer **buffer)
{
    if (!buffer) return;
    tuff_buffer *b = *buffer;
    if (!b) return;
    b->device->backend->buffer_destroy(b->device->handle, &b->handle);
    __atomic_fetch_sub(&b->device->live_buffers, 1, __ATOMIC_ACQ_REL);
    tuff_device_let_go(b->device);
    tuff_free(b->name);
    tuff_free(b);
    *buffer = NULL;
}

static tuff_status check(const tuff_buffer *b, int64_t first, int64_t count)
{
    int64_t all = tuff_shape_count(&b->shape);
    const int64_t block = tuff_dtype_block(b->dtype);
    if (first < 0 || count < 0 || first > all || count > all - first)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "buffer %s: %lld elements from %lld are asked for, it has %lld", b->name,
                         (long long)count, (long long)first, (long long)all);
    if (first % block == 0 && count % block == 0) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT,
                     "buffer %s: %lld elements from %lld are asked for, which are no whole blocks of %lld",
                     b->name, (long long)count, (long long)first, (long long)block);
}

tuff_status tuff_buffer_write(tuff_buffer *b, int64_t first, const void *data, int64_t count)
{
    TUFF_NEED(b);
    TUFF_NEED_MANY(data, count);
    TUFF_TRY(check(b, first, count));
    return b->device->backend->buffer_write(b->device->handle, b->handle, tuff_dtype_bytes(b->dtype, first),
                                            data, tuff_dtype_bytes(b->dtype, count));
}

tuff_status tuff_buffer_read(tuff_buffer *b, int64_t first, void *data, int64_t count)
{
    TUFF_NEED(b);
    TUFF_NEED_MANY(data, count);
    TUFF_TRY(check(b, first, count));
    return b->device->backend->buffer_read(b->device->handle, b->handle, tuff_dtype_bytes(b->dtype, first),
                                           data, tuff_dtype_bytes(b->dtype, count));
}

tuff_dtype tuff_buffer_dtype(const tuff_buffer *b)
{
    if (!b) return TUFF_F32;
    return b->dtype;
}
int64_t tuff_buffer_count(const tuff_buffer *b)
{
    if (!b) return 0;
    return tuff_shape_count(&b->shape);
}
