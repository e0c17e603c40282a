/* The examples of a task. */
#ifndef TUFF_TRAIN_DATASET_H
#define TUFF_TRAIN_DATASET_H

#include <tuff/train.h>

typedef struct tuff_task tuff_task;

struct tuff_dataset {
    const tuff_task *task;
    int32_t *ids; /* of all examples, one after the other */
    int64_t tokens;
    int64_t block_size; /* of texts that are cut into blocks, else 0 */
    void *own;          /* the task's */
};

/* The label of what is not predicted. */
enum { TUFF_NO_LABEL = -100 };

/* The largest id. */
int32_t tuff_dataset_largest(const tuff_dataset *dataset);

#endif
