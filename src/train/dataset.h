/* The examples of a task. */
#ifndef TUFF_TRAIN_DATASET_H
#define TUFF_TRAIN_DATASET_H

#include <tuff/tokenizer.h>
#include <tuff/train.h>

#include "base/column.h"
#include "base/status.h"
#include "train/text_tokens.h"

typedef struct tuff_task tuff_task;

/* So many malformed records are named; others are only counted. */
enum { TUFF_RECORDS_SAID = 3 };

struct tuff_dataset {
    const tuff_task *task;
    int32_t *ids;  /* of all sequences, one after the other; of a text, part of `text` */
    int8_t *types; /* as many; NULL: zeros */
    int64_t tokens;
    tuff_text_tokens text; /* of records: where their ids are kept in the cache */
    struct {
        tuff_column ids, types, starts;
    } room;               /* of records */
    int64_t block_size;   /* of texts that are cut into blocks, else 0 */
    int64_t block_stride; /* from one block's begin to the next one's */
    /* Of others: */
    int64_t *starts; /* sequence i is ids[starts[i] .. starts[i + 1]) */
    int64_t sequences;
    int64_t longest; /* tokens of what batches make of sequences, where that is longer than any; else 0 */
    int64_t cut;     /* texts that were longer than allowed */
    /* Records that are left out: they are none, their answers are empty, or are cut off. */
    int64_t malformed, empty, unanswered;
    int64_t windows_lines;         /* of the file, which end with \r\n and are read as if with \n */
    char *said[TUFF_RECORDS_SAID]; /* what is wrong with the first malformed ones; NULL: there are not so many
                                    */
    char *chat_template; /* by which conversations became text, where it is not the model's; else NULL */
    void *own;           /* the task's */
    struct tuff_mixture *mixture;    /* of several data sets that are mixed; NULL: it is none */
    struct tuff_record_cache *cache; /* while it is read; NULL: it is not to be kept */
    int users;                       /* atomic: see base/users.h */
};

/* One more that uses it, one less; NULL is ignored. */
void tuff_dataset_keep(const tuff_dataset *data);
void tuff_dataset_let_go(const tuff_dataset *data);

/* The label of what is not predicted. */
enum { TUFF_NO_LABEL = -100 };

/* Where a block of a text begins. */
int64_t tuff_dataset_block_begin(const tuff_dataset *data, uint32_t block);

/* The largest id. */
int32_t tuff_dataset_largest(const tuff_dataset *dataset);

/* Its sequences are to be in memory, however many there are; else they may lie in files (base/column.h). */
void tuff_dataset_stay(tuff_dataset *data, bool in_memory);

/* Whether it is a share that can be held out. */
TUFF_MUST_USE tuff_status tuff_dataset_check_split(double share);
/* Ends the reading of a data set with its status: keeps what was read, or destroys it. *out_again: what the
 * cache had of it was damaged, and is gone; it is to be read again. */
TUFF_MUST_USE tuff_status tuff_dataset_finish(tuff_dataset *data, tuff_status status, bool *out_again,
                                              tuff_dataset **out_dataset);

/* Appends a sequence. */
TUFF_MUST_USE tuff_status tuff_dataset_add(tuff_dataset *data, const int32_t *ids, const int8_t *types,
                                           size_t n);
TUFF_MUST_USE tuff_status tuff_dataset_add_encoding(tuff_dataset *data, const tuff_encoding *encoding);
int64_t tuff_dataset_length(const tuff_dataset *data, uint32_t sequence);

#endif
