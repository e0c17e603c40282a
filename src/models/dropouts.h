/* The dropouts that a model has inside, which act while it is trained. */
#ifndef TUFF_MODELS_DROPOUTS_H
#define TUFF_MODELS_DROPOUTS_H

#include "base/json.h"
#include "base/status.h"
#include "base/text.h"

/* Where one acts. */
typedef enum tuff_drop {
    TUFF_DROP_EMBEDDINGS,    /* what the first layer is given */
    TUFF_DROP_ATTENTION,     /* attention's probabilities */
    TUFF_DROP_ATTENTION_OUT, /* what attention adds */
    TUFF_DROP_CROSS,         /* the same two of attention to an encoder's states */
    TUFF_DROP_CROSS_OUT,
    TUFF_DROP_FFN_INSIDE,  /* what the last product of a feed-forward layer is given */
    TUFF_DROP_FFN_OUT,     /* what it adds; with drops_sum, together with attention */
    TUFF_DROP_FINAL,       /* states after the last norm */
    TUFF_DROP_CLASSES_IN,  /* of a classifier of sequences: what its first layer is given, */
    TUFF_DROP_CLASSES_OUT, /* and its output */
    TUFF_DROP_TOKENS,      /* what the output of a classifier of tokens is given */
    TUFF_DROP_SPANS,       /* and that of answers as spans */
    TUFF_DROP_COUNT
} tuff_drop;

typedef struct tuff_dropouts {
    double of[TUFF_DROP_COUNT]; /* the part that becomes 0 */
} tuff_dropouts;

struct tuff_config;

/* Those that config.json says, or transformers presets, of a config that is read otherwise. */
TUFF_MUST_USE tuff_status tuff_dropouts_read_hf(const cJSON *json, const char *where,
                                                struct tuff_config *config);
/* All that the model may have are `p`. */
tuff_dropouts tuff_dropouts_all(const struct tuff_config *config, double p);
/* Takes away those of heads and streams that a model of this config has not. */
void tuff_dropouts_fit(const struct tuff_config *config, tuff_dropouts *dropouts);
/* "0.1 of embeddings, attention; 0.2 of classes"; nothing where all are 0. */
void tuff_dropouts_put(const tuff_dropouts *dropouts, tuff_buf *out);

#endif
