/* The embedder inside. */
#ifndef TUFF_EMBED_EMBEDDER_H
#define TUFF_EMBED_EMBEDDER_H

#include <tuff/embed.h>

#include "formats/sentence.h"
#include "packed/packed.h"

struct tuff_embedder {
    tuff_packed packed;
    const tuff_model *model;
    tuff_device *device;
    tuff_sentence sentence;
    tuff_pooling pooling;
    bool normalize;
    int64_t full, dimensions; /* of a vector as the model makes it; as it is given out */
    const tuff_watch *watch;
};

/* What stands on the states of the embedder's model: inputs "pooled" i32 [sequences, 4], "first" i32
 * [sequences] (CLS and LAST: the row that is the vector), "root" f32 [sequences, 1] (MEAN_SQRT_LEN); output
 * "vectors" f32 [sequences, dimensions], or of pooling NONE [tokens, dimensions]. */
typedef struct tuff_embed_call {
    float *out;           /* [n, dimensions] */
    const size_t *starts; /* of each text's rows; NULL: it has one, at its place in the call */
} tuff_embed_call;
tuff_packed_top tuff_embedder_top(tuff_embedder *embedder);

/* Text i of a call, which may be NULL where it is empty; whether it is one. */
tuff_piece tuff_embed_text(const char *const *texts, const size_t *sizes, size_t i);
TUFF_MUST_USE tuff_status tuff_embed_check_text(const char *const *texts, const size_t *sizes, size_t i);

/* An embedder of settings alone, on no device: what its model's files and the parameters say, for others that
 * make vectors of their own. Freed by tuff_embedder_destroy. */
TUFF_MUST_USE tuff_status tuff_embedder_settle(const tuff_model *model, const tuff_embedder_params *params,
                                               tuff_embedder **out_embedder);
/* Vectors [sequences, dimensions] of states [tokens, hidden_size], with the inputs above. */
tuff_tensor *tuff_embedder_vectors(const tuff_embedder *embedder, tuff_graph *g, tuff_tensor *states,
                                   int64_t sequences);

#endif
