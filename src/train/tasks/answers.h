/* Questions and the contexts that answer them. */
#ifndef TUFF_TRAIN_TASKS_ANSWERS_H
#define TUFF_TRAIN_TASKS_ANSWERS_H

#include "train/task.h"

/* A token's place in its context, in bytes; end 0: it is none of the context's. */
typedef struct tuff_place {
    uint32_t begin, end;
} tuff_place;

/* A sequence: a question with a part of its context. */
typedef struct tuff_window {
    int32_t question;
    int32_t first, last; /* tokens of the answer; 0 and 0: it is not in this window */
} tuff_window;

typedef struct tuff_question {
    tuff_view context;
    size_t answers; /* how many texts are right, from names[first_answer] on; 0: the context has none */
    size_t first_answer;
} tuff_question;

typedef struct tuff_questions {
    tuff_window *windows;
    size_t window_count, window_capacity;
    tuff_question *items;
    size_t count, capacity;
    tuff_view *answers;
    size_t answer_count, answer_capacity;
    tuff_place *places; /* as many as the data has tokens */
    int64_t place_count, place_capacity;
    tuff_arena arena;     /* the texts */
    size_t astray;        /* answers that are not where their context is said to have them; */
    uint64_t astray_line; /* the first such record's line */
} tuff_questions;

TUFF_MUST_USE tuff_status tuff_questions_load(const tuff_model *model, const char *path,
                                              const tuff_data_params *params, tuff_dataset *data);
TUFF_MUST_USE tuff_status tuff_questions_join(tuff_dataset *into, const tuff_dataset *part);
void tuff_questions_release(tuff_dataset *data);

#endif
