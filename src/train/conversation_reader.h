/* Files of conversations: what the tasks that learn from them read them by. */
#ifndef TUFF_TRAIN_CONVERSATION_READER_H
#define TUFF_TRAIN_CONVERSATION_READER_H

#include "train/conversation.h"
#include "train/record_reader.h"

typedef struct tuff_conversation_reader {
    tuff_record_reader file;
    const tuff_data_params *params;
    int64_t max_length;            /* tokens of a sequence */
    tuff_conversation_coder coder; /* with the template given, else the model's, else none */
    tuff_chat_template *of_model;
    cJSON *variables;
} tuff_conversation_reader;

/* Where its template is from. */
tuff_conversation_source tuff_conversation_reader_source(const tuff_conversation_reader *reader);

/* A record, and what was made of it. */
typedef struct tuff_conversation_item {
    tuff_record_item record;
    cJSON *object;
    tuff_conversation_ids ids[2];
    int fate; /* the task's */
    bool plain, desirable;
} tuff_conversation_item;

/* To be closed also after a failure. */
TUFF_MUST_USE tuff_status tuff_conversation_reader_open(tuff_conversation_reader *reader,
                                                        const tuff_model *model, const char *path,
                                                        const tuff_data_params *params, tuff_dataset *data);
void tuff_conversation_reader_close(tuff_conversation_reader *reader);
/* How records become what a data set gets. */
typedef struct tuff_conversation_work {
    /* Makes ids of a record: on any thread, so that it changes the item alone, but for the first one. Errors
     * are without a place. */
    tuff_status (*prepare)(void *own, const tuff_conversation_coder *coder, tuff_conversation_item *item);
    /* Adds what was made; not called where that failed. */
    tuff_status (*take)(void *own, const tuff_conversation_item *item);
} tuff_conversation_work;
/* Takes all records. */
TUFF_MUST_USE tuff_status tuff_conversation_reader_run(tuff_conversation_reader *reader,
                                                       const tuff_conversation_work *work, void *own);
/* The first max_length ids, or the last, as the settings say; false: there are no more. */
bool tuff_conversation_reader_cut(const tuff_conversation_reader *reader, tuff_conversation_ids *ids);
/* Whether one is learned that has another before it. */
bool tuff_conversation_ids_answered(const tuff_conversation_ids *ids);
/* Says how many records are left out, `nothing` of whose answers is within max_length, and how many `things`
 * were cut. Fails where nothing is left. */
TUFF_MUST_USE tuff_status tuff_conversation_reader_end(const tuff_conversation_reader *reader,
                                                       const char *nothing, const char *things);

#endif
