/* Entities in sequences of labels such as B-PER, I-PER and O, found as seqeval finds them by default. */
#ifndef TUFF_TRAIN_ENTITIES_H
#define TUFF_TRAIN_ENTITIES_H

#include "train/task.h"

/* What labels say of the words that have them, and how many entities there are. */
typedef struct tuff_entities {
    struct tuff_entity_label *labels;
    int64_t right, truth, said;
} tuff_entities;

/* Whether labels are of entities: each is O, or begins with B, I, E or S and a dash, or is that letter alone,
 * and not all are O. */
bool tuff_entities_are(const char *const *labels, size_t count);
/* To be ended also after a failure. */
TUFF_MUST_USE tuff_status tuff_entities_begin(tuff_entities *entities, const char *const *labels,
                                              size_t count);
/* Counts those of a sequence: pairs[2 * i] is the label of word i, pairs[2 * i + 1] what was said of it. */
void tuff_entities_add(tuff_entities *entities, const int32_t *pairs, size_t words);
/* entity_f1, entity_precision, entity_recall, of all entities: right are those whose type, beginning and end
 * are. 0 where there are none. */
void tuff_entities_put(const tuff_entities *entities, tuff_eval_result *out);
void tuff_entities_end(tuff_entities *entities);

#endif
