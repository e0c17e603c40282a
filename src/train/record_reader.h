/* Files of records, read one after the other into a data set: a record that is malformed is counted and left
 * out, and the first ones are said. */
#ifndef TUFF_TRAIN_RECORD_READER_H
#define TUFF_TRAIN_RECORD_READER_H

#include "formats/records.h"
#include "train/dataset.h"

enum { TUFF_RECORDS_SAID = 3 };

typedef struct tuff_record_reader {
    const char *path;
    tuff_records *records;
    const tuff_watch *watch; /* told in bytes of the file; NULL: none */
    bool strict;             /* a malformed record is an error */
    bool refused;            /* so is the one at hand: what is wrong with it concerns all */
    tuff_dataset *data;      /* counts what is left out */
    /* Of the malformed records: how the first one failed, and texts of the first ones, which are said once
     * there is a record that is none of them: a file of nothing else gets one sentence. */
    tuff_status first;
    char said[TUFF_RECORDS_SAID][400];
    bool any_good;
} tuff_record_reader;

/* Leaves of the records that are open what is held out, or the rest, as the parameters say. */
TUFF_MUST_USE tuff_status tuff_record_reader_take_part(tuff_record_reader *reader,
                                                       const tuff_data_params *params);
/* Reads the next record and does what is to be done with it; *out_there is false after the last one.
 * BAD_FORMAT and INVALID_ARGUMENT, which name the file and the line: the record is malformed. The sequences
 * that it added to the data set are taken back then. */
typedef tuff_status tuff_record_take(void *own, bool *out_there);
/* Takes all records. */
TUFF_MUST_USE tuff_status tuff_record_reader_run(tuff_record_reader *reader, tuff_record_take *take,
                                                 void *own);
/* The fields of the next record, n of them: as tuff_records_next has it, and malformed where they are no text
 * in UTF-8. */
TUFF_MUST_USE tuff_status tuff_record_reader_next(tuff_record_reader *reader, size_t n, tuff_view *out_values,
                                                  bool *out_there);
/* BAD_FORMAT, naming the file and the line of the last record. */
TUFF_MUST_USE tuff_status tuff_record_reader_fail(const tuff_record_reader *reader, const char *format, ...)
    TUFF_PRINTF(2, 3);
/* Fails for a file of which nothing is left, saying why. */
TUFF_MUST_USE tuff_status tuff_record_reader_none(const tuff_record_reader *reader);
/* The same where `left` is 0; else says how many records are left out. */
TUFF_MUST_USE tuff_status tuff_record_reader_end(const tuff_record_reader *reader, int64_t left);

#endif
