/* Records of text files, one after the other. */
#ifndef TUFF_RECORDS_H
#define TUFF_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/status.h>
#include <tuff/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A file, or the files of a directory, read record by record, in memory that does not grow with them. Belongs
 * to one thread at a time. */
typedef struct tuff_reader tuff_reader;

/* Opens lines of text, or by its name JSON (.jsonl, .ndjson, .json: an object a line, or one list of
 * objects), CSV (RFC 4180) or TSV, whose first row names the columns; empty lines of these are no records.
 * `fields` are the keys or columns wanted, 1 to 64 of them; lines of text have one, and its name is not
 * looked at. A byte order mark is passed over. Of a directory all files, but for hidden ones, are read one
 * after the other in the order of their names, each as its name says. Errors: TUFF_NOT_FOUND,
 * TUFF_INVALID_ARGUMENT for a directory without files, a column that the file does not have, or a second
 * field of lines; TUFF_BAD_FORMAT for UTF-16, TUFF_UNSUPPORTED for Parquet. */
TUFF_API TUFF_MUST_USE tuff_status tuff_reader_open(const char *path, const char *const *fields, size_t n,
                                                    tuff_reader **out_reader);
TUFF_API void tuff_reader_close(tuff_reader **reader);
/* The fields of the next record, out_values[0..n), valid until the next call; *out_there is false after the
 * last one. TUFF_BAD_FORMAT, naming the line, for one that is no record, that lacks a field, or whose field
 * is no text, or one of more than 256 MiB; the next call goes on behind it. TUFF_IO for a file that was
 * changed since it was opened. */
TUFF_API TUFF_MUST_USE tuff_status tuff_reader_next(tuff_reader *reader, tuff_piece *out_values,
                                                    bool *out_there);
/* Bytes read so far, and of the whole file; zeros for NULL. */
TUFF_API void tuff_reader_position(const tuff_reader *reader, uint64_t *out_done, uint64_t *out_total);

#ifdef __cplusplus
}
#endif
#endif
