/* Records inside: the text at hand, and what each kind of record is read by. */
#ifndef TUFF_FORMATS_RECORDS_INSIDE_H
#define TUFF_FORMATS_RECORDS_INSIDE_H

#include "base/file.h"
#include "base/json.h"
#include "formats/records.h"

struct tuff_records {
    tuff_records_kind kind, asked; /* of the file at hand; for all files, or AUTO */
    const char *path;              /* of the file at hand, which is one of these */
    char **files;
    size_t file_count, file_at;
    uint64_t before, all;         /* bytes of the files before it; of all files */
    tuff_file file;               /* none: all of the text is there */
    tuff_buf stream;              /* of a pipe */
    char *window;                 /* the part of the file that is at hand */
    size_t room;                  /* bytes of it */
    const char *begin, *at, *end; /* of the text, or of the window's */
    uint64_t passed, total;       /* bytes of the file before `begin`; of all */
    uint64_t line, next_line;     /* of the last record; of the next one */
    uint64_t windows_lines;
    size_t n;
    char *names[TUFF_RECORD_FIELDS];
    int columns[TUFF_RECORD_FIELDS];     /* of rows: where each field is */
    size_t width;                        /* of rows: columns of the first one */
    bool unnamed;                        /* which names none: fields are columns' numbers */
    cJSON *json;                         /* the last record */
    bool in_list;                        /* JSON records are the items of one list, not lines */
    bool takes_json[TUFF_RECORD_FIELDS]; /* lists and objects are this field too */
    bool whole;                          /* records are given as objects */
    tuff_buf header; /* then, of rows: the names of all columns, each with a NUL behind it */
    size_t header_count;
    tuff_buf text;         /* what had to be unquoted or printed */
    double share;          /* of those that are held out; 0: all are given */
    uint64_t seed, number; /* what chooses them; of the next record */
    bool held_out;
};

/* BAD_FORMAT at the last record's line. */
tuff_status tuff_records_bad(const tuff_records *records, const char *what);

/* ---- the text at hand, a window of a file */

/* Whether the file goes on behind it. */
bool tuff_records_has_more(const tuff_records *records);
/* Lets go what lies before `at`, and reads on. */
TUFF_MUST_USE tuff_status tuff_records_read_on(tuff_records *records);
/* The next line of the window, of which it may be the last, without its end: "\n" or "\r\n". */
tuff_view tuff_records_take_line(tuff_records *records, const char *newline);
/* *out_there is false at the end of the file. */
TUFF_MUST_USE tuff_status tuff_records_next_line(tuff_records *records, tuff_view *out, bool *out_there);

/* Whether the record at hand is to be given; counts it. */
bool tuff_records_is_wanted(tuff_records *records);

/* ---- rows of CSV and TSV */

/* Finds the fields among the columns that the first row names; it stays a record where they are numbers. */
TUFF_MUST_USE tuff_status tuff_records_read_header(tuff_records *records);
/* Those names, each with a NUL behind it. */
TUFF_MUST_USE tuff_status tuff_records_row_names(tuff_records *records, tuff_buf *out, size_t *out_count);
TUFF_MUST_USE tuff_status tuff_records_next_row(tuff_records *records, tuff_view *out, bool *out_there);
/* The next row as an object, in `json`; there is none after the last one. */
TUFF_MUST_USE tuff_status tuff_records_next_row_object(tuff_records *records);

/* ---- JSON: lines, or the items of one list */

/* Looks whether the text is one list of records; then its bracket is passed over. */
TUFF_MUST_USE tuff_status tuff_records_begin_json(tuff_records *records);
/* The text of the next record. */
TUFF_MUST_USE tuff_status tuff_records_next_item(tuff_records *records, tuff_view *out, bool *out_there);

#endif
