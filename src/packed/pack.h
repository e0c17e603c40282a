/* One row of tokens on the host: the sequences of a batch, one after the other, as a net's inputs; for what
 * trains and for what does not. */
#ifndef TUFF_PACKED_PACK_H
#define TUFF_PACKED_PACK_H

#include <tuff/program.h>

#include "models/arch.h"

/* The capacities of a program: it is the same for all batches that fit. */
typedef struct tuff_pack_shape {
    int64_t tokens, sequences; /* of the net */
    int64_t rows, width;       /* the user's own: tokens that are predicted, say, or candidates */
} tuff_pack_shape;

/* Grows as batches need it, and is filled anew for each; begins as zeros. */
typedef struct tuff_pack {
    const tuff_config *config;
    tuff_pack_shape shape;
    int64_t tokens, sequences; /* so far */
    int64_t virtual_tokens;    /* rows that come before each sequence's own; for all batches */
    bool silent;               /* these are keys and values alone */
    double noise;              /* alpha of NEFTune; 0: none */
    int32_t *ids, *positions, *types, *segments;
    int32_t *embedding_rows; /* with virtual tokens; see adapters/adapter.h */
    int32_t *own;            /* words of the user's */
    int32_t *index;          /* scratch */
    int32_t *words;          /* the memory of all of them */
    size_t capacity;
} tuff_pack;

/* Empties it for a batch of this shape; `own` gets so many words, zeros. */
TUFF_MUST_USE tuff_status tuff_pack_begin(tuff_pack *pack, const tuff_config *config,
                                          const tuff_pack_shape *shape, int64_t own);
/* Adds a sequence, which must fit, behind its virtual tokens; the row of its own first token. `types` NULL:
 * zeros. */
int64_t tuff_pack_add(tuff_pack *pack, const int32_t *ids, const int8_t *types, int64_t n);
/* Sets ids, positions, types and segments of a net, with what the gradients of their tables need, where the
 * program has such inputs. */
TUFF_MUST_USE tuff_status tuff_pack_set(tuff_pack *pack, tuff_program *program);
/* Sets an input of noise f32 [n, 1], where the program has it: of a sequence of L tokens each number gets at
 * most noise / sqrt(L * hidden_size), as its authors have it. `segments` [sequences, 4] are those of a net;
 * `before` rows of each are no tokens. Words of the index serve it meanwhile. */
TUFF_MUST_USE tuff_status tuff_pack_set_noise(tuff_pack *pack, tuff_program *program, const char *name,
                                              const int32_t *segments, int64_t before, int64_t n);
/* Sets an input i32 [n] that picks rows of a table, and "<name>_index", which the table's gradient needs,
 * where the program has it; n is at most the tokens or the rows of the shape. */
TUFF_MUST_USE tuff_status tuff_pack_set_picked(tuff_pack *pack, tuff_program *program, const char *name,
                                               const int32_t *picked, int64_t n);
void tuff_pack_free(tuff_pack *pack);

#endif
