/* A token stream cut into blocks. */
#ifndef TUFF_TRAIN_DATASET_H
#define TUFF_TRAIN_DATASET_H

#include <tuff/train.h>

struct tuff_dataset {
    int32_t *ids;
    int64_t tokens, block_size;
};

/* Labels of `rows` blocks of ids [rows, length]: the next id of the same row, -100 after its last. */
void tuff_labels_of(const int32_t *ids, int64_t rows, int64_t length, int32_t *out_labels);

/* The largest id. */
int32_t tuff_dataset_largest(const tuff_dataset *dataset);

#endif
