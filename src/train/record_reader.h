/* Files of records, read one after the other into a data set: a record that is malformed is counted and left
 * out, and the first ones are said. */
#ifndef TUFF_TRAIN_RECORD_READER_H
#define TUFF_TRAIN_RECORD_READER_H

#include "formats/records.h"
#include "train/dataset.h"

typedef struct tuff_record_reader {
    const char *path;
    tuff_records *records;
    const tuff_watch *watch; /* told in bytes of the file; NULL: none */
    bool strict;             /* a malformed record is an error */
    bool refused;            /* so is this one: it says something of all */
    tuff_dataset *data;      /* counts what is left out */
} tuff_record_reader;

/* Reads the next record and does what is to be done with it; *out_there is false after the last one.
 * BAD_FORMAT and INVALID_ARGUMENT, which name the file and the line: the record is malformed. */
typedef tuff_status tuff_record_take(void *own, bool *out_there);
/* Takes all records. */
TUFF_MUST_USE tuff_status tuff_record_reader_run(tuff_record_reader *reader, tuff_record_take *take,
                                                 void *own);

#endif
