/* A model on a device with a KV cache of slots, one sequence in each. */
#ifndef TUFF_GENERATE_RUNNER_H
#define TUFF_GENERATE_RUNNER_H

#include <tuff/generate.h>

#include "adapters/adapter.h"
#include "runtime/session.h"

/* A prompt goes through the model in pieces that end where its positions are multiples of this. */
enum { TUFF_PIECE_TOKENS = 256 };

/* A model that others have on a device, and its adapter, opened and there too; they outlive what runs it,
 * which only reads them. */
typedef struct tuff_loaded {
    const tuff_model *model;
    tuff_device *device;
    tuff_store *store;
    tuff_adapter *adapter; /* NULL: none */
    bool in_f32;           /* all parameters are f32, whatever the model's files have */
} tuff_loaded;

typedef struct tuff_runner_params {
    int64_t context;    /* the most positions of a sequence; 0: the model's */
    int64_t most_slots; /* at least 1 */
    bool cache_f16;
    bool invariant;            /* a sequence's bits do not depend on what it is run with */
    bool exact;                /* weights stored by the block are multiplied in f32 */
    const char *adapter;       /* a PEFT directory; NULL: none */
    const tuff_loaded *loaded; /* the model and its adapter are there already; NULL: they are not */
    const tuff_watch *watch;
} tuff_runner_params;

typedef struct tuff_runner {
    const tuff_model *model;
    tuff_device *device;
    tuff_session *session; /* caches: keys, values, rotary tables */
    tuff_adapter *adapter; /* NULL: none */
    bool borrowed;         /* the adapter and the session's store are another's */
    bool in_f32;           /* so are all its parameters */
    int64_t context, most_slots;
    int64_t virtual_tokens; /* of the adapter, which take the first rows of each slot, before its positions */
    int64_t slots,
        capacity; /* of the cache: rows of each slot, virtual tokens among them; 0: there is none */
    /* Of encoder-decoders: the same of the keys and values of the encoder's states. */
    int64_t source_slots, source_capacity;
    uint64_t angle_changes; /* how often a larger cache got other angles: the keys that it holds are of the
                               old ones */
    tuff_dtype cache_dtype;
    bool invariant, exact;
    tuff_program *single;  /* feeds one token of one sequence; NULL: was not needed since the cache grew */
    tuff_program *program; /* of the last run, which gives logits of so many rows */
    int64_t program_rows;
    int32_t *host; /* the inputs of a run: host_words */
    float *logits; /* [logits_rows, vocab] */
    int64_t host_words, logits_rows;
} tuff_runner;

TUFF_MUST_USE tuff_status tuff_runner_create(const tuff_model *model, tuff_device *device,
                                             const tuff_runner_params *params, tuff_runner **out_runner);
void tuff_runner_destroy(tuff_runner **runner);

/* What it holds on its device now. */
tuff_generate_memory tuff_runner_memory(const tuff_runner *runner);

/* What a cache is to have room for. */
typedef struct tuff_room {
    int64_t slots, positions; /* of each */
    int64_t most;             /* none will need more positions; 0: the context */
    int64_t kept;             /* so many slots, the first, keep what they hold; there may be others */
    const int64_t *used;      /* [kept]: positions in use */
    /* of encoder-decoders: how many sources of how many tokens, and of how many the slots have keys */
    int64_t sources, source;
    const int64_t *encoded; /* [kept]; NULL: of none */
} tuff_room;
/* Makes room. What is there stays as it is when this fails. */
TUFF_MUST_USE tuff_status tuff_runner_reserve(tuff_runner *runner, const tuff_room *room,
                                              const tuff_watch *watch);

/* Tokens that are run of one sequence: ids[0..count) at positions start..start + count of its slot, where all
 * before them has been run. At position 0 the adapter's virtual tokens are run before them. Of
 * encoder-decoders they attend to the source of so many tokens in source_slot; neighbours that have it in
 * common may be several. */
typedef struct tuff_feed {
    int64_t slot, start, count;
    const int32_t *ids;
    int64_t source_slot, source;
} tuff_feed;

/* Of encoder-decoders: runs the encoder over a source ids[0..n), for which there is room, and keeps what the
 * decoder needs of it in a slot. `work`, of which it is a part, may be NULL. */
TUFF_MUST_USE tuff_status tuff_runner_encode(tuff_runner *runner, int64_t source_slot, const int32_t *ids,
                                             int64_t n, tuff_watched *work);

/* Keys and values of positions begin..end of one slot that come to another; from 0 on with the virtual tokens
 * before them. */
typedef struct tuff_move {
    int64_t from, to, begin, end;
} tuff_move;
/* Copies them all at once: what is read is what was there before. No two come to the same slot. */
TUFF_MUST_USE tuff_status tuff_runner_move(tuff_runner *runner, const tuff_move *moves, size_t n,
                                           tuff_watched *work);

/* Makes ready what runs so many tokens, virtual ones among them, of so many sequences. *out_new (may be
 * NULL): it has never run. */
TUFF_MUST_USE tuff_status tuff_runner_prepare(tuff_runner *runner, int64_t tokens, int64_t sequences,
                                              const tuff_watch *watch, bool *out_new);
/* The tokens of feeds, with the virtual ones that are run before them. */
int64_t tuff_runner_tokens(const tuff_runner *runner, const tuff_feed *feeds, size_t n);
/* Begins a run of n feeds of different slots, for which there is room. `work`, of which it is a part, may be
 * NULL; a run that was cancelled or failed may be repeated. */
TUFF_MUST_USE tuff_status tuff_runner_run(tuff_runner *runner, const tuff_feed *feeds, size_t n,
                                          tuff_watched *work);
/* Waits for the last run: logits f32 [vocab] after the last token of its feed i are at runner->logits + i *
 * vocab, until the next call. */
TUFF_MUST_USE tuff_status tuff_runner_wait(tuff_runner *runner);

#endif
