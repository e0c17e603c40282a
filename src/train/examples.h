/* Records to sequences: what the tasks that read records share. */
#ifndef TUFF_TRAIN_EXAMPLES_H
#define TUFF_TRAIN_EXAMPLES_H

#include "train/record_reader.h"
#include "train/task.h"

/* A record, and what was made of its texts. */
typedef struct tuff_example_item {
    tuff_record_item record;
    tuff_buf text; /* of its fields */
    tuff_view values[TUFF_RECORD_FIELDS];
    tuff_encoding *encodings[TUFF_RECORD_FIELDS];
    size_t made, taken; /* of them */
} tuff_example_item;

/* A file of records, and the tokenizer that makes sequences of their texts. */
typedef struct tuff_example_reader {
    tuff_record_reader file;
    const tuff_tokenizer *tokenizer;
    int64_t max_length; /* tokens of a sequence */
    size_t n;
    const tuff_view *values; /* [n], the fields of the record at hand */
    tuff_example_item *item; /* that record */
} tuff_example_reader;

/* How a record becomes what a data set gets. */
typedef struct tuff_example_work {
    /* Encodes texts of a record, of whose fields nothing is known but that they are there: on any thread, so
     * that it changes the item alone. */
    tuff_status (*prepare)(const tuff_example_reader *reader, const void *own, const tuff_watch *watch,
                           tuff_example_item *item);
    /* Makes of the record at hand what the data set gets, with what was encoded, in that order; errors name
     * its line (tuff_record_reader_fail). Where it fails, nothing but sequences may be left of what it added.
     */
    tuff_status (*take)(tuff_example_reader *reader, void *own);
} tuff_example_work;

/* `fields` as tuff_records_open has them. To be closed also after a failure. */
TUFF_MUST_USE tuff_status tuff_example_reader_open(tuff_example_reader *reader, const tuff_model *model,
                                                   const char *path, const tuff_data_params *params,
                                                   const char *const *fields, size_t n, tuff_dataset *data);
void tuff_example_reader_close(tuff_example_reader *reader);
/* Takes all records. */
TUFF_MUST_USE tuff_status tuff_example_reader_read(tuff_example_reader *reader, const tuff_example_work *work,
                                                   void *own);
/* The same; says how many are left out, and how many texts were cut; fails where nothing is left. */
TUFF_MUST_USE tuff_status tuff_example_reader_run(tuff_example_reader *reader, const tuff_example_work *work,
                                                  void *own);
/* Of a preparation: encodes a text, or a pair where pair.data is not NULL. */
TUFF_MUST_USE tuff_status tuff_example_item_encode(const tuff_example_reader *reader, tuff_example_item *item,
                                                   tuff_view text, tuff_view pair,
                                                   const tuff_encode_params *params);
/* The same as a sequence of at most max_length tokens, in which no special token is spelled out. */
TUFF_MUST_USE tuff_status tuff_example_item_text(const tuff_example_reader *reader, tuff_example_item *item,
                                                 tuff_view text, tuff_view pair);
/* The next text that was encoded, or why it was not. */
TUFF_MUST_USE tuff_status tuff_example_reader_next(tuff_example_reader *reader, const tuff_encoding **out);
/* Adds it as a sequence; counts it where it was cut. */
TUFF_MUST_USE tuff_status tuff_example_reader_add(tuff_example_reader *reader);

/* The task's `keep`, where there is nothing but sequences. */
void tuff_examples_keep(struct tuff_kept *kept, tuff_dataset *data);
/* Of tasks whose example is a sequence. */
int64_t tuff_examples_count(const tuff_dataset *data, bool training);
/* The tokens and sequences of a batch, as capacities of few sizes. */
void tuff_examples_shape(const tuff_batch *batch, tuff_task_shape *out_shape);
/* Adds all sequences of a batch to a pack; out_first[i] is the row of the i-th one's first token. */
void tuff_examples_pack(const tuff_batch *batch, tuff_pack *pack, int64_t i, int64_t *out_first,
                        int64_t *out_length);
/* Fails when a sequence is too long for the model, or has an id that it does not know. */
TUFF_MUST_USE tuff_status tuff_examples_check(const tuff_dataset *data, const tuff_model *model);

#endif
