/* What vectors of texts are trained by. */
#ifndef TUFF_TRAIN_TASKS_EMBEDDING_LOSSES_H
#define TUFF_TRAIN_TASKS_EMBEDDING_LOSSES_H

#include <tuff/graph.h>
#include <tuff/program.h>

#include "base/status.h"

typedef enum tuff_vector_loss_kind {
#define TUFF_VECTOR_LOSS(id, name, rule, scored) TUFF_VECTOR_LOSS_##id,
#include "train/tasks/embedding_losses.def"
#undef TUFF_VECTOR_LOSS
    TUFF_VECTOR_LOSSES
} tuff_vector_loss_kind;

/* "mnrl"; whether its rows have scores; the kind of a name, TUFF_VECTOR_LOSSES for one that there is not. */
const char *tuff_vector_loss_name(tuff_vector_loss_kind kind);
bool tuff_vector_loss_scored(tuff_vector_loss_kind kind);
tuff_vector_loss_kind tuff_vector_loss_find(const char *name);
/* "mnrl, cosine, ...", for error texts. */
const char *tuff_vector_loss_names(void);

/* The batch that a loss is of: `rows` examples of `columns` texts each. Text c of example i has the vector
 * number c * rows + i. */
typedef struct tuff_vector_loss {
    tuff_vector_loss_kind kind;
    int64_t rows, columns;
    double scale, margin; /* of those that have one */
} tuff_vector_loss;

/* Settings as sentence-transformers has them by default. */
tuff_vector_loss tuff_vector_loss_of(tuff_vector_loss_kind kind, int64_t rows, int64_t columns);

/* The sum of the losses of the rows, a scalar, of vectors [columns * rows, dimensions]; of "cosent", which is
 * no sum over rows, the loss itself. Declares the inputs that tuff_vector_loss_set sets. */
tuff_tensor *tuff_vector_loss_build(const tuff_vector_loss *loss, tuff_graph *g, tuff_tensor *vectors);

/* What the sum is over, for a batch whose first `count` rows are used. */
int64_t tuff_vector_loss_labels(const tuff_vector_loss *loss, int64_t count);
/* Words of scratch that setting takes. */
size_t tuff_vector_loss_words(const tuff_vector_loss *loss);
/* Sets the inputs of a program with the loss: the first `count` rows are used, with scores [count] where it
 * is scored. */
TUFF_MUST_USE tuff_status tuff_vector_loss_set(const tuff_vector_loss *loss, tuff_program *program,
                                               int64_t count, const float *scores, void *scratch);

#endif
