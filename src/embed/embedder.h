/* The embedder inside. */
#ifndef TUFF_EMBED_EMBEDDER_H
#define TUFF_EMBED_EMBEDDER_H

#include <tuff/embed.h>

#include "adapters/lora.h"
#include "base/os.h"
#include "formats/sentence.h"
#include "runtime/session.h"

struct tuff_embedder {
    const tuff_model *model;
    tuff_device *device;
    tuff_lora *lora; /* NULL: none */
    tuff_sentence sentence;
    tuff_pooling pooling;
    bool normalize;
    int64_t full, dimensions; /* of a vector as the model makes it; as it is given out */
    int64_t max_length, batch_tokens;
    tuff_session *session;
    const tuff_watch *watch;
    tuff_mutex *turn; /* of the session and of `host` */
    int32_t *host;    /* the inputs of a run */
    float *vectors;   /* its output */
};

/* A program's capacities: it is the same for all batches that fit. */
typedef struct tuff_embed_shape {
    int64_t tokens, sequences;
} tuff_embed_shape;

/* Puts all that programs read into the session's store. */
TUFF_MUST_USE tuff_status tuff_embedder_upload(tuff_embedder *embedder, const tuff_watch *watch);

/* The program of a shape: inputs "ids", "positions", "types" i32 [tokens], "segments" and "pooled" i32
 * [sequences, 4], "first" i32 [sequences] (CLS and LAST: the row that is the vector), "root" f32 [sequences,
 * 1] (MEAN_SQRT_LEN); output "vectors" f32 [sequences, dimensions]. */
TUFF_MUST_USE tuff_status tuff_embedder_program(tuff_embedder *embedder, const tuff_embed_shape *shape,
                                                tuff_program **out_program);

#endif
