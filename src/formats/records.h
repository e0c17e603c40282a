/* Records of a text file, one after the other: lines of text, JSON objects a line each or in one list, rows
 * of CSV or TSV. */
#ifndef TUFF_FORMATS_RECORDS_H
#define TUFF_FORMATS_RECORDS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/status.h"
#include "base/text.h"

typedef enum tuff_records_kind {
    TUFF_RECORDS_AUTO,  /* by the name: .jsonl, .ndjson and .json, .csv, .tsv, else lines */
    TUFF_RECORDS_LINES, /* a record is a line, without its end */
    TUFF_RECORDS_JSONL, /* a JSON object a line, empty lines are passed over; or one list of objects */
    TUFF_RECORDS_CSV,   /* RFC 4180, the first row names the columns, or fields are their numbers; empty lines
                           are passed over */
    TUFF_RECORDS_TSV /* no quotes: a row is a line, tabs part its columns, the first row names them; likewise
                      */
} tuff_records_kind;

/* By the end of a file's name. */
tuff_records_kind tuff_records_kind_of(const char *path);

/* Whether a file, or each file of a directory, has records by its name. */
bool tuff_records_are(const char *path);

typedef struct tuff_records tuff_records;

enum { TUFF_RECORD_FIELDS = 64 };

/* Opens a file, which is read as records are asked for (one of them has at most 256 MiB), what comes
 * through a pipe, which is read at once, or the files of a directory, but for hidden ones, which are read one
 * after the other in the order of their names, each as its name says; what is wrong with how one of them
 * begins is an error at once. `fields` are the keys or columns wanted, at most
 * TUFF_RECORD_FIELDS; lines of text have one without a name (n is 0 or 1, the name is not looked at). With n
 * 0 a JSON record's or a row's field is "text". Where all fields are columns' numbers, from 1, a
 * table's first row names nothing and is a record, unless it has nothing but numbers and these among them. A
 * byte order mark is passed over. INVALID_ARGUMENT for a column that the file does not have, BAD_FORMAT for
 * UTF-16, UNSUPPORTED for Parquet. */
TUFF_MUST_USE tuff_status tuff_records_open(const char *path, tuff_records_kind kind,
                                            const char *const *fields, size_t n, tuff_records **out_records);
/* The same of text in memory, which must outlive the records; `where` names it in errors. */
TUFF_MUST_USE tuff_status tuff_records_of_text(const char *data, size_t size, const char *where,
                                               tuff_records_kind kind, const char *const *fields, size_t n,
                                               tuff_records **out_records);
/* From now on field number `field` is given as JSON text where it is a list or an object, and no error. */
void tuff_records_take_json(tuff_records *records, size_t field);
/* From now on only those records are given that are held out, one of each 1 / share (above 0, up to 0.5), or
 * only the others: which, is a function of the seed and of their numbers. Errors in those that are passed
 * over are nobody's. INVALID_ARGUMENT for what comes through a pipe, which cannot be read again for the
 * others. */
TUFF_MUST_USE tuff_status tuff_records_take_part(tuff_records *records, double share, uint64_t seed,
                                                 bool held_out);
void tuff_records_close(tuff_records **records);

/* Opens a file to be read by tuff_records_next_object: of JSON records, also where its name does not say so
 * but its first character does, or of rows. INVALID_ARGUMENT for lines of text. */
TUFF_MUST_USE tuff_status tuff_records_open_objects(const char *path, tuff_records **out_records);
/* The next record with all that it has, valid until the next call; of rows an object of texts, by the names
 * of their columns. NULL after the last one. Errors as those of tuff_records_next; BAD_FORMAT also for rows
 * that have more or fewer cells than columns are named, or whose text is not UTF-8 or has a NUL. */
TUFF_MUST_USE tuff_status tuff_records_next_object(tuff_records *records, const cJSON **out_object);

/* That record, which is the caller's from now on (cJSON_Delete); NULL: there is none. */
cJSON *tuff_records_keep_object(tuff_records *records);

/* The columns that a file's first row names, or the keys of the first of its JSON records that is one (of the
 * first hundred), in their order, one after
 * the other, each with a NUL behind it: *out_count of them. Of lines of text there are none. What comes
 * through a pipe is refused: it could not be read again. Of a directory those of its first file. */
TUFF_MUST_USE tuff_status tuff_records_names(const char *path, tuff_buf *out_names, size_t *out_count);

/* The fields of the next record, out_values[0..n), valid until the next call; *out_there is false after the
 * last one. Errors name the file and the line: BAD_FORMAT for a line that is no record, that lacks a field,
 * or whose field is no text. Numbers, true and false of JSON are given as they are written. A record that
 * failed is passed over by the next call. */
TUFF_MUST_USE tuff_status tuff_records_next(tuff_records *records, tuff_view *out_values, bool *out_there);

/* Bytes read so far, and of the whole file. */
void tuff_records_position(const tuff_records *records, uint64_t *out_done, uint64_t *out_total);
/* Lines read so far that ended as on Windows, with \r\n: what is read of them ends with \n, also within a
 * quoted cell of a row. */
uint64_t tuff_records_windows_lines(const tuff_records *records);
/* The file of the last record: the path, or one in that directory. Valid until they are closed. */
const char *tuff_records_path(const tuff_records *records);
/* The line at which the last record began, from 1. */
uint64_t tuff_records_line(const tuff_records *records);

#endif
