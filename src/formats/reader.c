/* Records for programs that link Tuff: formats/records.h behind the public interface. */
#include <tuff/records.h>

#include "base/memory.h"
#include "formats/records.h"

struct tuff_reader {
    tuff_records *records;
    size_t fields;
};

tuff_status tuff_reader_open(const char *path, const char *const *fields, size_t n, tuff_reader **out_reader)
{
    TUFF_NEED_OUT(out_reader);
    TUFF_NEED(path);
    TUFF_NEED(fields);
    if (n < 1 || n > TUFF_RECORD_FIELDS)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%zu fields of a record are asked for, expected 1 to %d", n,
                         TUFF_RECORD_FIELDS);
    for (size_t i = 0; i < n; i++)
        TUFF_NEED(fields[i]);
    tuff_reader *reader = tuff_alloc(sizeof *reader);
    if (!reader) return tuff_fail_memory("a reader of records");
    reader->fields = n;
    tuff_status status = tuff_records_open(path, TUFF_RECORDS_AUTO, fields, n, &reader->records);
    if (status != TUFF_OK)
        tuff_free(reader);
    else
        *out_reader = reader;
    return status;
}

void tuff_reader_close(tuff_reader **reader)
{
    if (!reader || !*reader) return;
    tuff_records_close(&(*reader)->records);
    tuff_free(*reader);
    *reader = NULL;
}

tuff_status tuff_reader_next(tuff_reader *reader, tuff_piece *out_values, bool *out_there)
{
    tuff_view values[TUFF_RECORD_FIELDS];
    TUFF_NEED(reader);
    TUFF_NEED(out_values);
    TUFF_NEED(out_there);
    *out_there = false;
    TUFF_TRY(tuff_records_next(reader->records, values, out_there));
    for (size_t i = 0; *out_there && i < reader->fields; i++)
        out_values[i] = (tuff_piece){values[i].data ? values[i].data : "", values[i].size};
    return TUFF_OK;
}

void tuff_reader_position(const tuff_reader *reader, uint64_t *out_done, uint64_t *out_total)
{
    uint64_t done = 0, total = 0;
    if (reader) tuff_records_position(reader->records, &done, &total);
    if (out_done) *out_done = done;
    if (out_total) *out_total = total;
}
