/* Trainings in processes that may have less memory than there is data. */
#ifndef TUFF_TESTS_LIMITED_H
#define TUFF_TESTS_LIMITED_H

#include <tuff/train.h>

enum { KIT_TRAINED = 0, KIT_TRAINING_FAILED = 1, KIT_NO_MEMORY = 3 };

/* 8 steps of 2 examples, on one thread. */
typedef struct kit_limited {
    const tuff_model *model;
    tuff_data_params params;
    const char *first; /* a short file, for a training before there is a limit: what any one takes is there */
    const char *reason; /* what the error is to say where memory ends */
} kit_limited;

/* Whether a process can have a limit here: a sanitizer's memory is its own matter. */
bool kit_can_limit(void);

/* Trains on the file of this path, into the directory `out`, in a process that may have `room` more bytes
 * than it begins with; 0: as many as it wants. KIT_NO_MEMORY needs the reason; what else fails is printed. */
int kit_train_in(const kit_limited *how, size_t room, const char *path, const char *out);

/* Of the models in two directories. */
void kit_expect_same_weights(const char *one, const char *other);

#endif
