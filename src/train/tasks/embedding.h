/* The examples of embedding training: rows of texts as token ids. */
#ifndef TUFF_TRAIN_TASKS_EMBEDDING_H
#define TUFF_TRAIN_TASKS_EMBEDDING_H

#include "embed/embedder.h"
#include "train/dataset.h"
#include "train/record_cache.h"
#include "train/tasks/embedding_losses.h"

/* What a data set of pairs owns. */
typedef struct tuff_embedding_data {
    tuff_embedder *settings; /* of the model's vectors */
    tuff_vector_loss_kind loss;
    int64_t columns;  /* texts of a row, which are sequences of the data set, one after the other */
    float *scores;    /* of each row; NULL: the loss has none */
    tuff_column room; /* where they are */
    const tuff_dataset *settled; /* of a mixture: whose settings these are; NULL: their own */
    int64_t cache;               /* texts of a run where gradients are cached; 0: they are not */
} tuff_embedding_data;

static inline const tuff_embedding_data *tuff_embedding_data_of(const tuff_dataset *data)
{
    return data->own;
}

static inline int64_t tuff_embedding_rows(const tuff_dataset *data)
{
    return data->sequences / tuff_embedding_data_of(data)->columns;
}

/* The ids of a text. */
static inline const int32_t *tuff_embedding_text(const tuff_dataset *data, uint32_t row, int64_t column,
                                                 int64_t *out_count)
{
    const int64_t at = (int64_t)row * tuff_embedding_data_of(data)->columns + column;
    *out_count = data->starts[at + 1] - data->starts[at];
    return data->ids + data->starts[at];
}

/* As tuff_dataset_load_pairs, with the usual loss. */
TUFF_MUST_USE tuff_status tuff_embedding_load(const tuff_model *model, const char *path,
                                              const tuff_data_params *params, tuff_dataset *data);
void tuff_embedding_keep(tuff_kept *kept, tuff_dataset *data);
TUFF_MUST_USE tuff_status tuff_embedding_join(tuff_dataset *into, const tuff_dataset *part);
void tuff_embedding_release(tuff_dataset *data);
/* Whether the model can be trained with the data. */
TUFF_MUST_USE tuff_status tuff_embedding_check(const tuff_dataset *data, const tuff_model *model);
/* Writes what sentence-transformers wants beside a model into a stage. */
TUFF_MUST_USE tuff_status tuff_embedding_save(const tuff_dataset *data, const char *directory);

#endif
