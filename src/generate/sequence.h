/* A sequence: the ids of its prompt and its text, how each is chosen, where the text ends. */
#ifndef TUFF_GENERATE_SEQUENCE_H
#define TUFF_GENERATE_SEQUENCE_H

#include <tuff/batch.h>

#include "models/model.h"

enum { TUFF_MOST_BEAMS = 256, TUFF_MOST_TOP = 1000 };

struct tuff_sequence {
    const tuff_model *model;
    tuff_generate_params params; /* its sampling settings, stop strings and ids are in what follows */
    int32_t *eos_ids;            /* [params.eos_id_count], a copy */
    tuff_token_logprob *top;     /* [params.top_logprobs] */
    const tuff_watch *watch;     /* NULL: none */
    const tuff_tokenizer *tokenizer;
    tuff_sampler *sampler;
    tuff_decoder *decoder;
    tuff_stop *stop;
    int64_t context;
    int32_t *ids; /* prompt and text; of encoder-decoders what the text begins with, and the text */
    size_t count, capacity;
    int64_t given;   /* ids that it began with */
    int32_t *source; /* of encoder-decoders: the prompt, for the encoder */
    size_t source_count;
    bool encoded; /* its slot has what the decoder needs of it */
    int64_t fed;  /* ids whose keys and values are in the cache */
    int64_t slot; /* -1: it waits for one, or has ended */
    tuff_generate_result result;
    uint64_t added_ns, begun_ns, text_ns; /* when it came, was first run, had its first logits; 0: not yet */
    int64_t pending;     /* tokens of the prompt that run since the batcher's clock was set */
    int64_t warm_tokens; /* those that have, by programs that had run before */
    double warm_seconds; /* what this took */
    bool ended, silent;  /* silent: on_text asked to stop */
    char *error;
};

/* Whether the settings can be those of a sequence. */
TUFF_MUST_USE tuff_status tuff_sequence_check(const tuff_model *model, const tuff_generate_params *params);
/* Encodes the prompt and makes all that is needed later. The watch is asked while this is done. */
TUFF_MUST_USE tuff_status tuff_sequence_create(const tuff_model *model, int64_t context, const char *text,
                                               size_t size, const tuff_generate_params *params,
                                               const tuff_watch *watch, tuff_sequence **out_sequence);
/* The same of a prompt that is encoded, as it is. */
TUFF_MUST_USE tuff_status tuff_sequence_create_ids(const tuff_model *model, int64_t context,
                                                   const int32_t *ids, size_t n,
                                                   const tuff_generate_params *params,
                                                   tuff_sequence **out_sequence);
void tuff_sequence_destroy(tuff_sequence **sequence);

/* The most positions that it can have: the last token is not fed back, so the cache needs no place for it. */
int64_t tuff_sequence_most(const tuff_sequence *sequence);
/* How many tokens it has to feed, at most up to where a piece of `piece` tokens ends. */
int64_t tuff_sequence_next(const tuff_sequence *sequence, int64_t piece);

/* It is about to be run: the first time its clock is set. */
void tuff_sequence_begin(tuff_sequence *sequence);
/* Goes on from the logits after all its ids: one token more, or its end. An error is the sequence's, which
 * then has not ended. */
TUFF_MUST_USE tuff_status tuff_sequence_take(tuff_sequence *sequence, const float *logits);
/* The first logits are there: its text begins. */
void tuff_sequence_started(tuff_sequence *sequence);
/* What its text must have as token number `at`, from 0 on: its first or the last of the most; -1: anything.
 */
int32_t tuff_sequence_forced(const tuff_sequence *sequence, int64_t at);
/* Whether a token ends its text. */
bool tuff_sequence_is_end(const tuff_sequence *sequence, int32_t id);
/* Its whole text at once. */
TUFF_MUST_USE tuff_status tuff_sequence_take_all(tuff_sequence *sequence, const int32_t *ids, int64_t n);
/* The logarithm of the sum of the exponentials of x[0..n), n at least 1. */
double tuff_log_sum(const float *x, int64_t n);
/* How probable an id is by the logits f32 [vocab], and which are the n most probable ones, at most the
 * vocabulary. */
void tuff_logprobs(const float *logits, int64_t vocab, int32_t id, tuff_token_logprob *top, size_t n,
                   tuff_chosen *out);
/* Ends it for an error, whose text is the calling thread's. */
void tuff_sequence_fail(tuff_sequence *sequence, tuff_status status);

#endif
