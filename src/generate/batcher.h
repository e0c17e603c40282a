/* The batcher inside. */
#ifndef TUFF_GENERATE_BATCHER_H
#define TUFF_GENERATE_BATCHER_H

#include <stdatomic.h>

#include "base/watch.h"
#include "generate/runner.h"
#include "generate/sequence.h"

struct tuff_batcher {
    tuff_runner *runner;
    int64_t piece, step_tokens; /* tokens: where pieces of prompts end, of a step */
    tuff_sequence **all;        /* in the order in which they came, ended ones too */
    size_t count, capacity;
    tuff_sequence **slots;        /* [max_slots]: who has it; NULL: free */
    int64_t max_slots, use_slots; /* use_slots: fewer where memory is short */
    int patience, steps_left;     /* how many steps until more are tried again; of these, left */
    tuff_feed *feeds;             /* [max_slots]: n_feeds of the step at hand */
    size_t n_feeds;
    int64_t *used, *encoded;     /* [max_slots] each */
    uint64_t clock_ns;           /* since when runs have not been waited for; 0: none */
    uint64_t new_tokens;         /* of all sequences */
    const tuff_watch *own_watch; /* NULL: none */
    atomic_flag busy;            /* a call works on it */
};

/* As tuff_batcher_create, of a model that is on its device; params->adapter is not read. */
TUFF_MUST_USE tuff_status tuff_batcher_create_loaded(const tuff_loaded *loaded,
                                                     const tuff_batcher_params *params,
                                                     tuff_batcher **out_batcher);

/* Of every public call: TUFF_INVALID_ARGUMENT, about a `what`, when another one is at work. */
TUFF_MUST_USE tuff_status tuff_batcher_enter(tuff_batcher *batcher, const char *what);
void tuff_batcher_leave(tuff_batcher *batcher);
/* As tuff_batcher_destroy, that of a `what`. */
void tuff_batcher_end(tuff_batcher **batcher, const char *what);

/* As tuff_batcher_get_memory, that of a `what`. */
TUFF_MUST_USE tuff_status tuff_batcher_memory(tuff_batcher *batcher, const char *what,
                                              tuff_generate_memory *out_memory);

/* UNSUPPORTED for settings that only a text alone can have. */
TUFF_MUST_USE tuff_status tuff_batcher_check(const tuff_generate_params *params);
/* As tuff_batcher_add. */
TUFF_MUST_USE tuff_status tuff_batcher_append(tuff_batcher *batcher, const char *prompt, size_t size,
                                              const tuff_generate_params *params, const tuff_watch *watch,
                                              tuff_sequence **out_sequence);
/* The same of a prompt that is encoded, as it is. */
TUFF_MUST_USE tuff_status tuff_batcher_append_ids(tuff_batcher *batcher, const int32_t *ids, size_t n,
                                                  const tuff_generate_params *params,
                                                  tuff_sequence **out_sequence);
/* As tuff_batcher_remove, of one that is there. */
void tuff_batcher_drop(tuff_batcher *batcher, tuff_sequence **sequence);
/* One run of the model, as the part of a work that is under way. */
TUFF_MUST_USE tuff_status tuff_batcher_advance(tuff_batcher *batcher, tuff_watched *work);
/* Another has the cache: sequences that are under way will be fed anew. */
void tuff_batcher_forget(tuff_batcher *batcher);
/* How many sequences have not ended. */
size_t tuff_batcher_left(const tuff_batcher *batcher);

#endif
