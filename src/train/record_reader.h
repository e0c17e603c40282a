/* Files of records, read one after the other into a data set: a record that is malformed is counted and left
 * out, and the first ones are said. What needs no other record, making ids of texts above all, is done on
 * several threads, some records at a time; nothing that is read depends on how many there are. */
#ifndef TUFF_TRAIN_RECORD_READER_H
#define TUFF_TRAIN_RECORD_READER_H

#include "formats/records.h"
#include "train/dataset.h"

typedef struct tuff_record_reader {
    const char *path;
    tuff_records *records;
    unsigned threads;        /* 0: as many as the process may use */
    const char *place;       /* the file of the record at hand, where the path is a directory */
    uint64_t line;           /* of the record at hand */
    const tuff_watch *watch; /* told in bytes of the file; NULL: none */
    bool strict;             /* a malformed record is an error */
    bool refused;            /* so is the one at hand: what is wrong with it concerns all */
    double held_out;         /* the share of records that is read; 0: of all, or the rest */
    tuff_dataset *data;      /* counts what is left out */
    const tuff_tokenizer *tokenizer;
    tuff_buf settings; /* that it is kept by in the cache; empty: it is not */
    /* Of the malformed records: how the first one failed. What the data set has of the first ones is said
     * once there is a record that is none of them: a file of nothing else gets one sentence. */
    tuff_status first;
    bool any_good;
} tuff_record_reader;

/* A record on its way into a data set. What the task has of it beside stands behind, in a struct that begins
 * with this one; as zeros at first, then it is used for other records. */
typedef struct tuff_record_item {
    const char *place;
    uint64_t line;
    tuff_status read, prepared; /* how that went */
    char reason[2048];          /* of what failed */
} tuff_record_item;
/* The failure of its preparation, again. */
TUFF_MUST_USE tuff_status tuff_record_item_fail(const tuff_record_item *item);

/* What is done with records. */
typedef struct tuff_record_work {
    void *own;
    size_t item_size;
    /* Reads the next record; *out_there is false after the last one. BAD_FORMAT and INVALID_ARGUMENT, which
     * name the file and the line, as those of `take`: the record is malformed. */
    tuff_status (*read)(void *own, tuff_record_item *item, bool *out_there);
    /* What needs no other record. On any thread, of several records at once, but alone until one was taken:
     * so the first one may say what the others are to be. `watch` is NULL where there are several. */
    tuff_status (*prepare)(void *own, const tuff_watch *watch, tuff_record_item *item);
    /* Adds it to the data set; in the order of the file, also where the preparation failed. The sequences
     * that it added are taken back where it fails. */
    tuff_status (*take)(void *own, tuff_record_item *item);
    void (*free)(tuff_record_item *item);
} tuff_record_work;

/* Leaves of the records that are open what is held out, a share of them, or the rest; 0: all. */
TUFF_MUST_USE tuff_status tuff_record_reader_take_part(tuff_record_reader *reader, double share,
                                                       uint64_t seed, bool held_out);
/* Takes all records, or what they became before. */
TUFF_MUST_USE tuff_status tuff_record_reader_run(tuff_record_reader *reader, const tuff_record_work *work);
/* The fields of the next record, n of them: as tuff_records_next has it, and malformed where they are no text
 * in UTF-8. */
TUFF_MUST_USE tuff_status tuff_record_reader_next(tuff_record_reader *reader, size_t n, tuff_view *out_values,
                                                  bool *out_there);
/* BAD_FORMAT, naming the file and the line of the last record. */
TUFF_MUST_USE tuff_status tuff_record_reader_fail(const tuff_record_reader *reader, const char *format, ...)
    TUFF_PRINTF(2, 3);
void tuff_record_reader_close(tuff_record_reader *reader);
/* Fails for a file of which nothing is left, saying why. */
TUFF_MUST_USE tuff_status tuff_record_reader_none(const tuff_record_reader *reader);
/* The same where `left` is 0; else says how many records are left out. */
TUFF_MUST_USE tuff_status tuff_record_reader_end(const tuff_record_reader *reader, int64_t left);

#endif
