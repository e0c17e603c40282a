#include "formats/npy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Magic, version 1.0, a two-byte header length; the header makes the data start at a multiple of 64. */
static const char magic[8] = "\x93NUMPY\x01\x00";
enum { PREFIX = 10, ALIGNMENT = 64 };

struct tuff_npy_writer {
    tuff_writer *file;
    char *path;
    uint64_t left; /* items */
};

static void put_header(tuff_buf *out, unsigned rank, const int64_t *shape)
{
    tuff_buf_bytes(out, magic, sizeof magic);
    tuff_buf_bytes(out, "\0\0", 2);
    tuff_buf_text(out, "{'descr': '<i4', 'fortran_order': False, 'shape': (");
    for (unsigned i = 0; i < rank; i++)
        tuff_buf_printf(out, "%s%" PRId64, i ? ", " : "", shape[i]);
    tuff_buf_text(out, rank == 1 ? ",), }" : "), }");
    while (!out->failed && (out->size + 1) % ALIGNMENT != 0)
        tuff_buf_char(out, ' ');
    tuff_buf_char(out, '\n');
    if (out->failed) return;
    out->data[8] = (char)((out->size - PREFIX) & 255);
    out->data[9] = (char)((out->size - PREFIX) >> 8);
}

static tuff_status count_items(const char *file, unsigned rank, const int64_t *shape, size_t item,
                               uint64_t *out)
{
    size_t count = 1, bytes = 0;
    bool fits = rank <= TUFF_MAX_RANK;
    for (unsigned i = 0; fits && i < rank; i++)
        fits = shape[i] >= 0 && tuff_mul_size(count, (size_t)shape[i], &count);
    if (!fits || !tuff_mul_size(count, item, &bytes))
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: an array's shape is negative, too large or of more than %d dimensions", file,
                         TUFF_MAX_RANK);
    *out = count;
    return TUFF_OK;
}

tuff_status tuff_npy_create(const char *path, unsigned rank, const int64_t *shape,
                            tuff_npy_writer **out_writer)
{
    tuff_status status;
    tuff_buf header = {0};
    tuff_npy_writer *writer = *out_writer = tuff_alloc(sizeof *writer);
    if (!writer || !(writer->path = tuff_strdup(path))) TUFF_GO(tuff_fail_memory("a file to be written"));
    TUFF_GO(count_items(path, rank, shape, sizeof(int32_t), &writer->left));
    put_header(&header, rank, shape);
    if (header.failed) TUFF_GO(tuff_fail_memory("the header of a .npy file"));
    TUFF_GO(tuff_writer_open(path, &writer->file));
    TUFF_GO(tuff_writer_write(writer->file, header.data, header.size));
done:
    tuff_buf_free(&header);
    if (status != TUFF_OK) tuff_npy_abort(out_writer);
    return status;
}

tuff_status tuff_npy_append(tuff_npy_writer *writer, const int32_t *items, size_t count)
{
    if (count > writer->left)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s: %zu items are more than the %" PRIu64 " that its shape has left", writer->path,
                         count, writer->left);
    writer->left -= count;
    return tuff_writer_write(writer->file, items, count * sizeof *items);
}

tuff_status tuff_npy_commit(tuff_npy_writer **writer)
{
    tuff_status status = TUFF_OK;
    if ((*writer)->left > 0)
        status = tuff_fail(TUFF_INVALID_ARGUMENT, "%s: %" PRIu64 " items of its shape were not written",
                           (*writer)->path, (*writer)->left);
    else
        status = tuff_writer_commit(&(*writer)->file);
    tuff_npy_abort(writer);
    return status;
}

void tuff_npy_abort(tuff_npy_writer **writer)
{
    if (!*writer) return;
    tuff_writer_abort(&(*writer)->file);
    tuff_free((*writer)->path);
    tuff_free(*writer);
    *writer = NULL;
}

/* The text after "'key': " in the header's dictionary, or NULL. */
static const char *find_key(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    return at ? at + strlen(key) : NULL;
}

static bool read_shape(const char *text, tuff_npy *out)
{
    while (*text != ')') {
        char *end;
        if (*text < '0' || *text > '9' || out->rank == TUFF_MAX_RANK) return false;
        long long value = strtoll(text, &end, 10);
        out->shape[out->rank++] = value;
        text = end;
        while (*text == ',' || *text == ' ')
            text++;
    }
    return true;
}

static bool read_header(const char *header, tuff_npy *out)
{
    const char *type = find_key(header, "'descr': '"), *order = find_key(header, "'fortran_order': "),
               *shape = find_key(header, "'shape': (");
    size_t length = type ? strcspn(type, "'") : 0;
    if (!order || !tuff_starts_with(order, "False") || length != 3 || !strchr("<|", type[0]) ||
        !strchr("iuf", type[1]) || !strchr("1248", type[2]))
        return false;
    memcpy(out->type, type, length);
    out->item_bytes = (unsigned)(type[2] - '0');
    return shape && read_shape(shape, out);
}

/* Of a file of `size` bytes, the first `had` of which are at `data`. */
static tuff_status parse(const uint8_t *data, size_t had, uint64_t size, const char *file, tuff_npy *out)
{
    *out = (tuff_npy){0};
    if (had < PREFIX || memcmp(data, magic, sizeof magic) != 0)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: it is no .npy file of version 1.0", file);
    size_t length = data[8] | (size_t)data[9] << 8;
    if (length > had - PREFIX)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: its header of %zu bytes is truncated: %zu are left", file,
                         length, had - PREFIX);
    char *header = tuff_alloc(length + 1);
    if (!header) return tuff_fail_memory("the header of a .npy file");
    memcpy(header, data + PREFIX, length);
    bool good = read_header(header, out);
    tuff_free(header);
    if (!good)
        return tuff_fail(
            TUFF_BAD_FORMAT,
            "%s: its header is not that of little-endian numbers in C order with up to %d dimensions", file,
            TUFF_MAX_RANK);
    uint64_t count = 0;
    TUFF_TRY(count_items(file, out->rank, out->shape, out->item_bytes, &count));
    out->at = PREFIX + length;
    out->count = (size_t)count;
    if (count * out->item_bytes != size - out->at)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: its shape calls for %" PRIu64 " data bytes, but it has %" PRIu64, file,
                         count * out->item_bytes, size - out->at);
    return TUFF_OK;
}

tuff_status tuff_npy_parse(const uint8_t *data, size_t size, const char *file, tuff_npy *out)
{
    TUFF_TRY(parse(data, size, size, file, out));
    out->data = data + out->at;
    return TUFF_OK;
}

tuff_status tuff_npy_read_header(const tuff_file *file, tuff_npy *out)
{
    enum { MOST = PREFIX + 65535 };
    uint8_t *head = tuff_alloc(MOST);
    if (!head) return tuff_fail_memory("the header of a .npy file");
    size_t had = file->size < MOST ? (size_t)file->size : MOST;
    tuff_status status = tuff_file_read(file, 0, head, had);
    if (status == TUFF_OK) status = parse(head, had, file->size, file->path, out);
    tuff_free(head);
    return status;
}
