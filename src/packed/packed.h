/* Texts of any lengths through a model, packed in one row of tokens: batches by a budget, programs by
 * capacity, threads that take turns. What stands on the states of the tokens, and what becomes of it, is its
 * user's: vectors, classes, answers. */
#ifndef TUFF_PACKED_PACKED_H
#define TUFF_PACKED_PACKED_H

#include <tuff/program.h>

#include "adapters/adapter.h"
#include "base/os.h"
#include "models/net.h"
#include "packed/batch.h"
#include "packed/pack.h"
#include "runtime/session.h"

/* A program's capacities: it is the same for all batches that fit. */
typedef struct tuff_packed_shape {
    int64_t tokens, sequences, picked;
} tuff_packed_shape;

/* What stands on the states. `set` and `take` are called by one thread at a time. */
typedef struct tuff_packed_top {
    /* Puts what it needs besides the model and its adapter into the session's store; NULL: nothing. */
    tuff_status (*upload)(void *user, tuff_store *store);
    /* Builds it on states [tokens, hidden_size], with its own inputs and outputs. */
    void (*build)(void *user, tuff_net *net, tuff_tensor *states, const tuff_packed_shape *shape);
    /* Sets its inputs for texts[0..n), which lie one after the other from the first token on, each behind the
     * adapter's virtual tokens; NULL: it has none. */
    tuff_status (*set)(void *user, tuff_program *program, const tuff_packed_shape *shape,
                       const tuff_packed_text *texts, size_t n);
    /* Takes its outputs; `call` is what tuff_packed_run was given. */
    tuff_status (*take)(void *user, void *call, tuff_program *program, const tuff_packed_shape *shape,
                        const tuff_packed_text *texts, size_t n);
    void *user;
} tuff_packed_top;

/* Part of its user's struct, which sets what comes before the session. */
typedef struct tuff_packed {
    const tuff_model *model;
    tuff_device *device;
    tuff_packed_top top;
    tuff_phase phase;   /* as watches are told of a run, in tokens */
    bool takes_virtual; /* what stands on the states knows of rows before the texts' own */
    int64_t max_length, batch_tokens;
    size_t batch_picks; /* 0: TUFF_PACKED_PICKS */
    bool usual_length;  /* max_length is nobody's wish */
    tuff_session *session;
    const tuff_net_hook *hook; /* of one that has no adapter; NULL: none */
    tuff_adapter *adapter;     /* NULL: none */
    bool borrowed;             /* the two above are another's */
    bool in_f32;               /* parameters are stored as f32, whatever the model's types */
    int64_t rope_positions;    /* rows of the rotary tables in the store */
    tuff_turn *turn;           /* of the session and of the two below */
    tuff_pack pack;            /* the inputs of a run */
    void *scratch;             /* of `set` and `take` */
} tuff_packed;

/* Sets max_length and batch_tokens from what is wanted, 0 for the usual: of the length `usual`, else what the
 * tokenizer's files say, at most what the model was trained for. */
TUFF_MUST_USE tuff_status tuff_packed_choose(tuff_packed *packed, int64_t max_length, int64_t usual,
                                             int64_t batch_tokens);
/* Puts all that programs read on the device; the longest text becomes shorter where virtual tokens take of
 * the model's positions. `adapter` and `watch` may be NULL. */
TUFF_MUST_USE tuff_status tuff_packed_open(tuff_packed *packed, const char *adapter, const tuff_watch *watch);
/* On the session of a training, whose store is filled; it must outlive this, and belongs to the same thread.
 */
TUFF_MUST_USE tuff_status tuff_packed_open_on(tuff_packed *packed, tuff_session *session,
                                              tuff_adapter *adapter, bool in_f32, int64_t rope_positions);
/* Of one that was opened, half opened, or is all zeros. */
void tuff_packed_close(tuff_packed *packed);

/* Runs texts[0..n), whose order changes; *out_tokens is how many tokens they had. */
TUFF_MUST_USE tuff_status tuff_packed_run(tuff_packed *packed, tuff_packed_text *texts, size_t n, void *call,
                                          const tuff_watch *watch, int64_t *out_tokens);

/* For `set` and `take`: zeroed memory of so many words, until the next call; NULL, with its error set, when
 * there is none. */
void *tuff_packed_words(tuff_packed *packed, size_t words);

/* Whether ids[0..count) of a text that the caller gave are in the vocabulary, and no more than the longest
 * text; `index` is for the error. */
TUFF_MUST_USE tuff_status tuff_packed_check_ids(const tuff_packed *packed, const int32_t *ids, size_t count,
                                                size_t index);

#endif
