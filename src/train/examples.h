/* Records to sequences: what the tasks that read records share. */
#ifndef TUFF_TRAIN_EXAMPLES_H
#define TUFF_TRAIN_EXAMPLES_H

#include "train/record_reader.h"
#include "train/task.h"

/* A file of records, and the tokenizer that makes sequences of their texts. */
typedef struct tuff_example_reader {
    tuff_record_reader file;
    const tuff_tokenizer *tokenizer;
    int64_t max_length; /* tokens of a sequence */
    size_t n;
    tuff_view values[TUFF_RECORD_FIELDS]; /* [n], the fields of the record at hand */
} tuff_example_reader;

/* `fields` as tuff_records_open has them. To be closed also after a failure. */
TUFF_MUST_USE tuff_status tuff_example_reader_open(tuff_example_reader *reader, const tuff_model *model,
                                                   const char *path, const tuff_data_params *params,
                                                   const char *const *fields, size_t n, tuff_dataset *data);
void tuff_example_reader_close(tuff_example_reader *reader);
/* Makes of the record at hand what the data set gets; errors name its line (tuff_record_reader_fail). Where
 * it fails, nothing but sequences may be left of what it added. */
typedef tuff_status tuff_example_take(tuff_example_reader *reader, void *own);
/* Takes all records; says how many are left out, and how many texts were cut; fails where nothing is left. */
TUFF_MUST_USE tuff_status tuff_example_reader_run(tuff_example_reader *reader, tuff_example_take *take,
                                                  void *own);
/* Adds a text, or a pair where pair.data is not NULL, as a sequence; counts it where it was cut. */
TUFF_MUST_USE tuff_status tuff_example_reader_add(tuff_example_reader *reader, tuff_view text,
                                                  tuff_view pair);

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
