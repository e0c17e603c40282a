/* What a model's file is written from: its tensors, as the format wants them. */
#ifndef TUFF_MODELS_SAVE_SOURCE_H
#define TUFF_MODELS_SAVE_SOURCE_H

#include "base/pool.h"
#include "models/mix.h"
#include "models/model.h"

/* What a tensor of the file is made from: a parameter, or one matrix of a stack. */
typedef struct tuff_save_part {
    const tuff_param *param; /* NULL: it is no parameter */
    int64_t index;
} tuff_save_part;

typedef struct tuff_save_source {
    const tuff_model *model;
    const tuff_store *store; /* the parameters' values are there; NULL: in the model's file */
    bool gguf;               /* else Hugging Face's */
    tuff_mix mix;
    const tuff_importance *importance; /* NULL: none */
    tuff_watched work;
    /* set by tuff_save_source_open: */
    tuff_save_item *items;
    tuff_save_part *parts; /* the items' */
    tuff_arena arena;      /* their names */
    size_t count;
    float *factors[2]; /* of rotary positions: tensors of a GGUF that come after the parameters */
    tuff_pool *pool;   /* quantizes; NULL: nothing does */
} tuff_save_source;

/* Lists the tensors that the format has names for, with their types; `threads` quantize, 0: one per
 * processor. UNSUPPORTED where one is quantized already, in another type, unless `requantize`. */
TUFF_MUST_USE tuff_status tuff_save_source_open(tuff_save_source *source, unsigned threads, bool requantize,
                                                const char *path);
void tuff_save_source_close(tuff_save_source *source);
/* A tuff_save_fn; `user` is the source. */
TUFF_MUST_USE tuff_status tuff_save_source_write(void *user, size_t index, tuff_sink *sink);

/* A model as one GGUF file. */
TUFF_MUST_USE tuff_status tuff_model_write_gguf(const tuff_model *model, const tuff_save_params *params,
                                                tuff_mix mix, const char *path);

/* ---- save_sentence.c: how vectors are made of states */

/* Writes what sentence-transformers wants into the directory of a model that has it, or whose GGUF has a
 * pooling. */
TUFF_MUST_USE tuff_status tuff_save_sentence_hf(const tuff_model *model, const char *directory);
/* The pooling, by its number in GGUF. */
TUFF_MUST_USE tuff_status tuff_save_sentence_gguf(const tuff_model *model, tuff_gguf_builder *gguf);
/* Warns of what the GGUF cannot say. */
void tuff_save_sentence_say(const tuff_model *model, const char *path);

#endif
