/* Data sets that are mixed by weights: one whose examples are those of all, part after part, and how many of
 * each part an epoch has. */
#ifndef TUFF_TRAIN_MIXTURE_H
#define TUFF_TRAIN_MIXTURE_H

#include "train/task.h"

typedef struct tuff_mixture {
    size_t parts;
    int64_t *starts; /* part i is the examples [starts[i], starts[i + 1]) */
    int64_t *shares; /* [parts]: examples of an epoch */
    int64_t epoch;   /* their sum */
} tuff_mixture;

void tuff_mixture_free(tuff_mixture *mixture); /* NULL is ignored */
/* The most examples that a part has. */
int64_t tuff_mixture_largest(const tuff_mixture *mixture);

/* The examples of an epoch in their order, into out[0..epoch). A part goes on from epoch to epoch where it
 * was, and begins anew, in a new order, when all of it was seen; `room` is for as many numbers as the largest
 * part has. Not shuffled, parts go in the order of their files, and take turns by their shares. */
void tuff_mixture_order(const tuff_mixture *mixture, uint64_t seed, int64_t epoch, bool shuffled,
                        uint32_t *room, uint32_t *out);

void tuff_mixture_hash(const tuff_mixture *mixture, tuff_sha256 *hash);

#endif
