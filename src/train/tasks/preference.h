/* The examples of preferences: prompts with answers to them, as token ids. */
#ifndef TUFF_TRAIN_TASKS_PREFERENCE_H
#define TUFF_TRAIN_TASKS_PREFERENCE_H

#include "train/conversation.h"
#include "train/dataset.h"
#include "train/record_cache.h"
#include "train/tasks/preference_losses.h"

/* A sequence of the data set: a prompt and an answer. */
typedef struct tuff_preference_answer {
    int64_t prompt;  /* tokens before the first that counts */
    int64_t counted; /* of the others: those that count, of which each has one before it */
    bool desirable;
    bool reserved[7];
} tuff_preference_answer;

/* What a data set of preferences owns. Of pairs sequence 2 i is what is preferred in example i, 2 i + 1 what
 * is not; else sequence i is that of example i. */
typedef struct tuff_preference_data {
    tuff_preference_loss loss;
    tuff_preference_answer *answers; /* of each sequence, */
    tuff_column room;                /* here */
    tuff_column counts;              /* of each id a byte: 1 where it counts */
    int64_t max_length;
    tuff_conversation_format format; /* Alpaca's where a record is so; else auto: it has none of its own */
    tuff_conversation_source source; /* of the template that such records are rendered by */
} tuff_preference_data;

static inline const tuff_preference_data *tuff_preference_data_of(const tuff_dataset *data)
{
    return data->own;
}

TUFF_MUST_USE tuff_status tuff_preference_load(const tuff_model *model, const char *path,
                                               const tuff_data_params *params, tuff_dataset *data);
void tuff_preference_keep(tuff_kept *kept, tuff_dataset *data);
TUFF_MUST_USE tuff_status tuff_preference_join(tuff_dataset *into, const tuff_dataset *part);
void tuff_preference_release(tuff_dataset *data);

#endif
