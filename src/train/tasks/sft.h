/* Answers in conversations: their data, and how the task packs them. */
#ifndef TUFF_TRAIN_TASKS_SFT_H
#define TUFF_TRAIN_TASKS_SFT_H

#include "train/conversation.h"
#include "train/record_cache.h"
#include "base/column.h"
#include "train/task.h"

/* A data set's own. */
typedef struct tuff_sft {
    tuff_column learned; /* a byte for each id: 1, it is to be found */
    bool learn_all;
    tuff_conversation_format format;
    tuff_conversation_source source;
    bool plain;     /* some are texts without turns */
    int64_t shared; /* answers that begin within a token */
    /* Sequences that are one example, row i: members[rows[i] .. rows[i + 1]); NULL: each is its own. */
    uint32_t *members;
    int64_t *rows;
    int64_t row_count, row_most; /* of rows; of sequences of one */
} tuff_sft;

/* The task's `load`; what was read so far belongs to the data set also after a failure. */
TUFF_MUST_USE tuff_status tuff_sft_load(const tuff_model *model, const char *path,
                                        const tuff_data_params *params, tuff_dataset *data);
void tuff_sft_release(tuff_dataset *data);
void tuff_sft_keep(tuff_kept *kept, tuff_dataset *data);
/* The task's `join`, but for rows; of a text, of which every token is learned, and that has nothing to join:
 * begins the mixture where it is the first part, adds `n` tokens that come next. */
TUFF_MUST_USE tuff_status tuff_sft_join(tuff_dataset *into, const tuff_dataset *part);
TUFF_MUST_USE tuff_status tuff_sft_begin(tuff_dataset *into);
TUFF_MUST_USE tuff_status tuff_sft_learn_all(tuff_dataset *into, int64_t n);
/* The rows of all parts, where one has some; what has none is a sequence in each row. */
TUFF_MUST_USE tuff_status tuff_sft_join_rows(tuff_dataset *into, const tuff_dataset *const *parts, size_t n);
/* Puts sequences together in rows of at most so many tokens: longest first, each where it leaves the least.
 */
TUFF_MUST_USE tuff_status tuff_sft_pack_rows(tuff_dataset *data, int64_t tokens);
/* The sequences of an example. */
const uint32_t *tuff_sft_members(const tuff_dataset *data, const uint32_t *example, int64_t *out_count);

#endif
